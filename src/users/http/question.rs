//! The request to another service: the one that nginx sends.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use super::Settings;
use crate::nginx::mail_proxy::{ProxyProtocol, Request, written};
use crate::users::Question;

/// The whole request.
pub(super) fn question(
    settings: &Settings,
    asked: &Question<'_>,
    password: &[u8],
) -> Zeroizing<Vec<u8>> {
    let session = &asked.session;
    let request = Request {
        host: &settings.url.host,
        uri: &settings.url.uri,
        method: "plain",
        user: asked.login.as_bytes(),
        pass: password,
        salt: None,
        protocol: asked.protocol,
        attempt: session.attempt.unwrap_or(1),
        client: asked.client,
        client_host: session.host,
        proxied: ProxyProtocol {
            from: session.proxied_from.map(SocketAddr::from),
            to: session.proxied_to.map(SocketAddr::from),
        },
        envelope: None,
        tls: session.tls,
        more: &own_headers(settings),
    };
    request.bytes()
}

/// The same without login and password, so that the service can answer it quickly.
pub(super) fn sign_of_life(settings: &Settings) -> Zeroizing<Vec<u8>> {
    let mut headers = vec![("Host", settings.url.host.as_bytes())];
    headers.extend(own_headers(settings));
    written(&settings.url.uri, &headers)
}

/// The configured headers, and the key.
fn own_headers(settings: &Settings) -> Vec<(&str, &[u8])> {
    let own = settings
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let key = settings.key.as_ref().map(|key| key.0.as_slice());
    own.chain(key.map(|key| ("X-Auth-Key", key))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::login::{Login, Protocol};
    use crate::nginx::request::{Session, Tls};
    use crate::users::http::{Key, Url};

    fn settings() -> Settings {
        Settings {
            url: Url::parse("http://auth.example.org:8080/mail/auth?x").unwrap(),
            headers: Vec::new(),
            key: None,
            ca_file: None,
            temporary: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(4),
            cache: Duration::ZERO,
        }
    }

    fn asked(login: &Login) -> Question<'_> {
        Question {
            login,
            protocol: Protocol::Pop3,
            client: Some([192, 0, 2, 7].into()),
            session: Session::default(),
            network: None,
            deadline: Instant::now(),
            steps: None,
        }
    }

    /// The bytes that nginx 1.31 sent for this login, but for its port.
    #[test]
    fn it_is_what_nginx_sends() {
        let login = Login::new(b"a b%+&\xe9,;=\"q".to_vec()).unwrap();
        let sent = question(&settings(), &asked(&login), b"p w");
        let wanted = b"GET /mail/auth?x HTTP/1.0\r\n\
            Host: auth.example.org\r\n\
            Auth-Method: plain\r\n\
            Auth-User: a%20b%25+&\xe9,;=\"q\r\n\
            Auth-Pass: p%20w\r\n\
            Auth-Protocol: pop3\r\n\
            Auth-Login-Attempt: 1\r\n\
            Client-IP: 192.0.2.7\r\n\
            \r\n";
        assert_eq!(
            sent.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
    }

    /// In nginx's order.
    #[test]
    fn values_of_the_connection_are_passed_on_unchanged() {
        let login = Login::new(b"alice".to_vec()).unwrap();
        let mut asked = asked(&login);
        asked.session = Session {
            attempt: Some(3),
            host: Some(b"[UNAVAILABLE]"),
            proxied_from: Some(([203, 0, 113, 5].into(), 50_000)),
            proxied_to: Some(("2001:db8::1".parse().unwrap(), 993)),
            tls: Some(Tls {
                protocol: Some(b"TLSv1.3"),
                cipher: Some(b"TLS_AES_256_GCM_SHA384"),
                verify: Some(b"FAILED:self-signed certificate"),
                subject: Some(b"CN=x\\,y,O=z"),
                issuer: Some(b""),
                serial: None,
                fingerprint: Some(b"ab12"),
                cert: Some(b"-----BEGIN%20CERTIFICATE-----%0A+/=%0A"),
            }),
        };
        let sent = question(&settings(), &asked, b"p");
        let text = String::from_utf8(sent.to_vec()).unwrap();
        let wanted = "Auth-Login-Attempt: 3\r\nClient-IP: 192.0.2.7\r\nClient-Host: [UNAVAILABLE]\r\n\
            Proxy-Protocol-Addr: 203.0.113.5\r\nProxy-Protocol-Port: 50000\r\n\
            Proxy-Protocol-Server-Addr: 2001:db8::1\r\nProxy-Protocol-Server-Port: 993\r\n\
            Auth-SSL: on\r\nAuth-SSL-Protocol: TLSv1.3\r\nAuth-SSL-Cipher: TLS_AES_256_GCM_SHA384\r\n\
            Auth-SSL-Verify: FAILED:self-signed certificate\r\nAuth-SSL-Subject: CN=x\\,y,O=z\r\n\
            Auth-SSL-Issuer: \r\nAuth-SSL-Fingerprint: ab12\r\n\
            Auth-SSL-Cert: -----BEGIN%20CERTIFICATE-----%0A+/=%0A\r\n\r\n";
        assert!(text.ends_with(wanted), "{text}");
    }

    #[test]
    fn own_headers_and_the_key_come_last() {
        let mut settings = settings();
        settings.headers = vec![("X-Site".to_owned(), "one two".to_owned())];
        settings.key = Some(Key::new(Zeroizing::new(b"marker key".to_vec())));
        assert!(!format!("{settings:?}").contains("marker"));
        let login = Login::new(Vec::new()).unwrap();
        let mut asked = asked(&login);
        asked.client = None;
        let sent = question(&settings, &asked, b"");
        let text = String::from_utf8(sent.to_vec()).unwrap();
        assert!(text.contains("Auth-User: \r\nAuth-Pass: \r\n"), "{text}");
        let end = "Client-IP: unix:\r\nX-Site: one two\r\nX-Auth-Key: marker key\r\n\r\n";
        assert!(text.ends_with(end), "{text}");
    }
}
