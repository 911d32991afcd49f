//! Two mail servers: Dovecot for IMAP and POP3, Postfix for SMTP, each with its own users.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::support::mail_users::{MISROUTED, PEOPLE, Person};
use crate::support::process::{Server, free_port, ids_of, need_root, program};
use crate::support::temp_dir::TempDir;

/// The owner of all mailboxes; a user that every Debian has.
const MAIL_USER: &str = "mail";

/// One mail server.
pub(crate) struct MailHost {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) imap: u16,
    pub(crate) pop3: u16,
    pub(crate) smtp: u16,
    /// Where Postfix takes mail of other servers for mail.test, without a login.
    pub(crate) inbound: u16,
    /// Where Postfix delivers what is sent through it, a file per message.
    pub(crate) sent: PathBuf,
}

/// Both mail servers, running.
pub(crate) struct MailHosts {
    pub(crate) hosts: [MailHost; 2],
    /// Each person with what `doveadm pw` made of the password.
    pub(crate) hashes: Vec<(&'static Person, String)>,
    // The servers are ended before their files go.
    _servers: Vec<Server>,
    _folder: TempDir,
}

impl MailHosts {
    /// The servers that are running already for another test, or new ones.
    pub(crate) fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<MailHosts>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let hosts = Arc::new(Self::start());
            *running = Arc::downgrade(&hosts);
            hosts
        })
    }

    pub(crate) fn start() -> Self {
        need_root();
        let folder = TempDir::new();
        let people = PEOPLE.iter().chain([&MISROUTED]);
        let hashes: Vec<_> = people.map(|person| (person, hash(person))).collect();
        let hosts = [("mailhost01", 22), ("mailhost02", 33)].map(|(name, last)| {
            let address = Ipv4Addr::new(127, 0, 0, last);
            MailHost {
                name,
                address,
                imap: free_port(address),
                pop3: free_port(address),
                smtp: free_port(address),
                inbound: free_port(address),
                sent: folder.path().join(name).join("sent"),
            }
        });
        let mut servers = Vec::new();
        for (number, host) in hosts.iter().enumerate() {
            let home = folder.path().join(host.name);
            fs::create_dir(&home).unwrap();
            let sasl = free_port(host.address);
            host.make_mailboxes(&home, number, &hashes);
            servers.push(host.start_dovecot(&home, sasl));
            servers.push(host.start_postfix(&home, sasl));
        }
        for (server, host) in servers.chunks_mut(2).zip(&hosts) {
            server[0].wait_for_port(host.address, host.imap);
            server[0].wait_for_port(host.address, host.pop3);
            server[1].wait_for_port(host.address, host.smtp);
            server[1].wait_for_port(host.address, host.inbound);
        }
        Self {
            hosts,
            hashes,
            _servers: servers,
            _folder: folder,
        }
    }
}

/// The line of text in everybody's first message.
pub(crate) fn greeting(host: &str, person: &Person) -> String {
    let login: String = person.login.escape_ascii().to_string();
    format!("This is the mailbox of {login} at {host}")
}

impl MailHost {
    /// Dovecot's users, and a message in the mailbox of each.
    pub(crate) fn make_mailboxes(&self, home: &Path, number: usize, hashes: &[(&Person, String)]) {
        let (uid, gid) = ids_of(MAIL_USER, "base-passwd");
        let mut users = Vec::new();
        let mut folders = vec![self.sent.clone()];
        for (index, (person, hash)) in hashes.iter().enumerate() {
            if person.at != number {
                continue;
            }
            let box_folder = home.join(format!("box{index}"));
            // Dovecot looks a login up with these three escaped (str_escape).
            for byte in person.login {
                if matches!(byte, b'"' | b'\'' | b'\\') {
                    users.push(b'\\');
                }
                users.push(*byte);
            }
            writeln!(users, ":{hash}:{uid}:{gid}::{}", box_folder.display()).unwrap();
            let maildir = box_folder.join("Maildir");
            folders.extend([box_folder, maildir.clone()]);
            folders.extend(["new", "cur", "tmp"].map(|part| maildir.join(part)));
        }
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            chown(folder, Some(uid), Some(gid)).unwrap();
        }
        for (index, (person, _)) in hashes.iter().enumerate() {
            if person.at == number {
                let text = greeting(self.name, person);
                let file = home.join(format!("box{index}/Maildir/new/1.1.{}", self.name));
                fs::write(&file, format!("Subject: hello\r\n\r\n{text}\r\n")).unwrap();
                chown(&file, Some(uid), Some(gid)).unwrap();
            }
        }
        let group = ids_of("dovecot", "dovecot-core").1;
        // The second is a master who can log in as every user.
        let masters = b"proxy:{PLAIN}of-proxy::::::\n".to_vec();
        for (name, content) in [("users", users), ("masters", masters)] {
            let file = home.join(name);
            fs::write(&file, content).unwrap();
            chown(&file, None, Some(group)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        }
    }

    pub(crate) fn start_dovecot(&self, home: &Path, sasl: u16) -> Server {
        for (protocol, package) in [("imap", "dovecot-imapd"), ("pop3", "dovecot-pop3d")] {
            crate::support::process::installed(&format!("/usr/lib/dovecot/{protocol}"), package);
        }
        let config = DOVECOT
            .replace("HOME", &home.display().to_string())
            .replace("ADDRESS", &self.address.to_string())
            .replace("IMAP_PORT", &self.imap.to_string())
            .replace("POP3_PORT", &self.pop3.to_string())
            .replace("SASL_PORT", &sasl.to_string());
        let file = home.join("dovecot.conf");
        fs::write(&file, config).unwrap();
        Server::start(
            Command::new(program("dovecot", "dovecot-core"))
                .args(["-F", "-c"])
                .arg(file),
            home.join("dovecot.out"),
        )
    }

    /// Without the script `postfix start`, which wants to know every instance in /etc/postfix.
    pub(crate) fn start_postfix(&self, home: &Path, sasl: u16) -> Server {
        let (uid, _) = ids_of("postfix", "postfix");
        let (mail, mail_group) = ids_of(MAIL_USER, "base-passwd");
        let [config, queue, data] = ["postfix", "queue", "data"].map(|name| home.join(name));
        for folder in [&config, &queue, &data] {
            fs::create_dir(folder).unwrap();
        }
        chown(&data, Some(uid), None).unwrap();
        fs::create_dir(queue.join("pid")).unwrap();
        for name in QUEUES {
            fs::create_dir(queue.join(name)).unwrap();
            chown(queue.join(name), Some(uid), None).unwrap();
        }
        let main = POSTFIX_MAIN
            .replace("HOME", &home.display().to_string())
            .replace("NAME", self.name)
            .replace("SASL", &format!("{}:{sasl}", self.address))
            .replace("UID", &mail.to_string())
            .replace("GID", &mail_group.to_string());
        let listener = format!(
            "{address}:{} inet n - n - - smtpd\n{address}:{} inet n - n - - smtpd{INBOUND}\n",
            self.smtp,
            self.inbound,
            address = self.address
        );
        fs::write(config.join("main.cf"), main).unwrap();
        fs::write(config.join("master.cf"), listener + POSTFIX_MASTER).unwrap();
        Server::start(
            Command::new(program("master", "postfix"))
                .arg("-c")
                .arg(config)
                .arg("-d"),
            home.join("postfix.out"),
        )
    }
}

/// What `doveadm pw` makes of a password, which it asks for twice.
fn hash(person: &Person) -> String {
    let mut child = Command::new(program("doveadm", "dovecot-core"))
        .args(["pw", "-s", person.scheme])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let twice = [person.password, b"\n", person.password, b"\n"].concat();
    child.stdin.take().unwrap().write_all(&twice).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "doveadm pw: {output:?}");
    let hash = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert!(hash.starts_with('{'), "doveadm pw: {hash}");
    hash
}

const DOVECOT: &str = "\
base_dir = HOME/dovecot
state_dir = HOME/dovecot
log_path = HOME/dovecot.log
protocols = imap pop3
listen = ADDRESS
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %u
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:~/Maildir
auth_master_user_separator = *
passdb {
  driver = passwd-file
  args = HOME/masters
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = username_format=%u HOME/users
}
userdb {
  driver = passwd-file
  args = username_format=%u HOME/users
}
service imap-login {
  inet_listener imap {
    port = IMAP_PORT
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = POP3_PORT
  }
  inet_listener pop3s {
    port = 0
  }
}
service auth {
  inet_listener {
    address = ADDRESS
    port = SASL_PORT
  }
}
# Several seconds of waiting after a few wrong passwords from one address.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
";

/// The folders of Postfix's queue that its daemons work in.
const QUEUES: [&str; 13] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
    "private", "public", "saved", "trace",
];

const POSTFIX_MAIN: &str = "\
compatibility_level = 3.6
queue_directory = HOME/queue
data_directory = HOME/data
maillog_file = HOME/postfix.log
maillog_file_prefixes = HOME
myhostname = NAME.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_delay_reject = no
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:SASL
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
virtual_mailbox_domains = mail.test
virtual_mailbox_base = HOME
virtual_mailbox_maps = static:sent/
virtual_minimum_uid = 1
virtual_uid_maps = static:UID
virtual_gid_maps = static:GID
";

/// What a listener for mail of other servers has of its own.
const INBOUND: &str = " -o smtpd_sasl_auth_enable=no \
-o smtpd_relay_restrictions=reject_unauth_destination \
-o smtpd_recipient_restrictions=reject_unauth_destination";

const POSTFIX_MASTER: &str = "\
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error    unix - - n - - error
retry    unix - - n - - error
virtual  unix - n n - - virtual
anvil    unix - - n - 1 anvil
postlog  unix-dgram n - n - 1 postlogd
";

/// What nginx sends as X-Auth-Key.
pub(crate) const KEY: &str = "a key of the tests";

/// The configuration and the password file of the program.
pub(crate) fn files(hosts: &MailHosts) -> [(&'static str, Vec<u8>); 2] {
    let mut config = format!(
        "[nginx]\n\
         key = \"{KEY}\"\n\
         [[users]]\n\
         store = \"file\"\n\
         path = \"users\"\n\
         [routes]\n\
         default = \"mailhost02\"\n\
         [routes.first-letter]\n\
         acfg = \"mailhost01\"\n\
         [hosts]\n"
    );
    for host in &hosts.hosts {
        config += &format!(
            "{} = {{ address = \"{}\", imap = {}, pop3 = {}, smtp = {} }}\n",
            host.name, host.address, host.imap, host.pop3, host.smtp
        );
    }
    let mut users = Vec::new();
    for (person, hash) in &hosts.hashes {
        users.extend_from_slice(person.login);
        users.extend_from_slice(format!(":{hash}::::::{}\n", person.extra).as_bytes());
    }
    [("auth.toml", config.into_bytes()), ("users", users)]
}
