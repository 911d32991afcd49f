//! Reads every header that nginx sends with `auth_http`.
//!
//! The names and forms are those of `ngx_mail_auth_http_create_request` in
//! ngx_mail_auth_http_module.c. A CGI front passes each on as `HTTP_<NAME>` (RFC 3875, 4.1.18).

use std::net::IpAddr;

use crate::front::params::{Params, Peer};
use crate::login::{BadLogin, Login, Network, Protocol};
use crate::net::percent;
use crate::nginx::answer::Dialogue;
use crate::nginx::refusal::Refusal;
use crate::secret::{BadChallengeResponse, BadPassword, Proof};

mod fronts;
mod headers;

pub use fronts::{AllowedFronts, Fronts, KEY_HEADER, KeyHeader, Keys};
#[cfg(feature = "servers")]
pub(crate) use headers::is_sent_by_nginx;
use headers::{Header, Headers};

//------------ Method --------------------------------------------------------

/// nginx's `Auth-Method`: how the client proves its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `plain`.
    Plain,
    /// `cram-md5`.
    CramMd5,
    /// `apop`.
    Apop,
    /// `external`.
    External,
    /// `none`.
    None,
    /// `xoauth2` and `oauthbearer`.
    Token,
}

impl Method {
    /// The method of a proof. None of them is [`Method::None`].
    pub fn of(proof: &Proof) -> Self {
        match proof {
            Proof::Password(_) => Self::Plain,
            Proof::CramMd5(_) => Self::CramMd5,
            Proof::Apop(_) => Self::Apop,
            Proof::External => Self::External,
            Proof::Token(_) => Self::Token,
        }
    }
}

//------------ AuthRequest ---------------------------------------------------

/// One request of nginx, decoded and checked.
#[derive(Clone, Debug)]
pub enum AuthRequest<'a> {
    /// A client logs in.
    LogIn(LoginRequest<'a>),
    /// Another mail server delivers mail (`smtp_auth none`): there is no login.
    TakeMail(MailRequest<'a>),
}

/// A login: may this client log in, and which mail server has its mailbox?
#[derive(Clone, Debug)]
pub struct LoginRequest<'a> {
    /// The connection of the mail client.
    pub connection: Connection<'a>,
    /// The login.
    pub login: Login,
    /// The proof of the client.
    pub proof: Proof,
}

/// Incoming mail: is it accepted, and by which mail server?
#[derive(Clone, Debug)]
pub struct MailRequest<'a> {
    /// The connection of the mail client.
    pub connection: Connection<'a>,
    /// The SMTP dialogue so far.
    pub envelope: Envelope<'a>,
}

/// The headers about a mail client's connection, which all requests have.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The mail protocol.
    pub protocol: Protocol,
    /// The number of attempts on this connection, from 1; `None` if it is not a number.
    pub attempt: Option<u32>,
    /// The mail client.
    pub client: Client<'a>,
    /// The TLS session of the mail client; `None` without one.
    pub tls: Option<Tls<'a>>,
}

/// The mail client, as nginx describes it. Names are raw bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// `Client-IP`; `None` for a client on a Unix socket, or if it is not an address.
    pub address: Option<IpAddr>,
    /// Whether the address certainly comes from nginx: the request had the key, or came from an
    /// allowed front.
    pub vouched_for: bool,
    /// `Client-Host`: the verified name, `[UNAVAILABLE]` or `[TEMPUNAVAIL]`; SMTP only.
    pub host: Option<&'a [u8]>,
    /// `Proxy-Protocol-Addr` and `Proxy-Protocol-Port`: the source address in a PROXY header.
    pub proxied_from: Option<(IpAddr, u16)>,
    /// `Proxy-Protocol-Server-Addr` and `-Port`: the destination address in a PROXY header.
    pub proxied_to: Option<(IpAddr, u16)>,
}

impl Client<'_> {
    /// The network whose share of the work is limited, if the address is trusted: one address of
    /// IPv4, a /48 of IPv6, which is the allocation of one site (RFC 6177).
    pub fn network(&self) -> Option<Network> {
        let believed = self.address.filter(|_| self.vouched_for);
        believed.map(|address| Network::around(address, 32, 48))
    }
}

/// The headers about a mail client's connection besides its protocol and address: for another
/// `auth_http` service, which gets what nginx sent and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session<'a> {
    /// `Auth-Login-Attempt`, as in [`Connection::attempt`].
    pub attempt: Option<u32>,
    /// As in [`Client::host`].
    pub host: Option<&'a [u8]>,
    /// As in [`Client::proxied_from`].
    pub proxied_from: Option<(IpAddr, u16)>,
    /// As in [`Client::proxied_to`].
    pub proxied_to: Option<(IpAddr, u16)>,
    /// As in [`Connection::tls`].
    pub tls: Option<Tls<'a>>,
}

/// `Auth-SMTP-Helo`, `-From` and `-To`, raw: command lines as a mail client typed them.
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
    /// `SUCCESS`, `NONE` or `FAILED:reason`; absent if nginx does not request certificates.
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
    /// The receiver of the answer.
    pub fn dialogue(&self) -> Dialogue {
        Dialogue::new(self.connection().protocol, Some(self.method()))
    }

    /// nginx's `Auth-Method`.
    pub fn method(&self) -> Method {
        match self {
            Self::LogIn(request) => Method::of(&request.proof),
            Self::TakeMail(_) => Method::None,
        }
    }

    /// The connection of the mail client.
    pub fn connection(&self) -> &Connection<'a> {
        match self {
            Self::LogIn(request) => &request.connection,
            Self::TakeMail(request) => &request.connection,
        }
    }

    /// Reads and checks a request. A request that is not from an allowed front is refused before
    /// anything else in it is read.
    pub fn from_params(params: &Params<'a>, peer: Peer, fronts: &Fronts) -> Result<Self, Refusal> {
        fronts.admit(params, peer)?;
        let headers = Headers::collect(params);
        headers.each_once()?;
        headers.has_credentials()?;
        headers.are_lines()?;
        headers.fit_for_the_mail_server()?;
        let connection = Connection {
            protocol: headers.protocol(),
            attempt: headers.attempt(),
            client: Client {
                vouched_for: !fronts.accept_everyone(),
                ..headers.client()
            },
            tls: headers.tls(),
        };
        // With method none, Auth-User may contain the data of an earlier client of that nginx
        // worker (CVE-2025-53859), so it is ignored.
        let Some(proof) = headers.proof()? else {
            return Ok(Self::TakeMail(MailRequest {
                connection,
                envelope: headers.envelope(),
            }));
        };
        let login = percent::decode(headers.get(Header::AuthUser).unwrap_or_default())
            .ok_or(Refusal::BadEscape("Auth-User"))?;
        Ok(Self::LogIn(LoginRequest {
            login: Login::for_protocol(login, connection.protocol)?,
            connection,
            proof,
        }))
    }
}

impl<'a> Connection<'a> {
    /// The headers that stores may pass on.
    pub fn session(&self) -> Session<'a> {
        Session {
            attempt: self.attempt,
            host: self.client.host,
            proxied_from: self.client.proxied_from,
            proxied_to: self.client.proxied_to,
            tls: self.tls,
        }
    }
}

//------------ Outline -------------------------------------------------------

/// The known parts of a request that was refused before it was read completely: enough for the text
/// of the answer and the log line, and not used for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// The mail protocol.
    pub protocol: Protocol,
    /// `Auth-Method`; `None` if it is not known.
    pub method: Option<Method>,
    /// `Auth-User`, still escaped; `None` if it is missing or not trusted.
    pub user: Option<&'a [u8]>,
    /// `Auth-Login-Attempt`, as in [`Connection::attempt`].
    pub attempt: Option<u32>,
    /// `Client-IP`.
    pub client: Option<IpAddr>,
}

impl<'a> Outline<'a> {
    /// The receiver of the answer.
    pub fn dialogue(&self) -> Dialogue {
        Dialogue::new(self.protocol, self.method)
    }

    /// Reads the headers that are present; never fails.
    pub fn of(params: &Params<'a>) -> Self {
        let headers = Headers::collect(params);
        let stale = headers.get(Header::AuthMethod) == Some(b"none");
        Self {
            protocol: headers.protocol(),
            method: headers.method(),
            user: headers.get(Header::AuthUser).filter(|_| !stale),
            attempt: headers.attempt(),
            client: headers.address(Header::ClientIp),
        }
    }
}

impl From<BadLogin> for Refusal {
    fn from(bad: BadLogin) -> Self {
        match bad {
            BadLogin::ForbiddenByte => Self::BadLogin,
            BadLogin::TooLong => Self::LoginTooLong,
        }
    }
}

impl From<BadChallengeResponse> for Refusal {
    fn from(bad: BadChallengeResponse) -> Self {
        match bad {
            BadChallengeResponse::Challenge => Self::BadChallenge,
            BadChallengeResponse::Digest => Self::BadDigest,
        }
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

#[cfg(test)]
mod tests;
