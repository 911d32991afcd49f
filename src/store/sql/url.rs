//! The URL of a database.
//!
//! `sqlite:FILE`, `postgresql://USER@HOST:PORT/DATABASE`, `mysql://USER@HOST:PORT/DATABASE`, or with
//! `?socket=PATH` in place of a host (RFC 3986, 3, with its percent-encoding).

use zeroize::Zeroizing;

/// A URL, taken apart and decoded. No error here holds anything of its password.
#[derive(Debug, PartialEq, Eq)]
pub enum Url {
    /// A file of SQLite, as it is written.
    Sqlite(String),
    /// A server.
    Server(ServerUrl),
}

/// The URL of a database server.
#[derive(PartialEq, Eq)]
pub struct ServerUrl {
    /// Which kind of server.
    pub family: Family,
    /// Who we are there.
    pub user: String,
    /// The password, if the URL has it.
    pub password: Option<Zeroizing<String>>,
    /// A name or an address, without brackets; not with a socket.
    pub host: Option<String>,
    /// The port, if there is one.
    pub port: Option<u16>,
    /// The database, if there is one.
    pub database: Option<String>,
    /// The Unix socket; for PostgreSQL, its folder.
    pub socket: Option<String>,
}

/// Without the password.
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
    /// The port where nothing else is said.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

impl Url {
    /// Reads it; the error says what is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let forms = "must be sqlite:FILE, postgresql://USER@HOST/DATABASE or \
                     mysql://USER@HOST/DATABASE";
        let (scheme, rest) = text.split_once(':').ok_or(forms)?;
        let family = match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => return sqlite(rest),
            "postgres" | "postgresql" => Family::Postgres,
            "mysql" | "mariadb" => Family::Mysql,
            _ => return Err(forms.to_owned()),
        };
        let rest = rest.strip_prefix("//").ok_or(forms)?;
        server(family, rest).map(Self::Server)
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
        return Err("options cannot be given in the URL".to_owned());
    }
    match decoded(path, "file")? {
        path if path.is_empty() => Err("names no file".to_owned()),
        path => Ok(Url::Sqlite(path)),
    }
}

fn server(family: Family, rest: &str) -> Result<ServerUrl, String> {
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    if rest.contains('#') || query.is_some_and(|query| query.contains('#')) {
        return Err("# must be written as %23".to_owned());
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if !authority.contains('@') && database.contains('@') {
        return Err("has a / before its @: in a password it must be written as %2F".to_owned());
    }
    if database.contains('/') {
        return Err("a / in the database's name must be written as %2F".to_owned());
    }
    // The last @: in a password it should be %40, and need not.
    let Some((user, place)) = authority.rsplit_once('@') else {
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
    let (host, port) = split_port(place)?;
    let database = decoded(database, "database")?;
    let socket = query.map(socket).transpose()?;
    match (&host, &socket) {
        (Some(_), Some(_)) => return Err("has both a host and a socket".to_owned()),
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

fn split_port(place: &str) -> Result<(Option<String>, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("lacks a ] behind the host")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("has no IPv6 address in its brackets".to_owned());
            }
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err("has something behind the ] of the host".to_owned()),
                port => port,
            };
            (host.to_owned(), port)
        }
        None => {
            let (host, port) = match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            };
            (decoded(host, "host")?, port)
        }
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Some(number),
            // What is no port may be the end of a password.
            _ => return Err("has a port that is not 1 to 65535".to_owned()),
        },
    };
    let sound = |host: &str| host.bytes().all(|byte| byte.is_ascii_graphic());
    match host {
        host if host.is_empty() => Ok((None, port)),
        host if sound(&host) => Ok((Some(host), port)),
        _ => Err("has a host that is no name and no address".to_owned()),
    }
}

fn socket(query: &str) -> Result<String, String> {
    match query.split_once('=') {
        Some(("socket", path)) if path.starts_with('/') && !path.contains('&') => {
            decoded(path, "socket")
        }
        Some(("socket", _)) => Err("has a socket that is no absolute path".to_owned()),
        Some((name, _)) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Err(format!(
                "has the option {name}: only socket can be given in the URL, the rest has keys of \
                 its own"
            ))
        }
        _ => Err("has options that are none".to_owned()),
    }
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let damaged = || format!("has a {what} with a damaged percent-encoding");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or_else(damaged)?;
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| damaged())?);
    }
    if bytes.contains(&0) {
        return Err(format!("has a {what} with a NUL byte"));
    }
    String::from_utf8(bytes).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ServerUrl {
        match Url::parse(text) {
            Ok(Url::Server(server)) => server,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn files() {
        for (text, path) in [
            ("sqlite:users.db", "users.db"),
            ("sqlite:../a%20b.db", "../a b.db"),
            ("sqlite:/srv/users.db", "/srv/users.db"),
            ("sqlite:///srv/users.db", "/srv/users.db"),
            ("SQLite:x", "x"),
        ] {
            assert_eq!(Url::parse(text), Ok(Url::Sqlite(path.to_owned())), "{text}");
        }
    }

    #[test]
    fn servers() {
        let full = server("postgresql://mail%40x:p%3A%40ss@db.example.org:5433/mail");
        assert_eq!(full.family, Family::Postgres);
        assert_eq!(full.user, "mail@x");
        assert_eq!(full.password.as_deref().map(String::as_str), Some("p:@ss"));
        assert_eq!(full.host.as_deref(), Some("db.example.org"));
        assert_eq!(full.port, Some(5433));
        assert_eq!(full.database.as_deref(), Some("mail"));
        let lax = server("mariadb://u:a@b:c@[2001:db8::1]");
        assert_eq!(lax.password.as_deref().map(String::as_str), Some("a@b:c"));
        assert_eq!(lax.host.as_deref(), Some("2001:db8::1"));
        assert_eq!((lax.port, lax.database), (None, None));
        let local = server("mysql://u@/mail?socket=/run/mysqld/mysqld.sock");
        assert_eq!(local.host, None);
        assert_eq!(local.socket.as_deref(), Some("/run/mysqld/mysqld.sock"));
    }

    #[test]
    fn errors_say_what_is_wrong_and_hold_no_password() {
        for (text, message) in [
            ("", "must be sqlite:FILE"),
            ("oracle://u:secret@h/d", "must be sqlite:FILE"),
            ("mysql:u:secret@h/d", "must be sqlite:FILE"),
            ("sqlite:", "names no file"),
            ("sqlite://x", "a file after sqlite:// must be absolute"),
            ("sqlite:x?mode=rw", "options cannot be given in the URL"),
            ("postgres://h/d", "names no user"),
            ("postgres://:secret@h/d", "names no user"),
            ("postgres://u:secret@/d", "names no host"),
            (
                "postgres://u:secret@h:0/d",
                "has a port that is not 1 to 65535",
            ),
            ("postgres://u@h:secret", "has a port that is not 1 to 65535"),
            ("postgres://u:secret#@h/d", "# must be written as %23"),
            (
                "postgres://u:secret%zz@h/d",
                "has a password with a damaged percent-encoding",
            ),
            (
                "postgres://u:secret%00@h/d",
                "has a password with a NUL byte",
            ),
            ("postgres://u:secret@[::1/d", "lacks a ] behind the host"),
            (
                "postgres://u:secret@[x]/d",
                "has no IPv6 address in its brackets",
            ),
            (
                "postgres://u:secret@[::1]x/d",
                "has something behind the ] of the host",
            ),
            ("postgres://u:secret@h/d/e", "a / in the database's name"),
            (
                "postgres://u:secret@h h/d",
                "has a host that is no name and no address",
            ),
            (
                "postgres://u:secret@h/d?sslmode=off",
                "has the option sslmode: only socket",
            ),
            (
                "postgres://u:secret@h/d?socket=/s",
                "has both a host and a socket",
            ),
            (
                "postgres://u:secret@/d?socket=s",
                "has a socket that is no absolute path",
            ),
            ("postgres://u:/secret@h/d", "has a / before its @"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", server("mysql://u:secret@h")).contains("secret"));
    }
}
