//! `throttle list` and `throttle clear`.

use crate::support::temp_dir::TempDir;
use crate::support::throttled::*;

pub(crate) fn run(folder: &TempDir, words: &[&str]) -> (i32, String, String) {
    let output = program_in(folder).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Lines without their times.
pub(crate) fn lines(list: &str) -> Vec<String> {
    let known = |word: &&str| {
        !["until=", "last=", "succeeded="]
            .iter()
            .any(|key| word.starts_with(key))
    };
    list.lines()
        .map(|line| line.split(' ').filter(known).collect::<Vec<_>>().join(" "))
        .collect()
}

pub(crate) fn lists_and_clears(cgi: &Cgi) {
    assert_eq!(
        run(&cgi.0, &["throttle", "list"]),
        (0, String::new(), String::new())
    );
    cgi.fail("192.0.2.10", "alice", 8);
    cgi.fail("192.0.2.20", "bob", 5);
    cgi.log_in("2001:db8::1", "x\" network=192.0.2.1", "secret-wrong");
    cgi.log_in("192.0.2.30", "alice", "secret-right");
    let (code, list, _) = run(&cgi.0, &["throttle", "list"]);
    assert_eq!(code, 0);
    let mut all = [
        "refused failures=8 network=192.0.2.10/32 login=\"alice\"",
        "slowed wait=15 failures=8 login=\"alice\"",
        "slowed wait=15 failures=8 network=192.0.2.10/32",
        "slowed wait=2 failures=5 login=\"bob\"",
        "slowed wait=2 failures=5 network=192.0.2.20/32",
        "slowed wait=2 failures=5 network=192.0.2.20/32 login=\"bob\"",
        r#"free failures=1 login="x\" network=192.0.2.1""#,
        "free failures=1 network=2001:db8::/64",
        r#"free failures=1 network=2001:db8::/64 login="x\" network=192.0.2.1""#,
        "exempt failures=0 network=192.0.2.30/32 login=\"alice\"",
    ]
    .map(str::to_owned);
    assert_eq!(lines(&list)[0], all[0]);
    let mut listed = lines(&list);
    listed.sort();
    all.sort();
    assert_eq!(listed, all);
    let refused = list.lines().next().unwrap();
    assert!(refused.starts_with("refused until=20"), "{refused}");
    // One login is forgiven, whichever way it is written; its networks are not.
    let (code, said, _) = run(&cgi.0, &["throttle", "clear", "--login", "Alice"]);
    assert_eq!((code, said.as_str()), (0, "cleared: 3\n"));
    assert_eq!(cgi.log_in("192.0.2.10", "alice", "secret-right"), Said::In);
    // One network, by any of its addresses.
    let (_, said, _) = run(&cgi.0, &["throttle", "clear", "--network", "2001:db8::9"]);
    assert_eq!(said, "cleared: 2\n");
    let words = [
        "throttle",
        "clear",
        "--network",
        // As it is listed.
        "192.0.2.20/32",
        "--login",
        " Bob",
    ];
    assert_eq!(run(&cgi.0, &words).1, "cleared: 1\n");
    // Everything.
    assert_eq!(run(&cgi.0, &["throttle", "clear"]).0, 0);
    assert_eq!(run(&cgi.0, &["throttle", "list"]).1, "");
}
