//! `/dashboard/search`: pages and objects by what somebody typed or pasted.

use super::orders::buyer;
use crate::app::App;
use crate::dashboard::fields::{Fields, encode};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::role::Role;
use crate::dashboard::show::money;
use crate::dashboard::staff::Staff;
use crate::dashboard::store;
use crate::dashboard::visit::SignedIn;
use crate::error::Result;
use crate::oauth::store::client_names;
use crate::orders::api::{ListOrders, OrderFilters, OrderSort};
use crate::orders::{Order, OrderId, store as orders};
use crate::products::inventory::store::find_variant;
use crate::products::product::Asked;
use crate::products::search::FacetRequest;
use crate::products::search::api::{SearchQuery, run};
use crate::products::{ProductId, VariantId, store as products};
use crate::users::api::{ListUsers, UserSort};
use crate::users::{UserId, store as users};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use platform::http::{Page, PageQuery};

/// Longest text that is looked for, in characters.
const Q_CHARS_MAX: usize = 256;
/// Objects of one kind that are shown.
const SHOWN: i64 = 5;
const SHOWN_EACH: usize = SHOWN as usize;

/// Pages that everybody may see and that the navigation does not list.
const OTHER_PAGES: [(&str, &str); 4] = [
    ("/dashboard/account", "Your account"),
    (
        "/dashboard/security",
        "Security: password, two-factor authentication, passkeys, sessions",
    ),
    ("/docs", "API reference (docs)"),
    ("/device", "Connect a device"),
];

/// Something that was found.
#[derive(Debug)]
struct Hit {
    address: String,
    name: String,
    /// What tells it from others.
    detail: String,
}

/// What was found of one kind, and where all of it is.
#[derive(Debug)]
struct Found {
    kind: &'static str,
    hits: Vec<Hit>,
    all: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    q: String,
    found: Vec<Found>,
}

/// The results alone, for the palette.
#[derive(Template)]
#[template(path = "search_results.html")]
struct Results {
    q: String,
    found: Vec<Found>,
}

/// `GET /dashboard/search`.
pub async fn get(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let q: String = asked.get("q").chars().take(Q_CHARS_MAX).collect();
    let frame = Frame::new(&signed_in.visit, "Search");
    let found = match q.is_empty() {
        true => Vec::new(),
        false => found(&app, &signed_in, &frame, &q).await?,
    };
    match asked.get("part") {
        "results" => Ok(frame::page(StatusCode::OK, &Results { q, found })),
        _ => Ok(frame::page(StatusCode::OK, &SearchPage { frame, q, found })),
    }
}

async fn found(app: &App, signed_in: &SignedIn, frame: &Frame, q: &str) -> Result<Vec<Found>> {
    let mut found = vec![
        pages(frame, q),
        orders_found(app, q).await?,
        products_found(app, signed_in, q).await?,
        customers_found(app, q).await?,
    ];
    if signed_in.visit.may(Role::Developer) {
        found.push(for_developers(q));
        found.push(credentials_found(app, q).await?);
    }
    if signed_in.visit.may(Role::Admin) {
        found.push(team_found(app, q).await?);
    }
    found.retain(|found| !found.hits.is_empty());
    Ok(found)
}

fn pages(frame: &Frame, q: &str) -> Found {
    let wanted = q.to_lowercase();
    let named = frame
        .navigation
        .iter()
        .map(|entry| (entry.path, entry.name));
    let named = named.chain(OTHER_PAGES);
    let named = named.filter(|(_, name)| name.to_lowercase().contains(&wanted));
    Found {
        kind: "Pages",
        hits: named
            .map(|(path, name)| Hit {
                address: path.to_owned(),
                name: name.to_owned(),
                detail: String::new(),
            })
            .collect(),
        all: String::new(),
    }
}

/// The first few of a list.
fn first(app: &App) -> Result<Page> {
    let query = PageQuery {
        limit: Some(SHOWN),
        ..PageQuery::default()
    };
    Page::new(&query, &Uri::from_static("/dashboard/search"), &app.cursors)
}

fn order_hit(order: &Order) -> Hit {
    Hit {
        address: format!("/dashboard/orders/{}", order.id),
        name: format!("Order {}", order.number.as_deref().unwrap_or_default()),
        detail: format!(
            "{}, {}",
            buyer(order),
            money(order.totals.total, order.currency)
        ),
    }
}

/// Orders by id, number or email.
async fn orders_found(app: &App, q: &str) -> Result<Found> {
    let mut filters = OrderFilters {
        sort: Some(OrderSort::CreatedAtDescending),
        ..OrderFilters::default()
    };
    let number = q
        .split_once(' ')
        .filter(|(word, _)| word.eq_ignore_ascii_case("order"));
    let number = number.map_or(q, |(_, number)| number.trim());
    let number = number.trim_start_matches('#');
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let mut found = Found {
        kind: "Orders",
        hits: Vec::new(),
        all: format!("/dashboard/orders?q={}", encode(number)),
    };
    match OrderId::parse(q) {
        Some(id) => filters.ids = Some(vec![id]),
        None if digits => filters.number = Some(number.to_owned()),
        None if q.contains('@') => filters.email = Some(q.to_owned()),
        None => return Ok(found),
    }
    let query = ListOrders {
        orders: filters,
        user_id: None,
    };
    let page = first(app)?;
    let mut listed = orders::list(&mut app.db.read().await?, &query, &page).await?;
    page.cut(&mut listed);
    found.hits = listed.iter().map(order_hit).collect();
    Ok(found)
}

/// Products by id, by that of a variant, or by words.
async fn products_found(app: &App, signed_in: &SignedIn, q: &str) -> Result<Found> {
    let ids: Vec<ProductId> = match (ProductId::parse(q), VariantId::parse(q)) {
        (Some(id), _) => vec![id],
        (_, Some(id)) => {
            let variant = find_variant(&mut app.db.read().await?, Some(&id), None).await?;
            variant
                .map(|variant| variant.product_id)
                .into_iter()
                .collect()
        }
        (None, None) => {
            let query = SearchQuery {
                q: Some(q.to_owned()),
                limit: Some(SHOWN),
                ..SearchQuery::default()
            };
            let results = run(app, &query, FacetRequest::default()).await?;
            let hits = results.hits.iter();
            hits.filter_map(|hit| ProductId::parse(&hit.product_id))
                .collect()
        }
    };
    let asked = Asked::plain(signed_in.visit.now());
    let mut listed = products::load(&mut app.db.read().await?, &ids, &asked).await?;
    listed.sort_by_key(|product| ids.iter().position(|id| *id == product.id));
    Ok(Found {
        kind: "Products",
        hits: listed
            .iter()
            .map(|product| Hit {
                address: format!("/dashboard/products/{}", product.id),
                name: product.title.clone(),
                detail: product.sku.clone().unwrap_or_default(),
            })
            .collect(),
        all: format!("/dashboard/products?q={}", encode(q)),
    })
}

/// Customers by id, or by the beginning of a username or email.
async fn customers_found(app: &App, q: &str) -> Result<Found> {
    let mut tx = app.db.read().await?;
    let hit = |id: &UserId, name: &str, email: &str| Hit {
        address: format!("/dashboard/customers/{id}"),
        name: name.to_owned(),
        detail: email.to_owned(),
    };
    let hits = match UserId::parse(q) {
        Some(id) => {
            let user = users::find(&mut tx, &id).await?;
            let user = user.iter();
            user.map(|user| hit(&user.id, &user.username, &user.email))
                .collect()
        }
        None => {
            let query = ListUsers {
                q: Some(q.to_owned()),
                sort: UserSort::CreatedAtDescending,
                ..ListUsers::default()
            };
            let page = first(app)?;
            let mut listed = users::list(&mut tx, &query, &page).await?;
            page.cut(&mut listed);
            let listed = listed.iter();
            listed
                .map(|user| hit(&user.id, &user.username, &user.email))
                .collect()
        }
    };
    Ok(Found {
        kind: "Customers",
        hits,
        all: format!("/dashboard/customers?q={}", encode(q)),
    })
}

/// Credentials by a part of their name.
async fn credentials_found(app: &App, q: &str) -> Result<Found> {
    let wanted = q.to_lowercase();
    let clients = client_names(&mut app.db.read().await?).await?;
    let named = clients.into_iter();
    let named = named.filter(|(_, name)| name.to_lowercase().contains(&wanted));
    let hit = |(id, name): (String, String)| Hit {
        address: format!("/dashboard/credentials/{id}"),
        name,
        detail: id,
    };
    Ok(Found {
        kind: "API credentials",
        hits: named.take(SHOWN_EACH).map(hit).collect(),
        all: "/dashboard/credentials".to_owned(),
    })
}

/// Members of staff by a part of their email.
async fn team_found(app: &App, q: &str) -> Result<Found> {
    let wanted = q.to_lowercase();
    let staff = store::list(&mut app.db.read().await?).await?;
    let named = staff.iter();
    let named = named.filter(|one| one.email.to_lowercase().contains(&wanted));
    let hit = |one: &Staff| Hit {
        address: format!("/dashboard/team/{}", one.id),
        name: one.email.clone(),
        detail: one.role.shown().to_owned(),
    };
    Ok(Found {
        kind: "Team",
        hits: named.take(SHOWN_EACH).map(hit).collect(),
        all: "/dashboard/team".to_owned(),
    })
}

/// Pasted ids of credentials and of requests.
fn for_developers(q: &str) -> Found {
    let plain = q
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let hit = |address: &str, name: &str| Hit {
        address: format!("{address}/{q}"),
        name: name.to_owned(),
        detail: q.to_owned(),
    };
    let is_request = q.len() == 36 && q.matches('-').count() == 4;
    Found {
        kind: "Developers",
        hits: match plain {
            true if q.starts_with("cli_") => vec![hit("/dashboard/credentials", "Credentials")],
            true if is_request => vec![hit("/dashboard/requests", "Request")],
            _ => Vec::new(),
        },
        all: String::new(),
    }
}
