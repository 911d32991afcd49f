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

/// Lines of `name:password:number:...` (passwd(5), group(5)).
fn number_in(file: impl io::Read, name: &[u8]) -> io::Result<Option<u32>> {
    let mut lines = BufReader::new(file.take(MAX_BYTES));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let mut fields = line.trim_ascii_end().split(|byte| *byte == b':');
        if fields.next() == Some(name) {
            let number = fields.nth(1).and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                digits.parse().ok().filter(|number| *number != u32::MAX)
            });
            if number.is_some() {
                return Ok(number);
            }
        }
        line.clear();
    }
    Ok(None)
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
}
