//! The fields of one line, of which some change and the others stay as they are.

use zeroize::Zeroizing;

/// The number of colons before the extra fields.
const COLONS_BEFORE_EXTRA: usize = 6;

/// A line, split around its password field and before its extra fields.
pub(super) struct Parts<'a> {
    login: &'a [u8],
    /// The password field.
    pub(super) stored: Zeroizing<Vec<u8>>,
    /// The fields between the password and the extra fields, each with the colon before it.
    middle: Vec<u8>,
    /// The extra fields; `None` if the line ends before them.
    extra: Option<Vec<u8>>,
}

impl<'a> Parts<'a> {
    /// Splits a line without its line end.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let mut fields = line.splitn(COLONS_BEFORE_EXTRA + 2, |byte| *byte == b':');
        let login = fields.next().unwrap_or_default();
        let stored = Zeroizing::new(fields.next().unwrap_or_default().to_vec());
        let mut fields: Vec<&[u8]> = fields.collect();
        let extra = match fields.len() == COLONS_BEFORE_EXTRA {
            true => fields.pop().map(<[u8]>::to_vec),
            false => None,
        };
        Self {
            login,
            stored,
            middle: fields
                .iter()
                .flat_map(|field| [b":", *field].concat())
                .collect(),
            extra,
        }
    }

    /// The whole line.
    pub(super) fn joined(&self) -> Zeroizing<Vec<u8>> {
        let mut line = [self.login, b":", &self.stored, &self.middle].concat();
        if let Some(extra) = &self.extra {
            line.push(b':');
            line.extend_from_slice(extra);
        }
        Zeroizing::new(line)
    }

    /// Whether there is an extra field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        let extra = self.extra.as_deref().unwrap_or_default();
        split(extra).any(|field| is(field, name))
    }

    /// Adds an extra field, in place of one of the same name.
    pub(super) fn set(&mut self, field: &str) {
        let name = field.split('=').next().unwrap_or_default();
        self.remove(name);
        let colons = self.middle.iter().filter(|byte| **byte == b':').count();
        let missing = (COLONS_BEFORE_EXTRA - 1).saturating_sub(colons);
        self.middle.extend(std::iter::repeat_n(b':', missing));
        let extra = self.extra.get_or_insert_default();
        if !extra.is_empty() && !extra.ends_with(b" ") {
            extra.push(b' ');
        }
        extra.extend_from_slice(field.as_bytes());
    }

    /// Removes all extra fields of this name. If no other field behind the password is left, their colons
    /// go too.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(extra) = self.extra.as_deref().filter(|_| self.has(name)) else {
            return;
        };
        let kept: Vec<&[u8]> = split(extra).filter(|field| !is(field, name)).collect();
        let kept = kept.join(&b' ');
        let blank = kept.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if blank && self.middle.iter().all(|byte| *byte == b':') {
            self.middle.clear();
            self.extra = None;
        } else {
            self.extra = Some(kept);
        }
    }
}

fn split(extra: &[u8]) -> impl Iterator<Item = &[u8]> {
    extra.split(|byte| matches!(byte, b' ' | b'\t'))
}

fn is(field: &[u8], name: &str) -> bool {
    let end = field.iter().position(|byte| *byte == b'=');
    &field[..end.unwrap_or(field.len())] == name.as_bytes()
}

/// A line of its own.
pub(super) fn new_line(login: &[u8], stored: &str, extra: &[String]) -> Zeroizing<Vec<u8>> {
    let line = [login, b":", stored.as_bytes()].concat();
    let line = Zeroizing::new(line);
    let mut parts = Parts::of(&line);
    for field in extra {
        parts.set(field);
    }
    parts.joined()
}
