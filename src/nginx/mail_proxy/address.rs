//! Addresses and numbers as nginx reads them, which is less strict than usual.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address (`ngx_parse_addr` in ngx_inet.c): IPv4 or IPv6, without brackets, zone or port. No name.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    ipv4(text)
        .map(IpAddr::V4)
        .or_else(|| ipv6(text).map(IpAddr::V6))
}

/// Three dots, and digits between them (`ngx_inet_addr`): `010.1.1.1` is 10.1.1.1, and `...` is 0.0.0.0. The
/// result 255.255.255.255 means "no address".
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = Vec::with_capacity(4);
    let mut octet = 0_u8;
    for byte in text {
        match byte {
            b'0'..=b'9' => octet = octet.checked_mul(10)?.checked_add(byte - b'0')?,
            b'.' => octets.push(std::mem::take(&mut octet)),
            _ => return None,
        }
        if octets.len() > 3 {
            return None;
        }
    }
    octets.push(octet);
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?);
    (address != Ipv4Addr::BROADCAST).then_some(address)
}

/// Groups of hexadecimal digits (`ngx_inet6_addr`). One colon at the start is skipped, so `:1:2:3:4:5:6:7:8` is
/// an address.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    const WORDS: usize = 8;
    let text = text.strip_prefix(b":").unwrap_or(text);
    let mut words: Vec<u16> = Vec::with_capacity(WORDS);
    let (mut word, mut nibbles) = (0_u16, 0);
    // The place of `::` among the words, and the text after the last colon.
    let (mut zero, mut digits) = (None, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b':' if nibbles > 0 => {
                digits = text.get(at + 1..);
                words.push(std::mem::take(&mut word));
                nibbles = 0;
                if words.len() == WORDS {
                    return None;
                }
            }
            b':' if zero.is_none() => {
                digits = text.get(at + 1..);
                zero = Some(words.len());
            }
            b'.' if nibbles > 0 => {
                let [a, b, c, d] = ipv4(digits?)?.octets();
                if words.len() > WORDS - 2 {
                    return None;
                }
                words.push(u16::from_be_bytes([a, b]));
                word = u16::from_be_bytes([c, d]);
                break;
            }
            _ => {
                let digit = char::from(*byte).to_digit(16)?;
                nibbles += 1;
                if nibbles > 4 {
                    return None;
                }
                word = word << 4 | u16::try_from(digit).ok()?;
            }
        }
    }
    if nibbles == 0 && zero.is_none() {
        return None;
    }
    words.push(word);
    let missing = WORDS.checked_sub(words.len())?;
    match zero {
        Some(zero) if missing > 0 => {
            let zeros = vec![0; missing];
            words.splice(zero..zero, zeros);
        }
        None if missing == 0 => {}
        _ => return None,
    }
    Some(Ipv6Addr::from(<[u16; WORDS]>::try_from(words).ok()?))
}

/// A number of digits only (`ngx_atoi` in ngx_string.c): neither a sign nor a blank.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()?
        .parse()
        .ok()
        .filter(|_| digits)
}

/// A port: a number from 1 to 65535.
pub(super) fn port(text: &[u8]) -> Option<u16> {
    let port = u16::try_from(number(text)?).ok()?;
    (port > 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, read) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("010.001.1.1", Some("10.1.1.1")),
            ("...", Some("0.0.0.0")),
            ("1..2.", Some("1.0.2.0")),
            ("255.255.255.255", None),
            ("256.1.1.1", None),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
            ("1.2.3.4.", None),
            ("1.2.3.4 ", None),
            ("", None),
            ("::1", Some("::1")),
            ("2001:DB8::1", Some("2001:db8::1")),
            ("::", Some("::")),
            ("1:2:3:4:5:6:7:8", Some("1:2:3:4:5:6:7:8")),
            (":1:2:3:4:5:6:7:8", Some("1:2:3:4:5:6:7:8")),
            ("::ffff:192.0.2.1", Some("::ffff:192.0.2.1")),
            ("1:2:3:4:5:6:192.0.2.1", Some("1:2:3:4:5:6:c000:201")),
            ("1:2:3:4:5:6:7:192.0.2.1", None),
            ("1:2:3:4:5:6:7:8:9", None),
            ("1:2:3:4:5:6:7", None),
            ("1::2::3", None),
            ("12345::", None),
            ("::1%eth0", None),
            ("[::1]", None),
            (":", None),
            ("mail.example.org", None),
            ("unix:/run/x", None),
        ] {
            let expected = read.map(|read: &str| read.parse().unwrap());
            assert_eq!(address(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn numbers() {
        for (text, read) in [
            ("0", Some(0)),
            ("00143", Some(143)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("1\t", None),
        ] {
            assert_eq!(number(text.as_bytes()), read, "{text}");
        }
        assert_eq!(port(b"65535"), Some(65535));
        assert_eq!(port(b"0"), None);
        assert_eq!(port(b"65536"), None);
    }
}
