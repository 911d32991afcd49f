//! What a database server may say, looked at as it passes on its way to the driver. It holds no
//! message: only the head of one, and what a PostgreSQL server says while it authenticates us.
//!
//! The drivers make room for what a server announces, and believe what it says of itself. So an
//! announced length is looked at before the driver sees it, and a PostgreSQL server that cannot
//! prove who it is gets no password and no trust.

use std::sync::Arc;

use super::meter::{Meter, too_much};
use crate::net::QUESTION_BYTES;

/// A message of a PostgreSQL server begins with its type and four bytes of length (PostgreSQL 15,
/// 55.7).
const POSTGRES_HEAD: usize = 5;

/// A packet of MySQL begins with three bytes of length and its number; the first byte of its
/// content says what it is (MySQL internals, "Protocol Basics").
const MYSQL_HEAD: usize = 4;

/// The longest message of a PostgreSQL server while it authenticates us: the longest of SCRAM holds
/// a nonce, a salt and a number.
const MAX_AUTHENTICATION: usize = 2048;

/// The most notices, notifications and parameters on one connection. The driver keeps some of them
/// for as long as the connection lives; PostgreSQL 15 sends 14 at the beginning.
const MOST_ASIDES: usize = 1000;

/// The iterations of SCRAM that are taken: what RFC 7677, 4, asks for at least, or somebody could
/// ask for a proof that is cheap to guess at; and what takes about a second.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// Whether a server must prove that it knows our password before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its certificate or the owner of its socket is proof, or there is no password.
    NotNeeded,
    /// It must, by SCRAM.
    Needed,
}

/// The messages of one server.
pub(super) struct Guard {
    protocol: Protocol,
    /// The beginning of the message that is being looked at.
    head: Vec<u8>,
    /// What is still to come of the message that passes.
    left: usize,
    meter: Arc<Meter>,
}

enum Protocol {
    Mysql,
    Postgres {
        login: Login,
        proof: Proof,
        asides: usize,
    },
}

/// How far a PostgreSQL server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// It has not said yet that it takes us.
    Pending,
    /// It has sent its proof, which the driver checks.
    Proven,
    /// We are in.
    Done,
}

impl Guard {
    /// For a MariaDB or MySQL server that has taken us.
    pub(super) fn mysql(meter: Arc<Meter>) -> Self {
        Self::new(Protocol::Mysql, meter)
    }

    /// For a PostgreSQL server from its first message on.
    pub(super) fn postgres(proof: Proof, meter: Arc<Meter>) -> Self {
        let protocol = Protocol::Postgres {
            login: Login::Pending,
            proof,
            asides: 0,
        };
        Self::new(protocol, meter)
    }

    fn new(protocol: Protocol, meter: Arc<Meter>) -> Self {
        Self {
            protocol,
            head: Vec::new(),
            left: 0,
            meter,
        }
    }

    /// Looks at the next bytes of the server; the error says why they must not be passed on.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let count = match self.left {
                0 => self.missing().max(1),
                left => left,
            };
            let (part, rest) = bytes.split_at(count.min(bytes.len()));
            bytes = rest;
            if self.left > 0 {
                self.left -= part.len();
                continue;
            }
            self.head.extend_from_slice(part);
            // Before anything else: these bytes may be passed on before the message can be judged.
            if self
                .announced()
                .is_some_and(|length| length > QUESTION_BYTES)
            {
                return Err(too_much());
            }
            if self.missing() == 0 {
                self.left = self.judge()?;
                self.head.clear();
            }
        }
        Ok(())
    }

    /// The length that the message is to have, in PostgreSQL's with its own four bytes, once that is
    /// known.
    fn announced(&self) -> Option<usize> {
        let length = match self.protocol {
            Protocol::Mysql => {
                let [low, middle, high, _] = *self.head.first_chunk::<MYSQL_HEAD>()?;
                u32::from_le_bytes([low, middle, high, 0])
            }
            Protocol::Postgres { .. } => {
                let [_, length @ ..] = *self.head.first_chunk::<POSTGRES_HEAD>()?;
                u32::from_be_bytes(length)
            }
        };
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// How many bytes are missing before the message can be judged.
    fn missing(&self) -> usize {
        let whole = match (&self.protocol, self.announced(), self.head.first()) {
            (Protocol::Mysql, None | Some(0), _) => MYSQL_HEAD,
            (Protocol::Mysql, Some(_), _) => MYSQL_HEAD + 1,
            // An authentication message is looked at whole. It is refused if it is too long.
            (Protocol::Postgres { .. }, Some(length), Some(b'R')) => {
                length.clamp(4, MAX_AUTHENTICATION) + 1
            }
            (Protocol::Postgres { .. }, Some(8..), Some(b'K')) => POSTGRES_HEAD + 4,
            (Protocol::Postgres { .. }, _, _) => POSTGRES_HEAD,
        };
        whole.saturating_sub(self.head.len())
    }

    /// Judges the message that begins with the head; how much of it is still to come.
    fn judge(&mut self) -> Result<usize, String> {
        let length = self.announced().unwrap_or_default();
        match &mut self.protocol {
            Protocol::Mysql => {
                let first = self.head.get(MYSQL_HEAD).copied();
                mysql_begins(first, length)?;
                Ok(length.saturating_sub(usize::from(first.is_some())))
            }
            Protocol::Postgres {
                login,
                proof,
                asides,
            } => {
                let (kind, body) = self.head.split_first().unwrap_or((&0, &[]));
                if length < 4 {
                    return Err("the server sends a message of impossible length".to_owned());
                }
                match (*kind, *login) {
                    (b'R', Login::Done) => {
                        return Err("the server authenticates us a second time".to_owned());
                    }
                    (b'R', _) if length > MAX_AUTHENTICATION => return Err(too_much()),
                    (b'R', _) => *login = authentication(*login, *proof, body)?,
                    (b'N' | b'A' | b'S', Login::Done) | (b'N', _) => {
                        *asides += 1;
                        if *asides > MOST_ASIDES {
                            return Err("the server sends too many notices".to_owned());
                        }
                    }
                    (b'Z', Login::Done) => self.meter.round()?,
                    // BackendKeyData: a process and a key.
                    (b'K', Login::Done) => {
                        if let Some(process) = body.get(4..).and_then(<[u8]>::first_chunk) {
                            self.meter.session.announce(u32::from_be_bytes(*process));
                        }
                    }
                    (_, Login::Done) | (b'E' | b'v', _) => {}
                    (_, Login::Pending | Login::Proven) => {
                        return Err("the server goes on without authentication".to_owned());
                    }
                }
                Ok(length.saturating_sub(body.len()))
            }
        }
    }
}

/// A packet may not begin as the number of more than 65,535 columns does: the driver makes room for
/// them at once. Nor does it ask for a file of ours. No packet of a binary result set does (MySQL
/// internals, "ProtocolBinary::ResultsetRow"); an end of rows is shorter than 9 bytes.
fn mysql_begins(first: Option<u8>, length: usize) -> Result<(), String> {
    match first {
        Some(0xfb) => Err("the server asks for a file".to_owned()),
        Some(0xfd) => Err("the server announces too many columns".to_owned()),
        Some(0xfe) if length >= 9 => Err("the server announces too many columns".to_owned()),
        _ => Ok(()),
    }
}

/// What a PostgreSQL server asks for (PostgreSQL 15, 55.7, "Authentication..."), from its length on.
fn authentication(login: Login, proof: Proof, body: &[u8]) -> Result<Login, String> {
    let refuse = |what: &str| {
        Err(format!(
            "the server {what} without proof of who it is: use its Unix socket, tls = \"verify\" or \
             scram-sha-256"
        ))
    };
    let code = body.get(4..8).and_then(|code| code.try_into().ok());
    let Some(code) = code.map(u32::from_be_bytes) else {
        return Err("the server sends a message of impossible length".to_owned());
    };
    let content = body.get(8..).unwrap_or_default();
    match (code, proof, login) {
        // Kerberos V5, GSSAPI and SSPI.
        (2 | 7..=9, _, _) => Err(
            "the server wants Kerberos (gss or sspi in pg_hba.conf), which is not supported: use \
             scram-sha-256"
                .to_owned(),
        ),
        (0, Proof::Needed, Login::Pending) => refuse("lets us in"),
        (0, _, _) => Ok(Login::Done),
        (3, Proof::Needed, _) => refuse("wants the password in clear text"),
        (5, Proof::Needed, _) => refuse("wants the password by MD5"),
        (11, _, _) => iterations(content, proof).map(|()| login),
        (12, _, _) => Ok(Login::Proven),
        _ => Ok(login),
    }
}

/// Looks at every `i=` of a server's first message (RFC 5802, 5.1). The driver takes the last, and
/// does not look at the sign after the letter.
fn iterations(message: &[u8], proof: Proof) -> Result<(), String> {
    for attribute in message.split(|byte| *byte == b',') {
        if attribute.first() != Some(&b'i') {
            continue;
        }
        let number = attribute.strip_prefix(b"i=").unwrap_or_default();
        let number = str::from_utf8(number)
            .ok()
            .and_then(|text| text.parse().ok());
        match number {
            Some(count) if ITERATIONS.contains(&count) => {}
            Some(count) if count < *ITERATIONS.start() && proof == Proof::NotNeeded => {}
            _ => {
                let (least, most) = (ITERATIONS.start(), ITERATIONS.end());
                return Err(format!(
                    "the server does not ask for {least} to {most} iterations of SCRAM"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
