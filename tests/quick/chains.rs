//! Login rules, masters, chains of stores and app passwords, asked as a web server asks.

use crate::support::chains::*;

use crate::support::temp_dir::TempDir;

#[test]
fn the_rules_make_one_login_of_many() {
    let dir = folder(
        "[logins]\nlower-case = true\nstrip-domains = [\"old.example\"]\n\
         default-domain = \"example.org\"\n[logins.aliases]\n\"Sales\" = \"x\"\n\
         \"sales@example.org\" = \"alice@example.org\"",
        "alice@example.org:{PLAIN}secret\nbob@example.org:{PLAIN}secret::::::user=robert\n",
    );
    for typed in ["alice", "Alice@Example.org", "ALICE@old.example", "sales"] {
        assert_eq!(
            login(&dir, typed, "secret"),
            accepted("alice@example.org"),
            "{typed}"
        );
        assert_eq!(login(&dir, typed, "Secret"), refused("wrong-password"));
    }
    // It is unchanged, so nginx gets no Auth-User.
    assert_eq!(
        login(&dir, "alice@example.org", "secret"),
        (OK.to_owned(), "accepted".to_owned())
    );
    // The answer of the store overrides the rules.
    assert_eq!(login(&dir, "BOB", "secret"), accepted("robert"));
    assert_eq!(
        login(&dir, &"a".repeat(250), "secret"),
        refused("login-too-long")
    );
}

#[test]
fn only_a_master_logs_in_as_another_user() {
    let users = "alice:{PLAIN}secret\noff:{PLAIN}secret::::::nologin\n\
                 office:{PLAIN}secret::::::allow_nets=198.51.100.0/24\nodd*name:{PLAIN}secret\n";
    let dir = folder(
        "[master]\npath = \"masters\"\nallow-weak-schemes = true",
        users,
    );
    dir.write(
        "masters",
        "support:{PLAIN}secret-of-support\n\
         far:{PLAIN}secret-of-far::::::allow_nets=198.51.100.0/24\n\
         gone:{PLAIN}secret-of-gone::::::nologin\nlocked:*\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    assert_eq!(login(&dir, "alice*support", "secret-of-support"), ok);
    // A master comes from where masters may.
    assert_eq!(login(&dir, "office*support", "secret-of-support"), ok);
    for (typed, password, cause) in [
        ("alice*support", "secret", "wrong-password"),
        ("alice*support", "", "wrong-password"),
        ("alice*alice", "secret", "wrong-password"),
        ("alice", "secret-of-support", "wrong-password"),
        ("support", "secret-of-support", "unknown-user"),
        ("*support", "secret-of-support", "unknown-user"),
        ("nobody*support", "secret-of-support", "unknown-user"),
        ("alice*", "secret", "wrong-password"),
        ("alice*locked", "*", "wrong-password"),
        ("alice*gone", "secret-of-gone", "disabled"),
        ("alice*far", "secret-of-far", "network-not-allowed"),
        ("off*support", "secret-of-support", "disabled"),
        ("odd*name", "secret", "wrong-password"),
    ] {
        assert_eq!(login(&dir, typed, password), refused(cause), "{typed}");
    }
    // Off by default: a star is a letter like another.
    let dir = folder("", users);
    assert_eq!(login(&dir, "odd*name", "secret"), ok);
    assert_eq!(login(&dir, "alice*support", "x"), refused("unknown-user"));
}

#[test]
fn the_master_is_added_to_what_the_rules_made_of_the_user() {
    let dir = folder(
        "[logins]\nlower-case = true\ndefault-domain = \"example.org\"\n\
         [master]\nseparator = \"%%\"\npath = \"masters\"\nallow-weak-schemes = true",
        "alice@example.org:{PLAIN}secret\n",
    );
    dir.write("masters", "Support:{PLAIN}secret\n");
    assert_eq!(
        login(&dir, "Alice%25%25Support", "secret"),
        accepted("alice@example.org%%Support")
    );
}

#[test]
fn app_passwords_work_within_their_limits() {
    let dir = folder("", "");
    let config = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                  app-passwords-path = \"apps\"\n[routes]\ndefault = \"192.0.2.1\"\n";
    dir.write("auth.toml", config);
    dir.write(
        "users",
        "alice:{PLAIN}secret-main\nonly:*\noff:{PLAIN}secret-main::::::nologin\n",
    );
    dir.write(
        "apps",
        "alice:{PLAIN}secret-phone:phone\n\
         alice:{PLAIN}secret-old:old phone:expires=2020-01-01\n\
         alice:{PLAIN}secret-new:new phone:expires=2999-01-01 protocols=imap,pop3\n\
         alice:{PLAIN}secret-scan:scanner:protocols=smtp\n\
         alice:{PLAIN}secret-near:desk:allow_nets=192.0.2.0/24\n\
         alice:{PLAIN}secret-far:lab:allow_nets=198.51.100.0/24\n\
         only:{PLAIN}secret-phone:phone\noff:{PLAIN}secret-phone:phone\n\
         stranger:{PLAIN}secret-phone:phone\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    for (name, password) in [
        ("alice", "secret-main"),
        ("alice", "secret-phone"),
        ("alice", "secret-new"),
        ("alice", "secret-near"),
        ("only", "secret-phone"),
    ] {
        assert_eq!(login(&dir, name, password), ok, "{name} {password}");
    }
    for (name, password, cause) in [
        ("alice", "secret-old", "password-expired"),
        ("alice", "secret-scan", "protocol-not-allowed"),
        ("alice", "secret-far", "network-not-allowed"),
        ("alice", "secret-wrong", "wrong-password"),
        ("alice", "", "wrong-password"),
        ("only", "*", "wrong-password"),
        ("off", "secret-phone", "disabled"),
        ("stranger", "secret-phone", "unknown-user"),
    ] {
        assert_eq!(login(&dir, name, password), refused(cause), "{password}");
    }
    let scanner = [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "secret-scan"),
        ("HTTP_AUTH_PROTOCOL", "smtp"),
    ];
    assert!(ask(&dir, &scanner).0.starts_with("Auth-Status: OK\n"));
    dir.write(
        "apps",
        "alice:{PLAIN}secret-phone:phone:expire=2020-01-01\n",
    );
    let said = login(&dir, "alice", "secret-phone");
    assert_eq!(said, refused("unusable-password"));
}

#[test]
fn a_chain_asks_the_next_store_as_configured() {
    let dir = TempDir::new();
    dir.write("first", "alice:{PLAIN}secret-one\nbad:{ROT13}x\n");
    dir.write("second", "alice:{PLAIN}secret-two\nbad:{PLAIN}secret-two\n");
    let config = |first: &str| {
        let table = |path: &str, more: &str| {
            format!(
                "[[users]]\nstore = \"file\"\npath = \"{path}\"\nname = \"{path}\"\n\
                 allow-weak-schemes = true\n{more}"
            )
        };
        let routes = "[routes]\ndefault = \"192.0.2.1\"\n";
        dir.write(
            "auth.toml",
            table("first", first) + &table("second", "") + routes,
        );
    };
    let ok = (OK.to_owned(), "accepted".to_owned());
    config("");
    assert_eq!(
        login(&dir, "alice", "secret-two"),
        refused("wrong-password")
    );
    let unusable = refused("unusable-password");
    assert_eq!(login(&dir, "bad", "secret-two"), unusable);
    config("wrong = \"next\"\ntrouble = \"next\"\n");
    assert_eq!(login(&dir, "alice", "secret-one"), ok);
    assert_eq!(login(&dir, "alice", "secret-two"), ok);
    assert_eq!(login(&dir, "alice", "secret"), refused("wrong-password"));
    assert_eq!(login(&dir, "bad", "secret-two"), unusable);
    assert_eq!(login(&dir, "bad", "secret"), refused("wrong-password"));
    config("domains = [\"example.org\"]\n");
    assert_eq!(login(&dir, "alice", "secret-two"), ok);
}

/// A store that checks no password leaves that to the mail server, which must get what was typed.
#[test]
fn a_master_login_is_never_used_for_an_unchecked_password() {
    let dir = TempDir::new();
    dir.write("master", "secret-of-master\n");
    dir.write(
        "auth.toml",
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"one\"\n[hosts.one]\n\
         address = \"192.0.2.1\"\nmaster-login = \"proxy\"\nmaster-password-file = \"master\"\n\
         master-use = \"always\"\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    for password in ["anything", ""] {
        assert_eq!(login(&dir, "alice", password), ok);
    }
    dir.write("users", "alice:{PLAIN}secret\n");
    let config = std::fs::read_to_string(dir.path().join("auth.toml")).unwrap();
    let file = "\"file\"\npath = \"users\"\nallow-weak-schemes = true";
    dir.write("auth.toml", config.replace("\"accept\"", file));
    let (answer, _) = login(&dir, "alice", "secret");
    let master = format!("{OK}Auth-User: alice*proxy\nAuth-Pass: secret-of-master\n");
    assert_eq!(answer, master);
}

/// Each process that waits for a place holds none; all get one in turn, or the temporary failure.
#[test]
fn hashes_are_counted_across_processes() {
    let dir = folder(
        "[limits]\nmax-hashes = 1\nhash-locks = \"locks\"\ndeadline = 1",
        "",
    );
    std::fs::create_dir(dir.path().join("locks")).unwrap();
    // By `openssl passwd -6 -salt abcdefgh secret`.
    let hash = "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
    dir.write("users", format!("alice:{hash}\n"));
    let ok = (OK.to_owned(), "accepted".to_owned());
    assert_eq!(login(&dir, "alice", "secret"), ok);
    // Another login has the only permit, and keeps it.
    let lock = std::fs::File::open(dir.path().join("locks/hash-0.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = (TEMPORARY.to_owned(), "busy".to_owned());
    assert_eq!(login(&dir, "alice", "secret"), busy);
    assert_eq!(login(&dir, "nobody", "secret"), busy);
    drop(lock);
    assert_eq!(login(&dir, "alice", "secret"), ok);
}
