//! Addresses of host names: the cache that routes and stores share.
//!
//! The system's resolver (getaddrinfo(3)) cannot be stopped. So each lookup has a thread of its own,
//! which is left behind when a deadline passes. One name is never looked up twice at the same time,
//! and the number of threads is bounded. A [`Name`] keeps its last good addresses while lookups
//! fail; in a server it is looked up again each time `resolve-ttl` has passed.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

mod name;
#[cfg(feature = "tls")]
mod names;
mod refresh;

pub use name::Name;
#[cfg(feature = "tls")]
pub use names::Names;

/// The most lookups at once for each [`Purpose`], so that neither keeps the other from its names.
const MAX_LOOKUPS: usize = 32;

/// The most logins that wait at once for the names of mail servers. Each holds a thread of the
/// server, which others need.
const MAX_WAITING: usize = 8;

/// How long after a failed lookup requests fail at once, instead of each asking again.
const PAUSE: Duration = Duration::from_secs(5);

/// What a name is looked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A login is sent there. Only the first login waits for a lookup.
    MailServer,
    /// A store, or the like, is asked there. All questions wait: `max-questions` bounds them.
    Store,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The lookup has not ended in time.
    NoAnswer,
    /// The lookup failed, or could not begin.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer from DNS"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// What a lookup found: addresses, or why there are none.
type Found = Result<Vec<IpAddr>, String>;

/// Finds all addresses of a name. It may take as long as it likes.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Looks names up, and keeps the [`Name`]s in use fresh.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    look_up: Box<LookUp>,
    most: usize,
    pause: Duration,
    state: Mutex<State>,
    /// A lookup has ended, a name has been added, or the time to live is another.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lookups: HashMap<Arc<str>, Lookup>,
    /// How many logins wait for the names of mail servers.
    waiting: usize,
    /// The names that somebody uses, by host.
    names: HashMap<Arc<str>, Vec<Weak<Name>>>,
    /// When names are looked up again; `None` in a process that answers one request.
    ttl: Option<Duration>,
    /// Whether there is a thread that looks them up again.
    refreshing: bool,
    /// Counts the changes that [`Shared::changed`] tells.
    changes: u64,
}

impl State {
    /// The names of this host that somebody uses.
    fn in_use(&self, host: &str) -> Vec<Arc<Name>> {
        let names = self.names.get(host).into_iter().flatten();
        names.filter_map(Weak::upgrade).collect()
    }
}

/// A lookup that runs.
struct Lookup {
    purpose: Purpose,
    since: Instant,
    told: Vec<Weak<Name>>,
}

impl Resolver {
    /// The system's resolver, the same for the whole process: a reload must not forget the lookups
    /// that hang, or there would be ever more of them.
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(MAX_LOOKUPS, system));
        SYSTEM.clone()
    }

    fn new(
        most: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            look_up: Box::new(look_up),
            most,
            pause: PAUSE,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// One of a test, which pauses so long after a failure.
    #[cfg(test)]
    pub(crate) fn of_test(
        pause: Duration,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        let mut resolver = Self::new(MAX_LOOKUPS, look_up);
        if let Some(shared) = Arc::get_mut(&mut resolver.0) {
            shared.pause = pause;
        }
        resolver
    }

    /// A name, with the last good addresses of one in use. `usable` picks the addresses that its
    /// user can take, or says why there is none.
    pub fn name(
        &self,
        host: &str,
        purpose: Purpose,
        usable: impl Fn(&[IpAddr]) -> Found + Send + Sync + 'static,
    ) -> Arc<Name> {
        let host: Arc<str> = host.into();
        let in_use = self.0.lock().in_use(&host);
        let known = in_use
            .iter()
            .find_map(|name| usable(&name.last_good()).ok());
        let name = Arc::new(Name::new(
            self.clone(),
            Arc::clone(&host),
            purpose,
            Box::new(usable),
            known.unwrap_or_default(),
        ));
        let mut state = self.0.lock();
        let same = state.names.entry(host).or_default();
        same.retain(|name| name.strong_count() > 0);
        same.push(Arc::downgrade(&name));
        self.start_refreshing(&mut state);
        drop(state);
        name
    }

    /// Begins a lookup for this name, or joins the one that runs already for its host.
    fn begin(&self, name: &Arc<Name>) -> Result<(), String> {
        let mut state = self.0.lock();
        if let Some(lookup) = state.lookups.get_mut(name.host()) {
            lookup.told.push(Arc::downgrade(name));
            return Ok(());
        }
        let purpose = name.purpose();
        let lookups = state.lookups.values();
        if lookups.filter(|one| one.purpose == purpose).count() >= self.0.most {
            let most = self.0.most;
            return Err(format!("{most} other names are being looked up already"));
        }
        let host: Arc<str> = name.host().into();
        let (shared, owned) = (Arc::clone(&self.0), Arc::clone(&host));
        thread::Builder::new()
            .name("dns".into())
            .spawn(move || shared.look_up(&owned))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let lookup = Lookup {
            purpose,
            since: Instant::now(),
            told: vec![Arc::downgrade(name)],
        };
        state.lookups.insert(host, lookup);
        Ok(())
    }

    /// A place to wait for a lookup at; `None` while too many logins wait.
    fn wait(&self) -> Option<Waiting<'_>> {
        let mut state = self.0.lock();
        (state.waiting < MAX_WAITING).then(|| {
            state.waiting += 1;
            Waiting(&self.0)
        })
    }
}

/// A login waits for a lookup.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Shared {
    /// What the thread of a lookup does.
    fn look_up(&self, host: &str) {
        let found = catch_unwind(AssertUnwindSafe(|| (self.look_up)(host)));
        let found = match found {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no address".to_owned()),
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("the lookup panicked".to_owned()),
        };
        let ended = self.lock().lookups.remove(host);
        for name in ended.iter().flat_map(|lookup| &lookup.told) {
            if let Some(name) = name.upgrade() {
                name.finish(&found);
            }
        }
        self.tell();
    }

    /// Wakes the thread that looks names up again.
    fn tell(&self) {
        self.lock().changes += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All addresses of a name, each once, by /etc/nsswitch.conf. They are in the order of the system,
/// which puts those first that are likely to be reached (RFC 6724).
fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for found in (host, 0).to_socket_addrs()? {
        if !addresses.contains(&found.ip()) {
            addresses.push(found.ip());
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests;
