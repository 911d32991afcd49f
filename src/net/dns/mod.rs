//! Resolves host names: the cache of addresses that routes and stores share.
//!
//! A call of the system's resolver (getaddrinfo(3)) cannot be cancelled. So each lookup has its own
//! thread, which continues when a deadline passes. Two lookups of one name never run at once, and
//! the number of threads is limited. A [`Name`] keeps its last good addresses while lookups fail.
//! In a server it is resolved again after each `resolve-ttl`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

mod name;
#[cfg(feature = "servers")]
mod names;
mod refresh;

pub use name::Name;
#[cfg(feature = "servers")]
pub use names::Names;

/// The maximum number of lookups at once for each [`Purpose`], so that neither blocks the other.
const MAX_LOOKUPS: usize = 32;

/// The maximum number of logins that wait at once for the names of mail servers. Each holds a
/// thread of the server that others need.
const MAX_WAITING: usize = 8;

/// How long requests fail at once after a failed lookup, without a new lookup.
const PAUSE: Duration = Duration::from_secs(5);

/// The purpose of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The name of a mail server. Only the first login waits for a lookup.
    MailServer,
    /// The name of a store or a similar service. All questions wait: `max-questions` limits them.
    Store,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// The lookup did not end in time.
    NoAnswer,
    /// The lookup failed or could not start.
    Failed(String),
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer from DNS"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// The result of a lookup: addresses, or why there are none.
type Found = Result<Vec<IpAddr>, String>;

/// Finds all addresses of a name. It may block.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Resolves names, and refreshes the [`Name`]s in use.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    look_up: Box<LookUp>,
    most: usize,
    pause: Duration,
    state: Mutex<State>,
    /// Notified when a lookup ends, a name is added, or the time to live changes.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lookups: HashMap<Arc<str>, Lookup>,
    /// How many logins wait for the names of mail servers.
    waiting: usize,
    /// The names in use, by host.
    names: HashMap<Arc<str>, Vec<Weak<Name>>>,
    /// How often names are resolved again; `None` in a process that answers one request.
    ttl: Option<Duration>,
    /// Whether the refreshing thread runs.
    refreshing: bool,
    /// Counts the notifications of [`Shared::changed`].
    changes: u64,
}

impl State {
    /// The names of this host that are in use.
    fn in_use(&self, host: &str) -> Vec<Arc<Name>> {
        let names = self.names.get(host).into_iter().flatten();
        names.filter_map(Weak::upgrade).collect()
    }
}

/// A running lookup.
struct Lookup {
    purpose: Purpose,
    since: Instant,
    told: Vec<Weak<Name>>,
}

impl Resolver {
    /// The system's resolver, the same for the whole process: a reload must not forget lookups that
    /// hang, or their number would grow without limit.
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

    /// A resolver of a test, with this pause after a failure.
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

    /// A name. If the host is in use already, it starts with that name's last good addresses.
    /// `usable` selects the addresses that the caller can use, or returns why there is none.
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

    /// Starts a lookup for this name, or joins the running one for the same host.
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

    /// A permit to wait for a lookup; `None` while too many logins wait.
    fn wait(&self) -> Option<WaitPermit<'_>> {
        let mut state = self.0.lock();
        (state.waiting < MAX_WAITING).then(|| {
            state.waiting += 1;
            WaitPermit(&self.0)
        })
    }
}

/// The permit of a login that waits for a lookup.
struct WaitPermit<'a>(&'a Shared);

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Shared {
    /// The work of a lookup's thread.
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

    /// Wakes the refreshing thread.
    fn tell(&self) {
        self.lock().changes += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All addresses of a name without duplicates, by /etc/nsswitch.conf. They are in the order of the
/// system, which puts reachable ones first (RFC 6724).
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
