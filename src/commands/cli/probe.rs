//! The arguments of `probe`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::ProtocolWord;
use crate::nginx::mail_proxy::AuthUrl;
use crate::nginx::request::{KeyHeader, Method};

/// The arguments of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The argument of auth_http: http://HOST:PORT/PATH or unix:/SOCKET:/PATH
    #[arg(value_parser = AuthUrl::parse)]
    pub url: AuthUrl,
    /// The login, as a user types it; none with --method none
    pub login: Option<OsString>,
    /// The mail protocol [default: imap; smtp with --method none, pop3 with --method apop]
    #[arg(long)]
    pub protocol: Option<ProtocolWord>,
    /// How the client logs in
    #[arg(long, value_enum, default_value_t = MethodWord::Plain)]
    pub method: MethodWord,
    /// The file whose first line is the key [default: the first key of the configuration]
    #[arg(long, value_name = "FILE", conflicts_with = "no_key")]
    pub key_file: Option<PathBuf>,
    /// The header with the key [default: key-header of the configuration, else X-Auth-Key]
    #[arg(long, value_name = "NAME", value_parser = key_header)]
    pub key_header: Option<String>,
    /// Send no key, and read no configuration
    #[arg(long)]
    pub no_key: bool,
    /// A further auth_http_header, as in --header 'X-Site: one'; may be given several times
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// The address that the mail client comes from
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub client_ip: IpAddr,
    /// The name of that address, which nginx sends for SMTP. Default: UNAVAILABLE in brackets, as without a resolver
    #[arg(value_parser = one_line(), long, value_name = "NAME")]
    pub client_host: Option<OsString>,
    /// The number of the attempt on one connection of the client
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub attempt: NonZeroU32,
    /// The name in the HELO or EHLO command, with --method none
    #[arg(value_parser = one_line(), long, value_name = "NAME")]
    pub helo: Option<OsString>,
    /// The sender, or the whole MAIL command, with --method none
    #[arg(value_parser = one_line(), long, value_name = "ADDRESS")]
    pub smtp_from: Option<OsString>,
    /// The recipient, or the whole RCPT command, with --method none
    #[arg(value_parser = one_line(), long, value_name = "ADDRESS", required_if_eq("method", "none"))]
    pub smtp_to: Option<OsString>,
    /// The client's connection uses TLS
    #[arg(long)]
    pub tls: bool,
    /// The result of ssl_verify_client: SUCCESS, NONE or FAILED:REASON; this and the others imply --tls
    #[arg(value_parser = one_line(), long, value_name = "RESULT")]
    pub ssl_verify: Option<OsString>,
    /// The subject of the client's certificate, as in CN=alice,O=Example
    #[arg(value_parser = one_line(), long, value_name = "NAME")]
    pub ssl_subject: Option<OsString>,
    /// Its issuer
    #[arg(value_parser = one_line(), long, value_name = "NAME")]
    pub ssl_issuer: Option<OsString>,
    /// Its serial number in hexadecimal digits
    #[arg(value_parser = one_line(), long, value_name = "HEX")]
    pub ssl_serial: Option<OsString>,
    /// Its SHA-1 fingerprint in hexadecimal digits
    #[arg(value_parser = one_line(), long, value_name = "HEX")]
    pub ssl_fingerprint: Option<OsString>,
    /// The certificate itself in PEM form, as with auth_http_pass_client_cert
    #[arg(long, value_name = "FILE")]
    pub ssl_cert: Option<PathBuf>,
    /// The source of a PROXY header, ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS:PORT", requires = "proxy_to")]
    pub proxy_from: Option<SocketAddr>,
    /// The destination of that PROXY header
    #[arg(long, value_name = "ADDRESS:PORT", requires = "proxy_from")]
    pub proxy_to: Option<SocketAddr>,
    /// auth_http_timeout in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// The log of the program, or Apache's error log: shows what it logs for the request
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Print request and answer, without passwords and key
    #[arg(long, short)]
    pub verbose: bool,
}

/// A value that cannot end its header, as nginx never sends one.
fn one_line() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|value| {
        let end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        match value.as_encoded_bytes().iter().any(end) {
            true => Err("must be one line"),
            false => Ok(value),
        }
    })
}

/// A header as in HTTP: its name, a colon, its value.
fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("has no colon: NAME: VALUE")?;
    let plain = |byte: u8| byte.is_ascii_graphic();
    if name.is_empty() || !name.bytes().all(plain) || text.contains(['\r', '\n']) {
        return Err("is no header: NAME: VALUE, on one line");
    }
    Ok((name.to_owned(), value.trim_matches(' ').to_owned()))
}

fn key_header(text: &str) -> Result<String, &'static str> {
    KeyHeader::new(text).map(|header| header.name().to_owned())
}

/// nginx's words for the methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodWord {
    /// A password.
    Plain,
    /// The digest of a challenge, made from the password.
    CramMd5,
    /// The same for POP3.
    Apop,
    /// A client certificate.
    External,
    /// Incoming mail.
    None,
    /// A token, in nginx's forks.
    Xoauth2,
    /// A token, in nginx's forks.
    Oauthbearer,
}

impl MethodWord {
    /// The word of `Auth-Method`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::CramMd5 => "cram-md5",
            Self::Apop => "apop",
            Self::External => "external",
            Self::None => "none",
            Self::Xoauth2 => "xoauth2",
            Self::Oauthbearer => "oauthbearer",
        }
    }

    /// The method.
    pub fn method(self) -> Method {
        match self {
            Self::Plain => Method::Plain,
            Self::CramMd5 => Method::CramMd5,
            Self::Apop => Method::Apop,
            Self::External => Method::External,
            Self::None => Method::None,
            Self::Xoauth2 | Self::Oauthbearer => Method::Token,
        }
    }
}
