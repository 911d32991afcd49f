//! Locks a user, in a way that all readers of the file understand.
//!
//! The field gets a `!` in front, as by `usermod --lock`: no password matches it, in Apache and Dovecot
//! neither. `nologin` makes this program refuse also app passwords, certificates and tokens.

use zeroize::Zeroizing;

use super::fields::Parts;
use super::{Done, Refused};
use crate::secret::{AcceptedHashes, Secret, SecretError, WeakSchemes};
use crate::users::file::PasswordRules;

/// The extra field that disables a user.
const NO_LOGIN: &str = "nologin";

/// Sets another password. A user who was locked with a password stays locked.
pub(super) fn set(
    parts: &mut Parts<'_>,
    stored: &[u8],
    rules: &PasswordRules,
) -> Result<Done, Refused> {
    let was_locked = is_locked(&parts.stored, rules) && unlocked(&parts.stored, rules).is_some();
    parts.stored = Zeroizing::new(stored.to_vec());
    if was_locked {
        parts.stored = locked(stored, rules)?;
    }
    Ok(match was_locked || parts.has(NO_LOGIN) {
        true => Done::StaysLocked,
        false => Done::AsAsked,
    })
}

/// Locks the user.
pub(super) fn lock(
    parts: &mut Parts<'_>,
    reason: Option<&str>,
    rules: &PasswordRules,
) -> Result<Done, Refused> {
    let was_locked = is_locked(&parts.stored, rules);
    if was_locked && parts.has(NO_LOGIN) && reason.is_none() {
        return Ok(Done::Already);
    }
    if !was_locked {
        parts.stored = locked(&parts.stored, rules)?;
    }
    match reason {
        Some(reason) => parts.set(&format!("{NO_LOGIN}={reason}")),
        None if parts.has(NO_LOGIN) => {}
        None => parts.set(NO_LOGIN),
    }
    Ok(Done::AsAsked)
}

/// Unlocks the user.
pub(super) fn unlock(parts: &mut Parts<'_>, rules: &PasswordRules) -> Result<Done, Refused> {
    let was_locked = is_locked(&parts.stored, rules);
    let was_disabled = parts.has(NO_LOGIN);
    if !was_locked && !was_disabled {
        return Ok(Done::Already);
    }
    parts.remove(NO_LOGIN);
    if !was_locked {
        return Ok(Done::AsAsked);
    }
    match unlocked(&parts.stored, rules) {
        Some(stored) => {
            parts.stored = stored;
            Ok(Done::AsAsked)
        }
        None if was_disabled => Ok(Done::NoPassword),
        None => Err(Refused::Line(
            "there is no password behind the lock: set one with passwd".to_owned(),
        )),
    }
}

/// The password field with a lock before it.
fn locked(stored: &[u8], rules: &PasswordRules) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let scheme = rules.default_scheme.as_deref().unwrap_or_default();
    // A password in clear may begin with `!`, so there the scheme must be named.
    let named = [b"!{", scheme.as_bytes(), b"}", stored].concat();
    [[b"!", stored].concat(), named]
        .into_iter()
        .map(Zeroizing::new)
        .find(|text| is_locked(text, rules))
        .ok_or_else(|| Refused::Line("the password field cannot be locked".to_owned()))
}

/// The password field without its lock; `None` if there is no password behind it.
fn unlocked(stored: &[u8], rules: &PasswordRules) -> Option<Zeroizing<Vec<u8>>> {
    let without = |text: &[u8]| {
        let locks = text.iter().take_while(|byte| matches!(byte, b'!' | b'*'));
        let locks = locks.count();
        text[locks..].to_vec()
    };
    // The lock can also be behind the scheme: `{CRYPT}!$6$…`.
    let end = stored.iter().position(|byte| *byte == b'}');
    let behind = end
        .filter(|_| stored.starts_with(b"{"))
        .map(|end| [&stored[..=end], &without(&stored[end + 1..])[..]].concat());
    [Some(without(stored)), behind]
        .into_iter()
        .flatten()
        .map(Zeroizing::new)
        .find(|text| is_hash(text, rules))
}

/// Whether no password matches a field.
fn is_locked(stored: &[u8], rules: &PasswordRules) -> bool {
    matches!(read(stored, rules), Ok(None))
}

/// Whether a field holds a password, even one that the store does not accept.
fn is_hash(stored: &[u8], rules: &PasswordRules) -> bool {
    match read(stored, rules) {
        Ok(secret) => secret.is_some(),
        Err(error) => error.is_choice(),
    }
}

/// Reads a field without the limits of the store.
fn read(stored: &[u8], rules: &PasswordRules) -> Result<Option<Secret>, SecretError> {
    let accepted = AcceptedHashes {
        weak: WeakSchemes::Allowed,
        max_ms: u32::MAX,
    };
    match &rules.default_scheme {
        Some(scheme) => Secret::parse_as(stored, scheme, accepted),
        None => Secret::parse(stored, accepted),
    }
}
