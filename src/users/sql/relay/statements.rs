//! Rewrites PostgreSQL's prepared statements, so that a pooler cannot confuse them.
//!
//! A pooler such as PgBouncer may use a different server connection for each transaction. A statement that
//! was prepared on one of them is missing on the next, or belongs to another client that uses the same name;
//! its rows would be taken for ours. So unless the server has proved that there is no pooler in between
//! ([`Session`]), no statement has a name at the server: it is parsed, bound, described and executed before a
//! single Sync, and no pooler splits the messages between two Syncs. The driver keeps its names and does not
//! notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use zeroize::Zeroizing;

use super::meter::Meter;

/// The maximum length of a driver's message: a login has at most about 1,000 bytes, and a statement fits into
/// a configuration file.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The peer of a PostgreSQL connection.
#[derive(Debug, Default)]
pub(in super::super) struct Session {
    process: AtomicU32,
    direct: AtomicBool,
}

impl Session {
    /// Stores the process number that the server announces (PostgreSQL 15, 55.7, "BackendKeyData"); the first
    /// one counts.
    pub(super) fn announce(&self, process: u32) {
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        // This only fails if a number is stored already.
        let _ = self.process.compare_exchange(0, process, set, read);
    }

    /// The process number that the server announced. A pooler makes up a number, because its clients have no
    /// server process of their own.
    pub(in super::super) fn process(&self) -> i32 {
        self.process.load(Ordering::Relaxed).cast_signed()
    }

    /// Records that the answering process is the announced one.
    pub(in super::super) fn is_direct(&self) {
        self.direct.store(true, Ordering::Relaxed);
    }
}

/// Rewrites a driver's messages.
pub(super) struct Statements {
    meter: Arc<Meter>,
    /// The bytes of an incomplete message.
    partial: Zeroizing<Vec<u8>>,
    /// The first message has no type (PostgreSQL 15, 55.7, "StartupMessage").
    started: bool,
    /// The statements to parse, by the driver's names.
    known: HashMap<Vec<u8>, Vec<u8>>,
    /// The name of the statement that was parsed last since the last Sync.
    parsed: Option<Vec<u8>>,
}

impl Statements {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            partial: Zeroizing::default(),
            started: false,
            known: HashMap::new(),
            parsed: None,
        }
    }

    /// The replacement for these bytes of the driver; `None` if they are unchanged. The error says why they
    /// must not be sent.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let direct = self.meter.session.direct.load(Ordering::Relaxed);
        if direct && self.partial.is_empty() {
            return Ok(None);
        }
        self.partial.extend_from_slice(bytes);
        let mut out = Zeroizing::new(Vec::with_capacity(2 * self.partial.len()));
        while let Some(length) = self.whole()? {
            let rest = Zeroizing::new(self.partial.split_off(length));
            let message = std::mem::replace(&mut self.partial, rest);
            match self.started {
                true => self.rewrite(&message, &mut out)?,
                false => out.extend_from_slice(&message),
            }
            self.started = true;
        }
        Ok(Some(out))
    }

    /// The length of the next message, with its type; `None` if it is incomplete.
    fn whole(&self) -> Result<Option<usize>, String> {
        let kind = usize::from(self.started);
        let length = self.partial.get(kind..).and_then(<[u8]>::first_chunk::<4>);
        let Some(length) = length.map(|length| u32::from_be_bytes(*length)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(4..=MAX_MESSAGE).contains(&length) {
            return Err(nonsense());
        }
        Ok((self.partial.len() >= kind + length).then_some(kind + length))
    }

    /// Rewrites one message (PostgreSQL 15, 55.7).
    fn rewrite(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let (kind, body) = match message {
            [kind, _, _, _, _, body @ ..] => (*kind, body),
            _ => return Err(nonsense()),
        };
        match kind {
            // Parse: a name, the statement and the types of its parameters.
            b'P' => {
                let (name, rest) = cut(body)?;
                self.known.insert(name.to_vec(), rest.to_vec());
                self.parse(name, out)?;
            }
            // Describe of a statement: its name.
            b'D' if body.first() == Some(&b'S') => {
                let (name, _) = cut(body.get(1..).unwrap_or_default())?;
                if self.parsed.as_deref() != Some(name) {
                    return Err(nonsense());
                }
                put(b'D', &[b"S\0"], out);
            }
            // Bind: a portal, the statement's name, and the values. The columns may have changed since the
            // driver prepared the statement, so they are described again.
            b'B' => {
                let (portal, rest) = cut(body)?;
                let (name, rest) = cut(rest)?;
                if self.parsed.as_deref() != Some(name) {
                    self.parse(name, out)?;
                }
                put(b'B', &[portal, b"\0\0", rest], out);
                put(b'D', &[b"P", portal, b"\0"], out);
            }
            // Close of a statement: its name.
            b'C' if body.first() == Some(&b'S') => {
                let (name, _) = cut(body.get(1..).unwrap_or_default())?;
                self.known.remove(name);
                put(b'C', &[b"S\0"], out);
                self.parsed = None;
            }
            // Sync and a simple query end a group of messages.
            b'S' | b'Q' => {
                self.parsed = None;
                out.extend_from_slice(message);
            }
            _ => out.extend_from_slice(message),
        }
        Ok(())
    }

    /// Adds a Parse of the named statement, without the name.
    fn parse(&mut self, name: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let statement = self.known.get(name).ok_or_else(nonsense)?;
        put(b'P', &[b"\0", statement], out);
        self.parsed = Some(name.to_vec());
        Ok(())
    }
}

fn nonsense() -> String {
    "the driver does not ask as PostgreSQL's clients do".to_owned()
}

/// A text that ends with a NUL, and the bytes after it.
fn cut(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let (text, rest) = bytes.split_at(end.ok_or_else(nonsense)?);
    Ok((text, rest.get(1..).unwrap_or_default()))
}

fn put(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.push(kind);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(kind, &[body], &mut out);
        out
    }

    /// Whole, and one byte at a time.
    fn rewritten(said: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let whole = said.concat();
        let mut one = Statements::new(Arc::default());
        let mut other = Statements::new(Arc::default());
        let at_once = one.pass(&whole).map(|out| out.unwrap().to_vec());
        let mut slowly = Ok(Vec::new());
        for byte in &whole {
            let Ok(out) = &mut slowly else { break };
            match other.pass(&[*byte]) {
                Ok(more) => out.extend_from_slice(&more.unwrap()),
                Err(error) => slowly = Err(error),
            }
        }
        assert_eq!(at_once, slowly);
        at_once
    }

    fn startup() -> Vec<u8> {
        b"\0\0\0\x09\0\x03\0\0\0".to_vec()
    }

    #[test]
    fn a_statement_is_parsed_where_it_is_bound_and_has_no_name() {
        let first = [
            startup(),
            message(b'P', b"s1\0SELECT $1\0\0\x01\0\0\0\x19"),
            message(b'D', b"Ss1\0"),
            message(b'S', b""),
        ];
        let second = [
            message(b'B', b"\0s1\0VALUES"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        let parse = message(b'P', b"\0SELECT $1\0\0\x01\0\0\0\x19");
        let expected = [
            startup(),
            parse.clone(),
            message(b'D', b"S\0"),
            message(b'S', b""),
            parse,
            message(b'B', b"\0\0VALUES"),
            message(b'D', b"P\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        let said = [&first[..], &second].concat();
        assert_eq!(rewritten(&said), Ok(expected.concat()));
    }

    #[test]
    fn each_name_keeps_its_statement() {
        let said = [
            startup(),
            message(b'P', b"s1\0one\0\0\0"),
            message(b'S', b""),
            message(b'P', b"s2\0two\0\0\0"),
            message(b'S', b""),
            message(b'B', b"\0s1\0x"),
            message(b'S', b""),
            message(b'B', b"\0s2\0y"),
            message(b'B', b"\0s2\0z"),
            message(b'S', b""),
            message(b'B', b"\0s1\0x"),
        ];
        let (one, two) = (message(b'P', b"\0one\0\0\0"), message(b'P', b"\0two\0\0\0"));
        let describe = message(b'D', b"P\0");
        let expected = [
            startup(),
            one.clone(),
            message(b'S', b""),
            two.clone(),
            message(b'S', b""),
            one.clone(),
            message(b'B', b"\0\0x"),
            describe.clone(),
            message(b'S', b""),
            two,
            message(b'B', b"\0\0y"),
            describe.clone(),
            message(b'B', b"\0\0z"),
            describe.clone(),
            message(b'S', b""),
            one,
            message(b'B', b"\0\0x"),
            describe,
        ];
        assert_eq!(rewritten(&said), Ok(expected.concat()));
    }

    #[test]
    fn an_unparsed_statement_is_not_bound() {
        let parse = message(b'P', b"s1\0one\0\0\0");
        for said in [
            vec![message(b'B', b"\0s1\0x")],
            vec![message(b'D', b"Ss1\0")],
            vec![parse.clone(), message(b'S', b""), message(b'D', b"Ss1\0")],
            vec![parse, message(b'C', b"Ss1\0"), message(b'B', b"\0s1\0x")],
            vec![message(b'P', b"no end")],
            vec![b"P\0\0\0\x03".to_vec()],
            vec![b"P\xff\0\0\0".to_vec()],
        ] {
            let said = [&[startup()], &said[..]].concat();
            assert_eq!(rewritten(&said), Err(nonsense()), "{said:?}");
        }
    }

    #[test]
    fn without_a_pooler_messages_are_unchanged() {
        let meter = Arc::<Meter>::default();
        let mut statements = Statements::new(Arc::clone(&meter));
        let ask = message(b'Q', b"SELECT 1\0");
        let sent = statements.pass(&[startup(), ask.clone()].concat());
        assert_eq!(sent.unwrap().unwrap().to_vec(), [startup(), ask].concat());
        meter.session.announce(7);
        meter.session.announce(8);
        assert_eq!(meter.session.process(), 7);
        meter.session.is_direct();
        assert_eq!(statements.pass(&message(b'P', b"s1\0one\0\0\0")), Ok(None));
    }
}
