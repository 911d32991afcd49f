//! Recognizes what administrators write in place of a host: URLs, ports, brackets.

use super::Target;
use crate::net::url::{HostPort, Url};

/// The correction of `text`, which is neither an address nor a DNS name; `None` if it resembles neither.
pub(crate) fn meant(text: &str) -> Option<String> {
    let url = Url::read(text);
    let protocol = url.and_then(|url| protocol(url.scheme));
    let host_port = match url {
        Some(url) if url.userinfo.is_none() => url.host_port,
        Some(_) => return None,
        None => text.split('/').next()?,
    };
    let HostPort {
        host,
        bracketed,
        port,
    } = HostPort::read(host_port).ok()?;
    let port = match port {
        None if bracketed || url.is_some() => "",
        Some("") if !bracketed => return None,
        port => port?,
    };
    let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    // Only suggest a valid host.
    Target::parse(host).ok()?;
    if port.is_empty() {
        return Some(match url {
            Some(Url { scheme, .. }) => format!("write {host:?}, without \"{scheme}://\""),
            None => format!("write {host:?}, without brackets"),
        });
    }
    let key = protocol.unwrap_or("port");
    let table = format!("{{ address = {host:?}, {key} = {port} }}");
    Some(format!(
        "give the port separately: define a host as NAME = {table} in [hosts], and write NAME in [routes]"
    ))
}

/// The key of a host's port for the protocol of a URL.
fn protocol(scheme: &str) -> Option<&'static str> {
    match scheme {
        "imap" | "imaps" => Some("imap"),
        "pop3" | "pop3s" | "pop" => Some("pop3"),
        "smtp" | "smtps" | "submission" | "submissions" => Some("smtp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_urls_and_brackets_are_understood() {
        let apart = |table: &str| {
            Some(format!(
                "give the port separately: define a host as NAME = {table} in [hosts], and write NAME in [routes]"
            ))
        };
        let plain = |text: &str| Some(text.to_owned());
        for (text, wanted) in [
            (
                "10.0.0.1:993",
                apart("{ address = \"10.0.0.1\", port = 993 }"),
            ),
            (
                "mail.example.org:143",
                apart("{ address = \"mail.example.org\", port = 143 }"),
            ),
            (
                "[2001:db8::1]:993",
                apart("{ address = \"2001:db8::1\", port = 993 }"),
            ),
            (
                "imap://10.0.0.1:143",
                apart("{ address = \"10.0.0.1\", imap = 143 }"),
            ),
            (
                "pop3s://[2001:db8::2]:995/",
                apart("{ address = \"2001:db8::2\", pop3 = 995 }"),
            ),
            (
                "tcp://10.0.0.1:25",
                apart("{ address = \"10.0.0.1\", port = 25 }"),
            ),
            (
                "imaps://mail.example.org/",
                plain("write \"mail.example.org\", without \"imaps://\""),
            ),
            (
                "[2001:db8::1]",
                plain("write \"2001:db8::1\", without brackets"),
            ),
            ("10.0.0.1:", None),
            ("a b:143", None),
            ("a b", None),
            ("10.0.0.1:x", None),
            ("[::1", None),
            ("[::1]x", None),
            ("0.0.0.0:143", None),
            ("::1:zz", None),
            ("://", None),
            ("", None),
        ] {
            assert_eq!(meant(text), wanted, "{text}");
        }
    }
}
