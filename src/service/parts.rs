//! Small parts of opening a service: the files to watch, the throttle, and which problems are reported.

use std::path::Path;

use crate::config::{Config, DNS_IS_ASKED, FileUse};
use crate::sys::Lifetime;
use crate::sys::problem::Problem;
use crate::sys::trusted_file::{ObservedFiles, fingerprint};
use crate::throttle::{self, CountingMode, Throttle};

/// The files that the configuration names but that were not read with it, with their current
/// fingerprints.
pub(super) fn unread(config: &Config) -> ObservedFiles {
    let was_read = |path: &Path| config.files.iter().any(|(read, _)| read == path);
    let named = config.named.iter();
    let unread = named.filter(|named| named.usage == FileUse::Read && !was_read(&named.path));
    unread
        .map(|named| (named.path.clone(), fingerprint(&named.path).ok()))
        .collect()
}

/// The throttle. Counts in memory are useless in a process that ends with its request.
pub(super) fn throttle(
    config: &Config,
    lifetime: Lifetime,
    before: Option<&Throttle>,
) -> Option<Throttle> {
    let settings = &config.throttle.as_ref()?.settings;
    let forgets =
        lifetime == Lifetime::OneRequest && settings.place == throttle::StateLocation::Memory;
    let counting = match lifetime {
        Lifetime::Server => CountingMode::Server,
        Lifetime::OneRequest => CountingMode::OneRequest,
    };
    (!forgets).then(|| Throttle::open(settings, counting, before))
}

/// The further problems at positions without an earlier problem: each fault is reported once.
pub(super) fn unreported(further: Vec<Problem>, reported: &[Problem]) -> Vec<Problem> {
    let line = |problem: &Problem| Some((problem.file.clone(), problem.position?.0));
    let lines: Vec<_> = reported.iter().filter_map(line).collect();
    let is_said = |problem: &Problem| line(problem).is_some_and(|line| lines.contains(&line));
    further
        .into_iter()
        .filter(|problem| !is_said(problem))
        .collect()
}

/// Names without an address. The warning that such a name is not a host of `[hosts]` is removed. If
/// there are other problems, a host may be missing because of them, and such names are not
/// reported.
pub(super) fn merge(
    unresolved: Vec<Problem>,
    reported: &[Problem],
    warnings: &mut Vec<Problem>,
) -> Vec<Problem> {
    let mut merged = unreported(unresolved, reported);
    merged.retain_mut(|problem| {
        let same = |warning: &Problem| {
            (&warning.position, &warning.key) == (&problem.position, &problem.key)
                && warning.message.ends_with(DNS_IS_ASKED)
        };
        let Some(at) = warnings.iter().position(same) else {
            return true;
        };
        let warning = warnings.remove(at);
        let what = warning.message.trim_end_matches(DNS_IS_ASKED);
        problem.message = format!("{what}, and the program {}", problem.message);
        reported.is_empty()
    });
    merged
}
