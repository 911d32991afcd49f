//! The URL of a database.
//!
//! `sqlite:FILE`, `postgresql://USER@HOST:PORT/DATABASE`, `mysql://USER@HOST:PORT/DATABASE`, or with
//! `?socket=PATH` in place of a host (RFC 3986, 3, with its percent-encoding).

use zeroize::Zeroizing;

use crate::net::percent;
use crate::net::url::{self, BadHostPort, HostPort};

/// A URL, parsed and decoded. No error here contains a part of its password.
#[derive(Debug, PartialEq, Eq)]
pub enum Url {
    /// A file of SQLite, as written.
    Sqlite(String),
    /// A server.
    Server(ServerUrl),
}

/// The URL of a database server.
#[derive(PartialEq, Eq)]
pub struct ServerUrl {
    /// Which kind of server.
    pub family: Family,
    /// The user of this program at the server.
    pub user: String,
    /// The password, if the URL has it.
    pub password: Option<Zeroizing<String>>,
    /// A name or an address, without brackets; empty with a socket.
    pub host: Option<String>,
    /// The port, if there is one.
    pub port: Option<u16>,
    /// The database, if there is one.
    pub database: Option<String>,
    /// The Unix socket; for PostgreSQL, its folder.
    pub socket: Option<String>,
}

/// Omits the password.
impl std::fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerUrl")
            .field("family", &self.family)
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// PostgreSQL: `postgresql`, `postgres`.
    Postgres,
    /// MariaDB and MySQL: `mysql`, `mariadb`.
    Mysql,
}

impl Family {
    /// The default port.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

impl Url {
    /// Parses a URL; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let forms = "must be sqlite:FILE, postgresql://USER@HOST/DATABASE or \
                     mysql://USER@HOST/DATABASE";
        if let Some((scheme, rest)) = text.split_once(':')
            && scheme.eq_ignore_ascii_case("sqlite")
        {
            return sqlite(rest);
        }
        let url = url::Url::read(text).ok_or(forms)?;
        let family = match url.scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => Family::Postgres,
            "mysql" | "mariadb" => Family::Mysql,
            _ => return Err(forms.to_owned()),
        };
        server(family, url).map(Self::Server)
    }
}

/// `sqlite:users.db`, `sqlite:/srv/users.db`, `sqlite:///srv/users.db`.
fn sqlite(rest: &str) -> Result<Url, String> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err("a file after sqlite:// must be absolute".to_owned()),
        None => rest,
    };
    if path.contains('?') {
        let message = "has options: leave them out, the file is opened for reading only; a ? in its \
                       name must be written as %3F";
        return Err(message.to_owned());
    }
    match decoded(path, "file")? {
        path if path.is_empty() => Err("names no file".to_owned()),
        path => Ok(Url::Sqlite(path)),
    }
}

fn server(family: Family, url: url::Url<'_>) -> Result<ServerUrl, String> {
    if url.fragment.is_some() {
        return Err("# must be written as %23".to_owned());
    }
    let database = url.path.strip_prefix('/').unwrap_or_default();
    if url.userinfo.is_none() && database.contains('@') {
        return Err("has a / before its @: in a password it must be written as %2F".to_owned());
    }
    if database.contains('/') {
        return Err("a / in the database's name must be written as %2F".to_owned());
    }
    let Some(user) = url.userinfo else {
        return Err("names no user: write USER@ before the host".to_owned());
    };
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user, None),
    };
    let user = decoded(user, "user")?;
    if user.is_empty() {
        return Err("names no user: write USER@ before the host".to_owned());
    }
    let password = password.map(|password| decoded(password, "password"));
    let (host, port) = split_port(url.host_port)?;
    let database = decoded(database, "database")?;
    let socket = url.query.map(|query| socket(family, query)).transpose()?;
    match (&host, &socket) {
        (Some(_), Some(_)) => {
            return Err("has both a host and a socket: write no host, USER@/DATABASE".to_owned());
        }
        (None, None) => return Err("names no host".to_owned()),
        _ => {}
    }
    Ok(ServerUrl {
        family,
        user,
        password: password.transpose()?.map(Zeroizing::new),
        host,
        port,
        database: (!database.is_empty()).then_some(database),
        socket,
    })
}

fn split_port(host_port: &str) -> Result<(Option<String>, Option<u16>), String> {
    if host_port.contains(',') {
        return Err(
            "names several hosts: write one, or a name that has all their addresses".to_owned(),
        );
    }
    let host_port = HostPort::read(host_port).map_err(|bad| match bad {
        BadHostPort::UnclosedBracket => "lacks a ] behind the host",
        BadHostPort::TextAfterBracket => "has something behind the ] of the host",
    })?;
    let host = match host_port.bracketed {
        true if host_port.host.parse::<std::net::Ipv6Addr>().is_err() => {
            return Err("has no IPv6 address in its brackets".to_owned());
        }
        true => host_port.host.to_owned(),
        false => decoded(host_port.host, "host")?,
    };
    let port = match host_port.port.map(url::port) {
        None => None,
        Some(Some(port)) => Some(port.get()),
        // An invalid port may be the end of a password.
        Some(None) => return Err("has a port that is not 1 to 65535".to_owned()),
    };
    let sound = |host: &str| host.bytes().all(|byte| byte.is_ascii_graphic());
    match host {
        host if host.is_empty() => Ok((None, port)),
        host if host.starts_with('/') => {
            Err("has a path for a host: write it behind the database, ?socket=PATH".to_owned())
        }
        host if sound(&host) => Ok((Some(host), port)),
        _ => Err("has a host that is neither a name nor an address".to_owned()),
    }
}

/// The only supported option. For a known option of other programs, the error names the replacement.
fn socket(family: Family, query: &str) -> Result<String, String> {
    let mut socket = None;
    for option in query.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if name != "socket" {
            return Err(foreign_option(name, value));
        }
        if socket.is_some() {
            return Err("has two sockets".to_owned());
        }
        let path = decoded(value, "socket")?;
        if !path.starts_with('/') {
            return Err("has a socket that is no absolute path".to_owned());
        }
        let folder = path.rsplit_once("/.s.PGSQL.").map(|(folder, _)| folder);
        if let (Family::Postgres, Some(folder)) = (family, folder) {
            return Err(format!(
                "has a file for a socket: PostgreSQL's is named by its folder, socket={folder}"
            ));
        }
        socket = Some(path);
    }
    socket.ok_or_else(|| "has invalid options".to_owned())
}

/// The replacement for an option of libpq, PHP, SQLAlchemy, JDBC or Dovecot. Its value may be a secret.
fn foreign_option(name: &str, value: &str) -> String {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
        return "has invalid options".to_owned();
    }
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let is_path = value.starts_with('/') || value.to_ascii_lowercase().starts_with("%2f");
    let advice = match plain.as_str() {
        "host" | "hostaddr" | "server" if !is_path => "write the host behind the @",
        "unixsocket" | "socket" | "socketpath" | "unixsocketdir" | "host" => {
            "write socket=PATH, and no host"
        }
        "port" => "write it behind the host, HOST:PORT",
        "user" | "username" => "write USER@ before the host",
        "password" | "pass" | "passfile" => "use the key password-file",
        "dbname" | "database" | "db" => "write it behind the host, HOST/DATABASE",
        "ssl"
        | "sslmode"
        | "usessl"
        | "requiressl"
        | "tls"
        | "sslverify"
        | "sslverifycert"
        | "sslverifyidentity"
        | "verifyservercertificate" => {
            "use the key tls: \"verify\", \"require\", \"prefer\" or \"off\""
        }
        "sslca" | "sslrootcert" | "sslcapath" | "tlsca" => "use the key ca-file",
        "sslcert" | "sslkey" | "sslpassword" | "sslcertificate" | "clientcert" | "clientkey"
        | "sslidentity" => {
            "certificates of clients are not supported: use a password and tls = \"verify\""
        }
        "serverpublickeypath" | "serverrsapublickeyfile" => "use the key server-public-key-file",
        "getserverpublickey" | "allowpublickeyretrieval" => {
            "a key that the server itself sends proves nothing: use the key server-public-key-file"
        }
        "connecttimeout" => "use the key connect-timeout",
        "charset" | "clientencoding" | "encoding" => "leave it out, it is UTF-8",
        "poolsize" | "maxconnections" | "connectionlimit" => "use the key connections",
        _ => "only socket can be given in the URL, the rest has keys of its own",
    };
    format!("has the option {name}: {advice}")
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let damaged = || format!("has a {what} with a damaged percent-encoding");
    let bytes = percent::decode(text.as_bytes()).ok_or_else(damaged)?;
    if bytes.contains(&0) {
        return Err(format!("has a {what} with a NUL byte"));
    }
    String::from_utf8(bytes).map_err(|_| damaged())
}

#[cfg(test)]
mod tests;
