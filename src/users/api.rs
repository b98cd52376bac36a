//! Handlers and wire types of `/v2/users`.

use super::user::{NewUser, User, UserPatch};
use super::{UserId, UserItem, UserStatus, store};
use crate::app::App;
use crate::error::{DUPLICATE, Result, USER_ANONYMIZED, not_found};
use crate::notifications::{self, NotificationBody};
use crate::oauth::{Caller, Scope};
use crate::orders::person::Spending;
use crate::orders::{Order, person};
use crate::sent_back::leave_computed_out;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::http::{
    Command, IfMatch, MergePatch, NoFields, Operation, Page, PageQuery, Path, Problem, Query,
    Reply, codes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListUsers {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Filter users by status (e.g., 'active', 'inactive').
    pub status: Option<UserStatus>,
    /// Users whose username or email begins with this, whatever the case.
    #[schemars(length(min = 1, max = 254))]
    pub q: Option<String>,
    /// The user with this email, whatever the case.
    #[schemars(length(min = 1, max = 254))]
    pub email: Option<String>,
    /// The user with this key of the caller's own.
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    /// These users, separated by commas.
    #[schemars(length(min = 1, max = 250))]
    pub ids: Option<Vec<UserId>>,
    /// Users created after this instant.
    pub created_after: Option<Timestamp>,
    /// Users created before this instant.
    pub created_before: Option<Timestamp>,
    /// Users changed after this instant; on long lists together with `sort=updated_at`.
    pub updated_after: Option<Timestamp>,
    /// The order; oldest first when left away.
    pub sort: UserSort,
}

/// The orders in which users are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum UserSort {
    #[default]
    #[serde(rename = "created_at")]
    CreatedAt,
    #[serde(rename = "-created_at")]
    CreatedAtDescending,
    #[serde(rename = "updated_at")]
    UpdatedAt,
    #[serde(rename = "username")]
    Username,
}

/// The single user.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UserBody {
    #[serde(flatten)]
    pub user: User,
    #[serde(flatten)]
    pub spending: Spending,
}

/// Everything that is kept about one person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserExport {
    pub exported_at: Timestamp,
    pub user: UserBody,
    /// Oldest first, at most 10,000; those after them are in the list of orders.
    pub orders: Vec<Order>,
    /// What was sent to them, oldest first, at most 10,000; those after them are in the list of notifications.
    pub notifications: Vec<NotificationBody>,
}

/// What is forgotten with a user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Anonymize {
    /// Also the orders that a guest placed with the user's email. Say `false` when the address was never
    /// confirmed to be the user's own, or is one that several people share.
    pub guest_orders: bool,
}

impl Default for Anonymize {
    fn default() -> Anonymize {
        Anonymize { guest_orders: true }
    }
}

fn alice() -> Value {
    json!({
        "id": "user_123", "username": "alice", "email": "alice@example.com", "status": "active", "created_at": "2023-10-27T10:00:00Z",
        "profile": { "first_name": "Alice", "last_name": "Smith" }, "addresses": [],
        "consent": { "email": false, "sms": false, "push": false }, "external_id": null, "metadata": {},
        "updated_at": "2023-10-27T10:00:00Z", "version": 1, "orders_count": 0, "total_spent": []
    })
}

/// Who alice is once she has been forgotten.
fn nobody() -> Value {
    let name = "anonymized_01m898dmdme02bk0p8r4fnhd21";
    let mut user = alice();
    user["username"] = name.into();
    user["email"] = format!("{name}@anonymized.invalid").into();
    user["status"] = "inactive".into();
    user["profile"] = json!({});
    user["anonymized_at"] = "2023-10-28T09:00:00Z".into();
    user["updated_at"] = user["anonymized_at"].clone();
    user["version"] = 2.into();
    user
}

/// What `GET /v2/users` promises.
pub fn list_operation() -> Operation {
    Operation::new("listUsers", "Users", "Retrieves a list of users.")
        .query::<ListUsers>()
        .returns::<Vec<UserItem>>(200, "The users, oldest first.")
        .example(json!([
            { "id": "user_123", "username": "alice", "email": "alice@example.com", "status": "active", "created_at": "2023-10-27T10:00:00Z" },
            { "id": "user_456", "username": "bob", "email": "bob@example.com", "status": "active", "created_at": "2023-10-27T10:05:00Z" }
        ]))
}

/// `GET /v2/users`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListUsers>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let users = store::list(&mut tx, &query, &page).await?;
    let total = match page.include_total {
        true => Some(store::count(&mut tx, &query).await?),
        false => None,
    };
    Ok(
        page.reply(users, total, &app.config.public_url, &app.cursors, |user| {
            let key = match query.sort {
                UserSort::Username => super::user::folded(&user.username),
                UserSort::UpdatedAt => user.updated_at.micros().to_string(),
                UserSort::CreatedAt | UserSort::CreatedAtDescending => {
                    user.created_at.micros().to_string()
                }
            };
            vec![key, user.id.to_string()]
        }),
    )
}

/// What `POST /v2/users` promises.
pub fn create_operation() -> Operation {
    Operation::new("createUser", "Users", "Creates a new user.")
        .body::<NewUser>()
        .body_example(json!({
            "username": "alice", "email": "alice@example.com", "profile": { "first_name": "Alice", "last_name": "Smith" }
        }))
        .returns::<UserBody>(201, "The user; `Location` says where it is.")
        .example(alice())
        .errors(&[&DUPLICATE])
}

/// `POST /v2/users`.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    command: Command<NewUser>,
) -> Result<Reply> {
    let now = app.clock.now();
    let user = User::new(command.body, now)?;
    app.write_once(command.once, async move |tx| {
        refuse_taken(tx, &user).await?;
        let added = super::add(tx, std::slice::from_ref(&user), &caller.client_id, now).await;
        added.map_err(taken_meanwhile)?;
        let body = UserBody {
            user,
            spending: Spending::default(),
        };
        let place = format!("/v2/users/{}", body.user.id);
        Ok(Reply::created(&place, body.user.version, &body).about(body.user.id.as_str()))
    })
    .await
}

/// What `GET /v2/users/{id}` promises.
pub fn get_operation() -> Operation {
    Operation::new("getUser", "Users", "Retrieves a specific user by their ID.")
        .returns::<UserBody>(200, "The user.")
        .example(alice())
}

/// `GET /v2/users/{id}`.
pub async fn get(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let mut tx = app.db.read().await?;
    let body = load(&mut tx, &id).await?;
    Ok(Reply::entity(body.user.version, &body))
}

/// What `PUT /v2/users/{id}` promises.
pub fn put_operation() -> Operation {
    update_operation("putUser", "Updates an existing user.")
}

/// What `PATCH /v2/users/{id}` promises.
pub fn patch_operation() -> Operation {
    update_operation("patchUser", "Changes some fields of a user.")
}

fn update_operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "Users", summary)
        .describe(
            "Fields that are sent are changed, `null` clears, objects are merged and arrays replaced (RFC 7396). \
             An object as it was read can be sent back: what the server computes (`orders_count`, `total_spent`, times of \
             changes, `version`) is ignored; another read-only field is refused when it differs (`read_only`). \
             `If-Match` guards against changes that happened meanwhile.",
        )
        .body::<UserPatch>()
        .body_example(json!({ "profile": { "phone": "+4930123456" } }))
        .returns::<UserBody>(200, "The user after the change.")
        .example(alice())
        .errors(&[&DUPLICATE, &USER_ANONYMIZED])
}

/// What the server computes of a user.
const COMPUTED: [&str; 5] = [
    "orders_count",
    "total_spent",
    "updated_at",
    "anonymized_at",
    "version",
];

/// `PUT` and `PATCH /v2/users/{id}`.
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    MergePatch { mut fields, once }: MergePatch,
) -> Result<Reply> {
    let now = app.clock.now();
    let if_match = once.if_match();
    app.write_once(once, async move |tx| {
        let user = lock(tx, &id, &if_match).await?;
        let mut body = with_spending(tx, user).await?;
        let shown = serde_json::to_value(&body)
            .expect("our own types serialise: string keys, no failing impls");
        leave_computed_out(&mut fields, &COMPUTED);
        let change = MergePatch::read_against::<UserPatch>(&fields, &shown)?;
        let changed = body.user.apply(change, now)?;
        if !changed.is_empty() {
            if body.user.anonymized_at.is_some() {
                return Err(Problem::new(
                    &USER_ANONYMIZED,
                    format!("`{id}` was anonymized"),
                ));
            }
            refuse_taken(tx, &body.user).await?;
            store::update(tx, &body.user)
                .await
                .map_err(taken_meanwhile)?;
            super::tell(
                tx,
                "user.updated",
                &body.user,
                &caller.client_id,
                json!({ "changed": changed }),
            )
            .await?;
        }
        Ok(Reply::entity(body.user.version, &body).about(body.user.id.as_str()))
    })
    .await
}

/// What `DELETE /v2/users/{id}` promises.
pub fn delete_operation() -> Operation {
    Operation::new("deleteUser", "Users", "Deletes a user.")
        .describe("The person is forgotten as by `anonymize`, guest orders with the same email included, and the user is not found any more; username, email and external id are free again. Orders stay, without what says who placed them.")
        .returns_nothing(204, "The user is gone.")
}

/// `DELETE /v2/users/{id}`.
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    command: Command<NoFields>,
) -> Result<Reply> {
    let now = app.clock.now();
    let if_match = command.once.if_match();
    app.write_once(command.once, async move |tx| {
        let mut user = lock(tx, &id, &if_match).await?;
        forget(tx, &mut user, true, &caller, now).await?;
        store::delete(tx, &user.id, now).await?;
        super::tell(tx, "user.deleted", &user, &caller.client_id, json!({})).await?;
        Ok(Reply::no_content())
    })
    .await
}

/// What `POST /v2/users/{id}/anonymize` promises.
pub fn anonymize_operation() -> Operation {
    Operation::new("anonymizeUser", "Users", "Erases what tells who a user is.")
        .describe("Username and email are replaced, profile, addresses, consent, external id and metadata emptied, and the email, addresses and notes of the orders removed, also of those that a guest placed with the same email unless `guest_orders` is false: the address is the only thing that ties them to the person, and it is gone afterwards. What their notifications said is emptied. What was answered about them under an `Idempotency-Key` is erased; the keys stay, and a retry gets 410 `answer_erased` instead of doing it again. The user stays, inactive, and the orders with it: amounts, lines and country, which tax law wants kept, and the `external_id`, `tags` and `metadata` of the orders, which are yours. Final; doing it again changes nothing.")
        .body::<Anonymize>()
        .body_example(json!({ "guest_orders": true }))
        .returns::<UserBody>(200, "The user, unrecognisable.")
        .example(nobody())
}

/// `POST /v2/users/{id}/anonymize`.
pub async fn anonymize(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    command: Command<Anonymize>,
) -> Result<Reply> {
    let now = app.clock.now();
    let if_match = command.once.if_match();
    let guest_orders = command.body.guest_orders;
    app.write_once(command.once, async move |tx| {
        let mut user = lock(tx, &id, &if_match).await?;
        if user.anonymized_at.is_none() {
            forget(tx, &mut user, guest_orders, &caller, now).await?;
            super::tell(tx, "user.anonymized", &user, &caller.client_id, json!({})).await?;
        }
        let body = with_spending(tx, user).await?;
        Ok(Reply::entity(body.user.version, &body).about(body.user.id.as_str()))
    })
    .await
}

/// What `GET /v2/users/{id}/export` promises.
pub fn export_operation() -> Operation {
    Operation::new("exportUser", "Users", "Retrieves everything that is kept about a person.")
        .describe("For the person's right of access. It contains orders and notifications, so the token needs \
            `orders:read` and `notifications:read` too.")
        .returns::<UserExport>(200, "The user, their orders and what was sent to them.")
        .example(json!({
            "exported_at": "2023-10-28T09:00:00Z", "user": alice(), "orders": [], "notifications": []
        }))
}

/// `GET /v2/users/{id}/export`.
pub async fn export(State(app): State<App>, caller: Caller, Path(id): Path) -> Result<Reply> {
    for scope in [Scope::OrdersRead, Scope::NotificationsRead] {
        if !caller.scopes.contains(scope) {
            let detail = format!("this needs the scope {} too", scope.name());
            return Err(Problem::new(&codes::INSUFFICIENT_SCOPE, detail));
        }
    }
    let exported_at = app.clock.now();
    let export = app.db.snapshot(async move |tx| {
        let user = load(tx, &id).await?;
        let orders = person::copy(tx, &user.user.id).await?;
        let notifications = notifications::copy(tx, &user.user.id).await?;
        Ok::<_, Problem>(UserExport {
            exported_at,
            user,
            orders,
            notifications,
        })
    });
    Ok(Reply::json(StatusCode::OK, &export.await?))
}

/// The user to be shown.
async fn load(tx: &mut Tx, id: &str) -> Result<UserBody> {
    let user = match UserId::parse(id) {
        Some(id) => store::find(tx, &id).await?,
        None => None,
    };
    with_spending(tx, user.ok_or_else(|| not_found("user", id))?).await
}

/// The user to be changed, once it is still at the version that the caller saw.
async fn lock(tx: &mut Tx, id: &str, if_match: &IfMatch) -> Result<User> {
    let user = match UserId::parse(id) {
        Some(id) => store::find_and_lock(tx, &id).await?,
        None => None,
    };
    let user = user.ok_or_else(|| not_found("user", id))?;
    if !if_match.holds(user.version) {
        let body = with_spending(tx, user).await?;
        return Err(if_match.refused(&Reply::entity(body.user.version, &body)));
    }
    Ok(user)
}

async fn with_spending(tx: &mut Tx, user: User) -> Result<UserBody> {
    let spending = person::store::spending(tx, &user.id).await?;
    Ok(UserBody { user, spending })
}

/// Erases the person from the user, from their orders and notifications and from what was answered about them.
async fn forget(
    tx: &mut Tx,
    user: &mut User,
    guest_orders: bool,
    caller: &Caller,
    now: Timestamp,
) -> Result<()> {
    let email = guest_orders.then(|| user.email.clone());
    user.anonymize(now);
    store::update(tx, user).await?;
    notifications::store::forget(tx, &user.id, now).await?;
    Ok(person::forget(tx, &user.id, email.as_deref(), &caller.client_id, now).await?)
}

/// Refuses values that must be unique and are not, all at once.
async fn refuse_taken(tx: &mut Tx, user: &User) -> Result<()> {
    let taken = store::taken(tx, user).await?;
    let problem = taken
        .into_iter()
        .fold(None, |problem: Option<Problem>, field| {
            let next = taken_problem(field);
            Some(match problem {
                None => next,
                Some(problem) => problem.at(
                    &format!("#/{field}"),
                    "duplicate",
                    format!("another one has this {field}"),
                ),
            })
        });
    problem.map_or(Ok(()), Err)
}

/// 409 `duplicate` without the value: refusals are kept under their keys, and nothing there may name a person.
fn taken_problem(field: &'static str) -> Problem {
    let detail = format!("another one has this {field}");
    Problem::new(&DUPLICATE, detail.clone()).at(&format!("#/{field}"), "duplicate", detail)
}

/// What a unique index says when another request took the value after [`refuse_taken`] looked.
fn taken_meanwhile(error: DbError) -> Problem {
    let indexes = [
        ("users_username_folded", "username"),
        ("users_email_folded", "email"),
        ("users_external_id", "external_id"),
    ];
    match indexes
        .into_iter()
        .find(|(index, _)| error.is_unique(index))
    {
        Some((_, field)) => taken_problem(field),
        None => error.into(),
    }
}
