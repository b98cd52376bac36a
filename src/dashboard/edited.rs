//! A form over something that exists: what its page showed, what was typed, and what is there now.

use super::fields::Fields;
use super::wrong::{Wrong, label_of_field};
use platform::http::{Problem, codes};

/// What the name of a field begins with that says what the page showed.
const SEEN: &str = "was.";
/// Characters of a stored value that are told beside what was typed.
const TOLD_CHARS_MAX: usize = 300;

/// Names and values of a form's fields, in order. Lines end as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<(String, String)>);

/// A field that somebody else changed while the form was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub field: String,
    /// What the form calls it.
    pub label: String,
    /// What is stored now; `None` when there is no such field any more.
    pub now: Option<String>,
    /// Whether it was changed in the form too: then the form keeps what was typed.
    pub both: bool,
}

impl Values {
    pub fn set(&mut self, name: impl Into<String>, value: impl AsRef<str>) {
        let value = value.as_ref().replace("\r\n", "\n");
        self.0.push((name.into(), value));
    }

    /// Sets a field that may be there already.
    pub fn put(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.set(name, value),
        }
    }

    /// Empty for a field that is not there.
    pub fn of(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    fn find(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().find(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The keys of price rows, in order: of `price.KEY.amount`.
    pub fn price_keys(&self) -> Vec<String> {
        let amounts = self.0.iter().filter_map(|(name, _)| {
            let key = name.strip_prefix("price.")?.strip_suffix(".amount")?;
            Some(key.to_owned())
        });
        amounts.collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// What a form brought.
#[derive(Clone, Debug, Default)]
pub struct Edited {
    /// What its page showed.
    pub seen: Values,
    pub typed: Values,
}

impl Edited {
    /// Reads a form.
    pub fn of(fields: &Fields) -> Edited {
        let mut edited = Edited::default();
        for (name, value) in fields.iter() {
            match name.strip_prefix(SEEN) {
                Some(name) => edited.seen.set(name, value),
                None => edited.typed.set(name, value.trim()),
            }
        }
        edited
    }

    /// Whether what is stored `now` is as the form's page showed it, or as it was typed.
    pub fn fits(&self, now: &Values) -> bool {
        self.merged(now).1.is_empty()
    }

    /// What the form shows next when `now` is stored: what was typed stays, what was left alone follows.
    /// And what has changed meanwhile.
    pub fn merged(&self, now: &Values) -> (Values, Vec<Clash>) {
        let (mut merged, mut clashes) = (Values::default(), Vec::new());
        let keys = now.price_keys();
        for (field, stored) in now.iter() {
            let seen = self.seen.of(field);
            let typed = self.typed.of(field);
            // White space at the ends is not sent on.
            let changed_here = typed != seen.trim();
            if seen != stored && typed != stored {
                clashes.push(Clash {
                    field: field.to_owned(),
                    label: label_of_field(field, &keys),
                    now: Some(stored.chars().take(TOLD_CHARS_MAX).collect()),
                    both: changed_here,
                });
            }
            merged.set(field, if changed_here { typed } else { stored });
        }
        for (field, seen) in self.seen.iter() {
            let changed_here = self.typed.of(field) != seen.trim();
            if now.find(field).is_none() && changed_here {
                clashes.push(Clash {
                    field: field.to_owned(),
                    label: label_of_field(field, &keys),
                    now: None,
                    both: true,
                });
            }
        }
        (merged, clashes)
    }
}

/// A form over something that exists, once more: after it was refused.
#[derive(Debug)]
pub struct Again {
    pub values: Values,
    /// What its page shows, to be compared with when it comes back.
    pub seen: Values,
    pub version: i64,
    pub clashes: Vec<Clash>,
    pub wrong: Wrong,
}

impl Again {
    /// What `problem` makes of the form `edited`, whose page showed the version `seen`, when `now` is stored at `version`.
    /// Who has not seen what others changed is told, and not allowed to overwrite it. `keys` as in [`Wrong::of`].
    pub fn of(
        problem: &Problem,
        (edited, seen): (&Edited, i64),
        (now, version): (Values, i64),
        keys: &[String],
    ) -> Again {
        let (values, clashes) = edited.merged(&now);
        if problem.code() == &codes::PRECONDITION_FAILED {
            let wrong = match clashes.is_empty() {
                true => Wrong::line(
                    "somebody else changed the product meanwhile, in what this form does not show: look at it, and send this again",
                ),
                false => Wrong::default(),
            };
            return Again {
                values,
                seen: now,
                version,
                clashes,
                wrong,
            };
        }
        Again {
            values,
            seen: edited.seen.clone(),
            version: seen,
            clashes: Vec::new(),
            wrong: Wrong::of(problem, keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set(*name, value);
        }
        values
    }

    #[test]
    fn what_was_typed_stays_and_what_was_left_alone_follows() {
        let form =
            "was.title=Mug&title=Mug&was.vendor=A&vendor=B&was.brand=X&brand=Y&was.gone=1&gone=2";
        let edited = Edited::of(&Fields::parse(form).unwrap());
        let now = values(&[("title", "Cup"), ("vendor", "C"), ("brand", "X")]);
        let (merged, clashes) = edited.merged(&now);
        let expected = values(&[("title", "Cup"), ("vendor", "B"), ("brand", "Y")]);
        assert_eq!(merged, expected);
        let told: Vec<_> = clashes
            .iter()
            .map(|clash| (&*clash.field, clash.now.as_deref(), clash.both))
            .collect();
        let expected = [
            ("title", Some("Cup"), false),
            ("vendor", Some("C"), true),
            ("gone", None, true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_form_fits_what_nobody_else_changed_or_all_changed_alike() {
        let form = "was.title=Mug&title=Cup&was.vendor=A&vendor=A";
        let edited = Edited::of(&Fields::parse(form).unwrap());
        for (title, vendor, fits) in [
            ("Mug", "A", true),
            ("Cup", "A", true),
            ("Pot", "A", false),
            ("Mug", "B", false),
        ] {
            let now = values(&[("title", title), ("vendor", vendor)]);
            assert_eq!(edited.fits(&now), fits, "{title} {vendor}");
        }
    }

    #[test]
    fn line_ends_of_browsers_are_no_change() {
        let form = "was.text=a%0D%0Ab&text=a%0D%0Ab";
        let edited = Edited::of(&Fields::parse(form).unwrap());
        let (merged, clashes) = edited.merged(&values(&[("text", "a\nb")]));
        assert_eq!((merged.of("text"), clashes.len()), ("a\nb", 0));
    }
}
