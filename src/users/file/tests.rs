//! Tests of the password file.

use super::*;
use crate::login::rules::LoginRules;
use crate::secret::{Password, Proof};
use crate::users::Passwords;

fn settings(allow_weak_schemes: bool) -> Settings {
    Settings {
        path: PathBuf::from("users"),
        allow_weak_schemes,
        max_hash_ms: 500,
        app_passwords: None,
        rehash: None,
        default_scheme: None,
        logins: Default::default(),
    }
}

/// The same file, loaded and searched.
fn both(text: &str) -> [FileStore; 2] {
    let bytes = || text.as_bytes().to_vec();
    [
        FileStore::load(bytes(), &settings(true)).unwrap(),
        FileStore::lazy(bytes(), &settings(true)).unwrap(),
    ]
}

fn login(text: &str) -> Login {
    Login::new(text.as_bytes().to_vec()).unwrap()
}

fn proof(text: &str) -> Proof {
    Proof::Password(Password::new(text.as_bytes().to_vec()).unwrap())
}

fn fits(account: &Account, text: &str) -> bool {
    match &account.passwords {
        Passwords::Stored(credentials) => credentials
            .iter()
            .any(|credential| credential.secret.matches(&proof(text))),
        other => panic!("{other:?}"),
    }
}

fn warnings(bytes: &[u8], settings: &Settings) -> Vec<String> {
    let store = FileStore::load(bytes.to_vec(), settings).unwrap();
    store.warnings().iter().map(Problem::to_string).collect()
}

#[test]
fn users_are_found_by_their_exact_login() {
    let text = "# users\r\nalice:{PLAIN}a\r\n\r\nbob@x:{PLAIN}b:1:1:::: host=h\nlast:{PLAIN}c";
    for store in both(text) {
        let account = |name| store.account(&login(name)).unwrap();
        for (name, password) in [("alice", "a"), ("bob@x", "b"), ("last", "c")] {
            let account = account(name).unwrap();
            assert!(fits(&account, password));
            assert!(!fits(&account, "x"));
            assert!(!fits(&account, ""));
        }
        assert_eq!(account("bob@x").unwrap().host.as_deref(), Some("h"));
        for name in [
            "Alice",
            "alic",
            "alicea",
            "",
            "# users",
            "bob",
            "alice:{PLAIN}a",
        ] {
            assert!(account(name).is_none(), "{name}");
        }
    }
}

const BROKEN: &[u8] =
    b"ok:{PLAIN}x\nnocolon\n:x\na\tb:x\ntwice:{PLAIN}y\nc:{ROT13}x\nd:$5$salt$short\n\
    e:$6$rounds=2000000$s$h\nf:{PLAIN}x:::::: port=70000\ntwice:!{PLAIN}y\n\xff\xfe:bar\ntwice:*\n";

#[test]
fn each_line_that_cannot_be_used_is_a_warning() {
    assert_eq!(
        warnings(BROKEN, &settings(true)),
        [
            "users:2:1: no colon follows the login",
            "users:3:1: the login is empty",
            "users:4:2: the login contains a control byte",
            "users:6:3: the password scheme is not known",
            "users:7:3: the password hash is damaged: the digest is damaged",
            "users:8:3: the password hash exceeds a limit: more than 1,000,000 rounds",
            "users:9:18: port is not 1 to 65535",
            "users:10:1: the login is also in line 5, and neither line counts: remove one",
            "users:11:4: the password scheme is not known",
            "users:12:1: the login is also in line 10, and neither line counts: remove one",
        ]
    );
}

#[test]
fn an_unusable_line_affects_only_its_own_login() {
    let bytes = || BROKEN.to_vec();
    for store in [
        FileStore::load(bytes(), &settings(true)).unwrap(),
        FileStore::lazy(bytes(), &settings(true)).unwrap(),
    ] {
        let account = |name: &[u8]| {
            let login = Login::new(name.to_vec()).unwrap();
            store.account(&login).unwrap()
        };
        assert!(account(b"nobody").is_none());
        let ok = account(b"ok").unwrap();
        assert!(fits(&ok, "x"));
        assert_eq!((ok.unusable, ok.unusable_password), (None, None));
        for (name, unusable, unusable_password) in [
            (&b"nocolon"[..], "users:2:1: no colon follows the login", ""),
            (b"", "users:3:1: the login is empty", ""),
            (
                b"twice",
                "users:10:1: the login is also in line 5, and neither line counts: remove one",
                "",
            ),
            (b"c", "", "users:6:3: the password scheme is not known"),
            (
                b"d",
                "",
                "users:7:3: the password hash is damaged: the digest is damaged",
            ),
            (
                b"e",
                "",
                "users:8:3: the password hash exceeds a limit: more than 1,000,000 rounds",
            ),
            (b"f", "users:9:18: port is not 1 to 65535", ""),
            (
                b"\xff\xfe",
                "",
                "users:11:4: the password scheme is not known",
            ),
        ] {
            let account = account(name).unwrap();
            let what = account.unusable.as_deref().unwrap_or_default();
            assert_eq!(what, unusable, "{}", name.escape_ascii());
            let what = account.unusable_password.as_deref().unwrap_or_default();
            assert_eq!(what, unusable_password, "{}", name.escape_ascii());
        }
        // Neither of the two passwords counts, whichever is right.
        let Some(Passwords::Stored(twice)) = account(b"twice").map(|it| it.passwords) else {
            panic!("of a file");
        };
        assert!(twice.is_empty());
    }
}

#[test]
fn an_unknown_extra_field_is_reported_once() {
    let mut text =
        "a:{PLAIN}x::::::host=h pass=p\nb:{PLAIN}x::::::master=m pass=q proxy\n".to_owned();
    text += "c:{PLAIN}x::::::userdb_home=/c pass=r\n";
    assert_eq!(
        warnings(text.as_bytes(), &settings(true)),
        [
            "users:1:24: the extra field pass is unknown and is ignored, and in 2 more places",
            "users:2:17: the extra field master is unknown and is ignored",
        ]
    );
    for n in 0..1000 {
        text += &format!("u{n}:{{PLAIN}}x::::::{}{n}=\n", "f".repeat(40));
        text += &format!("v{n}:{{PLAIN}}x::::::g{n}=\n");
    }
    assert_eq!(warnings(text.as_bytes(), &settings(true)).len(), 20);
}

#[test]
fn the_default_scheme_applies_to_passwords_that_name_none() {
    let settings = |scheme: &str| Settings {
        default_scheme: Some(scheme.to_owned()),
        ..settings(true)
    };
    let hash = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    for (scheme, field, password) in [
        ("SHA512-CRYPT", hash, Some("Hello world!")),
        ("CRYPT", hash, Some("Hello world!")),
        ("SHA512-CRYPT", "{PLAIN}x", Some("x")),
        ("PLAIN", "$6$x", Some("$6$x")),
        ("PLAIN", "!x", Some("!x")),
        ("PLAIN", "!", Some("!")),
        ("PLAIN", "!{PLAIN}x", None),
        ("PLAIN", "!!{crypt}$6$x", None),
        ("PLAIN", "*{SSHA.hex}x", None),
        ("PLAIN", "!{x}y", Some("!{x}y")),
        ("PLAIN.b64", "eA==", Some("x")),
        ("CRYPT", "!x", None),
        ("CRYPT", "x", None),
        ("PLAIN", "{CRYPT}!x", None),
        ("PLAIN", "", None),
    ] {
        let bytes = || format!("a:{field}:1:1\n").into_bytes();
        for store in [
            FileStore::load(bytes(), &settings(scheme)).unwrap(),
            FileStore::lazy(bytes(), &settings(scheme)).unwrap(),
        ] {
            let account = store.account(&login("a")).unwrap().unwrap();
            match password {
                Some(password) => assert!(fits(&account, password), "{scheme} {field}"),
                None => assert!(
                    matches!(&account.passwords, Passwords::Stored(all) if all.is_empty()),
                    "{scheme} {field}"
                ),
            }
            assert_eq!((account.unusable, account.unusable_password), (None, None));
        }
    }
}

#[test]
fn warnings_are_bounded_by_kind() {
    let text = "x{DIGEST-MD5}\n".repeat(1000) + &"y:{OTP}x\n".repeat(30);
    let told = warnings(text.as_bytes(), &settings(true));
    assert_eq!(told.len(), 42);
    assert_eq!(told[20], "users: and 2008 more of this kind");
    assert_eq!(
        told[21],
        "users:1001:3: passwords stored as OTP cannot be checked"
    );
    assert_eq!(told[41], "users: and 10 more of this kind");
}

#[test]
fn a_file_may_have_no_users() {
    for bytes in [&b""[..], b"\n", b"# a\n \t\n", b"#a:{PLAIN}x\n"] {
        for store in [
            FileStore::load(bytes.to_vec(), &settings(true)).unwrap(),
            FileStore::lazy(bytes.to_vec(), &settings(true)).unwrap(),
        ] {
            assert!(!store.has_users());
            assert!(store.account(&login("a")).unwrap().is_none());
            assert!(!store.decoy_for(&login("a")).matches(&proof("x")));
        }
    }
}

#[test]
fn an_unsupported_scheme_affects_only_its_own_login() {
    let text = b"weak:{PLAIN}x\nstrange:{DIGEST-MD5}abc\ngood:{SSHA256}xybuwjCTcU8Y0T/pQpzcuuIia7DEYULuJFv8d+/WmkrJLW6/\ndear:$2y$14$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0t.\n";
    let store = FileStore::load(text.to_vec(), &settings(false)).unwrap();
    let warnings: Vec<String> = store.warnings().iter().map(Problem::to_string).collect();
    assert_eq!(
        warnings,
        [
            "users:1:6: the password scheme plain is weak, and allow-weak-schemes is not set",
            "users:2:9: passwords stored as DIGEST-MD5 cannot be checked",
            "users:4:6: a check of the password hash takes about 1064 ms of work, and \
             limits.max-hash-ms is 500: raise that, or make a new hash",
        ]
    );
    let lazy = FileStore::lazy(text.to_vec(), &settings(false)).unwrap();
    for store in [store, lazy] {
        assert!(store.account(&login("good")).unwrap().is_some());
        let unusable = |name: &str| {
            let account = store.account(&login(name)).unwrap().unwrap();
            assert!(matches!(&account.passwords, Passwords::Stored(all) if all.is_empty()));
            assert_eq!(account.unusable, None);
            account.unusable_password.unwrap()
        };
        assert_eq!(
            unusable("strange"),
            "users:2:9: passwords stored as DIGEST-MD5 cannot be checked"
        );
        assert!(unusable("weak").starts_with("users:1:6: the password scheme plain is weak"));
        unusable("dear");
    }
}

#[test]
fn decoys_are_stable_and_spread_and_match_nothing() {
    let mut text = String::new();
    for n in 0..200 {
        match n % 4 {
            0 => text += &format!("user{n}:\n"),
            1 => text += &format!("user{n}:{{DIGEST-MD5}}x\n"),
            _ => text += &format!("user{n}:{{PLAIN}}{n}\n"),
        }
    }
    let [loaded, lazy] = both(&text);
    for n in 0..50 {
        let login = login(&format!("unknown{n}"));
        for store in [&loaded, &lazy] {
            let decoy = store.decoy_for(&login);
            assert!((0..200).all(|n| !decoy.matches(&proof(&n.to_string()))));
        }
        let fresh = FileStore::lazy(text.clone().into_bytes(), &settings(true)).unwrap();
        assert_eq!(decoy_line(&loaded, &login), decoy_line(&fresh, &login));
    }
    let mut lines: Vec<_> = (0..50)
        .map(|n| decoy_line(&loaded, &login(&format!("unknown{n}"))))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() > 20, "{lines:?}");
}

/// The scheme that the decoy imitates.
fn decoy_line(store: &FileStore, login: &Login) -> Option<usize> {
    let decoy = store.decoy_for(login);
    (0..200).find(|n| decoy.would_match(n.to_string().as_bytes()))
}

#[test]
fn a_file_without_passwords_has_a_decoy() {
    for store in both("a:\nb:*\nc:{DIGEST-MD5}x\n") {
        assert!(store.decoy_for(&login("a")).is_heavy());
        assert!(!store.decoy_for(&login("x")).matches(&proof("x")));
    }
}

#[test]
fn debug_shows_no_secret() {
    for store in both("a:{PLAIN}marker\n") {
        let account = store.account(&login("a")).unwrap();
        assert!(!format!("{store:?} {account:?}").contains("marker"));
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_login() {
    for store in both("\u{feff}alice:{PLAIN}x\nbob:{PLAIN}y\n") {
        assert!(fits(&store.account(&login("alice")).unwrap().unwrap(), "x"));
        assert!(fits(&store.account(&login("bob")).unwrap().unwrap(), "y"));
        assert_eq!(store.warnings(), []);
    }
}

/// A file under `lower-case = true` and `default-domain = "example.org"`.
#[test]
fn an_unreachable_line_accepts_no_login_and_still_counts_as_a_duplicate() {
    let rules = LoginRules {
        lower_case: true,
        default_domain: Some("example.org".to_owned()),
        ..LoginRules::default()
    };
    let settings = Settings {
        logins: LineLogins::under(&rules),
        ..settings(true)
    };
    let text = "Alone:{PLAIN}x\nALICE:!\nalice@example.org:{PLAIN}x\nBOB@example.org:!\n\
                off@Example.ORG:{PLAIN}x\nOFF:{PLAIN}y::::::nologin\nCarl:{PLAIN}z::::::nologin\n\
                dora:{PLAIN}x::::::port=0\neve@example.org:{PLAIN}x\n";
    let apps =
        "bob@example.org:{PLAIN}app:phone\neve@example.org:{PLAIN}app:phone\nEVE:{PLAIN}y:old\n";
    let loaded = AppPasswords::load(
        apps.into(),
        "apps".into(),
        settings.rules(),
        &settings.logins,
    );
    let loaded = Arc::new(loaded.unwrap());
    let said: Vec<_> = loaded.warnings().iter().map(Problem::to_string).collect();
    let not_by = |login| {
        format!(
            "this login is never looked up: [logins] rewrites it to {login:?}: write \
            that"
        )
    };
    assert_eq!(said, [format!("apps:3:1: {}", not_by("eve@example.org"))]);
    let twice =
        |first| format!("the login is also in line {first}, and neither line counts: remove one");
    assert_eq!(
        warnings(text.as_bytes(), &settings),
        [
            format!("users:3:1: {}", twice(2)),
            format!("users:6:1: {}", twice(5)),
            "users:8:20: port is not 1 to 65535".to_owned(),
            format!("users:1:1: {}", not_by("alone@example.org")),
            format!("users:2:1: {}", not_by("alice@example.org")),
            format!("users:4:1: {}", not_by("bob@example.org")),
            format!("users:6:1: {}", not_by("off@example.org")),
            format!("users:7:1: {}", not_by("carl@example.org")),
        ]
    );
    for store in [
        FileStore::load(text.into(), &settings).unwrap(),
        FileStore::lazy(text.into(), &settings).unwrap(),
    ] {
        let store = store.with_app_passwords(Arc::clone(&loaded));
        let account = |name: &str| store.account(&login(name)).unwrap();
        for unknown in ["alone@example.org", "Alone", "alone", "Alice", "ALICE"] {
            assert!(account(unknown).is_none(), "{unknown}");
        }
        for twice in ["alice@example.org", "off@example.org"] {
            assert!(account(twice).unwrap().unusable.is_some(), "{twice}");
        }
        for app in ["", "app"] {
            assert!(!fits(&account("bob@example.org").unwrap(), app));
        }
        assert!(account("carl@example.org").unwrap().disabled);
        let dora = account("dora@example.org").unwrap();
        assert_eq!(dora.unusable.unwrap(), "users:8:20: port is not 1 to 65535");
        let eve = account("eve@example.org").unwrap();
        assert!(fits(&eve, "x") && fits(&eve, "app") && !fits(&eve, "y"));
    }
}

#[test]
fn networks_with_host_bits_are_reported() {
    let line =
        |number: u32| format!("user{number}:{{PLAIN}}x::::::allow_nets=10.0.0.{number}/8,::1\n");
    let text: String = (0..=22).map(line).collect();
    let told = |line: u32, path: &str| {
        format!(
            "{path}:{line}:1: a network of allow_nets has bits of a host after its prefix and \
            means the whole network: write 10.0.0.0/8, or the address alone"
        )
    };
    let mut expected: Vec<_> = (2..=21).map(|line| told(line, "users")).collect();
    expected.push("users: and 2 more of this kind".to_owned());
    assert_eq!(warnings(text.as_bytes(), &settings(true)), expected);
    let text = "a:{PLAIN}x:one:allow_nets=10.0.0.0/8\na:{PLAIN}x:two:allow_nets=10.1.0.0/8\n";
    let settings = settings(true);
    let apps = AppPasswords::load(
        text.into(),
        "apps".into(),
        settings.rules(),
        &settings.logins,
    );
    let said = apps.unwrap();
    let said: Vec<_> = said.warnings().iter().map(Problem::to_string).collect();
    assert_eq!(said, [told(2, "apps")]);
}
