//! Collects the problems of a file's lines, up to a bound.

use std::collections::BTreeMap;
use std::path::Path;

use super::line::{Flaw, FlawKind};
use crate::login::Network;
use crate::sys::problem::Problem;

/// The maximum number of reported problems of one kind in a file; the rest are counted.
pub(crate) const MAX_PROBLEMS: usize = 20;

/// The maximum length of a reported name of an extra field; a longer one is cut.
const MAX_NAME_BYTES: usize = 32;

/// The unusable lines of a file, and the extra fields without a meaning.
#[derive(Default)]
pub(super) struct Flaws {
    broken: Problems,
    refused: Problems,
    unreachable_login: Problems,
    host_bits: Problems,
    /// The first place of each name, and how often it occurs.
    unknown: BTreeMap<Vec<u8>, ((usize, usize), usize)>,
}

impl Flaws {
    /// Adds the problem of a line; lines are counted from 1.
    pub(super) fn add(&mut self, path: &Path, line: usize, flaw: &Flaw) {
        let list = match &flaw.kind {
            FlawKind::Secret(error) if error.is_choice() => &mut self.refused,
            _ => &mut self.broken,
        };
        list.add(|| Problem {
            file: path.to_owned(),
            position: Some((line, flaw.at + 1)),
            key: None,
            message: flaw.kind.to_string(),
        });
    }

    /// Counts unusable lines beyond the reported ones.
    pub(super) fn add_untold(&mut self, number: usize) {
        self.broken.more += number;
    }

    /// Adds the reason why no client can use the login of a line; lines are counted from 1.
    pub(super) fn unreachable_login(&mut self, path: &Path, line: usize, why: Option<String>) {
        if let Some(message) = why {
            self.unreachable_login.add(|| Problem {
                file: path.to_owned(),
                position: Some((line, 1)),
                key: None,
                message,
            });
        }
    }

    /// Adds a network such as 10.0.0.1/8, which means all of 10.0.0.0/8; lines are counted from 1.
    pub(super) fn host_bits(&mut self, path: &Path, line: usize, networks: Option<&[Network]>) {
        let networks = networks.unwrap_or_default().iter();
        for network in networks.filter_map(Network::without_host_bits) {
            self.host_bits.add(|| Problem {
                file: path.to_owned(),
                position: Some((line, 1)),
                key: None,
                message: format!(
                    "a network of allow_nets has bits of a host after its prefix and means the \
                    whole network: write {network}, or the address alone"
                ),
            });
        }
    }

    /// Adds an extra field without a meaning: its name, and its byte from 0 in a line that is counted from 1.
    /// Only the first names are kept.
    pub(super) fn unknown(&mut self, line: usize, at: usize, name: &[u8]) {
        let name = &name[..name.len().min(MAX_NAME_BYTES)];
        if let Some((_, number)) = self.unknown.get_mut(name) {
            *number += 1;
        } else if self.unknown.len() < MAX_PROBLEMS {
            self.unknown.insert(name.to_vec(), ((line, at + 1), 1));
        }
    }

    /// In this order: malformed lines, unusable lines, unreachable logins, networks, fields.
    pub(super) fn finish(self, path: &Path) -> Vec<Problem> {
        let mut all = self.broken.finish(path);
        all.append(&mut self.refused.finish(path));
        all.append(&mut self.unreachable_login.finish(path));
        all.append(&mut self.host_bits.finish(path));
        let field = |(name, (position, number)): (Vec<u8>, ((usize, usize), usize))| {
            let more = match number {
                1 => String::new(),
                _ => format!(", and in {} more places", number - 1),
            };
            Problem {
                file: path.to_owned(),
                position: Some(position),
                key: None,
                message: format!(
                    "the extra field {} is unknown and is ignored{more}",
                    name.escape_ascii()
                ),
            }
        };
        let mut fields: Vec<Problem> = self.unknown.into_iter().map(field).collect();
        fields.sort_by_key(|problem| problem.position);
        all.append(&mut fields);
        all
    }
}

/// Problems up to a bound, and the number of the others.
#[derive(Default)]
struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, path: &Path) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.position);
        self.list.extend(and_more(path, self.more));
        self.list
    }
}

/// The number of unreported problems of a file, if there are any.
pub(crate) fn and_more(path: &Path, more: usize) -> Option<Problem> {
    (more > 0).then(|| Problem::new(path, format!("and {more} more of this kind")))
}
