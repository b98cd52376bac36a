//! How text becomes words. Indexing, querying and highlighting all read text through [`chunks`],
//! so what is found is what is marked.
//!
//! A *word* is a run of letters and digits, folded: lower case, without accents, in Latin letters
//! where a transliteration exists ("Über" and "uber" are one word). Han and Kana characters are
//! words of their own, since their scripts do not separate words. A *chunk* is what stands between
//! spaces: `T-Light` is the words `t` and `light`, and also their joined form `tlight`, so that
//! "wi-fi", "wifi", "TP-100" and "tp100" find each other.

use std::ops::Range;

use deunicode::deunicode_char;

/// Characters of a word that count; what follows is cut off, alike in the index and in queries.
pub(super) const WORD_CHARS_MAX: usize = 40;

/// A folded word and the bytes of the text it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub folded: String,
    pub range: Range<usize>,
}

impl Word {
    pub fn has_digit(&self) -> bool {
        self.folded.bytes().any(|byte| byte.is_ascii_digit())
    }
}

/// One or more words with nothing but joining marks (`-`, `_`, `.`, `/`, `&`, `+`) between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Never empty.
    pub words: Vec<Word>,
    /// The words without the marks between them, where there are at least two and they fit.
    pub joined: Option<String>,
}

impl Chunk {
    pub fn range(&self) -> Range<usize> {
        let start = self.words.first().map_or(0, |word| word.range.start);
        let end = self.words.last().map_or(0, |word| word.range.end);
        start..end
    }
}

/// Splits `text` into chunks. Linear in the length of the text and total: any text is fine.
pub(super) fn chunks(text: &str) -> Chunks<'_> {
    Chunks {
        chars: text.char_indices().peekable(),
    }
}

/// The folded form of a whole text: its words with one space between. Used to sort by title.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in chunks(text).flat_map(|chunk| chunk.words) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(&word.folded);
    }
    folded
}

pub(super) struct Chunks<'t> {
    chars: std::iter::Peekable<std::str::CharIndices<'t>>,
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let mut words = Vec::new();
        loop {
            match self.chars.peek().map(|&(_, c)| class(c)) {
                None => break,
                Some(Class::Letter | Class::Ideograph) => words.extend(self.word()),
                Some(Class::Joiner | Class::Mark | Class::Apostrophe) => {
                    self.chars.next();
                    continue;
                }
                Some(Class::Other) => {
                    self.chars.next();
                    if words.is_empty() {
                        continue;
                    }
                    break;
                }
            }
            // Ideographs have no joined form: every one ends its chunk.
            if words.last().is_some_and(ends_chunk) {
                break;
            }
        }
        (!words.is_empty()).then(|| Chunk {
            joined: join(&words),
            words,
        })
    }
}

impl Chunks<'_> {
    /// Reads one word; `None` where its characters fold to nothing.
    fn word(&mut self) -> Option<Word> {
        let (start, first) = self.chars.next()?;
        let mut end = start + first.len_utf8();
        let mut folded = String::new();
        let mut left = WORD_CHARS_MAX;
        push_folded(first, &mut folded, &mut left);
        if class(first) == Class::Ideograph {
            return Some(Word {
                folded,
                range: start..end,
            });
        }
        while let Some(&(at, c)) = self.chars.peek() {
            match class(c) {
                Class::Letter => push_folded(c, &mut folded, &mut left),
                Class::Mark | Class::Apostrophe => {}
                _ => break,
            }
            if class(c) != Class::Apostrophe {
                end = at + c.len_utf8();
            }
            self.chars.next();
        }
        (!folded.is_empty()).then_some(Word {
            folded,
            range: start..end,
        })
    }
}

fn ends_chunk(word: &Word) -> bool {
    word.folded.chars().next().is_some_and(is_ideograph)
}

fn join(words: &[Word]) -> Option<String> {
    let joined: String = words.iter().map(|word| word.folded.as_str()).collect();
    (words.len() > 1 && joined.chars().count() <= WORD_CHARS_MAX).then_some(joined)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Ideograph,
    /// An accent standing alone, or an invisible hyphen: part of the word, without a letter.
    Mark,
    Apostrophe,
    Joiner,
    Other,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Class::Letter,
        '-' | '_' | '.' | '/' | '&' | '+' | '\u{2010}' | '\u{2011}' => Class::Joiner,
        '\'' | '\u{2019}' | '\u{2bc}' => Class::Apostrophe,
        '\0'..='\u{7f}' => Class::Other,
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{fe0f}' => Class::Mark,
        c if is_ideograph(c) => Class::Ideograph,
        c if c.is_alphanumeric() => Class::Letter,
        _ => Class::Other,
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2ffff}')
}

/// Appends the folded form of `c`, at most `left` characters of it.
fn push_folded(c: char, folded: &mut String, left: &mut usize) {
    let mut push = |c: char| {
        if *left > 0 {
            *left -= 1;
            folded.push(c);
        }
    };
    if c.is_ascii() {
        return push(c.to_ascii_lowercase());
    }
    match deunicode_char(c) {
        Some(latin) if !is_ideograph(c) => latin
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .for_each(|c| push(c.to_ascii_lowercase())),
        _ => c.to_lowercase().for_each(push),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        chunks(text)
            .flat_map(|chunk| chunk.words)
            .map(|word| word.folded)
            .collect()
    }

    fn joined(text: &str) -> Vec<String> {
        chunks(text).filter_map(|chunk| chunk.joined).collect()
    }

    #[test]
    fn folds_case_and_accents() {
        assert_eq!(words("Crème BRÛLÉE Straße"), ["creme", "brulee", "strasse"]);
        assert_eq!(words("cafe\u{301}s"), ["cafes"]);
        assert_eq!(words("Лампа"), ["lampa"]);
    }

    #[test]
    fn splits_at_marks_and_joins_what_stands_together() {
        assert_eq!(words("T-Light, (red/blue)"), ["t", "light", "red", "blue"]);
        assert_eq!(joined("T-Light (red/blue)"), ["tlight", "redblue"]);
        assert_eq!(joined("TP_100.5"), ["tp1005"]);
        assert_eq!(joined("lamp - red"), Vec::<String>::new());
    }

    #[test]
    fn an_apostrophe_is_not_a_boundary() {
        assert_eq!(
            words("men's l’Oréal 'quoted'"),
            ["mens", "loreal", "quoted"]
        );
        let quoted = chunks("'quoted'").next().unwrap();
        assert_eq!(quoted.range(), 1..7);
    }

    #[test]
    fn ideographs_are_words() {
        assert_eq!(words("无线mouse"), ["无", "线", "mouse"]);
    }

    #[test]
    fn hostile_text_has_no_words_or_short_ones() {
        assert_eq!(words(&"*".repeat(256)), Vec::<String>::new());
        assert_eq!(words("\u{300}\u{300} '' -- \u{200d}"), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(65_535)), ["x".repeat(WORD_CHARS_MAX)]);
    }

    #[test]
    fn ranges_point_at_the_text() {
        let text = "Ein Übergrößen-Hemd!";
        let found: Vec<_> = chunks(text)
            .flat_map(|chunk| chunk.words)
            .map(|word| &text[word.range])
            .collect();
        assert_eq!(found, ["Ein", "Übergrößen", "Hemd"]);
    }
}
