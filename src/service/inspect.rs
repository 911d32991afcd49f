//! Finds every problem of a configuration, for `check`.

use std::path::Path;
use std::time::Instant;

use super::methods::try_tokens;
use super::{Service, parts};
use crate::config::Config;
use crate::service::open::try_all;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;

/// The result of the inspection.
#[derive(Default)]
pub struct Inspection {
    /// Problems.
    pub problems: Vec<Problem>,
    /// Warnings.
    pub warnings: Vec<Problem>,
    /// The findings, as text.
    pub found: Vec<String>,
}

impl Service {
    /// Finds all problems, also of the files that a broken configuration names, and sends a real
    /// question to every store and to the introspection service.
    pub fn inspect(path: &Path) -> Inspection {
        let anything = |_: &Config| Vec::new();
        let (watched, unfinished) = (&mut Vec::new(), &mut Vec::new());
        let (service, mut problems) =
            Self::assemble(path, Lifetime::Server, None, watched, unfinished, anything);
        let Some(service) = service else {
            return Inspection {
                problems,
                ..Inspection::default()
            };
        };
        let (config, chain) = (&service.config, &service.gate.chain);
        problems.extend(try_all(
            config,
            chain.sources(),
            &problems,
            config.limits.deadline,
        ));
        problems.extend(try_tokens(&service.gate.methods, config));
        problems.extend(service.counts_missing());
        let mut warnings = service.warnings.clone();
        // A server still serves the other domains.
        for files in &service.domain_files {
            warnings.retain(|warning| !files.broken().contains(warning));
            problems.extend_from_slice(files.broken());
        }
        let unresolved = parts::merge(service.unresolved(), &problems, &mut warnings);
        problems.extend(unresolved);
        problems.extend(config.socket_rights().err().into_iter().flatten());
        let advice = config.advice.iter().cloned();
        warnings.extend(advice);
        let files = service.domain_files.iter();
        Inspection {
            problems,
            warnings,
            found: files.map(|files| files.summary()).collect(),
        }
    }

    /// Why the throttle state cannot be read or changed; `None` if it can.
    fn counts_missing(&self) -> Option<Problem> {
        let deadline = Instant::now() + self.config.limits.deadline;
        let message = self.gate.throttle.as_ref()?.test(deadline).err()?;
        Some(Problem {
            file: self.config.path.clone(),
            position: self
                .config
                .throttle
                .as_ref()
                .map(|throttle| throttle.position),
            key: Some("throttle.state".to_owned()),
            message,
        })
    }
}
