//! The login at a MariaDB or MySQL server (MySQL internals, "Connection Phase"). The relay handles TLS and
//! the password, so the driver has no password to reveal.
//!
//! The driver receives the server's greeting and sends its capabilities. The relay then logs in for the
//! driver, and forwards the server's final reply.

use std::io;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::meter::Metered;
use super::{ConnectionPlan, MaybeTls, encrypted};
use crate::users::sql::server::Tls;

/// The maximum length of a packet during the login. A greeting has about 100 bytes, an error 512.
const MAX_PACKET: usize = 4096;
/// The maximum number of packets from the server during the login.
const MOST_PACKETS: usize = 16;

/// Capabilities (MySQL internals, "Capability Flags").
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const LENENC_DATA: u32 = 1 << 21;

/// Capabilities, maximum packet length, character set and 23 unused bytes: the start of an SSLRequest and of
/// a HandshakeResponse41.
const CLIENT_HEAD: usize = 32;

/// One packet.
struct Packet {
    number: u8,
    content: Zeroizing<Vec<u8>>,
}

impl Packet {
    async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut head = [0; 4];
        from.read_exact(&mut head).await?;
        let [low, middle, high, number] = head;
        let length = [low, middle, high].map(usize::from);
        let length = length[0] | length[1] << 8 | length[2] << 16;
        if length > MAX_PACKET {
            return Err(broken("a packet is too long"));
        }
        let mut content = Zeroizing::new(vec![0; length]);
        from.read_exact(&mut content).await?;
        Ok(Self { number, content })
    }

    async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let length = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        let [low, middle, high, _] = length.to_le_bytes();
        let mut bytes = Zeroizing::new(vec![low, middle, high, self.number]);
        bytes.extend_from_slice(&self.content);
        to.write_all(&bytes).await?;
        to.flush().await
    }

    /// The next packet of the same exchange.
    fn reply(&self, content: Zeroizing<Vec<u8>>) -> Self {
        Self {
            number: self.number.wrapping_add(1),
            content,
        }
    }
}

/// A plugin of the server that this program does not support, such as `client_ed25519` and `parsec` of
/// MariaDB.
fn unsupported(plugin: &[u8]) -> io::Error {
    let plugin = match plugin {
        b"" => "mysql_old_password".into(),
        plugin => String::from_utf8_lossy(plugin),
    };
    io::Error::other(format!(
        "the plugin {:?} of our user is not supported: give the user caching_sha2_password or \
         mysql_native_password",
        plugin.chars().take(40).collect::<String>()
    ))
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("the server does not answer as MySQL does: {what}"))
}

/// Ways to prove a password (MySQL internals, "Authentication Method").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Native,
    CachingSha2,
    Sha256,
    Clear,
}

impl Method {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"mysql_native_password" => Self::Native,
            b"caching_sha2_password" => Self::CachingSha2,
            b"sha256_password" => Self::Sha256,
            b"mysql_clear_password" => Self::Clear,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// The response to a challenge.
    fn response(self, plan: &ConnectionPlan, nonce: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let password = match plan.password() {
            "" => return Ok(Zeroizing::default()),
            password => password.as_bytes(),
        };
        match self {
            Self::Native => Ok(native(password, nonce)),
            Self::CachingSha2 => Ok(caching_sha2(password, nonce)),
            Self::Sha256 => handed_over(self, plan, nonce),
            Self::Clear => clear(self, password, plan.trusted),
        }
    }
}

/// The password, for a server that needs it for the comparison: encrypted with the configured key, which only
/// that server can decrypt, or in clear.
fn handed_over(
    method: Method,
    plan: &ConnectionPlan,
    nonce: &[u8],
) -> io::Result<Zeroizing<Vec<u8>>> {
    let password = plan.password().as_bytes();
    // For this plugin, a Unix socket is not a secure transport (MySQL, sql/auth/sha2_password.cc).
    let by_socket = method == Method::Sha256 && plan.trusted && plan.tls == Tls::Off;
    match &plan.server.server_key {
        Some(key) if !plan.trusted || by_socket => {
            key.encrypt(password, nonce).map_err(io::Error::other)
        }
        None if by_socket => Err(io::Error::other(
            "sha256_password over a Unix socket needs server-public-key-file: or give our user \
             caching_sha2_password",
        )),
        _ => clear(method, password, plan.trusted),
    }
}

/// The password itself, and a NUL: only for a server that has proved its identity. An encryption key from the
/// server proves nothing.
fn clear(method: Method, password: &[u8], trusted: bool) -> io::Result<Zeroizing<Vec<u8>>> {
    if trusted {
        return Ok(Zeroizing::new([password, b"\0"].concat()));
    }
    Err(io::Error::other(format!(
        "the server wants the password itself ({}) without proof of its identity: use its Unix \
        socket{}",
        method.name(),
        match method {
            Method::CachingSha2 | Method::Sha256 => ", tls = \"verify\" or server-public-key-file",
            Method::Native | Method::Clear => " or tls = \"verify\"",
        }
    )))
}

/// SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))).
fn native(password: &[u8], nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    let once = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(password)));
    let twice = Sha1::digest(once.as_slice());
    let mask = Sha1::new().chain_update(nonce).chain_update(twice);
    xor(once.as_slice(), &mask.finalize())
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce).
fn caching_sha2(password: &[u8], nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    let once = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(password)));
    let twice = Sha256::digest(once.as_slice());
    let mask = Sha256::new().chain_update(twice).chain_update(nonce);
    xor(once.as_slice(), &mask.finalize())
}

fn xor(one: &[u8], other: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(one.iter().zip(other).map(|(a, b)| a ^ b).collect())
}

/// A server's greeting (MySQL internals, "Protocol::HandshakeV10").
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    capabilities: u32,
    nonce: Vec<u8>,
    /// The plugin of the challenge; empty if the server does not support plugins.
    plugin: Vec<u8>,
    /// The position of the lower half of the capabilities.
    capabilities_at: usize,
}

impl Greeting {
    fn parse(content: &[u8]) -> Option<Self> {
        let after_version = content.strip_prefix(&[10])?;
        let end = after_version.iter().position(|byte| *byte == 0)?;
        // The thread id.
        let rest = after_version.get(end + 5..)?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let rest = rest.strip_prefix(&[0])?;
        let capabilities_at = content.len() - rest.len();
        let (low, rest) = rest.split_first_chunk::<2>()?;
        // Character set and status.
        let (high, rest) = rest.get(3..)?.split_first_chunk::<2>()?;
        let [low0, low1] = *low;
        let [high0, high1] = *high;
        let capabilities = u32::from_le_bytes([low0, low1, high0, high1]);
        let (length, rest) = rest.split_first()?;
        let rest = rest.get(10..)?;
        // At least 13 bytes, of which the last is NUL.
        let second = usize::from(*length).saturating_sub(8).max(13);
        let (second, rest) = rest.split_at_checked(second)?;
        let nonce = [
            first.as_slice(),
            second.strip_suffix(&[0]).unwrap_or(second),
        ]
        .concat();
        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let needed = PROTOCOL_41 | SECURE_CONNECTION;
        (capabilities & needed == needed).then_some(Self {
            capabilities,
            nonce,
            plugin: name.to_vec(),
            capabilities_at,
        })
    }
}

impl Greeting {
    /// The method of the server's plugin. A server without plugins uses the native one.
    fn method(&self) -> io::Result<Method> {
        match self.plugin.as_slice() {
            b"" => Ok(Method::Native),
            name => Method::of(name).ok_or_else(|| unsupported(name)),
        }
    }
}

/// Logs in for the driver, and sends it the result.
pub(super) async fn open(
    mut socket: Metered,
    driver: &mut UnixStream,
    plan: &ConnectionPlan,
) -> io::Result<MaybeTls> {
    let mut greeting = Packet::read(&mut socket).await?;
    if greeting.content.first() == Some(&0xff) {
        greeting.write(driver).await?;
        return Ok(MaybeTls::Plain(socket));
    }
    let parsed = Greeting::parse(&greeting.content).ok_or_else(|| broken("its greeting"))?;
    // Checked before the driver sees the greeting: its own error about an unsupported plugin is less clear.
    let method = parsed.method()?;
    let encrypt = match (plan.tls, parsed.capabilities & SSL != 0) {
        (Tls::Off, _) | (Tls::Prefer, false) => false,
        (Tls::Prefer | Tls::Require | Tls::Verify, true) => true,
        (Tls::Require | Tls::Verify, false) => {
            return Err(io::Error::other("TLS: the server does not offer it"));
        }
    };
    // The driver must not learn about TLS.
    let low = greeting.content.get_mut(parsed.capabilities_at..);
    if let Some([_, second, ..]) = low {
        *second &= !(SSL >> 8).to_le_bytes()[0];
    }
    greeting.write(driver).await?;
    let said = Packet::read(driver).await?;
    let head = said.content.first_chunk::<CLIENT_HEAD>();
    let mut head = *head.ok_or_else(|| broken("nor does the driver"))?;
    let [c0, c1, c2, c3, ..] = head;
    let mut capabilities = u32::from_le_bytes([c0, c1, c2, c3]);
    if encrypt {
        capabilities |= SSL;
    }
    if let Some(start) = head.first_chunk_mut() {
        *start = capabilities.to_le_bytes();
    }
    let (mut link, asked) = if encrypt {
        let request = greeting.reply(Zeroizing::new(head.to_vec()));
        request.write(&mut socket).await?;
        (encrypted(socket, plan).await?, request)
    } else {
        (MaybeTls::Plain(socket), greeting)
    };
    let proof = method.response(plan, &parsed.nonce)?;
    let response = response(&head, capabilities, plan, method, &proof);
    asked.reply(response).write(&mut link).await?;
    let end = authenticate(&mut link, plan, method, parsed.nonce).await?;
    end.write(driver).await?;
    Ok(link)
}

/// What a client says of itself (MySQL internals, "Protocol::HandshakeResponse41").
fn response(
    head: &[u8; CLIENT_HEAD],
    capabilities: u32,
    plan: &ConnectionPlan,
    method: Method,
    proof: &[u8],
) -> Zeroizing<Vec<u8>> {
    // A buffer that grows would leave unwiped copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_PACKET));
    content.extend_from_slice(head);
    content.extend_from_slice(plan.user().as_bytes());
    content.push(0);
    match u16::try_from(proof.len()) {
        Ok(length @ 251..) if capabilities & LENENC_DATA != 0 => {
            content.push(0xfc);
            content.extend_from_slice(&length.to_le_bytes());
        }
        length => content.push(length.map_or(0, |length| length.to_le_bytes()[0])),
    }
    content.extend_from_slice(proof);
    if capabilities & CONNECT_WITH_DB != 0 {
        content.extend_from_slice(plan.database().as_bytes());
        content.push(0);
    }
    if capabilities & PLUGIN_AUTH != 0 {
        content.extend_from_slice(method.name().as_bytes());
        content.push(0);
    }
    content
}

/// Answers the server's requests until it sends an OK or an ERR.
async fn authenticate(
    link: &mut MaybeTls,
    plan: &ConnectionPlan,
    mut method: Method,
    mut nonce: Vec<u8>,
) -> io::Result<Packet> {
    for _ in 0..MOST_PACKETS {
        let packet = Packet::read(link).await?;
        let answer = match packet.content.as_slice() {
            [0x00 | 0xff, ..] => return Ok(packet),
            // AuthSwitchRequest: a name, a NUL, a nonce, and usually another NUL.
            [0xfe, rest @ ..] => {
                let mut parts = rest.splitn(2, |byte| *byte == 0);
                let name = parts.next().unwrap_or_default();
                let data = parts.next().unwrap_or_default();
                method = Method::of(name).ok_or_else(|| unsupported(name))?;
                nonce = data.strip_suffix(&[0]).unwrap_or(data).to_vec();
                method.response(plan, &nonce)?
            }
            // The server has the password in its cache: an OK follows.
            [0x01, 0x03] if method == Method::CachingSha2 => continue,
            // The server does not have it in its cache, and requests the password itself.
            [0x01, 0x04] if method == Method::CachingSha2 => handed_over(method, plan, &nonce)?,
            _ => return Err(broken("during the authentication")),
        };
        packet.reply(answer).write(link).await?;
    }
    Err(broken("the authentication does not end"))
}

#[cfg(test)]
mod tests;
