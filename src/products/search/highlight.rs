//! Marking what was found, in texts the caller has.

use std::collections::HashSet;
use std::ops::Range;

use super::query::{Spellings, Typed};
use super::text::{Chunk, chunks};

/// Length of a fragment in characters, without its marks and ellipses.
const FRAGMENT_CHARS: usize = 200;
/// Characters shown before the first mark of a fragment.
const LEAD_CHARS: usize = 60;
/// Bytes of a text that are looked at: marks further down are not worth the time.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Marks the words of a query, in every spelling that was accepted, with `<em>`. What it returns is
/// HTML: everything else of the text is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Highlighter {
    words: HashSet<String>,
    /// Beginnings that match: of the last word, and of its joined form.
    beginnings: Vec<String>,
}

impl Highlighter {
    pub(super) fn new(typed: Option<&Typed<'_>>, spellings: &Spellings) -> Highlighter {
        let mut highlighter = Highlighter::default();
        let Some(typed) = typed else {
            return highlighter;
        };
        let words = typed.words().map(|word| word.folded.clone());
        let neighbours = spellings.values().flatten();
        let neighbours = neighbours.map(|neighbour| neighbour.word.clone());
        let joined = typed.chunks.iter().filter_map(|chunk| chunk.joined.clone());
        highlighter.words = words.chain(neighbours).chain(joined).collect();
        let last_chunk = typed.chunks.last();
        let last_joined = last_chunk.and_then(|chunk| chunk.joined.clone());
        let last = typed.last().map(|word| word.folded.clone());
        highlighter.beginnings = last.into_iter().chain(last_joined).collect();
        highlighter
    }

    /// The whole of a short text, such as a title; `None` when nothing in it matches.
    pub fn mark(&self, text: &str) -> Option<String> {
        let text = cut(text, TEXT_BYTES_MAX);
        let marks = self.marks(text);
        (!marks.is_empty()).then(|| render(text, 0..text.len(), &marks))
    }

    /// About 200 characters of a long text around the first match, between `…` where cut off;
    /// `None` when nothing in its first 16 KiB matches.
    pub fn fragment(&self, text: &str) -> Option<String> {
        let text = cut(text, TEXT_BYTES_MAX);
        let marks = self.marks(text);
        let range = fragment_range(text, marks.first()?);
        Some(render(text, range, &marks))
    }

    /// The matching ranges, ascending and apart.
    fn marks(&self, text: &str) -> Vec<Range<usize>> {
        if self.words.is_empty() {
            return Vec::new();
        }
        chunks(text)
            .flat_map(|chunk| self.marks_of(&chunk))
            .collect()
    }

    fn marks_of(&self, chunk: &Chunk) -> Vec<Range<usize>> {
        if chunk
            .joined
            .as_deref()
            .is_some_and(|joined| self.matches(joined))
        {
            return vec![chunk.range()];
        }
        let words = chunk.words.iter();
        let matching = words.filter(|word| self.matches(&word.folded));
        matching.map(|word| word.range.clone()).collect()
    }

    fn matches(&self, word: &str) -> bool {
        let begins = |beginning: &String| word.starts_with(beginning.as_str());
        self.words.contains(word) || self.beginnings.iter().any(begins)
    }
}

/// From [`LEAD_CHARS`] before the first mark, both ends moved inwards to the next space if one is
/// near.
fn fragment_range(text: &str, first: &Range<usize>) -> Range<usize> {
    let before = text[..first.start].char_indices().rev();
    let mut start = before
        .take(LEAD_CHARS)
        .last()
        .map_or(first.start, |(at, _)| at);
    if start > 0
        && let Some(space) = text[start..first.start].find(' ')
    {
        start += space + 1;
    }
    let after = text[start..].char_indices();
    let mut end = after
        .skip(FRAGMENT_CHARS)
        .map(|(at, _)| start + at)
        .next()
        .unwrap_or(text.len());
    if end < text.len()
        && let Some(space) = text[first.start..end].rfind(' ')
    {
        end = (first.start + space).max(first.end);
    }
    start..end.max(first.end)
}

fn render(text: &str, range: Range<usize>, marks: &[Range<usize>]) -> String {
    let mut html = String::with_capacity(range.len() + 64);
    if range.start > 0 {
        html.push('…');
    }
    let mut at = range.start;
    let inside = |mark: &&Range<usize>| mark.start >= range.start && mark.end <= range.end;
    for mark in marks.iter().filter(inside) {
        escape(&text[at..mark.start], &mut html);
        html.push_str("<em>");
        escape(&text[mark.clone()], &mut html);
        html.push_str("</em>");
        at = mark.end;
    }
    escape(&text[at..range.end], &mut html);
    if range.end < text.len() {
        html.push('…');
    }
    html
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highlighter(q: &str) -> Highlighter {
        Highlighter::new(Some(&Typed::parse(q)), &Spellings::new())
    }

    #[test]
    fn marks_whole_words_and_the_unfinished_last_one() {
        let red_lam = highlighter("red lam");
        assert_eq!(
            red_lam.mark("Red Lampshade, reddish").unwrap(),
            "<em>Red</em> <em>Lampshade</em>, reddish"
        );
        assert_eq!(red_lam.mark("Blue chair"), None);
    }

    #[test]
    fn marks_folded_and_joined_forms_where_they_stand() {
        assert_eq!(highlighter("cafe").mark("Café").unwrap(), "<em>Café</em>");
        assert_eq!(
            highlighter("tlight").mark("a T-Light holder").unwrap(),
            "a <em>T-Light</em> holder"
        );
        assert_eq!(
            highlighter("wi-fi").mark("WiFi plug").unwrap(),
            "<em>WiFi</em> plug"
        );
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            highlighter("lamp").mark("<b>lamp</b> & \"it's\"").unwrap(),
            "&lt;b&gt;<em>lamp</em>&lt;/b&gt; &amp; &quot;it&#39;s&quot;"
        );
        assert_eq!(
            highlighter("script").mark("<script>").unwrap(),
            "&lt;<em>script</em>&gt;"
        );
    }

    #[test]
    fn a_fragment_is_cut_around_the_first_match() {
        let text = format!("{}a lamp {}", "before ".repeat(40), "behind ".repeat(60));
        let fragment = highlighter("lamp").fragment(&text).unwrap();
        assert!(fragment.starts_with("…before "), "{fragment}");
        assert!(fragment.contains("a <em>lamp</em> behind"), "{fragment}");
        assert!(fragment.ends_with("behind…"), "{fragment}");
        assert!(fragment.chars().count() <= FRAGMENT_CHARS + 11);
        assert_eq!(
            highlighter("lamp").fragment("lamp").unwrap(),
            "<em>lamp</em>"
        );
    }

    #[test]
    fn fragments_keep_to_character_boundaries() {
        for lead in 0..80 {
            let text = format!("{}lamp{}", "ü".repeat(lead) + " ", " é€😀".repeat(100));
            assert!(highlighter("lamp").fragment(&text).is_some());
        }
        let long = "ü".repeat(TEXT_BYTES_MAX);
        assert_eq!(highlighter("lamp").fragment(&long), None);
    }
}
