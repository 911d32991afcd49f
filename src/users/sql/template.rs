//! Parses the administrator's statement: its named parameters become the driver's placeholders.
//!
//! Values are bound and never become part of the text. String literals, quoted identifiers and comments
//! remain unchanged, by the rules of each database: PostgreSQL 15, 4.1 (dollar quotes, `E''`, nested
//! comments, `::`), MariaDB and MySQL (backslashes, `#`), SQLite (`[identifiers]`).

use std::fmt;

/// The SQL dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: `?1`.
    Sqlite,
    /// PostgreSQL: `$1`.
    Postgres,
    /// MariaDB and MySQL: `?`, once for each use.
    Mysql,
}

/// The parameters of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `:login`: the whole login.
    Login,
    /// `:local`: the part before its last `@`, or the whole login.
    Local,
    /// `:domain`: the part after its last `@`; NULL without one.
    Domain,
    /// `:protocol`: `imap`, `pop3` or `smtp`.
    Protocol,
    /// `:client_ip`: the address of the mail client as text; NULL if it is unknown.
    ClientIp,
}

const NAMES: [(&str, Parameter); 5] = [
    ("login", Parameter::Login),
    ("local", Parameter::Local),
    ("domain", Parameter::Domain),
    ("protocol", Parameter::Protocol),
    ("client_ip", Parameter::ClientIp),
];

/// Operators whose right operand is a pattern: a login such as `%` would match every user.
const PATTERNS: [&str; 8] = [
    "like", "ilike", "rlike", "regexp", "glob", "match", "similar", "to",
];

/// Words that end a pattern.
const PATTERN_ENDS: [&str; 16] = [
    "and", "or", "where", "having", "then", "when", "else", "end", "select", "from", "union",
    "group", "order", "limit", "on", "escape",
];

/// A statement in the form that a driver accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The text with the driver's placeholders.
    pub sql: String,
    /// The bound parameters, in the order of the placeholders.
    pub parameters: Vec<Parameter>,
}

/// A problem of a statement, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The line, from 1, within the statement.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    what: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, what } = self;
        write!(f, "{what} (line {line}, column {column} of the statement)")
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses one statement. It must contain `:login` or `:local`: otherwise every login would get the same
    /// row.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, TemplateError> {
        let mut reader = Reader {
            text,
            at: 0,
            dialect,
            pattern: None,
            depth: 0,
            out: Self {
                sql: String::with_capacity(text.len()),
                parameters: Vec::new(),
            },
        };
        while reader.step()? {}
        let Self { sql, parameters } = reader.out;
        let whole = |what: &str| TemplateError {
            line: 1,
            column: 1,
            what: what.to_owned(),
        };
        if sql.trim().is_empty() {
            return Err(whole("it is empty"));
        }
        let asks = |parameter: &Parameter| matches!(parameter, Parameter::Login | Parameter::Local);
        if !parameters.iter().any(asks) {
            return Err(whole(
                "it has neither :login nor :local, so that everybody would get the same row",
            ));
        }
        Ok(Self { sql, parameters })
    }
}

/// Scans a statement, token by token.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    /// The last word that makes its operand a pattern, and the number of open brackets there.
    pattern: Option<(std::ops::Range<usize>, usize)>,
    /// The number of open brackets.
    depth: usize,
    out: Template,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Copies one token; `false` at the end.
    fn step(&mut self) -> Result<bool, TemplateError> {
        let rest = self.rest();
        let mut following = rest.chars();
        let Some(first) = following.next() else {
            return Ok(false);
        };
        let second = following.next();
        let dialect = self.dialect;
        match (first, second) {
            _ if is_word_start(first) => self.take_word()?,
            _ if first.is_whitespace() => self.copy(first.len_utf8()),
            ('-', Some('-')) if self.is_dash_comment() => self.copy_line(),
            ('#', _) if dialect == Dialect::Mysql => self.copy_line(),
            ('/', Some('*')) => self.copy_comment()?,
            ('\'', _) => self.copy_quoted('\'', dialect == Dialect::Mysql)?,
            ('"', _) => self.copy_quoted('"', dialect == Dialect::Mysql)?,
            ('`', _) if dialect != Dialect::Postgres => self.copy_quoted('`', false)?,
            ('[', _) if dialect == Dialect::Sqlite => self.copy_until("]", "the bracket")?,
            ('$', _) if dialect == Dialect::Postgres => self.copy_dollar_quoted()?,
            (':', Some(':' | '=')) => self.copy(2),
            (':', Some(second)) if is_word_start(second) => self.take_parameter()?,
            (';', _) => self.end_statement()?,
            ('?', _) if dialect != Dialect::Postgres => return Err(self.foreign("?")),
            ('$' | '@', Some(second)) if dialect == Dialect::Sqlite && is_word(second) => {
                return Err(self.foreign(&first.to_string()));
            }
            ('0'..='9', _) => self.take_number(),
            _ => {
                self.note_symbol(first);
                self.copy(first.len_utf8());
            }
        }
        Ok(true)
    }

    fn copy(&mut self, bytes: usize) {
        let end = self.at + bytes;
        let token = self.text.get(self.at..end).unwrap_or_default();
        self.out.sql.push_str(token);
        self.at = end;
    }

    /// MySQL takes `--` for a comment only if a blank follows.
    fn is_dash_comment(&self) -> bool {
        let third = self.rest().chars().nth(2);
        self.dialect != Dialect::Mysql
            || third.is_none_or(|third| third.is_whitespace() || third.is_control())
    }

    fn copy_line(&mut self) {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.copy(length);
    }

    fn copy_comment(&mut self) -> Result<(), TemplateError> {
        if self.dialect != Dialect::Postgres {
            return self.copy_until("*/", "the comment");
        }
        let mut depth = 0_usize;
        let mut length = 0;
        loop {
            let rest = self.rest().get(length..).unwrap_or_default();
            if rest.starts_with("/*") {
                (depth, length) = (depth + 1, length + 2);
            } else if rest.starts_with("*/") {
                (depth, length) = (depth.saturating_sub(1), length + 2);
                if depth == 0 {
                    self.copy(length);
                    return Ok(());
                }
            } else {
                let Some(next) = rest.chars().next() else {
                    return Err(self.open_ended("the comment"));
                };
                length += next.len_utf8();
            }
        }
    }

    /// Copies up to `end`, which is searched after the start of this token.
    fn copy_until(&mut self, end: &str, what: &str) -> Result<(), TemplateError> {
        let start = if end == "*/" { 2 } else { 1 };
        let rest = self.rest().get(start..).unwrap_or_default();
        let Some(length) = rest.find(end) else {
            return Err(self.open_ended(what));
        };
        self.copy(start + length + end.len());
        Ok(())
    }

    /// A doubled quote means one quote; here it simply ends the literal and starts another one.
    fn copy_quoted(&mut self, quote: char, backslashes: bool) -> Result<(), TemplateError> {
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if backslashes && character == '\\' {
                escaped = true;
            } else if character == quote {
                self.copy(offset + character.len_utf8());
                return Ok(());
            }
        }
        Err(self.open_ended("the quote"))
    }

    /// `$$text$$`, `$tag$text$tag$`; `$1` would be PostgreSQL's own placeholder.
    fn copy_dollar_quoted(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let after = rest.get(1..).unwrap_or_default();
        let tag = after.find(|c: char| !is_word(c) || c == '$').unwrap_or(0);
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.foreign("$"));
        }
        if !after.get(tag..).is_some_and(|after| after.starts_with('$')) {
            self.copy(1);
            return Ok(());
        }
        let (mark, body) = rest.split_at(tag + 2);
        let Some(length) = body.find(mark) else {
            return Err(self.open_ended("the dollar quote"));
        };
        self.copy(2 * mark.len() + length);
        Ok(())
    }

    fn take_word(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        self.note_word(self.at..self.at + length);
        let escapes = self.dialect == Dialect::Postgres
            && rest
                .get(..length)
                .is_some_and(|word| word.eq_ignore_ascii_case("e"))
            && rest
                .get(length..)
                .is_some_and(|after| after.starts_with('\''));
        self.copy(length);
        // PostgreSQL's `E'it\'s'`.
        if escapes {
            self.copy_quoted('\'', true)?;
        }
        Ok(())
    }

    fn take_number(&mut self) {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
            .unwrap_or(rest.len());
        self.copy(length);
    }

    fn take_parameter(&mut self) -> Result<(), TemplateError> {
        let after = self.rest().get(1..).unwrap_or_default();
        let length = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let name = after.get(..length).unwrap_or_default();
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, parameter)) = known else {
            return Err(self.error(format!(
                "there is no parameter :{name}; there are :login, :local, :domain, :protocol, \
                 :client_ip"
            )));
        };
        if let Some(operator) = self.pattern_operator() {
            return Err(self.error(format!(
                ":{name} must not follow {operator}: a login with wildcards would be anybody"
            )));
        }
        self.place(*parameter);
        self.at += 1 + length;
        Ok(())
    }

    /// The operator before this position, if it makes its operand a pattern.
    fn pattern_operator(&self) -> Option<&str> {
        let before = self.out.sql.trim_end();
        // PostgreSQL 15, 9.7: also `~*`, `!~`, `~~`, `!~~*` and the like.
        let tilde =
            self.dialect == Dialect::Postgres && (before.ends_with('~') || before.ends_with("~*"));
        if tilde {
            return Some("~");
        }
        let (word, _) = self.pattern.as_ref()?;
        self.text.get(word.clone())
    }

    /// Records the effect of a word on a later parameter, also through functions, brackets and comments:
    /// `LIKE LOWER(:login)`.
    fn note_word(&mut self, place: std::ops::Range<usize>) {
        let word = self.text.get(place.clone()).unwrap_or_default();
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        if PATTERNS.iter().any(is) {
            self.pattern = Some((place, self.depth));
        } else if PATTERN_ENDS.iter().any(is) {
            self.pattern = None;
        }
    }

    /// Records the effect of a bracket or a comma on a later parameter.
    fn note_symbol(&mut self, symbol: char) {
        let of_pattern = |depth: usize| self.pattern.as_ref().is_some_and(|(_, at)| *at >= depth);
        match symbol {
            '(' => self.depth += 1,
            ')' => {
                if of_pattern(self.depth) {
                    self.pattern = None;
                }
                self.depth = self.depth.saturating_sub(1);
            }
            ',' if of_pattern(self.depth) => self.pattern = None,
            _ => {}
        }
    }

    fn place(&mut self, parameter: Parameter) {
        let Template { sql, parameters } = &mut self.out;
        let mark = match self.dialect {
            Dialect::Mysql => {
                sql.push('?');
                parameters.push(parameter);
                return;
            }
            Dialect::Postgres => '$',
            Dialect::Sqlite => '?',
        };
        let known = parameters.iter().position(|known| *known == parameter);
        let index = known.unwrap_or_else(|| {
            parameters.push(parameter);
            parameters.len() - 1
        });
        sql.push(mark);
        sql.push_str(&(index + 1).to_string());
    }

    /// Only blanks and comments may follow the end of the statement; the end is omitted.
    fn end_statement(&mut self) -> Result<(), TemplateError> {
        let semicolon = self.at;
        self.at += 1;
        let kept = self.out.sql.len();
        while let Some(next) = self.rest().chars().next() {
            let comment = self.rest().starts_with("/*")
                || (self.rest().starts_with("--") && self.is_dash_comment())
                || (next == '#' && self.dialect == Dialect::Mysql);
            if !comment && !next.is_whitespace() && next != ';' {
                self.at = semicolon;
                return Err(self.error("there is more than one statement".to_owned()));
            }
            if next == ';' {
                self.at += 1;
            } else {
                self.step()?;
            }
        }
        self.out.sql.truncate(kept);
        Ok(())
    }

    fn foreign(&self, mark: &str) -> TemplateError {
        self.error(format!(
            "{mark} is a placeholder of the database's own: write :login and the like"
        ))
    }

    fn open_ended(&self, what: &str) -> TemplateError {
        self.error(format!("{what} that starts here does not end"))
    }

    fn error(&self, what: String) -> TemplateError {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        TemplateError {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            what,
        }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
mod tests;
