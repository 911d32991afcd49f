//! `throttle list` and `throttle clear`.

use crate::support::throttle_commands::*;

use crate::support::throttled::*;

#[test]
fn of_an_sqlite_file() {
    lists_and_clears(&Cgi::new(&config("state = \"sqlite:state.db\"")));
}

#[test]
fn a_failed_list_is_reported() {
    let memory = Cgi::new(&config(""));
    let (code, _, said) = run(&memory.0, &["throttle", "list"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("the counts are in the memory of the server"),
        "{said}"
    );
    let text = config("");
    let none = Cgi::new(text.split("[throttle]").next().unwrap());
    let (code, _, said) = run(&none.0, &["throttle", "clear"]);
    assert_eq!(
        (code, said.as_str()),
        (1, "nginx-mail-auth: there is no [throttle]\n")
    );
    let broken = Cgi::new("[throttle]\nstate = \"disk\"");
    let (code, _, said) = run(&broken.0, &["throttle", "list"]);
    assert_eq!(code, 78);
    assert!(
        said.contains("auth.toml:2:9: throttle.state: must be \"memory\""),
        "{said}"
    );
}
