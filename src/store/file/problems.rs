//! What is wrong with the lines of a file, told up to a bound.

use std::path::Path;

use super::line::{Flaw, FlawKind};
use crate::problem::Problem;

/// How many problems of one kind are told of one file; of the others, their number.
pub(super) const MAX_PROBLEMS: usize = 20;

/// The lines of a file that cannot be used.
#[derive(Default)]
pub(super) struct Flaws {
    broken: Problems,
    refused: Problems,
}

impl Flaws {
    /// Notes what is wrong with a line, which is counted from 1.
    pub(super) fn add(&mut self, path: &Path, line: usize, flaw: &Flaw) {
        let list = match &flaw.kind {
            FlawKind::Secret(error) if error.is_choice() => &mut self.refused,
            _ => &mut self.broken,
        };
        list.add(|| Problem {
            file: path.to_owned(),
            place: Some((line, flaw.at + 1)),
            key: None,
            message: flaw.kind.to_string(),
        });
    }

    /// Broken lines first, then sound ones that the program or its configuration does not take.
    pub(super) fn finish(self, path: &Path) -> Vec<Problem> {
        let mut all = self.broken.finish(path);
        all.append(&mut self.refused.finish(path));
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
        self.list.sort_by_key(|problem| problem.place);
        if self.more > 0 {
            let message = format!("and {} more of this kind", self.more);
            self.list.push(Problem::new(path, message));
        }
        self.list
    }
}
