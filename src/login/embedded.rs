//! IPv4 addresses inside IPv6 addresses: finds the IPv4 client behind an IPv6 address.
//!
//! Only forms count for which packets to the IPv6 address arrive at that IPv4 address: then a
//! client cannot finish a TCP handshake from an IPv4 address that it does not have. The last 32
//! bits of an ISATAP address (RFC 5214) are chosen by a host of that /64, so they do not count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a client counts for: the IPv4 address inside, if there is one.
pub fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(whole) => ipv4_inside(whole).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address of the client behind an IPv6 address:
/// - IPv4-mapped, `::ffff:0:0/96` (RFC 4291, 2.5.5.2), and IPv4-compatible, `::/96` (2.5.5.1);
/// - IPv4-translated: `::ffff:0:0:0/96` (RFC 2765, 2.1);
/// - NAT64: `64:ff9b::/96` and `64:ff9b:1::/48` (RFC 6052, 2.2; RFC 8215);
/// - 6to4: `2002::/16`, of which each IPv4 address has a whole /48 (RFC 3056, 2);
/// - Teredo: `2001::/32`, where the clients of one server share a /64, and each has 65,536
///   addresses by its ports (RFC 4380, 4).
fn ipv4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let [.., a, b, c, d] = bytes;
    let last = [a, b, c, d];
    let inside = match bytes {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => last,
        [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, ..] => last,
        // Not `::1` or another address of 0.0.0.0/8: these are not addresses of hosts.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1..=255, ..] => last,
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ..] => last,
        [0, 0x64, 0xff, 0x9b, 0, 1, ..] => local_nat64(bytes)?,
        [0x20, 0x02, a, b, c, d, ..] => [a, b, c, d],
        // "each bit in the address [...] is reversed" (RFC 4380, 4).
        [0x20, 0x01, 0, 0, ..] => last.map(|byte| !byte),
        _ => return None,
    };
    Some(inside.into())
}

/// The IPv4 address behind a prefix of 48, 56, 64 or 96 bits that an operator took from
/// `64:ff9b:1::/48` (RFC 8215, 5).
///
/// The prefix does not contain its length. But bits 64 to 71 are always zero, and so are all bits
/// after the IPv4 address (RFC 6052, 2.2); the last byte of a host's IPv4 address is not zero.
fn local_nat64(bytes: [u8; 16]) -> Option<[u8; 4]> {
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        b6,
        b7,
        reserved,
        b9,
        b10,
        b11,
        b12,
        b13,
        b14,
        b15,
    ] = bytes;
    if reserved != 0 {
        return None;
    }
    Some(match (b11, b12, [b13, b14, b15]) {
        (0, 0, [0, 0, 0]) => [b6, b7, b9, b10],
        (_, 0, [0, 0, 0]) => [b7, b9, b10, b11],
        (_, _, [0, 0, 0]) => [b9, b10, b11, b12],
        (_, _, _) => [b12, b13, b14, b15],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_by_the_ipv4_address_inside() {
        for (address, by) in [
            ("192.0.2.33", "192.0.2.33"),
            ("::ffff:192.0.2.33", "192.0.2.33"),
            ("::ffff:0.0.0.0", "0.0.0.0"),
            ("::192.0.2.33", "192.0.2.33"),
            ("::ffff:0:192.0.2.33", "192.0.2.33"),
            ("::1", "::1"),
            ("::", "::"),
            ("::0.1.2.3", "::0.1.2.3"),
            // NAT64: the examples of RFC 6052, 2.4, with the prefixes reserved for this.
            ("64:ff9b::192.0.2.33", "192.0.2.33"),
            ("64:ff9b::10.0.0.0", "10.0.0.0"),
            ("64:ff9b:0:0:1::192.0.2.33", "64:ff9b:0:0:1::192.0.2.33"),
            ("64:ff9b:1::192.0.2.33", "192.0.2.33"),
            ("64:ff9b:1:fffe::192.0.2.33", "192.0.2.33"),
            ("64:ff9b:1:1234:0:5678:192.0.2.33", "192.0.2.33"),
            ("64:ff9b:1:c000:2:2100::", "192.0.2.33"),
            ("64:ff9b:1:22c0:0:221::", "192.0.2.33"),
            ("64:ff9b:1:2233:c0:2:2100:0", "192.0.2.33"),
            // Bits 64 to 71 are not zero, so a translator did not make this address.
            (
                "64:ff9b:1:2233:100::192.0.2.33",
                "64:ff9b:1:2233:100::192.0.2.33",
            ),
            ("64:ff9b:2::192.0.2.33", "64:ff9b:2::192.0.2.33"),
            ("64:ff9a::192.0.2.33", "64:ff9a::192.0.2.33"),
            // 6to4: any subnet and host of the one address.
            ("2002:c000:221::1", "192.0.2.33"),
            ("2002:c000:221:ffff:1:2:3:4", "192.0.2.33"),
            ("2003:c000:221::1", "2003:c000:221::1"),
            // Teredo: the example of RFC 4380, 5.2.5, by any server, with any port.
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),
            ("2001:0:101:101:0:ffff:3fff:fdd2", "192.0.2.45"),
            ("2001:1::3fff:fdd2", "2001:1::3fff:fdd2"),
            ("2001:db8::192.0.2.33", "2001:db8::192.0.2.33"),
            // ISATAP: a host of the /64 chooses these bits.
            ("2001:db8::5efe:192.0.2.33", "2001:db8::5efe:192.0.2.33"),
            (
                "2001:db8::200:5efe:192.0.2.33",
                "2001:db8::200:5efe:192.0.2.33",
            ),
            ("fe80::5efe:192.0.2.33", "fe80::5efe:192.0.2.33"),
        ] {
            let [address, by] = [address, by].map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(counted(address), by, "{address}");
        }
    }
}
