//! Users from a database and from a mail server's masters: through nginx to the mailbox.

use std::fs;
use std::process::Command;

use crate::support::fronts::{Front, MailProxy, Way};
use crate::support::mail_clients::{Client, Outcome, Try};
use crate::support::mail_hosts::KEY;
use crate::support::mail_hosts::{MailHosts, greeting};
use crate::support::mail_users::PEOPLE;
use crate::support::process::program;
use crate::support::temp_dir::TempDir;

/// The program's files: users in a database, which says the host too. `query` gives their passwords,
/// `login` what the hosts are to be logged in at by.
fn files(hosts: &MailHosts, query: &str, login: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut config = format!(
        "[nginx]\nkey = \"{KEY}\"\n\
         [[users]]\nstore = \"sql\"\nurl = \"sqlite:users.db\"\n\
         allow-weak-schemes = true\n\
         query = \"SELECT {query}, host FROM users WHERE login = {{login}}\"\n\
         [hosts]\n"
    );
    for host in &hosts.hosts {
        config += &format!(
            "{} = {{ address = \"{}\", imap = {}, pop3 = {}, smtp = {}{login} }}\n",
            host.name, host.address, host.imap, host.pop3, host.smtp
        );
    }
    vec![
        ("auth.toml", config.into_bytes()),
        ("users.db", database(hosts)),
        ("master", b"of-proxy\n".to_vec()),
    ]
}

/// The content of an SQLite file with all people.
fn database(hosts: &MailHosts) -> Vec<u8> {
    let folder = TempDir::new();
    let file = folder.path().join("users.db");
    let mut statements =
        "CREATE TABLE users (login BLOB PRIMARY KEY, password TEXT, host TEXT);\n".to_owned();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    for (person, hash) in &hosts.hashes {
        let host = hosts.hosts[person.at].name;
        // What is no UTF-8 is no text to SQLite, and is asked about as bytes.
        let mut login = format!("x'{}'", hex(person.login));
        if str::from_utf8(person.login).is_ok() {
            login = format!("CAST({login} AS TEXT)");
        }
        statements += &format!("INSERT INTO users VALUES ({login}, '{hash}', '{host}');\n");
    }
    let made = Command::new(program("sqlite3", "sqlite3"))
        .arg(&file)
        .arg(statements)
        .status()
        .unwrap();
    assert!(made.success());
    fs::read(&file).unwrap()
}

/// Everybody tries with the own password, or all with one.
fn tries(password: Option<&'static [u8]>) -> Vec<Try<'static>> {
    let all = PEOPLE.iter().map(|person| Try {
        login: person.login,
        password: password.unwrap_or(person.password),
        subject: "from-a-database".into(),
    });
    all.collect()
}

/// Everybody finds the own mailbox, by IMAP and by POP3.
fn all_get_in(hosts: &MailHosts, front: &Front, tries: &[Try<'_>]) {
    let proxy = MailProxy::start(front, KEY);
    for client in [Client::Imaplib, Client::CurlPop3] {
        let port = proxy.port(client.protocol());
        let outcomes = client.run(port, tries, front.folder.path());
        for (person, outcome) in PEOPLE.iter().zip(outcomes) {
            let expected = greeting(hosts.hosts[person.at].name, person);
            let who = person.login.escape_ascii();
            match outcome {
                Outcome::In(message) => assert!(message.contains(&expected), "{who}"),
                out => panic!("{client:?} as {who}: {out:?}; {}", front.logged()),
            }
        }
    }
}

#[test]
fn users_of_a_database_get_to_their_mailboxes() {
    let hosts = MailHosts::shared();
    let front = Front::start(Way::Fcgid, &files(&hosts, "password", ""));
    all_get_in(&hosts, &front, &tries(None));
}

/// The mail servers know other passwords than the database, and a master who may log in for all.
#[test]
fn a_master_login_gets_to_every_mailbox() {
    let hosts = MailHosts::shared();
    let login =
        ", master-login = \"proxy\", master-password-file = \"master\", master-use = \"always\"";
    let files = files(&hosts, "'{PLAIN}only-here' AS password", login);
    let front = Front::start(Way::Cgid, &files);
    all_get_in(&hosts, &front, &tries(Some(b"only-here")));
    let proxy = MailProxy::start(&front, KEY);
    let port = proxy.port("imap");
    for outcome in Client::Imaplib.run(port, &tries(None), front.folder.path()) {
        assert!(matches!(outcome, Outcome::Out(_)), "{outcome:?}");
    }
}
