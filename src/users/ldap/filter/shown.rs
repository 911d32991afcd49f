//! Checks that the values of a found entry are those of the requested login, letter by letter.
//!
//! A directory compares by the rules of each attribute: without regard to case, blanks, and forms of the same
//! letter (RFC 4518). So the values of the entry tell which login it belongs to.

use super::{Comparison, Filter, FilterTemplate, Piece, Value};
use crate::login::Likeness;
use crate::users::ldap::message::Entry;
use crate::users::placeholder::Values;

/// Names of the same attribute (RFC 4519, RFC 4524); a server answers with the name that it prefers.
const ALIASES: [&[&str]; 3] = [
    &["uid", "userid", "0.9.2342.19200300.100.1.1"],
    &["mail", "rfc822mailbox", "0.9.2342.19200300.100.1.3"],
    &["cn", "commonname", "2.5.4.3"],
];

impl FilterTemplate {
    /// The attributes that the parts of a login are compared with.
    pub(in crate::users::ldap) fn compared(&self) -> Vec<String> {
        let mut names = Vec::new();
        compared(&self.0, &mut names);
        names
    }

    /// How the login of the found entry compares with the requested login; `None` for a filter without
    /// placeholders for parts of the login.
    pub(in crate::users::ldap) fn likeness<'a>(
        &self,
        values: impl Into<Values<'a>>,
        entry: &Entry,
    ) -> Option<Likeness> {
        likeness(&self.0, values.into(), entry)
    }
}

fn compared(filter: &Filter, names: &mut Vec<String>) {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().for_each(|one| compared(one, names)),
        Filter::Not(_) | Filter::Present(_) => {}
        Filter::Compare(_, attribute, value)
        | Filter::Extensible {
            attribute: Some(attribute),
            value,
            ..
        } if has_placeholder(value) => names.push(attribute.clone()),
        Filter::Substrings {
            attribute,
            initial,
            any,
            last,
        } if initial.iter().chain(any).chain(last).any(has_placeholder) => {
            names.push(attribute.clone())
        }
        Filter::Compare(..) | Filter::Extensible { .. } | Filter::Substrings { .. } => {}
    }
}

fn likeness(filter: &Filter, asked: Values<'_>, entry: &Entry) -> Option<Likeness> {
    match filter {
        Filter::And(all) => {
            let said = all.iter().filter_map(|one| likeness(one, asked, entry));
            said.reduce(both)
        }
        Filter::Or(all) => {
            let said = all.iter().filter_map(|one| likeness(one, asked, entry));
            said.reduce(either)
        }
        // A negated condition does not tell which login the entry belongs to.
        Filter::Not(_) | Filter::Present(_) => None,
        Filter::Compare(Comparison::Equal, attribute, value) if has_placeholder(value) => {
            let filled = filled(value, asked)?;
            let is = |value: &[u8]| value.eq_ignore_ascii_case(&filled);
            seen(entry, attribute, names_user(value), is)
        }
        Filter::Extensible {
            attribute: Some(attribute),
            value,
            ..
        } if has_placeholder(value) => {
            let filled = filled(value, asked)?;
            let is = |value: &[u8]| value.eq_ignore_ascii_case(&filled);
            seen(entry, attribute, names_user(value), is)
        }
        Filter::Substrings {
            attribute,
            initial,
            any,
            last,
        } => {
            let parts = || initial.iter().chain(any).chain(last);
            if !parts().any(has_placeholder) {
                return None;
            }
            let fill = |part: &Value| filled(part, asked);
            let all = |parts: &[Value]| parts.iter().map(fill).collect::<Option<Vec<_>>>();
            let (start, end) = (all(initial.as_slice())?, all(last.as_slice())?);
            let middle = all(any)?;
            let holds = |value: &[u8]| has_parts(value, start.first(), &middle, end.first());
            seen(entry, attribute, parts().any(names_user), holds)
        }
        // Conditions such as greater, less or approximate, or on any attribute, do not identify a login.
        Filter::Compare(_, _, value) | Filter::Extensible { value, .. } => {
            has_placeholder(value).then_some(Likeness::Unsaid)
        }
    }
}

/// The result of two conditions that an entry must both meet. The worse result counts.
pub(in crate::users::ldap) fn both(one: Likeness, other: Likeness) -> Likeness {
    match (one, other) {
        (Likeness::Other, _) | (_, Likeness::Other) => Likeness::Other,
        (Likeness::Unsaid, _) | (_, Likeness::Unsaid) => Likeness::Unsaid,
        (Likeness::Same, Likeness::Same) => Likeness::Same,
    }
}

/// The result of two conditions of which an entry must meet one.
fn either(one: Likeness, other: Likeness) -> Likeness {
    match (one, other) {
        (Likeness::Same, _) | (_, Likeness::Same) => Likeness::Same,
        (Likeness::Other, _) | (_, Likeness::Other) => Likeness::Other,
        (Likeness::Unsaid, Likeness::Unsaid) => Likeness::Unsaid,
    }
}

/// Whether a value of the attribute `is` the requested one. A part that many users share, such as a domain,
/// can only show that the entry belongs to another login.
fn seen(
    entry: &Entry,
    attribute: &str,
    names_user: bool,
    is: impl Fn(&[u8]) -> bool,
) -> Option<Likeness> {
    let mut there = false;
    for value in values(entry, attribute) {
        there = true;
        if is(value) {
            return names_user.then_some(Likeness::Same);
        }
    }
    Some(match there {
        true => Likeness::Other,
        false => Likeness::Unsaid,
    })
}

/// The values of an attribute, under any of its names and with any options (RFC 4512, 2.5).
fn values<'e>(entry: &'e Entry, attribute: &'e str) -> impl Iterator<Item = &'e [u8]> {
    let wanted = bare(attribute.as_bytes());
    let aliases = ALIASES.iter().find(|names| {
        names
            .iter()
            .any(|name| wanted.eq_ignore_ascii_case(name.as_bytes()))
    });
    let is = move |name: &[u8]| {
        name.eq_ignore_ascii_case(wanted)
            || aliases.is_some_and(|names| {
                names
                    .iter()
                    .any(|alias| name.eq_ignore_ascii_case(alias.as_bytes()))
            })
    };
    let named = entry
        .attributes
        .iter()
        .filter(move |found| is(bare(&found.name)));
    named.flat_map(|found| found.values.iter().map(|value| value.as_slice()))
}

fn bare(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b';').next().unwrap_or(name)
}

fn has_parts(
    value: &[u8],
    initial: Option<&Vec<u8>>,
    any: &[Vec<u8>],
    last: Option<&Vec<u8>>,
) -> bool {
    let mut rest = value.to_ascii_lowercase();
    let lower = |part: &Vec<u8>| part.to_ascii_lowercase();
    if let Some(start) = initial.map(lower) {
        match rest.strip_prefix(start.as_slice()) {
            Some(after) => rest = after.to_vec(),
            None => return false,
        }
    }
    for part in any.iter().map(lower) {
        let found = rest
            .windows(part.len().max(1))
            .position(|window| window == part);
        match found {
            Some(at) => drop(rest.drain(..at + part.len())),
            None => return false,
        }
    }
    last.is_none_or(|end| rest.ends_with(&lower(end)))
}

/// Whether it contains a part of the login. Protocol and client do not tell which login an entry belongs to.
fn has_placeholder(value: &Value) -> bool {
    let of_login = |piece: &Piece| matches!(piece, Piece::Placeholder(it) if it.is_of_login());
    value.iter().any(of_login)
}

fn names_user(value: &Value) -> bool {
    let names = |piece: &Piece| matches!(piece, Piece::Placeholder(it) if it.names_a_user());
    value.iter().any(names)
}

/// A value with its placeholders filled in; `None` if one of them has no value.
fn filled(value: &Value, asked: Values<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for piece in value {
        match piece {
            Piece::Bytes(literal) => bytes.extend_from_slice(literal),
            Piece::Placeholder(it) => bytes.extend_from_slice(&asked.filled(*it)?),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Login;
    use crate::users::ldap::message::Attribute;

    fn said(filter: &str, login: &str, attributes: &[(&str, &[&str])]) -> Option<Likeness> {
        let attribute = |(name, values): &(&str, &[&str])| Attribute {
            name: name.as_bytes().to_vec(),
            values: values
                .iter()
                .map(|value| value.as_bytes().to_vec().into())
                .collect(),
        };
        let entry = Entry {
            dn: b"uid=a".to_vec(),
            attributes: attributes.iter().map(attribute).collect(),
        };
        let login = Login::new(login.into()).unwrap();
        let filter = FilterTemplate::parse(filter).unwrap();
        filter.likeness(&login, &entry)
    }

    #[test]
    fn an_entry_is_whose_values_say_so() {
        use Likeness::{Other, Same, Unsaid};
        type SearchResult<'a> = &'a [(&'a str, &'a [&'a str])];
        let alice: SearchResult<'_> = &[("uid", &["alice"]), ("mail", &["alice@example.org"])];
        for (filter, login, found, likeness) in [
            ("(uid={login})", "alice", alice, Some(Same)),
            ("(uid={login})", "ALICE", alice, Some(Same)),
            ("(UserID={login})", "alice", alice, Some(Same)),
            ("(uid={login})", "\u{ff41}lice", alice, Some(Other)),
            ("(uid={login})", "\u{e1}lice", alice, Some(Other)),
            ("(uid={login})", " alice", alice, Some(Other)),
            ("(uid={login})", "alice ", alice, Some(Other)),
            (
                "(uid={login})",
                "al  ice",
                &[("uid", &["al ice"])],
                Some(Other),
            ),
            ("(uid={login})", "alice", &[], Some(Unsaid)),
            (
                "(uid={login})",
                "b",
                &[("uid;lang-de", &["a", "b"])],
                Some(Same),
            ),
            (
                "(&(objectClass=x)(uid={login}))",
                "alice",
                alice,
                Some(Same),
            ),
            (
                "(&(!(uid=x{login}))(uid={login}))",
                "alice",
                alice,
                Some(Same),
            ),
            ("(!(uid=x{login}))", "alice", alice, None),
            (
                "(|(uid={login})(mail={login}))",
                "alice@example.org",
                alice,
                Some(Same),
            ),
            (
                "(|(uid={login})(mail={login}))",
                "al\u{ec}ce",
                alice,
                Some(Other),
            ),
            ("(|(uid={login})(objectClass=x))", "bob", alice, Some(Other)),
            // The domain can only exclude an entry.
            (
                "(&(uid={local})(o={domain}))",
                "alice@b",
                &[("uid", &["alice"]), ("o", &["b"])],
                Some(Same),
            ),
            (
                "(&(uid={local})(o={domain}))",
                "alice@\u{df}",
                &[("uid", &["alice"]), ("o", &["ss"])],
                Some(Other),
            ),
            (
                "(&(uid={local})(o={domain}))",
                "alice@b",
                &[("uid", &["alice"])],
                Some(Unsaid),
            ),
            (
                "(|(uid={local})(o={domain}))",
                "bob@b",
                &[("uid", &["alice"]), ("o", &["b"])],
                Some(Other),
            ),
            // Neither the protocol nor the client identifies the user.
            (
                "(&(uid={login})(|(service={protocol})(service=all)))",
                "alice",
                &[("uid", &["alice"]), ("service", &["all"])],
                Some(Same),
            ),
            ("(service={protocol})", "alice", alice, None),
            (
                "(|(uid={login})(host={client_ip}))",
                "bob",
                alice,
                Some(Other),
            ),
            // Forms of Active Directory.
            (
                "(proxyAddresses=smtp:{login})",
                "a@b",
                &[("proxyAddresses", &["SMTP:A@b"])],
                Some(Same),
            ),
            (
                "(sAMAccountName:caseIgnoreMatch:={local})",
                "a",
                &[("sAMAccountName", &["a"])],
                Some(Same),
            ),
            ("(mail={local}@*)", "alice", alice, Some(Same)),
            ("(mail=*{login}*)", "ICE@", alice, Some(Same)),
            ("(mail={local}@*)", "alic\u{e9}", alice, Some(Other)),
            (
                "(mail=a*{local}*{domain})",
                "lice@example.org",
                alice,
                Some(Same),
            ),
            ("(uid~={login})", "alice", alice, Some(Unsaid)),
            ("(uid>={login})", "alice", alice, Some(Unsaid)),
            ("(:caseIgnoreMatch:={login})", "alice", alice, Some(Unsaid)),
        ] {
            assert_eq!(said(filter, login, found), likeness, "{filter} {login}");
        }
    }

    #[test]
    fn what_is_compared_is_asked_for() {
        let filter = "(&(objectClass=x)(|(uid={login})(mail={local}@*))(!(o={domain})))";
        let compared = FilterTemplate::parse(filter).unwrap().compared();
        assert_eq!(compared, ["uid", "mail"]);
    }
}
