//! The part of CommonMark that descriptions use: paragraphs, `- ` lists, fenced code, `` `code` ``,
//! `**strong**` and `[links](…)`. Anything else, raw HTML too, is shown as the text it is.

use super::html::Html;

/// Writes `markdown` as blocks.
pub fn write(h: &mut Html, markdown: &str) {
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with("```") {
            let code: Vec<&str> = lines
                .by_ref()
                .take_while(|l| !l.starts_with("```"))
                .collect();
            h.leaf("pre", &[], &code.join("\n"));
        } else if let Some(first) = line.strip_prefix("- ") {
            let mut items = vec![first.to_owned()];
            while let Some(next) = lines.next_if(|l| !l.trim().is_empty()) {
                match (next.strip_prefix("- "), items.last_mut()) {
                    (None, Some(last)) => {
                        last.push(' ');
                        last.push_str(next.trim());
                    }
                    (item, _) => items.push(item.unwrap_or(next).to_owned()),
                }
            }
            h.el("ul", &[], |h| {
                for item in &items {
                    h.el("li", &[], |h| inline(h, item));
                }
            });
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) = lines
                .next_if(|l| !l.trim().is_empty() && !l.starts_with("- ") && !l.starts_with("```"))
            {
                paragraph.push(' ');
                paragraph.push_str(next.trim());
            }
            h.el("p", &[], |h| inline(h, &paragraph));
        }
    }
}

/// Writes the inline marks of one line.
pub fn inline(h: &mut Html, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        h.text(&rest[..at]);
        rest = &rest[at..];
        rest = match mark(h, rest) {
            Some(after) => after,
            None => {
                h.text(&rest[..1]); // the three marks are one byte each
                &rest[1..]
            }
        };
    }
    h.text(rest);
}

/// Writes the mark `text` starts with and returns what follows it; `None` when it is not closed.
fn mark<'a>(h: &mut Html, text: &'a str) -> Option<&'a str> {
    if let Some(code) = text.strip_prefix('`') {
        let (code, after) = code.split_once('`')?;
        h.leaf("code", &[], code);
        return Some(after);
    }
    if let Some(strong) = text.strip_prefix("**") {
        let (strong, after) = strong.split_once("**")?;
        h.leaf("strong", &[], strong);
        return Some(after);
    }
    let (label, after) = text.strip_prefix('[')?.split_once("](")?;
    let (address, after) = after.split_once(')')?;
    if !is_safe_address(address) {
        return None;
    }
    h.leaf("a", &[("href", address)], label);
    Some(after)
}

/// Only pages and places on pages: no `javascript:`, no other host by `//host`.
fn is_safe_address(address: &str) -> bool {
    let local =
        address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\");
    local
        || address.starts_with('#')
        || address.starts_with("https://")
        || address.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, html: &str) {
        let mut h = Html::default();
        write(&mut h, markdown);
        assert_eq!(h.into_fragment(), html);
    }

    #[test]
    fn blocks_and_marks() {
        check(
            "a `b<` **c**\nd",
            "<p>a <code>b&lt;</code> <strong>c</strong> d</p>",
        );
        check(
            "x\n- one\n  more\n- two\n\ny",
            "<p>x</p><ul><li>one more</li><li>two</li></ul><p>y</p>",
        );
        check("```sh\na\n\nb\n```", "<pre>a\n\nb</pre>");
        check(
            "[t](#a) [u](/p/é)",
            "<p><a href=\"#a\">t</a> <a href=\"/p/é\">u</a></p>",
        );
    }

    #[test]
    fn what_is_not_a_mark_stays_text() {
        check("2 * 3 ` [x", "<p>2 * 3 ` [x</p>");
        check(
            "[t](javascript:alert(1))",
            "<p>[t](javascript:alert(1))</p>",
        );
        check("[t](//evil.example)", "<p>[t](//evil.example)</p>");
    }
}
