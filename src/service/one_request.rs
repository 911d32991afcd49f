//! The application under CGI: the process loads the configuration for one request, and ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::status::{self, Facts};
use super::{Service, cause_of, refuse};
use crate::config::{Config, ConfigFile};
use crate::front::pace::SendTime;
use crate::front::params::{Params, Peer};
use crate::front::{Application, NoRequest};
use crate::nginx::answer::Messages;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Outline;
use crate::sys::Lifetime;
use crate::sys::problem::Problem;

/// Answers one request with the configuration in a file. Every failure becomes an answer that nginx
/// understands.
pub struct OneRequest<'a> {
    /// The configuration file.
    pub file: &'a ConfigFile,
}

impl OneRequest<'_> {
    /// Answers a request for the status page or the ping; false if it is another request.
    fn shows_status(
        &self,
        service: Option<&Service>,
        problems: &[Problem],
        peer: Peer,
        params: &Params<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let salvaged = match service {
            Some(_) => None,
            None => Config::salvage(&self.file.path).ok(),
        };
        let salvaged = salvaged.as_ref().map(|(config, _)| config);
        let config = service.map(Service::config).or(salvaged);
        let facts = || Facts {
            file: &self.file.path,
            service,
            problems: problems.iter().map(Problem::to_string).collect(),
            last_error: None,
            sandbox: "none: a process for one request has none".to_owned(),
            load: None,
        };
        let shown = config.is_some_and(|config| {
            status::respond(params, peer, &config.status, &config.fronts, facts, out)
        });
        if !shown && service.is_none() && status::is_of_a_browser(params) {
            status::unavailable(out);
            return true;
        }
        shown
    }
}

impl Application for OneRequest<'_> {
    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        let arrived = Instant::now();
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            Service::open(&self.file.path, Lifetime::OneRequest, None, &mut Vec::new())
        }));
        let trouble = match loaded {
            Ok(Ok(service)) => {
                service.config().log.apply();
                log::debug!("{}", self.file);
                if self.shows_status(Some(&service), &[], peer, params, out) {
                    return SendTime::AtOnce;
                }
                return service.respond(peer, params, out);
            }
            Ok(Err(problems)) => {
                if self.shows_status(None, &problems, peer, params, out) {
                    return SendTime::AtOnce;
                }
                for problem in problems {
                    log::error!("{problem}");
                }
                log::error!("{}", self.file);
                Trouble::NoConfiguration
            }
            Err(_) => Trouble::Panic,
        };
        let (why, outline) = (Refusal::Temporary(trouble), Outline::of(params));
        let _at_once = refuse(why, &outline, &Messages::default(), arrived, out);
        SendTime::AtOnce
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        let nothing = Outline::of(&Params::bounded(0));
        let _at_once = refuse(
            cause_of(why),
            &nothing,
            &Messages::default(),
            Instant::now(),
            out,
        );
    }
}
