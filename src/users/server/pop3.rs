//! A login to a POP3 server (RFC 1939, with the extensions of RFC 2449 and RFC 5034).

use super::{END, LoginReply, ServerError, Tls, line, quoted, sasl_plain, send, unanswered};
use crate::net::Stream;
use crate::secret::Password;

/// The maximum number of listed capabilities.
const MAX_LINES: usize = 100;

/// The maximum length of a command in bytes, with its line end (RFC 2449, 4).
const MAX_COMMAND: usize = 255;

/// The command that ends the session, and releases the mailbox.
pub(super) const FAREWELL: &[u8] = b"QUIT\r\n";

/// How login and password are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginCommand {
    /// By AUTH PLAIN, which can carry any byte.
    Sasl,
    /// By USER and PASS, which cannot carry every byte.
    UserPass,
}

/// Whether this line is an answer to a command. The server answers the command that ends the session once.
pub(super) fn is_reply(line: &[u8]) -> bool {
    Reply::read(line).is_some()
}

/// Reads the greeting, starts TLS if required, and chooses how to log in.
pub(super) fn open(stream: &mut Stream, tls: Option<Tls<'_>>) -> Result<LoginCommand, ServerError> {
    let greeting = line(stream, "the greeting")?;
    match Reply::read(&greeting) {
        Some(Reply::Ok) => {}
        // The server reports this to every client, before any login (RFC 1939, 4).
        Some(Reply::Refused(_)) => {
            let what = format!("accepts no connection now: {}", quoted(&greeting));
            return Err(ServerError::Server(what));
        }
        None => {
            let what = format!("greets with {}, not as a POP3 server", quoted(&greeting));
            return Err(ServerError::Server(what));
        }
    }
    if let Some(tls) = tls {
        send(stream, &[b"STLS", END], "STLS")?;
        let answer = line(stream, "the answer to STLS")?;
        if !matches!(Reply::read(&answer), Some(Reply::Ok)) {
            let what = format!("refuses STLS: {}", quoted(&answer));
            return Err(ServerError::Server(what));
        }
        tls.start(stream)?;
    }
    let offered = capabilities(stream)?;
    choose(offered).ok_or_else(|| {
        let what = match tls {
            None => "accepts no passwords over this connection: it may require starttls or pop3s",
            Some(_) => "accepts no passwords",
        };
        ServerError::Server(what.to_owned())
    })
}

/// Sends login and password, and reads the server's answer.
pub(super) fn log_in(
    stream: &mut Stream,
    way: LoginCommand,
    login: &[u8],
    password: &Password,
) -> Result<LoginReply, ServerError> {
    const WHAT: &str = "login and password";
    match way {
        LoginCommand::Sasl => {
            // The command itself could only carry a short message.
            send(stream, &[b"AUTH PLAIN", END], WHAT)?;
            let answer = line(stream, "the answer to AUTH")?;
            if !(*answer == b"+" || answer.starts_with(b"+ ")) {
                // The server has no password yet, so this does not concern one.
                let what = format!("refuses the AUTH PLAIN that it offers: {}", quoted(&answer));
                return Err(ServerError::Server(what));
            }
            send(stream, &[&sasl_plain(login, password), END], WHAT)?;
        }
        LoginCommand::UserPass => {
            let password = password.reveal();
            if !is_argument(login, "USER ") || login.contains(&b' ') {
                return Err(cannot_carry("login"));
            }
            if !is_argument(password, "PASS ") {
                return Err(cannot_carry("password"));
            }
            send(stream, &[b"USER ", login, END], WHAT)?;
            match answer(stream)? {
                LoginReply::Accepted => {}
                refused @ LoginReply::Refused(..) => return Ok(refused),
            }
            send(stream, &[b"PASS ", password, END], WHAT)?;
        }
    }
    answer(stream).map_err(unanswered)
}

/// Whether this can follow a keyword: printable ASCII characters (RFC 1939, 3). A password can contain spaces
/// between other characters: they belong to it, because PASS has only one argument (RFC 1939, 7).
fn is_argument(value: &[u8], keyword: &str) -> bool {
    let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    let trimmed = value.trim_ascii().len() == value.len();
    printable && trimmed && keyword.len() + value.len() + b"\r\n".len() <= MAX_COMMAND
}

fn cannot_carry(what: &str) -> ServerError {
    ServerError::Login(format!(
        "has no AUTH PLAIN, and USER and PASS cannot carry this {what}"
    ))
}

/// The answer of the server to a login, or to a part of one.
fn answer(stream: &mut Stream) -> Result<LoginReply, ServerError> {
    let answer = line(stream, "the answer to the login")?;
    match Reply::read(&answer) {
        Some(Reply::Ok) => Ok(LoginReply::Accepted),
        Some(Reply::Refused(text)) => Ok(LoginReply::Refused(
            "-ERR",
            text.trim_ascii_start().to_vec(),
        )),
        None => Err(ServerError::Server(
            "sends a line that is not POP3".to_owned(),
        )),
    }
}

//------------ Replies -------------------------------------------------------

/// A status indicator and the text after it (RFC 1939, 3).
#[derive(Debug, PartialEq, Eq)]
enum Reply<'a> {
    Ok,
    Refused(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// "Servers MUST send the "+OK" and "-ERR" in upper case."
    fn read(line: &'a [u8]) -> Option<Self> {
        let text = |indicator: &[u8]| {
            let rest = line.strip_prefix(indicator)?;
            (rest.is_empty() || rest.starts_with(b" ")).then_some(rest)
        };
        match (text(b"+OK"), text(b"-ERR")) {
            (Some(_), _) => Some(Self::Ok),
            (None, refused) => refused.map(Self::Refused),
        }
    }
}

//------------ Capabilities --------------------------------------------------

/// The capabilities of a server that this program uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Capabilities {
    user: bool,
    sasl_plain: bool,
}

impl Capabilities {
    fn read(&mut self, line: &[u8]) {
        let mut words = line.split(|byte| *byte == b' ');
        let first = words.next().unwrap_or_default();
        if first.eq_ignore_ascii_case(b"USER") {
            self.user = true;
        } else if first.eq_ignore_ascii_case(b"SASL") {
            self.sasl_plain |= words.any(|word| word.eq_ignore_ascii_case(b"PLAIN"));
        }
    }
}

/// The capabilities of the server; `None` if it does not know the command (RFC 2449, 5).
fn capabilities(stream: &mut Stream) -> Result<Option<Capabilities>, ServerError> {
    const WHAT: &str = "the answer to CAPA";
    send(stream, &[b"CAPA", END], "CAPA")?;
    let first = line(stream, WHAT)?;
    match Reply::read(&first) {
        Some(Reply::Ok) => {}
        Some(Reply::Refused(_)) => return Ok(None),
        None => {
            return Err(ServerError::Server(
                "sends a line that is not POP3".to_owned(),
            ));
        }
    }
    let mut offered = Capabilities::default();
    for _ in 0..MAX_LINES {
        let capability = line(stream, WHAT)?;
        if *capability == b"." {
            return Ok(Some(offered));
        }
        offered.read(&capability);
    }
    Err(ServerError::Server(
        "lists too many capabilities".to_owned(),
    ))
}

/// A server without CAPA supports USER and PASS.
fn choose(offered: Option<Capabilities>) -> Option<LoginCommand> {
    match offered {
        Some(Capabilities {
            sasl_plain: true, ..
        }) => Some(LoginCommand::Sasl),
        None | Some(Capabilities { user: true, .. }) => Some(LoginCommand::UserPass),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies() {
        for (line, reply) in [
            ("+OK", Some(Reply::Ok)),
            ("+OK ready", Some(Reply::Ok)),
            ("-ERR", Some(Reply::Refused(b""))),
            ("-ERR [AUTH] no", Some(Reply::Refused(b" [AUTH] no"))),
            ("+OKAY", None),
            ("+ok", None),
            ("-ERROR", None),
            ("+", None),
            ("* OK", None),
            ("", None),
        ] {
            assert_eq!(Reply::read(line.as_bytes()), reply, "{line}");
        }
    }

    #[test]
    fn the_safest_way_that_is_offered() {
        for (offer, way) in [
            (
                &["TOP", "SASL LOGIN PLAIN", "USER"][..],
                Some(LoginCommand::Sasl),
            ),
            (&["sasl plain"], Some(LoginCommand::Sasl)),
            (&["SASL PLAINER", "USER"], Some(LoginCommand::UserPass)),
            (&["USER"], Some(LoginCommand::UserPass)),
            (&["SASL CRAM-MD5", "UIDL"], None),
            (&[], None),
        ] {
            let mut offered = Capabilities::default();
            offer.iter().for_each(|line| offered.read(line.as_bytes()));
            assert_eq!(choose(Some(offered)), way, "{offer:?}");
        }
        assert_eq!(choose(None), Some(LoginCommand::UserPass));
    }

    #[test]
    fn what_user_and_pass_can_carry() {
        for (value, can) in [
            (&b"sesame"[..], true),
            (b"pass  word", true),
            (b" leading", false),
            (b"trailing ", false),
            (b"tab\tbed", false),
            (b"gr\xfcn", false),
            (b"\x7f", false),
            (&[b'x'; 248], true),
            (&[b'x'; 249], false),
        ] {
            assert_eq!(is_argument(value, "PASS "), can, "{}", value.escape_ascii());
        }
    }
}
