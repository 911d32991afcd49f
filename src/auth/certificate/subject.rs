//! Parses the subject of a certificate in the form that nginx writes since 1.11.6, the version that
//! introduced `external`: `CN=alice,O=Example` (RFC 2253, OpenSSL's `XN_FLAG_RFC2253`).
//!
//! Older versions wrote `/O=Example/CN=alice` without escapes, so that an organisation named
//! `Example/CN=bob` would be accepted as `bob`: this form is rejected.

/// Why a subject has no usable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSubject {
    /// It does not have the form of RFC 2253.
    Form,
    /// The attribute is missing.
    Missing,
    /// The attribute occurs more than once.
    Ambiguous,
    /// Its value is not readable text.
    Value,
}

impl BadSubject {
    /// For the log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Form => "the subject is not of the form of RFC 2253",
            Self::Missing => "the subject has no such attribute",
            Self::Ambiguous => "the subject has that attribute twice",
            Self::Value => "the attribute's value cannot be read",
        }
    }
}

/// The value of the only attribute with one of these names; case does not matter (RFC 4512, 2.5).
pub(crate) fn attribute(subject: &[u8], names: &[&str]) -> Result<Vec<u8>, BadSubject> {
    let mut found = None;
    let mut rest = subject;
    while !rest.is_empty() {
        let equals = rest.iter().position(|byte| *byte == b'=');
        let (name, after) = equals
            .and_then(|at| rest.split_at_checked(at))
            .ok_or(BadSubject::Form)?;
        if !is_attribute_type(name) {
            return Err(BadSubject::Form);
        }
        let (value, after) = value(after.get(1..).unwrap_or_default())?;
        if names
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            && found.replace(value).is_some()
        {
            return Err(BadSubject::Ambiguous);
        }
        rest = match after.split_first() {
            None => after,
            Some((b',' | b'+', [])) => return Err(BadSubject::Form),
            Some((b',' | b'+', more)) => more,
            Some(_) => return Err(BadSubject::Form),
        };
    }
    found.ok_or(BadSubject::Missing)?.ok_or(BadSubject::Value)
}

/// A name, or an object identifier in digits and dots (RFC 2253, 3).
fn is_attribute_type(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(fits)
}

/// One value, unescaped, and the rest after it. `None` for a value that is skipped because it
/// cannot be read: DER in hex (`#0403…`), which OpenSSL writes for types that are not text; and an
/// empty one.
fn value(text: &[u8]) -> Result<(Option<Vec<u8>>, &[u8]), BadSubject> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b',' | b'+' => break,
            b'\\' => {
                let (escaped, after) = escaped(after).ok_or(BadSubject::Form)?;
                bytes.push(escaped);
                rest = after;
            }
            // RFC 2253 allows a whole value in quotes; OpenSSL escapes instead.
            b'"' | b';' | b'<' | b'>' => return Err(BadSubject::Form),
            other => {
                bytes.push(other);
                rest = after;
            }
        }
    }
    let readable = !bytes.is_empty() && !text.starts_with(b"#");
    Ok((readable.then_some(bytes), rest))
}

/// The text after a backslash: two hexadecimal digits, or a special character.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, after) = text.split_first()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if let Some(high) = digit(first) {
        let (&second, after) = after.split_first()?;
        return Some((u8::try_from(high << 4 | digit(second)?).ok()?, after));
    }
    b",+\"\\<>;=# ".contains(&first).then_some((first, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cn(subject: &[u8]) -> Result<Vec<u8>, BadSubject> {
        attribute(subject, &["CN"])
    }

    #[test]
    fn the_attribute_is_found_and_unescaped() {
        for (subject, value) in [
            (&b"CN=alice"[..], &b"alice"[..]),
            (b"CN=alice,O=Example", b"alice"),
            (b"O=Example,CN=alice", b"alice"),
            (b"cn=alice", b"alice"),
            (b"UID=1+CN=alice+O=x,C=DE", b"alice"),
            (b"emailAddress=a@b,CN=alice", b"alice"),
            (b"1.2.3.4=#0403616263,CN=alice", b"alice"),
            (b"O=Example\\, Inc.,CN=alice", b"alice"),
            (b"O=x\\,CN=bob,CN=alice", b"alice"),
            (b"O=,CN=alice", b"alice"),
            (b"CN=Smith\\, Carol", b"Smith, Carol"),
            (
                b"CN=a\\+b\\\"c\\\\d\\<e\\>f\\;g=h/i",
                b"a+b\"c\\d<e>f;g=h/i",
            ),
            (b"CN=\\#x\\ ", b"#x "),
            (b"CN=gr\\C3\\BCn", b"gr\xc3\xbcn"),
            (b"CN=gr\\c3\\bcn", b"gr\xc3\xbcn"),
            (b"CN=a\\00b", b"a\0b"),
            (b"CN=alice,CNX=bob,XCN=bob", b"alice"),
        ] {
            assert_eq!(
                cn(subject).as_deref(),
                Ok(value),
                "{}",
                subject.escape_ascii()
            );
        }
    }

    #[test]
    fn ambiguous_subjects_are_errors() {
        for (subject, why) in [
            (&b""[..], BadSubject::Missing),
            (b"O=Example", BadSubject::Missing),
            (b"O=x\\,CN=bob", BadSubject::Missing),
            (b"O=x=CN=bob", BadSubject::Missing),
            (b"CN=alice,CN=bob", BadSubject::Ambiguous),
            (b"CN=alice+cn=alice", BadSubject::Ambiguous),
            (b"CN=#0c03626f62,CN=bob", BadSubject::Ambiguous),
            (b"CN=", BadSubject::Value),
            (b"CN=#0c03626f62", BadSubject::Value),
            (b"/O=Example/CN=alice", BadSubject::Form),
            (b"/CN=alice", BadSubject::Form),
            (b"alice", BadSubject::Form),
            (b"=alice", BadSubject::Form),
            (b"CN=alice,", BadSubject::Form),
            (b"CN=alice,O", BadSubject::Form),
            (b",CN=alice", BadSubject::Form),
            (b"CN=alice, O=x", BadSubject::Form),
            (b"CN=\"alice\"", BadSubject::Form),
            (b"CN=alice;O=x", BadSubject::Form),
            (b"CN=a\\", BadSubject::Form),
            (b"CN=a\\4", BadSubject::Form),
            (b"CN=a\\4x", BadSubject::Form),
            (b"CN=a\\x", BadSubject::Form),
        ] {
            assert_eq!(cn(subject), Err(why), "{}", subject.escape_ascii());
        }
        assert_eq!(
            attribute(b"emailAddress=a@b,E=c@d", &["emailAddress", "E"]),
            Err(BadSubject::Ambiguous)
        );
    }
}
