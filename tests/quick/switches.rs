//! The switches of a user in a password file: disabled with a reason, protocols, networks, expiry.

use crate::support::cgi;
use crate::support::user_command::{ONE_FILE, run, with};

const USERS: &str = "\
off:{PLAIN}hunter2::::::nologin
left:{PLAIN}hunter2::::::nologin=left_in_may
told:{PLAIN}hunter2::::::nologin=y reason=see_ticket_7
reason:{PLAIN}hunter2::::::reason=none
imap:{PLAIN}hunter2::::::protocols=imap
two:{PLAIN}hunter2::::::protocols=POP3,smtp host=192.0.2.9
net:{PLAIN}hunter2::::::allow_nets=198.51.100.0/24
past:{PLAIN}hunter2::::::expires=2020-01-31
future:{PLAIN}hunter2::::::expires=2999-01-31T12:00:00Z
never:{PLAIN}hunter2::::::expires=9999-12-31
all:{PLAIN}hunter2::::::protocols=imap allow_nets=192.0.2.0/24 expires=2999-01-31
bad-protocols:{PLAIN}hunter2::::::protocols=http
no-protocols:{PLAIN}hunter2::::::protocols=
bad-end:{PLAIN}hunter2::::::expires=soon
milliseconds:{PLAIN}hunter2::::::expires=1801440000000
twice:{PLAIN}hunter2::::::protocols=imap protocols=pop3
misspelt:{PLAIN}hunter2::::::protocol=imap
";

const APPS: &str =
    "past:{PLAIN}hunter2-app:phone\nimap:{PLAIN}hunter2-app:phone:protocols=pop3,imap\n";

#[test]
fn each_switch_is_obeyed_with_the_right_password_and_hidden_with_a_wrong_one() {
    let dir = with(ONE_FILE);
    dir.write("users", USERS);
    dir.write("apps", APPS);
    let ask = |login: &str, password: &str, protocol: &str| {
        let (answer, log) = cgi::ask(
            &dir,
            &[
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", password),
                ("HTTP_AUTH_PROTOCOL", protocol),
                ("HTTP_CLIENT_IP", "192.0.2.7"),
            ],
        );
        (answer, log)
    };
    let (unusable, expired) = (
        "unusable-entry",
        "disabled detail=\"the account has expired\"",
    );
    for (login, protocol, cause) in [
        ("off", "imap", "disabled ms="),
        ("left", "imap", "disabled detail=\"left_in_may\""),
        ("told", "imap", "disabled detail=\"see_ticket_7\""),
        ("reason", "imap", "accepted"),
        ("imap", "imap", "accepted"),
        ("imap", "pop3", "protocol-not-allowed"),
        ("two", "imap", "protocol-not-allowed"),
        ("two", "smtp", "accepted"),
        ("net", "imap", "network-not-allowed"),
        ("past", "imap", expired),
        ("future", "imap", "accepted"),
        ("never", "imap", "accepted"),
        ("all", "imap", "accepted"),
        ("all", "smtp", "protocol-not-allowed"),
        ("bad-protocols", "imap", unusable),
        ("no-protocols", "imap", unusable),
        ("bad-end", "imap", unusable),
        ("milliseconds", "imap", unusable),
        ("twice", "imap", unusable),
        ("misspelt", "imap", unusable),
    ] {
        let (answer, log) = ask(login, "hunter2", protocol);
        assert!(log.contains(&format!("cause={cause}")), "{login}: {log}");
        let accepted = cause == "accepted";
        assert_eq!(answer.contains("Auth-Server"), accepted, "{answer}");
        // The client learns nothing.
        assert!(
            accepted || answer == ask("nobody", "hunter2", protocol).0,
            "{answer}"
        );
        let (_, log) = ask(login, "wrong", protocol);
        let hidden = [unusable, "wrong-password"];
        assert!(
            hidden
                .iter()
                .any(|cause| log.contains(&format!("cause={cause}"))),
            "{log}"
        );
    }
    // They hold for app passwords too.
    for (login, protocol, cause) in [
        ("past", "imap", expired),
        ("imap", "pop3", "protocol-not-allowed"),
        ("imap", "imap", "accepted"),
    ] {
        let (_, log) = ask(login, "hunter2-app", protocol);
        assert!(log.contains(&format!("cause={cause}")), "{login}: {log}");
    }
    // `user` shows them, and `route` explains them.
    let shown = run(&dir, &["user", "show", "past"], "").done();
    assert!(shown.contains("\nstate: disabled\n"), "{shown}");
    assert!(shown.contains("\nfield: expires=2020-01-31\n"), "{shown}");
    for (login, cause) in [("two", "protocol-not-allowed"), ("past", "disabled")] {
        let said = run(&dir, &["route", login], "");
        assert_eq!(said.code, Some(1));
        assert!(
            said.out.contains(&format!("refused: {cause}")),
            "{}",
            said.out
        );
    }
}
