//! Handlers and wire types of `/v2/users`.

use super::{User, UserStatus, store};
use crate::app::App;
use crate::error::Result;
use axum::extract::{OriginalUri, State};
use platform::http::{Operation, Page, PageQuery, Query, Reply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListUsers {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Filter users by status (e.g., 'active', 'inactive').
    pub status: Option<UserStatus>,
}

/// What `GET /v2/users` promises.
pub fn list_operation() -> Operation {
    Operation::new("listUsers", "Users", "Retrieves a list of users.")
        .query::<ListUsers>()
        .returns::<Vec<User>>(200, "The users, oldest first.")
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
    let users = store::list(&mut app.db.read().await?, &query, &page).await?;
    Ok(
        page.reply(users, None, &app.config.public_url, &app.cursors, |user| {
            vec![user.created_micros.to_string(), user.id.to_string()]
        }),
    )
}
