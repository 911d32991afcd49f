//! The status page: counts, state and the ping, for administrators, monitoring and load balancers.
//!
//! `request` reads what is asked for and by whom; `gather` makes a [`Report`] of plain values; `text`, `html` and
//! `metrics` write it. `counts`, `history` and `hosts` count the decisions.

use crate::config::StatusConfig;
use crate::front::params::{Params, Peer};
use crate::nginx::request::Fronts;
use crate::sys::outage::Outage;

pub(super) mod counts;
mod gather;
mod history;
mod hosts;
mod html;
mod metrics;
pub mod report;
mod request;
mod show;
mod text;
mod trouble;

pub(super) use gather::Facts;
pub(super) use hosts::HostCounts;
pub use report::Report;
pub(super) use request::is_of_a_browser;

use gather::Logins;
use request::{Form, Request, Wanted};

/// Whether a login at the path of the status page has been reported.
static STRAY_LOGIN: Outage = Outage::new();

/// Notes the start of the process.
pub(super) fn start() {
    std::sync::LazyLock::force(&history::START);
}

/// Appends the answer to a request for the status page or the ping, as a CGI response; false if the request is
/// for another path.
pub(super) fn respond<'a>(
    params: &Params<'_>,
    peer: Peer,
    config: &StatusConfig,
    fronts: &Fronts,
    facts: impl FnOnce() -> Facts<'a>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(request) = Request::read(params, config) else {
        return false;
    };
    if !request.is_allowed(peer, fronts, config) {
        if request.is_login && STRAY_LOGIN.begins() {
            log::warn!(
                "a login was sent to the URL of the status page ([status]); it was refused: auth_http must \
                 have an URL of its own"
            );
        }
        write(out, "403 Forbidden", "text/plain", b"");
        return true;
    }
    if !request.only_reads() {
        out.extend_from_slice(b"Status: 405 Method Not Allowed\nAllow: GET, HEAD\n");
        write_rest(out, "text/plain", b"");
        return true;
    }
    let facts = facts();
    let (status, kind, body) = match request.wanted() {
        Wanted::Nothing => ("404 Not Found", "text/plain", Vec::new()),
        Wanted::Ping if facts.service.is_some() => ("200 OK", "text/plain", b"pong\n".to_vec()),
        Wanted::Ping => {
            let body = b"no configuration is in force\n".to_vec();
            ("503 Service Unavailable", "text/plain", body)
        }
        Wanted::Page => {
            let logins = match request.is_full() {
                true => Logins::Shown,
                false => Logins::Hidden,
            };
            let report = gather::report(&facts, logins);
            let (kind, body) = body(&report, request.form());
            ("200 OK", kind, body)
        }
    };
    let body = match request.is_head() {
        true => &[][..],
        false => &body,
    };
    write(out, status, kind, body);
    true
}

/// Appends the answer to a request that is no login while no configuration is in force, so that not even
/// the paths are known.
pub(super) fn unavailable(out: &mut Vec<u8>) {
    write(out, "503 Service Unavailable", "text/plain", b"");
}

/// The content type and the body.
fn body(report: &Report, form: Form) -> (&'static str, Vec<u8>) {
    let (kind, text) = match form {
        Form::Json => (
            "application/json",
            serde_json::to_string_pretty(report).unwrap_or_default() + "\n",
        ),
        Form::OpenMetrics => (metrics::OPEN_METRICS, metrics::open_metrics(report)),
        Form::Prometheus => (metrics::PROMETHEUS, metrics::prometheus(report)),
        Form::Html => (html::TYPE, html::page(report)),
        Form::Text => ("text/plain; charset=utf-8", report.to_string()),
    };
    (kind, text.into_bytes())
}

fn write(out: &mut Vec<u8>, status: &str, kind: &str, body: &[u8]) {
    out.extend_from_slice(format!("Status: {status}\n").as_bytes());
    write_rest(out, kind, body);
}

/// The headers that every answer has, and its body.
fn write_rest(out: &mut Vec<u8>, kind: &str, body: &[u8]) {
    let headers =
        format!("Content-Type: {kind}\nCache-Control: no-store\nX-Content-Type-Options: nosniff\n");
    out.extend_from_slice(headers.as_bytes());
    if kind == html::TYPE {
        let policy = html::policy();
        out.extend_from_slice(format!("Content-Security-Policy: {policy}\n").as_bytes());
        out.extend_from_slice(b"Referrer-Policy: no-referrer\n");
    }
    out.push(b'\n');
    out.extend_from_slice(body);
}
