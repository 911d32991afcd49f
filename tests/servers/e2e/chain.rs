//! Each way from mail client to mail server: which logins are accepted, with which mailbox, and which are refused.

use crate::support::mail_hosts::{KEY, files};
use std::fs;
use std::sync::Arc;

use crate::support::fronts::{Front, MailProxy, Way};
use crate::support::mail_clients::{Client, Outcome, Try};
use crate::support::mail_hosts::{MailHosts, greeting};
use crate::support::mail_users::{MISROUTED, PEOPLE, STRANGERS};
use crate::support::process::wait_until;

/// The text that refused clients get to see.
const REFUSED: &str = "Invalid login or password";

/// Everybody through one front.
struct Chain {
    hosts: Arc<MailHosts>,
    way: Way,
    front: Front,
    proxy: MailProxy,
}

impl Chain {
    fn start(way: Way) -> Self {
        let hosts = MailHosts::shared();
        let files = files(&hosts);
        let front = Front::start(way, &files);
        let proxy = MailProxy::start(&front, KEY);
        Self {
            hosts,
            way,
            front,
            proxy,
        }
    }

    /// Each user gets in with every client and finds the own mailbox; with a blank in the login not by
    /// SMTP.
    fn lets_people_in(&self) {
        for client in Client::ALL {
            let tries: Vec<_> = PEOPLE
                .iter()
                .enumerate()
                .map(|(number, person)| Try {
                    login: person.login,
                    password: person.password,
                    subject: format!("{:?}-{client:?}-{number}", self.way),
                })
                .collect();
            let outcomes = self.run(client, &tries);
            for ((person, outcome), one) in PEOPLE.iter().zip(outcomes).zip(&tries) {
                let host = &self.hosts.hosts[person.at];
                let who = format!("{client:?} as {}", person.login.escape_ascii());
                // nginx would write the blank into XCLIENT.
                if client.protocol() == "smtp" && person.login.contains(&b' ') {
                    assert!(matches!(outcome, Outcome::Out(_)), "{who}: {outcome:?}");
                    continue;
                }
                let Outcome::In(message) = outcome else {
                    panic!("{who}: {outcome:?}; {}", self.front.logged());
                };
                if client.protocol() == "smtp" {
                    let sender = format!(
                        "(Authenticated sender: {})",
                        String::from_utf8_lossy(person.login)
                    );
                    let what = format!("the message of {who} at {}", host.name);
                    wait_until(&what, || {
                        sent_messages(host).any(|message| message.contains(&one.subject))
                    });
                    let message = sent_messages(host).find(|text| text.contains(&one.subject));
                    let message = message.unwrap();
                    // Postfix shows only what is plain in a comment.
                    if person.login.iter().all(u8::is_ascii_alphanumeric) {
                        assert!(message.contains(&sender), "{who}: {message}");
                    }
                } else {
                    let expected = greeting(host.name, person);
                    assert!(message.contains(&expected), "{who}: {message:?}");
                }
            }
        }
    }

    /// Nobody else gets in, and the program says so itself.
    fn keeps_strangers_out(&self) {
        for client in Client::ALL {
            let tries = STRANGERS.map(|(login, password)| Try {
                login,
                password,
                subject: "from-a-stranger".into(),
            });
            let outcomes = self.run(client, &tries);
            for (one, outcome) in tries.iter().zip(outcomes) {
                let who = format!("{client:?} as {}", one.login.escape_ascii());
                let Outcome::Out(reason) = outcome else {
                    panic!("{who} was let in: {outcome:?}");
                };
                let shown = !client.shows_reason() || reason.contains(REFUSED);
                assert!(shown, "{who}: {reason}");
            }
        }
    }

    /// The mail servers really are two: each refuses the other's users.
    fn the_wrong_mail_server_refuses(&self) {
        for client in Client::ALL {
            let one = Try {
                login: MISROUTED.login,
                password: MISROUTED.password,
                subject: "misrouted".into(),
            };
            let outcomes = self.run(client, &[one]);
            let [Outcome::Out(reason)] = outcomes.as_slice() else {
                panic!("{client:?}: {outcomes:?}");
            };
            assert!(!reason.contains(REFUSED), "{client:?}: {reason}");
        }
    }

    fn run(&self, client: Client, tries: &[Try<'_>]) -> Vec<Outcome> {
        let port = self.proxy.port(client.protocol());
        client.run(port, tries, self.front.folder.path())
    }

    /// One line for each decision, and no password in any.
    fn logs_decisions_and_no_password(&self) {
        let log = self.front.logged();
        for (login, protocol, cause) in [
            ("alice", "imap", "accepted"),
            ("alice", "pop3", "accepted"),
            ("alice", "smtp", "accepted"),
            ("alice", "imap", "wrong-password"),
            ("nobody", "smtp", "unknown-user"),
            (r"m\xfcller", "pop3", "accepted"),
        ] {
            let found = log.lines().any(|line| {
                let login = format!("login=\"{login}\" protocol={protocol} client=127.0.0.1 ");
                line.contains(&login) && line.contains(&format!(" cause={cause}"))
            });
            // Apache escapes backslashes of CGI programs' stderr once more.
            let escaped = login.replace('\\', r"\\");
            let again = log
                .lines()
                .any(|line| line.contains(&escaped) && line.contains(&format!("cause={cause}")));
            assert!(
                found || again,
                "no {cause} of {login} with {protocol}: {log}"
            );
        }
        let passwords = PEOPLE.iter().map(|person| person.password);
        for password in passwords.chain(STRANGERS.map(|(_, password)| password)) {
            // As typed, as nginx escapes it, and as logs escape it.
            let typed = String::from_utf8_lossy(password).into_owned();
            let sent = typed.replace('%', "%25").replace(' ', "%20");
            for form in [typed, sent, password.escape_ascii().to_string()] {
                assert!(!log.contains(&form), "the log has the password {form}");
            }
        }
        assert!(!log.contains(KEY), "the log has the key");
    }
}

/// What Postfix has delivered at this host.
fn sent_messages(host: &crate::support::mail_hosts::MailHost) -> impl Iterator<Item = String> {
    let files = fs::read_dir(host.sent.join("new")).into_iter().flatten();
    files.map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into())
}

fn the_whole_chain(way: Way) {
    let chain = Chain::start(way);
    chain.lets_people_in();
    chain.keeps_strangers_out();
    chain.the_wrong_mail_server_refuses();
    chain.logs_decisions_and_no_password();
}

#[test]
fn through_apache_with_mod_cgid() {
    the_whole_chain(Way::Cgid);
}

#[test]
fn through_apache_with_mod_fcgid() {
    the_whole_chain(Way::Fcgid);
}

#[test]
fn through_apache_with_mod_proxy_fcgi() {
    the_whole_chain(Way::ProxyFcgi);
}

#[test]
fn through_nginx_with_fastcgi_pass() {
    the_whole_chain(Way::Nginx);
}
