//! `/dashboard/products/{id}/variants/…`: what one variant is and costs.

use super::product_edit::{change, is_of_form, seen_version};
use super::products::find;
use crate::app::App;
use crate::dashboard::edited::{Again, Clash, Edited, Values};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::product_form::{
    PRICE_FIELDS, new_price_key, price_field, price_keys, variant_patch, variant_values,
};
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::{Mark, Wrong};
use crate::error::{Result, not_found};
use crate::money::Currency;
use crate::products::product::{Product, ProductOption, Variant};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{PathPair, Problem, codes, field_errors_to_problem};
use serde_json::{Map, Value, json};

/// A row of the form's prices.
#[derive(Debug)]
struct PriceForm {
    key: String,
    /// Whether it is stored: then emptying its amount removes it.
    stored: bool,
}

#[derive(Template)]
#[template(path = "variant.html")]
struct VariantPage {
    frame: Frame,
    product: Product,
    /// The path of the form; `new` at the end for one that is to be made.
    path: String,
    name: String,
    is_new: bool,
    version: i64,
    values: Values,
    seen: Values,
    options: Vec<ProductOption>,
    prices: Vec<PriceForm>,
    currency: &'static str,
    currencies: Vec<&'static str>,
    zone: String,
    clashes: Vec<Clash>,
    wrong: Wrong,
    removable: bool,
}

impl VariantPage {
    fn price<'a>(&'a self, row: &PriceForm, field: &str) -> &'a str {
        self.values.of(&format!("price.{}.{field}", row.key))
    }

    fn mark(&self, row: &PriceForm, field: &str) -> Mark {
        self.wrong.mark(&price_field(&row.key, field))
    }

    fn note(&self, row: &PriceForm, field: &str) -> Mark {
        self.wrong.note(&price_field(&row.key, field))
    }

    fn is_currency(&self, row: &PriceForm, code: &str) -> bool {
        match self.price(row, "currency") {
            "" => code == self.currency,
            chosen => code == chosen,
        }
    }

    /// Shows the new rows that were typed, and puts what was typed into rows that are not there any more into others.
    fn keep_prices(&mut self, edited: &Edited) {
        fn of<'a>(values: &'a Values, key: &str, field: &str) -> &'a str {
            values.of(&price_field(key, field))
        }
        let (seen, typed) = (&edited.seen, &edited.typed);
        let changed = |key: &str| {
            let mut fields = PRICE_FIELDS.iter();
            fields.any(|field| of(typed, key, field) != of(seen, key, field).trim())
        };
        for key in typed.price_keys() {
            if self.prices.iter().any(|row| row.key == key) || !changed(&key) {
                continue;
            }
            let is_free =
                |row: &&PriceForm| !row.stored && of(&self.values, &row.key, "amount").is_empty();
            let place = match self.prices.iter().find(is_free) {
                Some(free) => free.key.clone(),
                None => new_price_key(self.prices.iter().filter(|row| !row.stored).count() + 1),
            };
            for field in PRICE_FIELDS {
                let name = price_field(&place, field);
                self.values.put(&name, of(typed, &key, field));
            }
            if !self.prices.iter().any(|row| row.key == place) {
                let (key, stored) = (place, false);
                self.prices.push(PriceForm { key, stored });
            }
        }
    }

    fn of(signed_in: &SignedIn, product: Product, id: &str) -> Result<VariantPage> {
        let variant = named(&product, id)?;
        let options = product.options.read()?;
        let zone = signed_in.shop.zone();
        let present = variant_values(variant, &options, &zone)?;
        let name = match variant {
            Some(variant) => name_of(variant),
            None => "New variant".to_owned(),
        };
        let currency = signed_in.shop.currency;
        let codes = Currency::codes();
        let own = codes.iter().find(|code| **code == currency.as_str());
        let stored = variant.map_or(0, |variant| variant.prices.len());
        let keys = price_keys(variant).into_iter().enumerate();
        Ok(VariantPage {
            frame: Frame::new(&signed_in.visit, format!("{name}, {}", product.title)),
            path: format!("/dashboard/products/{}/variants/{id}", product.id),
            is_new: variant.is_none(),
            name,
            version: product.version,
            values: present.clone(),
            seen: present,
            prices: keys
                .map(|(index, key)| PriceForm {
                    key,
                    stored: index < stored,
                })
                .collect(),
            currency: own.copied().unwrap_or("USD"),
            currencies: codes,
            zone: signed_in.shop.time_zone.clone(),
            clashes: Vec::new(),
            wrong: Wrong::default(),
            removable: variant.is_some() && product.variants.len() > 1,
            options,
            product,
        })
    }
}

/// The name under which a variant is shown.
pub fn name_of(variant: &Variant) -> String {
    let name = variant.title.clone();
    name.unwrap_or_else(|| "Default variant".to_owned())
}

/// The variant called `id`; `None` for the one that is to be made.
fn named<'a>(product: &'a Product, id: &str) -> Result<Option<&'a Variant>> {
    match id {
        "new" => Ok(None),
        id => {
            let mut variants = product.variants.iter();
            let found = variants.find(|variant| variant.id.as_str() == id);
            found.map(Some).ok_or_else(|| not_found("variant", id))
        }
    }
}

/// `GET /dashboard/products/{id}/variants/{variant}`.
pub async fn edit(
    State(app): State<App>,
    signed_in: SignedIn,
    PathPair(id, variant): PathPair,
) -> Result<Response> {
    let product = find(&app, &signed_in, &id).await?;
    let page = VariantPage::of(&signed_in, product, &variant)?;
    Ok(frame::page(StatusCode::OK, &page))
}

/// `POST /dashboard/products/{id}/variants/{variant}`.
pub async fn update(
    State(app): State<App>,
    signed_in: SignedIn,
    PathPair(id, variant): PathPair,
    Form(fields): Form,
) -> Result<Response> {
    let edited = Edited::of(&fields);
    let (typed, name, zone) = (edited.typed.clone(), variant.clone(), signed_in.shop.zone());
    let patch = move |product: &Product| {
        let variant = named(product, &name)?;
        let mut options = product.options.read()?;
        let mut members = Map::new();
        let mut others = present(product);
        if variant.is_none() && options.is_empty() {
            let (option, values) = first_option(product, &typed)?;
            let now = json!({ &option.name: values.0 });
            others[0]["option_values"] = now;
            let mut input =
                variant_patch(&typed, None, &[], &zone).map_err(field_errors_to_problem)?;
            input.insert("option_values".into(), json!({ &option.name: values.1 }));
            others.push(input.into());
            members.insert("options".into(), json!([option]));
        } else {
            let mut input =
                variant_patch(&typed, variant, &options, &zone).map_err(field_errors_to_problem)?;
            if widen(&mut options, &typed) {
                members.insert("options".into(), json!(options));
            }
            match variant {
                None => others.push(input.into()),
                Some(variant) => {
                    input.insert("id".into(), json!(variant.id));
                    let place = product.variants.iter().position(|one| one.id == variant.id);
                    others[place.unwrap_or_default()] = input.into();
                }
            }
        }
        members.insert("variants".into(), others.into());
        Ok(members)
    };
    let (form, name, zone) = (edited.clone(), variant.clone(), signed_in.shop.zone());
    let fits = move |product: &Product| {
        if has_options_since(product, &form.typed) {
            return Ok(false);
        }
        let values = variant_values(named(product, &name)?, &product.options.read()?, &zone)?;
        Ok(form.fits(&values))
    };
    let at = (id.as_str(), fields.get("version"));
    let problem = match change(&app, &signed_in, at, fits, patch).await {
        Ok(()) => return Ok(changed(&id)),
        Err(problem) if is_of_form(&problem) => problem,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => problem,
        Err(problem) => return Err(problem),
    };
    let product = match find(&app, &signed_in, &id).await {
        Err(gone) if gone.status() == StatusCode::NOT_FOUND => {
            let detail = "The product is not there any more, so nothing was saved.";
            let (visit, status) = (&signed_in.visit, StatusCode::NOT_FOUND);
            let to = (detail, "/dashboard/products");
            return Ok(frame::message_to(visit, status, "The product is gone", to));
        }
        found => found?,
    };
    if named(&product, &variant).is_err() {
        let page = VariantPage::of(&signed_in, product, "new")?;
        return Ok(anew(page, &edited));
    }
    let page = VariantPage::of(&signed_in, product, &variant)?;
    again(page, &edited, &problem, fields.get("version"))
}

/// Whether a form that was to give a product its first option comes when it has one.
fn has_options_since(product: &Product, typed: &Values) -> bool {
    let options: std::result::Result<Vec<ProductOption>, _> = product.options.read();
    !typed.of("option").is_empty() && options.is_ok_and(|options| !options.is_empty())
}

/// The form once more: with what was typed, and with what is wrong or has changed meanwhile.
fn again(page: VariantPage, edited: &Edited, problem: &Problem, seen: &str) -> Result<Response> {
    let keys = sent_keys(&page.prices, &edited.typed);
    let now = (page.seen, page.version);
    let again = Again::of(problem, (edited, seen_version(seen)?), now, &keys);
    let mut values = again.values;
    for name in ["option", "option.first", "option.second"] {
        values.set(name, edited.typed.of(name));
    }
    let mut page = VariantPage {
        values,
        clashes: again.clashes,
        wrong: again.wrong,
        version: again.version,
        seen: again.seen,
        ..page
    };
    page.keep_prices(edited);
    if page.is_new && has_options_since(&page.product, &edited.typed) {
        let [name, first, second] =
            ["option", "option.first", "option.second"].map(|field| edited.typed.of(field));
        let names: Vec<&str> = page.options.iter().map(|option| &*option.name).collect();
        page.wrong = Wrong::line(&format!(
            "somebody else gave the product the option {} meanwhile: say what of it this variant has. Nothing was saved of \
            “{name}: {first}, {second}”",
            names.join(", ")
        ));
    }
    Ok(frame::page(problem.status(), &page))
}

/// The form of a variant that is not there any more, for a new one.
fn anew(mut page: VariantPage, edited: &Edited) -> Response {
    let plain = |name: &&str| !name.starts_with("price.");
    for name in edited.typed.iter().map(|(name, _)| name).filter(plain) {
        page.values.put(name, edited.typed.of(name));
    }
    for box_ in ["track_inventory", "allow_backorder"] {
        page.values.put(box_, edited.typed.of(box_));
    }
    // Of a variant that is new nothing was shown before.
    let typed = Edited {
        seen: Values::default(),
        typed: edited.typed.clone(),
    };
    page.keep_prices(&typed);
    let detail = "the variant is not there any more, so nothing was saved: add it anew with what you entered";
    page.wrong = Wrong::line(detail);
    frame::page(StatusCode::NOT_FOUND, &page)
}

/// The price rows that a form sent on, in their order: those with an amount.
fn sent_keys(rows: &[PriceForm], typed: &Values) -> Vec<String> {
    let keys = rows.iter().map(|row| row.key.clone());
    keys.filter(|key| !typed.of(&price_field(key, "amount")).is_empty())
        .collect()
}

fn changed(id: &str) -> Response {
    frame::done(&format!("/dashboard/products/{id}"), "changed")
}

/// All variants, left as they are.
fn present(product: &Product) -> Vec<Value> {
    let variants = product.variants.iter();
    variants
        .map(|variant| json!({ "id": variant.id }))
        .collect()
}

/// The option by which a product that had one variant gets a second: what it is called, and what either has of it.
fn first_option(product: &Product, typed: &Values) -> Result<(ProductOption, (String, String))> {
    let [name, first, second] =
        ["option", "option.first", "option.second"].map(|field| typed.of(field).to_owned());
    let fault = |field: &str, detail: String| {
        let at = format!("#/{field}");
        Err(Problem::new(&codes::INVALID_BODY, detail.clone()).at(&at, "invalid", detail))
    };
    if name.is_empty() {
        let detail = format!("say by what the variants of {} differ", product.title);
        return fault("option", detail);
    }
    if first.is_empty() {
        return fault(
            "option.first",
            format!("say what {name} the one there is has"),
        );
    }
    if second.is_empty() || first == second {
        return fault(
            "option.second",
            format!("say what other {name} the new one has"),
        );
    }
    let values = vec![first.clone(), second.clone()];
    Ok((ProductOption { name, values }, (first, second)))
}

/// Adds the values that the form chose and `options` do not know yet; whether there was one.
fn widen(options: &mut [ProductOption], typed: &Values) -> bool {
    let mut wider = false;
    for option in options {
        let chosen = typed.of(&format!("option.{}", option.name));
        if !chosen.is_empty() && !option.values.iter().any(|value| value == chosen) {
            option.values.push(chosen.to_owned());
            wider = true;
        }
    }
    wider
}

/// `POST /dashboard/products/{id}/variants/{variant}/remove`.
pub async fn remove(
    State(app): State<App>,
    signed_in: SignedIn,
    PathPair(id, variant): PathPair,
    Form(fields): Form,
) -> Result<Response> {
    let product = find(&app, &signed_in, &id).await?;
    let mut page = VariantPage::of(&signed_in, product, &variant)?;
    if fields.get("name") != page.name.trim() {
        let detail = "this is not its name: nothing was removed";
        page.wrong.add("name", "Name", detail);
        return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let gone = variant.clone();
    let patch = move |product: &Product| {
        let mut left = present(product);
        left.retain(|one| one["id"] != *gone);
        Ok(Map::from_iter([("variants".to_owned(), left.into())]))
    };
    let at = (id.as_str(), fields.get("version"));
    match change(&app, &signed_in, at, |_| Ok(false), patch).await {
        Ok(()) => Ok(changed(&id)),
        Err(problem) if is_of_form(&problem) => {
            let edited = Edited {
                seen: page.seen.clone(),
                typed: page.seen.clone(),
            };
            again(page, &edited, &problem, fields.get("version"))
        }
        Err(problem) => Err(problem),
    }
}
