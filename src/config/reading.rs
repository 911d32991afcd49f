//! Reads a configuration file, with every problem of form at once, each with its position and key, and has its
//! tables checked.
//!
//! serde stops at its first error. So the entry that caused it is taken out and the rest is tried
//! again, until no problem is left.
//!
//! Of the text itself only names of keys get into a problem: a value may be a secret, also one in
//! the wrong place. toml's and serde's own messages quote values, so they are reworded.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::advice::{self, BadEntry, KeyNames};
use super::checker::{Checker, MISSING};
use super::file::File;
use super::source::{Source, Step, dotted};
use super::{Config, Tables, syntax};
use crate::login::rules::LoginRules;
use crate::route::AllowedNetworks;
use crate::secret::MAX_HASH_MS;
use crate::sys::problem::Problem;

/// The most problems of form that are looked for: each costs another pass over the file.
const MAX_PROBLEMS: usize = 100;

/// What could be read.
pub(super) struct ParsedFile {
    pub(super) file: File,
    /// Whether that is all there is. If not, what seems to be missing may have been there.
    pub(super) whole: bool,
    /// Lines that toml cannot read: what was guessed of them is not worth a complaint, and may be
    /// part of a secret.
    pub(super) broken: BrokenLines,
    /// Keys that unknown ones stand for.
    pub(super) meant: Vec<String>,
    /// The tables, if the file could be read as a whole.
    pub(super) tables: Tables,
}

impl Source<'_> {
    /// Reads the file, adding what is wrong with its form to `problems`.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> ParsedFile {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let tables = Tables::of(table.get_ref());
        if errors.is_empty()
            && stray_array(table.get_ref()).is_none()
            && let Ok(file) = File::read(table)
        {
            return ParsedFile {
                file,
                whole: true,
                broken: BrokenLines::default(),
                meant: Vec::new(),
                tables,
            };
        }
        let mut broken = BrokenLines::default();
        // Each costs a search through the file for its position.
        for error in errors.iter().take(MAX_PROBLEMS) {
            let start = error.span().unwrap_or(0..0).start;
            let position = self.position(start);
            // One slip can make several errors; the first says it best.
            if !broken.contains(position.0) {
                broken.add(position.0, self.text);
                let line = |offset| self.position(offset).0;
                let (start, message) = syntax::of_syntax(error.message(), self.text, start, line);
                problems.push(Problem {
                    position: Some(self.position(start)),
                    ..Problem::new(self.path, message)
                });
            }
        }
        if errors.len() > MAX_PROBLEMS {
            problems.push(self.too_many_problems());
            return ParsedFile {
                file: File::default(),
                whole: false,
                broken,
                meant: Vec::new(),
                tables,
            };
        }
        let (table, _) = DeTable::parse_recoverable(self.text);
        let (mut rest, mut meant) = (Vec::new(), Vec::new());
        let file = self.salvage(table, &mut rest, &mut meant);
        rest.retain(|problem| !broken.has(problem));
        problems.append(&mut rest);
        ParsedFile {
            file,
            whole: false,
            broken,
            meant,
            tables,
        }
    }

    /// Takes out one entry after the other until the rest can be read.
    fn salvage(
        &self,
        mut table: Spanned<DeTable<'_>>,
        problems: &mut Vec<Problem>,
        meant: &mut Vec<String>,
    ) -> File {
        while problems.len() < MAX_PROBLEMS {
            if let Some(path) = stray_array(table.get_ref()) {
                let span = remove(table.get_mut(), &path).map_or(0..0, |array| array.span());
                let key = dotted(&path);
                let message = match key.as_str() {
                    "users" => "must be an array of tables: write [[users]]".to_owned(),
                    key => format!("must be a table, not an array: write [{key}]"),
                };
                problems.push(self.problem(&span, Some(key), message));
                continue;
            }
            let error = match File::read(table.clone()) {
                Ok(file) => return file,
                Err(error) => error,
            };
            let span = error.span;
            let Some(path) = find(table.get_ref(), &span) else {
                problems.push(self.problem(&span, None, "cannot be parsed"));
                return File::default();
            };
            let removed = remove(table.get_mut(), &path);
            let store = store_of(table.get_ref(), &path);
            let slip = BadEntry {
                path: &path,
                value: removed.as_ref().map(Spanned::get_ref),
                alone: is_emptied(table.get_ref(), &path),
                store: store.as_deref(),
            };
            meant.extend(slip.meant_keys(&error.message));
            let message = slip.reworded(&error.message);
            let key = dotted(&path);
            // So that routes that lead to a host find one.
            if let [Step::Key(hosts), Step::Key(name), rest @ ..] = path.as_slice()
                && hosts == "hosts"
                && (rest.is_empty() || slip.unquoted_name().is_some())
            {
                keep_name(table.get_mut(), name, &span);
            }
            problems.push(self.problem(&span, Some(key), message));
        }
        problems.push(self.too_many_problems());
        File::default()
    }

    fn too_many_problems(&self) -> Problem {
        Problem::new(self.path, "has more problems, which are not shown")
    }
}

/// Checks what could be read. `problems` are those of form, found before; they come back with all
/// others, in the order of their positions. Where there are any, the configuration is not one to work
/// with, only one to look for more of them.
pub(super) fn check(
    source: &Source<'_>,
    read: ParsedFile,
    problems: Vec<Problem>,
) -> (Config, Vec<Problem>) {
    let form = problems.len();
    let ParsedFile {
        file,
        whole,
        broken,
        meant,
        tables,
    } = read;
    let key_names = KeyNames::of_all_tables();
    let mut checker = Checker {
        source,
        problems,
        warnings: Vec::new(),
        advice: Vec::new(),
        files: Vec::new(),
        unfinished: Vec::new(),
        named: Vec::new(),
        max_hash_ms: MAX_HASH_MS,
        holds_secret: false,
        allowed: AllowedNetworks::default(),
        rules: LoginRules::default(),
        misplaced: &|table, name| key_names.misplaced(table, name),
        meant,
    };
    let config = checker.config(file, whole);
    // One fault, one message: what was taken out of the file is not missing besides.
    let mut found = checker.problems.split_off(form);
    found.retain(|problem| {
        let missing = problem.message.starts_with(MISSING);
        let taken_out = |other: &Problem| other.explains(problem);
        let meant = |key: &String| problem.is_about(key);
        let elsewhere =
            || checker.problems.iter().any(taken_out) || checker.meant.iter().any(meant);
        !(broken.has(problem) || missing && elsewhere())
    });
    checker.problems.append(&mut found);
    checker.warnings.retain(|warning| !broken.has(warning));
    checker.problems.sort_by_key(|problem| problem.position);
    let config = Config {
        warnings: checker.warnings,
        advice: checker.advice,
        tables,
        files: checker.files,
        unfinished: checker.unfinished,
        named: checker.named,
        holds_secret: checker.holds_secret,
        ..config
    };
    (config, checker.problems)
}

/// Lines with an error of syntax.
#[derive(Default)]
pub(super) struct BrokenLines(Vec<RangeInclusive<usize>>);

impl BrokenLines {
    /// After a table's header that cannot be read, the keys up to the next one belong nowhere.
    fn add(&mut self, line: usize, text: &str) {
        let header = |text: &&str| text.trim_start().starts_with('[');
        let mut rest = text.lines().skip(line - 1);
        let last = match rest.next().filter(header) {
            Some(_) => line + rest.take_while(|text| !header(text)).count(),
            None => line,
        };
        self.0.push(line..=last);
    }

    fn contains(&self, line: usize) -> bool {
        self.0.iter().any(|lines| lines.contains(&line))
    }

    /// Whether a problem is about one of them.
    pub(super) fn has(&self, problem: &Problem) -> bool {
        problem
            .position
            .is_some_and(|(line, _)| self.contains(line))
    }
}

//------------ Entries of a table --------------------------------------------

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

/// The innermost entry at `span`: one whose key or value stands exactly there, else one whose
/// value holds that position.
fn find(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let around = |other: Range<usize>| other.start <= span.start && span.end <= other.end;
    search(table, |_, key, value| {
        key.span() == *span || value.span() == *span
    })
    .or_else(|| {
        search(table, |_, key, value| {
            around(key.span()) || around(value.span())
        })
    })
}

/// An array where a table belongs: serde would take it for a table without keys.
fn stray_array(table: &DeTable<'_>) -> Option<Vec<Step>> {
    let is_table = |value: &Value<'_>| value.get_ref().is_table();
    let top = table.iter().find_map(|(key, value)| {
        let DeValue::Array(array) = value.get_ref() else {
            return None;
        };
        let right = key.get_ref() == "users" && array.iter().all(is_table);
        // `[[user]]` is an unknown key.
        (!right && advice::is_table(key.get_ref()))
            .then(|| vec![Step::Key(key.get_ref().to_string())])
    });
    let moves = || table.get("moves")?.get_ref().as_table();
    let one_move = || {
        let (name, _) = moves()?
            .iter()
            .find(|(_, value)| value.get_ref().is_array())?;
        Some(vec![
            Step::Key("moves".into()),
            Step::Key(name.get_ref().to_string()),
        ])
    };
    top.or_else(one_move)
}

/// Puts a host without an address instead of one that cannot be read.
fn keep_name(table: &mut DeTable<'_>, name: &str, span: &Range<usize>) {
    let Some(DeValue::Table(hosts)) = table.get_mut("hosts").map(Spanned::get_mut) else {
        return;
    };
    let key = |key: &str| Spanned::new(span.clone(), DeString::from(key.to_owned()));
    let mut host = DeTable::new();
    let moving = DeValue::String("moving".into());
    host.insert(key("state"), Spanned::new(span.clone(), moving));
    hosts.insert(key(name), Spanned::new(span.clone(), DeValue::Table(host)));
}

/// The way to the innermost entry that fits.
fn search(
    table: &DeTable<'_>,
    fits: impl Fn(usize, &Key<'_>, &Value<'_>) -> bool,
) -> Option<Vec<Step>> {
    let mut path = Vec::new();
    search_in(table, 0, &fits, &mut path).then(|| {
        path.reverse();
        path
    })
}

/// Builds the path from its end. toml bounds how deep tables can be.
fn search_in(
    table: &DeTable<'_>,
    depth: usize,
    fits: &impl Fn(usize, &Key<'_>, &Value<'_>) -> bool,
    path: &mut Vec<Step>,
) -> bool {
    let mut inside = |value: &Value<'_>| match value.get_ref() {
        DeValue::Table(table) => search_in(table, depth + 1, fits, path),
        DeValue::Array(array) => array.iter().enumerate().any(|(number, element)| {
            let found = match element.get_ref() {
                DeValue::Table(table) => search_in(table, depth + 1, fits, path),
                _ => false,
            };
            if found {
                path.push(Step::Element(number));
            }
            found
        }),
        _ => false,
    };
    let found = table
        .iter()
        .find(|(key, value)| inside(value) || fits(depth, key, value));
    path.extend(found.map(|(key, _)| Step::Key(key.get_ref().to_string())));
    found.is_some()
}

fn remove<'i>(table: &mut DeTable<'i>, path: &[Step]) -> Option<Spanned<DeValue<'i>>> {
    match path {
        [Step::Key(key)] => table.remove(key.as_str()),
        [Step::Key(key), rest @ ..] => match (table.get_mut(key.as_str())?.get_mut(), rest) {
            (DeValue::Table(inner), rest) => remove(inner, rest),
            (DeValue::Array(array), [Step::Element(number), rest @ ..]) => {
                match array.get_mut(*number)?.get_mut() {
                    DeValue::Table(inner) => remove(inner, rest),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether the table that an entry was in has no other one.
fn is_emptied(table: &DeTable<'_>, path: &[Step]) -> bool {
    match path {
        [Step::Key(key), rest @ ..] if !rest.is_empty() => table
            .get(key.as_str())
            .and_then(|value| value.get_ref().as_table())
            .is_some_and(|inner| is_emptied(inner, rest)),
        _ => table.is_empty(),
    }
}

/// The word in `store` of the entry of `[[users]]` that the path leads into.
fn store_of(table: &DeTable<'_>, path: &[Step]) -> Option<String> {
    let [Step::Key(users), Step::Element(number), ..] = path else {
        return None;
    };
    let entries = table.get(users.as_str())?.get_ref().as_array()?;
    let entry = entries.get(*number)?.get_ref().as_table()?;
    let store = entry.get("store")?.get_ref().as_str()?;
    Some(store.to_owned())
}
