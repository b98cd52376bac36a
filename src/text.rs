//! Text that people read.

/// Whether `text` stays within its line: no control characters, no separators of lines, nor marks that turn the
/// direction of what stands around it (Unicode Standard Annex 9 §2), by which a name can be made to read as another one.
///
/// And whether it shows anything, unless it is empty.
pub fn is_line(text: &str) -> bool {
    let leaves = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = !text.chars().any(|c| c.is_control() || leaves(c));
    plain && (text.is_empty() || text.chars().any(shows))
}

/// Whether a character shows: it is no space, and not of those that are left out where they are not understood
/// (`Default_Ignorable_Code_Point` of the Unicode Character Database).
fn shows(c: char) -> bool {
    let ignorable = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_whitespace() && !ignorable
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
            "\u{1f46a}",
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
            " ",
            "\u{200b}",
            "\u{feff}\u{ad}",
            "\u{3164}",
        ] {
            assert!(!is_line(other), "{other:?}");
        }
    }
}
