//! How a new hash is made: its scheme and its costs.

use std::fmt;

use argon2::Params;

use super::scheme::Scheme;

/// bcrypt's cost: OWASP recommends at least 10.
const BCRYPT_COST: u32 = 11;
/// The cost of yescrypt in crypt(3), which `mkpasswd` and Debian use too: 16 MiB.
const YESCRYPT_COST: u32 = 5;
/// The rounds of SHA-crypt. Its default of 5000 dates from 2007 and takes a millisecond today.
const SHA_CRYPT_ROUNDS: u32 = 100_000;
/// The rounds of PBKDF2, also in SCRAM: they take as long here as the other schemes. OWASP
/// recommends 1,300,000 with SHA-1; Dovecot, which may read the same file, takes two seconds for
/// those.
const PBKDF2_ROUNDS: u32 = 200_000;

/// The costs that somebody chose; the others are the defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The memory of Argon2, in KiB.
    pub memory: Option<u32>,
    /// The rounds of SHA-crypt, PBKDF2 and SCRAM, and the passes of Argon2.
    pub rounds: Option<u32>,
    /// The lanes of Argon2.
    pub lanes: Option<u32>,
    /// The cost of bcrypt and yescrypt; one more takes twice as long.
    pub cost: Option<u32>,
}

/// The scheme and all costs of a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    scheme: Scheme,
    /// Those that the scheme has, within its limits.
    costs: Costs,
}

/// Why a hash cannot be made with these costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCost {
    /// The scheme does not have this cost.
    Unknown(Scheme, &'static str),
    /// The cost is out of its range.
    Range(Scheme, &'static str, u32, u32),
}

impl fmt::Display for BadCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(scheme, cost) => {
                let has: Vec<_> = ranges(*scheme).into_iter().flatten().collect();
                let has: Vec<_> = has.iter().map(|range| range.name).collect();
                match has.as_slice() {
                    [] => write!(f, "{scheme} has no {cost}: its cost is fixed"),
                    has => write!(f, "{scheme} has no {cost}; it has {}", has.join(", ")),
                }
            }
            Self::Range(scheme, cost, least, most) => {
                write!(f, "{cost} of {scheme} must be from {least} to {most}")
            }
        }
    }
}

impl std::error::Error for BadCost {}

/// One cost of a scheme: its default and its limits, which are those of hashes that are read.
#[derive(Clone, Copy)]
struct Range {
    name: &'static str,
    default: u32,
    least: u32,
    most: u32,
}

/// Memory, rounds, lanes and cost.
fn ranges(scheme: Scheme) -> [Option<Range>; 4] {
    let range = |name, default, least, most| {
        Some(Range {
            name,
            default,
            least,
            most,
        })
    };
    let rounds = |default, least, most| [None, range("rounds", default, least, most), None, None];
    let cost = |default, least, most| [None, None, None, range("cost", default, least, most)];
    match scheme {
        // OWASP's first choice: 19 MiB, two passes, one lane.
        Scheme::Argon2id | Scheme::Argon2i => [
            range("memory", Params::DEFAULT_M_COST, 8, 256 << 10),
            range("rounds", Params::DEFAULT_T_COST, 1, 10),
            range("lanes", Params::DEFAULT_P_COST, 1, 8),
            None,
        ],
        Scheme::Yescrypt => cost(YESCRYPT_COST, 1, 9),
        Scheme::BlfCrypt => cost(BCRYPT_COST, 4, 15),
        Scheme::Sha512Crypt | Scheme::Sha256Crypt => rounds(SHA_CRYPT_ROUNDS, 1000, 1_000_000),
        Scheme::Pbkdf2 | Scheme::ScramSha256 => rounds(PBKDF2_ROUNDS, 1000, 2_000_000),
        _ => [None; 4],
    }
}

impl Recipe {
    /// Checks the costs.
    pub fn new(scheme: Scheme, chosen: Costs) -> Result<Self, BadCost> {
        let [memory, rounds, lanes, cost] = ranges(scheme);
        let one = |name, range: Option<Range>, chosen: Option<u32>| match (range, chosen) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadCost::Unknown(scheme, name)),
            (Some(range), None) => Ok(Some(range.default)),
            (Some(range), Some(chosen)) if (range.least..=range.most).contains(&chosen) => {
                Ok(Some(chosen))
            }
            (Some(range), Some(_)) => Err(BadCost::Range(scheme, name, range.least, range.most)),
        };
        let costs = Costs {
            memory: one("memory", memory, chosen.memory)?,
            rounds: one("rounds", rounds, chosen.rounds)?,
            lanes: one("lanes", lanes, chosen.lanes)?,
            cost: one("cost", cost, chosen.cost)?,
        };
        match (costs.memory, costs.lanes) {
            // 8 KiB for each lane (RFC 9106, 3.1).
            (Some(memory), Some(lanes)) if memory < 8 * lanes => {
                Err(BadCost::Range(scheme, "memory", 8 * lanes, 256 << 10))
            }
            _ => Ok(Self { scheme, costs }),
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The estimated milliseconds of a check, as for hashes that are read; `None` for schemes that are not
    /// made for slow checks, or whose keys another method needs.
    pub fn takes_ms(&self) -> Option<u32> {
        let Costs {
            memory,
            rounds,
            cost,
            ..
        } = self.costs;
        let (memory, rounds) = (memory.unwrap_or_default(), rounds.unwrap_or_default());
        let cost = cost.unwrap_or_default();
        match self.scheme {
            Scheme::Argon2id | Scheme::Argon2i => Some(memory.saturating_mul(rounds) / 1000),
            Scheme::BlfCrypt => Some((65 << cost) / 1000),
            Scheme::Yescrypt if cost > 2 => Some(3 << (cost - 1)),
            Scheme::Sha512Crypt | Scheme::Sha256Crypt => Some(rounds / 2500),
            _ => None,
        }
    }

    pub(super) fn rounds(&self) -> u32 {
        self.costs.rounds.unwrap_or_default()
    }

    pub(super) fn cost(&self) -> u32 {
        self.costs.cost.unwrap_or_default()
    }

    /// Memory in KiB and lanes.
    pub(super) fn memory(&self) -> (u32, u32) {
        let Costs { memory, lanes, .. } = self.costs;
        (memory.unwrap_or_default(), lanes.unwrap_or_default())
    }
}

/// With the default costs, which are within the limits.
impl From<Scheme> for Recipe {
    fn from(scheme: Scheme) -> Self {
        let [memory, rounds, lanes, cost] = ranges(scheme).map(|range| range.map(|it| it.default));
        Self {
            scheme,
            costs: Costs {
                memory,
                rounds,
                lanes,
                cost,
            },
        }
    }
}

/// `memory=19456 rounds=2 lanes=1`; empty for a scheme whose cost is fixed.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Costs {
            memory,
            rounds,
            lanes,
            cost,
        } = self.costs;
        let named = [
            ("memory", memory),
            ("rounds", rounds),
            ("lanes", lanes),
            ("cost", cost),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, cost)| Some((name, cost?)));
        for (at, (name, cost)) in named.enumerate() {
            let blank = if at == 0 { "" } else { " " };
            write!(f, "{blank}{name}={cost}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{AcceptedHashes, Password, Proof, Secret, WeakSchemes};

    #[test]
    fn what_is_made_at_the_least_and_the_chosen_cost_can_be_checked() {
        let password = Password::new(b"pw".to_vec()).unwrap();
        let accepted = AcceptedHashes {
            weak: WeakSchemes::Refused,
            max_ms: u32::MAX,
        };
        for scheme in Scheme::MADE {
            let [memory, rounds, lanes, cost] =
                ranges(scheme).map(|range| range.map(|it| it.least));
            let least = Costs {
                memory,
                rounds,
                lanes,
                cost,
            };
            let recipe = Recipe::new(scheme, least).unwrap();
            let text = Secret::hash(recipe, &password).unwrap();
            let secret = Secret::parse(text.as_bytes(), accepted).unwrap().unwrap();
            assert!(secret.matches(&Proof::Password(password.clone())), "{text}");
            assert_eq!(secret.scheme(), scheme);
        }
    }

    #[test]
    fn the_costs_are_in_the_hash() {
        let password = Password::new(b"pw".to_vec()).unwrap();
        let costs = |memory, rounds, lanes, cost| Costs {
            memory,
            rounds,
            lanes,
            cost,
        };
        for (scheme, costs, part) in [
            (
                Scheme::Argon2id,
                costs(Some(64), Some(3), Some(2), None),
                "$m=64,t=3,p=2$",
            ),
            (
                Scheme::Argon2i,
                costs(Some(64), None, None, None),
                "$m=64,t=2,p=1$",
            ),
            (
                Scheme::BlfCrypt,
                costs(None, None, None, Some(5)),
                "$2y$05$",
            ),
            // What `mkpasswd --method=yescrypt --rounds=1` writes, and its default.
            (
                Scheme::Yescrypt,
                costs(None, None, None, Some(1)),
                "$y$j75$",
            ),
            (Scheme::Yescrypt, costs(None, None, None, None), "$y$j9T$"),
            (
                Scheme::Sha512Crypt,
                costs(None, Some(1234), None, None),
                "$6$rounds=1234$",
            ),
            (
                Scheme::Pbkdf2,
                costs(None, Some(1234), None, None),
                "$1234$",
            ),
            (
                Scheme::ScramSha256,
                costs(None, Some(4096), None, None),
                "}4096,",
            ),
        ] {
            let recipe = Recipe::new(scheme, costs).unwrap();
            let text = Secret::hash(recipe, &password).unwrap();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_estimated_work_is_that_of_the_hash() {
        let password = Password::new(b"pw".to_vec()).unwrap();
        let mut estimated = 0;
        for scheme in Scheme::MADE {
            let Some(takes_ms) = Recipe::from(scheme).takes_ms() else {
                continue;
            };
            let text = Secret::hash(scheme, &password).unwrap();
            let secret = Secret::parse(text.as_bytes(), WeakSchemes::Refused).unwrap();
            assert_eq!(secret.unwrap().takes_ms(), takes_ms, "{scheme}");
            estimated += 1;
        }
        assert_eq!(estimated, 6);
    }

    #[test]
    fn costs_out_of_range_are_refused() {
        let made = |scheme, costs| Recipe::new(scheme, costs).map_err(|bad| bad.to_string());
        let none = Costs::default();
        let cost = |cost| Costs {
            cost: Some(cost),
            ..none
        };
        for (scheme, costs, why) in [
            (
                Scheme::BlfCrypt,
                cost(3),
                "cost of blf-crypt must be from 4 to 15",
            ),
            (
                Scheme::BlfCrypt,
                cost(16),
                "cost of blf-crypt must be from 4 to 15",
            ),
            (
                Scheme::Yescrypt,
                cost(10),
                "cost of yescrypt must be from 1 to 9",
            ),
            (
                Scheme::Argon2id,
                cost(5),
                "argon2id has no cost; it has memory, rounds, lanes",
            ),
            (
                Scheme::Ssha512,
                cost(5),
                "ssha512 has no cost: its cost is fixed",
            ),
            (
                Scheme::Argon2id,
                Costs {
                    memory: Some(15),
                    lanes: Some(2),
                    ..none
                },
                "memory of argon2id must be from 16 to 262144",
            ),
            (
                Scheme::Sha256Crypt,
                Costs {
                    rounds: Some(u32::MAX),
                    ..none
                },
                "rounds of sha256-crypt must be from 1000 to 1000000",
            ),
        ] {
            assert_eq!(made(scheme, costs), Err(why.to_owned()));
        }
        assert_eq!(
            Recipe::from(Scheme::Argon2id).to_string(),
            "memory=19456 rounds=2 lanes=1"
        );
        assert_eq!(Recipe::from(Scheme::Ssha512).to_string(), "");
    }
}
