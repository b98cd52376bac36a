//! What is wrong with a form, told above it and at its fields.

use super::show::sentence;
use askama::filters::{Html, HtmlSafe, escape};
use platform::http::{FieldError, Place, Problem};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// The name of the form's field; empty when it is of no single one.
    field: String,
    /// What the form calls it.
    label: String,
    detail: String,
}

impl Fault {
    fn at_same_place(&self, other: &Fault) -> bool {
        !self.field.is_empty() && (&self.field, &self.label) == (&other.field, &other.label)
    }
}

/// All that is wrong with a form; empty when nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong(Vec<Fault>);

impl Wrong {
    /// What `problem` says of a form whose price rows are `keys`, in the order in which they were sent.
    pub fn of(problem: &Problem, keys: &[String]) -> Wrong {
        match problem.errors() {
            [] => Wrong::line(problem.detail()),
            errors => {
                let mut faults: Vec<Fault> = Vec::new();
                for one in errors.iter().map(|error| fault(error, keys)) {
                    // Of one field the first says enough.
                    let known = |other: &Fault| one.at_same_place(other);
                    if !faults.iter().any(known) {
                        faults.push(one);
                    }
                }
                Wrong(faults)
            }
        }
    }

    /// One thing that is of no single field.
    pub fn line(detail: &str) -> Wrong {
        Wrong(vec![Fault {
            field: String::new(),
            label: String::new(),
            detail: detail.to_owned(),
        }])
    }

    /// Adds what is wrong with `field`, which the form calls `label`.
    pub fn add(&mut self, field: &str, label: &str, detail: &str) {
        self.0.push(Fault {
            field: field.to_owned(),
            label: label.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// `read`, if nothing is wrong with the form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn or<T>(self, read: T) -> Result<T, Wrong> {
        match self.is_empty() {
            true => Ok(read),
            false => Err(self),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A sentence for each.
    pub fn lines(&self) -> Vec<String> {
        let line = |fault: &Fault| match fault.label.as_str() {
            "" => sentence(&fault.detail),
            label => sentence(&format!("{label}: {}", fault.detail)),
        };
        self.0.iter().map(line).collect()
    }

    /// Whether something is wrong with `field`.
    pub fn has(&self, field: &str) -> bool {
        self.at(field).is_some()
    }

    fn at(&self, field: &str) -> Option<&Fault> {
        self.0.iter().find(|fault| fault.field == field)
    }

    /// The attributes of a field that say that it is wrong.
    pub fn mark(&self, field: &str) -> Mark {
        Mark(self.at(field).map(|_| {
            format!(
                " aria-invalid=\"true\" aria-describedby=\"wrong-{}\"",
                escaped(field)
            )
        }))
    }

    /// What is wrong with a field, to stand below it.
    pub fn note(&self, field: &str) -> Mark {
        Mark(self.at(field).map(|fault| {
            let (id, said) = (escaped(field), escaped(&sentence(&fault.detail)));
            format!("<small class=\"wrong\" id=\"wrong-{id}\">{said}</small>")
        }))
    }
}

fn escaped(text: &str) -> String {
    escape(text, Html).map_or_else(|_| String::new(), |text| text.to_string())
}

/// A piece of HTML that is safe as it is, or nothing.
#[derive(Debug)]
pub struct Mark(Option<String>);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or_default())
    }
}

// Made of our own text and of escaped text.
impl HtmlSafe for Mark {}

fn fault(error: &FieldError, keys: &[String]) -> Fault {
    let place = match &error.place {
        Place::Pointer(pointer) => pointer.trim_start_matches("#/"),
        Place::Parameter(name) => name,
        Place::Header(name) => name,
    };
    let (field, label) = match place.split('/').collect::<Vec<_>>()[..] {
        // Of one variant the form's fields are those of the product's short form.
        ["variants", _, "prices", index, ref rest @ ..] => {
            price(index, rest.first().copied(), keys)
        }
        ["variants", _, field, ..] => (field.to_owned(), label_of(field)),
        [field, index] if index.bytes().all(|byte| byte.is_ascii_digit()) => {
            let line = index
                .parse()
                .map_or(0, |index: usize| index.saturating_add(1));
            (
                field.to_owned(),
                format!("{}, line {line}", label_of(field)),
            )
        }
        [field, ..] => (field.to_owned(), label_of_field(field, keys)),
        [] => (String::new(), String::new()),
    };
    Fault {
        field,
        label,
        // The only other member that a detail names.
        detail: error.detail.replace("after starts_at", "after its start"),
    }
}

/// The field of a price row, by its place among those that were sent.
fn price(index: &str, member: Option<&str>, keys: &[String]) -> (String, String) {
    let index: usize = index.parse().unwrap_or(usize::MAX);
    let Some(key) = keys.get(index) else {
        return (String::new(), "Prices".to_owned());
    };
    let member = match member {
        Some("compare_at_amount") => "compare_at",
        Some(member) => member,
        None => "amount",
    };
    let label = label_of(member).to_lowercase();
    (
        format!("price.{key}.{member}"),
        format!("Price {}, {label}", index + 1),
    )
}

/// What forms call a field of theirs; those of price rows are `price.KEY.MEMBER`.
pub fn label_of_field(field: &str, keys: &[String]) -> String {
    let row = field.strip_prefix("price.");
    let Some((key, member)) = row.and_then(|row| row.rsplit_once('.')) else {
        return label_of(field);
    };
    let label = label_of(member).to_lowercase();
    match keys.iter().position(|known| known == key) {
        Some(index) => format!("Price {}, {label}", index + 1),
        None => format!("A price, {label}"),
    }
}

/// What forms call a member of a request body.
fn label_of(member: &str) -> String {
    match member {
        "sku" => "SKU".to_owned(),
        "shop" => "Name".to_owned(),
        "inventory_quantity" => "Units on hand".to_owned(),
        "compare_at" => "Compare-at price".to_owned(),
        "min_quantity" => "From units".to_owned(),
        "weight_grams" => "Weight in grams".to_owned(),
        "starts_at" => "Starts".to_owned(),
        "ends_at" => "Ends".to_owned(),
        "option" => "Option name".to_owned(),
        "option.first" => "The one there is has".to_owned(),
        "option.second" => "The new one has".to_owned(),
        other => super::show::words(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::http::field_errors_to_problem;

    fn wrong(places: &[&str]) -> Wrong {
        let error = |place: &&str| FieldError {
            place: Place::Pointer((*place).to_owned()),
            code: "invalid",
            detail: "expected <more>".to_owned(),
        };
        let problem = field_errors_to_problem(places.iter().map(error).collect());
        Wrong::of(&problem, &["price_1".to_owned(), "new1".to_owned()])
    }

    #[test]
    fn a_fault_is_told_under_the_name_that_the_form_has_for_it() {
        for (place, field, line) in [
            ("#/sku", "sku", "SKU: expected <more>"),
            ("#/tags/1", "tags", "Tags, line 2: expected <more>"),
            ("#/variants/3/sku", "sku", "SKU: expected <more>"),
            (
                "#/variants/0/prices/1/min_quantity",
                "price.new1.min_quantity",
                "Price 2, from units: expected <more>",
            ),
            (
                "#/variants/0/prices/0/compare_at_amount",
                "price.price_1.compare_at",
                "Price 1, compare-at price: expected <more>",
            ),
            (
                "#/variants/0/prices/0",
                "price.price_1.amount",
                "Price 1, amount: expected <more>",
            ),
            (
                "#/variants/0/prices/7/amount",
                "",
                "Prices: expected <more>",
            ),
            ("#", "#", "#: expected <more>"),
        ] {
            let wrong = wrong(&[place]);
            assert_eq!(
                (&*wrong.0[0].field, &*wrong.lines()[0]),
                (field, line),
                "{place}"
            );
        }
    }

    #[test]
    fn the_field_is_marked_and_what_is_wrong_is_escaped() {
        let wrong = wrong(&["#/sku", "#/title"]);
        assert_eq!(
            wrong.mark("sku").to_string(),
            " aria-invalid=\"true\" aria-describedby=\"wrong-sku\""
        );
        assert_eq!(wrong.mark("price").to_string(), "");
        assert_eq!(
            wrong.note("title").to_string(),
            "<small class=\"wrong\" id=\"wrong-title\">Expected &#60;more&#62;</small>"
        );
    }
}
