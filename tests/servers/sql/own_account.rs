//! The program's own user at a database: a password of it that was refused rests.

use std::fs;

use crate::support::databases::{Engine, Kind};
use crate::support::sql_service::{Ask, Service, TEMPORARY, command, folder, users};

#[test]
fn a_user_that_a_database_refuses_is_tried_once() {
    for (kind, user, words) in [
        (
            Kind::Postgres,
            "stranger",
            "authentication failed for user \"stranger\"",
        ),
        (
            Kind::MariaDb,
            "stranger",
            "Access denied for user 'stranger'",
        ),
    ] {
        let engine = Engine::shared(kind);
        let url = engine
            .url("postgres")
            .replace("//mail:", &format!("//{user}:"));
        let query = "SELECT 'x' AS password FROM users WHERE login = {login}";
        let config = users(&url, query, "");
        let refusals = || {
            let log = fs::read_to_string(engine.path("log")).unwrap();
            log.lines().filter(|line| line.contains(words)).count()
        };
        let before = refusals();
        let service = Service::start(&config);
        for _ in 0..10 {
            let reply = service.ask(&Ask::new("alice", "right"));
            assert_eq!(reply.answer, TEMPORARY, "{}", reply.line);
            assert!(
                reply
                    .line
                    .contains("the database refuses the login of this program"),
                "{}",
                reply.line
            );
        }
        assert_eq!(refusals() - before, 1, "{kind:?}");
        let log = service.log();
        let told = |line: &&str| {
            line.contains("the database refuses the login of this program")
                && !line.contains(" cause=")
        };
        assert!((1..=2).contains(&log.lines().filter(told).count()), "{log}");
        let checked = command(&folder(&config), &["check"]);
        assert_eq!(checked.status.code(), Some(78));
        assert_eq!(refusals() - before, 2, "{kind:?}");
    }
}
