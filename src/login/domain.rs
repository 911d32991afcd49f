//! The domain of a login (the part after its last `@`) in its canonical form.
//!
//! Domains are the same in upper and lower case (RFC 5321, 2.4; RFC 4343), and in both spellings
//! of an internationalised name: `bücher.example` is `xn--bcher-kva.example` (RFC 5890, 2.3.2.1).
//! The canonical form is the ASCII one, in lower case. Local parts keep their case.

use std::borrow::Cow;

mod flaws;

pub use flaws::{flaw, login_flaw};

/// The login with its domain in canonical form. The text after a byte that no domain can contain
/// stays unchanged: in `alice@EXAMPLE.org*Admin` it is the name of a master.
pub fn folded(login: &[u8]) -> Cow<'_, [u8]> {
    let Some(at) = login.iter().rposition(|byte| *byte == b'@') else {
        return Cow::Borrowed(login);
    };
    let (local, domain) = login.split_at(at + 1);
    let end = domain.iter().position(|byte| !is_of_domain(*byte));
    let (domain, rest) = domain.split_at(end.unwrap_or(domain.len()));
    match canonical(domain) {
        Cow::Borrowed(_) => Cow::Borrowed(login),
        Cow::Owned(domain) => Cow::Owned([local, &domain, rest].concat()),
    }
}

/// The domain in canonical form. Text that cannot be a domain, or is not UTF-8, stays unchanged
/// except for the case of ASCII letters.
pub fn canonical(domain: &[u8]) -> Cow<'_, [u8]> {
    if !domain.is_ascii()
        && let Some(ascii) = ascii_form(domain)
    {
        return Cow::Owned(ascii);
    }
    match domain.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(domain.to_ascii_lowercase()),
        false => Cow::Borrowed(domain),
    }
}

/// The same for a text of the configuration.
pub fn canonical_text(domain: &str) -> String {
    let canonical = canonical(domain.as_bytes());
    String::from_utf8_lossy(&canonical).into_owned()
}

/// The canonical form of a domain or of a pattern such as `*.example.org` in the configuration.
pub fn written(text: &str) -> String {
    match text.strip_prefix("*.") {
        Some(above) => format!("*.{}", canonical_text(above)),
        None => canonical_text(text),
    }
}

/// Whether a domain matches a pattern of the configuration: the domain itself, or `*.example.org`
/// for all domains below `example.org`, but not `example.org` itself. Both are in canonical form.
pub fn covers(written: &[u8], domain: &[u8]) -> bool {
    match written.strip_prefix(b"*") {
        Some(above) => domain.len() > above.len() && domain.ends_with(above),
        None => written == domain,
    }
}

/// Whether this is a domain in canonical form that can be a file name: 1 to 253 bytes; labels of 1
/// to 63 lower-case letters, digits and hyphens, without a hyphen at either end (RFC 1123, 2.1; RFC
/// 1035, 2.3.4).
pub fn is_plain(domain: &[u8]) -> bool {
    let of_label = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(of_label)
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    domain.len() <= 253 && domain.split(|byte| *byte == b'.').all(is_label)
}

/// Whether a byte can be part of a domain in a login or a configuration: letters, digits, hyphens,
/// dots, underscores (some networks use them), and all bytes of other scripts.
pub fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | 0x80..)
}

/// The A-labels of a domain with U-labels (UTS #46, ToASCII). `None` if it is not a valid domain,
/// or if the result would have an empty label.
#[cfg(feature = "servers")]
fn ascii_form(domain: &[u8]) -> Option<Vec<u8>> {
    // The mapping must not produce an `@` or a blank: U+FF20 is a full-width `@`.
    let ascii = idna::domain_to_ascii_cow(domain, idna::AsciiDenyList::STD3).ok()?;
    let whole = ascii.split('.').all(|label| !label.is_empty());
    whole.then(|| ascii.into_owned().into_bytes())
}

/// This build has no support for U-labels.
#[cfg(not(feature = "servers"))]
fn ascii_form(_domain: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_domain_is_folded() {
        for (login, expected) in [
            ("Alice@EXAMPLE.Org", "Alice@example.org"),
            ("A@B@EXAMPLE.org", "A@B@example.org"),
            ("Alice", "Alice"),
            ("Alice@", "Alice@"),
            ("@EXAMPLE", "@example"),
            ("", ""),
            ("alice@EXAMPLE.org*Admin", "alice@example.org*Admin"),
            ("EXAMPLE\\Alice", "EXAMPLE\\Alice"),
            ("Alice@XN--Bcher-KVA.example", "Alice@xn--bcher-kva.example"),
            ("alice@EXAMPLE.org.", "alice@example.org."),
        ] {
            let made = folded(login.as_bytes());
            assert_eq!(
                made.escape_ascii().to_string(),
                expected.escape_default().to_string()
            );
            assert_eq!(folded(&made), made);
        }
        assert_eq!(*folded(b"\xc9@EX\xc9AMPLE"), *b"\xc9@ex\xc9ample");
    }

    #[test]
    fn only_plain_domains_can_be_names_of_files() {
        let long = "a".repeat(63);
        let longest = [&*long, &long, &long, &"a".repeat(61)].join(".");
        for (domain, plain) in [
            ("example.org", true),
            ("localhost", true),
            ("xn--bcher-kva.example", true),
            ("1.2", true),
            (&long, true),
            (&longest, true),
            (&format!("{longest}a"), false),
            (&format!("{long}a"), false),
            ("", false),
            (".", false),
            ("..", false),
            ("../x", false),
            ("a/b", false),
            ("/etc/passwd", false),
            (".hidden", false),
            ("a..b", false),
            ("a.", false),
            ("-a", false),
            ("a-.b", false),
            ("a_b", false),
            ("EXAMPLE.org", false),
            ("bücher.example", false),
            ("x\0", false),
            ("x\n", false),
            ("a b", false),
            ("a*b", false),
            ("{domain}", false),
        ] {
            assert_eq!(is_plain(domain.as_bytes()), plain, "{domain:?}");
        }
        assert!(!is_plain(b"a\xff"));
    }

    #[test]
    fn all_below_a_domain() {
        for (written, domain, covered) in [
            ("example.org", "example.org", true),
            ("example.org", "a.example.org", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("*.example.org", "aexample.org", false),
            ("", "", true),
            ("", "a", false),
        ] {
            let found = covers(written.as_bytes(), domain.as_bytes());
            assert_eq!(found, covered, "{written} {domain}");
        }
    }

    #[test]
    fn a_domain_in_canonical_form_is_not_copied() {
        for login in [
            &b"Alice@example.org"[..],
            b"ALICE",
            b"a@xn--bcher-kva.example",
            b"a@\xff",
        ] {
            assert!(
                matches!(folded(login), Cow::Borrowed(_)),
                "{}",
                login.escape_ascii()
            );
        }
    }

    #[cfg(feature = "servers")]
    #[test]
    fn both_spellings_of_a_domain_are_the_same() {
        for (domain, expected) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.Example", "xn--bcher-kva.example"),
            // u, then a combining diaeresis.
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("straße.example", "xn--strae-oqa.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("ｅxample.org", "example.org"),
        ] {
            assert_eq!(canonical_text(domain), expected, "{domain}");
        }
        // These cannot become a domain and stay unchanged.
        for odd in [
            "a\u{ff20}b.example",
            "a\u{3000}b.example",
            "\u{ad}",
            "ü..example",
            "ü.",
            "\u{300}a.example",
        ] {
            assert_eq!(canonical_text(odd), odd, "{odd}");
        }
        assert_eq!(canonical_text("Ü..EXAMPLE"), "Ü..example");
    }
}
