//! What is wrong between nginx and the service, as far as an answer shows it.

use crate::login::Protocol;
use crate::login::printable::Printable;
use crate::nginx::mail_proxy::{BUFFER_BYTES, Consequence, Fault, Flaw, Reply, Session};
use crate::nginx::request::Method;

/// Apache's limit of a header line in bytes (LimitRequestFieldSize).
const APACHE_LINE: usize = 8190;

/// Remarks about an answer with a complete header.
pub(super) fn of_reply(
    reply: &Reply<'_>,
    consequence: &Consequence<'_>,
    session: Session<'_>,
    request: &[u8],
) -> Vec<String> {
    let mut hints = Vec::new();
    let values = |name| reply.values(name).count();
    let has_status = values("Auth-Status") > 0;
    match consequence {
        Consequence::Fail(Fault::NoServerOrPort) if !has_status => {
            hints.push(of_http_status(reply, request));
        }
        Consequence::Fail(Fault::NoServerOrPort) => hints.push(
            "the service says OK, but not where the mail server is: both Auth-Server and Auth-Port are needed"
                .to_owned(),
        ),
        Consequence::Fail(Fault::NoPassword) => hints.push(format!(
            "with this method the client sends no password: the service must send one in Auth-Pass for {}",
            session.protocol.word()
        )),
        Consequence::Fail(Fault::Address(value)) => hints.push(of_address(value)),
        Consequence::Fail(Fault::Port(value)) => hints.push(format!(
            "Auth-Port must be digits only, 1 to 65535; it is {}",
            quoted(value)
        )),
        Consequence::AskAgain(0) => hints.push(
            "WAIT without Auth-Wait makes nginx ask again and again without a pause: send Auth-Wait: 1 or more"
                .to_owned(),
        ),
        Consequence::Proxy { .. } => hints.extend(of_acceptance(reply, session)),
        _ => {}
    }
    if let Consequence::Refuse { text, wait, code } = consequence {
        hints.extend(of_refusal(reply, text, *wait, code, session));
    }
    if values("Auth-Status") > 1 {
        hints.push(
            "the answer has several Auth-Status: the last one that is neither OK nor WAIT counts"
                .to_owned(),
        );
    }
    let waits = reply
        .value("Auth-Wait")
        .filter(|wait| wait.is_empty() || !wait.iter().all(u8::is_ascii_digit));
    if let Some(wait) = waits {
        hints.push(format!(
            "nginx ignores Auth-Wait: {}: it is no number of digits",
            quoted(wait)
        ));
    }
    if reply.size > BUFFER_BYTES - 100 {
        hints.push(format!(
            "the header has {} of at most {BUFFER_BYTES} bytes: a longer login or one more header of the web server, \
             and everybody gets an internal server error",
            reply.size
        ));
    }
    hints
}

fn of_acceptance(reply: &Reply<'_>, session: Session<'_>) -> Vec<String> {
    let mut hints = Vec::new();
    match reply.value("Auth-Status") {
        None => hints.push(
            "the answer has no Auth-Status: nginx accepts the login because Auth-Server and Auth-Port are there"
                .to_owned(),
        ),
        Some(b"") => hints.push(
            "Auth-Status is empty, which nginx accepts for SMTP and refuses for IMAP and POP3".to_owned(),
        ),
        Some(_) => {}
    }
    if !matches!(reply.status(), b"" | [b'2', ..]) {
        hints.push(format!(
            "the HTTP status is {}, which nginx ignores: the login is accepted",
            Printable(reply.status())
        ));
    }
    let user = reply.value("Auth-User").unwrap_or(session.login);
    if user.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        hints.push(
            "the login has a NUL or a line end, and nginx writes it into its dialogue with the mail server as it is"
                .to_owned(),
        );
    }
    hints
}

fn of_refusal(
    reply: &Reply<'_>,
    text: &[u8],
    wait: i64,
    code: &[u8],
    session: Session<'_>,
) -> Vec<String> {
    let mut hints = Vec::new();
    if text.eq_ignore_ascii_case(b"OK") || text.eq_ignore_ascii_case(b"WAIT") || text == b"OK." {
        hints.push(format!(
            "{} is a text for the client: only OK and WAIT, exactly so, are more",
            quoted(text)
        ));
    }
    if text.is_empty() {
        hints.push(
            "Auth-Status is empty: nginx refuses the login for IMAP and POP3, and accepts it for SMTP".to_owned(),
        );
    }
    if reply.value("Auth-Server").is_some() && reply.value("Auth-Port").is_some() {
        hints.push(
            "the refusal has Auth-Server and Auth-Port: if a proxy on the way drops Auth-Status, nginx accepts the login"
                .to_owned(),
        );
    }
    if wait > 0 && matches!(session.method, Method::CramMd5 | Method::Apop) {
        hints.push(
            "Auth-Wait with cram-md5 or apop lets a client crash nginx before 1.28.3 and 1.29.7 (CVE-2026-27651)"
                .to_owned(),
        );
    }
    let is_code = code.len() >= 3
        && matches!(code.first(), Some(b'4' | b'5'))
        && code.iter().take(3).all(u8::is_ascii_digit)
        && matches!(code.get(3), None | Some(b' '));
    if session.protocol == Protocol::Smtp && !is_code {
        hints.push(format!(
            "Auth-Error-Code must begin with an SMTP code such as 451; it is {}",
            quoted(code)
        ));
    }
    hints
}

/// A remark about an answer without any header of the protocol.
fn of_http_status(reply: &Reply<'_>, request: &[u8]) -> String {
    let line = Printable(reply.status_line.unwrap_or(b"no status line"));
    let what = match reply.status() {
        b"301" | b"302" | b"303" | b"307" | b"308" => {
            let to = reply.value("Location").map(Printable);
            let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
            return format!("{line}: a redirect{to}, which nginx does not follow: name the right URL in auth_http");
        }
        b"400" | b"413" | b"414" | b"431" => match longest_header(request) {
            (name, length) if length > APACHE_LINE => format!(
                "the web server rejects the request: the header {name} has {length} bytes, and Apache's limit is \
                 {APACHE_LINE} (LimitRequestFieldSize)"
            ),
            _ => "the web server rejects the request: a control character or DEL in a header, headers that are too \
                  long, or a port that speaks TLS"
                .to_owned(),
        },
        b"401" => "the URL requires HTTP authentication, which nginx never sends: remove it, or the service refuses \
                   the key"
            .to_owned(),
        b"403" => "the web server does not allow this machine to ask: its Require ip or allow lacks the address, or \
                   the service refuses the key"
            .to_owned(),
        b"404" => "nothing is at this path: compare it with ScriptAlias, Location or ProxyPass of the web server".to_owned(),
        b"500" => "the web server could not start the program, or the program's output was not valid: its error log \
                   has the reason"
            .to_owned(),
        b"502" | b"503" | b"504" => {
            "the web server cannot reach the service: is it running, and may the web server connect to its socket?".to_owned()
        }
        [b'2', ..] | b"" => "the answer has no header of auth_http: another service or page is at this URL".to_owned(),
        _ => "the answer has no header of auth_http".to_owned(),
    };
    format!("{line}: {what}")
}

/// A remark about an answer that nginx does not accept.
pub(super) fn of_flaw(flaw: Flaw<'_>) -> String {
    let Flaw::Header { line, byte } = flaw else {
        return "the status line has a carriage return without a line feed".to_owned();
    };
    if matches!(line.first(), Some(0x15 | 0x16)) {
        return "the port speaks TLS, and nginx does not: name a port without TLS in auth_http"
            .to_owned();
    }
    let shown = quoted(line.get(..80).unwrap_or(line));
    let why = match byte {
        b'_' => "a name of a header has an underscore",
        b' ' | b'\t' if line.first() == Some(&byte) => {
            "a line begins with a blank, as a folded header does"
        }
        b' ' | b'\t' => "a blank is before the colon",
        b'<' => "this is a page, not a header",
        _ => {
            "nginx accepts only letters, digits and hyphens in the name of a header, and CR only before LF"
        }
    };
    format!("line {shown}: {why}; one such line makes the whole answer unusable")
}

/// A remark about a header that does not fit into nginx's buffer.
pub(super) fn of_length(received: &[u8], whole: bool) -> String {
    let mut lines: Vec<&[u8]> = received.split(|byte| *byte == b'\n').collect();
    lines.truncate(
        lines
            .iter()
            .position(|line| matches!(*line, b"" | b"\r"))
            .unwrap_or(lines.len()),
    );
    lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
    let largest: Vec<_> = lines
        .iter()
        .take(3)
        .map(|line| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = name.get(..40).unwrap_or(name);
            format!("{} ({} bytes)", Printable(name), line.len() + 1)
        })
        .collect();
    let length = match whole {
        true => format!("{} bytes", header_length(received)),
        false => format!("more than {} bytes", received.len()),
    };
    format!(
        "the header has {length}, and nginx reads {BUFFER_BYTES}; the longest: {}. Remove headers of the web server with \
         \"Header unset\"",
        largest.join(", ")
    )
}

fn header_length(received: &[u8]) -> usize {
    let ends: [&[u8]; 2] = [b"\n\r\n", b"\n\n"];
    let length = |end: &[u8]| {
        let at = received.windows(end.len()).position(|bytes| bytes == end)?;
        Some(at + end.len())
    };
    ends.iter()
        .filter_map(|end| length(end))
        .min()
        .unwrap_or(received.len())
}

/// A remark about an `Auth-Server` that is no address.
fn of_address(value: &[u8]) -> String {
    let shown = quoted(value);
    let why = match value {
        [b'[', ..] => "an IPv6 address stands there without brackets",
        b"255.255.255.255" => "this one means \"no address\" inside nginx",
        _ if value.starts_with(b"unix:") => "nginx cannot reach a mail server by a Unix socket",
        _ if value.contains(&b',') => "two headers were joined into one",
        _ if value.contains(&b':') && value.contains(&b'.') => "the port belongs in Auth-Port",
        _ => "nginx looks no names up: the service must send an address",
    };
    format!("Auth-Server is {shown}: {why}")
}

/// The longest header of a request, and the length of its line.
fn longest_header(request: &[u8]) -> (String, usize) {
    let lines = request.split(|byte| *byte == b'\n');
    let longest = lines.max_by_key(|line| line.len()).unwrap_or_default();
    let name = longest
        .split(|byte| *byte == b':')
        .next()
        .unwrap_or_default();
    (Printable(name).to_string(), longest.len().saturating_sub(1))
}

pub(super) fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", Printable(text))
}
