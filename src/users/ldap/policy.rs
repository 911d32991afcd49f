//! Reads the password policy of a server from the controls of a bind response (RFC 4511, 4.1.11): the
//! password must be changed, has expired or will expire.

use zeroize::Zeroizing;

use super::ber::{BOOLEAN, Malformed, OCTET_STRING, Reader, SEQUENCE, element};

/// Request and response of the password policy of OpenLDAP and others (draft-behera-ldap-password-policy-10,
/// 6.1 and 6.2). A server sends the response only after the request.
const BEHERA: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";
/// "The password has expired" of the successors of Netscape's server, such as 389-ds. They also send it for a
/// password that was reset and must be changed (draft-vchu-ldap-pwd-policy-00, 3.1).
const EXPIRED: &[u8] = b"2.16.840.1.113730.3.4.4";
/// "The password will expire" of the same servers (3.2): needs no action yet.
#[cfg(test)]
const EXPIRING: &[u8] = b"2.16.840.1.113730.3.4.5";

/// The maximum number of controls in an answer.
const MAX_CONTROLS: usize = 32;

/// The `controls` of a request for all of this; a server without support ignores them.
pub(super) fn request() -> Zeroizing<Vec<u8>> {
    let control = element(SEQUENCE, &[&element(OCTET_STRING, &[BEHERA])]);
    element(0xa0, &[&control])
}

/// The result of the controls in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    error: Option<u32>,
    /// The number of further logins that the directory accepts with an expired password.
    grace: Option<u32>,
    /// Netscape's control is present.
    expired: bool,
}

impl Policy {
    /// Parses the bytes after the operation of a message.
    pub(super) fn read(mut rest: Reader<'_>) -> Result<Self, Malformed> {
        let mut policy = Self::default();
        while let Some((tag, content)) = rest.next()? {
            if tag == 0xa0 {
                policy.controls(Reader(content))?;
            }
        }
        Ok(policy)
    }

    fn controls(&mut self, mut controls: Reader<'_>) -> Result<(), Malformed> {
        let mut count = 0;
        while !controls.0.is_empty() {
            count += 1;
            if count > MAX_CONTROLS {
                return Err(Malformed("there are too many controls"));
            }
            let mut control = Reader(controls.take(SEQUENCE)?);
            let name = control.take(OCTET_STRING)?;
            let value = match control.next()? {
                Some((BOOLEAN, _)) => control.next()?,
                value => value,
            };
            match name {
                BEHERA => self.behera(value)?,
                EXPIRED => self.expired = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn behera(&mut self, value: Option<(u8, &[u8])>) -> Result<(), Malformed> {
        let Some((OCTET_STRING, value)) = value else {
            return Err(Malformed("the password policy is empty"));
        };
        let mut said = Reader(Reader(value).take(SEQUENCE)?);
        while let Some(tag) = said.0.first() {
            match tag {
                0xa0 => {
                    let mut warning = Reader(said.take(0xa0)?);
                    match warning.0.first() {
                        // Seconds until it expires: needs no action yet.
                        Some(0x80) => {}
                        Some(0x81) => self.grace = Some(warning.number(0x81)?),
                        _ => return Err(Malformed("the password policy has an unknown warning")),
                    }
                }
                0x81 => self.error = Some(said.number(0x81)?),
                _ => return Err(Malformed("the password policy has unknown content")),
            }
        }
        Ok(())
    }

    /// Why the right password is no longer valid.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match (self.error, self.grace) {
            (Some(0), _) => Some("the password has expired"),
            (Some(1), _) => Some("the account is locked"),
            (Some(2), _) => Some("the user must change the password first"),
            (Some(_), _) => Some("the password policy forbids it"),
            // 389-ds sends the other control in addition.
            (None, Some(_)) => None,
            (None, None) => self
                .expired
                .then_some("the password has expired, or the user must change it first"),
        }
    }

    /// How often the directory still accepts an expired password before it must be changed.
    pub(super) fn grace(&self) -> Option<u32> {
        self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(bytes: &[u8]) -> Vec<u8> {
        element(OCTET_STRING, &[bytes]).to_vec()
    }

    /// One control, with whatever follows its name.
    fn control(name: &[u8], rest: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[&octets(name), rest]).to_vec()
    }

    fn read(controls: &[Vec<u8>]) -> Result<Policy, Malformed> {
        let controls: Vec<&[u8]> = controls.iter().map(Vec::as_slice).collect();
        Policy::read(Reader(&element(0xa0, &controls)))
    }

    /// A response of the password policy.
    fn behera(said: &[u8]) -> Vec<u8> {
        control(BEHERA, &octets(&element(SEQUENCE, &[said])))
    }

    #[test]
    fn the_password_policy_of_a_server() {
        const MUST: Option<&str> = Some("the user must change the password first");
        const EITHER: Option<&str> =
            Some("the password has expired, or the user must change it first");
        for (controls, refusal, grace) in [
            (vec![], None, None),
            (vec![behera(b"")], None, None),
            // Seconds until it expires.
            (vec![behera(b"\xa0\x04\x80\x02\x0e\x10")], None, None),
            (vec![behera(b"\xa0\x03\x81\x01\x02")], None, Some(2)),
            (vec![behera(b"\xa0\x03\x81\x01\x00")], None, Some(0)),
            (
                vec![behera(b"\x81\x01\x00")],
                Some("the password has expired"),
                None,
            ),
            (
                vec![behera(b"\x81\x01\x01")],
                Some("the account is locked"),
                None,
            ),
            (vec![behera(b"\x81\x01\x02")], MUST, None),
            (
                vec![behera(b"\xa0\x03\x81\x01\x02\x81\x01\x02")],
                MUST,
                Some(2),
            ),
            (
                vec![behera(b"\x81\x01\x09")],
                Some("the password policy forbids it"),
                None,
            ),
            (vec![control(EXPIRED, &octets(b"0"))], EITHER, None),
            (vec![control(EXPIRED, &[])], EITHER, None),
            (
                vec![control(EXPIRED, b"\x01\x01\xff\x04\x010")],
                EITHER,
                None,
            ),
            (vec![control(EXPIRING, &octets(b"3600"))], None, None),
            (vec![control(b"1.2.3", b"\x01\x01\x00")], None, None),
            // 389-ds, for a password that must be changed, and for an expired one that is still accepted.
            (
                vec![control(EXPIRED, &octets(b"0")), behera(b"\x81\x01\x02")],
                MUST,
                None,
            ),
            (
                vec![
                    behera(b"\xa0\x03\x81\x01\x01"),
                    control(EXPIRED, &octets(b"0")),
                ],
                None,
                Some(1),
            ),
        ] {
            let policy = read(&controls).unwrap();
            assert_eq!(policy.refusal(), refusal, "{controls:?}");
            assert_eq!(policy.grace(), grace, "{controls:?}");
        }
    }

    #[test]
    fn controls_that_cannot_be_read_are_errors() {
        for bad in [
            b"\x04\x01a".to_vec(),
            element(SEQUENCE, &[]).to_vec(),
            control(BEHERA, &[]),
            control(BEHERA, b"\x01\x01\xff"),
            control(BEHERA, &octets(b"")),
            control(BEHERA, &octets(b"\x30\x03\x81\x01")),
            behera(b"\xa0\x00"),
            behera(b"\xa0\x03\x82\x01\x00"),
            behera(b"\x81\x00"),
            behera(b"\x81\x01\xff"),
            behera(b"\x82\x01\x02"),
        ] {
            assert!(read(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        let other = || control(b"1.2", &[]);
        assert!(read(&vec![other(); MAX_CONTROLS]).is_ok());
        assert!(read(&vec![other(); MAX_CONTROLS + 1]).is_err());
    }
}
