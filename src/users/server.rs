//! `store = "imap"` and `"pop3"`: checks a password by logging in to a mail server, which may be the only
//! directory of its users.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::server_error::{self, ServerError};
use super::{Account, PasswordCheck, Passwords, Question, StoreError, UserStore};
use crate::login::printable::Printable;
use crate::net::tls::CaFile;
use crate::net::{Endpoint, Names, Stream, Trust};
use crate::secret::Password;
use crate::sys::Lifetime;
use crate::sys::outage::Outage;
use crate::sys::problem::Fault;

mod imap;
mod pop3;
mod refusal;

pub use refusal::Texts;

/// How long the server may take to end the session. Until then, a POP3 server may keep the mailbox locked
/// (RFC 1939, 4), and refuse the mail client, which logs in next.
const FAREWELL: Duration = Duration::from_secs(1);

/// Settings of the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The protocol.
    pub dialect: Dialect,
    /// The address.
    pub endpoint: Endpoint,
    /// How the connection is protected.
    pub security: Security,
    /// Certificates in PEM form that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// Texts by which the server refuses a wrong password, or reports that it cannot decide.
    pub texts: Texts,
    /// The time-out of connecting, including the TLS handshake of imaps and pop3s.
    pub connect_timeout: Duration,
    /// The time-out of a whole login.
    pub timeout: Duration,
    /// How long a right password is remembered; zero: not at all.
    pub cache: Duration,
}

/// The protocol of the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// IMAP (RFC 3501, RFC 9051).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Without TLS.
    None,
    /// By STARTTLS on a plain connection (RFC 2595). The program sends no login if it fails.
    StartTls,
    /// By TLS from the first byte on (RFC 8314).
    Tls,
}

/// `imaps://mail.example.org:993`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.dialect, self.security) {
            (Dialect::Imap, Security::Tls) => "imaps",
            (Dialect::Imap, Security::None | Security::StartTls) => "imap",
            (Dialect::Pop3, Security::Tls) => "pop3s",
            (Dialect::Pop3, Security::None | Security::StartTls) => "pop3",
        };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

/// A mail server that knows its users. It cannot tell without a password whether a user exists, so every
/// login counts as a user until the server has refused the password.
///
/// Each login makes a new connection, which is closed before the answer is given. It begins and ends a
/// session of the user, as a mail client that reads no mail would.
pub struct ServerStore {
    settings: Settings,
    names: Names,
    trust: Trust,
    outage: Outage,
}

impl ServerStore {
    /// A store that connects when it is asked. A server process loads the trusted certificates here, so that
    /// it does not start with unusable ones.
    pub fn open(settings: &Settings, lifetime: Lifetime) -> Result<Self, Vec<Fault>> {
        let store = Self {
            names: Names::system(),
            trust: Trust::new(settings.ca_file.clone()),
            outage: Outage::default(),
            settings: settings.clone(),
        };
        if settings.security != Security::None && lifetime == Lifetime::Server {
            store.trust.config().map_err(|message| {
                vec![Fault {
                    key: "ca-file",
                    message,
                }]
            })?;
        }
        Ok(store)
    }

    /// Connects, and sends every command before a login.
    fn greet(&self, deadline: Instant) -> Result<Session, ServerError> {
        let settings = &self.settings;
        let connected = deadline.min(Instant::now() + settings.connect_timeout);
        let mut stream = Stream::connect(&settings.endpoint, &self.names, connected)
            .map_err(|error| ServerError::Server(format!("cannot connect: {error}")))?;
        let trusted = match settings.security {
            Security::None => None,
            Security::Tls | Security::StartTls => {
                Some(self.trust.config().map_err(ServerError::Server)?)
            }
        };
        let tls = match (&trusted, &settings.endpoint) {
            (None, _) => None,
            (Some(config), Endpoint::Tcp { host, .. }) => Some(Tls { config, host }),
            (Some(_), Endpoint::Unix(..)) => {
                let what = "a Unix socket has no certificate to check";
                return Err(ServerError::Server(what.to_owned()));
            }
        };
        let later = match (tls, settings.security) {
            (Some(tls), Security::Tls) => {
                tls.start(&mut stream)?;
                None
            }
            (later, _) => later,
        };
        stream.set_deadline(deadline);
        match settings.dialect {
            Dialect::Imap => imap::open(&mut stream, later).map(LoginMethod::Imap),
            Dialect::Pop3 => pop3::open(&mut stream, later).map(LoginMethod::Pop3),
        }
        .map(|ready| Session { stream, ready })
    }

    fn log_in(
        &self,
        login: &[u8],
        password: &Password,
        deadline: Instant,
    ) -> Result<PasswordCheck, ServerError> {
        let Session { mut stream, ready } = self.greet(deadline)?;
        let answer = match ready {
            LoginMethod::Imap(way) => imap::log_in(&mut stream, way, login, password)?,
            LoginMethod::Pop3(way) => pop3::log_in(&mut stream, way, login, password)?,
        };
        match answer {
            LoginReply::Accepted => {
                self.leave(stream, deadline)?;
                Ok(PasswordCheck::Right)
            }
            LoginReply::Refused(word, text) => {
                // No later line makes it an acceptance, and after BYE the server sends nothing.
                if word != "BYE" {
                    let _twice = self.leave(stream, deadline);
                }
                let shown = refusal::quoted(&text, password);
                log::debug!("{} answers a login with {word} {shown}", self.settings);
                self.settings.texts.meaning(&text)
            }
        }
    }

    /// Ends the session, and waits until the server has closed the connection. An error if the server reports
    /// meanwhile that its answer to the login belonged to another command.
    fn leave(&self, mut stream: Stream, deadline: Instant) -> Result<(), ServerError> {
        /// The maximum number of lines after the command that ends the session.
        const MOST_LINES: usize = 16;
        stream.set_deadline(deadline.min(Instant::now() + FAREWELL));
        let (farewell, is_reply, most) = match self.settings.dialect {
            Dialect::Imap => (imap::FAREWELL, imap::is_reply as fn(&[u8]) -> bool, 0),
            Dialect::Pop3 => (pop3::FAREWELL, pop3::is_reply as fn(&[u8]) -> bool, 1),
        };
        if stream.send(farewell).is_err() {
            return Ok(());
        }
        let lines = (0..MOST_LINES).map_while(|_| stream.line(MAX_LINE).ok());
        match lines.filter(|line| is_reply(line)).count() > most {
            true => Err(ServerError::Unanswered(
                "answers the login twice, so its first answer was to something else".to_owned(),
            )),
            false => Ok(()),
        }
    }
}

/// A connection that is ready for a login.
struct Session {
    stream: Stream,
    ready: LoginMethod,
}

enum LoginMethod {
    Imap(imap::LoginCommand),
    Pop3(pop3::LoginCommand),
}

/// The parameters of a TLS handshake.
#[derive(Clone, Copy)]
struct Tls<'a> {
    config: &'a Arc<ClientConfig>,
    host: &'a ServerName<'static>,
}

impl Tls<'_> {
    fn start(self, stream: &mut Stream) -> Result<(), ServerError> {
        stream
            .start_tls(self.config, self.host)
            .map_err(|error| ServerError::Server(format!("TLS: {error}")))
    }
}

impl UserStore for ServerStore {
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
        _account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let login = asked.login.as_bytes();
        // In SASL, an empty login means that the connection defines it (RFC 4616, 2).
        if login.is_empty() || password.reveal().is_empty() {
            return Ok(PasswordCheck::Wrong);
        }
        let deadline = asked.deadline.min(Instant::now() + self.settings.timeout);
        let result = self.log_in(login, password, deadline);
        server_error::note(&self.outage, &self.settings, &result);
        result.map_err(|trouble| trouble.of(&self.settings))
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        let deadline = deadline.min(Instant::now() + self.settings.timeout);
        match self.greet(deadline) {
            Ok(session) => {
                let _no_login = self.leave(session.stream, deadline);
                Vec::new()
            }
            Err(trouble) => vec![format!("{}: {trouble}", self.settings)],
        }
    }
}

impl fmt::Debug for ServerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStore")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

//------------ Words ---------------------------------------------------------

/// The maximum length of a server's line in bytes, more than any known server sends. RFC 7162, 4 asks IMAP
/// clients to accept 8,192.
const MAX_LINE: usize = 8192;

/// Reads the next line; `what` names it in errors.
fn line(stream: &mut Stream, what: &str) -> Result<Zeroizing<Vec<u8>>, ServerError> {
    stream
        .line(MAX_LINE)
        .map_err(|error| ServerError::Server(format!("{error}, waiting for {what}")))
}

/// The commands that end a session of IMAP and of POP3.
const END: &[u8] = b"\r\n";

/// Sends the parts in one piece. It is an error if bytes have arrived before: they cannot be an answer, but
/// would be taken for one (CVE-2011-0411 and similar attacks, also without TLS).
fn send(stream: &mut Stream, parts: &[&[u8]], what: &str) -> Result<(), ServerError> {
    if let Some(unasked) = stream.unasked() {
        return Err(ServerError::Server(format!(
            "{unasked}, before {what} was sent"
        )));
    }
    stream
        .send(&Zeroizing::new(parts.concat()))
        .map_err(|error| ServerError::Server(format!("{error}, sending {what}")))
}

/// The answer of a server to login and password.
enum LoginReply {
    /// The server accepts them.
    Accepted,
    /// The first word of a refusal, and its text.
    Refused(&'static str, Vec<u8>),
}

/// Turns a failure after the server received login and password into [`ServerError`]. The server answered the
/// greeting and earlier commands, so the failure concerns this password.
fn unanswered(trouble: ServerError) -> ServerError {
    match trouble {
        ServerError::Server(what) => {
            ServerError::Unanswered(format!("did not answer login and password: {what}"))
        }
        other => other,
    }
}

/// Quotes a server in an error. Only for text that the server sent before it received a password: some
/// servers repeat what they do not understand.
fn quoted(said: &[u8]) -> String {
    const MOST: usize = 100;
    let part = said.get(..MOST).unwrap_or(said);
    format!("\"{}\"", Printable(part))
}

/// The message of SASL's PLAIN mechanism, in base64 (RFC 4616, 2).
fn sasl_plain(login: &[u8], password: &Password) -> Zeroizing<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let message = Zeroizing::new([b"\0", login, b"\0", password.reveal()].concat());
    Zeroizing::new(STANDARD.encode(&*message).into_bytes())
}
