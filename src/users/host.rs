//! Parses a user's mail server, host and port, as password files, databases and directories store it.

#[cfg(feature = "servers")]
use std::net::IpAddr;
use std::num::NonZeroU16;

/// The maximum length of a host name (RFC 1035, 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// Parses a host; an empty value means none. PostgreSQL writes an address of the type `inet` as a network of
/// one address, `192.0.2.1/32`: this means the address. The error says what is wrong.
#[cfg(feature = "servers")]
pub(super) fn host(text: &[u8]) -> Result<Option<String>, &'static str> {
    const NO_HOST: &str = "is neither a name nor an address";
    if text.is_empty() {
        return Ok(None);
    }
    let host = name(text).ok_or(NO_HOST)?;
    let Some((address, prefix)) = host.split_once('/') else {
        return Ok(Some(host.to_owned()));
    };
    let full = match address.parse().map_err(|_| NO_HOST)? {
        IpAddr::V4(_) => "32",
        IpAddr::V6(_) => "128",
    };
    if prefix != full {
        return Err("is a network, not the address of one host");
    }
    Ok(Some(address.to_owned()))
}

/// Parses a non-empty host: printable ASCII without blanks.
pub(super) fn name(text: &[u8]) -> Option<&str> {
    let host = str::from_utf8(text).ok()?;
    let fits = |host: &&str| host.bytes().all(|byte| byte.is_ascii_graphic());
    Some(host)
        .filter(|_| (1..=MAX_HOST_BYTES).contains(&text.len()))
        .filter(fits)
}

/// Parses a port; an empty value and 0 mean none. The error says what is wrong.
pub(super) fn port(text: &[u8]) -> Result<Option<NonZeroU16>, &'static str> {
    const NO_PORT: &str = "is not 1 to 65535";
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(NO_PORT);
    }
    match str::from_utf8(text) {
        Ok("") => Ok(None),
        Ok(digits) => digits.parse().map(NonZeroU16::new).map_err(|_| NO_PORT),
        Err(_) => Err(NO_PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "servers")]
    #[test]
    fn hosts() {
        for (text, expected) in [
            ("", Ok(None)),
            ("mailhost01", Ok(Some("mailhost01"))),
            ("192.0.2.1", Ok(Some("192.0.2.1"))),
            ("192.0.2.1/32", Ok(Some("192.0.2.1"))),
            ("2001:db8::1/128", Ok(Some("2001:db8::1"))),
            ("192.0.2.1/31", Err("is a network")),
            ("192.0.2.0/24", Err("is a network")),
            ("192.0.2.1/", Err("is a network")),
            ("192.0.2.1/128", Err("is a network")),
            ("2001:db8::1/32", Err("is a network")),
            ("2001:db8::/64", Err("is a network")),
            ("0.0.0.0/0", Err("is a network")),
            ("mailhost01/32", Err("is neither a name nor an address")),
            ("/32", Err("is neither a name nor an address")),
            ("a b", Err("is neither a name nor an address")),
            (
                "10.0.0.1\r\nAuth-Status: OK",
                Err("is neither a name nor an address"),
            ),
        ] {
            match (host(text.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{text}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert!(host(b"h\xc3").is_err() && host(&[b'a'; 254]).is_err());
    }

    #[test]
    fn ports() {
        for (text, expected) in [
            ("", Ok(None)),
            ("0", Ok(None)),
            ("1", Ok(NonZeroU16::new(1))),
            ("65535", Ok(NonZeroU16::new(65535))),
            ("65536", Err(())),
            ("-1", Err(())),
            ("+1", Err(())),
            ("imap", Err(())),
            (" ", Err(())),
        ] {
            assert_eq!(port(text.as_bytes()).map_err(drop), expected, "{text}");
        }
        assert!(port(b"\xff").is_err());
    }
}
