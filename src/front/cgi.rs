//! The CGI transport (RFC 3875): one request from the environment, the answer to stdout.

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use super::environment::{self, Variable};
use super::params::{Params, Peer, TooManyPairs};
use super::{Application, NoRequest};

/// The maximum number of meta-variables. nginx sends up to 25 headers.
const MAX_VARIABLES: usize = 512;

/// Answers the request in the environment.
///
/// The request's variables, including the password, are removed from the environment. It fails only
/// if the answer cannot be written to stdout.
pub fn run(app: &impl Application) -> io::Result<()> {
    let environment = environment::take(is_of_request);
    let mut out = Vec::new();
    match params(&environment) {
        Ok(params) => app.respond(Peer::WebServer, &params, &mut out).wait(),
        Err(TooManyPairs) => app.respond_without_request(NoRequest::TooLarge, &mut out),
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()
}

/// The variables of a request that are not headers (RFC 3875, 4.1): the sender, the method and the
/// URL. `DOCUMENT_URI` and `REQUEST_URI` are extensions of web servers.
const OF_REQUEST: [&[u8]; 7] = [
    b"DOCUMENT_URI",
    b"PATH_INFO",
    b"QUERY_STRING",
    b"REMOTE_ADDR",
    b"REQUEST_METHOD",
    b"REQUEST_URI",
    b"SCRIPT_NAME",
];

/// Whether a variable is a header or another one of the request; also under the name that Apache gives
/// it after a redirect. The rest of an environment can be large and is not part of the request.
fn is_of_request(mut name: &[u8]) -> bool {
    while let Some(original) = name.strip_prefix(b"REDIRECT_") {
        name = original;
    }
    name.starts_with(b"HTTP_") || OF_REQUEST.contains(&name)
}

fn params(environment: &[Variable]) -> Result<Params<'_>, TooManyPairs> {
    let mut params = Params::bounded(MAX_VARIABLES);
    for (name, value) in environment {
        params.push(name.as_bytes(), value)?;
    }
    Ok(params)
}
