//! The administrator's statement: each placeholder in it becomes a parameter of the driver.
//!
//! A value is bound and never becomes part of the text, whatever is in it. The text itself is for the
//! database alone to read: here only placeholders are found in it. One in quotes or in a comment would be
//! no parameter. Where the characters beside it show that, it is an error at once; in all other cases the
//! database counts fewer parameters than there are placeholders, and each driver refuses the statement.

mod pattern;
mod quotes;

use self::pattern::Pattern;
use self::quotes::Quoted;
use crate::users::placeholder::foreign::{Form, Mark, is_word, marks};
use crate::users::placeholder::{Flaw, Part, Placeholder, nobody, parts};

/// Which database's SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: `?`.
    Sqlite,
    /// PostgreSQL: `$1`.
    Postgres,
    /// MariaDB and MySQL: `?`.
    Mysql,
}

/// A statement as a driver takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text, with the driver's parameters.
    pub sql: String,
    /// What is bound, in the order of the parameters: one for each use.
    pub placeholders: Vec<Placeholder>,
}

impl Statement {
    /// Reads one statement. It must ask for `{login}` or `{local}`, or everybody would get the same
    /// row.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Flaw> {
        let text = text.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        if text.trim_start().is_empty() {
            return Err(Flaw::of_all("it is empty"));
        }
        if let Some(mark) = marks(text).find(|mark| is_certain(mark, text, dialect)) {
            return Err(mark.flaw());
        }
        let mut statement = Self {
            sql: String::with_capacity(text.len()),
            placeholders: Vec::new(),
        };
        let mut pattern = Pattern::new(dialect);
        for part in parts(text)? {
            match part.placeholder {
                None => {
                    pattern.read(part.text);
                    statement.sql.push_str(part.text);
                }
                Some(placeholder) => {
                    must_be_a_value(text, part, placeholder, dialect)?;
                    if let Some(operator) = pattern.operator() {
                        let what = format!(
                            "{placeholder} must not follow {operator}: a login with wildcards \
                            would match other users"
                        );
                        return Err(Flaw::at(part.at, what));
                    }
                    statement.add(placeholder, dialect);
                }
            }
        }
        if !statement.asks(Placeholder::names_a_user) {
            let what = "it has neither {login} nor {local}, so every login would get the same row";
            return Err(nobody(text, what));
        }
        Ok(statement)
    }

    /// Whether it has a placeholder of some kind.
    pub(crate) fn asks(&self, kind: impl Fn(Placeholder) -> bool) -> bool {
        self.placeholders
            .iter()
            .any(|placeholder| kind(*placeholder))
    }

    /// Each use is a parameter of its own, so that the database finds as many of them as there are
    /// placeholders.
    fn add(&mut self, placeholder: Placeholder, dialect: Dialect) {
        self.placeholders.push(placeholder);
        match dialect {
            Dialect::Sqlite | Dialect::Mysql => self.sql.push('?'),
            // The type stands in the text: PostgreSQL then refuses a number that it finds nowhere.
            Dialect::Postgres => {
                let number = self.placeholders.len();
                self.sql.push_str(&format!("${number}::text"));
            }
        }
    }

    /// Whether the database finds as many parameters as there are placeholders. A placeholder in quotes or in
    /// a comment is none.
    pub(super) fn has(&self, parameters: usize) -> bool {
        parameters == self.placeholders.len()
    }
}

/// What keeps a placeholder from being a value: quotes around it, or a name that it is part of.
fn must_be_a_value(
    text: &str,
    part: Part<'_>,
    placeholder: Placeholder,
    dialect: Dialect,
) -> Result<(), Flaw> {
    let (before, behind) = text.split_at_checked(part.at).unwrap_or_default();
    let behind = behind.get(part.text.len()..).unwrap_or_default();
    let flaw = |what: String| Err(Flaw::at(part.at, what));
    if let Some(quoted) = quotes::around(before, behind) {
        let value = format!("{placeholder} is a value, not text: write it without quotes");
        let joined = match dialect {
            Dialect::Mysql => "CONCAT('text', ",
            Dialect::Sqlite | Dialect::Postgres => "('text' || ",
        };
        return flaw(match quoted {
            Quoted::Alone => value,
            Quoted::WithText => {
                format!("{value}, and join other text to it: {joined}{placeholder})")
            }
        });
    }
    if before.ends_with(['%', '$', '#']) {
        let mark = before.chars().next_back().unwrap_or_default();
        return flaw(format!(
            "write {placeholder} in place of {mark}{placeholder}"
        ));
    }
    if before.ends_with(is_word) || behind.starts_with(is_word) {
        return flaw(format!("write a blank before and behind {placeholder}"));
    }
    Ok(())
}

/// Whether what another program writes can be nothing else in this text.
fn is_certain(mark: &Mark<'_>, text: &str, dialect: Dialect) -> bool {
    let (before, behind) = text.split_at_checked(mark.at).unwrap_or_default();
    let before = before.trim_end();
    let behind = behind.get(mark.text.len()..).unwrap_or_default();
    let is_quoted = mark.text.starts_with(['\'', '"']);
    match mark.form {
        Form::Braces | Form::Colon => true,
        Form::Sigil => dialect == Dialect::Sqlite && !is_quoted,
        Form::Number => dialect != Dialect::Mysql && !is_quoted,
        // In the format of a date it is something else.
        Form::Letter => before.ends_with(['=', '(']) && !behind.starts_with(','),
        // In PostgreSQL it is an operator.
        Form::Question => {
            let is_value = behind.starts_with(|c: char| c.is_whitespace() || "),;".contains(c));
            let is_compared = before.ends_with(['=', '<', '>', '(', ',']);
            dialect != Dialect::Postgres
                && !is_quoted
                && is_compared
                && (is_value || behind.is_empty())
        }
    }
}

#[cfg(test)]
mod tests;
