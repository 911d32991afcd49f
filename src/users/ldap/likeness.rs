//! Compares the login of a found entry with the requested one, by the parts of the login in the filter and
//! the base.

use super::dn::Dn;
use super::filter::both;
use super::message::Entry;
use super::settings::{Lookup, Settings};
use crate::login::Likeness;
use crate::users::Question;

/// The attributes that tell which login an entry belongs to.
pub(super) fn compared(settings: &Settings) -> Vec<String> {
    let lookup = settings.lookup.as_ref();
    lookup.map_or_else(Vec::new, |lookup| lookup.filter.compared())
}

/// How the login of an entry compares with the requested login, by the parts of the login in the filter and
/// the base.
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
        // Many users share a domain.
        (None, Some(Likeness::Same)) if !lookup.base.names_a_user() => Likeness::Unsaid,
        (None, base) => base.unwrap_or_default(),
    }
}
