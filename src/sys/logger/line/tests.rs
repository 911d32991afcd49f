use super::*;

struct Sample<'a>(&'a [u8], usize);

impl Event for Sample<'_> {
    const NAME: &'static str = "sample";

    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result {
        take("text", Value::Text(self.0, self.1))?;
        take("word", Value::Word(&"imap"))?;
        take("number", Value::Number(&0.215))?;
        take("nothing", Value::Absent)
    }
}

fn json(text: &[u8], room: usize) -> String {
    let json = Json(&Sample(text, room)).to_string();
    let start = ",\"event\":\"sample\",\"text\":\"";
    let end = "\",\"word\":\"imap\",\"number\":0.215,\"nothing\":null";
    let text = json.strip_prefix(start).unwrap();
    text.strip_suffix(end).expect(text).to_owned()
}

#[test]
fn an_event_as_text() {
    assert_eq!(
        Logfmt(&Sample(b"a \"b\"", 99)).to_string(),
        "sample text=\"a \\\"b\\\"\" word=imap number=0.215 nothing=-"
    );
}

#[test]
fn every_byte_can_be_told_from_the_json_value() {
    for (bytes, escaped) in [
        (&b"alice"[..], "alice"),
        (b"o'brien", "o'brien"),
        (b"a\"b", r#"a\"b"#),
        (b"a\\xe9", r"a\\\\xe9"),
        (b"a\xe9", r"a\\xe9"),
        ("m\u{fc}ller".as_bytes(), r"m\u00fcller"),
        ("\u{1f600}".as_bytes(), r"\ud83d\ude00"),
        (b"\xf0\x9f\x98", r"\\xf0\\x9f\\x98"),
        // A surrogate is no UTF-8.
        (b"\xed\xa0\x80", r"\\xed\\xa0\\x80"),
        (b"\0\r\n\x1b\x7f", r"\u0000\u000d\u000a\u001b\u007f"),
        ("\u{202e}\u{2028}".as_bytes(), r"\u202e\u2028"),
    ] {
        assert_eq!(json(bytes, 254), escaped);
    }
}

#[test]
fn a_json_value_is_cut_off_between_escapes() {
    for (bytes, room, escaped) in [
        (&b"alice"[..], 5, "alice"),
        (b"alice", 4, "alic..."),
        (b"a\xe9b", 5, r"a..."),
        (b"a\xe9b", 6, r"a\\xe9..."),
        ("\u{1f600}".as_bytes(), 11, "..."),
        (b"\\\\", 7, r"\\\\..."),
    ] {
        assert_eq!(json(bytes, room), escaped, "{room}");
    }
    assert!(json(&[0xff; 5000], 254).len() <= 257);
    assert!(json(&[0; 5000], 254).len() <= 257);
}

#[test]
fn a_message_is_one_line_in_both_forms() {
    let message = format_args!("a \"b\" \\\nc\t{}\u{e9}\u{85}", "\r");
    assert_eq!(
        OneLine(message).to_string(),
        "a \"b\" \\\\nc\\t\\r\u{e9}\\u{85}"
    );
    assert_eq!(
        JsonText(message).to_string(),
        r#"a \"b\" \\\u000ac\u0009\u000d\u00e9\u0085"#
    );
}
