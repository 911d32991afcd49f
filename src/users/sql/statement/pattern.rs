//! Which operator takes a placeholder for a pattern: then a login such as `%` would be anybody.
//!
//! It looks at words and brackets alone, and so behind functions too: `LIKE LOWER({login})`.

use super::Dialect;
use crate::users::placeholder::foreign::is_word;

/// Operators that take what follows for a pattern.
const OPERATORS: [&str; 8] = [
    "like", "ilike", "rlike", "regexp", "glob", "match", "similar", "to",
];

/// Words that a pattern cannot go beyond.
const ENDS: [&str; 16] = [
    "and", "or", "where", "having", "then", "when", "else", "end", "select", "from", "union",
    "group", "order", "limit", "on", "escape",
];

/// What precedes the next placeholder.
pub(super) struct Pattern {
    dialect: Dialect,
    /// How many brackets are open.
    depth: usize,
    /// The last operator, and how many brackets are open there.
    operator: Option<(String, usize)>,
    /// Whether an operator of PostgreSQL is directly before.
    tilde: bool,
}

impl Pattern {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            depth: 0,
            operator: None,
            tilde: false,
        }
    }

    /// Takes in the text up to the next placeholder.
    pub(super) fn read(&mut self, text: &str) {
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if word > 0 {
                self.word(rest.get(..word).unwrap_or_default());
            } else {
                self.symbol(next);
            }
            rest = rest.get(word.max(next.len_utf8())..).unwrap_or_default();
        }
        // PostgreSQL 15, 9.7: also `~*`, `!~`, `~~`, `!~~*` and the like.
        let end = text.trim_end();
        self.tilde = end.ends_with('~') || end.ends_with("~*");
    }

    /// The operator that would take a placeholder here for a pattern.
    pub(super) fn operator(&self) -> Option<&str> {
        if self.tilde && self.dialect == Dialect::Postgres {
            return Some("~");
        }
        let (operator, _) = self.operator.as_ref()?;
        Some(operator)
    }

    fn word(&mut self, word: &str) {
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        if OPERATORS.iter().any(is) {
            self.operator = Some((word.to_owned(), self.depth));
        } else if ENDS.iter().any(is) {
            self.operator = None;
        }
    }

    fn symbol(&mut self, symbol: char) {
        let depth = self.depth;
        let is_of_pattern = self.operator.as_ref().is_some_and(|(_, at)| *at >= depth);
        match symbol {
            '(' => self.depth += 1,
            ')' => self.depth = depth.saturating_sub(1),
            ',' => {}
            _ => return,
        }
        if symbol != '(' && is_of_pattern {
            self.operator = None;
        }
    }
}
