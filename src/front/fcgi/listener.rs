//! Sockets that web servers connect to: inherited on descriptor 0, from systemd, or our own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType};

use crate::front::params::Peer;

mod unix;

use unix::OwnFile;
pub use unix::SocketRights;

/// The length of the backlog; the kernel limits it (net.core.somaxconn, 4096 by default).
const BACKLOG: i32 = 4096;

/// A listening stream socket, TCP or Unix.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// The peer of a Unix socket; `None` for TCP, where each connection has its address.
    local_peer: Option<Peer>,
    own_file: Option<OwnFile>,
}

/// The listening socket on descriptor 0, if there is one: then this process is a FastCGI program
/// (FastCGI 1.0, 2.2).
///
/// A *connected* socket does not count: Apache's mod_cgid gives one to CGI programs. If
/// `GATEWAY_INTERFACE` is set, no socket counts: only CGI programs get that variable (RFC 3875,
/// 4.1.4).
pub fn inherited_on_fd0() -> Option<Listener> {
    let stdin = rustix::stdio::stdin();
    if std::env::var_os("GATEWAY_INTERFACE").is_some() || !listens(stdin) {
        return None;
    }
    let socket = stdin.try_clone_to_owned().ok()?;
    Some(Listener::of_others(socket, Peer::WebServer))
}

/// The sockets that systemd passes (`LISTEN_FDS`, sd_listen_fds(3)); empty without it. An error if
/// one of them is not a listening stream socket.
pub fn from_systemd() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let socket = match passed.take_unix_listener(index) {
            Ok(socket) => socket.map(OwnedFd::from),
            Err(_) => passed.take_tcp_listener(index)?.map(OwnedFd::from),
        };
        let Some(socket) = socket else { continue };
        if !listens(socket.as_fd()) {
            let what = "a socket passed by systemd is not listening";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        listeners.push(Listener::of_others(socket, Peer::Unix));
    }
    Ok(listeners)
}

fn listens(socket: BorrowedFd<'_>) -> bool {
    net::sockopt::socket_acceptconn(socket).unwrap_or(false)
}

impl Listener {
    /// Listens on `unix:/path` or on `address:port`.
    ///
    /// A Unix socket gets its rights before a client can connect. A socket file without a server is
    /// replaced. `AddrInUse` if another program serves it or is about to, or if the file is not a
    /// socket. `PermissionDenied` if others could replace the file. `InvalidInput` if `address` has
    /// neither form.
    pub fn bind(address: &str, rights: SocketRights) -> io::Result<Self> {
        let listener = Self::reserve(address, rights)?;
        listener.listen()?;
        Ok(listener)
    }

    /// Like [`Listener::bind`], but connections are refused before [`Listener::listen`].
    pub fn reserve(address: &str, rights: SocketRights) -> io::Result<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => {
                let (socket, own_file) = unix::bind(Path::new(path), rights)?;
                Ok(Self {
                    socket,
                    local_peer: Some(Peer::Unix),
                    own_file: Some(own_file),
                })
            }
            None => Self::bind_tcp(address.parse().map_err(|_| {
                let what = "neither unix:/path nor address:port, such as 127.0.0.1:9000";
                io::Error::new(io::ErrorKind::InvalidInput, what)
            })?),
        }
    }

    fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Lingering connections of a former server must not prevent the start.
        net::sockopt::set_socket_reuseaddr(&socket, true)?;
        net::bind(&socket, &address)?;
        Ok(Self {
            socket,
            local_peer: None,
            own_file: None,
        })
    }

    /// Lets web servers connect.
    pub fn listen(&self) -> io::Result<()> {
        Ok(net::listen(&self.socket, BACKLOG)?)
    }

    /// The files that [`Listener::remove_file`] removes.
    pub fn own_files(&self) -> impl Iterator<Item = &Path> {
        self.own_file.iter().flat_map(OwnFile::paths)
    }

    /// A socket that another program created; `local` is the peer if it is a Unix socket.
    fn of_others(socket: OwnedFd, local: Peer) -> Self {
        let family = net::getsockname(&socket).map(|name| name.address_family());
        Self {
            socket,
            local_peer: (family == Ok(AddressFamily::UNIX)).then_some(local),
            own_file: None,
        }
    }

    /// The address, if it is TCP: it has the actual port if port 0 was requested.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        net::getsockname(&self.socket).ok()?.try_into().ok()
    }

    /// Its name in the log, in the form of [`Listener::bind`].
    pub fn name(&self) -> String {
        if let Some(address) = self.tcp_address() {
            return address.to_string();
        }
        if let Some(path) = self.own_files().next() {
            return format!("unix:{}", path.display());
        }
        let address = net::getsockname(&self.socket).ok();
        let address = address.and_then(|address| SocketAddrUnix::try_from(address).ok());
        match address.as_ref().and_then(SocketAddrUnix::path_bytes) {
            Some(path) => format!("unix:{}", String::from_utf8_lossy(path)),
            None => "unix:".to_owned(),
        }
    }

    /// Waits for a connection of an admitted peer; others are closed at once.
    pub(super) fn accept(&self, admits: impl Fn(Peer) -> bool) -> Result<(OwnedFd, Peer), Errno> {
        loop {
            let accepted = match net::acceptfrom_with(&self.socket, SocketFlags::CLOEXEC) {
                Ok((socket, address)) => match self.peer(address) {
                    Some(peer) if admits(peer) => Ok((socket, peer)),
                    _ => continue,
                },
                Err(error) => Err(error),
            };
            match accepted {
                // Another process may have accepted it from a shared, non-blocking listener.
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None)?;
                }
                // These errors concern one connection that is already closed.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                other => return other,
            }
        }
    }

    /// `None` for a TCP connection without an address.
    fn peer(&self, address: Option<SocketAddrAny>) -> Option<Peer> {
        if self.local_peer.is_some() {
            return self.local_peer;
        }
        let address = SocketAddr::try_from(address?).ok()?;
        Some(Peer::Tcp(address.ip().to_canonical()))
    }

    /// Whether a connection waits in the backlog.
    pub(super) fn has_backlog(&self) -> bool {
        let now = Timespec::default();
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut sockets, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Removes the file of a Unix socket that this process created, unless another program has
    /// replaced it. After that another program may listen there.
    pub fn remove_file(&self) {
        if let Some(own) = &self.own_file {
            own.remove();
        }
    }
}

/// The only web servers that may connect (FastCGI 1.0, 3.2: `FCGI_WEB_SERVER_ADDRS`).
///
/// As the specification says, others are refused "if the connection uses a transport other than
/// TCP/IP" too; libfcgi accepts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebServers(Vec<Ipv4Addr>);

impl WebServers {
    /// Reads the variable's value, "a comma-separated list of valid IP addresses" (version 4).
    pub fn parse(list: &str) -> Result<Self, std::net::AddrParseError> {
        let addresses = list.split(',').map(|address| address.trim().parse());
        addresses.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contain(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(IpAddr::V4(peer)) => self.0.contains(&peer),
            Peer::Tcp(IpAddr::V6(_)) | Peer::Unix | Peer::WebServer => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_servers_are_ipv4_addresses_over_tcp() {
        let servers = WebServers::parse("127.0.0.1, 10.0.0.2").unwrap();
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("10.0.0.2", true),
            ("10.0.0.3", false),
            ("::1", false),
        ] {
            let peer = Peer::Tcp(peer.parse().unwrap());
            assert_eq!(servers.contain(peer), expected, "{peer}");
        }
        assert!(!servers.contain(Peer::Unix));
        for bad in ["", "localhost", "127.0.0.1,", "::1", "127.0.0.1:80"] {
            assert!(WebServers::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_peer_is_an_address_over_tcp_and_what_is_known_of_the_socket_else() {
        let rights = SocketRights::of_mode(0o660);
        let listener = Listener::bind("127.0.0.1:0", rights).unwrap();
        let tcp = |address: &str| Some(SocketAddrAny::from(address.parse::<SocketAddr>().unwrap()));
        for (address, peer) in [
            ("192.0.2.1:9", [192, 0, 2, 1].into()),
            ("[::ffff:192.0.2.1]:9", [192, 0, 2, 1].into()),
            ("[2001:db8::1]:9", "2001:db8::1".parse().unwrap()),
        ] {
            assert_eq!(
                listener.peer(tcp(address)),
                Some(Peer::Tcp(peer)),
                "{address}"
            );
        }
        assert_eq!(listener.peer(None), None);
        let (ours, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let unix = Listener::of_others(ours.into(), Peer::WebServer);
        assert_eq!(unix.peer(None), Some(Peer::WebServer));
    }

    #[test]
    fn an_address_is_a_path_or_an_address_with_a_port() {
        for bad in ["", "9000", "localhost:9000", "/run/x.sock", "127.0.0.1"] {
            let error = Listener::bind(bad, SocketRights::of_mode(0o660)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad}");
        }
    }
}
