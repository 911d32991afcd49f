//! `probe`: asks an `auth_http` URL as nginx does, and tells what nginx would do with the answer.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use self::exchange::exchange;
use self::key::Key;
use self::log_file::LogFile;
use super::password::PasswordPrompt;
use super::{CommandError, Outcome};
use crate::commands::cli::{MethodWord, ProbeArgs};
use crate::login::Protocol;
use crate::nginx::mail_proxy::{ProxyProtocol, Request, Session, escaped};
use crate::nginx::request::{Envelope, Tls};
use crate::secret::{apop_answer, cram_md5_answer};

mod exchange;
mod hints;
mod key;
mod log_file;
mod report;

/// The maximum length of a password or token in bytes: more than any web server accepts in a header.
pub(super) const MAX_SECRET_BYTES: usize = 64 * 1024;

/// The maximum size of a file with a key or a certificate in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Asks for the password, sends the request, and prints what nginx would do.
pub(super) fn probe(
    config: &Path,
    arguments: &ProbeArgs,
    whom: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let protocol = match protocol(arguments) {
        Ok(protocol) => protocol,
        Err(why) => {
            writeln!(err, "{why}")?;
            return Ok(Outcome::BadCommandLine);
        }
    };
    let key = match Key::find(config, arguments, err)? {
        Ok(key) => key,
        Err(outcome) => return Ok(outcome),
    };
    let mut log = match arguments.log.as_deref() {
        Some(path) => Some(LogFile::open(path).map_err(|error| unreadable(path, &error))?),
        None => None,
    };
    let cert = arguments.ssl_cert.as_deref().map(|path| {
        let pem = content(path).map_err(|error| unreadable(path, &error))?;
        Ok::<_, CommandError>(escaped(&pem))
    });
    let cert = cert.transpose()?;
    let proof = Proof::ask(arguments.method, whom)?;
    let envelope = Commands::of(arguments);
    let more: Vec<_> = key
        .header()
        .into_iter()
        .chain(
            arguments
                .header
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        )
        .collect();
    let of_smtp = (protocol == Protocol::Smtp).then_some(b"[UNAVAILABLE]".as_slice());
    let request = Request {
        host: &arguments.url.host,
        uri: &arguments.url.uri,
        method: arguments.method.word(),
        user: bytes(arguments.login.as_deref()).unwrap_or_default(),
        pass: &proof.pass,
        salt: proof.salt.as_deref().map(str::as_bytes),
        protocol,
        attempt: arguments.attempt.get(),
        client: Some(arguments.client_ip),
        client_host: bytes(arguments.client_host.as_deref()).or(of_smtp),
        proxied: ProxyProtocol {
            from: arguments.proxy_from,
            to: arguments.proxy_to,
        },
        envelope: (arguments.method == MethodWord::None).then(|| envelope.as_headers()),
        tls: tls(arguments, cert.as_ref().map(|pem| pem.as_slice())),
        more: &more,
    };
    let sent = request.bytes();
    let asked = report::Asked {
        session: Session {
            protocol,
            method: arguments.method.method(),
            login: request.user,
        },
        request: &sent,
        secrets: &["Auth-Pass", &key.name],
        temporary: &key.temporary,
    };
    writeln!(
        out,
        "asked: {} for {} {} from {}, with {}",
        arguments.url.place,
        protocol.word(),
        arguments.method.word(),
        arguments.client_ip,
        key.origin
    )?;
    if arguments.verbose {
        asked.show_request(out)?;
    }
    let timeout = Duration::from_secs(arguments.timeout);
    let mut outcome = match exchange(&arguments.url, &sent, timeout) {
        Ok(exchange) => asked.tell(&exchange, timeout, arguments.verbose, out)?,
        Err(failed) => asked.tell_not_asked(&failed, out)?,
    };
    if let Some(log) = &mut log {
        let logged = log
            .added(protocol, arguments.client_ip)
            .map_err(CommandError::Write)?;
        report::tell_log(&logged, &mut outcome, out)?;
    }
    Ok(outcome)
}

/// The protocol, if nginx has the method for it.
fn protocol(arguments: &ProbeArgs) -> Result<Protocol, &'static str> {
    let of_method = match arguments.method {
        MethodWord::None => Protocol::Smtp,
        MethodWord::Apop => Protocol::Pop3,
        _ => Protocol::Imap,
    };
    let protocol = arguments.protocol.map_or(of_method, Protocol::from);
    match (arguments.method, protocol) {
        (method, _) if arguments.login.is_none() && method != MethodWord::None => {
            Err("which LOGIN? Only --method none has none")
        }
        (MethodWord::None, Protocol::Imap | Protocol::Pop3) => {
            Err("--method none is incoming mail: nginx has it for smtp only")
        }
        (MethodWord::Apop, Protocol::Imap | Protocol::Smtp) => {
            Err("nginx has the method apop for pop3 only")
        }
        _ => Ok(protocol),
    }
}

/// `Auth-Pass` and `Auth-Salt`.
struct Proof {
    pass: Zeroizing<Vec<u8>>,
    salt: Option<String>,
}

impl Proof {
    /// Asks for the password, and answers a challenge with it if the method has one.
    fn ask(method: MethodWord, whom: &mut impl PasswordPrompt) -> Result<Self, CommandError> {
        let prompt = match method {
            MethodWord::Plain | MethodWord::CramMd5 | MethodWord::Apop => "Password: ",
            MethodWord::Xoauth2 | MethodWord::Oauthbearer => "Token: ",
            MethodWord::External | MethodWord::None => {
                return Ok(Self {
                    pass: Zeroizing::default(),
                    salt: None,
                });
            }
        };
        let typed = whom.ask(prompt).map_err(CommandError::ReadPassword)?;
        if typed.len() > MAX_SECRET_BYTES {
            let why =
                format!("a password or token of more than {MAX_SECRET_BYTES} bytes is not sent");
            return Err(CommandError::Input(why));
        }
        let answer = match method {
            MethodWord::CramMd5 => cram_md5_answer,
            MethodWord::Apop => apop_answer,
            _ => {
                return Ok(Self {
                    pass: typed,
                    salt: None,
                });
            }
        };
        let salt = challenge().map_err(CommandError::Write)?;
        let digest = answer(salt.as_bytes(), &typed);
        Ok(Self {
            pass: Zeroizing::new(digest.as_bytes().to_vec()),
            salt: Some(salt),
        })
    }
}

/// A challenge as nginx makes it: `<%ul.%T@%V>` (`ngx_mail_salt` in ngx_mail_handler.c).
fn challenge() -> io::Result<String> {
    let mut random = [0; 4];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Ok(format!(
        "<{}.{}@localhost>",
        u32::from_le_bytes(random),
        time.as_secs()
    ))
}

/// The SMTP commands of incoming mail.
struct Commands<'a> {
    helo: &'a [u8],
    from: Vec<u8>,
    to: Vec<u8>,
}

impl<'a> Commands<'a> {
    fn of(arguments: &'a ProbeArgs) -> Self {
        Self {
            helo: bytes(arguments.helo.as_deref()).unwrap_or(b"localhost"),
            from: command("MAIL FROM:", arguments.smtp_from.as_deref()),
            to: command("RCPT TO:", arguments.smtp_to.as_deref()),
        }
    }

    fn as_headers(&self) -> Envelope<'_> {
        Envelope {
            helo: self.helo,
            from: &self.from,
            to: &self.to,
        }
    }
}

/// A whole command as it is, an address as the argument of one.
fn command(verb: &str, typed: Option<&OsStr>) -> Vec<u8> {
    let typed = bytes(typed).unwrap_or_default();
    let start = typed.get(..verb.len()).unwrap_or_default();
    if start.eq_ignore_ascii_case(verb.as_bytes()) {
        return typed.to_vec();
    }
    let address = typed
        .strip_prefix(b"<")
        .and_then(|typed| typed.strip_suffix(b">"));
    [verb.as_bytes(), b"<", address.unwrap_or(typed), b">"].concat()
}

/// `Auth-SSL` and the others, if the client uses TLS.
fn tls<'a>(arguments: &'a ProbeArgs, cert: Option<&'a [u8]>) -> Option<Tls<'a>> {
    let [verify, subject, issuer, serial, fingerprint] = [
        &arguments.ssl_verify,
        &arguments.ssl_subject,
        &arguments.ssl_issuer,
        &arguments.ssl_serial,
        &arguments.ssl_fingerprint,
    ]
    .map(|value| bytes(value.as_deref()));
    let any = [verify, subject, issuer, serial, fingerprint, cert];
    (arguments.tls || any.iter().any(Option::is_some)).then_some(Tls {
        protocol: Some(b"TLSv1.3"),
        cipher: Some(b"TLS_AES_256_GCM_SHA384"),
        verify,
        subject,
        issuer,
        serial,
        fingerprint,
        cert,
    })
}

fn bytes(text: Option<&OsStr>) -> Option<&[u8]> {
    text.map(OsStr::as_bytes)
}

/// The content of a small file.
fn content(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE_BYTES {
        true => Err(io::Error::other(format!(
            "has more than {MAX_FILE_BYTES} bytes"
        ))),
        false => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Input(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_command_and_a_command_stays() {
        for (typed, sent) in [
            ("a@b", "RCPT TO:<a@b>"),
            ("<a@b>", "RCPT TO:<a@b>"),
            ("", "RCPT TO:<>"),
            ("rcpt to: <a@b> X=1", "rcpt to: <a@b> X=1"),
        ] {
            let command = command("RCPT TO:", Some(OsStr::new(typed)));
            assert_eq!(command, sent.as_bytes(), "{typed}");
        }
        assert_eq!(command("MAIL FROM:", None), b"MAIL FROM:<>");
    }
}
