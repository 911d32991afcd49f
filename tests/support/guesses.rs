//! Attempts to log in that the log must tell apart, whatever is in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const KEY: &str = "marker-key";

/// The text that must not be found anywhere.
pub(crate) const FORGED: &str =
    "protocol=imap client=192.0.2.1 host=- answer=refused cause=wrong-password";

/// One login, decoded, of a client that has an address of its own.
pub(crate) struct Attempt {
    pub(crate) login: Vec<u8>,
    pub(crate) password: &'static str,
    pub(crate) client: IpAddr,
}

impl Attempt {
    pub(crate) fn new(number: usize, login: Vec<u8>, password: &'static str) -> Self {
        let [high, low] = (number as u16).to_be_bytes();
        let client = match number % 2 {
            0 => Ipv4Addr::new(198, 18, high, low).into(),
            _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xc11e, number as u16).into(),
        };
        Self {
            login,
            password,
            client,
        }
    }

    /// The headers of nginx, which escapes what would break one. DEL is escaped as well here:
    /// Apache would not let it through.
    pub(crate) fn headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        let escaped = self.login.iter().flat_map(|byte| match byte {
            ..=b' ' | b'%' | 0x7f => format!("%{byte:02X}").into_bytes(),
            _ => vec![*byte],
        });
        vec![
            ("Auth-Method", b"plain".to_vec()),
            ("Auth-User", escaped.collect()),
            ("Auth-Pass", self.password.into()),
            ("Auth-Protocol", b"imap".to_vec()),
            ("Auth-Login-Attempt", b"1".to_vec()),
            ("Client-IP", self.client.to_string().into()),
            ("X-Auth-Key", KEY.into()),
        ]
    }

    pub(crate) fn variables(&self) -> Vec<(String, Vec<u8>)> {
        let variable = |name: &str| format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        let headers = self.headers().into_iter();
        headers
            .map(|(name, value)| (variable(name), value))
            .collect()
    }

    /// As lines of HTTP.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let headers = self.headers().into_iter();
        headers
            .flat_map(|(name, value)| [name.as_bytes(), b": ", &value, b"\r\n"].concat())
            .collect()
    }
}

/// Logins that are meant to be taken for something else in a log.
pub(crate) fn hostile() -> Vec<Attempt> {
    let mut logins: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for text in [
        "x\" client=192.0.2.1 answer=refused",
        &format!("x\" {FORGED} "),
        &format!("x\" {FORGED} ms=0.1"),
        &format!("x\\\" {FORGED} "),
        &format!("x\\\\\" {FORGED} "),
        &format!("x\\\\\\\" {FORGED} "),
        &format!("x\\\\\\\\\" {FORGED} "),
        &format!("x\\x22 {FORGED} "),
        &format!("x' {FORGED} "),
        &format!("x\\\\' {FORGED} "),
        &format!("{FORGED} "),
        &format!("- {FORGED} "),
        &format!("\n2026-01-01T00:00:00Z INFO nginx-mail-auth[1]: login=\"x\" {FORGED}"),
        &format!("\r\n2026-01-01T00:00:00Z INFO nginx-mail-auth[1]: login=- {FORGED}"),
        &format!("2026-01-01T00:00:00Z INFO nginx-mail-auth[1]: login=- {FORGED}"),
        &format!("h nginx-mail-auth[1]: INFO nginx-mail-auth[1]: login=- {FORGED}"),
        &format!(
            "[cgi:error] [pid 1] [client x] AH01215: INFO nginx-mail-auth[1]: login=- {FORGED}"
        ),
        &format!("[Tue Nov 24 23:57:08 2026] INFO nginx-mail-auth[1]: login=- {FORGED}"),
        &format!("\u{2028}x\u{85}y\" {FORGED} "),
        &format!("x\u{1b}[2K\u{1b}[1G\" {FORGED} "),
        &format!("x\0\" {FORGED} "),
        "192.0.2.1",
        "client=192.0.2.1",
        "::1",
        "\" peer=192.0.2.1 ms=",
        "closed a connection from 192.0.2.1, which is not allowed",
        "%s%n{}<HOST><F-ID>",
        "${jndi:ldap://192.0.2.1/x}",
        "",
    ] {
        logins.push(text.as_bytes().to_vec());
    }
    for byte in [b'"', b'\\', b'\'', 0x1b, 0xff, b'\n', b' ', b'a'] {
        for length in [253, 254, 255] {
            logins.push(vec![byte; length]);
        }
        // What is cut off in the log could be the end of a field.
        for before in 120..=127 {
            let login = [&vec![byte; before][..], b"\" ", FORGED.as_bytes()].concat();
            logins.push(login);
        }
    }
    let attempts = logins.into_iter().enumerate();
    attempts
        .map(|(number, login)| Attempt::new(number, login, "wrong"))
        .collect()
}

/// One of each reason that is a guess.
pub(crate) fn guesses() -> Vec<Attempt> {
    let logins = ["alice", "nobody", "adam", "anna", "abel"]
        .into_iter()
        .zip(30_000..);
    let password = |login| if login == "alice" { "wrong" } else { "one" };
    logins
        .map(|(login, number)| Attempt::new(number, login.into(), password(login)))
        .collect()
}

/// Those that get in, and those where the fault is ours.
pub(crate) fn innocent() -> Vec<Attempt> {
    let logins = ["alice", "moving", "bob"].into_iter().zip(40_000..);
    logins
        .map(|(login, number)| Attempt::new(number, login.into(), "one"))
        .collect()
}

pub(crate) fn sorted(attempts: &[Attempt]) -> Vec<IpAddr> {
    let mut clients: Vec<_> = attempts.iter().map(|attempt| attempt.client).collect();
    clients.sort();
    clients
}

/// A request whose values need not be text.
pub(crate) fn raw_request(variables: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut params = Vec::new();
    for (name, value) in variables {
        for length in [name.len(), value.len()] {
            params.extend((length as u32 | 0x8000_0000).to_be_bytes());
        }
        params.extend([name.as_bytes(), value].concat());
    }
    let [high, low] = u16::try_from(params.len()).unwrap().to_be_bytes();
    let mut bytes = vec![1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend([1, 4, 0, 1, high, low, 0, 0]);
    bytes.extend(params);
    bytes.extend([1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0]);
    bytes
}
