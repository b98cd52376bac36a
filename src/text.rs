//! Text that people read.

/// Whether `text` stays within its line: no control characters, no separators of lines, nor marks that turn the direction of what stands around
/// it (Unicode Standard Annex 9 §2), by which a name can be made to read as another one.
pub fn is_line(text: &str) -> bool {
    let leaves = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|c| c.is_control() || leaves(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_one_direction() {
        for line in [
            "",
            "Till 1",
            "\u{5e7}\u{5d5}\u{5e4}\u{5d4}",
            "a\u{200d}b",
            "<b>",
        ] {
            assert!(is_line(line), "{line:?}");
        }
        for other in [
            "a\nb",
            "a\u{2028}b",
            "a\u{2029}",
            "a\u{0}",
            "a\u{202e}b",
            "\u{2067}a",
        ] {
            assert!(!is_line(other), "{other:?}");
        }
    }
}
