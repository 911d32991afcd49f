//! The request to another service, in the form that nginx sends (`ngx_mail_auth_http_create_request` in
//! ngx_mail_auth_http_module.c).

use zeroize::Zeroizing;

use super::Settings;
use crate::net::percent;
use crate::nginx::request::Tls;
use crate::users::Question;

/// The whole request. The buffer is allocated before the first byte is written: a buffer that grows would
/// leave copies of the password behind.
pub(super) fn question(
    settings: &Settings,
    asked: &Question<'_>,
    password: &[u8],
) -> Zeroizing<Vec<u8>> {
    let user = escaped(asked.login.as_bytes());
    let pass = escaped(password);
    // nginx sends "unix:" for a client without an address.
    let client = asked
        .client
        .map_or_else(|| "unix:".to_owned(), |address| address.to_string());
    let session = &asked.session;
    let attempt = session.attempt.unwrap_or(1).to_string();
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("Auth-Method", b"plain"),
        ("Auth-User", &user),
        ("Auth-Pass", &pass),
        ("Auth-Protocol", asked.protocol.word().as_bytes()),
        ("Auth-Login-Attempt", attempt.as_bytes()),
        ("Client-IP", client.as_bytes()),
    ];
    headers.extend(session.host.map(|host| ("Client-Host", host)));
    let ends = [session.proxied_from, session.proxied_to]
        .map(|end| end.map(|(address, port)| (address.to_string(), port.to_string())));
    let names = [
        ("Proxy-Protocol-Addr", "Proxy-Protocol-Port"),
        ("Proxy-Protocol-Server-Addr", "Proxy-Protocol-Server-Port"),
    ];
    for (end, (address_name, port_name)) in ends.iter().zip(names) {
        if let Some((address, port)) = end {
            headers.extend([
                (address_name, address.as_bytes()),
                (port_name, port.as_bytes()),
            ]);
        }
    }
    headers.extend(session.tls.iter().flat_map(tls));
    written(settings, &headers)
}

/// `Auth-SSL` and its related headers, as they arrived: the certificate is still escaped.
fn tls<'a>(tls: &Tls<'a>) -> impl Iterator<Item = (&'static str, &'a [u8])> + use<'a> {
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

/// The same without login and password, so that the service can answer it quickly.
pub(super) fn sign_of_life(settings: &Settings) -> Zeroizing<Vec<u8>> {
    written(settings, &[])
}

fn written(settings: &Settings, headers: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    let key = settings.key.as_ref().map(|key| key.0.as_slice());
    let own = settings
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let host = ("Host", settings.url.host.as_bytes());
    let parts: Vec<&[u8]> = ["GET ", settings.url.uri.as_str(), " HTTP/1.0\r\n"]
        .iter()
        .map(|part| part.as_bytes())
        .chain(
            [host]
                .into_iter()
                .chain(headers.iter().copied())
                .chain(own)
                .chain(key.map(|key| ("X-Auth-Key", key)))
                .flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\r\n"]),
        )
        .chain([b"\r\n".as_slice()])
        .collect();
    Zeroizing::new(parts.concat())
}

/// Writes control bytes, space and `%` as `%XX`, all others unchanged (`NGX_ESCAPE_MAIL_AUTH` of
/// `ngx_escape_uri` in ngx_string.c).
fn escaped(value: &[u8]) -> Zeroizing<Vec<u8>> {
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
    use std::time::{Duration, Instant};

    use super::*;
    use crate::login::{Login, Protocol};
    use crate::nginx::request::Session;
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
    fn what_nginx_says_of_the_connection_is_passed_on_as_it_came() {
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
