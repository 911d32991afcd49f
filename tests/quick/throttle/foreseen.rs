//! `test` and `route` say what the counts would have nginx get, and count nothing.

use crate::support::throttle_foreseen::*;

use crate::support::temp_dir::TempDir;
use crate::support::throttled::*;

#[test]
fn from_a_file() {
    let folder = TempDir::new();
    is_foreseen(&format!(
        "state = \"sqlite:{}/throttle.db\"\n",
        folder.path().display()
    ));
}

#[test]
fn nothing_is_made_or_removed_by_a_look() {
    let folder = TempDir::new();
    let file = folder.path().join("throttle.db");
    let cgi = Cgi::new(&config(&format!("state = \"sqlite:{}\"\n", file.display())));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &["throttle: no failures are counted\n", "Auth-Status: OK\n"],
    );
    assert!(!file.exists());
    let damaged = [&b"SQLite format 3\0"[..], &[7; 5000]].concat();
    std::fs::write(&file, &damaged).unwrap();
    says(
        &run(&cgi.0, &["route", "alice"], ""),
        0,
        &["throttle: the counts are unavailable: ", "throttle.db: "],
    );
    assert_eq!(std::fs::read(&file).unwrap(), damaged);
}

#[test]
fn unavailable_counts_are_reported() {
    let port = crate::support::process::free_port(std::net::Ipv4Addr::LOCALHOST);
    let state = format!("state = \"redis://127.0.0.1:{port}\"\n");
    let cannot = "throttle: the counts are unavailable: redis://127.0.0.1:";
    let cgi = Cgi::new(&config(&state));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &[cannot, "Auth-Status: OK\n"],
    );
    let refusing = config(&format!("{state}without-state = \"refuse\"\n"));
    cgi.0.write("auth.toml", refusing);
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        1,
        &[cannot, "nginx would get: the temporary failure", TEMPORARY],
    );
    says(
        &run(&cgi.0, &["route", "alice"], ""),
        1,
        &[cannot, "nginx would get: the temporary failure"],
    );
    cgi.0.write("auth.toml", config(""));
    says(
        &run(&cgi.0, &["test", "alice"], "secret-right"),
        0,
        &[
            "throttle: the counts are in the memory of the server",
            "Auth-Status: OK\n",
        ],
    );
}
