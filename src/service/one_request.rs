//! The application under CGI: the process loads the configuration for one request, and ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::{Service, cause_of, refuse};
use crate::config::ConfigFile;
use crate::front::pace::SendTime;
use crate::front::params::{Params, Peer};
use crate::front::{Application, NoRequest};
use crate::nginx::answer::Messages;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Outline;
use crate::sys::{Lifetime, logger};

/// Answers one request with the configuration in a file. Every failure becomes an answer that nginx
/// understands.
pub struct OneRequest<'a> {
    /// The configuration file.
    pub file: &'a ConfigFile,
}

impl Application for OneRequest<'_> {
    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        let arrived = Instant::now();
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            Service::open(&self.file.path, Lifetime::OneRequest, None, &mut Vec::new())
        }));
        let trouble = match loaded {
            Ok(Ok(service)) => {
                logger::set_level(service.config().log_level);
                log::debug!("{}", self.file);
                return service.respond(peer, params, out);
            }
            Ok(Err(problems)) => {
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
