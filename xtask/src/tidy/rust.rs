//! Rust text taken apart into code and string literals: as much of the grammar as it takes not to
//! mistake a comment or a string for code.

/// A source file in two parts.
pub struct Source {
    /// The text with comments and the insides of literals blanked out; lines stay where they are.
    pub code: String,
    /// The string literals as written, escapes and all, with the line on which each begins.
    pub strings: Vec<(usize, String)>,
}

impl Source {
    pub fn read(text: &str) -> Source {
        let mut reader = Reader {
            rest: text,
            line: 1,
            source: Source::empty(),
        };
        while !reader.rest.is_empty() {
            reader.next();
        }
        reader.source
    }

    fn empty() -> Source {
        Source {
            code: String::new(),
            strings: Vec::new(),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    source: Source,
}

impl Reader<'_> {
    /// Takes one comment, literal or character of code.
    fn next(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(block_comment(rest));
        } else if let Some(hashes) = self.raw_string_here() {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = 2 + hashes;
            let inside = rest[open..].find(&close).unwrap_or(rest.len() - open);
            self.string(open, inside, close.len());
        } else if let Some(inside) = rest.strip_prefix('"') {
            self.string(1, unescaped(inside, '"'), 1);
        } else if rest.starts_with('\'') {
            self.blank(char_literal(rest));
        } else {
            let first = rest.chars().next().map_or(0, char::len_utf8);
            self.keep(first);
        }
    }

    /// The number of `#` of a raw string that begins here. The `r` of a name (`for"`) is none.
    fn raw_string_here(&self) -> Option<usize> {
        let after = self.rest.strip_prefix('r')?;
        let before = self.source.code.chars().next_back();
        let prefix = before.is_some_and(|c| c == 'b' || c == 'c');
        if !prefix && before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let hashes = after.len() - after.trim_start_matches('#').len();
        after[hashes..].starts_with('"').then_some(hashes)
    }

    fn string(&mut self, open: usize, inside: usize, close: usize) {
        let text = self.rest[open..open + inside].to_owned();
        self.source.strings.push((self.line, text));
        self.keep(open);
        self.blank(inside);
        self.keep(close.min(self.rest.len()));
    }

    fn keep(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.source.code.push_str(taken);
        self.rest = rest;
    }

    fn blank(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.source
            .code
            .extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of the comment that `text` begins with; comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The bytes before the first `end` that no backslash escapes.
fn unescaped(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal that `text` begins with; 1 if it is a lifetime, for its quote.
fn char_literal(text: &str) -> usize {
    let inside = &text[1..];
    if inside.starts_with('\\') {
        return (unescaped(inside, '\'') + 2).min(text.len());
    }
    let first = inside.chars().next().map_or(0, char::len_utf8);
    match inside[first..].starts_with('\'') {
        true => first + 2,
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, strings: &[(usize, &str)]) {
        let source = Source::read(text);
        assert_eq!(source.code, code);
        let found: Vec<_> = source
            .strings
            .iter()
            .map(|(l, s)| (*l, s.as_str()))
            .collect();
        assert_eq!(found, strings);
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc", &[]);
        check("a /* b /* c */ \n d */ e", "a              \n      e", &[]);
    }

    #[test]
    fn strings_are_taken_out() {
        check(
            r#"f("a \" // b", x)"#,
            "f(\"         \", x)",
            &[(1, r#"a \" // b"#)],
        );
        check("\nr#\"a\"b\"#;", "\nr#\"   \"#;", &[(2, "a\"b")]);
        check("br\"\\\";", "br\" \";", &[(1, "\\")]);
        check(
            "\"é\nb\"\n\"c\"",
            "\" \n \"\n\" \"",
            &[(1, "é\nb"), (3, "c")],
        );
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_no_string() {
        check(
            r#"'"' 'a '\'' '\\' "s""#,
            r#"     a           " ""#,
            &[(1, "s")],
        );
        check("fn f<'a>(x: &'a str)", "fn f< a>(x: & a str)", &[]);
    }

    #[test]
    fn what_is_cut_off_ends_the_file() {
        check("\"abc", "\"   ", &[(1, "abc")]);
        check("r##\"abc\"#", "r##\"     ", &[(1, "abc\"#")]);
        check("'\\", "  ", &[]);
    }
}
