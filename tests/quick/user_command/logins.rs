//! Which logins are written and listed, and how.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use crate::support::user_command::{ONE_FILE, attempt, read, run, with};

#[test]
fn a_login_is_written_as_the_store_is_asked_for_it() {
    let rules = "[logins]\nlower-case = true\ndefault-domain = \"example.org\"\n\
                 aliases = { \"sales@example.org\" = \"alice@example.org\" }\n";
    let dir = with(&format!("{ONE_FILE}{rules}"));
    dir.write("apps", "");
    let added = run(
        &dir,
        &["user", "add", "Bob", "--hashed"],
        "{PLAIN}hunter2\n",
    );
    assert!(
        added
            .err
            .starts_with("note: [logins] make \"bob@example.org\" of \"Bob\"\n"),
        "{}",
        added.err
    );
    assert_eq!(read(&dir, "users"), "bob@example.org:{PLAIN}hunter2\n");
    assert_eq!(attempt(&dir, "BOB", "hunter2"), "accepted");
    let alias = run(&dir, &["user", "add", "sales", "--random"], "").why();
    assert_eq!(
        alias,
        "nginx-mail-auth: \"sales\": this login is never looked up: [logins.aliases] rewrites it to \
         \"alice@example.org\": write that\n"
    );
    // An alias never leads to the account of another.
    run(
        &dir,
        &["user", "add", "alice", "--hashed"],
        "{PLAIN}hunter2\n",
    )
    .done();
    run(&dir, &["user", "delete", "sales"], "").why();
    assert_eq!(attempt(&dir, "sales", "hunter2"), "accepted");
}

#[test]
fn logins_that_the_format_cannot_hold_are_refused() {
    let dir = with(ONE_FILE);
    let long = "a".repeat(255);
    for (login, why) in [
        ("", "it is empty"),
        ("a:b", "it holds a colon, which ends the login on its line"),
        ("#a", "it begins with #, like a comment"),
        ("a\nb", "it holds a control byte, such as a line end"),
        ("\u{7f}", "it holds a control byte, such as a line end"),
        ("\u{feff}a", "it begins with a byte order mark"),
        (&long, "it has more than 254 bytes"),
    ] {
        let said = run(&dir, &["user", "add", login, "--random"], "").why();
        assert!(
            said.ends_with(&format!(
                "\": cannot be a login of a password file: {why}\n"
            )),
            "{said}"
        );
    }
    assert!(!dir.path().join("users").exists());
    // Other bytes are accepted, UTF-8 or not.
    let odd = OsString::from_vec(b"\xff\xe9 b".to_vec());
    let words = ["user", "add"].map(OsStr::new);
    let words = [&words[..], &[&odd, OsStr::new("--locked")]].concat();
    run(&dir, &words, "").done();
    assert_eq!(
        fs::read(dir.path().join("users")).unwrap(),
        b"\xff\xe9 b:*\n"
    );
}

#[test]
fn what_cannot_be_used_is_listed_with_the_reason() {
    let dir = with(&ONE_FILE.replace("allow-weak-schemes = true\n", ""));
    dir.write("apps", "");
    dir.write(
        "users",
        "a:{PLAIN}hunter2:::::: pass=hunter2 host=h\nb:*\nb:!\nc:!{SSHA512}x::::::nologin\nd:x::::::port=0\n",
    );
    let list = run(&dir, &["user", "list"], "").done();
    let twice = "the login is on several lines, and none of them counts";
    assert_eq!(
        list,
        format!(
            "LOGIN\tSTATE\tSCHEME\tAPPS\tFIELDS\tPROBLEM\n\
             a\tunusable\t-\t0\tpass host=h\tthe password scheme plain is weak, and \
             allow-weak-schemes is not set\n\
             b\tunusable\t-\t0\t-\t{twice}\n\
             b\tunusable\t-\t0\t-\t{twice}\n\
             c\tdisabled\t-\t0\tnologin\t-\n\
             d\tunusable\t-\t0\tport=0\tport is not 1 to 65535\n"
        )
    );
    let two = run(&dir, &["user", "passwd", "b", "--random"], "").why();
    assert_eq!(
        two,
        "nginx-mail-auth: \"b\": the login is on lines 2 and 3, and none of them counts: delete the \
         user, or remove all lines but one by hand\n"
    );
    let both = run(&dir, &["user", "delete", "b"], "");
    assert_eq!(both.err, "b: deleted, from 2 lines (users)\n");
    // A hash that the store does not accept is not written.
    let weak = run(&dir, &["user", "add", "e", "--hashed"], "{PLAIN}hunter2\n").why();
    assert!(
        weak.contains("the line is unusable: the password scheme plain is weak"),
        "{weak}"
    );
    let costly = [
        "user", "add", "e", "--scheme", "argon2id", "--memory", "262144", "--rounds", "10",
    ];
    let costly = run(&dir, &costly, "hunter2\n").why();
    assert!(costly.contains("limits.max-hash-ms is 500"), "{costly}");
}

#[test]
fn a_line_whose_login_no_client_can_have_is_listed_as_it_is_written() {
    let rules = "[logins]\ndefault-domain = \"example.org\"\n";
    let dir = with(&format!("{ONE_FILE}{rules}"));
    dir.write("apps", "");
    dir.write("users", "bob:{PLAIN}hunter2\n");
    let list = run(&dir, &["user", "list"], "").done();
    assert!(list.contains("\nbob\tunusable\t"), "{list}");
    assert!(list.contains("\"bob@example.org\": write that\n"), "{list}");
    assert_eq!(attempt(&dir, "bob", "hunter2"), "unknown-user");
}

#[test]
fn a_login_with_the_separator_of_masters_is_refused() {
    let dir = with(&format!("{ONE_FILE}[master]\npath = \"masters\"\n"));
    dir.write("masters", "support:{PLAIN}hunter2\n");
    let refused = run(&dir, &["user", "add", "u*m", "--random"], "").why();
    assert_eq!(
        refused,
        "nginx-mail-auth: \"u*m\": a login with \"*\" is read as a user and a master ([master] \
         separator)\n"
    );
    assert!(!dir.path().join("users").exists());
}
