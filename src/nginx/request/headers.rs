//! Reads the headers of one request: each header's raw value, and the checked type that it becomes.

use std::cell::Cell;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{Client, Envelope, Method, Protocol, Tls};
use crate::front::params::Params;
use crate::login::relayed::Value;
use crate::net::percent;
use crate::nginx::refusal::Refusal;
use crate::secret::{ChallengeResponse, Password, Proof, Token};

/// The headers that nginx sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    AuthMethod,
    AuthUser,
    AuthPass,
    AuthSalt,
    AuthProtocol,
    AuthLoginAttempt,
    ClientIp,
    ClientHost,
    ProxyProtocolAddr,
    ProxyProtocolPort,
    ProxyProtocolServerAddr,
    ProxyProtocolServerPort,
    AuthSmtpHelo,
    AuthSmtpFrom,
    AuthSmtpTo,
    AuthSsl,
    AuthSslProtocol,
    AuthSslCipher,
    AuthSslVerify,
    AuthSslSubject,
    AuthSslIssuer,
    AuthSslSerial,
    AuthSslFingerprint,
    AuthSslCert,
    XAuthKey,
}

impl Header {
    /// The header that a CGI variable contains.
    #[inline]
    pub(super) fn from_variable(variable: &[u8]) -> Option<Self> {
        // Most variables of a request are not headers.
        Self::from_upper_case(variable.strip_prefix(b"HTTP_")?)
    }

    fn from_upper_case(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"AUTH_METHOD" => Self::AuthMethod,
            b"AUTH_USER" => Self::AuthUser,
            b"AUTH_PASS" => Self::AuthPass,
            b"AUTH_SALT" => Self::AuthSalt,
            b"AUTH_PROTOCOL" => Self::AuthProtocol,
            b"AUTH_LOGIN_ATTEMPT" => Self::AuthLoginAttempt,
            b"CLIENT_IP" => Self::ClientIp,
            b"CLIENT_HOST" => Self::ClientHost,
            b"PROXY_PROTOCOL_ADDR" => Self::ProxyProtocolAddr,
            b"PROXY_PROTOCOL_PORT" => Self::ProxyProtocolPort,
            b"PROXY_PROTOCOL_SERVER_ADDR" => Self::ProxyProtocolServerAddr,
            b"PROXY_PROTOCOL_SERVER_PORT" => Self::ProxyProtocolServerPort,
            b"AUTH_SMTP_HELO" => Self::AuthSmtpHelo,
            b"AUTH_SMTP_FROM" => Self::AuthSmtpFrom,
            b"AUTH_SMTP_TO" => Self::AuthSmtpTo,
            b"AUTH_SSL" => Self::AuthSsl,
            b"AUTH_SSL_PROTOCOL" => Self::AuthSslProtocol,
            b"AUTH_SSL_CIPHER" => Self::AuthSslCipher,
            b"AUTH_SSL_VERIFY" => Self::AuthSslVerify,
            b"AUTH_SSL_SUBJECT" => Self::AuthSslSubject,
            b"AUTH_SSL_ISSUER" => Self::AuthSslIssuer,
            b"AUTH_SSL_SERIAL" => Self::AuthSslSerial,
            b"AUTH_SSL_FINGERPRINT" => Self::AuthSslFingerprint,
            b"AUTH_SSL_CERT" => Self::AuthSslCert,
            b"X_AUTH_KEY" => Self::XAuthKey,
            _ => return None,
        })
    }

    /// Its name in nginx's spelling.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AuthMethod => "Auth-Method",
            Self::AuthUser => "Auth-User",
            Self::AuthPass => "Auth-Pass",
            Self::AuthSalt => "Auth-Salt",
            Self::AuthProtocol => "Auth-Protocol",
            Self::AuthLoginAttempt => "Auth-Login-Attempt",
            Self::ClientIp => "Client-IP",
            Self::ClientHost => "Client-Host",
            Self::ProxyProtocolAddr => "Proxy-Protocol-Addr",
            Self::ProxyProtocolPort => "Proxy-Protocol-Port",
            Self::ProxyProtocolServerAddr => "Proxy-Protocol-Server-Addr",
            Self::ProxyProtocolServerPort => "Proxy-Protocol-Server-Port",
            Self::AuthSmtpHelo => "Auth-SMTP-Helo",
            Self::AuthSmtpFrom => "Auth-SMTP-From",
            Self::AuthSmtpTo => "Auth-SMTP-To",
            Self::AuthSsl => "Auth-SSL",
            Self::AuthSslProtocol => "Auth-SSL-Protocol",
            Self::AuthSslCipher => "Auth-SSL-Cipher",
            Self::AuthSslVerify => "Auth-SSL-Verify",
            Self::AuthSslSubject => "Auth-SSL-Subject",
            Self::AuthSslIssuer => "Auth-SSL-Issuer",
            Self::AuthSslSerial => "Auth-SSL-Serial",
            Self::AuthSslFingerprint => "Auth-SSL-Fingerprint",
            Self::AuthSslCert => "Auth-SSL-Cert",
            Self::XAuthKey => "X-Auth-Key",
        }
    }
}

/// Whether nginx itself sends a header of this name.
#[cfg(feature = "servers")]
pub(crate) fn is_sent_by_nginx(name: &str) -> bool {
    let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
    let header = Header::from_variable(variable.as_bytes());
    header.is_some_and(|header| header != Header::XAuthKey)
}

/// The value of each header.
#[derive(Default)]
struct Values<'a> {
    auth_method: Cell<Option<&'a [u8]>>,
    auth_user: Cell<Option<&'a [u8]>>,
    auth_pass: Cell<Option<&'a [u8]>>,
    auth_salt: Cell<Option<&'a [u8]>>,
    auth_protocol: Cell<Option<&'a [u8]>>,
    auth_login_attempt: Cell<Option<&'a [u8]>>,
    client_ip: Cell<Option<&'a [u8]>>,
    client_host: Cell<Option<&'a [u8]>>,
    proxy_protocol_addr: Cell<Option<&'a [u8]>>,
    proxy_protocol_port: Cell<Option<&'a [u8]>>,
    proxy_protocol_server_addr: Cell<Option<&'a [u8]>>,
    proxy_protocol_server_port: Cell<Option<&'a [u8]>>,
    auth_smtp_helo: Cell<Option<&'a [u8]>>,
    auth_smtp_from: Cell<Option<&'a [u8]>>,
    auth_smtp_to: Cell<Option<&'a [u8]>>,
    auth_ssl: Cell<Option<&'a [u8]>>,
    auth_ssl_protocol: Cell<Option<&'a [u8]>>,
    auth_ssl_cipher: Cell<Option<&'a [u8]>>,
    auth_ssl_verify: Cell<Option<&'a [u8]>>,
    auth_ssl_subject: Cell<Option<&'a [u8]>>,
    auth_ssl_issuer: Cell<Option<&'a [u8]>>,
    auth_ssl_serial: Cell<Option<&'a [u8]>>,
    auth_ssl_fingerprint: Cell<Option<&'a [u8]>>,
    auth_ssl_cert: Cell<Option<&'a [u8]>>,
    xauth_key: Cell<Option<&'a [u8]>>,
}

impl<'a> Values<'a> {
    /// Where the value of a header is kept. A new header does not compile without its arm here.
    fn of(&self, header: Header) -> &Cell<Option<&'a [u8]>> {
        match header {
            Header::AuthMethod => &self.auth_method,
            Header::AuthUser => &self.auth_user,
            Header::AuthPass => &self.auth_pass,
            Header::AuthSalt => &self.auth_salt,
            Header::AuthProtocol => &self.auth_protocol,
            Header::AuthLoginAttempt => &self.auth_login_attempt,
            Header::ClientIp => &self.client_ip,
            Header::ClientHost => &self.client_host,
            Header::ProxyProtocolAddr => &self.proxy_protocol_addr,
            Header::ProxyProtocolPort => &self.proxy_protocol_port,
            Header::ProxyProtocolServerAddr => &self.proxy_protocol_server_addr,
            Header::ProxyProtocolServerPort => &self.proxy_protocol_server_port,
            Header::AuthSmtpHelo => &self.auth_smtp_helo,
            Header::AuthSmtpFrom => &self.auth_smtp_from,
            Header::AuthSmtpTo => &self.auth_smtp_to,
            Header::AuthSsl => &self.auth_ssl,
            Header::AuthSslProtocol => &self.auth_ssl_protocol,
            Header::AuthSslCipher => &self.auth_ssl_cipher,
            Header::AuthSslVerify => &self.auth_ssl_verify,
            Header::AuthSslSubject => &self.auth_ssl_subject,
            Header::AuthSslIssuer => &self.auth_ssl_issuer,
            Header::AuthSslSerial => &self.auth_ssl_serial,
            Header::AuthSslFingerprint => &self.auth_ssl_fingerprint,
            Header::AuthSslCert => &self.auth_ssl_cert,
            Header::XAuthKey => &self.xauth_key,
        }
    }
}

/// The headers of one request, raw.
pub(super) struct Headers<'a> {
    values: Values<'a>,
    twice: Option<Header>,
}

impl<'a> Headers<'a> {
    pub(super) fn collect(params: &Params<'a>) -> Self {
        let mut headers = Self {
            values: Values::default(),
            twice: None,
        };
        for (name, value) in params.iter() {
            let Some(header) = Header::from_variable(name) else {
                continue;
            };
            if headers.values.of(header).replace(Some(value)).is_some() {
                headers.twice = Some(header);
            }
        }
        headers
    }

    pub(super) fn get(&self, header: Header) -> Option<&'a [u8]> {
        self.values.of(header).get()
    }

    /// Some fronts let their own HTTP client add a header that becomes the same CGI variable as one
    /// of nginx's; then it is unknown which value is nginx's. Apache joins the two with a comma,
    /// which no address contains.
    pub(super) fn each_once(&self) -> Result<(), Refusal> {
        let client = self.get(Header::ClientIp).unwrap_or_default();
        let joined = client.contains(&b',').then_some(Header::ClientIp);
        self.twice.or(joined).map_or(Ok(()), |header| {
            Err(Refusal::DuplicateHeader(header.name()))
        })
    }

    /// Whether `Auth-User` and `Auth-Pass` are present for a method that needs them. nginx sends
    /// both with every method, but some fronts omit a header with an empty value, as lighttpd does
    /// (`http_request_parse_headers` in request.c).
    pub(super) fn has_credentials(&self) -> Result<(), Refusal> {
        let needs_them = !matches!(self.method(), Some(Method::External | Method::None));
        let missing = [Header::AuthUser, Header::AuthPass]
            .iter()
            .any(|header| self.get(*header).is_none());
        match needs_them && missing {
            true => Err(Refusal::MissingCredentials),
            false => Ok(()),
        }
    }

    /// Each value that is passed on unchanged to another `auth_http` service must be one line.
    /// nginx sends no control bytes in these (`X509_NAME_print_ex` escapes them), except in a
    /// `Client-Host` before 1.29.7 (CVE-2026-28753).
    pub(super) fn are_lines(&self) -> Result<(), Refusal> {
        const PASSED_ON: [Header; 9] = [
            Header::ClientHost,
            Header::AuthSslProtocol,
            Header::AuthSslCipher,
            Header::AuthSslVerify,
            Header::AuthSslSubject,
            Header::AuthSslIssuer,
            Header::AuthSslSerial,
            Header::AuthSslFingerprint,
            Header::AuthSslCert,
        ];
        let fits = |header| Value::Text.allows(self.get(header).unwrap_or_default());
        match PASSED_ON.iter().find(|header| !fits(**header)) {
            Some(header) => Err(Refusal::BadHeader(header.name())),
            None => Ok(()),
        }
    }

    /// The values about the client that nginx sends to an SMTP server, besides the login. A client
    /// that controls its own name in DNS could put a blank there (CVE-2026-28753). The recipient is
    /// checked separately.
    pub(super) fn fit_for_the_mail_server(&self) -> Result<(), Refusal> {
        if self.protocol() != Protocol::Smtp {
            return Ok(());
        }
        let values = [
            (Header::ClientIp, Value::SmtpWord),
            (Header::ClientHost, Value::SmtpWord),
            (Header::AuthSmtpHelo, Value::SmtpCommand),
            (Header::AuthSmtpFrom, Value::SmtpCommand),
        ];
        let fits = |header, value: Value| value.allows(self.get(header).unwrap_or_default());
        match values.iter().find(|(header, value)| !fits(*header, *value)) {
            Some((header, _)) => Err(Refusal::BadHeader(header.name())),
            None => Ok(()),
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        Protocol::from_word(self.get(Header::AuthProtocol).unwrap_or_default())
    }

    /// The proof of the client; `None` for incoming mail of another server.
    pub(super) fn proof(&self) -> Result<Option<Proof>, Refusal> {
        let pass = || {
            let pass = self.get(Header::AuthPass).unwrap_or_default();
            // nginx escapes every `%` (NGX_ESCAPE_MAIL_AUTH of `ngx_escape_uri`): one without two hexadecimal
            // digits is not from nginx.
            percent::decode(pass).ok_or(Refusal::BadEscape("Auth-Pass"))
        };
        let answered = || {
            let challenge = self.get(Header::AuthSalt).unwrap_or_default();
            Ok::<_, Refusal>(ChallengeResponse::new(challenge, &Zeroizing::new(pass()?))?)
        };
        Ok(Some(match self.method().ok_or(Refusal::UnknownMethod)? {
            Method::Plain => Proof::Password(Password::new(pass()?)?),
            Method::CramMd5 => Proof::CramMd5(answered()?),
            Method::Apop => Proof::Apop(answered()?),
            Method::External => Proof::External,
            Method::None => return Ok(None),
            Method::Token => Proof::Token(
                Token::new(pass()?)
                    .ok_or(Refusal::BadToken("it is too long, or no token at all"))?,
            ),
        }))
    }

    /// The method of the client; `None` if it is unknown.
    pub(super) fn method(&self) -> Option<Method> {
        Some(match self.get(Header::AuthMethod).unwrap_or_default() {
            b"plain" | b"" => Method::Plain,
            b"cram-md5" => Method::CramMd5,
            b"apop" => Method::Apop,
            b"external" => Method::External,
            b"none" => Method::None,
            b"xoauth2" | b"oauthbearer" => Method::Token,
            _ => return None,
        })
    }

    /// A missing header means the first attempt; a value that is not a number means an unknown
    /// attempt.
    pub(super) fn attempt(&self) -> Option<u32> {
        self.get(Header::AuthLoginAttempt).map_or(Some(1), number)
    }

    pub(super) fn client(&self) -> Client<'a> {
        let end = |address, port| Some((self.address(address)?, number(self.get(port)?)?));
        Client {
            address: self.address(Header::ClientIp),
            vouched_for: false,
            host: self.get(Header::ClientHost),
            proxied_from: end(Header::ProxyProtocolAddr, Header::ProxyProtocolPort),
            proxied_to: end(
                Header::ProxyProtocolServerAddr,
                Header::ProxyProtocolServerPort,
            ),
        }
    }

    pub(super) fn address(&self, header: Header) -> Option<IpAddr> {
        address(self.get(header)?)
    }

    pub(super) fn envelope(&self) -> Envelope<'a> {
        Envelope {
            helo: self.get(Header::AuthSmtpHelo).unwrap_or_default(),
            from: self.get(Header::AuthSmtpFrom).unwrap_or_default(),
            to: self.get(Header::AuthSmtpTo).unwrap_or_default(),
        }
    }

    pub(super) fn tls(&self) -> Option<Tls<'a>> {
        (self.get(Header::AuthSsl)? == b"on").then(|| Tls {
            protocol: self.get(Header::AuthSslProtocol),
            cipher: self.get(Header::AuthSslCipher),
            verify: self.get(Header::AuthSslVerify),
            subject: self.get(Header::AuthSslSubject),
            issuer: self.get(Header::AuthSslIssuer),
            serial: self.get(Header::AuthSslSerial),
            fingerprint: self.get(Header::AuthSslFingerprint),
            cert: self.get(Header::AuthSslCert),
        })
    }
}

/// An address without port and brackets.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A decimal number without sign.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
