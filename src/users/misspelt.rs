//! Recognizes misspelt names of limits of users and app passwords: a misspelt limit must not be ignored,
//! because the user would then have no limit.

/// The normalized names, and their limits.
const LIMITS: [(&str, Limit); 5] = [
    ("nologin", Limit::NoLogin),
    ("allownets", Limit::AllowNets),
    ("allowrealnets", Limit::AllowRealNets),
    ("expires", Limit::Expires),
    ("protocols", Limit::Protocols),
];

/// Prefixes that mean a limit without being close to its name: `expiry_date`.
const STEMS: [(&str, Limit); 3] = [
    ("expir", Limit::Expires),
    ("allownet", Limit::AllowNets),
    ("allowreal", Limit::AllowRealNets),
];

/// A longer name is not compared: the time of a comparison grows with the length.
const MAX_NAME_BYTES: usize = 20;

/// A limit of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `nologin`.
    NoLogin,
    /// `allow_nets`.
    AllowNets,
    /// Dovecot's `allow_real_nets`, which this program does not support.
    AllowRealNets,
    /// `expires`.
    Expires,
    /// `protocols`.
    Protocols,
}

/// The limit that an unknown name probably means. Case, hyphens, underscores and blanks do not matter. One
/// typing error is always recognized, two only if the first letter is right: `id_login` does not mean
/// `nologin`.
pub(super) fn limit_meant(name: &str) -> Option<Limit> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let plain = name.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let near = |(limit, _): &&(&str, _)| match strsim::osa_distance(&plain, limit) {
        0 | 1 => true,
        2 => plain.bytes().next() == limit.bytes().next(),
        _ => false,
    };
    let begins = |(stem, _): &&(&str, _)| plain.starts_with(stem);
    let found = LIMITS.iter().find(near);
    found
        .or_else(|| STEMS.iter().find(begins))
        .map(|(_, limit)| *limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_a_limit() {
        use Limit::{AllowNets, AllowRealNets, Expires, NoLogin, Protocols};
        for (limit, names) in [
            (
                NoLogin,
                "NOLOGIN no_login no-logins nolgoin onlogin nlgin no_login_at",
            ),
            (
                AllowNets,
                "allow-nets allow_net alow_net allowed-nets allow_networks",
            ),
            (
                AllowRealNets,
                "allow_real_nets allow-real-net alow_real_nets allow_real_networks",
            ),
            (Expires, "expire expired expiry expires_at Expiration_Date"),
            (Protocols, "protocol Protcols"),
        ] {
            for name in names.split(' ') {
                assert_eq!(limit_meant(name), Some(limit), "{name}");
            }
        }
        for name in [
            "",
            "id",
            "id_login",
            "my_login",
            "last_login",
            "label",
            "valid_until",
            "active",
            "quota",
            "expiration_date_of_it",
        ] {
            assert_eq!(limit_meant(name), None, "{name}");
        }
    }
}
