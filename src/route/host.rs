//! Hosts as configured: their mail servers, ports and state.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::bad_route::BadRoute;
use super::master::MasterLogin;
use super::place::Score;
use crate::login::Upstream;
use crate::login::{Login, Protocol};

/// A host as configured; routes and stores refer to it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its mail servers. If there are several, each login belongs to one of them.
    pub servers: Vec<Server>,
    /// Whether the host accepts logins.
    pub state: State,
    /// Its ports.
    pub ports: Ports,
    /// The login that acts for every user there.
    pub master: Option<Arc<MasterLogin>>,
}

/// Whether a host accepts logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It accepts them.
    Serving,
    /// The administrator moves its users to another host: they get the temporary failure.
    Moving,
}

/// One mail server of a host.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address or name.
    pub target: Target,
    /// Its share of the users, relative to the others.
    pub weight: NonZeroU16,
    /// When it gets users.
    pub role: Role,
    /// The line in the configuration that gives its address, and the key.
    pub place: Option<(usize, usize)>,
    /// See `place`.
    pub key: String,
}

/// When one of several servers gets users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// While it is alive.
    Main,
    /// Only while no server with [`Role::Main`] is alive.
    Backup,
    /// Never.
    Drained,
}

impl Host {
    /// Whether its servers are probed: if there is a choice between them.
    pub fn is_pool(&self) -> bool {
        self.servers.len() > 1
    }

    /// The servers for `login`, the best first, each with its index in [`Host::servers`]: those with
    /// [`Role::Main`] by their scores, then those with [`Role::Backup`] by theirs.
    pub fn ranking(&self, login: &Login) -> Vec<(usize, Score)> {
        let scored = |(index, server): (usize, &Server)| (index, server.role, server.score(login));
        let all = self.servers.iter().enumerate().map(scored);
        let mut ranking: Vec<_> = all.filter(|(_, role, _)| *role != Role::Drained).collect();
        // Stable, so that the first written one of two equal scores wins.
        ranking.sort_by(|(_, role, score), (_, other_role, other)| {
            role.cmp(other_role).then_with(|| other.cmp(score))
        });
        let unranked = |(index, _, score)| (index, score);
        ranking.into_iter().map(unranked).collect()
    }
}

impl Server {
    /// The only server of a host.
    pub fn only(target: Target, place: Option<(usize, usize)>, key: String) -> Self {
        Self {
            target,
            weight: NonZeroU16::MIN,
            role: Role::Main,
            place,
            key,
        }
    }

    /// Scores the address as configured, so that users stay at their server if DNS changes, or before DNS
    /// answers.
    fn score(&self, login: &Login) -> Score {
        let written = self.target.to_string().to_ascii_lowercase();
        Score::of(login, &written, self.weight)
    }
}

//------------ Target and Ports ----------------------------------------------

/// The address of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This address, which [`Upstream`] accepts.
    Address(IpAddr),
    /// The address that DNS has for this name.
    Name(Arc<str>),
}

impl Target {
    /// Parses an address, or a DNS name that cannot be taken for one.
    pub fn parse(text: &str) -> Result<Self, BadRoute> {
        if text.is_empty() {
            return Err(BadRoute::Empty);
        }
        if let Ok(address) = text.parse() {
            return match Upstream::new(address, NonZeroU16::MIN) {
                Some(_) => Ok(Self::Address(address)),
                None => Err(BadRoute::Address(address)),
            };
        }
        if is_dns_name(text) {
            Ok(Self::Name(text.into()))
        } else {
            Err(BadRoute::HostName(text.to_owned()))
        }
    }
}

/// As written; an address in its canonical form.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Whether it is a DNS name: letters, digits, hyphens and underscores in labels of 1 to 63 characters (RFC
/// 1123, 2.1). The last label is not a number: getaddrinfo would take `10.1` and `0x7f000001` for IPv4
/// addresses.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    name.len() <= 253 && name.split('.').all(label) && !number
}

/// One port for each protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For IMAP.
    pub imap: NonZeroU16,
    /// For POP3.
    pub pop3: NonZeroU16,
    /// For SMTP.
    pub smtp: NonZeroU16,
}

impl Ports {
    /// The port for `protocol`.
    pub fn of(&self, protocol: Protocol) -> NonZeroU16 {
        match protocol {
            Protocol::Imap => self.imap,
            Protocol::Pop3 => self.pop3,
            Protocol::Smtp => self.smtp,
        }
    }
}

/// The index of a host in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(u32);

impl HostId {
    #[cfg(test)]
    pub(super) const FIRST: Self = Self(0);

    /// The host at an index of its table; `None` if the index is out of range.
    pub(super) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    /// The index of the host in its table.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGINS: usize = 10_000;

    fn server(address: &str, weight: u16, role: Role) -> Server {
        let target = Target::parse(address).unwrap();
        Server {
            weight: NonZeroU16::new(weight).unwrap(),
            role,
            ..Server::only(target, None, String::new())
        }
    }

    fn pool(servers: Vec<Server>) -> Host {
        let port = NonZeroU16::MIN;
        Host {
            name: "pool".into(),
            servers,
            state: State::Serving,
            ports: Ports {
                imap: port,
                pop3: port,
                smtp: port,
            },
            master: None,
        }
    }

    fn logins() -> impl Iterator<Item = Login> {
        let login = |number| Login::new(format!("user{number}@example.org").into_bytes());
        (0..LOGINS).map(move |number| login(number).unwrap())
    }

    /// Where each login goes while the servers with these indices are dead.
    fn goes(pool: &Host, dead: &[usize]) -> Vec<Option<usize>> {
        let first = |login: Login| {
            let ranking = pool.ranking(&login);
            let alive = |index: &usize| !dead.contains(index);
            ranking.into_iter().map(|(index, _)| index).find(alive)
        };
        logins().map(first).collect()
    }

    fn share(where_to: &[Option<usize>], server: usize) -> f64 {
        let count = where_to.iter().filter(|to| **to == Some(server)).count();
        count as f64 / where_to.len() as f64
    }

    fn three() -> Host {
        pool(vec![
            server("192.0.2.1", 1, Role::Main),
            server("192.0.2.2", 1, Role::Main),
            server("mail.example.org", 2, Role::Main),
        ])
    }

    #[test]
    fn weights_are_kept_within_two_percent() {
        let expect = |weights: &[u16]| {
            let servers = weights
                .iter()
                .zip(1..)
                .map(|(weight, last)| server(&format!("192.0.2.{last}"), *weight, Role::Main));
            let where_to = goes(&pool(servers.collect()), &[]);
            let whole: u16 = weights.iter().sum();
            for (index, weight) in weights.iter().enumerate() {
                let wanted = f64::from(*weight) / f64::from(whole);
                let share = share(&where_to, index);
                assert!(
                    (share - wanted).abs() < 0.02,
                    "{weights:?} {index}: {share}"
                );
            }
        };
        expect(&[1, 1]);
        expect(&[1, 1, 1]);
        expect(&[3, 1]);
        expect(&[5, 3, 2]);
        expect(&[1000, 1]);
        expect(&[1; 16]);
    }

    #[test]
    fn one_that_dies_or_is_drained_moves_only_its_own_users_and_they_are_shared_by_weight() {
        let before = goes(&three(), &[]);
        for gone in 0..3 {
            let after = goes(&three(), &[gone]);
            let mut drained = three();
            drained.servers[gone].role = Role::Drained;
            assert_eq!(goes(&drained, &[]), after);
            for (before, after) in before.iter().zip(&after) {
                assert!(*before == Some(gone) || before == after);
                assert!(*after != Some(gone));
            }
        }
        // Of those of the first, the second gets a third, the last with weight 2 two thirds.
        let after = goes(&three(), &[0]);
        let moved: Vec<_> = before
            .iter()
            .zip(after)
            .filter(|(before, _)| **before == Some(0))
            .map(|(_, after)| after)
            .collect();
        assert!((share(&moved, 1) - 1.0 / 3.0).abs() < 0.04);
        assert!((share(&moved, 2) - 2.0 / 3.0).abs() < 0.04);
    }

    #[test]
    fn an_added_server_gets_its_share_and_moves_no_other_user() {
        let before = goes(&three(), &[]);
        let mut more = three();
        more.servers.push(server("192.0.2.4", 1, Role::Main));
        let after = goes(&more, &[]);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *after == Some(3));
        }
        assert!((share(&after, 3) - 0.2).abs() < 0.02);
    }

    #[test]
    fn a_weight_that_grows_only_draws_users() {
        let before = goes(&three(), &[]);
        let mut heavier = three();
        heavier.servers[0].weight = NonZeroU16::new(2).unwrap();
        for (before, after) in before.iter().zip(goes(&heavier, &[])) {
            assert!(*before == after || after == Some(0));
        }
    }

    #[test]
    fn the_order_and_the_case_in_the_configuration_do_not_matter() {
        let before = goes(&three(), &[]);
        let mut turned = three();
        turned.servers.reverse();
        turned.servers[0].target = Target::parse("Mail.Example.ORG").unwrap();
        let after = goes(&turned, &[]);
        for (before, after) in before.iter().zip(after) {
            assert_eq!(*before, after.map(|index| 2 - index));
        }
    }

    #[test]
    fn backups_come_last_and_among_themselves_by_score() {
        let pool = pool(vec![
            server("192.0.2.9", 1000, Role::Backup),
            server("192.0.2.1", 1, Role::Main),
            server("192.0.2.8", 1000, Role::Drained),
            server("192.0.2.2", 1, Role::Main),
            server("192.0.2.7", 1000, Role::Backup),
        ]);
        let to = |dead: &[usize], among: &[usize]| {
            let where_to = goes(&pool, dead);
            for index in 0..5 {
                let gets_some = share(&where_to, index) > 0.0;
                assert_eq!(gets_some, among.contains(&index), "{dead:?} {index}");
            }
            assert_eq!(where_to.contains(&None), among.is_empty());
        };
        to(&[], &[1, 3]);
        to(&[1], &[3]);
        to(&[1, 3], &[0, 4]);
        to(&[1, 3, 0], &[4]);
        to(&[0, 4], &[1, 3]);
        to(&[0, 1, 3, 4], &[]);
    }

    /// These never change: users would move when the program is updated.
    #[test]
    fn the_choice_of_servers_is_permanent() {
        let pool = three();
        let names = [
            "alice", "Alice", "bob", "carol", "dave", "erin", "", "\u{e9}",
        ];
        let where_to = names.map(|name| {
            let login = Login::new(name.into()).unwrap();
            let indices = pool.ranking(&login).into_iter().map(|(index, _)| index);
            indices.collect::<Vec<_>>()
        });
        assert_eq!(where_to, GOLDEN.map(|golden| golden.to_vec()));
    }

    /// Computed by another program.
    const GOLDEN: [[usize; 3]; 8] = [
        [2, 0, 1],
        [2, 0, 1],
        [0, 2, 1],
        [2, 0, 1],
        [0, 1, 2],
        [2, 0, 1],
        [0, 2, 1],
        [0, 1, 2],
    ];
}
