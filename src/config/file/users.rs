//! `[[users]]`: where users come from.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// One `[[users]]`. Which keys it may have depends on `store`: [`check`](crate::config::check) has the list.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Users {
    /// `accept`, `file`, `sql`, `ldap`, `imap`, `pop3` or `http`.
    pub(in crate::config) store: Option<Spanned<String>>,
    /// What the log and the commands call it. Default: the word in `store`.
    pub(in crate::config) name: Option<Spanned<String>>,
    /// The domains whose logins it is asked about; `""` stands for logins without one. Default:
    /// all.
    pub(in crate::config) domains: Option<Spanned<Vec<Spanned<String>>>>,
    /// What follows a wrong password: `stop`, the login is refused, or `next`, the next store is
    /// asked. Default: "stop".
    pub(in crate::config) wrong: Option<Spanned<String>>,
    /// What follows where the store cannot say: `stop`, the temporary failure, or `next`.
    /// Default: "stop".
    pub(in crate::config) trouble: Option<Spanned<String>>,
    /// `file`: the password file, in the form of Dovecot's passwd-file or of htpasswd; with `{domain}` in it, one
    /// for each domain.
    pub(in crate::config) path: Option<Spanned<String>>,
    /// `file`: a file with further passwords of the same logins.
    pub(in crate::config) app_passwords_path: Option<Spanned<String>>,
    /// `file`, `sql`, `ldap`: whether hashes that are fast to guess are taken too. Default: false.
    pub(in crate::config) allow_weak_schemes: Option<Spanned<bool>>,
    /// `file`, `sql`, `ldap`: the scheme of stored passwords that name none, such as "SHA512-CRYPT".
    pub(in crate::config) default_scheme: Option<Spanned<String>>,
    /// `sql`, `imap`, `pop3`, `http`: where it is.
    pub(in crate::config) url: Option<Spanned<String>>,
    /// `ldap`: where it is; the first that answers is asked.
    pub(in crate::config) urls: Option<Spanned<Vec<Spanned<String>>>>,
    /// `sql`: a file whose first line is the password of the URL's user.
    pub(in crate::config) password_file: Option<Spanned<String>>,
    /// `sql`: the statement that gives one row for a login.
    pub(in crate::config) query: Option<Spanned<String>>,
    /// `sql`: the statement that gives the app passwords of a login.
    pub(in crate::config) app_passwords_query: Option<Spanned<String>>,
    /// `sql`: `off`, `prefer`, `require` or `verify`. Default: "verify", but "off" on this machine.
    pub(in crate::config) tls: Option<Spanned<String>>,
    /// `sql`: the public key of a MySQL server, by which it gets the password without TLS.
    pub(in crate::config) server_public_key_file: Option<Spanned<String>>,
    /// All stores that ask a server: who listens on its Unix socket, a name in /etc/passwd or a
    /// number. Default: root, the user we run as, or the owner of the socket's folder.
    pub(in crate::config) socket_user: Option<Spanned<String>>,
    /// `ldap`, `imap`, `pop3`: whether an unencrypted connection is upgraded before it is used.
    /// Default: false.
    pub(in crate::config) starttls: Option<Spanned<bool>>,
    /// Certificates, in PEM form, that are trusted in place of the system's; `sql`: besides them.
    pub(in crate::config) ca_file: Option<Spanned<String>>,
    /// Connections at once, 1 to 1000. Default: 4.
    pub(in crate::config) connections: Option<Spanned<i64>>,
    /// All stores that ask a server: logins that wait for its answer at the same time, 1 to 10000;
    /// more get the temporary failure at once. Default: such an even share of
    /// `fastcgi.max-connections` that one more is left over for all other logins.
    pub(in crate::config) max_questions: Option<Spanned<i64>>,
    /// Seconds that connecting may take, 1 to 60. Default: 2.
    pub(in crate::config) connect_timeout: Option<Spanned<i64>>,
    /// Seconds that one question may take in all, 1 to 60. Default: 4.
    pub(in crate::config) timeout: Option<Spanned<i64>>,
    /// `ldap`, `imap`, `pop3`, `http`: seconds that a right password is remembered, at most 3600.
    /// Default: 0, not at all.
    pub(in crate::config) cache: Option<Spanned<i64>>,
    /// `ldap`: `bind`, `search-bind` or `compare`.
    pub(in crate::config) auth: Option<Spanned<String>>,
    /// `ldap`: the template of a user's DN, with `{login}`, `{local}`, `{domain}`, `{protocol}` and
    /// `{client_ip}`; for Active Directory also of `user@domain` or `DOMAIN\user`.
    pub(in crate::config) user_dn: Option<Spanned<String>>,
    /// `ldap`: who searches, by DN or by a name that Active Directory knows. Default: anonymous.
    pub(in crate::config) bind_dn: Option<Spanned<String>>,
    /// `ldap`: a file whose first line is the password of `bind-dn`.
    pub(in crate::config) bind_password_file: Option<Spanned<String>>,
    /// `ldap`: where users are searched; a template too.
    pub(in crate::config) base: Option<Spanned<String>>,
    /// `ldap`: `base`, `one` or `sub`. Default: "sub".
    pub(in crate::config) scope: Option<Spanned<String>>,
    /// `ldap`: the template of the filter that finds a user.
    pub(in crate::config) filter: Option<Spanned<String>>,
    /// `ldap`: the attribute with the stored password. Default: "userPassword".
    pub(in crate::config) password_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the user's host.
    pub(in crate::config) host_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the port on it.
    pub(in crate::config) port_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the login that the mail server is to see.
    pub(in crate::config) login_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute that switches a user off, whatever its value but "FALSE".
    pub(in crate::config) nologin_attribute: Option<Spanned<String>>,
    /// `ldap`: the attribute with the networks that the user may come from.
    pub(in crate::config) allow_nets_attribute: Option<Spanned<String>>,
    /// `http`: headers that are sent along.
    pub(in crate::config) headers: Option<Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    /// `http`: a file whose first line is sent as X-Auth-Key.
    pub(in crate::config) key_file: Option<Spanned<String>>,
    /// `http`: texts of Auth-Status that mean that the other service cannot say. `imap`, `pop3`: parts of the
    /// texts by which the server says so, besides those that are known.
    pub(in crate::config) temporary: Option<Spanned<Vec<Spanned<String>>>>,
    /// `imap`, `pop3`: parts of the texts by which the server says that login and password do not fit, besides
    /// those that are known.
    pub(in crate::config) refused: Option<Spanned<Vec<Spanned<String>>>>,
}
