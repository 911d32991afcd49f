//! How other programs write placeholders: `:login` and `?` of database drivers, `%u` and `%{user}` of
//! Dovecot, `${login}` of shells. Text that has one gets an error that says what to write here.

use super::{Flaw, KNOWN, Placeholder};

/// What other programs call what a placeholder stands for, in small letters and digits alone.
const NAMES: [(&[&str], Placeholder); 5] = [
    (
        &["login", "user", "username", "userid", "email"],
        Placeholder::Login,
    ),
    (&["local", "localpart"], Placeholder::Local),
    (&["domain", "domainpart"], Placeholder::Domain),
    (&["protocol", "proto", "service"], Placeholder::Protocol),
    (
        &["clientip", "clientaddress", "remoteip", "rip", "ip"],
        Placeholder::ClientIp,
    ),
];

/// The variables of Dovecot 2.3 with one letter.
const LETTERS: [(char, Placeholder); 4] = [
    ('u', Placeholder::Login),
    ('n', Placeholder::Local),
    ('d', Placeholder::Domain),
    ('r', Placeholder::ClientIp),
];

/// A placeholder as another program writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::users) struct Mark<'a> {
    /// The byte of the whole text where it begins.
    pub(in crate::users) at: usize,
    /// As it is written, with the quotes around it.
    pub(in crate::users) text: &'a str,
    /// How it is written.
    pub(in crate::users) form: Form,
    /// What to write in its place, unless it has no name.
    pub(in crate::users) meant: Option<Placeholder>,
}

/// The ways in which other programs write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::users) enum Form {
    /// `%{user}`, `${login}`, `#{login}`, `{{login}}`.
    Braces,
    /// `:login`.
    Colon,
    /// `$login`, `@login`.
    Sigil,
    /// `%u`, also with capitals that change it: `%Lu`.
    Letter,
    /// `?`, `?1`.
    Question,
    /// `$1`.
    Number,
}

impl Mark<'_> {
    /// What to write in its place.
    pub(in crate::users) fn flaw(&self) -> Flaw {
        let text = self.text;
        let what = match self.meant {
            Some(meant) => format!("write {meant} in place of {text}"),
            None => format!("write a placeholder in braces in place of {text}; {KNOWN}"),
        };
        Flaw::at(self.at, what)
    }
}

/// What a name of another program stands for.
pub(super) fn meaning(name: &str) -> Option<Placeholder> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let of_it = |(names, _): &&(&[&str], Placeholder)| names.contains(&plain.as_str());
    NAMES.iter().find(of_it).map(|(_, meant)| *meant)
}

/// All that could be one, whatever else it could be, in the order of the text.
pub(in crate::users) fn marks(text: &str) -> impl Iterator<Item = Mark<'_>> {
    text.match_indices(['%', '$', '#', '{', ':', '@', '?'])
        .filter_map(|(at, _)| mark(text, at))
}

fn mark(text: &str, at: usize) -> Option<Mark<'_>> {
    let before = text.get(..at)?.chars().next_back();
    let rest = text.get(at..)?;
    let mut following = rest.chars();
    let (first, second) = (following.next()?, following.next());
    let apart = !before.is_some_and(is_word);
    let (form, length, meant) = match (first, second) {
        ('%' | '$' | '#' | '{', Some('{')) => {
            let end = rest.find('}')? + 1;
            let inner = rest.get(2..end)?.trim_start();
            let name = inner.get(..word_length(inner))?;
            let read = Placeholder::read(rest.get(1..)?);
            let is_ours = first == '%' && matches!(read, Ok(Some(_)));
            let doubled = first == '{' && rest.get(end..)?.starts_with('}');
            // Behind the wildcard of a pattern, a placeholder of ours is a placeholder.
            let meant = meaning(name).filter(|_| !is_ours)?;
            (Form::Braces, end + usize::from(doubled), Some(meant))
        }
        (':', _) if apart && before != Some(':') => {
            let name = word_length(rest.get(1..)?);
            (Form::Colon, 1 + name, Some(meaning(rest.get(1..=name)?)?))
        }
        ('$', Some('0'..='9')) if apart && before != Some('$') => {
            (Form::Number, 1 + digits(rest.get(1..)?), None)
        }
        ('$' | '@', _) if apart => {
            let name = word_length(rest.get(1..)?);
            // `@domain.example` is the end of an address.
            let is_whole = !rest.get(1 + name..)?.starts_with(['.', '-']);
            let meant = meaning(rest.get(1..=name)?).filter(|_| is_whole)?;
            (Form::Sigil, 1 + name, Some(meant))
        }
        ('%', _) => {
            let changed = rest.get(1..)?;
            let letter = changed.trim_start_matches(|c: char| c.is_ascii_uppercase());
            let length = 2 + changed.len() - letter.len();
            let is_whole = !rest.get(length..)?.starts_with(is_word);
            let first = letter.chars().next().filter(|_| is_whole)?;
            let (_, meant) = LETTERS.iter().find(|(known, _)| *known == first)?;
            (Form::Letter, length, Some(*meant))
        }
        ('?', _) => (Form::Question, 1 + digits(rest.get(1..)?), None),
        _ => return None,
    };
    let (at, end) = match (before, rest.get(length..)?.chars().next()) {
        (Some(quote @ ('\'' | '"')), Some(other)) if quote == other => (at - 1, at + length + 1),
        _ => (at, at + length),
    };
    Some(Mark {
        at,
        text: text.get(at..end)?,
        form,
        meant,
    })
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Whether a character is one of names and numbers.
pub(in crate::users) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, &str, Option<Placeholder>)> {
        let parts = |mark: Mark<'_>| (mark.at, mark.meant);
        marks(text)
            .map(|mark| (parts(mark).0, mark.text, parts(mark).1))
            .collect()
    }

    #[test]
    fn what_other_programs_write_is_found_with_what_is_meant() {
        use Placeholder::{ClientIp, Domain, Local, Login, Protocol};
        for (text, mark, meant) in [
            ("a = :login", ":login", Some(Login)),
            ("a = :LOGIN", ":LOGIN", Some(Login)),
            ("a = :user_name::citext", ":user_name", Some(Login)),
            ("a = ':client_ip'", "':client_ip'", Some(ClientIp)),
            ("a = '%u'", "'%u'", Some(Login)),
            ("a = '%Ln'", "'%Ln'", Some(Local)),
            ("(uid=%d)", "%d", Some(Domain)),
            ("a = '%{user}'", "'%{user}'", Some(Login)),
            ("a = %{user | username}", "%{user | username}", Some(Login)),
            ("a = ${login}", "${login}", Some(Login)),
            ("a = #{local}", "#{local}", Some(Local)),
            ("a = {{ login }}", "{{ login }}", Some(Login)),
            ("a = $login", "$login", Some(Login)),
            ("a = @service", "@service", Some(Protocol)),
            ("a = ?", "?", None),
            ("a = ?2", "?2", None),
            ("a = $12", "$12", None),
        ] {
            let at = text.find(mark).unwrap();
            assert_eq!(found(text).first(), Some(&(at, mark, meant)), "{text}");
        }
    }

    #[test]
    fn other_text_is_none() {
        for text in [
            "a::login",
            "a[1:2]",
            "12:30",
            "':nobody'",
            "'alice@domain'",
            "'@domain.example'",
            "'%Y-%m-%i'",
            "'100%'",
            "'%used'",
            "'$.attributes'",
            "$$text$$",
            "a$1",
            "{login} {PLAIN} {1,2}",
            "'%{login}%'",
            "#login",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
