//! Whose entry it is that a search has found: what of the login the filter and the base have.

use super::dn::Dn;
use super::filter::both;
use super::message::Entry;
use super::settings::{Lookup, Settings};
use crate::login::Likeness;
use crate::users::Question;

/// The attributes that say whose entry it is.
pub(super) fn compared(settings: &Settings) -> Vec<String> {
    let lookup = settings.lookup.as_ref();
    lookup.map_or_else(Vec::new, |lookup| lookup.filter.compared())
}

/// How the login of an entry is like the one that was asked for, by what the filter and the base have
/// of it.
pub(super) fn likeness(lookup: &Lookup, asked: &Question<'_>, entry: &Entry) -> Likeness {
    let by_filter = lookup.filter.likeness(asked, entry);
    let by_base = (!lookup.base.is_fixed()).then(|| {
        let base = lookup.base.fill(asked);
        let base = base.and_then(|base| Dn::parse(&base).ok());
        let dn = Dn::parse(&entry.dn).ok();
        match base.zip(dn).is_some_and(|(base, dn)| dn.ends_in(&base)) {
            true => Likeness::Same,
            false => Likeness::Other,
        }
    });
    match (by_filter, by_base) {
        (Some(filter), Some(base)) => both(filter, base),
        (Some(filter), None) => filter,
        // A domain has many users.
        (None, Some(Likeness::Same)) if !lookup.base.names_a_user() => Likeness::Unsaid,
        (None, base) => base.unwrap_or_default(),
    }
}
