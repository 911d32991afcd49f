//! The mail users of the tests, and logins that must be refused.

/// A user with a mailbox.
pub(crate) struct Person {
    pub(crate) login: &'static [u8],
    pub(crate) password: &'static [u8],
    /// The mail server, 0 or 1, whose user this is.
    pub(crate) at: usize,
    /// The Dovecot scheme that the password is stored in.
    pub(crate) scheme: &'static str,
    /// The fields after the hash in the program's password file.
    pub(crate) extra: &'static str,
}

const fn person(
    login: &'static [u8],
    password: &'static [u8],
    at: usize,
    scheme: &'static str,
) -> Person {
    Person {
        login,
        password,
        at,
        scheme,
        extra: "",
    }
}

/// First letters lead a, c, f, g to the first mail server and all others to the second.
pub(crate) const PEOPLE: [Person; 11] = [
    person(b"alice", b"sesame1", 0, "SHA512-CRYPT"),
    person(b"bob", b"hunter2", 1, "BLF-CRYPT"),
    person(b"carol smith", b"pass word", 0, "SSHA256"),
    person(b"dave+lists", b"plus+plus", 1, "SSHA256"),
    person(b"f%41red", b"100%41", 0, "SSHA256"),
    person(b"o'brien", b"it's mine", 1, "SSHA256"),
    person(b"g\"q\"", b"say \"hi\"", 0, "SSHA256"),
    person(b"x\\y", b"back\\slash\\\\", 1, "SSHA256"),
    person("grün".as_bytes(), "paßwörd".as_bytes(), 0, "SSHA256"),
    person(b"m\xfcller", b"pa\xdfw\xf6rd", 1, "SSHA256"),
    Person {
        // The password file knows better than the first letter.
        extra: "host=mailhost01",
        ..person(b"walter@example.org", b"sesame1", 0, "ARGON2ID")
    },
];

/// Accepted by the program, but sent to a mail server that does not have this user.
pub(crate) const MISROUTED: Person = Person {
    extra: "host=mailhost01",
    ..person(b"zoe", b"sesame1", 1, "SSHA256")
};

/// Invalid pairs of login and password, many of them close to valid ones.
pub(crate) const STRANGERS: [(&[u8], &[u8]); 17] = [
    (b"alice", b"Sesame1"),
    (b"alice", b"sesame1 "),
    (b"Alice", b"sesame1"),
    (b"bob", b"sesame1"),
    (b"carol smith", b"pass+word"),
    (b"carol+smith", b"pass word"),
    (b"carol%20smith", b"pass word"),
    (b"dave+lists", b"plus plus"),
    (b"f%41red", b"100A"),
    (b"fAred", b"100%41"),
    (b"o'brien", b"its mine"),
    (b"g\"q\"", b"say hi"),
    (b"x\\y", b"backslash\\"),
    ("grün".as_bytes(), b"pa\xdfw\xf6rd"),
    (b"gr\xfcn", "paßwörd".as_bytes()),
    ("müller".as_bytes(), b"pa\xdfw\xf6rd"),
    (b"nobody", b"sesame1"),
];
