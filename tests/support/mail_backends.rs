//! Mail servers that accept every login of nginx's mail proxy, and remember who logged in.

use std::sync::{Arc, Mutex};

use crate::support::scripted_server::{Fake, Talk};

/// One server for each protocol, on 127.0.0.1.
pub(crate) struct Backends {
    servers: Vec<(&'static str, Fake)>,
    logins: Arc<Mutex<Vec<(String, String)>>>,
}

/// A dialogue with nginx; it ends with `None` when the connection does. The other argument records a login.
type Dialogue = fn(&mut Talk, &dyn Fn(&str, &str)) -> Option<()>;

impl Backends {
    pub(crate) fn start() -> Self {
        let logins = Arc::new(Mutex::new(Vec::new()));
        let talks: [(&str, Dialogue); 3] = [("imap", imap), ("pop3", pop3), ("smtp", smtp)];
        let servers = talks.map(|(protocol, talk)| {
            let logins = Arc::clone(&logins);
            let serve = move |client: &mut Talk| {
                let record = |user: &str, password: &str| {
                    let login = (user.to_owned(), password.to_owned());
                    logins.lock().unwrap().push(login);
                };
                let _ended = talk(client, &record);
            };
            (protocol, Fake::start(serve))
        });
        Self {
            servers: servers.into(),
            logins,
        }
    }

    pub(crate) fn port(&self, protocol: &str) -> u16 {
        let of_protocol = self.servers.iter().find(|(name, _)| *name == protocol);
        of_protocol.unwrap().1.port
    }

    /// Whether this user has logged in, and with this password if the protocol sends one.
    pub(crate) fn saw(&self, user: &str, password: Option<&str>) -> bool {
        let logins = self.logins.lock().unwrap();
        logins.iter().any(|(known, known_password)| {
            known == user && password.is_none_or(|password| known_password == password)
        })
    }
}

fn line(client: &mut Talk) -> Option<String> {
    let line = String::from_utf8(client.line()?).unwrap();
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// `TAG LOGIN {5}`, `alice {6}`, `secret`.
fn imap(client: &mut Talk, record: &dyn Fn(&str, &str)) -> Option<()> {
    client.say(b"* OK ready\r\n");
    assert!(line(client)?.starts_with("TAG LOGIN {"));
    client.say(b"+ OK\r\n");
    let user = line(client)?;
    client.say(b"+ OK\r\n");
    record(user.rsplit_once(" {").unwrap().0, &line(client)?);
    client.say(b"TAG OK backend\r\n");
    client.listen();
    None
}

fn pop3(client: &mut Talk, record: &dyn Fn(&str, &str)) -> Option<()> {
    client.say(b"+OK ready\r\n");
    let user = line(client)?;
    client.say(b"+OK\r\n");
    let password = line(client)?;
    record(
        user.strip_prefix("USER ").unwrap(),
        password.strip_prefix("PASS ").unwrap(),
    );
    client.say(b"+OK backend\r\n");
    client.listen();
    None
}

/// The login is in XCLIENT, and none with `smtp_auth none`: then it is the RCPT command.
fn smtp(client: &mut Talk, record: &dyn Fn(&str, &str)) -> Option<()> {
    client.say(b"220 ready\r\n");
    loop {
        let command = line(client)?;
        if let Some(arguments) = command.strip_prefix("XCLIENT ") {
            // A login may have blanks.
            let login = arguments
                .split_once("LOGIN=")
                .and_then(|(_, rest)| rest.split_once(" NAME="));
            record(login.unwrap_or_default().0, "");
            client.say(b"220 ready\r\n");
        } else {
            if command.starts_with("RCPT") {
                record(&command, "");
            }
            client.say(b"250 backend\r\n");
        }
    }
}
