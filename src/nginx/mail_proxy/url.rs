//! The argument of `auth_http` as nginx reads it (`ngx_mail_auth_http` in ngx_mail_auth_http_module.c,
//! `ngx_parse_url` in ngx_inet.c).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::address;

/// The longest path of a Unix socket (unix(7)), without the NUL at its end.
const MAX_SOCKET_PATH: usize = 107;
/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// The argument of `auth_http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthUrl {
    /// Where nginx connects to.
    pub place: Place,
    /// The value of `Host`: without the port, and `localhost` for a Unix socket.
    pub host: String,
    /// The path of the request, with the query.
    pub uri: String,
}

/// Where nginx connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port.
    Tcp(Host, u16),
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, which nginx looks up when it starts. It uses the first address.
    Name(String),
}

impl AuthUrl {
    /// Reads `[http://]host[:port][/path][?query]` or `[http://]unix:path[:/path]`. The error is nginx's own
    /// message where it has one.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(
                "nginx has no https for auth_http: it reads \"https\" as a host name and stops with \
                        \"invalid port\". Use http to a web server on the same machine, or a tunnel"
                    .to_owned(),
            );
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "only printable ASCII without blanks: nginx sends the text as it is, and anything \
                        else breaks the request line"
                    .to_owned(),
            );
        }
        let url = text.strip_prefix("http://").unwrap_or(text);
        let read = match url.get(..5) {
            Some(start) if start.eq_ignore_ascii_case("unix:") => unix(&url[5..]),
            _ if url.starts_with('[') => inet6(url),
            _ => inet(url),
        };
        read.map_err(|error| format!("nginx would stop with \"{error} in auth_http\""))
    }
}

fn unix(text: &str) -> Result<AuthUrl, &'static str> {
    let (path, uri) = text.split_once(':').unwrap_or((text, ""));
    if path.is_empty() {
        return Err("no path in the unix domain socket");
    }
    if path.len() > MAX_SOCKET_PATH {
        return Err("too long path in the unix domain socket");
    }
    Ok(AuthUrl {
        place: Place::Unix(path.into()),
        host: "localhost".to_owned(),
        uri: uri_of(uri),
    })
}

/// `[address]:port/path`. Unlike in other URLs, a query without a path is an error.
fn inet6(text: &str) -> Result<AuthUrl, &'static str> {
    let end = text.find(']').ok_or("invalid host")?;
    let (bracketed, rest) = text.split_at(end + 1);
    let (port, uri) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match port.strip_prefix(':') {
        Some(port) => address::port(port.as_bytes()).ok_or("invalid port")?,
        None if port.is_empty() => HTTP_PORT,
        None => return Err("invalid host"),
    };
    let inside = &bracketed[1..end];
    if inside.is_empty() {
        return Err("no host");
    }
    let address = address::ipv6(inside.as_bytes()).ok_or("invalid IPv6 address")?;
    Ok(AuthUrl {
        place: Place::Tcp(Host::Address(address.into()), port),
        host: bracketed.to_owned(),
        uri: uri_of(uri),
    })
}

fn inet(text: &str) -> Result<AuthUrl, &'static str> {
    let (authority, uri) = text.split_at(text.find(['/', '?']).unwrap_or(text.len()));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, address::port(port.as_bytes()).ok_or("invalid port")?),
        None => (authority, HTTP_PORT),
    };
    if host.is_empty() {
        return Err("no host");
    }
    let place = match address::ipv4(host.as_bytes()) {
        Some(address) => Host::Address(address.into()),
        None => Host::Name(host.to_owned()),
    };
    Ok(AuthUrl {
        place: Place::Tcp(place, port),
        host: host.to_owned(),
        uri: uri_of(uri),
    })
}

fn uri_of(text: &str) -> String {
    match text {
        "" => "/".to_owned(),
        text => text.to_owned(),
    }
}

/// The name of the server in nginx's log, if it is known without a lookup.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(Host::Address(IpAddr::V6(address)), port) => write!(f, "[{address}]:{port}"),
            Self::Tcp(Host::Address(address), port) => write!(f, "{address}:{port}"),
            Self::Tcp(Host::Name(name), port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_nginx_accepts() {
        for (text, place, host, uri) in [
            (
                "http://127.0.0.1:8080/mail/auth",
                "127.0.0.1:8080",
                "127.0.0.1",
                "/mail/auth",
            ),
            ("127.0.0.1", "127.0.0.1:80", "127.0.0.1", "/"),
            (
                "localhost:9000/cgi-bin/auth",
                "localhost:9000",
                "localhost",
                "/cgi-bin/auth",
            ),
            ("http://auth?x=1:2", "auth:80", "auth", "?x=1:2"),
            ("auth/a:b?c", "auth:80", "auth", "/a:b?c"),
            ("http://[::1]:8080/a", "[::1]:8080", "[::1]", "/a"),
            ("[2001:db8::1]", "[2001:db8::1]:80", "[2001:db8::1]", "/"),
            (
                "unix:/run/a.sock:/mail/auth?x",
                "unix:/run/a.sock",
                "localhost",
                "/mail/auth?x",
            ),
            (
                "http://unix:/run/a.sock",
                "unix:/run/a.sock",
                "localhost",
                "/",
            ),
            ("UNIX:run:x", "unix:run", "localhost", "x"),
            ("user@host/", "user@host:80", "user@host", "/"),
        ] {
            let url = AuthUrl::parse(text).unwrap();
            let read = (url.place.to_string(), url.host.as_str(), url.uri.as_str());
            assert_eq!(read, (place.to_owned(), host, uri), "{text}");
        }
    }

    #[test]
    fn the_forms_that_nginx_refuses() {
        for (text, error) in [
            ("https://auth/mail", "no https"),
            ("HTTPS://auth/mail", "invalid port"),
            ("HTTP://auth", "invalid port"),
            ("ftp://auth", "invalid port"),
            ("", "no host"),
            ("http://", "no host"),
            ("http:///auth", "no host"),
            (":80/", "no host"),
            ("auth:", "invalid port"),
            ("auth:0/", "invalid port"),
            ("auth:65536", "invalid port"),
            ("auth:http/", "invalid port"),
            ("::1/", "invalid port"),
            ("[::1", "invalid host"),
            ("[::1]8080", "invalid host"),
            ("[::1]?x", "invalid host"),
            ("[]:80", "no host"),
            ("[auth]:80", "invalid IPv6 address"),
            ("unix:", "no path in the unix domain socket"),
            ("unix::/auth", "no path in the unix domain socket"),
            ("http://auth/a b", "printable ASCII"),
            ("http://auth/a\r\nX: y", "printable ASCII"),
        ] {
            let found = AuthUrl::parse(text).unwrap_err();
            assert!(found.contains(error), "{text}: {found}");
        }
        let path = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH));
        assert!(AuthUrl::parse(&path).unwrap_err().contains("too long path"));
        assert!(AuthUrl::parse(&path[..path.len() - 1]).is_ok());
    }
}
