//! Tells systemd about the state of the service (sd_notify(3)).
//!
//! The socket is connected before the sandbox, which allows no further one to an abstract address.
//! A message is lost if systemd does not take it for a second: the service goes on.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The environment variable with the address of systemd's socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// The microseconds after which systemd ends a service that is silent (sd_watchdog_enabled(3)).
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// The process that must not be silent.
const WATCHDOG_PID_VARIABLE: &str = "WATCHDOG_PID";
/// The time-out for one message.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager, if there is one that wants messages.
#[derive(Clone, Debug, Default)]
pub struct Notify(Option<Arc<Manager>>);

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    /// How often it must hear from a service that works.
    watchdog: Option<Duration>,
}

impl Notify {
    /// Connects to the socket that the environment names. A socket that cannot be connected is
    /// logged: systemd would wait for messages in vain.
    pub fn from_environment() -> Self {
        let Some(address) = std::env::var_os(SOCKET_VARIABLE).filter(|name| !name.is_empty())
        else {
            return Self(None);
        };
        match connect(&address) {
            Ok(socket) => Self(Some(Arc::new(Manager {
                socket,
                watchdog: watchdog(),
            }))),
            Err(error) => {
                log::error!(
                    "cannot connect to {SOCKET_VARIABLE} {address:?}: {error}; the service manager \
                     does not get to know the state of this server"
                );
                Self(None)
            }
        }
    }

    /// The service answers, at its start or after a reload.
    pub fn ready(&self, status: &str) {
        self.send(format_args!("READY=1\nSTATUS={}", OneLine(status)));
    }

    /// The service begins to reload. [`Notify::ready`] follows.
    pub fn reloading(&self, status: &str) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(format_args!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS={}",
            OneLine(status)
        ));
    }

    /// The service begins to end.
    pub fn stopping(&self, status: &str) {
        self.send(format_args!("STOPPING=1\nSTATUS={}", OneLine(status)));
    }

    /// The state of the service in one sentence, which `systemctl status` prints.
    pub fn status(&self, status: &str) {
        self.send(format_args!("STATUS={}", OneLine(status)));
    }

    /// If systemd asks for it: tells it twice in each period that the service works, as long as
    /// `works` returns.
    pub fn keep_alive(&self, works: impl Fn() + Send + 'static) -> io::Result<()> {
        let Some(manager) = self.0.clone() else {
            return Ok(());
        };
        let Some(period) = manager.watchdog else {
            return Ok(());
        };
        let tell = Self(Some(manager));
        thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                loop {
                    works();
                    tell.send(format_args!("WATCHDOG=1"));
                    thread::sleep(period / 2);
                }
            })
            .map(drop)
    }

    fn send(&self, message: fmt::Arguments<'_>) {
        if let Some(manager) = &self.0
            && let Err(error) = manager.socket.send(message.to_string().as_bytes())
        {
            log::warn!("cannot tell the service manager the state of this server: {error}");
        }
    }
}

/// Connects to a path, or to an abstract address, which begins with `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        _ => {
            let what = "neither an absolute path nor an abstract address (@)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    };
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The period of the watchdog, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let pid = std::env::var(WATCHDOG_PID_VARIABLE);
    if pid.is_ok_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let micros: u64 = std::env::var(WATCHDOG_VARIABLE).ok()?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// A status on one line: each further line would be another variable.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.split(char::is_control);
        f.write_str(parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| write!(f, " {part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_cannot_set_another_variable() {
        assert_eq!(OneLine("a /b\nMAINPID=1\r").to_string(), "a /b MAINPID=1 ");
    }

    #[test]
    fn an_address_is_a_path_or_abstract() {
        for address in ["vsock:2:1", "relative", "@", ""] {
            assert!(connect(OsStr::new(address)).is_err(), "{address}");
        }
        let name = format!("nma-notify-{}", std::process::id());
        let bound = SocketAddr::from_abstract_name(&name).unwrap();
        let receiver = UnixDatagram::bind_addr(&bound).unwrap();
        let socket = connect(OsStr::new(&format!("@{name}"))).unwrap();
        let manager = Manager {
            socket,
            watchdog: None,
        };
        let notify = Notify(Some(Arc::new(manager)));
        notify.reloading("loads");
        let mut bytes = [0; 256];
        let count = receiver.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
        let (micros, status) = text
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .and_then(|rest| rest.split_once('\n'))
            .unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        assert_eq!(status, "STATUS=loads");
        Notify::default().status("to nobody");
    }
}
