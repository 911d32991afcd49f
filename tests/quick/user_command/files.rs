//! Which file is changed, and what happens if it cannot be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use crate::support::temp_dir::TempDir;
use crate::support::user_command::{FAST, ONE_FILE, program, read, run, said, with};

#[test]
fn the_file_is_that_of_the_store_that_is_asked_for_the_login() {
    let store = |name: &str, more: &str| {
        format!("[[users]]\nstore = \"file\"\nname = {name:?}\npath = {name:?}\n{more}")
    };
    let dir = with(&format!(
        "{}{}{}{}[routes]\ndefault = \"192.0.2.1\"\n[master]\npath = \"masters\"\nseparator = \"*\"\n",
        store("one", "domains = [\"one.example\"]\n"),
        store("two", "domains = [\"two.example\"]\n"),
        store("three", "domains = [\"two.example\"]\n"),
        store(
            "dirs",
            "path = \"{domain}.users\"\ndomains = [\"x.example\", \"y.example\"]\n"
        )
        .replace("path = \"dirs\"\n", ""),
    ));
    let add = |words: &[&str]| run(&dir, &[&["user", "add", "--locked"], words].concat(), "");
    add(&["a@one.example"]).done();
    assert_eq!(read(&dir, "one"), "a@one.example:*\n");
    assert_eq!(
        add(&["a@two.example"]).why(),
        "nginx-mail-auth: \"a@two.example\": several stores are password files (two, three): choose \
         one with --store\n"
    );
    add(&["a@two.example", "--store", "three"]).done();
    add(&["a", "--store", "master"]).done();
    add(&["a@x.example"]).done();
    assert_eq!(read(&dir, "three"), "a@two.example:*\n");
    assert_eq!(read(&dir, "masters"), "a:*\n");
    assert_eq!(read(&dir, "x.example.users"), "a@x.example:*\n");
    for (words, why) in [
        (
            &["a@one.example", "--store", "two"][..],
            "\"a@one.example\": the store two is not asked about logins of this domain (domains)",
        ),
        (
            &["a@z.example"],
            "\"a@z.example\": no password file is asked about logins of this domain",
        ),
        (
            &["a", "--store", "four"],
            "no password file is the store \"four\"; there are: one, two, three, dirs, master",
        ),
    ] {
        assert_eq!(add(words).why(), format!("nginx-mail-auth: {why}\n"));
    }
    for outside in ["a@../../x", "a@x.example/../y", "a@"] {
        let said = add(&[outside, "--store", "dirs"]).why();
        assert!(
            said.contains("is not asked about logins of this domain"),
            "{said}"
        );
    }
    let list = run(&dir, &["user", "list"], "").why();
    assert_eq!(list, "nginx-mail-auth: two: does not exist\n");
    fs::write(dir.path().join("two"), "").unwrap();
    let list = run(&dir, &["user", "list", "--json"], "").done();
    assert_eq!(list.lines().count(), 3, "{list}");
}

#[test]
fn a_file_that_no_configuration_names_can_be_changed() {
    let dir = TempDir::new();
    let file = dir.path().join("other");
    let apps = dir.path().join("other-apps");
    let run = |words: &[&str]| {
        let options = [
            "--file".as_ref(),
            file.as_os_str(),
            "--app-file".as_ref(),
            apps.as_os_str(),
        ];
        let words: Vec<_> = words.iter().map(OsStr::new).chain(options).collect();
        run(&dir, &words, "hunter2\n")
    };
    run(&["user", "add", "Alice", FAST[0], FAST[1]]).done();
    run(&["user", "app", "add", "Alice", "phone", "--random"]).done();
    let list = run(&["user", "list"]).done();
    assert_eq!(
        list,
        "LOGIN\tSTATE\tSCHEME\tAPPS\tFIELDS\tPROBLEM\nAlice\tactive\tssha512\t1\t-\t-\n"
    );
    // A file that the configuration names is changed by its rules.
    dir.write(
        "auth.toml",
        ONE_FILE.replace("\"users\"", "\"other\"") + "[logins]\nlower-case = true\n",
    );
    run(&["user", "add", "Bob", FAST[0], FAST[1]]).done();
    assert!(read(&dir, "other").contains("\nbob:"));
    let said = run(&["user", "list"]).done();
    assert!(
        said.contains("[logins] rewrites it to \"alice\": write that"),
        "{said}"
    );
}

#[test]
fn many_processes_at_once_lose_no_user() {
    let dir = with(ONE_FILE);
    dir.write("users", "alice:*\n");
    let running: Vec<_> = (0..16)
        .map(|number| {
            let mut command = program(&dir);
            command.args(["user", "add", "--locked", &format!("user{number}")]);
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    let text = read(&dir, "users");
    let mut lines: Vec<_> = text.lines().collect();
    assert!(text.starts_with("alice:*\n"));
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 17, "{text}");
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let dir = with(ONE_FILE);
    let before = "alice:*\n".to_owned() + &"# a long comment\n".repeat(100);
    dir.write("users", &before);
    for verb in [
        &["add", "bob", "--locked"][..],
        &["lock", "alice"],
        &["passwd", "alice", "--random"],
    ] {
        // The limit of a file's size is another error of the same call as that of a full disk.
        let mut command = std::process::Command::new("sh");
        let line = "ulimit -f 1; exec \"$0\" \"$@\"";
        let program = program(&dir);
        command
            .args(["-c", line])
            .arg(program.get_program())
            .args(program.get_args());
        command.arg("user").args(verb).env_clear();
        let failed = said(&dir, &mut command, "");
        assert_eq!(
            failed.why(),
            "nginx-mail-auth: users: cannot be changed, and is as before: File too large (os error \
             27)\n"
        );
        assert_eq!(failed_out(&dir), (before.clone(), 2));
    }
}

/// The text of the password file, and the number of files in the folder.
fn failed_out(dir: &TempDir) -> (String, usize) {
    (
        read(dir, "users"),
        fs::read_dir(dir.path()).unwrap().count(),
    )
}

#[test]
fn a_link_is_followed_and_a_file_that_others_may_write_is_not_touched() {
    let dir = with(ONE_FILE);
    fs::create_dir(dir.path().join("real")).unwrap();
    dir.write("real/passwd", "alice:*\n");
    symlink("real/passwd", dir.path().join("users")).unwrap();
    run(&dir, &["user", "delete", "alice"], "").done();
    assert!(dir.path().join("users").is_symlink());
    assert_eq!(read(&dir, "real/passwd"), "# no users\n");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(dir.path().join("real/passwd"), mode).unwrap();
    };
    mode(0o662);
    let why = run(&dir, &["user", "add", "bob", "--locked"], "").why();
    assert_eq!(
        why,
        "nginx-mail-auth: users: may be written by others (mode 0662): chmod go-w\n"
    );
}
