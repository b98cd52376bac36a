//! The errors of the product: one stable code each, in one list. Chapters return their own small
//! enums; here each variant becomes a [`Problem`]. Codes are contract and never renamed.

use platform::http::{Code, Problem, codes};

/// What handlers and units of work answer.
pub type Result<T> = std::result::Result<T, Problem>;

macro_rules! product_codes {
    ($($name:ident = $code:literal $status:literal $title:literal $help:literal;)*) => {
        $(#[doc = $title] pub static $name: Code = Code { code: $code, status: $status, title: $title, help: $help };)*
        static OWN: &[&Code] = &[$(&$name),*];
    };
}

product_codes! {
    DUPLICATE = "duplicate" 409 "Another object has this value already." "`errors` names the field whose value must be unique (a username, an email, a SKU, a slug, an external id).";
    INSUFFICIENT_STOCK = "insufficient_stock" 409 "There is not enough stock." "`errors` names the lines, `available` what is left of each variant. Nothing was taken; try again with less.";
    INVALID_TRANSITION = "invalid_transition" 409 "The object cannot move to this state from where it is." "`allowed` lists the states it can move to.";
    UNKNOWN_USER = "unknown_user" 422 "There is no such user." "The `user_id` in the body names no user, or one that was deleted. `errors` points at it. Nothing was changed.";
}

/// Every code that this server can answer, for the OpenAPI document and `/problems/<code>`.
pub fn all_codes() -> impl Iterator<Item = &'static Code> {
    codes::ALL.iter().chain(OWN).copied()
}

/// 404 for the `kind` called `id`.
pub fn not_found(kind: &str, id: &str) -> Problem {
    Problem::new(&codes::NOT_FOUND, format!("there is no {kind} `{id}`"))
}

/// 409 `duplicate` at `field`.
pub fn duplicate(field: &str, value: &str) -> Problem {
    let detail = format!("another one has the {field} `{value}`");
    Problem::new(&DUPLICATE, detail.clone()).at(&format!("#/{field}"), "duplicate", detail)
}
