use super::*;

/// Counted from the beginning.
fn counted(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.rsplit('\n').next().unwrap();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[test]
fn places_are_those_that_counting_finds() {
    let lines = format!("a\n\nüß {}\n", "ö".repeat(700));
    for text in [
        String::new(),
        "\n".to_owned(),
        "x".repeat(MILESTONE_BYTES - 1) + "\n" + &"y".repeat(3 * MILESTONE_BYTES),
        "\n".repeat(2 * MILESTONE_BYTES),
        lines.repeat(5),
    ] {
        let source = Source::new(Path::new("file"), &text);
        for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
            assert_eq!(source.position(offset), counted(&text, offset), "{offset}");
        }
        assert_eq!(source.position(usize::MAX), counted(&text, text.len()));
    }
}
