//! Recognizes Dovecot's variables for parts of a login: `%n`, `%u`, `%d`, `%{user}`. This program does not
//! replace them.

/// The problem of a login that contains a variable.
#[cfg(feature = "servers")]
pub(super) const MEANS_NOTHING: &str = "contains a variable, which is not supported here";

/// Whether a login contains a variable.
pub(super) fn is_in(login: &[u8]) -> bool {
    let holds = |part: &[u8]| login.windows(part.len()).any(|window| window == part);
    login.starts_with(b"%") || holds(b"%{") || holds(b"@%")
}

#[cfg(test)]
mod tests {
    use super::is_in;

    #[test]
    fn variables() {
        for variable in [
            "%n",
            "%u",
            "%Lu",
            "%{user}",
            "%n@example.org",
            "alice@%d",
            "a%{domain}",
        ] {
            assert!(is_in(variable.as_bytes()), "{variable}");
        }
        for login in [
            "",
            "alice",
            "alice%example.org",
            "100%",
            "alice@example.org",
        ] {
            assert!(!is_in(login.as_bytes()), "{login}");
        }
    }
}
