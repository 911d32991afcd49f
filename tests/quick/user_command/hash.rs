//! `hash`: makes hashes, checks passwords, lists the schemes.

use crate::support::temp_dir::TempDir;
use crate::support::user_command::run;

#[test]
fn hash_checks_a_password_and_lists_the_schemes() {
    let dir = TempDir::new();
    let line = run(
        &dir,
        &["hash", "alice", "--scheme", "blf-crypt", "--cost", "4"],
        "hunter2\n",
    )
    .done();
    assert!(line.starts_with("alice:{BLF-CRYPT}$2y$04$"), "{line}");
    let file = dir.write("users", format!("bob:*\n{line}"));
    let file = file.to_str().unwrap();
    let verify =
        |words: &[&str], input: &str| run(&dir, &[&["hash", "--verify"], words].concat(), input);
    assert_eq!(
        verify(&[file, "alice"], "hunter2\n").done(),
        "matches (blf-crypt)\n"
    );
    let wrong = verify(&[file, "alice"], "hunter3\n");
    assert_eq!(
        (wrong.code, wrong.out.as_str()),
        (Some(1), "does not match (blf-crypt)\n")
    );
    assert_eq!(
        verify(&[file, "bob"], "hunter2\n").out,
        "locked: no password matches\n"
    );
    let none = verify(&[file, "carol"], "hunter2\n").why();
    assert_eq!(
        none,
        "nginx-mail-auth: users: there is no line of \"carol\"\n"
    );
    let weak = verify(&["-"], "{PLAIN}hunter2\nhunter2\n");
    assert_eq!(weak.err, "note: the scheme plain is weak\n");
    assert_eq!(weak.done(), "matches (plain)\n");
    let damaged = verify(&["-"], "{SSHA512}x\nhunter2\n");
    assert_eq!(damaged.code, Some(1));
    let list = run(&dir, &["hash", "--list"], "").done();
    assert!(list.contains("\nblf-crypt\t-\tyes, cost=11\n"), "{list}");
    assert!(list.contains("\nplain-md5\tweak\tno\n"), "{list}");
    let cost = run(&dir, &["hash", "--cost", "4"], "hunter2\n").why();
    assert_eq!(
        cost,
        "nginx-mail-auth: argon2id has no cost; it has memory, rounds, lanes\n"
    );
}
