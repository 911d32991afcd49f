//! Moves users from one host to another: `old -> moving -> new`.

use std::fmt;
use std::sync::Arc;

use super::host::HostId;
use super::place::MovePlace;
use crate::login::printable::Printable;

/// A move as configured. Routes can name it in place of a host.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The old host of the users.
    pub old: HostId,
    /// The new host of the users.
    pub new: HostId,
    /// The percentage of users who have arrived at the new host.
    pub moved: u8,
    /// The percentage up to which users are being moved; at least `moved`.
    pub moving: u8,
}

/// The stage of a user in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The user is still at the old host.
    Old,
    /// The user is being moved: the temporary failure.
    Moving,
    /// The user is at the new host.
    New,
}

impl Move {
    /// The stage of the user with this place. A larger `moved` or `moving` puts no user back to an earlier
    /// stage.
    pub fn stage(&self, place: MovePlace) -> Stage {
        if place.is_below(self.moved) {
            Stage::New
        } else if place.is_below(self.moving) {
            Stage::Moving
        } else {
            Stage::Old
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "old",
            Self::Moving => "moving",
            Self::New => "new",
        })
    }
}

/// The move on the route of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMove {
    /// The name of the move.
    pub name: Arc<str>,
    /// The login's place.
    pub place: MovePlace,
    /// The stage of that place.
    pub stage: Stage,
}

/// `move old-to-new: place 47.80 %, moving`.
impl fmt::Display for UserMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Printable(self.name.as_bytes());
        write!(f, "move {name}: place {}, {}", self.place, self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Login;

    fn stages(moved: u8, moving: u8) -> Vec<Stage> {
        let host = HostId::FIRST;
        let users = Move {
            name: "m".into(),
            old: host,
            new: host,
            moved,
            moving,
        };
        let login = |number| Login::new(format!("user{number}").into_bytes()).unwrap();
        (0..2000)
            .map(|number| users.stage(MovePlace::of(&login(number))))
            .collect()
    }

    #[test]
    fn larger_percentages_move_no_user_back() {
        let steps = [(0, 0), (0, 10), (10, 10), (10, 45), (45, 45), (45, 100)];
        let mut before = stages(0, 0);
        assert!(before.iter().all(|stage| *stage == Stage::Old));
        for (moved, moving) in steps {
            let now = stages(moved, moving);
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now));
            let count = |stage| now.iter().filter(|now| **now == stage).count();
            // Within 3 % of all.
            let near = |count: usize, percent: u8| count.abs_diff(20 * usize::from(percent)) < 60;
            assert!(near(count(Stage::New), moved), "{moved} {moving}");
            assert!(
                near(count(Stage::Moving), moving - moved),
                "{moved} {moving}"
            );
            before = now;
        }
        assert!(stages(100, 100).iter().all(|stage| *stage == Stage::New));
    }

    #[test]
    fn alice_by_percentages() {
        // Her place is 47.80 %.
        let alice = MovePlace::of(&Login::new(b"alice@example.org".to_vec()).unwrap());
        let host = HostId::FIRST;
        for (moved, moving, stage) in [
            (0, 0, Stage::Old),
            (0, 47, Stage::Old),
            (0, 48, Stage::Moving),
            (47, 48, Stage::Moving),
            (48, 48, Stage::New),
            (48, 100, Stage::New),
        ] {
            let name = "m".into();
            let users = Move {
                name,
                old: host,
                new: host,
                moved,
                moving,
            };
            assert_eq!(users.stage(alice), stage, "{moved} {moving}");
        }
    }
}
