//! Checks a database server's messages on their way to the driver. It stores no message: only the start of
//! one, and the messages of a PostgreSQL server during authentication.
//!
//! The drivers allocate memory for announced lengths, and trust a server's statements about itself. So this
//! module checks every announced length first, and a PostgreSQL server that cannot prove its identity gets no
//! password and no trust.

use std::sync::Arc;

use super::meter::{Meter, too_much};
use crate::net::QUESTION_BYTES;

/// A message of a PostgreSQL server starts with its type and four bytes of length (PostgreSQL 15, 55.7).
const POSTGRES_HEAD: usize = 5;

/// A packet of MySQL starts with three bytes of length and its number; the first byte of its content is its
/// type (MySQL internals, "Protocol Basics").
const MYSQL_HEAD: usize = 4;

/// The maximum length of a PostgreSQL server's message during authentication: the longest message of SCRAM
/// holds a nonce, a salt and a number.
const MAX_AUTHENTICATION: usize = 2048;

/// The maximum number of notices, notifications and parameters on one connection. The driver keeps some of
/// them as long as the connection exists; PostgreSQL 15 sends 14 at the start.
const MOST_ASIDES: usize = 1000;

/// The accepted numbers of SCRAM iterations. The minimum is that of RFC 7677, 4: with fewer, a false server
/// could get a proof that is cheap to guess. The maximum takes about a second.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// Whether a server must prove that it knows our password before the program trusts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerProof {
    /// No: its certificate or the owner of its socket proves its identity, or there is no password.
    NotNeeded,
    /// Yes, by SCRAM.
    Needed,
}

/// The messages of one server.
pub(super) struct Guard {
    protocol: Protocol,
    /// The start of the message that is checked.
    head: Vec<u8>,
    /// The number of remaining bytes of the current message.
    left: usize,
    meter: Arc<Meter>,
}

enum Protocol {
    Mysql,
    Postgres {
        login: LoginState,
        proof: ServerProof,
        asides: usize,
    },
}

/// The state of a PostgreSQL connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginState {
    /// The server has not accepted the login yet.
    Pending,
    /// The server has sent its proof, which the driver checks.
    Proven,
    /// The login has succeeded.
    Done,
}

impl Guard {
    /// For a MariaDB or MySQL server after the login.
    pub(super) fn mysql(meter: Arc<Meter>) -> Self {
        Self::new(Protocol::Mysql, meter)
    }

    /// For a PostgreSQL server from its first message on.
    pub(super) fn postgres(proof: ServerProof, meter: Arc<Meter>) -> Self {
        let protocol = Protocol::Postgres {
            login: LoginState::Pending,
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

    /// Checks the next bytes of the server; the error says why they must not be passed on.
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
            // Checked before the message is complete, because these bytes may be passed on before that.
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

    /// The announced length of the message, in PostgreSQL's case with the four length bytes; `None` if it is
    /// not known yet.
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

    /// The number of bytes that are missing before the message can be checked.
    fn missing(&self) -> usize {
        let whole = match (&self.protocol, self.announced(), self.head.first()) {
            (Protocol::Mysql, None | Some(0), _) => MYSQL_HEAD,
            (Protocol::Mysql, Some(_), _) => MYSQL_HEAD + 1,
            // An authentication message is checked as a whole. It is refused if it is too long.
            (Protocol::Postgres { .. }, Some(length), Some(b'R')) => {
                length.clamp(4, MAX_AUTHENTICATION) + 1
            }
            (Protocol::Postgres { .. }, Some(8..), Some(b'K')) => POSTGRES_HEAD + 4,
            (Protocol::Postgres { .. }, _, _) => POSTGRES_HEAD,
        };
        whole.saturating_sub(self.head.len())
    }

    /// Checks the message that starts with these bytes; returns the number of bytes that remain.
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
                    (b'R', LoginState::Done) => {
                        return Err("the server starts a second authentication".to_owned());
                    }
                    (b'R', _) if length > MAX_AUTHENTICATION => return Err(too_much()),
                    (b'R', _) => *login = authentication(*login, *proof, body)?,
                    (b'N' | b'A' | b'S', LoginState::Done) | (b'N', _) => {
                        *asides += 1;
                        if *asides > MOST_ASIDES {
                            return Err("the server sends too many notices".to_owned());
                        }
                    }
                    (b'Z', LoginState::Done) => self.meter.round()?,
                    // BackendKeyData: a process number and a key.
                    (b'K', LoginState::Done) => {
                        if let Some(process) = body.get(4..).and_then(<[u8]>::first_chunk) {
                            self.meter.session.announce(u32::from_be_bytes(*process));
                        }
                    }
                    (_, LoginState::Done) | (b'E' | b'v', _) => {}
                    (_, LoginState::Pending | LoginState::Proven) => {
                        return Err("the server goes on without authentication".to_owned());
                    }
                }
                Ok(length.saturating_sub(body.len()))
            }
        }
    }
}

/// Checks a MySQL packet. It must not start with a number of more than 65,535 columns, because the driver
/// allocates memory for them at once, and it must not request a local file. No packet of a binary result set
/// does (MySQL internals, "ProtocolBinary::ResultsetRow"); an end of rows is shorter than 9 bytes.
fn mysql_begins(first: Option<u8>, length: usize) -> Result<(), String> {
    match first {
        Some(0xfb) => Err("the server asks for a file".to_owned()),
        Some(0xfd) => Err("the server announces too many columns".to_owned()),
        Some(0xfe) if length >= 9 => Err("the server announces too many columns".to_owned()),
        _ => Ok(()),
    }
}

/// Checks an authentication request of a PostgreSQL server (PostgreSQL 15, 55.7, "Authentication..."), from
/// its length on.
fn authentication(
    login: LoginState,
    proof: ServerProof,
    body: &[u8],
) -> Result<LoginState, String> {
    let refuse = |what: &str| {
        Err(format!(
            "the server {what} without proof of its identity: use its Unix socket, tls = \
            \"verify\" or \
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
        (0, ServerProof::Needed, LoginState::Pending) => refuse("accepts the login"),
        (0, _, _) => Ok(LoginState::Done),
        (3, ServerProof::Needed, _) => refuse("wants the password in clear text"),
        (5, ServerProof::Needed, _) => refuse("wants the password by MD5"),
        (11, _, _) => iterations(content, proof).map(|()| login),
        (12, _, _) => Ok(LoginState::Proven),
        _ => Ok(login),
    }
}

/// Checks every `i=` of a server's first message (RFC 5802, 5.1). The driver uses the last one, and ignores
/// the character after the letter.
fn iterations(message: &[u8], proof: ServerProof) -> Result<(), String> {
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
            Some(count) if count < *ITERATIONS.start() && proof == ServerProof::NotNeeded => {}
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
