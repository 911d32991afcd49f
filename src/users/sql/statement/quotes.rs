//! Whether the characters beside a placeholder show that it is in quotes.
//!
//! That is told without reading the SQL before it, from what no statement has outside of quotes: a quote
//! directly beside a parameter, or with nothing but letters and the like in between, as in
//! `'{login}@example.org'` and `'%{local}%'`. Operators between a quote and a placeholder are those of
//! SQL (`'a'||{login}`); a blank or a bracket ends the view.

use crate::users::placeholder::foreign::is_word;

/// What is in the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoted {
    /// The placeholder alone.
    Alone,
    /// Other text too.
    WithText,
}

const QUOTES: [char; 3] = ['\'', '"', '`'];

/// What is in the quotes around a placeholder with this text before and behind it; `None` if nothing shows
/// that it is in quotes.
pub(super) fn around(before: &str, behind: &str) -> Option<Quoted> {
    if before.ends_with(QUOTES) && behind.starts_with(QUOTES) {
        return Some(Quoted::Alone);
    }
    // Neither a literal nor a quoted name can come before a parameter, with blanks in between or without.
    let beside = before.trim_end().ends_with(QUOTES) || behind.starts_with(QUOTES);
    (beside || opens(before) || closes(behind)).then_some(Quoted::WithText)
}

/// Whether a quote is open at the end of this: `'%`, `'mail=`. Not so in `"users".login=`.
fn opens(before: &str) -> bool {
    let near = before.rsplit(ends_the_view).next().unwrap_or_default();
    let Some((_, inside)) = near.rsplit_once(QUOTES) else {
        return false;
    };
    inside.starts_with(is_word) || inside.chars().all(|c| is_word(c) || "%@/".contains(c))
}

/// Whether a quote is closed at the end of this, which was open before it: `@example.org'`.
fn closes(behind: &str) -> bool {
    let near = behind.split(ends_the_view).next().unwrap_or_default();
    let Some((inside, _)) = near.split_once(QUOTES) else {
        return false;
    };
    let of_text = |c: char| is_word(c) || "%@./-+".contains(c);
    inside.chars().all(of_text) && !inside.starts_with(['/', '-', '+'])
}

fn ends_the_view(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_around_a_placeholder_are_seen() {
        for (text, quoted) in [
            ("a = '{}'", Quoted::Alone),
            ("a = \"{}\"", Quoted::Alone),
            ("a = `{}`", Quoted::Alone),
            ("a LIKE '%{}%'", Quoted::WithText),
            ("a = '{}@example.org'", Quoted::WithText),
            ("a = 'x-{}@my-domain.org'", Quoted::WithText),
            ("a = 'mail={}'", Quoted::WithText),
            ("a = 'uid={},ou=people'", Quoted::WithText),
            ("a = 'smtp:{}'", Quoted::WithText),
            ("a = '@{}'", Quoted::WithText),
            ("a = ' {} '", Quoted::WithText),
            ("a = 'the login {}'", Quoted::WithText),
            ("a = 'é{}'", Quoted::WithText),
        ] {
            let (before, behind) = text.split_once("{}").unwrap();
            assert_eq!(around(before, behind), Some(quoted), "{text}");
        }
    }

    #[test]
    fn quotes_beside_a_value_are_none_around_it() {
        for text in [
            "a = {}",
            "'a'={}",
            "'a'||{}||'b'",
            "lower('a')||{}",
            "\"users\".login={}",
            "`users`.`login`<>{}",
            "f('a',{},'b')",
            "{}::text||'a'",
            "{}::citext",
            "'{\"a\":1}'::jsonb->{}",
            "'{\"a\":1}'::jsonb->>'a'={}",
            "{}AS \"login\"",
            "{} 'login'",
            "'a'::text,{},a='b'",
            "data->'x'-{}",
            "'it''s'||{}",
        ] {
            let (before, behind) = text.split_once("{}").unwrap();
            assert_eq!(around(before, behind), None, "{text}");
        }
    }
}
