//! The fuzz targets over their seeds, and over a few changed ones.

use crate::support::fuzz::{run, targets};

/// Changed seeds for each target; a fifth of it where each is a file that is written.
const MUTATIONS: u64 = 1_000;

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
    #[cfg(feature = "servers")]
    statement: MUTATIONS,
    #[cfg(feature = "servers")]
    row: MUTATIONS,
    #[cfg(feature = "servers")]
    directory: MUTATIONS,
    #[cfg(feature = "servers")]
    addresses: MUTATIONS,
    #[cfg(feature = "servers")]
    ldap: MUTATIONS,
    #[cfg(feature = "servers")]
    ldap_login: MUTATIONS,
    #[cfg(feature = "servers")]
    imap: MUTATIONS,
    #[cfg(feature = "servers")]
    pop3: MUTATIONS,
    #[cfg(feature = "servers")]
    http: MUTATIONS,
    #[cfg(feature = "servers")]
    redis: MUTATIONS,
    #[cfg(feature = "servers")]
    token: MUTATIONS,
    #[cfg(feature = "servers")]
    keys: MUTATIONS / 5,
    #[cfg(feature = "servers")]
    introspection: MUTATIONS,
}
