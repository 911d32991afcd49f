//! The header of an answer as nginx reads it (`ngx_mail_auth_http_ignore_status_line` and
//! `ngx_mail_auth_http_parse_header_line` in ngx_mail_auth_http_module.c).

/// The size of the buffer that nginx reads an answer into: status line, headers and the empty line at their end.
pub const BUFFER_BYTES: usize = 1024;

/// The result of reading the bytes that have arrived so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// The end of the header has not arrived.
    More,
    /// The header is complete.
    Whole(Reply<'a>),
    /// nginx does not accept the answer.
    Invalid(Flaw<'a>),
}

/// A complete header.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The status line without its end; nginx does not need one.
    pub status_line: Option<&'a [u8]>,
    /// All headers in their order, with surrounding blanks removed from the values.
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    /// The number of bytes up to the end of the empty line.
    pub size: usize,
}

/// Why nginx does not accept an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw<'a> {
    /// A carriage return in the status line without a line feed after it.
    StatusLine,
    /// This line; nginx refuses this byte of it.
    Header {
        /// The line, as far as it has arrived.
        line: &'a [u8],
        /// The byte.
        byte: u8,
    },
}

impl<'a> Reply<'a> {
    /// The status code of the status line, such as `403`; empty without one.
    pub fn status(&self) -> &'a [u8] {
        let line = self.status_line.unwrap_or_default();
        line.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, whose name may be in any case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let same = |known: &&(&[u8], &[u8])| known.0.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(same).map(|(_, value)| *value)
    }

    /// The last value, which nginx uses.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).last()
    }
}

/// Reads an answer from its start. nginx has at most [`BUFFER_BYTES`] of it.
pub fn read(received: &[u8]) -> Read<'_> {
    let mut reply = Reply::default();
    let mut rest = received;
    const HTTP: &[u8] = b"HTTP/";
    if received.starts_with(HTTP) {
        match status_line(received) {
            Line::Cut => return Read::More,
            Line::Bad(_) => return Read::Invalid(Flaw::StatusLine),
            Line::Whole(line, behind) => {
                reply.status_line = Some(line);
                rest = behind;
            }
        }
    } else if HTTP.starts_with(received) {
        return Read::More;
    }
    loop {
        match header(rest) {
            Line::Cut => return Read::More,
            Line::Bad(byte) => {
                let end = rest.iter().position(|byte| *byte == b'\n');
                let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                return Read::Invalid(Flaw::Header { line, byte });
            }
            Line::Whole(None, behind) => {
                reply.size = received.len() - behind.len();
                return Read::Whole(reply);
            }
            Line::Whole(Some(header), behind) => {
                reply.headers.push(header);
                rest = behind;
            }
        }
    }
}

/// The next line, and the bytes after it.
enum Line<'a, T> {
    Cut,
    /// nginx refuses this byte.
    Bad(u8),
    Whole(T, &'a [u8]),
}

fn status_line(text: &[u8]) -> Line<'_, &[u8]> {
    let Some(end) = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Line::Cut;
    };
    let line = text.get(..end).unwrap_or_default();
    line_end(text.get(end..).unwrap_or_default(), line)
}

/// A line end at the start of `rest`: a line feed, or a carriage return and a line feed.
fn line_end<T>(rest: &[u8], line: T) -> Line<'_, T> {
    match rest {
        [b'\n', behind @ ..] | [b'\r', b'\n', behind @ ..] => Line::Whole(line, behind),
        [b'\r', other, ..] => Line::Bad(*other),
        _ => Line::Cut,
    }
}

type Header<'a> = (&'a [u8], &'a [u8]);

/// A header, or the empty line. A name starts with a letter or digit and has only these and hyphens; a line without a
/// colon is a header with an empty value.
fn header(text: &[u8]) -> Line<'_, Option<Header<'_>>> {
    if matches!(text.first(), None | Some(b'\r' | b'\n')) {
        return line_end(text, None);
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let end = text.iter().position(|byte| !(plain(byte) || *byte == b'-'));
    match text {
        [first, ..] if !plain(first) => return Line::Bad(*first),
        _ => {}
    }
    let Some(end) = end else {
        return Line::Cut;
    };
    let (name, rest) = text.split_at_checked(end).unwrap_or_default();
    match rest.split_first() {
        Some((b':', rest)) => {
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let Some((value, behind)) = end.and_then(|end| rest.split_at_checked(end)) else {
                return Line::Cut;
            };
            line_end(behind, Some((name, trimmed(value))))
        }
        Some((b'\r' | b'\n', _)) => line_end(rest, Some((name, rest.get(..0).unwrap_or_default()))),
        Some((other, _)) => Line::Bad(*other),
        None => Line::Cut,
    }
}

/// Without spaces around it; a tab is part of the value.
fn trimmed(value: &[u8]) -> &[u8] {
    let text = |byte: &u8| *byte != b' ';
    let start = value.iter().position(text).unwrap_or(value.len());
    let end = value.iter().rposition(text).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a whole answer: the headers in one line, or the flaw.
    fn shown(answer: &[u8]) -> String {
        match read(answer) {
            Read::More => "more".to_owned(),
            Read::Invalid(Flaw::StatusLine) => "bad status line".to_owned(),
            Read::Invalid(Flaw::Header { line, byte }) => {
                format!("bad {:?} in {}", char::from(byte), line.escape_ascii())
            }
            Read::Whole(reply) => {
                let status = reply.status_line.unwrap_or(b"-").escape_ascii().to_string();
                let headers = reply.headers.iter().map(|(name, value)| {
                    format!("|{}={}", name.escape_ascii(), value.escape_ascii())
                });
                status + &headers.collect::<String>()
            }
        }
    }

    #[test]
    fn answers() {
        for (answer, read) in [
            (
                &b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n\r\nbody"[..],
                "HTTP/1.0 200 OK|Auth-Status=OK",
            ),
            (b"HTTP/1.0 200 OK\nA: b\n\n", "HTTP/1.0 200 OK|A=b"),
            (b"Auth-Status:OK\n\n", "-|Auth-Status=OK"),
            (b"\n", "-"),
            (b"\r\n", "-"),
            (b"A:  b c  \r\nB:\r\nC: \r\n\r\n", "-|A=b c|B=|C="),
            (b"A\r\nB\n\n", "-|A=|B="),
            (b"A: \tb\t\n\n", "-|A=\\tb\\t"),
            (b"HTTP/\n\n", "HTTP/"),
            (b"HTTPX: y\n\n", "-|HTTPX=y"),
            (b"HTTP", "more"),
            (b"", "more"),
            (b"HTTP/1.0 200 OK\r\n", "more"),
            (b"A: b\r\n\r", "more"),
            (b"HTTP/1.0 200\rOK\r\n\r\n", "bad status line"),
            (b"A: b\rc\n\n", "bad 'c' in A: b\\rc"),
            (b"\rA: b\n\n", "bad 'A' in \\rA: b"),
            (b"A_B: c\n\n", "bad '_' in A_B: c"),
            (b"A: b\n folded\n\n", "bad ' ' in  folded"),
            (b"-A: b\n\n", "bad '-' in -A: b"),
            (b"A : b\n\n", "bad ' ' in A : b"),
            (b"<html>", "bad '<' in <html>"),
        ] {
            assert_eq!(shown(answer), read, "{}", answer.escape_ascii());
        }
    }

    /// As nginx, which parses what has arrived: a flaw is found when its byte arrives, and nothing changes when more
    /// arrives after it.
    #[test]
    fn byte_by_byte_gives_the_same() {
        for answer in [
            &b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n"[..],
            b"A: b\n\n",
            b"A_B: c\n\n",
            b"HTTP/1.0 200\rOK\n\n",
        ] {
            let first = (0..=answer.len()).find(|end| shown(&answer[..*end]) != "more");
            let end = first.unwrap();
            assert!(end > 1);
            let kind = |text: String| text.split(" in ").next().unwrap().to_owned();
            assert_eq!(kind(shown(&answer[..end])), kind(shown(answer)));
        }
    }

    #[test]
    fn the_last_value_counts_and_the_size_includes_the_empty_line() {
        let answer = b"HTTP/1.1 403 No\r\nA: 1\r\na: 2\r\n\r\nbody";
        let Read::Whole(reply) = read(answer) else {
            panic!("it is whole");
        };
        assert_eq!(reply.value("A"), Some(&b"2"[..]));
        assert_eq!(reply.values("A").count(), 2);
        assert_eq!(reply.status(), b"403");
        assert_eq!(reply.size, answer.len() - 4);
    }
}
