//! The only way markup is written. Tag and attribute names are `&'static str`, so they cannot come
//! from a document; text and attribute values are always escaped.

/// An HTML fragment under construction.
#[derive(Default)]
pub struct Html(String);

impl Html {
    /// An element around whatever `inside` writes. An attribute with an empty value is written
    /// without one (`hidden`).
    pub fn el(
        &mut self,
        tag: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(&mut Html),
    ) -> &mut Html {
        self.void(tag, attributes);
        inside(self);
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
        self
    }

    /// An element that holds only text.
    pub fn leaf(
        &mut self,
        tag: &'static str,
        attributes: &[(&'static str, &str)],
        text: &str,
    ) -> &mut Html {
        self.el(tag, attributes, |h| {
            h.text(text);
        })
    }

    /// A start tag alone: `meta`, `link`, `input`.
    pub fn void(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) -> &mut Html {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            if !value.is_empty() {
                self.0.push_str("=\"");
                self.text(value);
                self.0.push('"');
            }
        }
        self.0.push('>');
        self
    }

    /// Text, safe in an element and in a quoted attribute value alike.
    pub fn text(&mut self, text: &str) -> &mut Html {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// The whole document.
    pub fn into_document(self) -> String {
        format!("<!doctype html>\n{}\n", self.0)
    }

    #[cfg(test)]
    pub fn into_fragment(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn text_and_values_are_escaped() {
        let mut html = Html::default();
        html.leaf("p", &[("title", "\"><x y='"), ("hidden", "")], "<b> & 'c'");
        assert_eq!(
            html.into_fragment(),
            "<p title=\"&quot;&gt;&lt;x y=&#39;\" hidden>&lt;b&gt; &amp; &#39;c&#39;</p>"
        );
    }
}
