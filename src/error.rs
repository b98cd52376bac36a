//! The errors of the product: one stable code each, in one list. Chapters return their own small
//! enums; here each variant becomes a [`Problem`]. Codes are contract and never renamed.

use crate::orders::Order;
use crate::orders::change::ChangeRefused;
use crate::products::inventory::{AdjustError, Shortage};
use crate::products::store::UpdateError;
use platform::http::{Code, Problem, codes};
use serde_json::json;

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
    USER_ANONYMIZED = "user_anonymized" 409 "The user was anonymized and cannot be changed any more." "Nothing here tells who it was, and that is final. Create a new user.";
    CANNOT_BE_SOLD = "cannot_be_sold" 422 "The order cannot be placed as it stands." "`errors` names each line or member: `unknown_product`, `ambiguous_product`, `not_for_sale`, `no_price` (in the order's currency), `unknown_user`, `inactive_user`. Nothing was changed.";
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range" 422 "A total is too large." "Every amount stays within ±(2^53 − 1) minor units, so that every JSON reader keeps it exactly.";
    INSUFFICIENT_STOCK = "insufficient_stock" 409 "There is not enough stock." "`errors` names the lines, `available` what is left of each variant. Nothing was taken; try again with less.";
    STOCK_CHANGED = "stock_changed" 409 "The stock level is not what was expected." "`on_hand` is what is on the shelf now. Count again, or repeat the adjustment with that.";
    VARIANT_HAS_STOCK = "variant_has_stock" 409 "A variant that has stock cannot be removed." "Adjust its stock to 0 and finish the orders that hold it first, or archive the product.";
    NOT_CHANGEABLE = "not_changeable" 409 "This cannot be changed any more." "`errors` names each field that is final by now. An address can be changed until the order is completed or cancelled, where it goes only until something has shipped. Nothing was changed.";
    INVALID_TRANSITION = "invalid_transition" 409 "The object cannot move to this state from where it is." "`allowed` lists the states it can move to.";
    REPORT_NOT_READY = "report_not_ready" 409 "The report is not finished." "Look at the run again as `Retry-After` says, or ask for the report with `Prefer: wait=10`.";
    REPORT_FAILED = "report_failed" 409 "The report could not be made." "`problem` says why; it is on the run too.";
    REPORT_EXPIRED = "report_expired" 410 "The file of the report was removed." "Files are kept for seven days. Ask for the report again.";
    REPORT_TOO_LARGE = "report_too_large" 422 "The report has too many rows or bytes." "A report has at most 1,000,000 rows and 64 MiB. Ask for a shorter range.";
    UNKNOWN_USER = "unknown_user" 422 "There is no such user." "The `user_id` in the body names no user, or one that was deleted. `errors` points at it. Nothing was changed.";
}

/// Every code that this server can answer, for the OpenAPI document and `/problems/<code>`.
pub fn all_codes() -> impl Iterator<Item = &'static Code> {
    let oauth = crate::oauth::error::CODES.iter();
    codes::ALL.iter().chain(OWN).copied().chain(oauth)
}

/// 404 for the `kind` called `id`.
pub fn not_found(kind: &str, id: &str) -> Problem {
    Problem::new(&codes::NOT_FOUND, format!("there is no {kind} `{id}`"))
}

/// 409 `duplicate` at `field`, a member or a path of them such as `variants/0/sku`.
pub fn duplicate(field: &str, value: &str) -> Problem {
    let member = field.rsplit('/').next().unwrap_or_default();
    let detail = format!("another one has the {member} `{value}`");
    Problem::new(&DUPLICATE, detail.clone()).at(&format!("#/{field}"), "duplicate", detail)
}

impl From<ChangeRefused> for Problem {
    fn from(refused: ChangeRefused) -> Problem {
        match refused {
            ChangeRefused::TooLate(fields) => {
                let detail = format!("{} cannot be changed any more", fields.join(", "));
                let problem = Problem::new(&NOT_CHANGEABLE, detail);
                fields.into_iter().fold(problem, |problem, field| {
                    let detail = format!("`{field}` is final by now");
                    problem.at(&format!("#/{field}"), "not_changeable", detail)
                })
            }
            ChangeRefused::GuestWithoutEmail => {
                let detail = "the order of a guest needs an email";
                Problem::new(&codes::INVALID_BODY, detail).at("#/email", "required", detail)
            }
            ChangeRefused::Metadata(problem) => problem,
        }
    }
}

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Problem {
        let detail = error.to_string();
        match error {
            AdjustError::Unexpected { on_hand, .. } => {
                Problem::new(&STOCK_CHANGED, detail).with("on_hand", on_hand)
            }
            AdjustError::NotEnough { on_hand, allocated } => {
                Problem::new(&INSUFFICIENT_STOCK, detail)
                    .with("on_hand", on_hand)
                    .with("allocated", allocated)
            }
            AdjustError::TooMany => Problem::new(&codes::INVALID_BODY, detail),
        }
    }
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Problem {
        let detail = error.to_string();
        match error {
            UpdateError::Changed => Problem::new(&codes::CONFLICT, detail),
            UpdateError::VariantHasStock(id) => {
                Problem::new(&VARIANT_HAS_STOCK, detail).with("variant_id", id.as_str())
            }
            UpdateError::Stock(error) => error.into(),
            UpdateError::Db(error) => error.into(),
        }
    }
}

/// 409 `insufficient_stock`, with what is left of each variant.
pub fn short_of(short: &[Shortage]) -> Problem {
    let first = short.first().map_or_else(String::new, |one| {
        format!(
            "{} of {} wanted, {} left",
            one.wanted, one.variant_id, one.available
        )
    });
    let available: Vec<_> = short
        .iter()
        .map(|one| json!({ "variant_id": one.variant_id, "wanted": one.wanted, "available": one.available }))
        .collect();
    Problem::new(&INSUFFICIENT_STOCK, first).with("available", available)
}

/// [`short_of`], and the lines that ask for more.
pub fn insufficient_stock(order: &Order, short: &[Shortage]) -> Problem {
    let mut problem = short_of(short);
    for (line, item) in order.items.iter().flatten().enumerate() {
        if let Some(one) = short
            .iter()
            .find(|one| Some(&one.variant_id) == item.variant_id.as_ref())
        {
            let detail = format!("{} wanted in all, {} left", one.wanted, one.available);
            problem = problem.at(
                &format!("#/items/{line}/quantity"),
                "insufficient_stock",
                detail,
            );
        }
    }
    problem
}
