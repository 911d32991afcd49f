//! `store = "sql"`: the keys of databases.

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use {
    super::Users,
    crate::config::FileUse,
    crate::config::checker::Checker,
    crate::sys::trusted_file::{Secrecy, read_trusted, warnings_of_secret},
    crate::users::placeholder::Placeholder,
    crate::users::sql::row::SecretRules,
    crate::users::sql::server::{Address, DatabasePassword, Server, Tls},
    crate::users::sql::server_key::ServerKey,
    crate::users::sql::statement::{Dialect, Statement},
    crate::users::sql::url::{Family, ServerUrl, Url},
    crate::users::sql::{Kind, Settings},
    std::net::IpAddr,
    std::ops::Range,
    std::path::PathBuf,
    std::time::Duration,
    zeroize::Zeroizing,
};

/// The keys of this store only.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Keys {
    /// A file whose first line is the password of the URL's user.
    pub(super) password_file: Option<Spanned<String>>,
    /// The statement that returns one row for a login.
    pub(super) query: Option<Spanned<String>>,
    /// The statement that returns the app passwords of a login.
    pub(super) app_passwords_query: Option<Spanned<String>>,
    /// The TLS mode: `off`, `prefer`, `require` or `verify`. Default: "verify", but "off" on this machine.
    pub(super) tls: Option<Spanned<String>>,
    /// The public key of a MySQL server, which encrypts the password without TLS.
    pub(super) server_public_key_file: Option<Spanned<String>>,
}

#[cfg(feature = "servers")]
impl Checker<'_> {
    pub(super) fn sql(&mut self, span: &Range<usize>, users: &Users) -> Option<Settings> {
        let [connect_timeout, timeout, _] = self.times(users);
        let kind = self.sql_kind(span, users, timeout);
        // Without a URL, the SQL dialect of the statements is unknown.
        let dialect = kind.as_ref().map(|kind| match kind {
            Kind::Sqlite(_) => Dialect::Sqlite,
            Kind::Postgres(_) => Dialect::Postgres,
            Kind::Mysql(_) => Dialect::Mysql,
        });
        if users.sql.query.is_none() {
            self.report(span, "users.query", "is missing");
        }
        let query = self.statement("query", users.sql.query.as_ref(), dialect);
        if let Some(query) = &query {
            self.warn_of_local(users, query);
        }
        let app_passwords = self.statement(
            "app-passwords-query",
            users.sql.app_passwords_query.as_ref(),
            dialect,
        );
        let default_scheme = self.default_scheme(users);
        Some(Settings {
            kind: kind?,
            query: query?,
            app_passwords,
            reading: SecretRules {
                accepted: self.accepted(users),
                default_scheme,
            },
            connections: self.connections(users).get(),
            connect_timeout,
            timeout,
        })
    }

    /// Warns about `{local}` alone, which is the same for all domains.
    fn warn_of_local(&mut self, users: &Users, query: &Statement) {
        let of_whole = |it| matches!(it, Placeholder::Login | Placeholder::Domain);
        if query.asks(of_whole) || users.common.domains.is_some() {
            return;
        }
        let span = users.sql.query.as_ref().map_or(0..0, Spanned::span);
        let message =
            "takes {local} with whatever domain: list the domains, or ask for {domain} too";
        self.warn(&span, "users.query", message);
    }

    fn statement(
        &mut self,
        key: &str,
        text: Option<&Spanned<String>>,
        dialect: Option<Dialect>,
    ) -> Option<Statement> {
        let text = text?;
        Statement::parse(text.get_ref(), dialect?)
            .map_err(|flaw| self.report_flaw(&format!("users.{key}"), text, &flaw))
            .ok()
    }

    fn sql_kind(&mut self, span: &Range<usize>, users: &Users, timeout: Duration) -> Option<Kind> {
        const KEY: &str = "users.url";
        let Some(url) = &users.address.url else {
            self.report(span, KEY, "is missing");
            return None;
        };
        match Url::parse(url.get_ref()) {
            Err(what) => {
                self.report(&url.span(), KEY, what);
                None
            }
            Ok(Url::Sqlite(path)) => Some(Kind::Sqlite(self.sqlite(users, url, &path))),
            Ok(Url::Server(parts)) => {
                let family = parts.family;
                let server = self.sql_server(users, url, parts, timeout);
                Some(match family {
                    Family::Postgres => Kind::Postgres(server),
                    Family::Mysql => Kind::Mysql(server),
                })
            }
        }
    }

    fn sqlite(&mut self, users: &Users, url: &Spanned<String>, path: &str) -> PathBuf {
        let network = [
            (
                "password-file",
                users.sql.password_file.as_ref().map(Spanned::span),
            ),
            ("tls", users.sql.tls.as_ref().map(Spanned::span)),
            (
                "socket-user",
                users.connection.socket_user.as_ref().map(Spanned::span),
            ),
            (
                "ca-file",
                users.connection.ca_file.as_ref().map(Spanned::span),
            ),
            (
                "server-public-key-file",
                users.sql.server_public_key_file.as_ref().map(Spanned::span),
            ),
            (
                "connect-timeout",
                users.connection.connect_timeout.as_ref().map(Spanned::span),
            ),
        ];
        for (key, position) in network {
            if let Some(position) = position {
                self.report(&position, &format!("users.{key}"), "SQLite has no such key");
            }
        }
        let path = self.beside(path);
        self.name("users.url", &url.span(), &path, FileUse::Read);
        // In WAL mode, reading also writes the -shm file beside the database.
        if let Some(folder) = path.parent() {
            self.name("users.url", &url.span(), folder, FileUse::Write);
        }
        self.warnings.extend(warnings_of_secret(&path));
        path
    }

    fn sql_server(
        &mut self,
        users: &Users,
        url: &Spanned<String>,
        parts: ServerUrl,
        timeout: Duration,
    ) -> Server {
        let family = parts.family;
        let port = parts.port.unwrap_or(family.default_port());
        let here = parts.host.as_deref().is_none_or(is_this_machine);
        let address = match (parts.host, parts.socket) {
            (Some(host), _) => Address::Tcp(host, port),
            (None, socket) => Address::Unix(PathBuf::from(socket.unwrap_or_default()), port),
        };
        let words = [
            ("verify", Tls::Verify),
            ("off", Tls::Off),
            ("prefer", Tls::Prefer),
            ("require", Tls::Require),
        ];
        let tls = users
            .sql
            .tls
            .as_ref()
            .and_then(|tls| self.word("users.tls", tls, &words))
            .unwrap_or(if here { Tls::Off } else { Tls::Verify });
        if let (Some(key), Address::Unix(..)) = (&users.sql.tls, &address)
            && tls != Tls::Off
        {
            let message = "a Unix socket needs no TLS, and has none";
            self.report(&key.span(), "users.tls", message);
        }
        if let Some(file) = &users.connection.ca_file
            && tls != Tls::Verify
        {
            let message = "has an effect only with tls = \"verify\"";
            self.report(&file.span(), "users.ca-file", message);
        }
        let of_use = family == Family::Mysql && tls == Tls::Off;
        let server_key = users
            .sql
            .server_public_key_file
            .as_ref()
            .and_then(|file| self.server_key(file, of_use));
        let socket_user = self.socket_user(users, matches!(address, Address::Unix(..)));
        if matches!(tls, Tls::Off | Tls::Prefer) && !here {
            let position = users.sql.tls.as_ref().map_or(url.span(), Spanned::span);
            let message = "password hashes are sent over the network unencrypted";
            self.warn(&position, "users.tls", message);
        }
        // PostgreSQL's SCRAM proves that the server knows the password.
        let shows_itself = tls == Tls::Verify
            || family == Family::Postgres
                && (parts.password.is_some() || users.sql.password_file.is_some());
        if let (Address::Tcp(_, port), true, false) = (&address, here, shows_itself) {
            self.warn_of_port(&url.span(), "users.url", Some(*port));
        }
        Server {
            address,
            user: parts.user,
            password: self.sql_password(users, parts.password),
            database: parts.database,
            tls,
            authorities: users
                .connection
                .ca_file
                .as_ref()
                .and_then(|file| self.authorities("users.ca-file", file))
                .map(|file| file.pem),
            timeout,
            socket_user,
            server_key,
        }
    }

    /// The key of a MySQL server. Over TLS, the server needs no encrypted password.
    fn server_key(&mut self, file: &Spanned<String>, of_use: bool) -> Option<ServerKey> {
        const KEY: &str = "users.server-public-key-file";
        const MAX_BYTES: u64 = 16 * 1024;
        if !of_use {
            let message = "has an effect only with MySQL and with tls = \"off\"";
            self.report(&file.span(), KEY, message);
            return None;
        }
        let path = self.path(KEY, &file.span(), Some(file))?;
        let trusted = read_trusted(&path, MAX_BYTES, Secrecy::Open)
            .map_err(|problem| self.report(&file.span(), KEY, problem.to_string()))
            .ok()?;
        self.files.push((path.clone(), trusted.fingerprint));
        self.warnings.extend(trusted.service);
        ServerKey::parse(&trusted.bytes)
            .map_err(|what| self.report(&file.span(), KEY, format!("{}: {what}", path.display())))
            .ok()
    }

    fn sql_password(
        &mut self,
        users: &Users,
        in_url: Option<Zeroizing<String>>,
    ) -> Option<DatabasePassword> {
        const KEY: &str = "users.password-file";
        let Some(file) = &users.sql.password_file else {
            self.holds_secret |= in_url.is_some();
            return in_url.map(DatabasePassword::new);
        };
        if in_url.is_some() {
            let message = "there is a password in the url already: only one of the two";
            self.report(&file.span(), KEY, message);
        }
        let line = self.first_line(KEY, file)?;
        match str::from_utf8(&line) {
            Ok("") => self.report(&file.span(), KEY, "the first line is empty"),
            Ok(text) if text.bytes().any(|byte| byte == 0) => {
                self.report(&file.span(), KEY, "the password holds a NUL byte");
            }
            Ok(text) => return Some(DatabasePassword::new(Zeroizing::new(text.to_owned()))),
            Err(_) => self.report(&file.span(), KEY, "the password is not UTF-8"),
        }
        None
    }
}

#[cfg(feature = "servers")]
fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}
