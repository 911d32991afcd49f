//! Answers requests for the status page of a running server.

use std::sync::PoisonError;

use super::Inner;
use crate::config::{Config, StatusConfig};
use crate::front::params::{Params, Peer};
use crate::nginx::request::Fronts;
use crate::service::Service;
use crate::service::status::{self, Facts};
use crate::sys::problem::Problem;

/// The maximum number of problems that are shown.
const MOST: usize = 20;

impl Inner {
    /// Answers a request for the status page or the ping; false if it is another request.
    pub(super) fn shows_status(
        &self,
        service: Option<&Service>,
        peer: Peer,
        params: &Params<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let facts = || self.facts(service);
        if let Some(config) = service.map(Service::config) {
            return status::respond(params, peer, &config.status, &config.fronts, facts, out);
        }
        let config = self.kept_status();
        // Without a list of fronts, the address of a client is believed from this machine alone.
        let fronts = Fronts::default();
        if status::respond(params, peer, &config, &fronts, facts, out) {
            return true;
        }
        let is_of_a_browser = status::is_of_a_browser(params);
        if is_of_a_browser {
            status::unavailable(out);
        }
        is_of_a_browser
    }

    /// Keeps `[status]` of a configuration that cannot be loaded, as far as it can be read.
    pub(super) fn keep_status(&self) {
        if let Ok((config, _)) = Config::salvage(&self.path) {
            *self.status.lock().unwrap_or_else(PoisonError::into_inner) = config.status;
        }
    }

    fn kept_status(&self) -> StatusConfig {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn facts<'a>(&'a self, service: Option<&'a Service>) -> Facts<'a> {
        let mut problems = self.configuration.problems();
        let mut last = self.configuration.last_error();
        for users in self.users().clone() {
            problems.extend(users.loader.problems());
            last = last.max(users.loader.last_error());
        }
        for folder in self.folders().clone() {
            problems.extend(folder.problems());
            last = last.max(folder.last_error());
        }
        problems.truncate(MOST);
        Facts {
            file: &self.path,
            service,
            problems: problems.iter().map(Problem::to_string).collect(),
            last_error: last,
            sandbox: self.sandbox.as_ref().map_or_else(
                || "off".to_owned(),
                |sandbox| {
                    sandbox
                        .to_string()
                        .trim_start_matches("sandbox: ")
                        .to_owned()
                },
            ),
            load: self.load.get().map(|load| &**load),
        }
    }
}
