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
    statement: MUTATIONS,
    row: MUTATIONS,
    directory: MUTATIONS,
    addresses: MUTATIONS,
    ldap: MUTATIONS,
    ldap_login: MUTATIONS,
    imap: MUTATIONS,
    pop3: MUTATIONS,
    http: MUTATIONS,
    redis: MUTATIONS,
    token: MUTATIONS,
    keys: MUTATIONS / 5,
    introspection: MUTATIONS,
}
