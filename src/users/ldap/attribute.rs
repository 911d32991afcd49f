//! The names of attributes in directories and distinguished names (RFC 4512, 1.4 and 2.5).

/// Whether this is the type of an attribute: a name that starts with a letter, or an object identifier. Some
/// directories use names with an underscore, which the RFC does not allow.
pub(crate) fn is_type(name: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return name.bytes().all(of_name);
    }
    let number = |text: &str| {
        let leading_zero = text.len() > 1 && text.starts_with('0');
        !text.is_empty() && !leading_zero && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.contains('.') && name.split('.').all(number)
}

/// Whether this is a type with or without options: `cn`, `cn;lang-en`.
pub(crate) fn is_description(name: &str) -> bool {
    let of_option = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mut parts = name.split(';');
    parts.next().is_some_and(is_type)
        && parts.all(|option| !option.is_empty() && option.bytes().all(of_option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_their_options() {
        for good in [
            "cn", "C", "x-mail", "mail2", "my_host", "2.5.4.3", "0.9.2342",
        ] {
            assert!(is_type(good) && is_description(good), "{good}");
        }
        for good in [
            "cn;lang-en",
            "userCertificate;binary",
            "2.5.4.3;x;y",
            "cn;1",
        ] {
            assert!(is_description(good) && !is_type(good), "{good}");
        }
        for bad in [
            "",
            "-cn",
            "_cn",
            "1",
            "1.",
            ".1",
            "1..2",
            "01.2",
            "1.02",
            "1.a",
            "c.n",
            "2cn",
            "cn;",
            ";cn",
            "cn;;x",
            "cn;lang_en",
            "cn;x.y",
            "c n",
            "cn ",
            "cé",
        ] {
            assert!(!is_description(bad), "{bad}");
        }
    }
}
