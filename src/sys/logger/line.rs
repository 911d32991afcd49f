//! The form of a line: text whose fields are logfmt, or a JSON object.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use log::Level;

use super::Quoted;

/// The name of the program in each line.
const PROGRAM: &str = "nginx-mail-auth";

/// Longer than the line of an ordinary decision, in bytes.
const USUAL_LINE: usize = 256;

/// The form of the lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Text; the fields of an event are logfmt.
    #[default]
    Logfmt,
    /// A JSON object.
    Json,
}

/// Whether lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);
/// Whether the journal reads the lines, and takes their priority from their start.
static PRIORITIES: AtomicBool = AtomicBool::new(false);

/// From now on lines have this form.
pub(super) fn set_form(form: Form) {
    JSON.store(form == Form::Json, Ordering::Relaxed);
}

/// From now on lines begin with their priority (sd-daemon(3)).
pub(super) fn set_priorities() {
    PRIORITIES.store(true, Ordering::Relaxed);
}

/// The value of a field.
pub enum Value<'a> {
    /// Untrusted bytes, cut off after this number of characters of their written form.
    Text(&'a [u8], usize),
    /// A word or an address that this program writes. It needs no escapes.
    Word(&'a dyn fmt::Display),
    /// A number.
    Number(&'a dyn fmt::Display),
    /// There is no value.
    Absent,
}

/// Takes the name and the value of one field.
pub type TakeField<'a> = dyn FnMut(&str, Value<'_>) -> fmt::Result + 'a;

/// Something that happened, with fields for other programs.
pub trait Event {
    /// The kind of the event.
    const NAME: &'static str;
    /// Whether a line of text begins with the name.
    const NAMED: bool = true;

    /// Passes on each field in order.
    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result;
}

/// An event as text: `NAME field=value field=value`.
pub struct Logfmt<'a, E>(pub &'a E);

impl<E: Event> fmt::Display for Logfmt<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if E::NAMED {
            f.write_str(E::NAME)?;
            before = " ";
        }
        self.0.fields(&mut |name, value| {
            write!(f, "{before}{name}=")?;
            before = " ";
            match value {
                Value::Text(bytes, room) => Quoted(bytes, room).fmt(f),
                Value::Word(value) | Value::Number(value) => value.fmt(f),
                Value::Absent => f.write_str("-"),
            }
        })
    }
}

/// The fields of an event in a JSON object: `,"event":"NAME","field":"value"`.
struct Json<'a, E>(&'a E);

impl<E: Event> fmt::Display for Json<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ",\"event\":\"{}\"", E::NAME)?;
        self.0.fields(&mut |name, value| {
            write!(f, ",\"{name}\":")?;
            match value {
                Value::Text(bytes, room) => {
                    f.write_char('"')?;
                    escape_bytes(f, bytes, room)?;
                    f.write_char('"')
                }
                Value::Word(value) => write!(f, "\"{value}\""),
                Value::Number(value) => value.fmt(f),
                Value::Absent => f.write_str("null"),
            }
        })
    }
}

/// Bytes as the content of a JSON string, in at most `room` characters and `...`. A byte that is
/// not UTF-8 becomes `\xHH` in the value, and a backslash two of them: different bytes have
/// different values, and any JSON parser reads them.
fn escape_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8], mut room: usize) -> fmt::Result {
    let mut put = |f: &mut fmt::Formatter<'_>, piece: &str| {
        let fits = room.checked_sub(piece.len());
        room = fits.unwrap_or(0);
        match fits {
            Some(_) => f.write_str(piece).map(|()| true),
            None => f.write_str("...").map(|()| false),
        }
    };
    let mut piece = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            piece.clear();
            match character {
                '\\' => piece.push_str(r"\\\\"),
                other => escape_char(&mut piece, other)?,
            }
            if !put(f, &piece)? {
                return Ok(());
            }
        }
        for byte in chunk.invalid() {
            piece.clear();
            write!(piece, r"\\x{byte:02x}")?;
            if !put(f, &piece)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A character in a JSON string: everything except printable ASCII is escaped.
fn escape_char(out: &mut impl fmt::Write, character: char) -> fmt::Result {
    match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str(r"\\"),
        ' '..='~' => out.write_char(character),
        other => {
            let mut units = [0; 2];
            let mut units = other.encode_utf16(&mut units).iter();
            units.try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        }
    }
}

/// Text as the content of a JSON string.
struct JsonText<'a>(fmt::Arguments<'a>);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let mut characters = text.chars();
                characters.try_for_each(|character| escape_char(self.0, character))
            }
        }
        write!(Escaping(f), "{}", self.0)
    }
}

/// Text on one line: control characters are escaped.
struct OneLine<'a>(fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for part in text.split_inclusive(char::is_control) {
                    let end = part.char_indices().next_back();
                    match end.filter(|(_, last)| last.is_control()) {
                        Some((at, last)) => {
                            self.0.write_str(part.get(..at).unwrap_or_default())?;
                            write!(self.0, "{}", last.escape_default())?;
                        }
                        None => self.0.write_str(part)?,
                    }
                }
                Ok(())
            }
        }
        write!(Escaping(f), "{}", self.0)
    }
}

/// A whole line with a message.
pub(super) fn of_message(level: Level, message: fmt::Arguments<'_>) -> Vec<u8> {
    match JSON.load(Ordering::Relaxed) {
        false => text(level, OneLine(message)),
        true => object(
            level,
            format_args!(",\"message\":\"{}\"", JsonText(message)),
        ),
    }
}

/// A whole line with an event.
pub(super) fn of_event<E: Event>(level: Level, event: &E) -> Vec<u8> {
    match JSON.load(Ordering::Relaxed) {
        false => text(level, Logfmt(event)),
        true => object(level, Json(event)),
    }
}

fn text(level: Level, content: impl fmt::Display) -> Vec<u8> {
    let pid = std::process::id();
    let now = jiff::Timestamp::now();
    whole(
        level,
        format_args!("{now:.0} {level} {PROGRAM}[{pid}]: {content}"),
    )
}

fn object(level: Level, members: impl fmt::Display) -> Vec<u8> {
    let pid = std::process::id();
    let now = jiff::Timestamp::now();
    let word = level.as_str().to_ascii_lowercase();
    whole(
        level,
        format_args!(
            "{{\"time\":\"{now:.0}\",\"level\":\"{word}\",\"program\":\"{PROGRAM}\",\"pid\":{pid}{members}}}"
        ),
    )
}

fn whole(level: Level, line: fmt::Arguments<'_>) -> Vec<u8> {
    let mut text = String::with_capacity(USUAL_LINE);
    // Writing to memory does not fail.
    let _ = writeln!(text, "{}{line}", priority(level));
    text.into_bytes()
}

/// The priority of a line for the journal; nothing for any other reader.
pub(super) fn priority(level: Level) -> &'static str {
    match (PRIORITIES.load(Ordering::Relaxed), level) {
        (false, _) => "",
        (true, Level::Error) => "<3>",
        (true, Level::Warn) => "<4>",
        (true, Level::Info) => "<6>",
        (true, Level::Debug | Level::Trace) => "<7>",
    }
}

#[cfg(test)]
mod tests;
