//! Parses the recipient in a RCPT command (RFC 5321, 4.1.1.3), as a mail client may have typed it.
//!
//! nginx passes the command line on unchanged. Mail servers interpret unusual forms differently:
//! one reads a local part where another reads a route to another host. So only forms with a single
//! meaning are accepted.

use crate::login::MAX_LOGIN_BYTES;

/// The one recipient that needs no domain (RFC 5321, 4.1.1.3).
pub(crate) const POSTMASTER: &str = "postmaster";

/// A recipient with a single meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    address: Vec<u8>,
    local_bytes: usize,
}

/// Why a RCPT command names no acceptable recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRecipient {
    /// It is not a complete RCPT command.
    Command,
    /// Control bytes, or 8-bit bytes that are not UTF-8 (RFC 6531, 3.3).
    Bytes,
    /// The angle brackets are empty.
    Empty,
    /// The path names relay hosts (RFC 5321, appendix C: servers may decline them).
    SourceRoute,
    /// The part before the `@` is not a local part.
    LocalPart,
    /// The local part itself contains a further destination: `user%elsewhere`, `elsewhere!user`,
    /// `"user@elsewhere"`.
    Routing,
    /// The part after the `@` is not a domain name, or an address in brackets.
    Domain,
    /// The address is longer than the maximum of a login.
    TooLong,
    /// The text after the path is not a list of parameters (RFC 5321, 4.1.2).
    Parameters,
}

impl BadRecipient {
    /// For the log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Command => "not a RCPT command",
            Self::Bytes => "it contains control bytes or invalid UTF-8",
            Self::Empty => "there is no address",
            Self::SourceRoute => "it has a source route",
            Self::LocalPart => "the local part is not well-formed",
            Self::Routing => "the local part names another mail server",
            Self::Domain => "there is no domain name",
            Self::TooLong => "the address is too long",
            Self::Parameters => "the parameters after the address are not well-formed",
        }
    }
}

impl Recipient {
    /// Reads a whole command line, without its line end.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, BadRecipient> {
        if line.iter().any(u8::is_ascii_control) || str::from_utf8(line).is_err() {
            return Err(BadRecipient::Bytes);
        }
        let path = path(line).ok_or(BadRecipient::Command)?;
        match path.strip_prefix(b"<") {
            Some(b">" | []) => Err(BadRecipient::Empty),
            Some(path) => {
                if path.starts_with(b"@") {
                    return Err(BadRecipient::SourceRoute);
                }
                let (mailbox, rest) = Self::mailbox(path)?;
                parameters(rest.strip_prefix(b">").ok_or(BadRecipient::Domain)?)?;
                Ok(mailbox)
            }
            None if path.is_empty() => Err(BadRecipient::Empty),
            None => {
                let (mailbox, rest) = Self::mailbox(path)?;
                parameters(rest)?;
                Ok(mailbox)
            }
        }
    }

    /// Local part, `@`, domain; and the rest after them.
    fn mailbox(path: &[u8]) -> Result<(Self, &[u8]), BadRecipient> {
        let (local, rest) = match path.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted).ok_or(BadRecipient::LocalPart)?,
            None => {
                let (local, rest) = run(path, |byte| is_atext(byte) || byte == b'.');
                if !is_dotted(local) {
                    return Err(BadRecipient::LocalPart);
                }
                (local.to_vec(), rest)
            }
        };
        let Some(rest) = rest.strip_prefix(b"@") else {
            let recipient = Self {
                local_bytes: local.len(),
                address: local,
            };
            return match recipient.is_postmaster_of_all() {
                true => Ok((recipient, rest)),
                false => Err(BadRecipient::Domain),
            };
        };
        let (domain, rest) = run(rest, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | 0x80..)
        });
        if !is_dotted(domain) {
            return Err(BadRecipient::Domain);
        }
        if local.iter().any(|byte| b"%!@:<>,".contains(byte)) {
            return Err(BadRecipient::Routing);
        }
        let local_bytes = local.len();
        let address = [local.as_slice(), b"@", domain].concat();
        if address.len() > MAX_LOGIN_BYTES {
            return Err(BadRecipient::TooLong);
        }
        let recipient = Self {
            address,
            local_bytes,
        };
        Ok((recipient, rest))
    }

    /// Local part, unquoted, `@` and domain, as they were typed.
    pub(crate) fn address(&self) -> &[u8] {
        &self.address
    }

    /// Whether it is the postmaster, without a domain.
    pub(crate) fn is_postmaster_of_all(&self) -> bool {
        self.address.eq_ignore_ascii_case(POSTMASTER.as_bytes())
    }

    /// The part after the `@`; empty for the postmaster without one.
    pub(crate) fn domain(&self) -> &[u8] {
        self.address.get(self.local_bytes + 1..).unwrap_or_default()
    }
}

/// The text after `RCPT TO:`. Many clients write it with other case and blanks.
fn path(line: &[u8]) -> Option<&[u8]> {
    let blanks = |text| run(text, |byte| byte == b' ');
    let rest = strip_word(line, b"RCPT")?;
    let ([_, ..], rest) = blanks(rest) else {
        return None;
    };
    Some(blanks(strip_word(rest, b"TO:")?).1)
}

fn strip_word<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// A quoted string after its opening quote, with backslash escapes decoded (RFC 5321, 4.1.2).
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut local = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        local.push(match byte {
            b'"' if local.is_empty() => return None,
            b'"' => return Some((local, rest)),
            b'\\' => {
                let (&quoted, after) = rest.split_first()?;
                rest = after;
                // Only these may be quoted; the rest of UTF-8 may not.
                (quoted.is_ascii_graphic() || quoted == b' ').then_some(quoted)?
            }
            other => other,
        });
    }
}

/// Empty, or blanks before each `KEYWORD` or `KEYWORD=value` (RFC 5321, 4.1.2). Angle brackets
/// could look like another path.
fn parameters(mut rest: &[u8]) -> Result<(), BadRecipient> {
    let bad = BadRecipient::Parameters;
    while !rest.is_empty() {
        let (blanks, after) = run(rest, |byte| byte == b' ');
        if blanks.is_empty() {
            return Err(bad);
        }
        let (keyword, after) = run(after, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let first = match keyword.first() {
            // Blanks at the end of the line.
            None if after.is_empty() => return Ok(()),
            first => first,
        };
        if !first.is_some_and(u8::is_ascii_alphanumeric) {
            return Err(bad);
        }
        rest = match after.strip_prefix(b"=") {
            None => after,
            Some(value) => match run(value, |byte| !b"= <>".contains(&byte)) {
                ([], _) => return Err(bad),
                (_, after) => after,
            },
        };
    }
    Ok(())
}

/// The longest prefix of `text` that consists of such bytes, and the rest.
fn run(text: &[u8], of: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !of(*byte));
    text.split_at(end.unwrap_or(text.len()))
}

/// Parts between dots, none of them empty.
fn is_dotted(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'.')
        .all(|part| !part.is_empty())
}

/// `atext` (RFC 5322, 3.2.3), and everything outside ASCII (RFC 6531, 3.3).
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(line: &[u8]) -> String {
        let recipient = Recipient::parse(line).unwrap_or_else(|why| {
            panic!("{}: {}", line.escape_ascii(), why.words());
        });
        recipient.address().escape_ascii().to_string()
    }

    #[test]
    fn recipients_as_clients_type_them() {
        for (line, expected) in [
            (&b"RCPT TO:<bob@example.com>"[..], "bob@example.com"),
            (b"rcpt to:<Bob@Example.COM>", "Bob@Example.COM"),
            (b"RcPt   tO:  <bob@example.com>", "bob@example.com"),
            (b"RCPT TO:<bob@example.com>  ", "bob@example.com"),
            (b"RCPT TO:bob@example.com", "bob@example.com"),
            (b"RCPT TO: bob@example.com NOTIFY=NEVER", "bob@example.com"),
            (
                b"RCPT TO:<bob@example.com> NOTIFY=SUCCESS,DELAY  ORCPT=rfc822;bob@example.com",
                "bob@example.com",
            ),
            (b"RCPT TO:<bob@example.com> RRVS", "bob@example.com"),
            (
                b"RCPT TO:<a.b+c=d_e/f'g@example.com>",
                "a.b+c=d_e/f\\'g@example.com",
            ),
            (
                b"RCPT TO:<\"john doe\"@example.com>",
                "john doe@example.com",
            ),
            (
                b"RCPT TO:<\"a\\\"\\b\\\\\"@example.com>",
                "a\\\"b\\\\@example.com",
            ),
            (b"RCPT TO:<\"..\"@example.com>", "..@example.com"),
            (
                b"RCPT TO:<gr\xc3\xbcn@b\xc3\xbccher.example>",
                "gr\\xc3\\xbcn@b\\xc3\\xbccher.example",
            ),
            (
                b"RCPT TO:<bob@xn--bcher-kva.example>",
                "bob@xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(address(line), expected);
        }
        let parsed = Recipient::parse(b"RCPT TO:<\"a b\"@Example.com>").unwrap();
        assert_eq!(parsed.domain(), b"Example.com");
    }

    #[test]
    fn invalid_and_ambiguous_recipients_are_refused() {
        use BadRecipient::*;
        let long = [b"RCPT TO:<".as_slice(), &[b'a'; 250], b"@example.com>"].concat();
        for (line, why) in [
            (&b""[..], Command),
            (b"RCPT", Command),
            (b"RCPT ", Command),
            (b"RCPTTO:<a@b>", Command),
            (b"RCPT TO", Command),
            (b"RCPT TO :<a@b>", Command),
            (b"RCPT FROM:<a@b>", Command),
            (b" RCPT TO:<a@b>", Command),
            (b"RCPT TO:", Empty),
            (b"RCPT TO:  ", Empty),
            (b"RCPT TO:<", Empty),
            (b"RCPT TO:<>", Empty),
            (b"RCPT TO:< >", LocalPart),
            (b"RCPT TO:<a@b", Domain),
            (b"RCPT TO:a@b>", Parameters),
            (b"RCPT TO:<<a@b>>", LocalPart),
            (b"RCPT TO:<a@b>>", Parameters),
            (b"RCPT TO:<a@b><c@d>", Parameters),
            (b"RCPT TO:<a@b>,<c@d>", Parameters),
            (b"RCPT TO:<a@b> <c@d>", Parameters),
            (b"RCPT TO:<a@b,c@d>", Domain),
            (b"RCPT TO:<a@b c@d>", Domain),
            (b"RCPT TO:<a@b@c>", Domain),
            (b"RCPT TO:a@b@c", Parameters),
            (b"RCPT TO:<a@b>@c", Parameters),
            (b"RCPT TO:Bob <a@b>", Domain),
            (b"RCPT TO:<@x,@y:a@b>", SourceRoute),
            (b"RCPT TO:<@x:a@b>", SourceRoute),
            (b"RCPT TO:<x:a@b>", Domain),
            (b"RCPT TO:<a%elsewhere.example@b>", Routing),
            (b"RCPT TO:<elsewhere.example!a@b>", Routing),
            (b"RCPT TO:<\"a@elsewhere.example\"@b>", Routing),
            (b"RCPT TO:<\"a\\@elsewhere.example\"@b>", Routing),
            (b"RCPT TO:<\"<a>\"@b>", Routing),
            (b"RCPT TO:<\"a%c\"@b>", Routing),
            (b"RCPT TO:<\"@x:a\"@b>", Routing),
            (b"RCPT TO:<a>", Domain),
            (b"RCPT TO:<postmaster@>", Domain),
            (b"RCPT TO:<postmaster.>", LocalPart),
            (b"RCPT TO:<postmasters>", Domain),
            (b"RCPT TO:<postmaster", Domain),
            (b"RCPT TO:<postmaster>@b", Parameters),
            (b"RCPT TO:postmaster>", Parameters),
            (b"RCPT TO:<a@>", Domain),
            (b"RCPT TO:<@>", SourceRoute),
            (b"RCPT TO:<@b>", SourceRoute),
            (b"RCPT TO:@b", LocalPart),
            (b"RCPT TO:<a@b.>", Domain),
            (b"RCPT TO:<a@.b>", Domain),
            (b"RCPT TO:<a@b..c>", Domain),
            (b"RCPT TO:<a@[192.0.2.1]>", Domain),
            (b"RCPT TO:<a@[IPv6:::1]>", Domain),
            (b"RCPT TO:<a@#123>", Domain),
            (b"RCPT TO:<a@b_c>", Domain),
            (b"RCPT TO:<a@b/c>", Domain),
            (b"RCPT TO:<a(c)@b>", Domain),
            (b"RCPT TO:<a@b(c)>", Domain),
            (b"RCPT TO:<.a@b>", LocalPart),
            (b"RCPT TO:<a.@b>", LocalPart),
            (b"RCPT TO:<a..c@b>", LocalPart),
            (b"RCPT TO:<\"\"@b>", LocalPart),
            (b"RCPT TO:<\"a@b>", LocalPart),
            (b"RCPT TO:<\"a\\", LocalPart),
            (b"RCPT TO:<\"a\"c@b>", Domain),
            (b"RCPT TO:<c\"a\"@b>", Domain),
            (b"RCPT TO:<a\\@c@b>", Domain),
            (b"RCPT TO:<a@b>X", Parameters),
            (b"RCPT TO:<a@b> =", Parameters),
            (b"RCPT TO:<a@b> -X", Parameters),
            (b"RCPT TO:<a@b> X=", Parameters),
            (b"RCPT TO:<a@b> X=Y=Z", Parameters),
            (b"RCPT TO:<a@b> X=<c@d>", Parameters),
            (b"RCPT TO:<a@b>\t", Bytes),
            (b"RCPT\tTO:<a@b>", Bytes),
            (b"RCPT TO:<a\0@b>", Bytes),
            (b"RCPT TO:<a@b>\r\nRCPT TO:<c@d>", Bytes),
            (b"RCPT TO:<a@b\x7f>", Bytes),
            (b"RCPT TO:<\"a\xff\"@b>", Bytes),
            (b"RCPT TO:<a@b\xfc>", Bytes),
            (b"RCPT TO:<\"\\\xc3\xbc\"@b>", LocalPart),
            (&long, TooLong),
        ] {
            let parsed = Recipient::parse(line);
            assert_eq!(parsed, Err(why), "{}", line.escape_ascii());
        }
    }
}
