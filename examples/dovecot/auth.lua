-- Lets Dovecot ask the URL that nginx asks (auth_http): for ManageSieve, submission and whatever else
-- logs in to Dovecot itself. Needs the package dovecot-auth-lua; Dovecot 2.3.16 or later, or 2.4.
-- docs/dovecot.md shows Dovecot's side.

-- The URL of auth_http, and the key of [nginx] in auth.toml. The file with the key is read by Dovecot's
-- auth process, which runs as root or as the user `dovecot`.
local URL = "http://127.0.0.1:8080/mail/auth"
local KEY_FILE = "/etc/nginx-mail-auth/key"

-- The text of `messages.temporary` in auth.toml.
local TEMPORARY = "Temporary server problem, try again later"

-- Milliseconds that one answer may take. Must be longer than `limits.deadline` in auth.toml.
local TIMEOUT = 12000

-- True: Dovecot is a proxy, and sends the client to the mail server of the answer, at its own port for
-- the protocol. False: Dovecot has the mailboxes itself.
local PROXY = false

-- The protocol that is asked for, by Dovecot's name of the service. Any other service is refused.
local PROTOCOLS = {
  imap = "imap",
  pop3 = "pop3",
  smtp = "smtp",
  submission = "smtp",
  sieve = "imap",
}

local key
local client

-- Dovecot calls this once, when it loads the script.
function script_init()
  local file = assert(io.open(KEY_FILE, "r"))
  key = file:read("l")
  file:close()
  assert(key and key ~= "", KEY_FILE .. " has no key in its first line")

  -- One attempt: an answer that does not come must not count as several guesses.
  local made, made_client = pcall(dovecot.http.client, {
    request_absolute_timeout_msecs = TIMEOUT,
    max_attempts = 1,
  })
  if not made then -- Dovecot 2.4 names them as its settings.
    made_client = dovecot.http.client({
      request_absolute_timeout = TIMEOUT .. "ms",
      request_max_attempts = 1,
    })
  end
  client = made_client
  return 0
end

-- As nginx writes a login and a password into a header: no byte can end the line.
local function escaped(bytes)
  return (bytes:gsub("[^%w%-%._~]", function(byte)
    return string.format("%%%02X", byte:byte())
  end))
end

function auth_password_verify(request, password)
  local failure = dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE
  local protocol = PROTOCOLS[request.protocol or request.service]
  if not protocol then
    return failure, "no protocol is set for this service: see PROTOCOLS in the script"
  end

  local question = client:request({ url = URL, method = "GET" })
  question:add_header("X-Auth-Key", key)
  question:add_header("Auth-Method", "plain")
  question:add_header("Auth-User", escaped(request.user))
  question:add_header("Auth-Pass", escaped(password))
  question:add_header("Auth-Protocol", protocol)
  question:add_header("Auth-Login-Attempt", "1")
  local client_ip = request.remote_ip or request.rip
  if client_ip and client_ip ~= "" then
    question:add_header("Client-IP", client_ip)
  end
  local answer = question:submit()

  local status = answer:header("Auth-Status")
  if answer:status() ~= 200 or not status or status == "" then
    return failure, "no answer from " .. URL .. ": " .. answer:status() .. " " .. answer:reason()
  end
  if status == TEMPORARY then
    return failure, "temporary failure: see the log of nginx-mail-auth"
  end
  if status ~= "OK" then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, status
  end
  local user = answer:header("Auth-User")
  local fields = {}
  if user and user ~= "" then
    fields.user = user
  end
  if PROXY then
    fields.proxy = "y"
    fields.host = answer:header("Auth-Server")
  end
  return dovecot.auth.PASSDB_RESULT_OK, fields
end
