//! What is counted and what follows, with counts that can be made to fail and be set.

mod counting;
mod outage;
mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::memory::Memory;
use super::state::{Change, ChangeError, State, TagKey};
use super::*;
use crate::secret::{ChallengeResponse, Password};

/// Shared counts: a memory that can be made to fail.
struct Counts {
    memory: Memory,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    reading: AtomicBool,
    writing: AtomicBool,
    /// How often records were changed.
    changes: AtomicUsize,
}

impl State for Counts {
    fn read(&self, keys: &[Key], deadline: Instant) -> Result<(Vec<Record>, u64), ChangeError> {
        match self.faults.reading.load(SeqCst) {
            true => Err(ChangeError::Failed("no reading".to_owned())),
            false => self.memory.read(keys, deadline),
        }
    }

    fn change(
        &self,
        keys: &[Key],
        change: &mut Change<'_>,
        deadline: Instant,
    ) -> Result<Vec<Record>, ChangeError> {
        self.faults.changes.fetch_add(1, SeqCst);
        match self.faults.writing.load(SeqCst) {
            true => Err(ChangeError::Failed("no writing".to_owned())),
            false => self.memory.change(keys, change, deadline),
        }
    }

    fn tag_key(&self, deadline: Instant) -> Result<TagKey, String> {
        self.memory.tag_key(deadline)
    }

    fn list(&self, deadline: Instant) -> Result<Vec<(Key, Record)>, String> {
        self.memory.list(deadline)
    }

    fn forget(&self, keys: &[Key], deadline: Instant) -> Result<(), String> {
        self.memory.forget(keys, deadline)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// One failure is free, the second waits 5 s, the third 7 s; three of a login from a network are
/// too many.
fn settings() -> Settings {
    Settings {
        place: StateLocation::Memory,
        go_on: true,
        timeout: Duration::from_millis(300),
        free: 1,
        waits: vec![5, 7],
        refuse_network: Some(5),
        refuse_login: None,
        spans: Spans {
            window: HOUR,
            exempt: HOUR * 24,
        },
        ipv4_prefix: 24,
        ipv6_prefix: 64,
        always_allow: Vec::new(),
        wait_after_digests: false,
    }
}

fn throttle(settings: &Settings) -> Throttle {
    Throttle::open(settings, CountingMode::Server, None)
}

/// With counts that several processes share.
fn sharing(settings: &Settings) -> (Throttle, Arc<Faults>) {
    let faults = Arc::<Faults>::default();
    let counts = Counts {
        memory: Memory::new(settings.spans),
        faults: Arc::clone(&faults),
    };
    let throttle = Throttle {
        settings: settings.clone(),
        counts: Shared::with(settings, CountingMode::Server, Box::new(counts)),
        looks: Looks::default(),
    };
    (throttle, faults)
}

fn client(address: &str) -> Client<'static> {
    Client {
        address: Some(address.parse().unwrap()),
        vouched_for: true,
        ..Client::default()
    }
}

fn proof(password: &str) -> Proof {
    Proof::Password(Password::new(password.into()).unwrap())
}

fn digest() -> Proof {
    Proof::CramMd5(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn attempt<'a>(
    throttle: &'a Throttle,
    address: &str,
    login: &str,
    password: &str,
) -> CountedAttempt<'a> {
    let attempt =
        throttle.begin_attempt(&client(address), login.as_bytes(), &proof(password), soon());
    attempt.unwrap().unwrap()
}

/// Seconds by which a wrong password is delayed.
fn fail(throttle: &Throttle, address: &str, login: &str, password: &str) -> u32 {
    let attempt = attempt(throttle, address, login, password);
    let counted = attempt.failed(&proof(password), Duration::ZERO).unwrap();
    assert_eq!(counted.too_late, None);
    counted.wait.map_or(0, NonZeroU32::get)
}

fn succeed(throttle: &Throttle, address: &str, login: &str) {
    let attempt = attempt(throttle, address, login, "right");
    assert_eq!(attempt.succeeded(&proof("right")), Ok(()));
}

/// Failures of each key, in words, sorted.
fn counts(throttle: &Throttle) -> Vec<String> {
    let list = throttle.list(soon()).unwrap();
    let mut list: Vec<_> = list
        .iter()
        .map(|(key, record)| {
            let exempt = if record.succeeded == 0 { "" } else { " exempt" };
            format!("{key} {}{exempt}", record.failures)
        })
        .collect();
    list.sort();
    list
}

fn record(failures: u32, succeeded: u64, took: u32) -> Record {
    Record {
        failures,
        succeeded,
        took,
        ..Record::default()
    }
}
