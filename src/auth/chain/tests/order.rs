//! The order of outcomes: what two and three stores come to, in every order of theirs.

use super::*;
use Guess::{No, Yes};

/// A store of which one thing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Does not know the login; its users have passwords in clear.
    UnknownClear,
    /// Does not know the login; its users have hashes.
    UnknownHashed,
    /// Knows the login with a password in clear.
    Clear,
    /// Knows the login with a hash.
    Hashed,
    /// Knows the login, and that it has no password; its users have hashes.
    Locked,
    /// Knows the login as one that is switched off, with a password in clear.
    Off,
    /// Finds every login and checks passwords itself.
    Asks,
    /// The same, and it refuses after the deadline.
    Slow,
    /// The same, and the user has no password.
    Bare,
    /// The same, and the user is locked.
    Refuses,
    /// Is down.
    Down,
    /// Two passwords in clear: there is no turn for a hash between them.
    Busy,
}

const KINDS: [Kind; 12] = [
    Kind::UnknownClear,
    Kind::UnknownHashed,
    Kind::Clear,
    Kind::Hashed,
    Kind::Locked,
    Kind::Off,
    Kind::Asks,
    Kind::Slow,
    Kind::Bare,
    Kind::Refuses,
    Kind::Down,
    Kind::Busy,
];

const HASH: &str = "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=";
const HEAVY: &str = "$5$rounds=1000$saltsalt$...........................................";

impl UserStore for Kind {
    fn find(&self, _: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let stored = |texts: &[&str]| {
            Passwords::Stored(texts.iter().map(|text| secret(text).into()).collect())
        };
        let passwords = match self {
            Self::UnknownClear | Self::UnknownHashed => return Ok(None),
            Self::Down => return Err(StoreError::Unavailable("it is down".to_owned())),
            Self::Clear | Self::Off => stored(&["{PLAIN}right"]),
            Self::Hashed => stored(&[HASH]),
            Self::Locked => stored(&[]),
            Self::Busy => stored(&["{PLAIN}right", HEAVY]),
            Self::Asks | Self::Slow | Self::Bare | Self::Refuses => Passwords::AskStore,
        };
        Ok(Some(Account {
            passwords,
            disabled: *self == Self::Off,
            ..Account::default()
        }))
    }

    fn verify(
        &self,
        _: &Question<'_>,
        _: &mut Account,
        _: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        match self {
            Self::Slow => Err(StoreError::Unanswered("it is slow".to_owned())),
            Self::Bare => Ok(PasswordCheck::NoPassword),
            Self::Refuses => Ok(PasswordCheck::NotPermitted("it is locked".to_owned())),
            _ => Ok(PasswordCheck::Wrong),
        }
    }

    fn decoy(&self, _: &Question<'_>) -> Decoy {
        match self {
            Self::UnknownClear | Self::Clear | Self::Off | Self::Busy => {
                Decoy::Secret(secret("{PLAIN}right").into_decoy())
            }
            Self::UnknownHashed | Self::Hashed | Self::Locked => {
                Decoy::Secret(secret(HASH).into_decoy())
            }
            Self::Asks | Self::Slow | Self::Bare | Self::Refuses => Decoy::AskStore,
            Self::Down => Decoy::Nothing,
        }
    }
}

/// The rank of the refusal of a wrong proof; `None` if the store cannot answer. It repeats the table of
/// `auth::outcome`.
fn rank(kind: Kind, by_digest: bool, can_compare: bool) -> Option<u8> {
    Some(match (kind, by_digest) {
        (Kind::Down, _) => return None,
        (Kind::Busy | Kind::Slow, false) => return None,
        (Kind::UnknownClear | Kind::UnknownHashed, _) => 0,
        (Kind::Hashed | Kind::Asks | Kind::Slow | Kind::Bare | Kind::Refuses, true) => 1,
        (Kind::Bare, false) => 2,
        (Kind::Refuses, false) => 4,
        // It is treated as a login that is not there.
        (Kind::Locked, _) => 1 + u8::from(can_compare),
        (Kind::Clear | Kind::Off | Kind::Busy, _) => 3,
        (Kind::Hashed | Kind::Asks, false) => 3,
    })
}

/// What a chain of these stores is to come to.
fn expected(kinds: &[Kind], by_digest: bool) -> FailedAttempt {
    let has_clear = |kind: &Kind| {
        let clear = [Kind::UnknownClear, Kind::Clear, Kind::Off, Kind::Busy];
        clear.contains(kind)
    };
    let can_compare = !by_digest || kinds.iter().any(has_clear);
    let cannot = kinds
        .iter()
        .any(|kind| rank(*kind, by_digest, can_compare).is_none());
    let best = kinds
        .iter()
        .filter_map(|kind| rank(*kind, by_digest, can_compare))
        .max()
        .unwrap_or(0);
    let slow = !by_digest && kinds.contains(&Kind::Slow);
    let tried = best >= 3 || slow || kinds.contains(&Kind::Busy);
    let (why, guess) = match (cannot, best) {
        (true, _) => (down(), if tried { Yes } else { No }),
        (false, 4) => (
            Refusal::AccountRefused("fake: it is locked".to_owned()),
            Yes,
        ),
        (false, 3) => (Refusal::WrongPassword, Yes),
        (false, 2) => (Refusal::NoPassword, Yes),
        (false, 1) => (
            Refusal::DigestNotPossible,
            if can_compare { Yes } else { No },
        ),
        (false, _) if can_compare => (Refusal::UnknownUser, Yes),
        (false, _) => (Refusal::DigestNotPossible, No),
    };
    FailedAttempt {
        why,
        guess,
        delay: Duration::ZERO,
    }
}

fn chain_of(kinds: &[Kind]) -> Chain {
    let sources = kinds.iter().map(|kind| Source {
        store: Arc::new(*kind),
        ..source(Says::Unknown, Then::Next, Then::Next)
    });
    chain(sources.collect())
}

/// Every store alone, every two and every three of them, in every order, by every method that is
/// checked by stores.
#[test]
fn a_weaker_outcome_never_replaces_a_stronger_one() {
    let login = Login::new(b"alice".to_vec()).unwrap();
    let proofs = [
        proof("wrong"),
        Proof::CramMd5(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap()),
        Proof::Apop(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap()),
    ];
    let mut chains: Vec<Vec<Kind>> = KINDS.iter().map(|kind| vec![*kind]).collect();
    for length in 2..=3 {
        let shorter: Vec<_> = chains.iter().filter(|it| it.len() + 1 == length).collect();
        let longer: Vec<_> = shorter
            .iter()
            .flat_map(|it| KINDS.iter().map(|kind| [it.as_slice(), &[*kind]].concat()))
            .collect();
        chains.extend(longer);
    }
    assert_eq!(chains.len(), 12 + 144 + 1728);
    for kinds in &chains {
        let chain = chain_of(kinds);
        for proof in &proofs {
            // No hash has its turn: only `Busy` needs one.
            let asked = question(&login);
            let _taken = chain.turn(&asked).unwrap();
            let hurried = Question {
                deadline: Instant::now(),
                ..asked
            };
            let by_digest = !matches!(proof, Proof::Password(_));
            let asks = |kind: &Kind| {
                let asking = [Kind::Asks, Kind::Slow, Kind::Bare, Kind::Refuses];
                asking.contains(kind)
            };
            let paced = !by_digest && kinds.iter().any(asks);
            let denied = chain
                .authenticate(&hurried, proof, &mut |_| {})
                .map(drop)
                .map_err(|denied| {
                    // The time of a store that checks passwords itself is made up for.
                    assert!(!paced || !denied.delay.is_zero(), "{kinds:?}");
                    FailedAttempt {
                        why: match denied.why {
                            Refusal::Temporary(_) => down(),
                            why => why,
                        },
                        delay: Duration::ZERO,
                        ..denied
                    }
                });
            let wanted = Err(expected(kinds, by_digest));
            assert_eq!(denied, wanted, "{kinds:?} {proof:?}");
        }
    }
}

/// A store that stops the chain has the last word only of those that were asked.
#[test]
fn a_chain_that_stops_counts_the_outcomes_so_far() {
    let login = Login::new(b"alice".to_vec()).unwrap();
    let digest = Proof::CramMd5(ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap());
    for (kinds, guess) in [
        (&[Kind::Clear, Kind::Down][..], Yes),
        (&[Kind::Down, Kind::Clear], No),
        (&[Kind::UnknownClear, Kind::Down, Kind::Clear], No),
        (&[Kind::Clear, Kind::Asks], Yes),
        (&[Kind::Asks, Kind::Clear], Yes),
        (&[Kind::Asks, Kind::UnknownClear], Yes),
        (&[Kind::Asks, Kind::UnknownHashed], No),
        (&[Kind::Hashed, Kind::Asks], No),
    ] {
        let sources = kinds.iter().map(|kind| Source {
            store: Arc::new(*kind),
            ..source(Says::Unknown, Then::Stop, Then::Stop)
        });
        let chain = chain(sources.collect());
        let denied = chain.authenticate(&question(&login), &digest, &mut |_| {});
        assert_eq!(denied.unwrap_err().guess, guess, "{kinds:?}");
    }
}
