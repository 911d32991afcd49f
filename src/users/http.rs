//! `store = "http"`: passes the question to another `auth_http` service, as nginx itself would.

use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use self::answer::{HeaderReader, HttpReply};
use super::alive::deadlines;
use super::server_error::{self, ServerError};
use super::{Account, PasswordCheck, Passwords, Question, StoreError, UserStore};
use crate::login::{Login, Protocol};
use crate::net::own_login::OwnLogin;
use crate::net::tls::CaFile;
use crate::net::url;
use crate::net::{Endpoint, LineError, Names, Stream, Trust};
use crate::nginx::request::Session;
use crate::secret::Password;
use crate::sys::Lifetime;
use crate::sys::outage::Outage;
use crate::sys::problem::Fault;

mod answer;
mod question;

/// The maximum size of an answer's header in bytes. nginx accepts 1,024.
const MAX_HEADER: usize = 8192;

/// The login that `check` asks about. No user has it, and no user has an empty password.
const NOBODY: &str = "nginx-mail-auth-check";

/// Another `auth_http` service as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The URL of the service.
    pub url: Url,
    /// Headers that are added to the request; the configuration has checked their values.
    pub headers: Vec<(String, String)>,
    /// The value of `X-Auth-Key`.
    pub key: Option<Key>,
    /// Certificates in PEM form that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// The texts of `Auth-Status` that mean trouble in the service, not a refusal.
    pub temporary: Vec<String>,
    /// The time-out of connecting, including the TLS handshake of https.
    pub connect_timeout: Duration,
    /// The time-out of a whole question.
    pub timeout: Duration,
    /// How long a right password is remembered; zero: not at all.
    pub cache: Duration,
}

/// The key that the other service requires. It cannot be printed, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Stores the bytes of a header's value.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

//------------ Url -----------------------------------------------------------

/// The URL of an `auth_http` service, in the forms of nginx and with https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The address of the service.
    pub endpoint: Endpoint,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The value of `Host`: the host without the port, and `localhost` for a Unix socket.
    host: String,
    /// The path of the request, with the query.
    uri: String,
}

impl Url {
    /// Reads `http://host:port/uri`, `https://host:port/uri` or `unix:/path:/uri`. The error says
    /// what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str =
            "must be http://host:port/uri, https://host:port/uri or unix:/path:/uri";
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be printable ASCII without blanks".to_owned());
        }
        let unix = text.strip_prefix("http://").unwrap_or(text);
        if let Some(unix) = unix.strip_prefix("unix:") {
            let (path, uri) = unix.split_once(':').unwrap_or((unix, ""));
            if !path.starts_with('/') {
                return Err(FORMS.to_owned());
            }
            return Ok(Self {
                endpoint: Endpoint::Unix(path.into(), None),
                tls: false,
                host: "localhost".to_owned(),
                uri: uri_of(uri),
            });
        }
        let url = url::Url::read(text).ok_or(FORMS)?;
        let (tls, port) = match url.scheme {
            "http" => (false, HTTP),
            "https" if !url.host_port.starts_with("unix:") => (true, HTTPS),
            _ => return Err(FORMS.to_owned()),
        };
        if url.userinfo.is_some() {
            return Err("must not contain a user or password".to_owned());
        }
        if url.behind.starts_with('#') {
            return Err(FORMS.to_owned());
        }
        let endpoint = Endpoint::parse(url.host_port, port)?;
        let host = match url.host_port.rsplit_once(':') {
            Some((host, _)) if !url.host_port.ends_with(']') => host,
            _ => url.host_port,
        };
        Ok(Self {
            endpoint,
            tls,
            host: host.to_owned(),
            uri: uri_of(url.behind),
        })
    }
}

const HTTP: std::num::NonZeroU16 = std::num::NonZeroU16::new(80).unwrap();
const HTTPS: std::num::NonZeroU16 = std::num::NonZeroU16::new(443).unwrap();

/// nginx requests `/` if the URL has no path.
fn uri_of(text: &str) -> String {
    match text {
        "" => "/".to_owned(),
        text => text.to_owned(),
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.endpoint, self.tls) {
            (Endpoint::Unix(path, _), _) => write!(f, "unix:{}:{}", path.display(), self.uri),
            (endpoint, true) => write!(f, "https://{endpoint}{}", self.uri),
            (endpoint, false) => write!(f, "http://{endpoint}{}", self.uri),
        }
    }
}

//------------ HttpStore -----------------------------------------------------

/// Another service that knows its users and their mail servers. It cannot tell without a password whether a
/// user exists, so every login counts as a user until the service has refused the password.
pub struct HttpStore {
    settings: Settings,
    names: Names,
    trust: Trust,
    outage: Outage,
    /// The key of this program, if one is configured.
    own: Option<OwnLogin>,
}

impl HttpStore {
    /// A store that connects when it is asked. A server process loads the trusted certificates here, so that
    /// it does not start with unusable ones.
    pub fn open(settings: &Settings, lifetime: Lifetime) -> Result<Self, Vec<Fault>> {
        let store = Self {
            names: Names::system(),
            trust: Trust::new(settings.ca_file.clone()),
            outage: Outage::default(),
            own: settings
                .key
                .as_ref()
                .map(|key| OwnLogin::new(&settings.url, b"X-Auth-Key", &key.0)),
            settings: settings.clone(),
        };
        if settings.url.tls && lifetime == Lifetime::Server {
            store.trust.config().map_err(|message| {
                vec![Fault {
                    key: "ca-file",
                    message,
                }]
            })?;
        }
        Ok(store)
    }

    fn connect(&self, deadline: Instant) -> Result<Stream, ServerError> {
        let url = &self.settings.url;
        let connected = deadline.min(Instant::now() + self.settings.connect_timeout);
        let mut stream = Stream::connect(&url.endpoint, &self.names, connected)
            .map_err(|error| ServerError::Server(format!("cannot connect: {error}")))?;
        if let (true, Endpoint::Tcp { host, .. }) = (url.tls, &url.endpoint) {
            let config = self.trust.config().map_err(ServerError::Server)?;
            stream
                .start_tls(&config, host)
                .map_err(|error| ServerError::Server(format!("TLS: {error}")))?;
        }
        stream.set_deadline(deadline);
        Ok(stream)
    }

    /// Sends the request, and reads the answer up to the end of its header; like nginx, it then closes the
    /// connection.
    ///
    /// If the service refuses the key with an HTTP status (401, 403), it is not asked for a while.
    fn ask(&self, asked: &Question<'_>, password: &[u8]) -> Result<HeaderReader, ServerError> {
        let attempt = self.own.as_ref().map(OwnLogin::attempt).transpose();
        let attempt =
            attempt.map_err(|closed| ServerError::Server(format!("key-file: {closed}")))?;
        let reply = self.exchange(asked, password)?;
        match attempt {
            Some(attempt) if reply.refuses_key() => {
                let why = reply.without_status();
                attempt.refused(why.as_str());
                let when = "it is retried in a minute, or when the key changes";
                Err(ServerError::Server(format!(
                    "the key is refused: {why}; {when}"
                )))
            }
            Some(attempt) => {
                attempt.accepted();
                Ok(reply)
            }
            None => Ok(reply),
        }
    }

    fn exchange(&self, asked: &Question<'_>, password: &[u8]) -> Result<HeaderReader, ServerError> {
        let (deadline, life) = deadlines(asked.deadline, self.settings.timeout);
        let mut stream = self.connect(deadline)?;
        // A message that arrives before the request is not its answer.
        if let Some(unasked) = stream.unasked() {
            let what = format!("{unasked}, before the question was sent");
            return Err(ServerError::Server(what));
        }
        stream
            .send(&question::question(&self.settings, asked, password))
            .map_err(|error| ServerError::Server(format!("{error}, sending the question")))?;
        // Unlike a mail server, the service has answered nothing before. So another request tests whether it
        // answers at all.
        hear(&mut stream).map_err(|trouble| match trouble {
            ServerError::Unanswered(what) if !self.is_alive(life) => ServerError::Server(what),
            other => other,
        })
    }

    /// Whether the service answers at all: sends a request without login and password.
    fn is_alive(&self, deadline: Instant) -> bool {
        self.connect(deadline).is_ok_and(|mut stream| {
            let sent = stream.send(&question::sign_of_life(&self.settings));
            sent.is_ok() && stream.line(MAX_HEADER).is_ok()
        })
    }
}

/// Reads an answer. If none arrives in time, the caller must test whether the service answers at all.
fn hear(stream: &mut Stream) -> Result<HeaderReader, ServerError> {
    let mut reply = HeaderReader::default();
    let mut room = MAX_HEADER;
    loop {
        let line = stream.line(room).map_err(|error| match error {
            LineError::Io(error) if error.kind() == ErrorKind::TimedOut => {
                ServerError::Unanswered(format!("{error}, waiting for the answer"))
            }
            LineError::Io(error) => ServerError::Server(format!("{error}, waiting for the answer")),
            LineError::Closed => ServerError::Server(
                "the server closed the connection before the end of its \
                    answer"
                    .to_owned(),
            ),
            LineError::TooLong => {
                ServerError::Server(format!("the answer is longer than {MAX_HEADER} bytes"))
            }
        })?;
        if line.is_empty() {
            return Ok(reply);
        }
        room = room.saturating_sub(line.len() + 1);
        reply.add(&line).map_err(ServerError::Server)?;
    }
}

impl UserStore for HttpStore {
    fn find(&self, _asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        Ok(Some(Account {
            passwords: Passwords::AskStore,
            ..Account::default()
        }))
    }

    fn knows_users(&self) -> bool {
        false
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        if password.reveal().is_empty() {
            return Ok(PasswordCheck::Wrong);
        }
        let verdict = self
            .ask(asked, password.reveal())
            .and_then(|reply| reply.verdict(&self.settings.temporary));
        server_error::note(&self.outage, &self.settings.url, &verdict);
        match verdict {
            Ok(HttpReply::Accepted(found)) => {
                account.host = Some(found.server.to_string());
                account.port = Some(found.port);
                if found.user.is_some() {
                    account.user = found.user;
                }
                account.upstream_password = found.password;
                Ok(PasswordCheck::Right)
            }
            Ok(HttpReply::Refused) => Ok(PasswordCheck::Wrong),
            Err(trouble) => Err(trouble.of(&self.settings.url)),
        }
    }

    /// Asks about a login that no user has, with an empty password. Any valid answer of the protocol is
    /// accepted.
    fn test(&self, deadline: Instant) -> Vec<String> {
        let problem = |what: &dyn fmt::Display| vec![format!("{}: {what}", self.settings.url)];
        let Ok(login) = Login::new(NOBODY.as_bytes().to_vec()) else {
            return Vec::new();
        };
        let asked = Question {
            login: &login,
            protocol: Protocol::Imap,
            client: None,
            session: Session::default(),
            network: None,
            deadline,
            steps: None,
        };
        match self.ask(&asked, b"") {
            Err(trouble) => problem(&trouble),
            Ok(reply) if !reply.has_status() => problem(&reply.without_status()),
            Ok(_) => Vec::new(),
        }
    }
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStore")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, written, host) in [
            (
                "http://127.0.0.1:9000/auth",
                "http://127.0.0.1:9000/auth",
                "127.0.0.1",
            ),
            ("http://auth", "http://auth:80/", "auth"),
            (
                "https://auth.example.org?x=/y",
                "https://auth.example.org:443?x=/y",
                "auth.example.org",
            ),
            ("http://[::1]:8080/a:b", "http://[::1]:8080/a:b", "[::1]"),
            ("http://[::1]/", "http://[::1]:80/", "[::1]"),
            (
                "unix:/run/auth.sock:/cgi-bin/auth?a",
                "unix:/run/auth.sock:/cgi-bin/auth?a",
                "localhost",
            ),
            ("unix:/run/auth.sock", "unix:/run/auth.sock:/", "localhost"),
            (
                "http://unix:/run/auth.sock:/x",
                "unix:/run/auth.sock:/x",
                "localhost",
            ),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.to_string(), written);
            assert_eq!(url.host, host);
        }
        for bad in [
            "",
            "auth.example.org/auth",
            "ftp://auth",
            "http://",
            "http:///auth",
            "http://user:secret@auth/",
            "http://auth/a b",
            "http://auth/a\r\nX: y",
            "http://auth/gr\u{fc}n",
            "unix:relative:/x",
            "https://unix:/run/x:/",
            "http://auth:0/",
            "http://auth#x",
            "HTTP:/auth",
        ] {
            let error = Url::parse(bad).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
