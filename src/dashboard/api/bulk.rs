//! `/dashboard/products/bulk`: one change of many products. What is chosen, what the change would do to each, and what
//! became of it.

use super::orders::{Choice, choices};
use super::product_edit::{change, is_of_form};
use super::products;
use crate::app::App;
use crate::dashboard::bulk::{Bulk, FIELDS, Line, PRODUCTS_MAX, Plan, Refused};
use crate::dashboard::edited::Values;
use crate::dashboard::fields::{Fields, next_page};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::guard;
use crate::dashboard::show::Badge;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::Result;
use crate::money::Currency;
use crate::products::ProductId;
use crate::products::changes;
use crate::products::product::{Asked, Product};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{Problem, codes};
use std::collections::BTreeMap;

/// Most products that are kept to be chosen one part after the other: their ids are in the pages' forms.
const FITTING_MAX: usize = 5_000;

/// A product in the list of those that are chosen.
#[derive(Debug)]
struct Chosen {
    id: String,
    title: String,
    status: Badge,
    price: String,
    ticked: bool,
}

/// Products that fit too and are chosen after these. They are named from the beginning: what is changed could fit no
/// more, or at another place.
#[derive(Clone, Debug, Default)]
struct Rest(Vec<ProductId>);

impl Rest {
    /// Reads ids with spaces between them.
    fn parse(text: &str) -> Rest {
        let ids = text.split_whitespace().filter_map(ProductId::parse);
        Rest(ids.take(FITTING_MAX).collect())
    }

    /// The first of them, as many as can be changed at once; they are no rest any more.
    fn take(&mut self) -> Vec<ProductId> {
        let left = self.0.split_off(PRODUCTS_MAX.min(self.0.len()));
        std::mem::replace(&mut self.0, left)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// For the form that brings them back.
    fn text(&self) -> String {
        let ids: Vec<&str> = self.0.iter().map(ProductId::as_str).collect();
        ids.join(" ")
    }
}

#[derive(Template)]
#[template(path = "products_bulk.html")]
struct ChoosePage {
    frame: Frame,
    chosen: Vec<Chosen>,
    rest: Rest,
    /// More fit the filters than are kept for later.
    cut: bool,
    typed: Values,
    statuses: Vec<Choice>,
    currency: String,
    currencies: Vec<&'static str>,
    wrong: Wrong,
    /// The list that led here.
    back: String,
}

/// What the change does, or did, to one product.
#[derive(Debug)]
struct Row {
    id: String,
    title: String,
    /// What the page showed of it; the form brings it back.
    seen: String,
    lines: Vec<Line>,
    more: usize,
    /// Why it is not changed, where that is to be told.
    refused: String,
}

#[derive(Template)]
#[template(path = "products_bulk_look.html")]
struct LookPage {
    frame: Frame,
    rows: Vec<Row>,
    refused: Vec<Row>,
    unchanged: Vec<Row>,
    /// Names and values of the form, sent on.
    change: Vec<(&'static str, String)>,
    back: String,
    rest: Rest,
}

#[derive(Template)]
#[template(path = "products_bulk_done.html")]
struct DonePage {
    frame: Frame,
    done: usize,
    left: Vec<Row>,
    change: Vec<(&'static str, String)>,
    back: String,
    rest: Rest,
}

fn invalid(detail: &str) -> Problem {
    Problem::new(&codes::INVALID_BODY, detail)
}

/// The ids that a form or an address names, each once.
fn ids_of<'a>(named: impl Iterator<Item = &'a str>) -> Result<Vec<ProductId>> {
    let mut ids: Vec<ProductId> = Vec::new();
    for id in named.filter_map(ProductId::parse) {
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > PRODUCTS_MAX {
            return Err(invalid("at most 200 products are changed at once"));
        }
    }
    Ok(ids)
}

/// The list of products that `address` is, with its filters.
fn list_of(address: &str) -> String {
    const LIST: &str = "/dashboard/products";
    let is_list = address.split('?').next() == Some(LIST) && next_page(address) == address;
    if is_list { address } else { LIST }.to_owned()
}

async fn loaded(app: &App, signed_in: &SignedIn, ids: &[ProductId]) -> Result<Vec<Product>> {
    let asked = Asked::plain(signed_in.visit.now());
    products::loaded(&mut app.db.read().await?, ids, &asked).await
}

fn change_of(typed: &Fields) -> Vec<(&'static str, String)> {
    let sent = FIELDS.map(|name| (name, typed.get(name).to_owned()));
    let sent = sent.into_iter().filter(|(_, value)| !value.is_empty());
    sent.collect()
}

/// The form over `found`, of which those of `ticked` are chosen.
fn choose_page(
    signed_in: &SignedIn,
    (found, ticked): (&[Product], &[ProductId]),
    typed: &Fields,
) -> ChoosePage {
    let mut values = Values::default();
    for name in FIELDS {
        values.set(name, typed.get(name));
    }
    let chosen = |product: &Product| Chosen {
        id: product.id.to_string(),
        title: product.title.clone(),
        status: Badge(product.status.as_str()),
        price: products::price_of(product),
        ticked: ticked.contains(&product.id),
    };
    ChoosePage {
        frame: Frame::new(&signed_in.visit, "Change products"),
        chosen: found.iter().map(chosen).collect(),
        cut: false,
        rest: Rest::parse(typed.get("rest")),
        statuses: choices(products::STATUSES.into_iter(), typed.get("status")),
        currency: match typed.get("currency") {
            "" => signed_in.shop.currency.as_str().to_owned(),
            typed => typed.to_owned(),
        },
        currencies: Currency::codes(),
        typed: values,
        wrong: Wrong::default(),
        back: list_of(typed.get("back")),
    }
}

/// `GET /dashboard/products/bulk`: those ticked in the list, or with `all` those that fit its filters.
pub async fn choose(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let (ids, cut) = match asked.get("all") {
        "" => (ids_of(asked.all("product"))?, false),
        _ => products::fitting(&app, &uri, &asked, FITTING_MAX).await?,
    };
    let mut page = next_page_of(&app, &signed_in, Rest(ids), &Fields::default()).await?;
    page.back = list_of(signed_in.visit.back());
    page.cut = cut;
    Ok(shown(&page))
}

/// The form over the first of `rest`; the others follow.
async fn next_page_of(
    app: &App,
    signed_in: &SignedIn,
    mut rest: Rest,
    typed: &Fields,
) -> Result<ChoosePage> {
    let ids = rest.take();
    let found = loaded(app, signed_in, &ids).await?;
    let page = choose_page(signed_in, (&found, &ids), typed);
    Ok(ChoosePage { rest, ..page })
}

/// The page; without any product the list that led to it.
fn shown(page: &ChoosePage) -> Response {
    if !page.chosen.is_empty() {
        return frame::page(StatusCode::OK, page);
    }
    let mut response = frame::see_other(&page.back);
    guard::tell_done(&mut response, "none", "/dashboard/products");
    response
}

/// The plan for `product`, checked by the rules that hold when it is done.
fn planned(bulk: &Bulk, product: &Product) -> Result<std::result::Result<Plan, String>> {
    let plan = match bulk.plan(product) {
        Ok(plan) => plan,
        Err(Refused::Stored(error)) => return Err(error.into()),
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    match changes::planned(product, plan.patch.clone()) {
        Ok(_) => Ok(Ok(plan)),
        Err(problem) if is_of_form(&problem) => Ok(Err(Wrong::of(&problem, &[]).lines().join(" "))),
        Err(problem) => Err(problem),
    }
}

/// `POST /dashboard/products/bulk`: what the change would do, or with `go` the next products; nothing is written.
pub async fn look(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    if typed.get("go") == "next" {
        let rest = Rest::parse(typed.get("rest"));
        return Ok(shown(&next_page_of(&app, &signed_in, rest, &typed).await?));
    }
    let ids = ids_of(typed.all("product"))?;
    let found = loaded(&app, &signed_in, &ids).await?;
    let bulk = match Bulk::parse(&typed) {
        Ok(bulk) if !ids.is_empty() => bulk,
        read => {
            let mut wrong = read.err().unwrap_or_default();
            if ids.is_empty() {
                wrong.add("product", "Products", "tick those that are to change");
            }
            let listed = ids_of(typed.all("listed"))?;
            let listed = loaded(&app, &signed_in, &listed).await?;
            let page = ChoosePage {
                wrong,
                ..choose_page(&signed_in, (&listed, &ids), &typed)
            };
            return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let mut page = LookPage {
        frame: Frame::new(&signed_in.visit, "Preview changes"),
        rows: Vec::new(),
        refused: Vec::new(),
        unchanged: Vec::new(),
        change: change_of(&typed),
        back: list_of(typed.get("back")),
        rest: Rest::parse(typed.get("rest")),
    };
    for product in &found {
        let mut row = Row {
            id: product.id.to_string(),
            title: product.title.clone(),
            seen: format!("{}:{}", product.id, product.version),
            lines: Vec::new(),
            more: 0,
            refused: String::new(),
        };
        match planned(&bulk, product)? {
            Ok(plan) if plan.patch.is_empty() => {
                row.refused = bulk.why_not(product);
                page.unchanged.push(row);
            }
            Ok(plan) => {
                (row.lines, row.more) = (plan.lines, plan.more);
                page.rows.push(row);
            }
            Err(reason) => {
                row.refused = reason;
                page.refused.push(row);
            }
        }
    }
    Ok(frame::page(StatusCode::OK, &page))
}

/// The products that the form's page showed, each with its version.
fn seen_of(typed: &Fields) -> Result<BTreeMap<ProductId, String>> {
    let mut seen = BTreeMap::new();
    for one in typed.all("seen") {
        let pair = one.split_once(':');
        let pair = pair.and_then(|(id, version)| Some((ProductId::parse(id)?, version)));
        let (id, version) = pair.ok_or_else(|| invalid("the form names no version"))?;
        seen.insert(id, version.to_owned());
        if seen.len() > PRODUCTS_MAX {
            return Err(invalid("at most 200 products are changed at once"));
        }
    }
    match seen.is_empty() {
        true => Err(invalid("the form names no product")),
        false => Ok(seen),
    }
}

/// Why a product was not changed, in one sentence.
fn reason(problem: &Problem) -> String {
    let meanwhile = [&codes::PRECONDITION_FAILED, &codes::CONFLICT];
    if meanwhile.contains(&problem.code()) {
        return "It was changed meanwhile, by somebody else or by sending this twice: nothing of that is overwritten."
            .to_owned();
    }
    match problem.status() {
        StatusCode::NOT_FOUND => "It was deleted meanwhile.".to_owned(),
        status if status.is_server_error() => {
            "The server could not do it now, and stopped here.".to_owned()
        }
        _ => Wrong::of(problem, &[]).lines().join(" "),
    }
}

/// Changes the product called `id`, which was looked at in `version`.
async fn one(
    app: &App,
    signed_in: &SignedIn,
    bulk: &Bulk,
    id: &ProductId,
    version: &str,
) -> Result<()> {
    let bulk = bulk.clone();
    let patch = move |product: &Product| match bulk.plan(product) {
        Ok(plan) => Ok(plan.patch),
        Err(Refused::Stored(error)) => Err(error.into()),
        Err(refused) => Err(invalid(&refused.to_string())),
    };
    let at = (id.as_str(), version);
    change(app, signed_in, at, |_| Ok(false), patch).await
}

/// `POST /dashboard/products/bulk/apply`: changes each product as its own form would, unless it is at another version
/// than was looked at. One that cannot be changed does not keep the others back.
pub async fn apply(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let bulk = Bulk::parse(&typed).map_err(|wrong| invalid(&wrong.lines().join(" ")))?;
    let seen = seen_of(&typed)?;
    let ids: Vec<ProductId> = seen.keys().cloned().collect();
    let found = loaded(&app, &signed_in, &ids).await?;
    let (mut done, mut left, mut stopped) = (0, Vec::new(), false);
    for (id, version) in seen {
        let refused = if stopped {
            "It was not tried.".to_owned()
        } else if let Err(problem) = one(&app, &signed_in, &bulk, &id, &version).await {
            stopped = problem.status().is_server_error();
            if stopped {
                tracing::error!(product = %id, problem = problem.detail(), "a change of many products stopped");
            }
            reason(&problem)
        } else {
            done += 1;
            continue;
        };
        let known = found.iter().find(|product| product.id == id);
        left.push(Row {
            title: known.map_or_else(|| id.to_string(), |known| known.title.clone()),
            id: id.to_string(),
            seen: String::new(),
            lines: Vec::new(),
            more: 0,
            refused,
        });
    }
    let page = DonePage {
        frame: Frame::new(&signed_in.visit, "Change of products"),
        done,
        left,
        change: change_of(&typed),
        back: list_of(typed.get("back")),
        rest: Rest::parse(typed.get("rest")),
    };
    Ok(frame::page(StatusCode::OK, &page))
}
