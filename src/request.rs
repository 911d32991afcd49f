//! Every header that nginx sends with `auth_http`, read here and only here.
//!
//! The names and forms are those of `ngx_mail_auth_http_create_request` in
//! ngx_mail_auth_http_module.c; a CGI front hands each over as `HTTP_<NAME>` (RFC 3875, 4.1.18).

use std::net::IpAddr;

use crate::params::Params;
use crate::refusal::Refusal;
use crate::secret::{BadPassword, Password, Proof, SharedKey};

/// The most bytes of a login, decoded: what a mail address may have (RFC 5321, 4.5.3.1.3).
pub const MAX_LOGIN_BYTES: usize = 254;

//------------ Protocol ------------------------------------------------------

/// The mail protocol of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// POP3, and whatever is not exactly `imap` or `smtp`, as in the original script.
    Pop3,
    /// SMTP.
    Smtp,
}

impl Protocol {
    /// Reads nginx's word; case matters.
    pub fn from_word(word: &[u8]) -> Self {
        match word {
            b"imap" => Self::Imap,
            b"smtp" => Self::Smtp,
            _ => Self::Pop3,
        }
    }

    /// nginx's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}

//------------ Login ---------------------------------------------------------

/// A login as the client typed it, decoded: at most [`MAX_LOGIN_BYTES`] bytes, no control bytes.
/// It may be empty, and need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login(Vec<u8>);

impl Login {
    /// Checks the bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Refusal> {
        if bytes.len() > MAX_LOGIN_BYTES {
            Err(Refusal::LoginTooLong)
        } else if bytes.iter().any(u8::is_ascii_control) {
            Err(Refusal::BadLogin)
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What follows the last `@`; `None` without one.
    pub fn domain(&self) -> Option<&[u8]> {
        let at = self.0.iter().rposition(|byte| *byte == b'@')?;
        self.0.get(at + 1..)
    }
}

//------------ AuthRequest ---------------------------------------------------

/// One question of nginx, decoded and checked.
#[derive(Clone, Debug)]
pub struct AuthRequest<'a> {
    /// The mail protocol.
    pub protocol: Protocol,
    /// The login. Empty for [`Proof::None`], whatever nginx sent.
    pub login: Login,
    /// What the client proves itself with.
    pub proof: Proof,
    /// How often the client has tried on its connection, from 1; `None` if that is not a number.
    pub attempt: Option<u32>,
    /// The mail client.
    pub client: Client<'a>,
    /// The SMTP dialogue so far; only with [`Proof::None`].
    pub envelope: Option<Envelope<'a>>,
    /// The TLS session of the mail client; `None` without one.
    pub tls: Option<Tls<'a>>,
}

/// Who the mail client is, as far as nginx says. Names are raw bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// `Client-IP`; `None` for a client on a Unix socket, or if it is no address.
    pub address: Option<IpAddr>,
    /// `Client-Host`: the verified name, `[UNAVAILABLE]` or `[TEMPUNAVAIL]`; SMTP only.
    pub host: Option<&'a [u8]>,
    /// `Proxy-Protocol-Addr` and `Proxy-Protocol-Port`: where a PROXY header says it comes from.
    pub proxied_from: Option<(IpAddr, u16)>,
    /// `Proxy-Protocol-Server-Addr` and `-Port`: where a PROXY header says it went to.
    pub proxied_to: Option<(IpAddr, u16)>,
}

/// `Auth-SMTP-Helo`, `-From` and `-To`, raw: whole command lines as a mail client typed them.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The argument of HELO or EHLO; may be empty.
    pub helo: &'a [u8],
    /// The MAIL command.
    pub from: &'a [u8],
    /// The RCPT command.
    pub to: &'a [u8],
}

/// `Auth-SSL-*`, raw but for the certificate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls<'a> {
    /// `TLSv1.3` and the like.
    pub protocol: Option<&'a [u8]>,
    /// The cipher's name.
    pub cipher: Option<&'a [u8]>,
    /// `SUCCESS`, `NONE` or `FAILED:reason`; absent where nginx does not ask for certificates.
    pub verify: Option<&'a [u8]>,
    /// The subject of the client's certificate (RFC 2253).
    pub subject: Option<&'a [u8]>,
    /// Its issuer.
    pub issuer: Option<&'a [u8]>,
    /// Its serial number, upper-case hex.
    pub serial: Option<&'a [u8]>,
    /// Its SHA-1 fingerprint, lower-case hex.
    pub fingerprint: Option<&'a [u8]>,
    /// The certificate in PEM form, still percent-encoded.
    pub cert: Option<&'a [u8]>,
}

impl<'a> AuthRequest<'a> {
    /// Reads and checks a request. With `key` set, one that does not bring it is refused before
    /// anything else in it is looked at.
    pub fn from_params(params: &Params<'a>, key: Option<&SharedKey>) -> Result<Self, Refusal> {
        let headers = Headers::collect(params);
        headers.show_key(key)?;
        headers.each_once()?;
        let (Some(user), Some(pass)) =
            (headers.get(Header::AuthUser), headers.get(Header::AuthPass))
        else {
            return Err(Refusal::MissingCredentials);
        };
        let proof = headers.proof(pass)?;
        let login = match proof {
            // It may hold what an earlier client of that nginx worker sent (CVE-2025-53859).
            Proof::None => Vec::new(),
            _ => decoded(user).ok_or(Refusal::BadEscape("Auth-User"))?,
        };
        Ok(Self {
            protocol: headers.protocol(),
            login: Login::new(login)?,
            envelope: headers.envelope(&proof),
            proof,
            attempt: headers.attempt(),
            client: headers.client(),
            tls: headers.tls(),
        })
    }
}

//------------ Outline -------------------------------------------------------

/// What can be said of a request that was refused before it was read as a whole: enough to word
/// the answer and the log line, nothing to decide by.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// The mail protocol.
    pub protocol: Protocol,
    /// `Auth-User` as it came, escaped; `None` if there is none or if it is not to be believed.
    pub user: Option<&'a [u8]>,
    /// `Client-IP`.
    pub client: Option<IpAddr>,
    /// Who asked the web server: `REMOTE_ADDR` (RFC 3875, 4.1.8), nginx if all is well.
    pub peer: Option<IpAddr>,
}

impl<'a> Outline<'a> {
    /// Reads what is there; never fails.
    pub fn of(params: &Params<'a>) -> Self {
        let headers = Headers::collect(params);
        let stale = headers.get(Header::AuthMethod) == Some(b"none");
        let peer = params.iter().find(|(name, _)| *name == b"REMOTE_ADDR");
        Self {
            protocol: headers.protocol(),
            user: headers.get(Header::AuthUser).filter(|_| !stale),
            client: headers.address(Header::ClientIp),
            peer: peer.and_then(|(_, value)| address(value)),
        }
    }
}

//------------ Headers -------------------------------------------------------

/// The headers that nginx sends.
#[derive(Clone, Copy)]
enum Header {
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
    /// How many there are.
    const COUNT: usize = Self::XAuthKey as usize + 1;

    /// The header behind a CGI variable.
    fn from_variable(variable: &[u8]) -> Option<Self> {
        Some(match variable.strip_prefix(b"HTTP_")? {
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

    /// Its name, as nginx writes it.
    fn name(self) -> &'static str {
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

/// The headers of one request, raw.
struct Headers<'a> {
    values: [Option<&'a [u8]>; Header::COUNT],
    twice: Option<Header>,
}

impl<'a> Headers<'a> {
    fn collect(params: &Params<'a>) -> Self {
        let mut headers = Self {
            values: [None; Header::COUNT],
            twice: None,
        };
        for (name, value) in params.iter() {
            let Some(header) = Header::from_variable(name) else {
                continue;
            };
            let place = &mut headers.values[header as usize];
            if place.is_some() {
                headers.twice = Some(header);
            }
            *place = Some(value);
        }
        headers
    }

    fn get(&self, header: Header) -> Option<&'a [u8]> {
        self.values[header as usize]
    }

    fn show_key(&self, key: Option<&SharedKey>) -> Result<(), Refusal> {
        let Some(key) = key else { return Ok(()) };
        let once = !matches!(self.twice, Some(Header::XAuthKey));
        let shown = self
            .get(Header::XAuthKey)
            .is_some_and(|offered| key.matches(offered));
        if once && shown {
            Ok(())
        } else {
            Err(Refusal::WrongKey)
        }
    }

    /// Some fronts let a mail client of theirs add a header that CGI gives the same name as one
    /// of nginx's; then nobody can tell which is which.
    fn each_once(&self) -> Result<(), Refusal> {
        self.twice.map_or(Ok(()), |header| {
            Err(Refusal::DuplicateHeader(header.name()))
        })
    }

    fn protocol(&self) -> Protocol {
        Protocol::from_word(self.get(Header::AuthProtocol).unwrap_or_default())
    }

    fn proof(&self, pass: &[u8]) -> Result<Proof, Refusal> {
        let digest = || decoded(pass).ok_or(Refusal::BadEscape("Auth-Pass"));
        let salt = || self.get(Header::AuthSalt).unwrap_or_default().to_vec();
        match self.get(Header::AuthMethod).unwrap_or_default() {
            b"plain" | b"" => Ok(Proof::Password(Password::new(digest()?)?)),
            b"cram-md5" => Ok(Proof::CramMd5 {
                salt: salt(),
                digest: digest()?,
            }),
            b"apop" => Ok(Proof::Apop {
                salt: salt(),
                digest: digest()?,
            }),
            b"external" => Ok(Proof::External),
            b"none" => Ok(Proof::None),
            _ => Err(Refusal::UnknownMethod),
        }
    }

    /// No header stands for the first attempt; one that is no number for none that can be counted.
    fn attempt(&self) -> Option<u32> {
        self.get(Header::AuthLoginAttempt).map_or(Some(1), number)
    }

    fn client(&self) -> Client<'a> {
        let end = |address, port| Some((self.address(address)?, number(self.get(port)?)?));
        Client {
            address: self.address(Header::ClientIp),
            host: self.get(Header::ClientHost),
            proxied_from: end(Header::ProxyProtocolAddr, Header::ProxyProtocolPort),
            proxied_to: end(
                Header::ProxyProtocolServerAddr,
                Header::ProxyProtocolServerPort,
            ),
        }
    }

    fn address(&self, header: Header) -> Option<IpAddr> {
        address(self.get(header)?)
    }

    fn envelope(&self, proof: &Proof) -> Option<Envelope<'a>> {
        matches!(proof, Proof::None).then(|| Envelope {
            helo: self.get(Header::AuthSmtpHelo).unwrap_or_default(),
            from: self.get(Header::AuthSmtpFrom).unwrap_or_default(),
            to: self.get(Header::AuthSmtpTo).unwrap_or_default(),
        })
    }

    fn tls(&self) -> Option<Tls<'a>> {
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

impl From<BadPassword> for Refusal {
    fn from(bad: BadPassword) -> Self {
        match bad {
            BadPassword::ControlByte => Self::BadPassword,
            BadPassword::TooLong => Self::PasswordTooLong,
        }
    }
}

/// An address without port and brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A decimal number without sign.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Undoes `ngx_escape_uri` with NGX_ESCAPE_MAIL_AUTH, once and bytewise: `%XX` is a byte, `+` is
/// a plus. nginx escapes every `%`, so one without two hexadecimal digits is not from nginx.
fn decoded(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let (pair, after) = after.split_first_chunk::<2>()?;
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        bytes.push(u8::try_from(high? * 16 + low?).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
