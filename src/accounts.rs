//! Users and groups of this machine by name, as `/etc/passwd` and `/etc/group` have them.
//!
//! Not by way of the C library: what that asks (NSS) are modules of the machine's own, which a
//! statically linked program cannot load safely. Users that are in a directory only have numbers.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::OnceLock;

/// How much of such a file is read: room for a million users.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// `/etc/passwd` as it was at the start, for a process in the sandbox, which cannot read it any more.
static USERS: OnceLock<Vec<u8>> = OnceLock::new();

/// Reads the users of this machine for the time in the sandbox: a configuration that is loaded again
/// may name one. A user made later is known by number only.
pub fn remember_users() {
    USERS.get_or_init(|| {
        let mut users = Vec::new();
        let read = File::open(Kind::User.file())
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut users));
        // What is missing is reported where a name is asked for.
        read.map(|_| users).unwrap_or_default()
    });
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl Kind {
    fn file(self) -> &'static Path {
        Path::new(match self {
            Self::User => "/etc/passwd",
            Self::Group => "/etc/group",
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// The number of a user or group that is given by name or number. The error says what to do.
pub fn number_of(kind: Kind, name: &str) -> Result<u32, String> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The greatest number stands for "as it is" (chown(2)).
        return match name.parse() {
            Ok(number) if number != u32::MAX => Ok(number),
            _ => Err(format!(
                "{name} is too large for the number of a {}",
                kind.word()
            )),
        };
    }
    let file = kind.file();
    let entries = match File::open(file) {
        Ok(file) => number_in(file, name.as_bytes()),
        Err(error) => match (kind, USERS.get()) {
            (Kind::User, Some(users)) => number_in(users.as_slice(), name.as_bytes()),
            _ => Err(error),
        },
    };
    match entries {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!(
            "there is no {} {name:?} in {}; one that is known elsewhere only must be given by \
             number",
            kind.word(),
            file.display()
        )),
        Err(error) => Err(format!("cannot read {}: {error}", file.display())),
    }
}

/// The numbers that the processes of a user run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The user.
    pub user: u32,
    /// Its own group.
    pub group: u32,
    /// All groups, its own too.
    pub groups: Vec<u32>,
}

/// What a user of `/etc/passwd`, given by name or number, runs with: its own group, and those that
/// `/etc/group` lists it in (initgroups(3)). Of a user that is known elsewhere only, the group is given
/// too: `USER:GROUP`. The error says what to do.
pub fn rights_of(user: &str) -> Result<Rights, String> {
    if let Some((user, group)) = user.split_once(':') {
        let group = number_of(Kind::Group, group)?;
        return Ok(Rights {
            user: number_of(Kind::User, user)?,
            group,
            groups: vec![group],
        });
    }
    // In the words in which a name without a number is refused elsewhere.
    let number = number_of(Kind::User, user)?;
    let open = |kind: Kind| {
        let file = kind.file();
        File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
    };
    let rights = rights_in(open(Kind::User)?, open(Kind::Group)?, user)
        .map_err(|error| format!("cannot read the users and groups of this machine: {error}"))?;
    rights.ok_or_else(|| {
        format!(
            "there is no user {number} in {}: give the group too, {number}:GROUP",
            Kind::User.file().display()
        )
    })
}

fn rights_in(
    users: impl io::Read,
    groups: impl io::Read,
    wanted: &str,
) -> io::Result<Option<Rights>> {
    let digits = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit());
    let mut found = None;
    each_line(users, |fields| {
        let [name, _, user, group, ..] = fields else {
            return false;
        };
        if let (Some(user), Some(group)) = (number(user), number(group))
            && (*name == wanted.as_bytes() || digits && wanted.parse() == Ok(user))
        {
            found = Some((name.to_vec(), user, group));
        }
        found.is_some()
    })?;
    let Some((name, user, group)) = found else {
        return Ok(None);
    };
    let mut all = vec![group];
    each_line(groups, |fields| {
        if let [_, _, group, members, ..] = fields
            && let Some(group) = number(group)
            && members
                .split(|byte| *byte == b',')
                .any(|member| *member == *name)
            && !all.contains(&group)
        {
            all.push(group);
        }
        false
    })?;
    Ok(Some(Rights {
        user,
        group,
        groups: all,
    }))
}

/// Calls `see` with the fields of each line, until it has seen enough.
fn each_line(file: impl io::Read, mut see: impl FnMut(&[&[u8]]) -> bool) -> io::Result<()> {
    let mut lines = BufReader::new(file.take(MAX_BYTES));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let fields: Vec<_> = line.trim_ascii_end().split(|byte| *byte == b':').collect();
        if see(&fields) {
            break;
        }
        line.clear();
    }
    Ok(())
}

/// A number of a user or group; the greatest stands for "as it is" (chown(2)).
fn number(digits: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(digits).ok()?.parse().ok();
    number.filter(|number| *number != u32::MAX)
}

/// Lines of `name:password:number:...` (passwd(5), group(5)).
fn number_in(file: impl io::Read, name: &[u8]) -> io::Result<Option<u32>> {
    let mut found = None;
    each_line(file, |fields| {
        if let [known, _, digits, ..] = fields
            && *known == name
        {
            found = number(digits);
        }
        found.is_some()
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_lines() {
        let file = "root:x:0:0:root:/root:/bin/bash\n# www:x:1:\nwww-data:x:33:33\nodd:x:-1:0\n\
                    odd:x:7:0\nhuge:x:4294967295:\nshort\n\nlast:x:9:";
        for (name, number) in [
            ("root", Some(0)),
            ("www-data", Some(33)),
            ("www", None),
            ("odd", Some(7)),
            ("huge", None),
            ("short", None),
            ("last", Some(9)),
            ("", None),
            ("root:x", None),
        ] {
            let found = number_in(file.as_bytes(), name.as_bytes()).unwrap();
            assert_eq!(found, number, "{name}");
        }
    }

    #[test]
    fn a_name_or_a_number() {
        assert_eq!(number_of(Kind::User, "root"), Ok(0));
        assert_eq!(number_of(Kind::Group, "root"), Ok(0));
        assert_eq!(number_of(Kind::User, "12345"), Ok(12345));
        assert_eq!(
            number_of(Kind::Group, "no such").unwrap_err(),
            "there is no group \"no such\" in /etc/group; one that is known elsewhere only must \
             be given by number"
        );
        for bad in ["", "4294967295", "99999999999"] {
            assert!(number_of(Kind::User, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rights_are_those_of_all_groups_of_a_user() {
        let users = "root:x:0:0:root:/root:/bin/bash\nmail:x:8:8::/:\nodd:x:-1:0:::\n\
                     www-data:x:33:33:www:/var/www:/usr/sbin/nologin\n8:x:12:13:::\nshort:x:9\n";
        let groups = "root:x:0:\nmail:x:8:www-data\nssl-cert:x:111:postgres,www-data\n\
                      www-data:x:33:www-data\nother:x:5:www-data2,xwww-data\nodd:x:y:www-data\n\
                      short:x:77\n";
        let rights = |user, group, groups: &[u32]| {
            Some(Rights {
                user,
                group,
                groups: groups.to_vec(),
            })
        };
        for (name, expected) in [
            ("www-data", rights(33, 33, &[33, 8, 111])),
            ("33", rights(33, 33, &[33, 8, 111])),
            ("root", rights(0, 0, &[0])),
            ("mail", rights(8, 8, &[8])),
            ("8", rights(8, 8, &[8])),
            ("odd", None),
            ("short", None),
            ("nobody", None),
            ("", None),
        ] {
            let found = rights_in(users.as_bytes(), groups.as_bytes(), name).unwrap();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn an_unknown_user_is_an_error_that_says_what_to_do() {
        assert_eq!(
            rights_of("no-such-user").unwrap_err(),
            "there is no user \"no-such-user\" in /etc/passwd; one that is known elsewhere only must \
             be given by number"
        );
        assert_eq!(
            rights_of("54321").unwrap_err(),
            "there is no user 54321 in /etc/passwd: give the group too, 54321:GROUP"
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
