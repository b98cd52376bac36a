//! All SQL of the users.

use super::api::{ListUsers, UserSort};
use super::user::{User, UserId, UserItem, folded};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, ToParam, Tx};
use platform::http::Page;
use platform::params;
use serde::Serialize;
use serde::de::DeserializeOwned;

const COLUMNS: &str =
    "id, username, email, status, created_at, profile, addresses, consent, external_id, metadata,
    updated_at, version, anonymized_at";

fn item(row: &Row<'_>) -> Result<UserItem, DbError> {
    Ok(UserItem {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        status: row.get(3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}

fn user(row: &Row<'_>) -> Result<User, DbError> {
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        status: row.get(3)?,
        created_at: row.get(4)?,
        profile: read_json(row, 5)?,
        addresses: read_json(row, 6)?,
        consent: read_json(row, 7)?,
        external_id: row.get(8)?,
        metadata: row.get(9)?,
        updated_at: row.get(10)?,
        version: row.get(11)?,
        anonymized_at: row.get(12)?,
    })
}

fn read_json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<T, DbError> {
    let text: &str = row.get(index)?;
    serde_json::from_str(text).map_err(|error| DbError::Column {
        index,
        reason: error.to_string(),
    })
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types serialise: string keys, no failing impls")
}

/// The live user called `id`.
pub async fn find(tx: &mut Tx, id: &UserId) -> Result<Option<User>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = $1 AND deleted_at IS NULL");
    tx.fetch_optional(&sql, params![id], user).await
}

/// The live user called `id`, held against other writers until the unit of work ends. (Setting a row to itself is the
/// lock that both engines know; the row that comes back is the newest.)
pub async fn find_and_lock(tx: &mut Tx, id: &UserId) -> Result<Option<User>, DbError> {
    let sql = format!(
        "UPDATE users SET version = version WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}"
    );
    tx.fetch_optional(&sql, params![id], user).await
}

/// What the conditions of a list compare with.
struct Wanted<'a> {
    query: &'a ListUsers,
    email: Option<String>,
    /// The range of all texts that begin with `q`.
    prefix: Option<(String, String)>,
}

impl<'a> Wanted<'a> {
    fn new(query: &'a ListUsers) -> Wanted<'a> {
        let prefix = query.q.as_deref().map(folded);
        Wanted {
            query,
            email: query.email.as_deref().map(folded),
            prefix: prefix.map(|from| (from.clone(), format!("{from}{}", char::MAX))),
        }
    }

    /// `columns` of the live users that the query asks for; order and limit are still to come.
    fn select(&self, columns: &str) -> Select<'_> {
        let query = self.query;
        let mut select = Select::new(&format!(
            "SELECT {columns} FROM users WHERE deleted_at IS NULL"
        ));
        select
            .and_some(
                "status = {}",
                query.status.map(|status| Param::Text(status.as_str())),
            )
            .and_some("email_folded = {}", self.email.as_deref().map(Param::Text))
            .and_some(
                "external_id = {}",
                query.external_id.as_deref().map(Param::Text),
            )
            .and_some("created_at > {}", query.created_after.map(micros))
            .and_some("created_at < {}", query.created_before.map(micros))
            .and_some("updated_at > {}", query.updated_after.map(micros));
        if let Some(ids) = &query.ids {
            let ids: Vec<Param<'_>> = ids.iter().map(|id| Param::Text(id.as_str())).collect();
            select.and_in("id", &ids);
        }
        if let Some((from, to)) = &self.prefix {
            let range = [
                Param::Text(from),
                Param::Text(to),
                Param::Text(from),
                Param::Text(to),
            ];
            select.push("AND id IN").bind(
                "(SELECT id FROM users WHERE deleted_at IS NULL AND username_folded >= {} AND username_folded < {}
                UNION SELECT id FROM users WHERE deleted_at IS NULL AND email_folded >= {} AND email_folded < {})",
                &range,
            );
        }
        select
    }

    /// The statement of one page.
    fn page<'s>(&'s self, page: &'s Page) -> Select<'s> {
        let mut select = self.select("id, username, email, status, created_at, updated_at");
        match self.query.sort {
            UserSort::CreatedAt => {
                if let Some(key) = after_time(page) {
                    select.push("AND").bind("(created_at, id) > ({}, {})", &key);
                }
                select.push("ORDER BY created_at, id");
            }
            UserSort::CreatedAtDescending => {
                if let Some(key) = after_time(page) {
                    select.push("AND").bind("(created_at, id) < ({}, {})", &key);
                }
                select.push("ORDER BY created_at DESC, id DESC");
            }
            UserSort::UpdatedAt => {
                if let Some(key) = after_time(page) {
                    select.push("AND").bind("(updated_at, id) > ({}, {})", &key);
                }
                select.push("ORDER BY updated_at, id");
            }
            UserSort::Username => {
                if let Some([username, id]) = page.after.as_deref() {
                    let key = [Param::Text(username), Param::Text(id)];
                    select
                        .push("AND")
                        .bind("(username_folded, id) > ({}, {})", &key);
                }
                select.push("ORDER BY username_folded, id");
            }
        }
        select.window(page.fetch(), page.offset);
        select
    }
}

fn after_time(page: &Page) -> Option<[Param<'_>; 2]> {
    page.after_time_and_id()
        .map(|(time, id)| [Param::Int(time), Param::Text(id)])
}

fn micros(at: Timestamp) -> Param<'static> {
    Param::Int(at.micros())
}

/// One more than the page holds, in the order of `query.sort`.
pub async fn list(tx: &mut Tx, query: &ListUsers, page: &Page) -> Result<Vec<UserItem>, DbError> {
    let wanted = Wanted::new(query);
    wanted.page(page).fetch_all(tx, item).await
}

/// How many users the list has on all its pages.
pub async fn count(tx: &mut Tx, query: &ListUsers) -> Result<i64, DbError> {
    let wanted = Wanted::new(query);
    let counts = wanted
        .select("COUNT(*)")
        .fetch_all(tx, |row| row.get(0))
        .await?;
    Ok(counts.first().copied().unwrap_or(0))
}

/// Which of `user`'s unique fields another live user has already.
pub async fn taken(tx: &mut Tx, user: &User) -> Result<Vec<&'static str>, DbError> {
    let (username, email) = (folded(&user.username), folded(&user.email));
    // One lookup for each index; an OR over three would need the engine's good will.
    let sql = "SELECT 'username' FROM users WHERE username_folded = $2 AND id <> $1 AND deleted_at IS NULL
        UNION ALL SELECT 'email' FROM users WHERE email_folded = $3 AND id <> $1 AND deleted_at IS NULL
        UNION ALL SELECT 'external_id' FROM users WHERE external_id = $4 AND id <> $1 AND deleted_at IS NULL";
    tx.fetch_all(
        sql,
        params![user.id, username, email, user.external_id],
        |row| {
            Ok(match row.get(0)? {
                "username" => "username",
                "email" => "email",
                _ => "external_id",
            })
        },
    )
    .await
}

/// The email address of a user who may place orders, and whether they are active. Held: whoever forgets the user
/// meanwhile waits, and then empties the order that was placed too.
pub async fn buyer(tx: &mut Tx, id: &UserId) -> Result<Option<(String, bool)>, DbError> {
    let sql = "SELECT email, status FROM users WHERE id = $1 AND deleted_at IS NULL";
    tx.fetch_held(sql, params![id], |row| {
        Ok((row.get(0)?, row.get::<&str>(1)? == "active"))
    })
    .await
}

/// Whether a user's person is still known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    Yes,
    /// The user was anonymised.
    No,
}

/// The user, held as by [`buyer`].
pub async fn hold(tx: &mut Tx, id: &UserId) -> Result<Option<Remembered>, DbError> {
    let sql = "SELECT anonymized_at FROM users WHERE id = $1 AND deleted_at IS NULL";
    tx.fetch_held(sql, params![id], |row| {
        Ok(match row.get::<Option<i64>>(0)? {
            None => Remembered::Yes,
            Some(_) => Remembered::No,
        })
    })
    .await
}

/// Whether there is a user called `id`, anonymised or not.
pub async fn exists(tx: &mut Tx, id: &UserId) -> Result<bool, DbError> {
    let sql = "SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL";
    let found = tx.fetch_optional(sql, params![id], |_| Ok(())).await?;
    Ok(found.is_some())
}

/// Whether there is a user called `id` who was not forgotten.
pub async fn is_known(tx: &mut Tx, id: &UserId) -> Result<bool, DbError> {
    let sql = "SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL AND anonymized_at IS NULL";
    let found = tx.fetch_optional(sql, params![id], |_| Ok(())).await?;
    Ok(found.is_some())
}

/// Stores `user` as it is.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<(), DbError> {
    insert_many(tx, std::slice::from_ref(user)).await
}

/// Stores `users` as they are, with as few statements as fit.
pub async fn insert_many(tx: &mut Tx, users: &[User]) -> Result<(), DbError> {
    let texts: Vec<[String; 6]> = users.iter().map(texts).collect();
    let mut values = Vec::with_capacity(users.len() * 15);
    for (user, [username, email, profile, addresses, consent, metadata]) in users.iter().zip(&texts)
    {
        values.extend([
            user.id.to_param(),
            user.username.to_param(),
            username.to_param(),
            user.email.to_param(),
            email.to_param(),
            Param::Text(user.status.as_str()),
            profile.to_param(),
            addresses.to_param(),
            consent.to_param(),
            user.external_id.to_param(),
            metadata.to_param(),
            user.created_at.to_param(),
            user.updated_at.to_param(),
            user.version.to_param(),
            user.anonymized_at.to_param(),
        ]);
    }
    let head = "INSERT INTO users (id, username, username_folded, email, email_folded, status, profile, addresses, consent,
        external_id, metadata, created_at, updated_at, version, anonymized_at)";
    tx.insert_many(head, 15, &values, "").await.map(drop)
}

/// What is stored in another form than it is held: the folded names and the JSON.
fn texts(user: &User) -> [String; 6] {
    [
        folded(&user.username),
        folded(&user.email),
        to_json(&user.profile),
        to_json(&user.addresses),
        to_json(&user.consent),
        user.metadata.to_json(),
    ]
}

/// Stores `user` over what was stored of it. The caller holds it by [`find_and_lock`].
pub async fn update(tx: &mut Tx, user: &User) -> Result<(), DbError> {
    let [username, email, profile, addresses, consent, metadata] = texts(user);
    let sql = "UPDATE users SET username = $2, username_folded = $3, email = $4, email_folded = $5, status = $6, profile = $7,
            addresses = $8, consent = $9, external_id = $10, metadata = $11, updated_at = $12, version = $13, anonymized_at = $14
        WHERE id = $1 AND deleted_at IS NULL";
    let status = user.status.as_str();
    let values = params![
        user.id,
        user.username,
        username,
        user.email,
        email,
        status,
        profile,
        addresses,
        consent,
        user.external_id,
        metadata,
        user.updated_at,
        user.version,
        user.anonymized_at
    ];
    match tx.execute(sql, values).await? {
        0 => Err(DbError::NoRow),
        _ => Ok(()),
    }
}

/// Takes `id` out of sight; its username, email and external id are free again.
pub async fn delete(tx: &mut Tx, id: &UserId, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE users SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    tx.execute(sql, params![id, now]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::MIGRATIONS;
    use platform::db::Db;
    use platform::http::{CursorKey, PageQuery};

    #[tokio::test]
    async fn every_list_reads_along_an_index() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open_sqlite(&dir.path().join("t.db")).expect("a fresh database");
        db.migrate(MIGRATIONS, 0).await.expect("migrated");
        let text = || Some("c".to_owned());
        let at = Some(Timestamp::from_micros(0));
        let page = Page::new(
            &PageQuery::default(),
            &axum::http::Uri::from_static("/v2/users"),
            &CursorKey::new(&[7; 32]),
        );
        let mut page = page.expect("a first page");
        let all = ListUsers::default;
        for sort in [
            UserSort::CreatedAt,
            UserSort::CreatedAtDescending,
            UserSort::UpdatedAt,
            UserSort::Username,
        ] {
            for after in [None, Some(vec!["1".to_owned(), "user_1".to_owned()])] {
                page.after = after;
                let plan = plan(&db, &ListUsers { sort, ..all() }, &page).await;
                assert!(
                    !plan.contains("TEMP B-TREE"),
                    "{sort:?} has its index: {plan}"
                );
            }
        }
        for query in [
            ListUsers {
                status: Some(super::super::UserStatus::Active),
                ..all()
            },
            ListUsers { q: text(), ..all() },
            ListUsers {
                email: text(),
                ..all()
            },
            ListUsers {
                external_id: text(),
                ..all()
            },
            ListUsers {
                ids: Some(vec![UserId::new()]),
                ..all()
            },
            ListUsers {
                created_after: at,
                created_before: at,
                ..all()
            },
            ListUsers {
                updated_after: at,
                sort: UserSort::UpdatedAt,
                ..all()
            },
        ] {
            plan(&db, &query, &page).await;
        }
    }

    async fn plan(db: &Db, query: &ListUsers, page: &Page) -> String {
        let wanted = Wanted::new(query);
        let select = wanted.page(page);
        let plan = db
            .explain(select.sql(), select.params())
            .await
            .expect("a plan")
            .join("; ");
        let uses_index = |step: &str| !step.starts_with("SCAN users") || step.contains("USING");
        assert!(plan.split("; ").all(uses_index), "{query:?}: {plan}");
        plan
    }
}
