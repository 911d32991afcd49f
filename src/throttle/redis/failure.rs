//! Why the counts could not be read or changed, and at which server.

use std::io;

use ::redis::{ErrorKind, RedisError, RetryMethod};

use super::advice;
use super::settings::{Kind, Settings};
use crate::login::printable::Printable;
use crate::net::Endpoint;

/// The failure of a server.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The connection failed, the reply was invalid, or the server refused the command.
    Redis(RedisError),
    /// The server refused the password, or refused it recently so that the program does not send it again
    /// yet.
    Refused(String),
    /// A sentinel does not know the service.
    UnknownService(String),
    /// A sentinel named this server as the primary, but the server has another role.
    NotPrimary,
    /// A sentinel named a server without a usable host or port.
    Unusable(String),
    /// The nodes of a cluster redirected more often than the program follows.
    Redirects,
    /// No server is configured.
    NoServer,
}

impl From<RedisError> for RequestError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        Self::Redis(error.into())
    }
}

impl RequestError {
    /// Adds the server that failed.
    pub(super) fn at(self, endpoint: &Endpoint) -> Failure {
        Failure {
            at: Some(endpoint.clone()),
            of_sentinel: false,
            problem: self,
        }
    }

    /// Adds the sentinel that failed.
    pub(super) fn at_sentinel(self, endpoint: &Endpoint) -> Failure {
        Failure {
            of_sentinel: true,
            ..self.at(endpoint)
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Redis(error) => match error.code() {
                Some(_) => format!("the server reports: {}", said(error)),
                None => said(error),
            },
            Self::Refused(why) => why.clone(),
            Self::UnknownService(name) => format!("the sentinel does not know the service {name}"),
            Self::NotPrimary => {
                "a sentinel names it as the primary, but it is a replica".to_owned()
            }
            Self::Unusable(server) => {
                let server = Printable(server.as_bytes());
                format!("the sentinel names an unusable primary: {server}")
            }
            Self::Redirects => "too many redirects between the nodes of the cluster".to_owned(),
            Self::NoServer => "no server is configured".to_owned(),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(problem: RequestError) -> Self {
        Self {
            at: None,
            of_sentinel: false,
            problem,
        }
    }
}

/// An error of the crate, on one line. The text of an invalid reply is omitted.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.kind()) {
        (Some(code), _) => {
            let detail = error.detail().unwrap_or_default();
            let text = format!("{code} {detail}");
            Printable(text.trim_end().as_bytes()).to_string()
        }
        (None, ErrorKind::Io) => error.to_string(),
        (None, _) => "the server sent an invalid reply".to_owned(),
    }
}

/// A failure, and the server that failed.
#[derive(Debug)]
pub(super) struct Failure {
    at: Option<Endpoint>,
    of_sentinel: bool,
    problem: RequestError,
}

impl Failure {
    /// Whether every other server would fail in the same way: the command or the account is refused. The next
    /// sentinel may be another program, or have another password.
    pub(super) fn is_final(&self) -> bool {
        match &self.problem {
            _ if self.of_sentinel => false,
            RequestError::Redis(error) => {
                error.code().is_some() && matches!(error.retry_method(), RetryMethod::NoRetry)
            }
            RequestError::Refused(_) => true,
            RequestError::UnknownService(_)
            | RequestError::NotPrimary
            | RequestError::Unusable(_)
            | RequestError::Redirects
            | RequestError::NoServer => false,
        }
    }

    /// The failure with the server and, if known, what to do about it.
    pub(super) fn explained(&self, settings: &Settings) -> String {
        let words = self.problem.message();
        let words = match &self.at {
            Some(server) if settings.kind != Kind::Single => format!("{server}: {words}"),
            _ => words,
        };
        match self.advice(&words, settings) {
            Some(advice) => format!("{settings}: {words}: {advice}"),
            None => format!("{settings}: {words}"),
        }
    }

    fn advice(&self, words: &str, settings: &Settings) -> Option<String> {
        match self.of_sentinel {
            true => advice::of_sentinel(words, settings.sentinel_account.user.as_deref()),
            false => advice::of_server(words, settings.account.user.as_deref(), &settings.kind),
        }
    }
}
