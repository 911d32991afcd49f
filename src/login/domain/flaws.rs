//! Finds mistakes in domains and logins of the configuration, and says what to write instead.

#[cfg(feature = "servers")]
use super::ascii_form;
use super::is_of_domain;

/// The mistake in a domain of the configuration, and what to write instead. `below`: whether a
/// pattern such as `*.example.org` is allowed.
pub fn flaw(written: &str, below: bool) -> Option<String> {
    let name = match written.strip_prefix("*.") {
        Some(above) if !below && flaw(above, false).is_none() => {
            return Some(format!(
                "must be one domain, such as {above:?}: a wildcard is not allowed here"
            ));
        }
        Some(above) => above,
        None => written,
    };
    let trimmed = written.trim();
    let bare = name.trim_matches('.');
    if written.is_empty() {
        Some("must not be empty".to_owned())
    } else if trimmed != written {
        Some(format!("begins or ends with a blank: write {trimmed:?}"))
    } else if let Some(bare) = name.strip_prefix('@') {
        Some(format!("begins with an @: write {bare:?}"))
    } else if written.contains([',', ';', ' ']) {
        Some("is a list of domains in one string: write each domain in its own quotes".to_owned())
    } else if is_pattern(name) {
        let allowed = match below {
            true => "write whole domains, or \"*.example.org\" for all below example.org",
            false => "write whole domains",
        };
        Some(format!(
            "is a pattern, and patterns are not supported: {allowed}"
        ))
    } else if name.starts_with('.') && !bare.is_empty() {
        Some(match below {
            true => format!("begins with a dot: write \"*.{bare}\" for all domains below {bare}"),
            false => format!("begins with a dot: write {bare:?}"),
        })
    } else if name.ends_with('.') && !bare.is_empty() {
        let length = written.trim_end_matches('.').len();
        let without = written.get(..length).unwrap_or(bare);
        Some(format!("ends with a dot: write {without:?}"))
    } else if name.len() > 253
        || name.split('.').any(str::is_empty)
        || !name.bytes().all(is_of_domain)
    {
        let what = "is not a domain: a domain has 1 to 253 bytes: letters, digits, hyphens, underscores and single dots";
        Some(what.to_owned())
    } else {
        flaw_of_mapped(name, written, below)
    }
}

/// The same for the ASCII form of a name in another script: `＊.example.org` is `*.example.org`.
#[cfg(feature = "servers")]
fn flaw_of_mapped(name: &str, written: &str, below: bool) -> Option<String> {
    if name.is_ascii() || ascii_form(name.as_bytes()).is_some() {
        return None;
    }
    let mapped = idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY);
    let mapped = mapped.ok().filter(|mapped| !mapped.is_empty());
    let Some(mapped) = mapped else {
        return Some("is not a domain: a label has forbidden characters (RFC 5892)".to_owned());
    };
    let before = written.strip_suffix(name).unwrap_or_default();
    let mapped = format!("{before}{mapped}");
    let flaw = flaw(&mapped, below);
    Some(match flaw {
        Some(flaw) => format!("is read as {mapped:?}: {flaw}"),
        None => format!("is read as {mapped:?}: write that"),
    })
}

/// This build compares such names unchanged.
#[cfg(not(feature = "servers"))]
fn flaw_of_mapped(_name: &str, _written: &str, _below: bool) -> Option<String> {
    None
}

/// Whether it looks like a regular expression: `/^a.*/`, `^a`, `*x`.
fn is_pattern(text: &str) -> bool {
    text.starts_with(['/', '^']) || text.contains('*')
}

/// The mistake in a login of the configuration, and what to write instead. `domains` names the
/// table to use for all logins of a domain.
pub fn login_flaw(written: &str, domains: &str) -> Option<String> {
    let trimmed = written.trim();
    let domain = written.trim_start_matches(['*', '@', '.']);
    if trimmed != written {
        Some(format!("begins or ends with a blank: write {trimmed:?}"))
    } else if written.starts_with('/') && written.ends_with('/') && written.len() > 1 {
        let what = "is a pattern, and patterns are not supported: write whole logins";
        Some(format!("{what}, or domains in {domains}"))
    } else if written.starts_with(['@', '.']) || written.starts_with("*@") {
        Some(format!(
            "is not a login: for all logins of a domain write {domain:?} in {domains}"
        ))
    } else if written.starts_with("*.") {
        let what = "is not a login: for all logins below a domain write";
        Some(format!("{what} {written:?} in {domains}"))
    } else if written.starts_with('*') || written.ends_with('*') || written.contains("*@") {
        Some(format!(
            "is a pattern, and patterns are not supported: write whole logins, or domains in {domains}"
        ))
    } else {
        let (_, domain) = written.rsplit_once('@')?;
        let odd = domain.starts_with(['.', '*', '/'])
            || domain.ends_with('.')
            || !domain.is_ascii() && domain.bytes().all(is_of_domain);
        let flaw = flaw(domain, false).filter(|_| odd)?;
        Some(format!("its domain {domain:?} {flaw}"))
    }
}

#[cfg(test)]
mod tests;
