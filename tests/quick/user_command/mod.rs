//! `user` and `hash`: what they write is what logs in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::user_command::{FAST, ONE_FILE, attempt, read, run, with};

mod files;
mod hash;
mod logins;

#[test]
fn a_user_lives_as_the_commands_say() {
    let dir = with(ONE_FILE);
    dir.write("apps", "");
    let added = run(&dir, &["user", "add", "alice"], "hunter2-a\n");
    assert_eq!(
        added.err,
        "note: users did not exist and was created\nalice: added (users)\n"
    );
    assert_eq!((added.out.as_str(), added.code), ("", Some(0)));
    let mode = fs::metadata(dir.path().join("users")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(attempt(&dir, "alice", "hunter2-a"), "accepted");

    let again = run(&dir, &["user", "add", "alice"], "hunter2-b\n").why();
    assert_eq!(
        again,
        "nginx-mail-auth: \"alice\": the user exists already (line 1)\n"
    );

    run(
        &dir,
        &["user", "passwd", "alice", FAST[0], FAST[1]],
        "hunter2-b\n",
    )
    .done();
    assert_eq!(attempt(&dir, "alice", "hunter2-a"), "wrong-password");
    assert_eq!(attempt(&dir, "alice", "hunter2-b"), "accepted");

    let phone = run(
        &dir,
        &["user", "app", "add", "alice", "phone", "--random"],
        "",
    )
    .done();
    assert_eq!(attempt(&dir, "alice", phone.trim()), "accepted");

    let before = read(&dir, "users");
    run(&dir, &["user", "lock", "alice", "--reason", "stolen"], "").done();
    for password in ["hunter2-b", phone.trim()] {
        assert_eq!(attempt(&dir, "alice", password), "disabled");
    }
    assert!(read(&dir, "users").starts_with("alice:!{SSHA512}"));
    assert_eq!(attempt(&dir, "alice", "hunter2-a"), "wrong-password");
    let shown = run(&dir, &["user", "show", "alice"], "").done();
    assert!(shown.contains("\nstate: disabled\n"), "{shown}");
    assert!(shown.contains("\nfield: nologin=stolen\n"), "{shown}");
    let stays = run(
        &dir,
        &["user", "passwd", "alice", FAST[0], FAST[1]],
        "hunter2-c\n",
    );
    assert_eq!(
        stays.err,
        "alice: has a new password, and stays locked: user unlock (users)\n"
    );
    assert_eq!(attempt(&dir, "alice", "hunter2-c"), "disabled");
    run(&dir, &["user", "unlock", "alice"], "").done();
    assert_eq!(attempt(&dir, "alice", "hunter2-c"), "accepted");
    assert_eq!(read(&dir, "users").len(), before.len());

    run(&dir, &["user", "delete", "alice"], "").done();
    assert_eq!(read(&dir, "users") + &read(&dir, "apps"), "# no users\n");
    let gone = run(&dir, &["user", "delete", "alice"], "").why();
    assert_eq!(gone, "nginx-mail-auth: \"alice\": there is no such user\n");
}

#[test]
fn app_passwords_have_labels_and_limits_and_are_revoked() {
    let dir = with(ONE_FILE);
    dir.write("users", "alice:*\nbob:*\n");
    let add = |words: &[&str]| {
        run(
            &dir,
            &[&["user", "app", "add"], words].concat(),
            "hunter2\n",
        )
    };
    add(&[
        "alice",
        "phone",
        "--protocols",
        "imap,smtp",
        "--expires",
        "2999-01-01",
        FAST[0],
        FAST[1],
    ])
    .done();
    add(&["alice", "old", "--random", "--expires", "2001-01-01"]).done();
    add(&["alice", "far", "--random", "--allow-nets", "2001:db8::/32"]).done();
    add(&["bob", "phone", "--random"]).done();
    assert_eq!(attempt(&dir, "alice", "hunter2"), "accepted");
    let list = run(&dir, &["user", "app", "list", "alice"], "").done();
    assert_eq!(
        list,
        "LABEL\tSCHEME\tSTATE\tLIMITS\n\
         phone\tssha512\tactive\tprotocols=imap,smtp expires=2999-01-01\n\
         old\tssha512\texpired\texpires=2001-01-01\n\
         far\tssha512\tactive\tallow_nets=2001:db8::/32\n"
    );
    let json = run(&dir, &["user", "app", "list", "bob", "--json"], "").done();
    assert!(
        json.starts_with("{\"expired\":false,\"label\":\"phone\",\"limits\":[],"),
        "{json}"
    );
    for (words, why) in [
        (
            &["alice", "phone"][..],
            "the user has an app password with this label already (line 1)",
        ),
        (&["carol", "phone"], "there is no such user in users"),
        (
            &["alice", "a:b"],
            "a label has 1 to 64 bytes, no colon and no control characters",
        ),
        (
            &["alice", "x", "--protocols", "http"],
            "the line would be unusable: protocols are imap, pop3 and smtp",
        ),
    ] {
        let said = add(words).why();
        assert_eq!(said, format!("nginx-mail-auth: \"{}\": {why}\n", words[0]));
    }
    let revoke = |words: &[&str]| run(&dir, &[&["user", "app", "revoke"], words].concat(), "");
    revoke(&["alice", "phone"]).done();
    assert_eq!(attempt(&dir, "alice", "hunter2"), "wrong-password");
    assert_eq!(
        revoke(&["alice", "phone"]).why(),
        "alice: has no app password \"phone\" (apps)\n"
    );
    let all = revoke(&["alice", "--all"]);
    assert_eq!(all.err, "alice: app passwords revoked: 2 (apps)\n");
    assert!(read(&dir, "apps").starts_with("bob:"));
}

#[test]
fn a_batch_changes_all_its_users_or_none() {
    let dir = with(ONE_FILE);
    dir.write("apps", "");
    let before = "# staff\r\n\r\nbob:{PLAIN}hunter2:1:2:Bob:/home:/bin/sh:host=h x=y\r\n";
    dir.write("users", before);
    let batch =
        |verb: &str, input: &str| run(&dir, &["user", verb, "--batch", FAST[0], FAST[1]], input);
    for (verb, input, why) in [
        (
            "add",
            "carol:hunter2\nbob:hunter2\na\u{301}:\n",
            "line 2: \"bob\": the user exists already (line 3)\nnginx-mail-auth: nothing was changed\n",
        ),
        (
            "passwd",
            "bob:hunter2\n\ncarol:hunter2\n:x\n",
            "line 4: \"\": cannot be a login of a password file: it is empty\n\
             nginx-mail-auth: nothing was changed\n",
        ),
        (
            "passwd",
            "bob:hunter2\ncarol:hunter2\n",
            "line 2: \"carol\": there is no such user\nnginx-mail-auth: nothing was changed\n",
        ),
        (
            "add",
            "carol:hunter2\ndora:\n",
            "line 2: \"dora\": the password is empty\nnginx-mail-auth: nothing was changed\n",
        ),
        (
            "add",
            "carol:hunter2\ncarol:hunter2\n",
            "line 2: \"carol\": the login is there twice\nnginx-mail-auth: nothing was changed\n",
        ),
        (
            "add",
            "carol hunter2\n",
            "nginx-mail-auth: line 1: no colon follows the login: write LOGIN:PASSWORD; nothing was \
             changed\n",
        ),
        (
            "add",
            "\n\n",
            "nginx-mail-auth: the input has no line with a login\n",
        ),
    ] {
        assert_eq!(batch(verb, input).why(), why);
        assert_eq!(read(&dir, "users"), before);
    }
    batch("add", "carol:hunter2:with:colons\r\ndora:hunter2-d").done();
    assert_eq!(attempt(&dir, "carol", "hunter2:with:colons"), "accepted");
    assert_eq!(attempt(&dir, "dora", "hunter2-d"), "accepted");
    let after = read(&dir, "users");
    assert!(
        after.starts_with(before) && after.lines().count() == 5,
        "{after}"
    );
    assert_eq!(after.matches("\r\n").count(), 5);
    let made = run(
        &dir,
        &["user", "passwd", "--batch", "--random"],
        "dora\ncarol\n",
    )
    .done();
    let (first, second) = made.trim_end().split_once('\n').unwrap();
    let password = first.strip_prefix("dora:").unwrap();
    assert_eq!((password.len(), second.len()), (24, 30));
    assert_eq!(attempt(&dir, "dora", password), "accepted");
    run(&dir, &["user", "lock", "--batch"], "dora\nbob\ncarol\n").done();
    assert_eq!(
        run(&dir, &["user", "list"], "")
            .done()
            .matches("\tdisabled\t")
            .count(),
        3
    );
    run(&dir, &["user", "unlock", "--batch"], "carol\nbob\n").done();
    run(&dir, &["user", "delete", "--batch"], "dora\ncarol\n").done();
    assert_eq!(read(&dir, "users"), before);
}
