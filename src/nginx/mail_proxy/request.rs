//! The request that nginx sends (`ngx_mail_auth_http_create_request` in ngx_mail_auth_http_module.c).

use std::net::{IpAddr, SocketAddr};

use zeroize::Zeroizing;

use crate::login::Protocol;
use crate::net::percent;
use crate::nginx::request::{Envelope, Tls};

/// A request of nginx's mail proxy.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The value of `Host`.
    pub host: &'a str,
    /// The path, with the query.
    pub uri: &'a str,
    /// The word of `Auth-Method`.
    pub method: &'a str,
    /// The login, not escaped.
    pub user: &'a [u8],
    /// The password, digest or token, not escaped.
    pub pass: &'a [u8],
    /// The challenge of `cram-md5` and `apop`.
    pub salt: Option<&'a [u8]>,
    /// The mail protocol.
    pub protocol: Protocol,
    /// `Auth-Login-Attempt`.
    pub attempt: u32,
    /// The address of the mail client; without one, nginx sends `unix:`.
    pub client: Option<IpAddr>,
    /// `Client-Host`, which nginx sends for SMTP.
    pub client_host: Option<&'a [u8]>,
    /// The PROXY header of the client's connection.
    pub proxied: ProxyProtocol,
    /// For the method `none`: incoming mail.
    pub envelope: Option<Envelope<'a>>,
    /// `Auth-SSL` and its related headers; the certificate is escaped already.
    pub tls: Option<Tls<'a>>,
    /// Each `auth_http_header`, in the order of nginx's configuration.
    pub more: &'a [(&'a str, &'a [u8])],
}

/// The addresses of a PROXY header. nginx sends both or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The source: the mail client.
    pub from: Option<SocketAddr>,
    /// The destination: the server that the client connected to.
    pub to: Option<SocketAddr>,
}

impl Request<'_> {
    /// The bytes of the request. The buffer is allocated before the first byte is written: a buffer that
    /// grows would leave copies of the password behind.
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let (user, pass) = (escaped(self.user), escaped(self.pass));
        let attempt = self.attempt.to_string();
        let client = self
            .client
            .map_or_else(|| "unix:".to_owned(), |address| address.to_string());
        let ends = [self.proxied.from, self.proxied.to]
            .map(|end| end.map(|end| (end.ip().to_string(), end.port().to_string())));
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("Host", self.host.as_bytes()),
            ("Auth-Method", self.method.as_bytes()),
            ("Auth-User", &user),
            ("Auth-Pass", &pass),
        ];
        headers.extend(self.salt.map(|salt| ("Auth-Salt", salt)));
        headers.push(("Auth-Protocol", self.protocol.word().as_bytes()));
        headers.push(("Auth-Login-Attempt", attempt.as_bytes()));
        headers.push(("Client-IP", client.as_bytes()));
        headers.extend(self.client_host.map(|host| ("Client-Host", host)));
        let names = [
            ("Proxy-Protocol-Addr", "Proxy-Protocol-Port"),
            ("Proxy-Protocol-Server-Addr", "Proxy-Protocol-Server-Port"),
        ];
        for (end, (address_name, port_name)) in ends.iter().zip(names) {
            if let Some((address, port)) = end {
                headers.push((address_name, address.as_bytes()));
                headers.push((port_name, port.as_bytes()));
            }
        }
        if let Some(Envelope { helo, from, to }) = self.envelope {
            headers.push(("Auth-SMTP-Helo", helo));
            headers.push(("Auth-SMTP-From", from));
            headers.push(("Auth-SMTP-To", to));
        }
        headers.extend(self.tls.iter().flat_map(tls));
        headers.extend(self.more);
        written(self.uri, &headers)
    }
}

/// `Auth-SSL` and its related headers.
fn tls<'a>(tls: &Tls<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
    let all = [
        ("Auth-SSL", Some(b"on".as_slice())),
        ("Auth-SSL-Protocol", tls.protocol),
        ("Auth-SSL-Cipher", tls.cipher),
        ("Auth-SSL-Verify", tls.verify),
        ("Auth-SSL-Subject", tls.subject),
        ("Auth-SSL-Issuer", tls.issuer),
        ("Auth-SSL-Serial", tls.serial),
        ("Auth-SSL-Fingerprint", tls.fingerprint),
        ("Auth-SSL-Cert", tls.cert),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
}

/// A request with these headers.
pub(crate) fn written(uri: &str, headers: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    let parts: Vec<&[u8]> = ["GET ", uri, " HTTP/1.0\r\n"]
        .iter()
        .map(|part| part.as_bytes())
        .chain(
            headers
                .iter()
                .flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\r\n"]),
        )
        .chain([b"\r\n".as_slice()])
        .collect();
    Zeroizing::new(parts.concat())
}

/// Writes control bytes, space and `%` as `%XX`, all others unchanged (`NGX_ESCAPE_MAIL_AUTH` of
/// `ngx_escape_uri` in ngx_string.c).
pub(crate) fn escaped(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut escaped = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    for byte in value {
        match byte {
            0..=b' ' | b'%' => percent::push(&mut escaped, *byte),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let sent = escaped(&all);
        assert!(!sent.iter().any(|byte| *byte <= b' '));
        assert!(sent.starts_with(b"%00%01%02"));
        assert_eq!(sent.len(), 256 + 2 * 34);
        let back = percent::decode(&sent).unwrap();
        assert_eq!(back, all);
    }
}
