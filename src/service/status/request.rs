//! Reads a request for the status page from the CGI variables.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::StatusConfig;
use crate::front::params::{Params, Peer};
use crate::nginx::request::Fronts;

/// The variables that name the path of the URL, in the order in which they are used.
///
/// Apache, nginx and lighttpd send `SCRIPT_NAME` and, if a part of the path is behind the name of the program,
/// `PATH_INFO` (RFC 3875, 4.1.5 and 4.1.13). The others are for a front that is set up to send nothing
/// else: `DOCUMENT_URI` is nginx's, and `REQUEST_URI` has the query behind it.
#[derive(Default)]
struct Path<'a> {
    script_name: Option<&'a [u8]>,
    path_info: Option<&'a [u8]>,
    document_uri: Option<&'a [u8]>,
    request_uri: Option<&'a [u8]>,
}

/// How the path of a request relates to a path of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Same,
    /// A part is behind it, as in `/mail/status/more`: the web server may pass it on by the same rule.
    Below,
    Other,
}

impl<'a> Path<'a> {
    /// The path, without the query.
    fn whole(&self) -> Cow<'a, [u8]> {
        let filled = |value: &&[u8]| !value.is_empty();
        match (
            self.script_name.filter(filled),
            self.path_info.filter(filled),
        ) {
            (Some(script), Some(info)) => return Cow::Owned([script, info].concat()),
            (Some(path), None) | (None, Some(path)) => return Cow::Borrowed(path),
            (None, None) => {}
        }
        if let Some(document) = self.document_uri.filter(filled) {
            return Cow::Borrowed(document);
        }
        let uri = self.request_uri.unwrap_or_default();
        Cow::Borrowed(uri.split(|byte| *byte == b'?').next().unwrap_or_default())
    }
}

fn relation(whole: &[u8], path: Option<&String>) -> Relation {
    let behind = path.and_then(|path| whole.strip_prefix(path.as_bytes()));
    match behind {
        Some([]) => Relation::Same,
        Some([b'/', ..]) => Relation::Below,
        Some(_) | None => Relation::Other,
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whether a configuration is in force.
    Ping,
    /// The status.
    Page,
    /// Something below one of the two paths.
    Nothing,
}

/// The form of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people at a terminal.
    Text,
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
}

/// A request for the status page or for the ping.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    wanted: Option<Wanted>,
    /// A header of nginx's mail proxy came along: it is a login that was sent to the wrong URL.
    pub(super) is_login: bool,
    method: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    accept: Option<&'a [u8]>,
    client: Option<IpAddr>,
    /// A proxy before the web server passed the request on.
    forwarded: bool,
    /// A variable that decides came twice.
    twice: bool,
}

/// Whether a request has headers that only nginx's mail proxy sends.
pub(super) fn is_login(name: &[u8]) -> bool {
    name.starts_with(b"HTTP_AUTH_") || name == b"HTTP_CLIENT_IP"
}

/// Whether a web server passed an URL on, and no header of nginx's mail proxy.
pub(in crate::service) fn is_of_a_browser(params: &Params<'_>) -> bool {
    let is_url = |name: &[u8]| matches!(name, b"SCRIPT_NAME" | b"DOCUMENT_URI" | b"REQUEST_URI");
    params.iter().any(|(name, _)| is_url(name)) && !params.iter().any(|(name, _)| is_login(name))
}

impl<'a> Request<'a> {
    /// Reads a request; `None` if its path is another.
    pub(super) fn read(params: &Params<'a>, config: &StatusConfig) -> Option<Self> {
        if config.path.is_none() && config.ping.is_none() {
            return None;
        }
        let (mut request, mut path) = (Self::default(), Path::default());
        let mut address = None;
        for (name, value) in params.iter() {
            let slot = match name {
                b"SCRIPT_NAME" => &mut path.script_name,
                b"PATH_INFO" => &mut path.path_info,
                b"DOCUMENT_URI" => &mut path.document_uri,
                b"REQUEST_URI" => &mut path.request_uri,
                b"REQUEST_METHOD" => &mut request.method,
                b"QUERY_STRING" => &mut request.query,
                b"REMOTE_ADDR" => &mut address,
                b"HTTP_ACCEPT" => &mut request.accept,
                b"HTTP_FORWARDED" | b"HTTP_X_FORWARDED_FOR" => {
                    request.forwarded = true;
                    continue;
                }
                _ => {
                    request.is_login |= is_login(name);
                    continue;
                }
            };
            request.twice |= slot.replace(value).is_some();
        }
        let whole = path.whole();
        let page = relation(&whole, config.path.as_ref());
        request.wanted = match (page, relation(&whole, config.ping.as_ref())) {
            (Relation::Same, _) => Some(Wanted::Page),
            (_, Relation::Same) => Some(Wanted::Ping),
            (Relation::Below, _) | (_, Relation::Below) => Some(Wanted::Nothing),
            (Relation::Other, Relation::Other) => return None,
        };
        let text = address.and_then(|address| std::str::from_utf8(address).ok());
        request.client = text.and_then(|text| text.parse().ok());
        Some(request)
    }

    /// What is asked for.
    pub(super) fn wanted(&self) -> Wanted {
        self.wanted.unwrap_or(Wanted::Nothing)
    }

    /// Whether the sender may ask. The address of a client is that of `REMOTE_ADDR`, which the web
    /// server sets; so the peer must be a web server.
    pub(super) fn is_allowed(&self, peer: Peer, fronts: &Fronts, config: &StatusConfig) -> bool {
        let from_front = match peer {
            Peer::WebServer => true,
            Peer::Unix => fronts.may_connect(peer),
            // Without a list, everybody who can reach the port could claim an address.
            Peer::Tcp(address) if fronts.allowed.is_none() => address.is_loopback(),
            Peer::Tcp(_) => fronts.may_connect(peer),
        };
        let Some(client) = self.client.map(|client| client.to_canonical()) else {
            return false;
        };
        // A proxy on this machine hides where the request comes from.
        let hidden = client.is_loopback() && self.forwarded;
        let listed = config
            .allowed_from
            .iter()
            .any(|network| network.contains(client));
        from_front && listed && !hidden && !self.twice && !self.is_login
    }

    /// Whether the method only reads.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.method, None | Some(b"GET" | b"HEAD" | b""))
    }

    /// Whether the answer has no body (RFC 3875, 4.3.3).
    pub(super) fn is_head(&self) -> bool {
        self.method == Some(b"HEAD")
    }

    /// The form of the status: the first one that the query names; else the one that the client prefers.
    pub(super) fn form(&self) -> Form {
        let accepts = |kind: &[u8]| {
            let accept = self.accept.unwrap_or_default();
            accept
                .windows(kind.len())
                .any(|part| part.eq_ignore_ascii_case(kind))
        };
        let open_metrics = accepts(b"application/openmetrics-text");
        let named = self.words().find_map(|word| match word {
            b"text" => Some(Form::Text),
            b"html" => Some(Form::Html),
            b"json" => Some(Form::Json),
            // Prometheus says that it reads OpenMetrics; other programs may read only its older format.
            b"openmetrics" if open_metrics => Some(Form::OpenMetrics),
            b"openmetrics" | b"prometheus" => Some(Form::Prometheus),
            _ => None,
        });
        named.unwrap_or_else(|| match () {
            () if open_metrics => Form::OpenMetrics,
            () if accepts(b"text/html") => Form::Html,
            () => Form::Text,
        })
    }

    /// Whether logins are shown.
    pub(super) fn is_full(&self) -> bool {
        self.words().any(|word| word == b"full")
    }

    /// The names in the query, without their values.
    fn words(&self) -> impl Iterator<Item = &'a [u8]> {
        let parts = self.query.unwrap_or_default().split(|byte| *byte == b'&');
        parts.map(|part| part.split(|byte| *byte == b'=').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
