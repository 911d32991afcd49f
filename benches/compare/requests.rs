//! The requests that are asked, as every transport carries them, and the check of their answers.

use std::fmt::Write as _;

use crate::Outcome;

/// A login of the original script's rules, and the only right answer to it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) login: &'static str,
    pub(crate) protocol: &'static str,
    server: &'static str,
    port: &'static str,
}

const fn case(
    login: &'static str,
    protocol: &'static str,
    server: &'static str,
    port: &'static str,
) -> Case {
    Case {
        login,
        protocol,
        server,
        port,
    }
}

/// Every protocol and both mail servers of `examples/php-script.toml`.
pub(crate) const CASES: [Case; 6] = [
    case("alice@example.org", "imap", "192.168.1.22", "143"),
    case("bob@example.org", "imap", "192.168.1.33", "143"),
    case("carol", "smtp", "192.168.1.22", "25"),
    case(
        "dave.long-name@mail.example.net",
        "pop3",
        "192.168.1.33",
        "110",
    ),
    // A blank in a login is refused for SMTP.
    case("frank%20n@example.org", "pop3", "192.168.1.22", "110"),
    case("heidi@example.org", "smtp", "192.168.1.33", "25"),
];

/// The web server between nginx's mail proxy and the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// Apache with mod_proxy_fcgi, for a client with TLS and with a key: 39 variables, 1.2 kB.
    Apache,
    /// `fastcgi_pass`, for a client without TLS and without a key: 24 variables, 0.7 kB.
    Nginx,
}

impl Front {
    /// How many variables it sends.
    pub(crate) fn variables(self) -> usize {
        match self {
            Self::Apache => 39,
            Self::Nginx => 24,
        }
    }
}

/// What nginx adds to the headers: `fastcgi_params` as nginx.org ships it, without the line for PHP, and the
/// Host header.
const FROM_NGINX: [(&str, &str); 18] = [
    ("QUERY_STRING", ""),
    ("REQUEST_METHOD", "GET"),
    ("CONTENT_TYPE", ""),
    ("CONTENT_LENGTH", ""),
    ("SCRIPT_NAME", "/mail/auth"),
    ("REQUEST_URI", "/mail/auth"),
    ("DOCUMENT_URI", "/mail/auth"),
    ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
    ("SERVER_PROTOCOL", "HTTP/1.0"),
    ("REQUEST_SCHEME", "http"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "nginx/1.26.3"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("REMOTE_PORT", "44068"),
    ("SERVER_ADDR", "127.0.0.1"),
    ("SERVER_PORT", "8143"),
    ("SERVER_NAME", ""),
    ("HTTP_HOST", "127.0.0.1:8143"),
];

/// What Apache adds to the headers of nginx: taken down behind mod_proxy_fcgi on Debian.
const FROM_APACHE: [(&str, &str); 29] = [
    ("FCGI_ROLE", "RESPONDER"),
    ("proxy-nokeepalive", "1"),
    ("HTTP_HOST", "127.0.0.1"),
    ("HTTP_CONNECTION", "close"),
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C"),
    ("TZ", "Europe/Zurich"),
    ("UNIQUE_ID", "aSMb2n8AAAEAAF5bOoQAAAAC"),
    ("SERVER_SIGNATURE", ""),
    ("SERVER_SOFTWARE", "Apache/2.4.71 (Debian)"),
    ("SERVER_NAME", "127.0.0.1"),
    ("SERVER_ADDR", "127.0.0.1"),
    ("SERVER_PORT", "80"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("DOCUMENT_ROOT", "/var/www/html"),
    ("REQUEST_SCHEME", "http"),
    ("CONTEXT_PREFIX", "/mail/auth"),
    ("CONTEXT_DOCUMENT_ROOT", "/usr/lib/cgi-bin/nginx-mail-auth"),
    ("SERVER_ADMIN", "webmaster@localhost"),
    (
        "SCRIPT_FILENAME",
        "proxy:fcgi://localhost/usr/lib/cgi-bin/nginx-mail-auth",
    ),
    ("REMOTE_PORT", "44068"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_PROTOCOL", "HTTP/1.0"),
    ("REQUEST_METHOD", "GET"),
    ("QUERY_STRING", ""),
    ("REQUEST_URI", "/mail/auth"),
    ("SCRIPT_NAME", "/mail/auth"),
    ("CONTENT_LENGTH", "0"),
    ("CONTENT_TYPE", ""),
];

/// What nginx sends, in its order; about TLS and with a key only to Apache.
fn headers<'a>(
    front: Front,
    login: &'a str,
    protocol: &'a str,
    password: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    let mut headers = vec![("Auth-Method", "plain"), ("Auth-User", login)];
    headers.extend(password.map(|password| ("Auth-Pass", password)));
    headers.extend([
        ("Auth-Protocol", protocol),
        ("Auth-Login-Attempt", "1"),
        ("Client-IP", "192.0.2.42"),
    ]);
    if front == Front::Apache {
        headers.extend([
            ("Auth-SSL", "on"),
            ("Auth-SSL-Protocol", "TLSv1.3"),
            ("Auth-SSL-Cipher", "TLS_AES_256_GCM_SHA384"),
            ("X-Auth-Key", "2f1c0a9d8b7e6f5a"),
        ]);
    }
    headers
}

impl Case {
    /// The CGI meta-variables of this case. `script` is the file that PHP-FPM is to run; the
    /// others do not look at it.
    pub(crate) fn variables(
        &self,
        front: Front,
        password: Option<&str>,
        script: &str,
    ) -> Variables {
        Variables::new(front, self.login, self.protocol, password, script)
    }

    /// The request as nginx sends it to an HTTP server: HTTP/1.0, a new connection each time.
    pub(crate) fn http(&self) -> Vec<u8> {
        let mut text = String::from("GET /mail/auth HTTP/1.0\r\nHost: 127.0.0.1\r\n");
        for (name, value) in headers(Front::Apache, self.login, self.protocol, Some(PASSWORD)) {
            let _infallible = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Whether `answer` has the three headers of the right answer, and no other `Auth-` header.
    /// What the web server or PHP add is not looked at, nor which line end they use.
    pub(crate) fn check(&self, answer: &[u8]) -> Outcome<()> {
        let wanted = [
            ("auth-status", "OK"),
            ("auth-server", self.server),
            ("auth-port", self.port),
        ];
        expect(answer, &wanted)
            .map_err(|why| format!("{} {}: {why}", self.login, self.protocol))?;
        Ok(())
    }
}

/// Every login's password: any will do where the mail server checks it.
pub(crate) const PASSWORD: &str = "correct%20horse";

/// Whether `answer` is the script's answer to a request without a password, whenever nginx is to pass
/// it on.
pub(crate) fn check_refusal(answer: &[u8]) -> Outcome<()> {
    const REFUSAL: (&str, &str) = ("auth-status", "Invalid login or password");
    expect(answer, &[REFUSAL]).or_else(|_| expect(answer, &[REFUSAL, ("auth-wait", "1")]))?;
    Ok(())
}

fn expect(answer: &[u8], wanted: &[(&str, &str)]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let found: Vec<(String, &str)> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| name.starts_with("auth-"))
        .collect();
    let same = found.len() == wanted.len()
        && wanted
            .iter()
            .zip(&found)
            .all(|(wanted, found)| *wanted == (found.0.as_str(), found.1));
    same.then_some(())
        .ok_or_else(|| format!("wrong answer {text:?}"))
}

/// The CGI meta-variables of a request.
pub(crate) struct Variables(pub(crate) Vec<(String, String)>);

impl Variables {
    /// What nginx says of a login, and what the front adds.
    pub(crate) fn new(
        front: Front,
        login: &str,
        protocol: &str,
        password: Option<&str>,
        script: &str,
    ) -> Self {
        let mut all: Vec<(String, String)> = headers(front, login, protocol, password)
            .into_iter()
            .map(|(name, value)| {
                let name = name.to_ascii_uppercase().replace('-', "_");
                (format!("HTTP_{name}"), value.to_owned())
            })
            .collect();
        let added: &[(&str, &str)] = match front {
            Front::Apache => &FROM_APACHE,
            Front::Nginx => &FROM_NGINX,
        };
        all.extend(added.iter().map(|(name, value)| {
            let ours = *name == "SCRIPT_FILENAME" && !script.is_empty();
            let value = if ours { script } else { value };
            ((*name).to_owned(), value.to_owned())
        }));
        Self(all)
    }

    /// A whole FastCGI request in one write, as nginx and mod_fcgid send it: BEGIN_REQUEST, all
    /// PARAMS in one record, and no STDIN (FastCGI 1.0, appendix B).
    pub(crate) fn fastcgi(&self, connection: Connection) -> Outcome<Vec<u8>> {
        let mut pairs = Vec::new();
        for (name, value) in &self.0 {
            length(&mut pairs, name.len())?;
            length(&mut pairs, value.len())?;
            pairs.extend_from_slice(name.as_bytes());
            pairs.extend_from_slice(value.as_bytes());
        }
        let keep = u8::from(connection == Connection::Kept);
        let mut request = record(BEGIN_REQUEST, &[0, RESPONDER, keep, 0, 0, 0, 0, 0])?;
        request.extend(record(PARAMS, &pairs)?);
        request.extend(record(PARAMS, &[])?);
        request.extend(record(STDIN, &[])?);
        Ok(request)
    }
}

/// What happens to the connection after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Every request opens its own.
    New,
    /// One for all requests.
    Kept,
}

impl Connection {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new connections",
            Self::Kept => "kept connection",
        }
    }
}

const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const RESPONDER: u8 = 1;

fn record(kind: u8, content: &[u8]) -> Outcome<Vec<u8>> {
    let [high, low] = u16::try_from(content.len())?.to_be_bytes();
    let mut record = vec![1, kind, 0, 1, high, low, 0, 0];
    record.extend_from_slice(content);
    Ok(record)
}

fn length(out: &mut Vec<u8>, length: usize) -> Outcome<()> {
    match u8::try_from(length) {
        Ok(short @ 0..=127) => out.push(short),
        _ => out.extend_from_slice(&(u32::try_from(length)? | 1 << 31).to_be_bytes()),
    }
    Ok(())
}
