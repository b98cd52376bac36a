//! The body of every write: through the strict parser and the schema that the OpenAPI document shows,
//! then into the rules of its chapter. The first byte chooses the request.

#![no_main]

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::Method;
use libfuzzer_sys::fuzz_target;
use platform::http::{Command, MergePatch, field_errors_to_problem};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tradepost::money::{Currency, Money};
use tradepost::notifications::api::NewNotification;
use tradepost::oauth::request::{DeviceRequest, Message, RevokeRequest, TokenRequest};
use tradepost::oauth::{Scopes, error::OAuthError};
use tradepost::orders::body::CancelOrder;
use tradepost::orders::new_order::NewOrder;
use tradepost::orders::placing::{Buyer, place};
use tradepost::products::draft::Draft;
use tradepost::products::input::{NewProduct, ProductInput};
use tradepost::products::inventory::api::NewAdjustment;
use tradepost::products::pricing::Price;
use tradepost::products::search::api::SearchQuery;
use tradepost::products::{ProductId, ProductStatus, Sellable, VariantId};
use tradepost::reports::NewReport;
use tradepost::reports::run::{Plan, Run};
use tradepost::users::user::{NewUser, UserPatch};
use tradepost::users::{User, demo_users};
use tradepost_fuzz::{NOW, accepted, run};

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    match choice % 12 {
        0 => drop(read::<NewOrder>(body).map(order)),
        1 => drop(read::<NewProduct>(body).map(|new| product(Draft::empty(), new.0))),
        2 => drop(change::<ProductInput>(body).map(|input| product(mug(), input))),
        3 => drop(read::<NewUser>(body).and_then(|new| accepted(User::new(new, NOW)))),
        4 => drop(change::<UserPatch>(body).map(user)),
        5 => drop(read::<NewNotification>(body).map(|new| new.heading().map(str::to_owned))),
        6 => drop(read::<NewReport>(body).map(report)),
        7 => drop(read::<SearchQuery>(body)),
        8 => drop(read::<NewAdjustment>(body)),
        9 => drop(read::<CancelOrder>(body)),
        10 => token(body, "application/json"),
        _ => token(body, "application/x-www-form-urlencoded"),
    }
});

fn request(method: Method, body: &[u8]) -> Request {
    Request::builder()
        .method(method)
        .uri("/v2/fuzz")
        .header("content-type", "application/json")
        .body(Body::from(body.to_vec()))
        .expect("a request")
}

fn read<T: DeserializeOwned + JsonSchema + 'static>(body: &[u8]) -> Option<T> {
    let command = run(Command::<T>::from_request(request(Method::POST, body), &()));
    accepted(command).map(|command| command.body)
}

/// A change, as it meets an object that has some of the fields.
fn change<T: DeserializeOwned + JsonSchema + 'static>(body: &[u8]) -> Option<T> {
    let patch = accepted(run(MergePatch::from_request(
        request(Method::PATCH, body),
        &(),
    )))?;
    let present = json!({ "id": "user_123", "version": 1, "title": "Mug", "username": "alice" });
    accepted(MergePatch::read_against::<T>(&patch.fields, &present))
}

fn usd() -> Currency {
    Currency::parse("USD").expect("a currency")
}

fn mug() -> Draft {
    Draft::simple("Mug", Some("MUG"), Some(Money::new(1_250, usd())))
}

fn product(mut draft: Draft, input: ProductInput) {
    let faults = draft.change(input);
    if faults.is_empty() {
        assert!(!draft.variants.is_empty(), "a product has a variant");
        assert!(!draft.wanted_slug().is_empty());
    } else {
        accepted::<()>(Err(field_errors_to_problem(faults)));
    }
}

fn user(patch: UserPatch) {
    let [mut alice, _] = demo_users();
    let before = alice.version;
    if let Some(changed) = accepted(alice.apply(patch, NOW)) {
        assert_eq!(alice.version - before, i64::from(!changed.is_empty()));
    }
}

fn report(new: NewReport) {
    match Plan::new(&new, NOW) {
        Ok(plan) => {
            plan.periods().expect("a plan has its periods");
            plan.range().expect("a plan has its range");
            drop(Run::queued(&plan, NOW));
        }
        Err(faults) => drop(accepted::<()>(Err(field_errors_to_problem(faults)))),
    }
}

/// Two variants, the dearest and one that costs nothing.
fn offered() -> [Sellable; 2] {
    let sellable = |sku: &str, amount| Sellable {
        variant_id: VariantId::parse(&format!("var_{sku}")).expect("an id"),
        product_id: ProductId::parse(&format!("prod_{sku}")).expect("an id"),
        sku: Some(sku.to_owned()),
        title: sku.to_owned(),
        status: ProductStatus::Active,
        track_inventory: true,
        allow_backorder: false,
        tax_category: None,
        prices: vec![Price {
            id: "price_1".into(),
            currency: usd(),
            amount,
            compare_at_amount: None,
            min_quantity: 1,
            group: None,
            starts_at_micros: None,
            ends_at_micros: None,
        }],
    };
    [sellable("A", 9_007_199_254_740_991), sellable("B", 0)]
}

/// An order is placed with the sums of its parts, or is not placed.
fn order(new: NewOrder) {
    let buyer = Buyer {
        email: "guest@example.com".into(),
    };
    let hold = Duration::from_secs(3_600);
    let Ok(placed) = place(new, buyer, &offered(), hold, NOW) else {
        return;
    };
    let items = placed.order.items.as_deref().unwrap_or_default();
    let sum: i64 = items.iter().map(|item| item.total).sum();
    assert_eq!(placed.order.totals.items, sum);
    assert!(placed.takes.iter().all(|(_, quantity, _)| *quantity > 0));
}

fn token(body: &[u8], content_type: &str) {
    // What comes before the first line break is the `Authorization` header.
    let line = body.iter().position(|byte| *byte == b'\n');
    let (header, body) = match line {
        Some(at) => (std::str::from_utf8(&body[..at]).ok(), &body[at + 1..]),
        None => (None, body),
    };
    let message = Message {
        content_type: Some(content_type),
        authorization: header,
        body,
    };
    if let Some(request) = granted(TokenRequest::parse(message)) {
        let _ = Scopes::all().narrow(request.scope.as_deref());
    }
    granted(RevokeRequest::parse(message));
    granted(DeviceRequest::parse(message));
}

fn granted<T>(outcome: Result<T, OAuthError>) -> Option<T> {
    match outcome {
        Ok(request) => Some(request),
        Err(error) => {
            let answer = error.response("http://127.0.0.1:8080");
            assert!(answer.status().is_client_error(), "{error:?}");
            None
        }
    }
}
