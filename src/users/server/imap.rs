//! A login to an IMAP server (RFC 3501, RFC 9051).

use std::time::Duration;

use super::{END, LoginReply, ServerError, Tls, line, quoted, sasl_plain, send, unanswered};
use crate::net::Stream;
use crate::secret::Password;
use crate::users::codes::code;

/// The maximum number of lines that a server may send before the expected one.
const MAX_LINES: usize = 100;

/// How long a server may take after BYE to send the reason, or to close the connection.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The maximum size of a skipped literal in bytes.
const MAX_LITERAL: usize = 65_536;

/// The command that ends the session.
pub(super) const FAREWELL: &[u8] = b"z LOGOUT\r\n";

/// How login and password are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginCommand {
    /// By AUTHENTICATE PLAIN, in the command itself (RFC 4959).
    InitialResponse,
    /// By AUTHENTICATE PLAIN, when the server asks for them.
    Continuation,
    /// By LOGIN, with literals, which can contain any byte.
    Login,
}

/// Whether this line is an answer to a login, or a request to continue it: no further one may follow the
/// answer.
pub(super) fn is_reply(line: &[u8]) -> bool {
    !matches!(Line::read(line, "c"), Line::Untagged(..) | Line::Other)
}

/// Reads the greeting, starts TLS if required, and chooses how to log in.
pub(super) fn open(stream: &mut Stream, tls: Option<Tls<'_>>) -> Result<LoginCommand, ServerError> {
    let greeting = line(stream, "the greeting")?;
    let mut offered = match Line::read(&greeting, "") {
        Line::Untagged("OK", text) => capabilities_in(text),
        Line::Untagged("PREAUTH", _) => {
            return Err(ServerError::Server(
                "greets every connection as logged in (PREAUTH), so it checks no password"
                    .to_owned(),
            ));
        }
        // The server reports this to every client, before any login (RFC 3501, 7.1.5).
        Line::Untagged("BYE", _) => {
            let what = format!("accepts no connection now: {}", quoted(&greeting));
            return Err(ServerError::Server(what));
        }
        _ => {
            let what = format!("greets with {}, not as an IMAP server", quoted(&greeting));
            return Err(ServerError::Server(what));
        }
    };
    if let Some(tls) = tls {
        let (status, text) = command(stream, "a", b"STARTTLS", &mut None)?;
        if status != Status::Ok {
            let what = format!("refuses STARTTLS: {}", quoted(&text));
            return Err(ServerError::Server(what));
        }
        tls.start(stream)?;
        // An attacker may have sent the lines before TLS (RFC 3501, 6.2.1).
        offered = None;
    }
    if offered.is_none() {
        let (status, text) = command(stream, "b", b"CAPABILITY", &mut offered)?;
        if status != Status::Ok {
            let what = format!("refuses CAPABILITY: {}", quoted(&text));
            return Err(ServerError::Server(what));
        }
    }
    choose(&offered.unwrap_or_default()).ok_or_else(|| {
        let what = match tls {
            None => "accepts no passwords over this connection: it may require starttls or imaps",
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
        LoginCommand::InitialResponse => {
            let message = sasl_plain(login, password);
            send(stream, &[b"c AUTHENTICATE PLAIN ", &message, END], WHAT)?;
        }
        LoginCommand::Continuation => {
            send(stream, &[b"c AUTHENTICATE PLAIN", END], WHAT)?;
            continuation(stream)?;
            send(stream, &[&sasl_plain(login, password), END], WHAT)?;
        }
        LoginCommand::Login => {
            let password = password.reveal();
            send(stream, &[b"c LOGIN ", &literal(login), END], WHAT)?;
            continuation(stream)?;
            send(stream, &[login, b" ", &literal(password), END], WHAT)?;
            continuation(stream)?;
            send(stream, &[password, END], WHAT)?;
        }
    }
    match reply(stream, "c", &mut None).map_err(unanswered)? {
        Reply::Done(Status::Ok, _) => Ok(LoginReply::Accepted),
        Reply::Done(Status::No, text) => Ok(LoginReply::Refused("NO", text)),
        Reply::Done(Status::Bad, text) => Ok(LoginReply::Refused("BAD", text)),
        Reply::Bye(text) => Ok(LoginReply::Refused("BYE", text)),
        Reply::Continue => Err(ServerError::Unanswered(
            "asks for more than login and password".to_owned(),
        )),
    }
}

/// The announcement of a literal (RFC 3501, 4.3).
fn literal(value: &[u8]) -> Vec<u8> {
    format!("{{{}}}", value.len()).into_bytes()
}

/// Waits until the server requests the next part of a command.
fn continuation(stream: &mut Stream) -> Result<(), ServerError> {
    match reply(stream, "c", &mut None)? {
        Reply::Continue => Ok(()),
        // The server has no password yet, so this does not concern one.
        Reply::Done(_, text) => Err(ServerError::Login(format!(
            "refuses the login before it has seen the password: {}",
            quoted(&text)
        ))),
        Reply::Bye(text) => Err(ended(&text)),
    }
}

fn command(
    stream: &mut Stream,
    tag: &str,
    command: &[u8],
    offered: &mut Option<Capabilities>,
) -> Result<(Status, Vec<u8>), ServerError> {
    send(stream, &[tag.as_bytes(), b" ", command, END], "a command")?;
    match reply(stream, tag, offered)? {
        Reply::Done(status, text) => Ok((status, text)),
        Reply::Bye(text) => Err(ended(&text)),
        Reply::Continue => Err(ServerError::Server(format!(
            "asks for more than {}",
            command.escape_ascii()
        ))),
    }
}

//------------ Replies -------------------------------------------------------

enum Reply {
    /// The command has ended.
    Done(Status, Vec<u8>),
    /// The server waits for the rest of the command.
    Continue,
    /// The server has ended the connection, with this text, before the command ended.
    Bye(Vec<u8>),
}

fn ended(text: &[u8]) -> ServerError {
    ServerError::Server(format!("ends the connection (BYE): {}", quoted(text)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    No,
    Bad,
}

/// Reads up to the reply to the command with this tag; stores capabilities that arrive before it.
fn reply(
    stream: &mut Stream,
    tag: &str,
    offered: &mut Option<Capabilities>,
) -> Result<Reply, ServerError> {
    let mut bye: Option<Vec<u8>> = None;
    for _ in 0..MAX_LINES {
        let received = match (line(stream, "an answer"), &bye) {
            (Ok(received), _) => received,
            (Err(_), Some(text)) => return Ok(Reply::Bye(text.clone())),
            (Err(trouble), None) => return Err(trouble),
        };
        skip_literals(stream, &received)?;
        match Line::read(&received, tag) {
            // A server that sends BYE accepts no login.
            Line::Tagged(Status::Ok, _) if bye.is_some() => {}
            Line::Tagged(status, text) => return Ok(Reply::Done(status, text.to_vec())),
            Line::Continue => return Ok(Reply::Continue),
            Line::Untagged("CAPABILITY", list) => *offered = Some(Capabilities::read(list)),
            Line::Untagged("BYE", text) => {
                bye = Some(text.to_vec());
                stream.hurry(LAST_WORDS);
            }
            Line::Untagged(..) => {}
            Line::Other => {
                return Err(ServerError::Server(
                    "sends a line that is not IMAP".to_owned(),
                ));
            }
        }
    }
    Err(ServerError::Server("sends too many lines".to_owned()))
}

/// Skips the rest of a response after this line: literals, and the text after them (RFC 3501, 4.3). The texts
/// of OK, NO, BAD and BYE cannot contain literals. If one seems to contain a literal, the start of the next
/// response is ambiguous.
fn skip_literals(stream: &mut Stream, line: &[u8]) -> Result<(), ServerError> {
    let response = match Line::read(line, "") {
        Line::Untagged("" | "CAPABILITY", _) => "data",
        Line::Untagged(..) => "a text",
        _ => return Ok(()),
    };
    let mut announced = literal_at_end(line);
    for _ in 0..MAX_LINES {
        match announced {
            None => return Ok(()),
            Some(0..=MAX_LITERAL) if response == "data" => {}
            Some(_) => {
                let what = format!("announces a literal in {response} that cannot be one");
                return Err(ServerError::Server(what));
            }
        }
        let length = announced.unwrap_or_default();
        stream
            .skip(length)
            .map_err(|error| ServerError::Server(format!("{error}, waiting for a literal")))?;
        announced = literal_at_end(&super::line(stream, "the end of a response")?);
    }
    Err(ServerError::Server("sends too many literals".to_owned()))
}

/// The length of the literal that a line announces at its end: `{3}`, `{3+}` or `~{3}`.
fn literal_at_end(line: &[u8]) -> Option<usize> {
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    let inside = line.get(open + 1..)?.strip_suffix(b"}")?;
    let digits = inside.strip_suffix(b"+").unwrap_or(inside);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?;
    Some(number.parse().unwrap_or(usize::MAX))
}

/// One line from the server.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Tagged(Status, &'a [u8]),
    /// The word after `*`, in upper case if this program uses it, and the text after it.
    Untagged(&'static str, &'a [u8]),
    Continue,
    Other,
}

impl<'a> Line<'a> {
    /// With an empty tag, every line is untagged.
    fn read(line: &'a [u8], tag: &str) -> Self {
        const WORDS: [&str; 6] = ["OK", "NO", "BAD", "BYE", "PREAUTH", "CAPABILITY"];
        let (first, rest) = word(line);
        let (second, text) = word(rest);
        let known = WORDS
            .iter()
            .find(|word| second.eq_ignore_ascii_case(word.as_bytes()));
        match first {
            b"+" => Self::Continue,
            b"*" => Self::Untagged(known.copied().unwrap_or_default(), text),
            _ if tag.is_empty() || first != tag.as_bytes() => Self::Other,
            _ => match known {
                Some(&"OK") => Self::Tagged(Status::Ok, text),
                Some(&"NO") => Self::Tagged(Status::No, text),
                Some(&"BAD") => Self::Tagged(Status::Bad, text),
                _ => Self::Other,
            },
        }
    }
}

/// The first word, and the text after its space.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ');
    match end {
        Some(end) => text
            .split_at_checked(end)
            .map_or((text, b""), |(word, rest)| {
                (word, rest.strip_prefix(b" ").unwrap_or(rest))
            }),
        None => (text, b""),
    }
}

//------------ Capabilities --------------------------------------------------

/// The capabilities of a server that this program uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Capabilities {
    auth_plain: bool,
    sasl_ir: bool,
    login_disabled: bool,
}

impl Capabilities {
    fn read(list: &[u8]) -> Self {
        let has = |name: &str| {
            list.split(|byte| *byte == b' ')
                .any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        Self {
            auth_plain: has("AUTH=PLAIN"),
            sasl_ir: has("SASL-IR"),
            login_disabled: has("LOGINDISABLED"),
        }
    }
}

/// The capabilities in a response code: `[CAPABILITY IMAP4rev1 AUTH=PLAIN] ready` (RFC 3501, 7.1).
fn capabilities_in(text: &[u8]) -> Option<Capabilities> {
    if !code(text)?.eq_ignore_ascii_case("CAPABILITY") {
        return None;
    }
    let end = text.iter().position(|byte| *byte == b']')?;
    let start = text.iter().position(|byte| *byte == b' ')?;
    text.get(start..end).map(Capabilities::read)
}

fn choose(offered: &Capabilities) -> Option<LoginCommand> {
    match offered {
        Capabilities {
            auth_plain: true,
            sasl_ir: true,
            ..
        } => Some(LoginCommand::InitialResponse),
        Capabilities {
            auth_plain: true, ..
        } => Some(LoginCommand::Continuation),
        Capabilities {
            login_disabled: true,
            ..
        } => None,
        Capabilities { .. } => Some(LoginCommand::Login),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, read) in [
            ("c OK done", Line::Tagged(Status::Ok, b"done")),
            ("c ok", Line::Tagged(Status::Ok, b"")),
            (
                "c NO [UNAVAILABLE] x",
                Line::Tagged(Status::No, b"[UNAVAILABLE] x"),
            ),
            ("c BAD what", Line::Tagged(Status::Bad, b"what")),
            ("* OK still here", Line::Untagged("OK", b"still here")),
            ("* bye", Line::Untagged("BYE", b"")),
            ("* 5 EXISTS", Line::Untagged("", b"EXISTS")),
            ("*", Line::Untagged("", b"")),
            ("+ go", Line::Continue),
            ("+", Line::Continue),
            ("d OK done", Line::Other),
            ("C OK done", Line::Other),
            ("c OKAY", Line::Other),
            ("c  OK", Line::Other),
            ("c PREAUTH x", Line::Other),
            ("c", Line::Other),
            ("cOK", Line::Other),
            ("", Line::Other),
        ] {
            assert_eq!(Line::read(line.as_bytes(), "c"), read, "{line}");
        }
        assert_eq!(Line::read(b" OK done", ""), Line::Other);
    }

    #[test]
    fn the_safest_way_that_is_offered() {
        for (offer, way) in [
            (
                "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN LOGINDISABLED",
                Some(LoginCommand::InitialResponse),
            ),
            ("imap4rev1 auth=plain", Some(LoginCommand::Continuation)),
            (
                "IMAP4rev1 SASL-IR AUTH=PLAIN-CLIENTTOKEN",
                Some(LoginCommand::Login),
            ),
            ("IMAP4rev1", Some(LoginCommand::Login)),
            ("", Some(LoginCommand::Login)),
            ("IMAP4rev1 STARTTLS LOGINDISABLED", None),
        ] {
            let offered = Capabilities::read(offer.as_bytes());
            assert_eq!(choose(&offered), way, "{offer}");
            let greeting = format!("[CAPABILITY {offer}] ready [LOGINDISABLED]");
            assert_eq!(capabilities_in(greeting.as_bytes()), Some(offered));
        }
        for greeting in ["", "ready", "[ALERT] x", "[CAPABILITY", "x [CAPABILITY A]"] {
            assert_eq!(capabilities_in(greeting.as_bytes()), None, "{greeting}");
        }
    }

    #[test]
    fn announced_literals() {
        for (line, length) in [
            ("* CAPABILITY {12}", Some(12)),
            ("* 1 FETCH (BODY {3+}", Some(3)),
            ("* X ~{0}", Some(0)),
            ("* X {99999999999999999999999}", Some(usize::MAX)),
            ("* X {1} {2}", Some(2)),
            ("* X {12} ", None),
            ("* X {}", None),
            ("* X {+}", None),
            ("* X {-1}", None),
            ("* X {+1}", None),
            ("* X 12}", None),
            ("}", None),
            ("", None),
        ] {
            assert_eq!(literal_at_end(line.as_bytes()), length, "{line}");
        }
    }

    #[test]
    fn literals() {
        assert_eq!(literal(b"a\"{7}\\"), b"{6}");
        assert_eq!(literal(&[0xff; 300]), b"{300}");
    }
}
