//! All rules of an answer, checked on its bytes as nginx reads them (`ngx_mail_auth_http_
//! process_headers` in ngx_mail_auth_http_module.c). Written apart from the program, so that both
//! would have to be wrong in the same way.

use std::net::IpAddr;

use nginx_mail_auth::front::params::Params;

/// nginx reads 1,024 bytes; Apache adds up to 200, and a CR to each line.
const MAX_BYTES: usize = 800;
/// A text of 200 bytes, and the longest code before it.
const MAX_STATUS_BYTES: usize = 200 + "[AUTHENTICATIONFAILED] ".len();

/// Which codes refusals get: the key `codes`.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "a program for each target")]
pub(crate) enum Codes {
    Few,
    All,
}

/// The headers of an answer that keeps the rules of any HTTP header.
pub(crate) struct Answer<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Answer<'a> {
    pub(crate) fn read(out: &'a [u8]) -> Result<Self, &'static str> {
        if out.len() > MAX_BYTES {
            return Err("it is over 800 bytes long");
        }
        let head = out
            .strip_suffix(b"\n\n")
            .ok_or("it does not end in a blank line")?;
        let mut seen: Vec<(&[u8], &[u8])> = Vec::new();
        for line in head.split(|byte| *byte == b'\n') {
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or("a line has no colon")?);
            let value = value
                .strip_prefix(b": ")
                .ok_or("no blank follows a colon")?;
            if value.is_empty() || value.starts_with(b" ") || value.ends_with(b" ") {
                return Err("a value is empty, or has a blank at its end");
            }
            if value.iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
                return Err("a value has a control byte");
            }
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            if !name.starts_with(b"Auth-") || !name.iter().all(plain) {
                return Err("there is another header than nginx knows");
            }
            if seen.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                return Err("a name comes twice");
            }
            seen.push((name, value));
        }
        Ok(Self(seen))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.0.iter().find(|(n, _)| *n == name.as_bytes());
        found.map(|(_, value)| *value)
    }

    /// The rules of one answer by itself. The status.
    pub(crate) fn status(&self) -> Result<&'a str, &'static str> {
        if self
            .0
            .first()
            .is_none_or(|(name, _)| *name != b"Auth-Status")
        {
            return Err("the status is not first");
        }
        let status = self.get("Auth-Status").and_then(|s| str::from_utf8(s).ok());
        let status = status.ok_or("the status is no text")?;
        if status.len() > MAX_STATUS_BYTES || status == "WAIT" {
            return Err("the status is none that we say");
        }
        let (server, port) = (self.get("Auth-Server"), self.get("Auth-Port"));
        if (status == "OK") != server.is_some() || server.is_some() != port.is_some() {
            return Err("server and port without OK, or OK without them");
        }
        if let (Some(server), Some(port)) = (server, port) {
            let text = |bytes| str::from_utf8(bytes).map_err(|_| "server or port is no text");
            let address: IpAddr = text(server)?.parse().map_err(|_| "no address")?;
            if address.is_unspecified() || server == b"255.255.255.255" {
                return Err("an address that nginx does not take");
            }
            let port = text(port)?;
            if !matches!(port.parse::<u16>(), Ok(1..)) || port.starts_with(['0', '+']) {
                return Err("no port");
            }
        }
        let only = |names: &[&str]| {
            self.0
                .iter()
                .all(|(n, _)| names.iter().any(|m| m.as_bytes() == *n))
        };
        let fits = match status {
            "OK" => only(&[
                "Auth-Status",
                "Auth-Server",
                "Auth-Port",
                "Auth-User",
                "Auth-Pass",
            ]),
            _ => only(&[
                "Auth-Status",
                "Auth-Error-Code",
                "Auth-Error-SASL",
                "Auth-Wait",
            ]),
        };
        if !fits {
            return Err("a header that does not go with this status");
        }
        let wait = self
            .get("Auth-Wait")
            .map(|wait| str::from_utf8(wait).map(str::parse::<u32>));
        if !matches!(wait, None | Some(Ok(Ok(1..)))) {
            return Err("a wait that is no number of seconds");
        }
        Ok(status)
    }
}

/// The rules of an answer to a request with these variables. The status.
pub(crate) fn obeyed<'a>(
    out: &'a [u8],
    params: &Params<'_>,
    codes: Codes,
) -> Result<&'a str, &'static str> {
    let answer = Answer::read(out)?;
    let status = answer.status()?;
    let asked = |name: &[u8]| {
        let mut values = params.iter().filter(|(n, _)| *n == name);
        let first = values.next().map_or(&b""[..], |(_, value)| value);
        // Of a name that comes twice nobody can say what it says.
        values.next().is_none().then_some(first)
    };
    let (Some(method), Some(protocol)) = (asked(b"HTTP_AUTH_METHOD"), asked(b"HTTP_AUTH_PROTOCOL"))
    else {
        return match status {
            "OK" => Err("OK to a request that is two"),
            status => Ok(status),
        };
    };
    let digest = matches!(method, b"cram-md5" | b"apop");
    if digest && answer.get("Auth-Wait").is_some() {
        return Err("a wait that nginx does not survive (CVE-2026-27651)");
    }
    let token = matches!(method, b"xoauth2" | b"oauthbearer");
    if !token && answer.get("Auth-Error-SASL").is_some() {
        return Err("a word of SASL to somebody who did not bring a token");
    }
    let code = answer.get("Auth-Error-Code");
    let fits = match (status, protocol, method, codes) {
        ("OK", _, _, _) => code.is_none(),
        (_, b"smtp", b"none", _) => {
            code.is_some_and(|code| matches!(code, b"550 5.1.1" | b"550 5.7.1" | b"451 4.3.0"))
        }
        (_, b"smtp", _, Codes::All) => {
            code.is_some_and(|code| matches!(code, b"535 5.7.8" | b"454 4.7.0"))
        }
        (_, b"smtp", _, Codes::Few) => code.is_none_or(|code| code == b"451 4.3.0"),
        _ => code.is_none(),
    };
    if !fits {
        return Err("a code too many, too few, or of another kind");
    }
    Ok(status)
}
