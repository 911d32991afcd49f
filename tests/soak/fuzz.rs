//! The fuzz targets over their seeds, and over many changed ones.

use crate::support::fuzz::{run, targets};

/// Changed seeds for each target; a fifth of it where each is a file that is written.
const MUTATIONS: u64 = 100_000;

macro_rules! targets {
    ($($(#[$when:meta])* $name:ident: $mutations:expr,)*) => {
        $(
            $(#[$when])*
            #[test]
            fn $name() {
                run(stringify!($name), $mutations);
            }
        )*

        #[test]
        fn every_target_is_here() {
            let here = [$(stringify!($name)),*];
            for (name, _) in targets::ALL {
                assert!(here.contains(name), "{name}");
            }
        }
    };
}

targets! {
    records: MUTATIONS,
    pairs: MUTATIONS,
    connection: MUTATIONS,
    conversation: MUTATIONS,
    whole: MUTATIONS,
    request: MUTATIONS,
    credentials: MUTATIONS,
    recipient: MUTATIONS,
    certificate: MUTATIONS,
    log: MUTATIONS,
    answer: MUTATIONS,
    config: MUTATIONS,
    password_file: MUTATIONS,
    app_passwords: MUTATIONS,
    secret: MUTATIONS,
    #[cfg(feature = "sql")]
    statement: MUTATIONS,
    #[cfg(feature = "sql")]
    row: MUTATIONS,
    #[cfg(feature = "ldap")]
    directory: MUTATIONS,
    #[cfg(all(feature = "sql", feature = "ldap", feature = "remote"))]
    addresses: MUTATIONS,
    #[cfg(feature = "ldap")]
    ldap: MUTATIONS,
    #[cfg(feature = "ldap")]
    ldap_login: MUTATIONS,
    #[cfg(feature = "remote")]
    imap: MUTATIONS,
    #[cfg(feature = "remote")]
    pop3: MUTATIONS,
    #[cfg(feature = "remote")]
    http: MUTATIONS,
    #[cfg(feature = "redis")]
    redis: MUTATIONS,
    #[cfg(feature = "oauth")]
    token: MUTATIONS,
    #[cfg(feature = "oauth")]
    keys: MUTATIONS / 5,
    #[cfg(feature = "oauth")]
    introspection: MUTATIONS,
}
