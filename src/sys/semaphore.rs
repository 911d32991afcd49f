//! A semaphore with a deadline. Its permits are shared fairly between logins and networks: however
//! many one client asks for, the others wait only for the work in progress.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::login::Network;

pub mod machine;

/// After this many permits, the longest waiter is next: new networks and logins must not delay the
/// others forever.
const OLDEST_EVERY: u64 = 4;

/// Turns that are older than this many turns are forgotten.
const REMEMBERED: u64 = 512;

/// The login and network that the work is for. An unknown one counts for none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requester<'a> {
    /// The login.
    pub login: Option<&'a [u8]>,
    /// The network of the client, only if its address can be trusted.
    pub network: Option<Network>,
}

/// The stored form of a [`Requester`]: logins with the same hash share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    login: Option<u64>,
    network: Option<Network>,
}

/// A bounded number of permits.
#[derive(Debug)]
pub struct Semaphore {
    most: NonZeroUsize,
    key: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Vec<Owner>,
    /// In the order of arrival.
    waiting: Vec<Waiter>,
    /// The numbers of the waiters that have been given a permit.
    given: Vec<u64>,
    came: u64,
    turns: u64,
    /// The last turn of each network, and of each login.
    networks: HashMap<Network, u64>,
    logins: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    owner: Owner,
    thread: Thread,
}

/// The right to work, given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    owner: Owner,
}

/// Why no permit is available at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// All permits are taken.
    AllTaken,
    /// This login or this network holds its maximum.
    ShareTaken,
}

impl Semaphore {
    /// A semaphore with this many permits.
    pub fn new(most: NonZeroUsize) -> Self {
        Self {
            most,
            key: RandomState::new(),
            state: Mutex::default(),
        }
    }

    /// Takes a permit without waiting. One login, or one network, leaves a quarter of the permits
    /// to others (if there are two or more). If other networks hold permits, a network gets at most
    /// half of what they leave, rounded up.
    pub fn try_acquire(&self, requester: Requester<'_>) -> Result<Permit<'_>, NoPermit> {
        let owner = self.owner(requester);
        let mut state = self.lock();
        if state.held.len() >= self.most.get() {
            return Err(NoPermit::AllTaken);
        }
        let of_network = state.of_network(owner);
        let own = match self.most.get() - state.of_other_networks(owner) {
            most if most == self.most.get() => self.own(),
            left => left.div_ceil(2),
        };
        if state.of_login(owner) >= self.own() || of_network >= own {
            return Err(NoPermit::ShareTaken);
        }
        Ok(self.give(&mut state, owner))
    }

    /// Waits for a permit, until `deadline`.
    ///
    /// One login leaves a quarter of the permits to others (if there are two or more). The next
    /// waiter is the one whose network holds the fewest permits and had its last turn longest ago;
    /// among equals, the same rule applies to the login.
    pub fn acquire(&self, requester: Requester<'_>, deadline: Instant) -> Option<Permit<'_>> {
        let owner = self.owner(requester);
        let mut state = self.lock();
        // No waiter could take this permit: it would have been given away.
        if state.held.len() < self.most.get() && state.of_login(owner) < self.own() {
            return Some(self.give(&mut state, owner));
        }
        let number = state.came;
        state.came += 1;
        state.waiting.push(Waiter {
            number,
            owner,
            thread: thread::current(),
        });
        loop {
            if let Some(index) = state.given.iter().position(|given| *given == number) {
                state.given.swap_remove(index);
                return Some(Permit {
                    semaphore: self,
                    owner,
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.retain(|waiting| waiting.number != number);
                return None;
            }
            drop(state);
            thread::park_timeout(left);
            state = self.lock();
        }
    }

    /// How many permits are held, and how many threads wait for one.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.held.len(), state.waiting.len())
    }

    fn give(&self, state: &mut State, owner: Owner) -> Permit<'_> {
        state.note(owner);
        Permit {
            semaphore: self,
            owner,
        }
    }

    /// How many permits one login or network may hold.
    fn own(&self) -> usize {
        match self.most.get() {
            1 => 1,
            most => most - (most / 4).max(1),
        }
    }

    fn owner(&self, requester: Requester<'_>) -> Owner {
        Owner {
            login: requester.login.map(|login| self.key.hash_one(login)),
            network: requester.network,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of_login(&self, owner: Owner) -> usize {
        let same = |held: &&Owner| held.login == owner.login;
        owner
            .login
            .map_or(0, |_| self.held.iter().filter(same).count())
    }

    fn of_network(&self, owner: Owner) -> usize {
        let same = |held: &&Owner| held.network == owner.network;
        owner
            .network
            .map_or(0, |_| self.held.iter().filter(same).count())
    }

    fn of_other_networks(&self, owner: Owner) -> usize {
        let other = |held: &&Owner| held.network.is_some() && held.network != owner.network;
        self.held.iter().filter(other).count()
    }

    /// Gives the free permits to waiters.
    fn pass_on(&mut self, most: usize, own: usize) {
        while self.held.len() < most {
            let may = |waiting: &&Waiter| self.of_login(waiting.owner) < own;
            let mut able = self.waiting.iter().filter(may);
            let next = match self.turns % OLDEST_EVERY {
                0 => able.next(),
                _ => able.min_by_key(|waiting| self.rank(waiting.owner)),
            };
            let Some(number) = next.map(|next| next.number) else {
                return;
            };
            let index = self.waiting.iter().position(|it| it.number == number);
            let Some(Waiter { owner, thread, .. }) = index.map(|index| self.waiting.remove(index))
            else {
                return;
            };
            self.note(owner);
            self.given.push(number);
            thread.unpark();
        }
    }

    /// The waiter with the lowest rank is next; among equals, the one that came first.
    fn rank(&self, owner: Owner) -> [u64; 4] {
        let last = |turn: Option<&u64>| turn.copied().unwrap_or(0);
        let login = [
            self.of_login(owner) as u64,
            last(owner.login.and_then(|login| self.logins.get(&login))),
        ];
        let network = match owner.network {
            Some(network) => [
                self.of_network(owner) as u64,
                last(self.networks.get(&network)),
            ],
            None => login,
        };
        [network[0], network[1], login[0], login[1]]
    }

    /// Notes that this owner holds a permit.
    fn note(&mut self, owner: Owner) {
        self.held.push(owner);
        self.turns += 1;
        let turn = self.turns;
        if let Some(login) = owner.login {
            self.logins.insert(login, turn);
        }
        if let Some(network) = owner.network {
            self.networks.insert(network, turn);
        }
        if turn.is_multiple_of(REMEMBERED) {
            self.logins.retain(|_, last| turn - *last < REMEMBERED);
            self.networks.retain(|_, last| turn - *last < REMEMBERED);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let semaphore = self.semaphore;
        let mut state = semaphore.lock();
        if let Some(index) = state.held.iter().position(|held| *held == self.owner) {
            state.held.swap_remove(index);
        }
        state.pass_on(semaphore.most.get(), semaphore.own());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn shares(most: usize) -> Semaphore {
        Semaphore::new(NonZeroUsize::new(most).unwrap())
    }

    fn requester(login: &'static str, network: &str) -> Requester<'static> {
        Requester {
            login: Some(login.as_bytes()),
            network: Network::parse(network),
        }
    }

    fn minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// As many logins and networks as the test asks for.
    fn taken(most: usize, claims: &[Requester<'_>]) -> (usize, NoPermit) {
        let shares = shares(most);
        let mut held = Vec::new();
        loop {
            match shares.try_acquire(claims[held.len() % claims.len()]) {
                Ok(share) => held.push(share),
                Err(why) => break (held.len(), why),
            }
        }
    }

    #[test]
    fn one_login_or_network_leaves_some_to_others() {
        let x = "192.0.2.1";
        let of_login = [
            requester("a", x),
            requester("a", "203.0.113.1"),
            requester("a", ""),
        ];
        let of_network = [requester("a", x), requester("b", x), requester("c", x)];
        for (most, own) in [(2, 1), (3, 2), (4, 3), (8, 6), (16, 12)] {
            for claims in [of_login, of_network] {
                assert_eq!(taken(most, &claims), (own, NoPermit::ShareTaken), "{most}");
            }
            let nobody = [Requester::default()];
            assert_eq!(taken(most, &nobody), (most, NoPermit::AllTaken));
            let two = [requester("a", x), requester("b", "")];
            assert_eq!(taken(most, &two), (most, NoPermit::AllTaken));
        }
        assert_eq!(taken(1, &of_login), (1, NoPermit::AllTaken));
    }

    #[test]
    fn a_few_networks_leave_some_to_another() {
        let shares = shares(32);
        let mut held = Vec::new();
        for (network, own) in [
            ("192.0.2.1", 24),
            ("192.0.2.2", 4),
            ("192.0.2.3", 2),
            ("192.0.2.4", 1),
        ] {
            let before = held.len();
            while let Ok(share) = shares.try_acquire(Requester {
                login: None,
                ..requester("", network)
            }) {
                held.push(share);
            }
            assert_eq!(held.len() - before, own, "{network}");
        }
        assert!(shares.try_acquire(requester("a", "192.0.2.5")).is_ok());
    }

    /// The waiters, in the order of their turns.
    fn order(claims: &[(&'static str, &str)], after: u64) -> Vec<usize> {
        let shares = shares(1);
        shares.lock().turns = after;
        let first = shares.acquire(requester("first", "198.51.100.1"), minute());
        let (done, turns) = channel();
        thread::scope(|scope| {
            for (number, &(login, network)) in claims.iter().enumerate() {
                let (requester, done, shares) = (requester(login, network), done.clone(), &shares);
                scope.spawn(move || {
                    let _turn = shares.acquire(requester, minute()).unwrap();
                    done.send(number).unwrap();
                });
                while shares.lock().waiting.len() <= number {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        drop(done);
        turns.into_iter().collect()
    }

    #[test]
    fn networks_take_turns_and_then_their_logins() {
        let (x, y) = ("192.0.2.1", "203.0.113.1");
        let all = [("a", x), ("a", x), ("b", x), ("c", y), ("c", "")];
        // The third of these turns goes to the longest waiter.
        assert_eq!(order(&all, 1), [0, 3, 1, 4, 2]);
        assert_eq!(order(&all[..3], 1), [0, 2, 1]);
    }

    #[test]
    fn who_is_always_new_does_not_keep_the_others_out() {
        let (x, y) = ("198.51.100.1", "203.0.113.1");
        // The first network has had its turn just now.
        assert_eq!(
            order(&[("a", x), ("b", y), ("c", "192.0.2.1")], 3),
            [0, 1, 2]
        );
        assert_eq!(
            order(&[("a", x), ("b", y), ("c", "192.0.2.1")], 0),
            [1, 2, 0]
        );
    }

    #[test]
    fn one_login_never_holds_all_and_gives_up_in_time() {
        let shares = shares(2);
        let (a, b) = (requester("a", ""), requester("b", ""));
        let first = shares.acquire(a, minute()).unwrap();
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(shares.acquire(a, soon).is_none());
        let other = shares.acquire(b, Instant::now()).unwrap();
        assert!(
            shares
                .acquire(Requester::default(), Instant::now())
                .is_none()
        );
        drop(first);
        let _a = shares.acquire(a, Instant::now()).unwrap();
        drop(other);
        let _nobody = shares
            .acquire(Requester::default(), Instant::now())
            .unwrap();
        let state = shares.lock();
        assert_eq!(
            (state.held.len(), state.waiting.len(), state.given.len()),
            (2, 0, 0)
        );
    }
}
