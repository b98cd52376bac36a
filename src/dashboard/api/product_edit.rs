//! `/dashboard/products/new`, `/dashboard/products/{id}/edit` and `…/delete`.

use super::products::find;
use crate::app::App;
use crate::dashboard::deed::differences;
use crate::dashboard::edited::{Again, Clash, Edited, Values};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::product_form::{new_product, product_patch, product_values};
use crate::dashboard::show::count;
use crate::dashboard::store as own;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::Result;
use crate::money::Currency;
use crate::products::changes::{self, Changer};
use crate::products::input::NewProduct;
use crate::products::product::{Asked, Product};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{IfMatch, Path, Problem, Schema, codes, field_errors_to_problem};
use serde_json::{Map, Value, json};

/// In the order in which they are shown.
const STATUSES: [&str; 3] = ["active", "draft", "archived"];

/// Whether the form that met `problem` is shown again, rather than a page of the problem.
pub fn is_of_form(problem: &Problem) -> bool {
    problem.status().is_client_error() && problem.status() != StatusCode::NOT_FOUND
}

/// Members of a request body as the API reads them, or what is wrong with them.
fn read_new(body: Map<String, Value>) -> Result<NewProduct> {
    let body = Value::Object(body);
    let violations = Schema::of::<NewProduct>().violations(&body);
    if !violations.is_empty() {
        return Err(field_errors_to_problem(violations));
    }
    let read = serde_json::from_value(body);
    read.map_err(|error| Problem::new(&codes::INVALID_BODY, error.to_string()))
}

#[derive(Template)]
#[template(path = "product_edit.html")]
struct EditPage {
    frame: Frame,
    /// `None` for a product that is to be made.
    product: Option<Product>,
    version: i64,
    values: Values,
    /// What the page shows, to be compared with when it comes back.
    seen: Values,
    statuses: [&'static str; 3],
    currency: String,
    currencies: Vec<&'static str>,
    clashes: Vec<Clash>,
    wrong: Wrong,
    on_hand: String,
    allocated: i64,
}

impl EditPage {
    fn new(signed_in: &SignedIn, values: Values) -> EditPage {
        let typed = values.of("currency");
        EditPage {
            frame: Frame::new(&signed_in.visit, "New product"),
            product: None,
            version: 0,
            seen: Values::default(),
            statuses: STATUSES,
            currency: match typed {
                "" => signed_in.shop.currency.as_str().to_owned(),
                typed => typed.to_owned(),
            },
            currencies: Currency::codes(),
            clashes: Vec::new(),
            wrong: Wrong::default(),
            on_hand: String::new(),
            allocated: 0,
            values,
        }
    }

    fn of(signed_in: &SignedIn, product: Product) -> Result<EditPage> {
        let present = product_values(&product)?;
        let page = EditPage::new(signed_in, present.clone());
        Ok(EditPage {
            frame: Frame::new(&signed_in.visit, format!("Edit {}", product.title)),
            version: product.version,
            seen: present,
            on_hand: count(product.inventory.on_hand),
            allocated: product.inventory.allocated,
            product: Some(product),
            ..page
        })
    }
}

/// `GET /dashboard/products/new`.
pub async fn new(signed_in: SignedIn) -> Result<Response> {
    Ok(frame::page(
        StatusCode::OK,
        &EditPage::new(&signed_in, Values::default()),
    ))
}

/// `POST /dashboard/products/new`.
pub async fn create(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let typed = Edited::of(&typed).typed;
    match created(&app, &signed_in, &typed).await {
        Ok(id) => Ok(frame::done(&format!("/dashboard/products/{id}"), "created")),
        Err(problem) if is_of_form(&problem) => {
            let page = EditPage {
                wrong: Wrong::of(&problem, &[]),
                ..EditPage::new(&signed_in, typed)
            };
            Ok(frame::page(problem.status(), &page))
        }
        Err(problem) => Err(problem),
    }
}

async fn created(app: &App, signed_in: &SignedIn, typed: &Values) -> Result<String> {
    let body = new_product(typed).map_err(field_errors_to_problem)?;
    let NewProduct(input) = read_new(body)?;
    let draft = changes::draft_of(input)?;
    let title = draft.title.clone();
    let by = signed_in.clone();
    let id: Result<String> = app
        .db
        .write(async move |tx| {
            let (actor, now) = (by.staff.id.as_str(), by.visit.now());
            let id = changes::create(tx, draft, actor, now).await?;
            let object = ("product", id.as_str());
            own::note_change(tx, by.doer(), "product.created", object, &title).await?;
            Ok(id.to_string())
        })
        .await;
    app.nudge.send();
    id
}

/// `GET /dashboard/products/{id}/edit`.
pub async fn edit(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let product = find(&app, &signed_in, &id).await?;
    Ok(frame::page(
        StatusCode::OK,
        &EditPage::of(&signed_in, product)?,
    ))
}

/// `POST /dashboard/products/{id}/edit`.
pub async fn update(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(fields): Form,
) -> Result<Response> {
    let edited = Edited::of(&fields);
    let typed = edited.typed.clone();
    let patch = move |product: &Product| Ok(product_patch(&typed, &product_values(product)?));
    let form = edited.clone();
    let fits = move |product: &Product| Ok(form.fits(&product_values(product)?));
    let at = (id.as_str(), fields.get("version"));
    let problem = match change(&app, &signed_in, at, fits, patch).await {
        Ok(()) => {
            return Ok(frame::done(&format!("/dashboard/products/{id}"), "changed"));
        }
        Err(problem) if is_of_form(&problem) => problem,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            let detail = "the product is not there any more, so nothing was saved: create it anew with what you entered";
            let page = EditPage {
                wrong: Wrong::line(detail),
                ..EditPage::new(&signed_in, edited.typed)
            };
            return Ok(frame::page(StatusCode::NOT_FOUND, &page));
        }
        Err(problem) => return Err(problem),
    };
    let page = EditPage::of(&signed_in, find(&app, &signed_in, &id).await?)?;
    let seen = seen_version(fields.get("version"))?;
    let now = (page.seen, page.version);
    let again = Again::of(&problem, (&edited, seen), now, &[]);
    let page = EditPage {
        values: again.values,
        clashes: again.clashes,
        wrong: again.wrong,
        version: again.version,
        seen: again.seen,
        ..page
    };
    Ok(frame::page(problem.status(), &page))
}

/// The version that the page of a form showed.
pub fn seen_version(text: &str) -> Result<i64> {
    let version = text.parse();
    version.map_err(|_| Problem::new(&codes::INVALID_BODY, "the form has no version"))
}

/// Changes a product as the API does, by the patch that `patch` makes of it as it is, unless it is at another version
/// than `seen`. What others changed meanwhile does not matter where `fits` says so.
pub async fn change<F, G>(
    app: &App,
    signed_in: &SignedIn,
    (id, seen): (&str, &str),
    fits: G,
    patch: F,
) -> Result<()>
where
    F: Fn(&Product) -> Result<Map<String, Value>> + Send + 'static,
    G: Fn(&Product) -> Result<bool> + Send + 'static,
{
    let (id, by) = (id.to_owned(), signed_in.clone());
    let seen = IfMatch::version(seen_version(seen)?);
    let done: Result<()> = app
        .db
        .write(async move |tx| {
            let now = by.visit.now();
            let before = changes::present(tx, &id, &Asked::plain(now)).await?;
            let (if_match, fields) = match seen.holds(before.version) || fits(&before)? {
                true => (IfMatch::version(before.version), patch(&before)?),
                false => (seen.clone(), Map::new()), // refused by the change itself
            };
            let changer = Changer {
                actor: by.staff.id.as_str(),
                if_match: &if_match,
                now,
            };
            changes::update(tx, &id, fields, &changer).await?;
            let after = changes::present(tx, &id, &Asked::plain(now)).await?;
            if after.version != before.version {
                let changed = differences(&json!(before), &json!(after));
                let object = ("product", id.as_str());
                own::note_change(tx, by.doer(), "product.changed", object, &changed).await?;
            }
            Ok(())
        })
        .await;
    app.nudge.send();
    done
}

/// `POST /dashboard/products/{id}/delete`.
pub async fn delete(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let product = find(&app, &signed_in, &id).await?;
    if typed.get("name") != product.title.trim() {
        let mut page = EditPage::of(&signed_in, product)?;
        let detail = "this is not its title: nothing was deleted";
        page.wrong.add("name", "Title", detail);
        return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let if_match = IfMatch::version(seen_version(typed.get("version"))?);
    let deleted: Result<()> = app
        .db
        .write(async move |tx| {
            let by = Changer {
                actor: signed_in.staff.id.as_str(),
                if_match: &if_match,
                now: signed_in.visit.now(),
            };
            changes::delete(tx, &id, &by).await?;
            let object = ("product", id.as_str());
            own::note_change(
                tx,
                signed_in.doer(),
                "product.deleted",
                object,
                &product.title,
            )
            .await?;
            Ok(())
        })
        .await;
    match deleted {
        Err(problem) if problem.code() == &codes::PRECONDITION_FAILED => {
            let detail = "Somebody else changed the product meanwhile, so nothing was deleted. Go back and look at it as it is now.";
            return Err(Problem::new(&codes::PRECONDITION_FAILED, detail));
        }
        other => other?,
    }
    app.nudge.send();
    Ok(frame::done("/dashboard/products", "deleted"))
}
