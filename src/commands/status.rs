//! `status`: asks a running server over its FastCGI socket, and prints what it answers.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{CommandError, Outcome, print_problems};
use crate::config::{Config, StatusConfig};
use crate::front::fcgi::client::{self, Address};
use crate::service::status::Report;

/// What to ask, and how the answer is printed.
pub(super) struct Ask<'a> {
    /// The socket; the one of the configuration if `None`.
    pub(super) socket: Option<&'a Address>,
    /// Whether JSON is printed.
    pub(super) json: bool,
    /// Whether refused logins are printed.
    pub(super) full: bool,
    /// Seconds until the answer must be there.
    pub(super) timeout: u64,
}

/// Asks for the status and prints it.
pub(super) fn status(
    config: &Path,
    ask: &Ask<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    // Also with a broken configuration: the server may have an earlier version in force.
    let settings = match Config::salvage(config) {
        Ok((config, _)) => config.status,
        Err(problem) => {
            print_problems(&[problem], err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    let (Some(path), Some(client)) = (&settings.path, client_of(&settings)) else {
        let key = match settings.path {
            None => "path = \"/mail/status\"",
            Some(_) => "allowed-from, with an address",
        };
        let file = config.display();
        writeln!(
            err,
            "{file}: the server answers nobody about its status: set [status] {key}"
        )?;
        return Ok(Outcome::BrokenConfig);
    };
    let Some(address) = ask.socket.or(settings.socket.as_ref()) else {
        writeln!(err, "{}: [status] socket cannot be used", config.display())?;
        return Ok(Outcome::BrokenConfig);
    };
    let query = match ask.full {
        true => "json&full",
        false => "json",
    };
    let params = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", path),
        ("QUERY_STRING", query),
        ("REMOTE_ADDR", &client),
    ];
    let deadline = Instant::now() + Duration::from_secs(ask.timeout);
    let answer = client::ask(address, &params, deadline).map_err(|error| words(&error));
    let report = answer.and_then(|answer| read(&answer, path));
    let report = match report {
        Ok(report) => report,
        Err(what) => {
            writeln!(err, "{address}: no status: {what}")?;
            return Ok(Outcome::NotAsked);
        }
    };
    let text = match ask.json {
        true => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        false => report.to_string(),
    };
    // Another program may listen there, and a terminal acts on control characters.
    let shown = text.replace(|it: char| it.is_control() && it != '\n', "\u{fffd}");
    out.write_all(shown.as_bytes())?;
    Ok(match report.trouble.is_empty() {
        true => Outcome::Done,
        false => Outcome::Refused,
    })
}

/// An address that may ask. This command is in the place of a web server, which names its client.
fn client_of(settings: &StatusConfig) -> Option<String> {
    let network = settings.allowed_from.first()?.to_string();
    network.split('/').next().map(str::to_owned)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket: is the server running?".to_owned(),
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::UnexpectedEof => {
            "it closed the connection: see [nginx] allowed-fronts".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Reads a CGI response; the error says what it is instead of a status.
fn read(answer: &[u8], path: &str) -> Result<Report, String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\n\n")
        .ok_or("the answer is not one of this program")?;
    let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
    match status {
        Some(status) if status.starts_with("200") => serde_json::from_str(body)
            .map_err(|error| format!("the answer is not one of this program: {error}")),
        Some(status) if status.starts_with("403") => Err(format!(
            "{status}: [status] allowed-from of the configuration in force is another"
        )),
        Some(status) => Err(status.to_owned()),
        None => Err(format!(
            "{path} is not the path of the configuration in force ([status] path)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_status_is_explained() {
        for (answer, expected) in [
            ("", "the answer is not one of this program"),
            (
                "Status: 200 OK\n\nno",
                "the answer is not one of this program: expected ident",
            ),
            (
                "Status: 403 Forbidden\n\n",
                "403 Forbidden: [status] allowed-from",
            ),
            (
                "Status: 503 Service Unavailable\n\n",
                "503 Service Unavailable",
            ),
            (
                "Auth-Status: Invalid\n\n",
                "/x is not the path of the configuration in force",
            ),
        ] {
            let found = read(answer.as_bytes(), "/x").unwrap_err();
            assert!(found.starts_with(expected), "{answer:?}: {found}");
        }
        let report = read(b"Status: 200 OK\n\n{\"now\": 7, \"later\": {}}", "/x").unwrap();
        assert_eq!((report.now, report.trouble), (7, Vec::new()));
    }
}
