//! Users and groups by name, as the system knows them (NSS: /etc/passwd, a directory and so on).

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User, getgrouplist};

/// Whether a name is that of a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl AccountKind {
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The database name of getent(1).
    fn database(self) -> &'static str {
        match self {
            Self::User => "passwd",
            Self::Group => "group",
        }
    }

    fn find(self, name: &str) -> Result<Option<u32>, Errno> {
        found(match self {
            Self::User => User::from_name(name).map(|user| user.map(|user| user.uid.as_raw())),
            Self::Group => {
                Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()))
            }
        })
    }
}

/// Some modules report a missing entry as an error (getpwnam(3)).
fn found<T>(entry: Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    match entry {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        entry => entry,
    }
}

/// The number of a user or group given by name or number. The error says what to do.
pub fn number_of(kind: AccountKind, name: &str) -> Result<u32, String> {
    let word = kind.word();
    if is_number(name) {
        // The greatest number means "unchanged" (chown(2)).
        return match name.parse() {
            Ok(number) if number != u32::MAX => Ok(number),
            _ => Err(format!("{name} is too large for the number of a {word}")),
        };
    }
    match kind.find(name) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!(
            "this system knows no {word} {name:?}: write a name that `getent {}` lists, or a number",
            kind.database()
        )),
        Err(error) => Err(format!(
            "cannot look up the {word} {name:?}: {}",
            error.desc()
        )),
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The numbers that the processes of a user run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The user.
    pub user: u32,
    /// Its own group.
    pub group: u32,
    /// All groups, including its own.
    pub groups: Vec<u32>,
}

/// The numbers for a user given by name or number: its own group, and the groups that list it
/// (initgroups(3)). For a number that the system does not know, the group is given too:
/// `USER:GROUP`. The error says what to do.
pub fn rights_of(user: &str) -> Result<Rights, String> {
    if let Some((user, group)) = user.split_once(':') {
        let group = number_of(AccountKind::Group, group)?;
        return Ok(Rights {
            user: number_of(AccountKind::User, user)?,
            group,
            groups: vec![group],
        });
    }
    let number = number_of(AccountKind::User, user)?;
    let entry = match is_number(user) {
        true => User::from_uid(Uid::from_raw(number)),
        false => User::from_name(user),
    };
    let failed = |error: Errno| format!("cannot look up the user {user:?}: {}", error.desc());
    let entry = found(entry).map_err(failed)?.ok_or_else(|| {
        format!("this system knows no user {number}: give the group too, {number}:GROUP")
    })?;
    let name = CString::new(entry.name).map_err(|_| failed(Errno::EINVAL))?;
    let groups = getgrouplist(&name, entry.gid).map_err(failed)?;
    Ok(Rights {
        user: entry.uid.as_raw(),
        group: entry.gid.as_raw(),
        groups: groups.into_iter().map(|group| group.as_raw()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_number() {
        assert_eq!(number_of(AccountKind::User, "root"), Ok(0));
        assert_eq!(number_of(AccountKind::Group, "root"), Ok(0));
        assert_eq!(number_of(AccountKind::User, "12345"), Ok(12345));
        assert_eq!(
            number_of(AccountKind::Group, "no such").unwrap_err(),
            "this system knows no group \"no such\": write a name that `getent group` lists, or a number"
        );
        for bad in ["", "root\0", "4294967295", "99999999999"] {
            assert!(number_of(AccountKind::User, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rights_are_those_of_the_user_and_its_groups() {
        let root = Rights {
            user: 0,
            group: 0,
            groups: vec![0],
        };
        for name in ["root", "0"] {
            let rights = rights_of(name).unwrap();
            assert_eq!((rights.user, rights.group), (0, 0));
            assert!(rights.groups.contains(&0), "{rights:?}");
        }
        assert_eq!(rights_of("root:root"), Ok(root));
    }

    #[test]
    fn an_unknown_user_is_an_error_that_says_what_to_do() {
        assert_eq!(
            rights_of("no-such-user").unwrap_err(),
            "this system knows no user \"no-such-user\": write a name that `getent passwd` lists, or a \
             number"
        );
        assert_eq!(
            rights_of("54321").unwrap_err(),
            "this system knows no user 54321: give the group too, 54321:GROUP"
        );
        let given = rights_of("54321:54322").unwrap();
        assert_eq!(
            (given.user, given.group, given.groups),
            (54321, 54322, vec![54322])
        );
        for bad in ["", ":", "root:", ":root", "4294967295"] {
            assert!(rights_of(bad).is_err(), "{bad}");
        }
    }
}
