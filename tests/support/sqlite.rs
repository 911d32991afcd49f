//! Database files of SQLite.

use crate::support::temp_dir::TempDir;

/// Makes the database file `users.db`.
pub(crate) fn sqlite(dir: &TempDir, sql: &str) -> String {
    let file = dir.path().join("users.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    database.execute_batch(sql).unwrap();
    file.display().to_string()
}

pub(crate) const QUERY: &str = "SELECT password FROM users WHERE login = {login}";

pub(crate) const TABLE: &str = "CREATE TABLE users (login TEXT PRIMARY KEY, password TEXT);";

pub(crate) fn with_user(dir: &TempDir, login: &str) -> String {
    sqlite(
        dir,
        &format!("{TABLE} INSERT INTO users VALUES ('{login}', '{{PLAIN}}right');"),
    )
}
