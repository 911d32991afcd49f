//! The manual page of the configuration file, section 5: made from `examples/full.toml`, which has every key.

use std::io::Write;

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{CommandError, Outcome};
use crate::config::{DEFAULT_CONFIG, FULL_EXAMPLE};

/// What a line of the example is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// The head of a table, and what it is for.
    Table(&'a str, &'a str),
    /// A key with its value, whether that is the default, and what it is for.
    Key {
        assignment: &'a str,
        is_default: bool,
        text: &'a str,
    },
    /// More of the text before.
    Continued(&'a str),
    /// A sentence on its own.
    Text(&'a str),
    Empty,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let (commented, rest) = match line.strip_prefix('#') {
            Some(rest) => (true, rest.trim()),
            None => (false, line.trim()),
        };
        if rest.is_empty() {
            return Self::Empty;
        }
        if let Some(text) = rest.strip_prefix('#') {
            return Self::Continued(text.trim());
        }
        let (code, text) = split_comment(rest);
        if code.starts_with('[') && code.ends_with(']') {
            return Self::Table(code, text);
        }
        if is_assignment(code) {
            return Self::Key {
                assignment: code,
                is_default: !commented,
                text,
            };
        }
        Self::Text(rest)
    }
}

/// Splits a line of TOML at its comment, which begins with a `#` outside of quotes.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return (line[..at].trim(), line[at + 1..].trim()),
            _ => {}
        }
    }
    (line, "")
}

/// Whether this is `key = value`, and no sentence that has a `=`.
fn is_assignment(code: &str) -> bool {
    code.split_once(" = ").is_some_and(|(key, _)| {
        let is_quoted = key.len() > 2 && key.starts_with('"') && key.ends_with('"');
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        is_quoted || key.chars().all(is_bare)
    })
}

/// Prints the page in roff.
pub(super) fn print(out: &mut impl Write) -> Result<Outcome, CommandError> {
    let mut roff = Roff::new();
    roff.control("TH", ["nginx-mail-auth", "5"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(
        "nginx-mail-auth - the configuration file of nginx-mail-auth(8)",
    )]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        italic(DEFAULT_CONFIG),
        roman(
            " is in TOML. This page lists its tables and their keys. A key is shown with its default; a key without \
             a default is shown with an example, and is marked (example).",
        ),
    ]);
    roff.control("PP", []);
    roff.text([
        roman("The file and the files that it names must belong to root or to the user that the program runs as, and \
               nobody else may be able to write them. "),
        bold("nginx-mail-auth check --user USER"),
        roman(" names everything that is wrong."),
    ]);
    roff.control("SH", ["TABLES"]);
    // The comments at the top of the example are about the example.
    let lines = FULL_EXAMPLE
        .lines()
        .skip_while(|line| !line.starts_with('['));
    for line in lines {
        match Line::parse(line) {
            Line::Table(head, text) => {
                roff.control("SS", [head]);
                sentence(&mut roff, text);
            }
            Line::Key {
                assignment,
                is_default,
                text,
            } => {
                roff.control("TP", []);
                let mut head = vec![bold(assignment)];
                if !is_default {
                    head.push(roman(" (example)"));
                }
                roff.text(head);
                if text.is_empty() {
                    // An entry needs a body, or the next one becomes it.
                    roff.control("br", []);
                } else {
                    sentence(&mut roff, text);
                }
            }
            Line::Continued(text) => sentence(&mut roff, text),
            Line::Text(text) => {
                roff.control("PP", []);
                sentence(&mut roff, text);
            }
            Line::Empty => {}
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("nginx-mail-auth"), roman("(8)")]);
    roff.to_writer(out)?;
    Ok(Outcome::Done)
}

fn sentence(roff: &mut Roff, text: &str) {
    if !text.is_empty() {
        roff.text([roman(text)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let mut page = Vec::new();
        assert_eq!(print(&mut page).unwrap(), Outcome::Done);
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn what_a_line_is() {
        let key = |assignment, is_default, text| Line::Key {
            assignment,
            is_default,
            text,
        };
        for (line, wanted) in [
            ("[logins]   # changes", Line::Table("[logins]", "changes")),
            ("# [[users]]", Line::Table("[[users]]", "")),
            (
                "trim = false  # true: yes",
                key("trim = false", true, "true: yes"),
            ),
            ("# a = \"#1\" # one", key("a = \"#1\"", false, "one")),
            ("# \"a@b\" = \"c\"", key("\"a@b\" = \"c\"", false, "")),
            (
                "#   port = 1   # ldap: p",
                key("port = 1", false, "ldap: p"),
            ),
            ("            # more", Line::Continued("more")),
            ("#           # more", Line::Continued("more")),
            ("# Keys; whole = file:", Line::Text("Keys; whole = file:")),
            ("#", Line::Empty),
            ("", Line::Empty),
        ] {
            assert_eq!(Line::parse(line), wanted, "{line}");
        }
    }

    #[test]
    fn every_key_and_every_table_is_an_entry() {
        let (page, mut keys) = (page(), 0);
        for line in FULL_EXAMPLE.lines() {
            let code = split_comment(line).0;
            let escaped = code.replace('\\', "\\e").replace('-', "\\-");
            if code.starts_with('[') {
                let head = format!(".SS {}", if code.contains(' ') { "" } else { code });
                assert!(page.contains(&head), "{code}");
            } else if !code.is_empty() {
                keys += 1;
                assert!(page.contains(&format!(".TP\n\\fB{escaped}\\fR")), "{code}");
            }
        }
        assert!(keys > 40, "{keys}");
    }
}
