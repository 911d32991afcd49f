//! The configuration as it is written: every key, what it means, and its default.
//!
//! Nothing here is checked but the types; [`super::check`] does the rest. Numbers are `i64`, as
//! TOML has them, so that one out of range gets our words.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

mod mail_servers;
mod users;

pub(super) use mail_servers::{
    Address, AddressEntry, Host, HostEntry, Move, Ports, Probes, Routes,
};
pub(super) use users::Users;

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) nginx: Nginx,
    /// Where users come from, asked in this order; the first that knows a login decides.
    pub(super) users: Vec<Spanned<Users>>,
    pub(super) logins: Logins,
    pub(super) master: Master,
    pub(super) external: External,
    pub(super) inbound: Inbound,
    pub(super) oauth: OAuth,
    pub(super) routes: Routes,
    /// Mail servers by name.
    pub(super) hosts: BTreeMap<Spanned<String>, Spanned<HostEntry>>,
    /// Users on their way from one host to another.
    pub(super) moves: BTreeMap<Spanned<String>, Spanned<Move>>,
    pub(super) probes: Probes,
    pub(super) ports: Ports,
    pub(super) messages: Messages,
    pub(super) answers: Answers,
    pub(super) fastcgi: FastCgi,
    pub(super) limits: Limits,
    /// Without it passwords can be guessed as fast as the stores answer.
    pub(super) throttle: Option<Spanned<Throttle>>,
    pub(super) process: Process,
    pub(super) log: Log,
}

/// `[nginx]`: who may ask.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Nginx {
    /// What every request must show in the header `key-header` (`auth_http_header X-Auth-Key …`).
    /// Default: nothing is asked for.
    pub(super) key: Option<Spanned<String>>,
    /// The same while the key is changed: any of these will do.
    pub(super) keys: Option<Spanned<Vec<Spanned<String>>>>,
    /// A file with that key in its first line, and others in the following; those that begin with
    /// `#` are comments. Only one of the three.
    pub(super) key_file: Option<Spanned<String>>,
    /// The header that holds the key: letters, digits and hyphens. Default: "X-Auth-Key".
    pub(super) key_header: Spanned<String>,
    /// Where requests may come from: addresses and networks, and `unix`.
    ///
    /// What is compared is what nobody can make up: over TCP the address that connects; for a Unix
    /// socket that we serve only whether `unix` is listed, as whoever may write to it is a front;
    /// and under CGI and mod_fcgid, where the web server is the one that started us, REMOTE_ADDR,
    /// which is who asked it. With a key, both are asked for. Default: anywhere.
    pub(super) allowed_fronts: Option<Spanned<Vec<Spanned<String>>>>,
}

impl Default for Nginx {
    fn default() -> Self {
        Self {
            key: None,
            keys: None,
            key_file: None,
            key_header: unplaced(crate::nginx::request::KEY_HEADER.to_owned()),
            allowed_fronts: None,
        }
    }
}

/// `[logins]`: what is made of a login before anybody is asked about it, in the order of the keys.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Logins {
    /// Whether blanks at the start and the end are dropped. Default: false.
    pub(super) trim: bool,
    /// Whether upper case ASCII letters become lower case. Default: false.
    pub(super) lower_case: bool,
    /// `"alias.example" = "example.org"`.
    pub(super) domain_aliases: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Domains that are cut off, together with the `@`. Default: none.
    pub(super) strip_domains: Vec<Spanned<String>>,
    /// The domain of logins that have none. Default: they stay as they are.
    pub(super) default_domain: Option<Spanned<String>>,
    /// `"sales@example.org" = "alice@example.org"`.
    pub(super) aliases: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// `[master]`: logins such as `alice*support`, with the password of `support`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Master {
    /// What stands between user and master. Default: "*".
    pub(super) separator: Spanned<String>,
    /// The password file of the masters. Default: there are none.
    pub(super) path: Option<Spanned<String>>,
    /// Whether hashes that are fast to guess are taken too. Default: false.
    pub(super) allow_weak_schemes: bool,
}

impl Default for Master {
    fn default() -> Self {
        Self {
            separator: unplaced("*".to_owned()),
            path: None,
            allow_weak_schemes: false,
        }
    }
}

/// `[external]`: clients that show a certificate.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct External {
    /// What in the certificate is the login: `common-name`, `email`, `subject`. Default: such
    /// clients are refused.
    pub(super) login: Option<Spanned<String>>,
    /// The issuer that the certificate must have, as nginx writes it. Default: any that nginx
    /// trusts.
    pub(super) issuer: Option<Spanned<String>>,
}

/// `[inbound]`: mail that comes in from other servers (`smtp_auth none`).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Inbound {
    /// The domains that mail is taken for. Default: none.
    pub(super) domains: Vec<Spanned<String>>,
    /// The host that takes it. Default: that of the recipient, as if it were a login.
    pub(super) host: Option<Spanned<String>>,
    /// Whether the recipient must be a user of some store. Default: false.
    pub(super) known_users_only: Option<Spanned<bool>>,
    /// Which characters part a user from a tag. Default: none.
    pub(super) recipient_delimiter: Option<Spanned<String>>,
}

/// `[oauth]`: bearer tokens in place of passwords (`xoauth2`, `oauthbearer`).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OAuth {
    /// Where tokens are introspected (RFC 7662).
    pub(super) introspection_url: Option<Spanned<String>>,
    /// Who we are there.
    pub(super) client_id: Option<Spanned<String>>,
    /// A file whose first line is our secret there.
    pub(super) client_secret_file: Option<Spanned<String>>,
    /// Keys of signed tokens (RFC 7517); read again when it changes.
    pub(super) jwks_file: Option<Spanned<String>>,
    /// Who must have issued a token.
    pub(super) issuer: Option<Spanned<String>>,
    /// Whom it must be meant for.
    pub(super) audience: Option<Spanned<String>>,
    /// What it must allow.
    pub(super) scope: Option<Spanned<String>>,
    /// The claim that names the login. Default: "email".
    pub(super) login_claim: Option<Spanned<String>>,
    /// Certificates that are trusted in place of the system's.
    pub(super) ca_file: Option<Spanned<String>>,
    /// Introspections at the same time, 1 to 10000. Default: as for a store.
    pub(super) max_questions: Option<Spanned<i64>>,
    /// Seconds that an introspection may take, 1 to 60. Default: 4.
    pub(super) timeout: Option<Spanned<i64>>,
    /// Where a client that is refused may find out more; part of the Auth-Error-SASL.
    pub(super) configuration_url: Option<Spanned<String>>,
}

/// `[messages]`: what mail clients get to see. One line of at most 200 bytes, neither `OK` nor
/// `WAIT`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Messages {
    /// For every login that is refused, whatever the reason.
    pub(super) refused: Spanned<String>,
    /// Where the fault is ours, and the client should keep its password and come again.
    pub(super) temporary: Spanned<String>,
}

impl Default for Messages {
    fn default() -> Self {
        use crate::nginx::answer::Messages;
        Self {
            refused: unplaced(Messages::REFUSED.to_owned()),
            temporary: unplaced(Messages::TEMPORARY.to_owned()),
        }
    }
}

/// `[answers]`: whether a client may try again on its connection.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Answers {
    /// Seconds that nginx holds a refusal back before the client may try again, at most 60.
    /// Default: 0, nginx closes the connection.
    pub(super) retry_wait: Spanned<i64>,
    /// The attempt after which nginx closes the connection all the same, 1 to 1000. Default: 10.
    pub(super) max_attempts: Spanned<i64>,
    /// Whether refusals start with the codes that mail clients act on (RFC 5530, RFC 3206,
    /// RFC 4954). Default: false.
    pub(super) codes: bool,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            retry_wait: unplaced(0),
            max_attempts: unplaced(10),
            codes: false,
        }
    }
}

/// `[fastcgi]`: bounds of the FastCGI server.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FastCgi {
    /// Connections served at once, 1 to 10000. Default: 64.
    pub(super) max_connections: Spanned<i64>,
    /// Seconds that a kept connection may stay without a request, 1 to 3600. Default: 60.
    pub(super) idle_timeout: Spanned<i64>,
    /// Seconds that a request may take to arrive, 1 to 39: mod_fcgid waits 40. Default: 10.
    pub(super) read_timeout: Spanned<i64>,
    /// Bytes of variables in one request, 4096 to 1048576. Default: 131072.
    pub(super) max_params_bytes: Spanned<i64>,
    /// Variables in one request, 64 to 10000. Default: 512.
    pub(super) max_params: Spanned<i64>,
    /// Who may connect to a Unix socket that we make, as an octal file mode. Default: "0660".
    pub(super) socket_mode: Spanned<String>,
    /// The user that it belongs to: a name in /etc/passwd, or a number. Default: the user that the
    /// program runs as.
    pub(super) socket_owner: Option<Spanned<String>>,
    /// Its group: a name in /etc/group, or a number. Default: the program's.
    pub(super) socket_group: Option<Spanned<String>>,
}

impl Default for FastCgi {
    fn default() -> Self {
        // The transport has its own, for a server that has no configuration yet.
        let bounds = crate::front::fcgi::Limits::default();
        Self {
            max_connections: unplaced(bounds.connections as i64),
            idle_timeout: unplaced(bounds.idle_timeout.as_secs().cast_signed()),
            read_timeout: unplaced(bounds.read_timeout.as_secs().cast_signed()),
            max_params_bytes: unplaced(bounds.params_bytes as i64),
            max_params: unplaced(bounds.params_pairs as i64),
            socket_mode: unplaced("0660".to_owned()),
            socket_owner: None,
            socket_group: None,
        }
    }
}

/// `[limits]`: bounds of the work.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    /// Password hashes computed at once, at most 1024. Default: 0, as many as there are cores.
    pub(super) max_hashes: Spanned<i64>,
    /// Milliseconds of work that the hash of one password may take, by an estimate from its
    /// parameters; 1 to 10000. Default: 500.
    pub(super) max_hash_ms: Spanned<i64>,
    /// A folder in which all processes of this machine count them together. Default: each process
    /// counts its own.
    pub(super) hash_locks: Option<Spanned<String>>,
    /// Logins whose right password is remembered, as a keyed digest in memory, so that it need not
    /// be hashed again; at most 10000000. Default: 100000, 0 for none.
    pub(super) remembered_logins: Spanned<i64>,
    /// Seconds after which a decision is given up, 1 to 30. Default: 5.
    pub(super) deadline: Spanned<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_hashes: unplaced(0),
            max_hash_ms: unplaced(500),
            hash_locks: None,
            remembered_logins: unplaced(100_000),
            deadline: unplaced(5),
        }
    }
}

/// `[throttle]`: wrong passwords are counted, and guessing becomes slow.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Throttle {
    /// Where the counts are: `memory`, of a server; `sqlite:PATH`, of all processes of a machine;
    /// `redis://[USER@]HOST:PORT/DATABASE`, `rediss://…`, `redis+unix:PATH`, of several machines.
    /// Default: "memory".
    pub(super) state: Spanned<String>,
    /// Redis: a file whose first line is the password there.
    pub(super) password_file: Option<Spanned<String>>,
    /// Redis: who listens on its Unix socket, a name in /etc/passwd or a number. Default: root, the
    /// user we run as, or the owner of the socket's folder.
    pub(super) socket_user: Option<Spanned<String>>,
    /// Redis: certificates that are trusted in place of the system's.
    pub(super) ca_file: Option<Spanned<String>>,
    /// Milliseconds that the counts may take to be had, 10 to 5000. Default: 300.
    pub(super) timeout_ms: Spanned<i64>,
    /// Where the counts cannot be had: `go-on`, each process counts on its own, or `refuse`,
    /// the temporary failure. Default: "go-on".
    pub(super) without_state: Spanned<String>,
    /// Wrong passwords that nothing follows from, at most 1000. Default: 4.
    pub(super) free_failures: Spanned<i64>,
    /// Seconds that the answers to further ones are held back, each 1 to 60. After them, a login is
    /// refused from the network that they came from. Default: [2, 4, 8, 15].
    pub(super) waits: Spanned<Vec<Spanned<i64>>>,
    /// Wrong passwords after which a network is refused. Default: 30; 0 for never.
    pub(super) refuse_network: Spanned<i64>,
    /// The same for a login from wherever: then everybody can keep its owner out. Default: 0, never.
    pub(super) refuse_login: Spanned<i64>,
    /// Seconds without another wrong password after which they are forgotten, 1 to 86400. Default:
    /// 600.
    pub(super) window: Spanned<i64>,
    /// Seconds after a success in which its network is exempt for that login, at most 31536000.
    /// Default: 604800, a week.
    pub(super) exempt: Spanned<i64>,
    /// Bits that make a network, 8 to 32. Default: 32.
    pub(super) ipv4_prefix: Spanned<i64>,
    /// Bits that make a network, 16 to 128. Default: 64.
    pub(super) ipv6_prefix: Spanned<i64>,
    /// Networks that are neither slowed nor counted, such as that of a webmail. Default: none.
    pub(super) always_allow: Vec<Spanned<String>>,
    /// Whether nginx, from 1.29.7 or 1.28.3 on, can hold back answers to cram-md5 and apop: for `waits`
    /// and for `answers.retry-wait`. Default: false.
    pub(super) wait_after_digests: bool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            state: unplaced("memory".to_owned()),
            password_file: None,
            socket_user: None,
            ca_file: None,
            timeout_ms: unplaced(300),
            without_state: unplaced("go-on".to_owned()),
            free_failures: unplaced(4),
            waits: unplaced([2, 4, 8, 15].map(unplaced).into()),
            refuse_network: unplaced(30),
            refuse_login: unplaced(0),
            window: unplaced(600),
            exempt: unplaced(604_800),
            ipv4_prefix: unplaced(32),
            ipv6_prefix: unplaced(64),
            always_allow: Vec::new(),
            wait_after_digests: false,
        }
    }
}

/// `[process]`: what the server's process may still do once it has started.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Process {
    /// `on`: it shuts itself in, as far as the kernel can; `required`: it does not serve where the
    /// kernel cannot; or `off`. Not under CGI. Default: "on".
    pub(super) sandbox: Spanned<String>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            sandbox: unplaced("on".to_owned()),
        }
    }
}

/// `[log]`: what is logged.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Log {
    /// `off`, `error`, `warn`, `info` (each decision), `debug` or `trace`. Default: "info".
    pub(super) level: Spanned<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: unplaced("info".to_owned()),
        }
    }
}

/// A value that stands nowhere in the file, or whose place its surroundings know.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
