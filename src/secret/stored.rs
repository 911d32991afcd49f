//! Stored secrets: reads their text, and checks a proof against them.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize as _, Zeroizing};

use super::cost::AcceptedHashes;
use super::cram_md5::CramMd5;
use super::digest::Digested;
use super::encoding::{Encoding, split_encoding};
use super::error::{OutOfMemory, SecretError};
use super::form::Form;
use super::hash_function::Function;
use super::scheme::{Prefix, Scheme, WeakSchemes};
use super::{Password, Proof, argon2, crypt, pbkdf2, scram};

/// The maximum length of a text. The longest that a tool writes is 200 bytes.
const MAX_STORED_BYTES: usize = 1024;

//------------ Secret --------------------------------------------------------

/// A parsed stored secret, with a cost within the limits.
///
/// It cannot be printed. If it is the password itself, its memory is wiped on drop.
#[derive(Clone)]
pub struct Secret {
    stored: Zeroizing<Vec<u8>>,
    scheme: Scheme,
    form: Form,
    decoy: bool,
}

impl Secret {
    /// Reads a password field: `{SCHEME}text`, `{SCHEME.HEX}text` or `{SCHEME.B64}text` as
    /// Dovecot writes them, or a bare `$id$…` of crypt(3) and htpasswd.
    ///
    /// `Ok(None)` is a locked entry, which no password matches: an empty field, `x` as in
    /// passwd(5), a field that begins with `*` or `!`, and a hash scheme followed by one of these:
    /// `{CRYPT}!$6$…`.
    pub fn parse(
        stored: &[u8],
        accepted: impl Into<AcceptedHashes>,
    ) -> Result<Option<Self>, SecretError> {
        let AcceptedHashes { weak, max_ms } = accepted.into();
        if stored.is_empty() || is_lock(stored) || stored == SHADOWED {
            return Ok(None);
        }
        if stored.len() > MAX_STORED_BYTES {
            return Err(SecretError::Damaged("it is too long"));
        }
        let Some((scheme, mut form)) = parse_form(stored)? else {
            return Ok(None);
        };
        if scheme.is_weak() && weak == WeakSchemes::Refused {
            return Err(SecretError::Weak(scheme));
        }
        let takes_ms = form.takes_ms();
        if takes_ms > max_ms {
            return Err(SecretError::OverLimit { takes_ms, max_ms });
        }
        if let Form::ShaCrypt(hash) = &mut form {
            hash.limit(max_ms);
        }
        Ok(Some(Self {
            stored: Zeroizing::new(stored.to_vec()),
            scheme,
            form,
            decoy: false,
        }))
    }

    /// Like [`Self::parse`], for a text whose scheme the configuration names (`default-scheme`),
    /// unless the text names one itself: by a known `{SCHEME}`, or by `$`, `*` or `!` in front of a
    /// hash. A password in clear may begin with any of these three, and with a brace.
    pub fn parse_as(
        stored: &[u8],
        scheme: &str,
        accepted: AcceptedHashes,
    ) -> Result<Option<Self>, SecretError> {
        let names_itself = match stored {
            [] => true,
            [b'{', rest @ ..] if known_prefix(rest).is_some() => true,
            [b'*' | b'!', ..] if is_locked_scheme(stored) => true,
            [b'{' | b'$' | b'*' | b'!', ..] => prefix_of(scheme.as_bytes()) != Some(Prefix::Plain),
            _ => false,
        };
        if names_itself {
            return Self::parse(stored, accepted);
        }
        let named = [b"{", scheme.as_bytes(), b"}", stored].concat();
        Self::parse(&Zeroizing::new(named), accepted)
    }

    /// Checks the name of a scheme, as it is written between braces.
    pub fn takes_scheme(name: &str) -> Result<(), SecretError> {
        match prefix_of(name.as_bytes()) {
            None => Err(SecretError::UnknownScheme),
            Some(Prefix::Unsupported(name)) => Err(SecretError::Unsupported(name)),
            Some(_) => Ok(()),
        }
    }

    /// Whether `proof` matches. An empty password never does, and no password does if there is not
    /// enough memory for its hash.
    pub fn matches(&self, proof: &Proof) -> bool {
        self.check(proof).unwrap_or(false)
    }

    /// Whether `proof` matches, or an error if there is not enough memory.
    pub fn check(&self, proof: &Proof) -> Result<bool, OutOfMemory> {
        let fits = match proof {
            Proof::Password(password) => {
                #[cfg(test)]
                work::note(self.scheme);
                let password = password.reveal();
                !password.is_empty() && self.form.check(password)?
            }
            Proof::CramMd5(answered) => self
                .form
                .cram_md5(answered.challenge())
                .is_some_and(|digest| digest.ct_eq(answered.digest()).into()),
            Proof::Apop(answered) => self
                .form
                .apop(answered.challenge())
                .is_some_and(|digest| digest.ct_eq(answered.digest().as_slice()).into()),
            Proof::External | Proof::Token(_) => false,
        };
        wipe_stack();
        Ok(fits && !self.decoy)
    }

    /// Whether a proof of this kind can be compared with the stored secret.
    pub fn can_check(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Password(_) => true,
            Proof::CramMd5(_) => matches!(self.form, Form::Plain(_) | Form::CramMd5(_)),
            Proof::Apop(_) => matches!(self.form, Form::Plain(_)),
            Proof::External | Proof::Token(_) => false,
        }
    }

    /// Turns it into a secret with the same cost that matches nothing.
    #[must_use]
    pub fn into_decoy(self) -> Self {
        Self {
            decoy: true,
            ..self
        }
    }

    /// A secret that matches nothing, with the cost of those that [`Secret::hash`] makes.
    pub fn dummy() -> Self {
        Self {
            stored: Zeroizing::default(),
            scheme: Scheme::Argon2id,
            form: Form::Argon2(argon2::Argon2Hash::dummy()),
            decoy: true,
        }
    }

    /// Whether a password would match, even if this is a decoy.
    #[cfg(test)]
    pub(crate) fn would_match(&self, password: &[u8]) -> bool {
        self.form.check(password) == Ok(true)
    }

    /// Whether it is a decoy, which matches nothing.
    pub(crate) fn is_decoy(&self) -> bool {
        self.decoy
    }

    /// The text that it was read from; empty for [`Secret::dummy`].
    pub(crate) fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The password in clear, if that is stored and is a valid password.
    pub fn cleartext(&self) -> Option<Password> {
        match &self.form {
            Form::Plain(password) if !self.decoy => Password::new(password.to_vec()).ok(),
            _ => None,
        }
    }

    /// The scheme that it is stored with.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The estimated milliseconds of a check.
    pub fn takes_ms(&self) -> u32 {
        self.form.takes_ms()
    }

    /// Whether a check takes a millisecond or more, or megabytes of memory: the number of such
    /// checks at once is limited.
    pub fn is_heavy(&self) -> bool {
        match self.form {
            Form::Plain(_) | Form::Digest(_) | Form::Md5Crypt(_) | Form::CramMd5(_) => false,
            Form::ShaCrypt(_)
            | Form::Bcrypt(_)
            | Form::Yescrypt(_)
            | Form::Pbkdf2(_)
            | Form::Scram(_)
            | Form::Argon2(_) => true,
        }
    }
}

/// Records the checks that this thread has computed: tests compare that they are the same for all
/// refusals.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::RefCell;

    use super::Scheme;

    thread_local! {
        static DONE: RefCell<Vec<Scheme>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(scheme: Scheme) {
        DONE.with_borrow_mut(|done| done.push(scheme));
    }

    /// The checks since the last call.
    pub(crate) fn take() -> Vec<Scheme> {
        DONE.take()
    }
}

/// Overwrites the data that hash functions left on the stack below this call. Those of libraries
/// move their states, and each move leaves a copy with data of the password.
#[inline(never)]
fn wipe_stack() {
    let mut below = [0_u8; 16 * 1024];
    below.zeroize();
    std::hint::black_box(&below);
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

//------------ Reading -------------------------------------------------------

/// The placeholder in passwd(5) for a hash that is in shadow(5), which this program does not read.
const SHADOWED: &[u8] = b"x";

/// Whether a hash field is locked: shadow(5) and `usermod --lock` put a `!` in front of the hash,
/// other tools a `*`.
fn is_lock(text: &[u8]) -> bool {
    matches!(text, [b'*' | b'!', ..])
}

/// `None` for a locked entry.
fn parse_form(stored: &[u8]) -> Result<Option<(Scheme, Form)>, SecretError> {
    let Some(rest) = stored.strip_prefix(b"{") else {
        return crypt::parse(stored).map(Some);
    };
    let end = rest
        .iter()
        .position(|byte| *byte == b'}')
        .ok_or(SecretError::Damaged(
            "the closing brace after the scheme is missing",
        ))?;
    let (name, text) = (&rest[..end], &rest[end + 1..]);
    let (name, encoding) = split_encoding(name)?;
    let prefix = Prefix::from_name(name).ok_or(SecretError::UnknownScheme)?;
    if text.is_empty() {
        return Err(SecretError::Damaged("nothing follows the scheme"));
    }
    let locked = match prefix {
        // The text is the password, which may begin with any byte. An encoded one cannot begin with
        // these.
        Prefix::Plain if encoding.is_none() => false,
        Prefix::Crypt => is_lock(text) || text == SHADOWED,
        _ => is_lock(text),
    };
    if locked {
        return Ok(None);
    }
    let decoded = match encoding {
        Some(encoding) => Zeroizing::new(encoding.decode(text)?),
        None => Zeroizing::new(text.to_vec()),
    };
    let form = match prefix {
        Prefix::Plain if decoded.is_empty() => Err(SecretError::Damaged("the password is empty")),
        Prefix::Plain => Ok((Scheme::Plain, Form::Plain(decoded))),
        Prefix::Digest(scheme) => parse_digest(scheme, text, encoding),
        Prefix::Md5CryptOrDigest if !decoded.starts_with(b"$") => {
            parse_digest(Scheme::Md5, text, encoding)
        }
        Prefix::Md5CryptOrDigest | Prefix::Crypt => crypt::parse(&decoded),
        Prefix::Pbkdf2(Function::Sha1) if decoded.starts_with(b"$1$") => Ok((
            Scheme::Pbkdf2,
            Form::Pbkdf2(pbkdf2::Pbkdf2::parse_dovecot(&decoded)?),
        )),
        Prefix::Pbkdf2(_) if decoded.starts_with(b"$pbkdf2") => crypt::parse(&decoded),
        Prefix::Pbkdf2(function) => crypt::pbkdf2(function, &decoded),
        Prefix::PackedPbkdf2 => {
            let bytes = encoding.unwrap_or(Encoding::Base64).decode(text)?;
            let hash = pbkdf2::Pbkdf2::parse_packed(&bytes)?;
            Ok((Scheme::Pbkdf2Sha256, Form::Pbkdf2(hash)))
        }
        Prefix::Scram(function) => {
            let keys = scram::Scram::parse(function, &decoded)?;
            Ok((Scheme::scram(function), Form::Scram(keys)))
        }
        Prefix::CramMd5 => {
            let bytes = Zeroizing::new(encoding.unwrap_or(Encoding::Hex).decode(text)?);
            let states = CramMd5::parse(&bytes).ok_or(SecretError::Damaged("not 32 bytes long"))?;
            if states.matches(b"") {
                return Err(SecretError::Damaged("the password is empty"));
            }
            Ok((Scheme::CramMd5, Form::CramMd5(states)))
        }
        Prefix::Unsupported(name) => Err(SecretError::Unsupported(name)),
    }?;
    Ok(Some(form))
}

/// The meaning of a scheme's name, with its encoding if it has one.
fn prefix_of(name: &[u8]) -> Option<Prefix> {
    let (name, _) = split_encoding(name).ok()?;
    Prefix::from_name(name)
}

/// Whether a text is a known `{SCHEME}` with a lock before it, such as `!{PLAIN}secret`.
fn is_locked_scheme(text: &[u8]) -> bool {
    let locks = text.iter().take_while(|byte| matches!(byte, b'*' | b'!'));
    matches!(&text[locks.count()..], [b'{', rest @ ..] if known_prefix(rest).is_some())
}

/// The meaning of the scheme before a text, after its opening brace.
fn known_prefix(text: &[u8]) -> Option<Prefix> {
    let end = text.iter().position(|byte| *byte == b'}')?;
    prefix_of(&text[..end])
}

fn parse_digest(
    scheme: Scheme,
    text: &[u8],
    encoding: Option<Encoding>,
) -> Result<(Scheme, Form), SecretError> {
    // Like Dovecot: if the encoding is not named, a text with the length of this digest in
    // hexadecimal is hexadecimal.
    let encoding = encoding.unwrap_or(match Digested::fixed_length(scheme) {
        Some(length) if text.len() == 2 * length => Encoding::Hex,
        _ => Encoding::Base64,
    });
    let hash = Digested::parse(scheme, encoding.decode(text)?)?;
    Ok((scheme, Form::Digest(hash)))
}

#[cfg(test)]
mod locked;
