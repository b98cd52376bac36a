//! All SQL of the dashboard's own tables. Figures over the shop are in `figures/store.rs`.

use super::deed::bounded;
use super::role::Role;
use super::staff::{LinkKind, Session, Shop, Staff, StaffId, Theme};
use super::views::{OWN_MAX, OwnView};
use crate::money::Currency;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx};
use platform::http::Page;
use platform::id::new_id;
use platform::params;

/// Most accounts and most sessions listed.
const LIST_MAX: i64 = 500;
/// Most characters kept of what a browser says it is.
const USER_AGENT_CHARS_MAX: usize = 300;

const STAFF: &str =
    "s.id, s.email, s.role, s.theme, s.created_at, s.signed_in_at, s.disabled_at, s.totp_since";
const SESSION: &str =
    "n.id, n.created_at, n.last_used_at, n.expires_at, n.user_agent, n.address, n.proved_at";

fn unreadable(index: usize, what: &str) -> DbError {
    DbError::Column {
        index,
        reason: format!("`{what}` is not one of the known names"),
    }
}

fn named<T>(row: &Row<'_>, index: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, DbError> {
    let name: &str = row.get(index)?;
    parse(name).ok_or_else(|| unreadable(index, name))
}

fn staff(row: &Row<'_>) -> Result<Staff, DbError> {
    Ok(Staff {
        id: row.get(0)?,
        email: row.get(1)?,
        role: named(row, 2, Role::parse)?,
        theme: named(row, 3, Theme::parse)?,
        created_at: row.get(4)?,
        signed_in_at: row.get(5)?,
        disabled_at: row.get(6)?,
        totp_since: row.get(7)?,
    })
}

fn session(row: &Row<'_>, from: usize) -> Result<Session, DbError> {
    Ok(Session {
        id: row.get(from)?,
        created_at: row.get(from + 1)?,
        last_used_at: row.get(from + 2)?,
        expires_at: row.get(from + 3)?,
        user_agent: row.get(from + 4)?,
        address: row.get(from + 5)?,
        proved_at: row.get(from + 6)?,
    })
}

fn folded(email: &str) -> String {
    email.to_ascii_lowercase()
}

// ---- accounts ----------------------------------------------------------------------------------

/// Whether anybody has an account.
pub async fn has_staff(tx: &mut Tx) -> Result<bool, DbError> {
    let found = tx
        .fetch_optional("SELECT id FROM staff LIMIT 1", &[], |_| Ok(()))
        .await?;
    Ok(found.is_some())
}

/// All accounts, oldest first, at most 500.
pub async fn list(tx: &mut Tx) -> Result<Vec<Staff>, DbError> {
    let sql = format!("SELECT {STAFF} FROM staff s ORDER BY s.created_at, s.id LIMIT $1");
    tx.fetch_all(&sql, params![LIST_MAX], staff).await
}

/// The account with this email, whatever the case, and the hash of its password.
pub async fn find_by_email(
    tx: &mut Tx,
    email: &str,
) -> Result<Option<(Staff, Option<String>)>, DbError> {
    let sql = format!("SELECT {STAFF}, s.password_hash FROM staff s WHERE s.email_folded = $1");
    tx.fetch_optional(&sql, params![folded(email)], |row| {
        Ok((staff(row)?, row.get(8)?))
    })
    .await
}

/// The account of this id.
pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<Staff>, DbError> {
    let sql = format!("SELECT {STAFF} FROM staff s WHERE s.id = $1");
    tx.fetch_optional(&sql, params![id], staff).await
}

/// The account of this id, unless it is closed.
pub async fn find_open(tx: &mut Tx, id: &str) -> Result<Option<Staff>, DbError> {
    let sql = format!("SELECT {STAFF} FROM staff s WHERE s.id = $1 AND s.disabled_at IS NULL");
    tx.fetch_optional(&sql, params![id], staff).await
}

/// Stores a new account without a password.
///
/// # Errors
/// [`DbError::Unique`] `staff_email_folded` when the email is taken.
pub async fn insert(
    tx: &mut Tx,
    email: &str,
    role: Role,
    now: Timestamp,
) -> Result<StaffId, DbError> {
    let id = StaffId::new();
    let sql = "INSERT INTO staff (id, email, email_folded, role, theme, created_at, updated_at)
        VALUES ($1, $2, $3, $4, 'system', $5, $5)";
    tx.execute(sql, params![id, email, folded(email), role.as_str(), now])
        .await?;
    Ok(id)
}

/// Gives an account another password. Links to choose one end: who chooses anew may fear that somebody has one.
pub async fn set_password(
    tx: &mut Tx,
    id: &StaffId,
    hash: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE staff SET password_hash = $2, updated_at = $3 WHERE id = $1";
    tx.execute(sql, params![id, hash, now]).await?;
    end_links(tx, id, now).await
}

/// Gives an account another role.
pub async fn set_role(
    tx: &mut Tx,
    id: &StaffId,
    role: Role,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE staff SET role = $2, updated_at = $3 WHERE id = $1";
    tx.execute(sql, params![id, role.as_str(), now])
        .await
        .map(drop)
}

/// Lets one transaction at a time change who may do what: two owners that demote each other at once would
/// leave none.
pub async fn hold_team(tx: &mut Tx) -> Result<(), DbError> {
    let sql = "UPDATE shop SET updated_at = updated_at WHERE id = 'shop'";
    tx.execute(sql, &[]).await.map(drop)
}

/// Gives an account other colours.
pub async fn set_theme(tx: &mut Tx, id: &StaffId, theme: Theme) -> Result<(), DbError> {
    let sql = "UPDATE staff SET theme = $2 WHERE id = $1";
    tx.execute(sql, params![id, theme.as_str()]).await.map(drop)
}

/// Notes that somebody signed in.
pub async fn signed_in(tx: &mut Tx, id: &StaffId, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE staff SET signed_in_at = $2 WHERE id = $1";
    tx.execute(sql, params![id, now]).await.map(drop)
}

/// Closes an account; what was closed first stays.
pub async fn disable(tx: &mut Tx, id: &StaffId, now: Timestamp) -> Result<(), DbError> {
    let sql =
        "UPDATE staff SET disabled_at = COALESCE(disabled_at, $2), updated_at = $2 WHERE id = $1";
    tx.execute(sql, params![id, now]).await?;
    end_links(tx, id, now).await?;
    end_sessions(tx, id, None).await
}

/// Opens a closed account again, as one that nobody can sign in to yet.
pub async fn reopen(tx: &mut Tx, id: &StaffId, role: Role, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE staff SET disabled_at = NULL, password_hash = NULL, signed_in_at = NULL, role = $2, updated_at = $3
        WHERE id = $1 AND disabled_at IS NOT NULL";
    tx.execute(sql, params![id, role.as_str(), now])
        .await
        .map(drop)
}

// ---- sessions ----------------------------------------------------------------------------------

/// Who holds the session of this token, unless its account is closed.
pub async fn find_session(
    tx: &mut Tx,
    token_hash: &str,
) -> Result<Option<(Staff, Session)>, DbError> {
    let sql = format!(
        "SELECT {STAFF}, {SESSION} FROM staff_sessions n JOIN staff s ON s.id = n.staff_id
        WHERE n.token_hash = $1 AND s.disabled_at IS NULL"
    );
    tx.fetch_optional(&sql, params![token_hash], |row| {
        Ok((staff(row)?, session(row, 8)?))
    })
    .await
}

/// Who is where: what is noted of a new session.
#[derive(Clone, Debug)]
pub struct Device {
    pub user_agent: String,
    pub address: String,
}

/// Begins a session, and forgets those that are over.
pub async fn insert_session(
    tx: &mut Tx,
    id: &StaffId,
    token_hash: &str,
    device: &Device,
    (now, end): (Timestamp, Timestamp),
) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM staff_sessions WHERE expires_at <= $1",
        params![now],
    )
    .await?;
    let agent: String = device
        .user_agent
        .chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT_CHARS_MAX)
        .collect();
    let sql = "INSERT INTO staff_sessions (id, token_hash, staff_id, created_at, last_used_at, proved_at, expires_at, user_agent, address)
        VALUES ($1, $2, $3, $4, $4, $4, $5, $6, $7)";
    tx.execute(
        sql,
        params![
            new_id("ses"),
            token_hash,
            id,
            now,
            end,
            agent,
            device.address
        ],
    )
    .await
    .map(drop)
}

/// Notes that a session was used.
pub async fn touch_session(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE staff_sessions SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2";
    tx.execute(sql, params![id, now]).await.map(drop)
}

/// Notes that the password was given in a session, which goes on under another token; `false` when it has ended.
pub async fn prove_session(
    tx: &mut Tx,
    id: &str,
    token_hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE staff_sessions SET token_hash = $2, proved_at = $3 WHERE id = $1";
    Ok(tx.execute(sql, params![id, token_hash, now]).await? > 0)
}

/// The sessions of one account, the one used last first.
pub async fn sessions(tx: &mut Tx, id: &StaffId) -> Result<Vec<Session>, DbError> {
    let sql = format!(
        "SELECT {SESSION} FROM staff_sessions n WHERE n.staff_id = $1
        ORDER BY n.last_used_at DESC, n.id LIMIT $2"
    );
    tx.fetch_all(&sql, params![id, LIST_MAX], |row| session(row, 0))
        .await
}

/// Ends one session of an account; whether there was one.
pub async fn end_session(tx: &mut Tx, id: &StaffId, session: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM staff_sessions WHERE staff_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![id, session]).await? > 0)
}

/// Ends the session of a token.
pub async fn end_session_of(tx: &mut Tx, token_hash: &str) -> Result<(), DbError> {
    let sql = "DELETE FROM staff_sessions WHERE token_hash = $1";
    tx.execute(sql, params![token_hash]).await.map(drop)
}

/// Ends all sessions of an account but the one called `but`.
pub async fn end_sessions(tx: &mut Tx, id: &StaffId, but: Option<&str>) -> Result<(), DbError> {
    let sql = "DELETE FROM staff_sessions WHERE staff_id = $1 AND id <> $2";
    tx.execute(sql, params![id, but.unwrap_or_default()])
        .await
        .map(drop)
}

// ---- links -------------------------------------------------------------------------------------

/// Stores a one-time link, and forgets those that are over. Of one account only the newest works.
pub async fn insert_link(
    tx: &mut Tx,
    token_hash: &str,
    kind: LinkKind,
    staff_id: Option<&StaffId>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM staff_links WHERE expires_at <= $1 OR staff_id = $2",
        params![now, staff_id],
    )
    .await?;
    let sql = "INSERT INTO staff_links (token_hash, kind, staff_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(
        sql,
        params![token_hash, kind.as_str(), staff_id, now, now + kind.life()],
    )
    .await
    .map(drop)
}

/// When the link of an account was made that is not over yet.
pub async fn link_made_at(tx: &mut Tx, id: &StaffId) -> Result<Option<Timestamp>, DbError> {
    let sql =
        "SELECT created_at FROM staff_links WHERE staff_id = $1 ORDER BY created_at DESC LIMIT 1";
    tx.fetch_optional(sql, params![id], |row| row.get(0)).await
}

/// What a link is for and whose it is, while it can be used.
pub async fn find_link(
    tx: &mut Tx,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<(LinkKind, Option<Staff>)>, DbError> {
    let sql = "SELECT kind, staff_id FROM staff_links
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2";
    let found = tx
        .fetch_optional(sql, params![token_hash, now], |row| {
            let id: Option<StaffId> = row.get(1)?;
            Ok((named(row, 0, LinkKind::parse)?, id))
        })
        .await?;
    let Some((kind, id)) = found else {
        return Ok(None);
    };
    let Some(id) = id else {
        return Ok(Some((kind, None)));
    };
    let owner = find_open(tx, id.as_str()).await?;
    Ok(owner.map(|owner| (kind, Some(owner))))
}

/// Ends all links of an account.
pub async fn end_links(tx: &mut Tx, id: &StaffId, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE staff_links SET used_at = $2 WHERE staff_id = $1 AND used_at IS NULL";
    tx.execute(sql, params![id, now]).await.map(drop)
}

/// Uses a link up; `false` when somebody was faster. Check and change are one statement.
pub async fn use_link(tx: &mut Tx, token_hash: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = "UPDATE staff_links SET used_at = $2
        WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2";
    Ok(tx.execute(sql, params![token_hash, now]).await? > 0)
}

// ---- shop --------------------------------------------------------------------------------------

/// The shop, once it was set up.
pub async fn shop(tx: &mut Tx) -> Result<Option<Shop>, DbError> {
    let sql = "SELECT name, currency, time_zone FROM shop WHERE id = 'shop'";
    tx.fetch_optional(sql, &[], |row| {
        Ok(Shop {
            name: row.get(0)?,
            currency: named(row, 1, |code| Currency::parse(code).ok())?,
            time_zone: row.get(2)?,
        })
    })
    .await
}

/// Stores the shop.
///
/// # Errors
/// [`DbError::Unique`] or [`DbError::Constraint`] when it was set up before.
pub async fn insert_shop(tx: &mut Tx, shop: &Shop, now: Timestamp) -> Result<(), DbError> {
    let sql = "INSERT INTO shop (id, name, currency, time_zone, created_at, updated_at) VALUES ('shop', $1, $2, $3, $4, $4)";
    tx.execute(
        sql,
        params![shop.name, shop.currency.as_str(), shop.time_zone, now],
    )
    .await
    .map(drop)
}

/// Changes the shop, unless somebody else did since it was as `before`; whether it is changed.
pub async fn set_shop(
    tx: &mut Tx,
    (before, shop): (&Shop, &Shop),
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE shop SET name = $1, currency = $2, time_zone = $3, updated_at = $4
        WHERE id = 'shop' AND name = $5 AND currency = $6 AND time_zone = $7";
    let (currency, was) = (shop.currency.as_str(), before.currency.as_str());
    let values = params![
        shop.name,
        currency,
        shop.time_zone,
        now,
        before.name,
        was,
        before.time_zone
    ];
    Ok(tx.execute(sql, values).await? > 0)
}

// ---- views -------------------------------------------------------------------------------------

/// The views of somebody's own over one list, oldest first.
pub async fn views(tx: &mut Tx, id: &StaffId, list: &str) -> Result<Vec<OwnView>, DbError> {
    let sql = "SELECT id, name, query FROM staff_views WHERE staff_id = $1 AND list = $2 ORDER BY created_at, id LIMIT $3";
    tx.fetch_all(sql, params![id, list, OWN_MAX], |row| {
        Ok(OwnView {
            id: row.get(0)?,
            name: row.get(1)?,
            query: row.get(2)?,
        })
    })
    .await
}

/// Keeps a view; `false` when there are as many as there may be. One at a time is counted.
pub async fn insert_view(
    tx: &mut Tx,
    id: &StaffId,
    (list, name, query): (&str, &str, &str),
    now: Timestamp,
) -> Result<bool, DbError> {
    let hold = "UPDATE staff SET theme = theme WHERE id = $1";
    tx.execute(hold, params![id]).await?;
    let sql = "INSERT INTO staff_views (id, staff_id, list, name, query, created_at) SELECT $1, $2, $3, $4, $5, $6
        WHERE (SELECT COUNT(*) FROM staff_views WHERE staff_id = $2 AND list = $3) < $7";
    let new = new_id("viw");
    let inserted = tx
        .execute(sql, params![new, id, list, name, query, now, OWN_MAX])
        .await?;
    Ok(inserted > 0)
}

/// Removes a view of somebody's own; over which list it was, if there was one.
pub async fn remove_view(tx: &mut Tx, id: &StaffId, view: &str) -> Result<Option<String>, DbError> {
    let sql = "DELETE FROM staff_views WHERE staff_id = $1 AND id = $2 RETURNING list";
    tx.fetch_optional(sql, params![id, view], |row| row.get(0))
        .await
}

// ---- audit log ---------------------------------------------------------------------------------

/// Something that somebody did.
#[derive(Clone, Debug)]
pub struct Deed {
    pub id: String,
    pub at: Timestamp,
    /// The email of who did it, as it was then.
    pub who: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub address: String,
    /// What was changed, in a few words; empty when the action says all.
    pub detail: String,
}

/// Who does something, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Doer<'a> {
    /// A staff id, or what acts instead.
    pub actor: &'a str,
    pub who: &'a str,
    pub address: &'a str,
    pub now: Timestamp,
}

impl Doer<'_> {
    /// Whoever runs the command line.
    pub fn operator(now: Timestamp) -> Doer<'static> {
        Doer {
            actor: "operator",
            who: "command line",
            address: "",
            now,
        }
    }
}

/// Adds to the audit log.
pub async fn note(
    tx: &mut Tx,
    doer: Doer<'_>,
    action: &str,
    object: (&str, &str),
) -> Result<(), DbError> {
    note_change(tx, doer, action, object, "").await
}

/// Adds to the audit log what was changed: `detail` is for people, and cut to its bound.
pub async fn note_change(
    tx: &mut Tx,
    doer: Doer<'_>,
    action: &str,
    (object_type, object_id): (&str, &str),
    detail: &str,
) -> Result<(), DbError> {
    let sql = "INSERT INTO audit_log (id, at, actor, who, action, object_type, object_id, address, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    tx.execute(
        sql,
        params![
            new_id("aud"),
            doer.now,
            doer.actor,
            doer.who,
            action,
            object_type,
            object_id,
            doer.address,
            bounded(detail)
        ],
    )
    .await
    .map(drop)
}

/// Which deeds are looked for.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    pub who: Option<String>,
    pub action: Option<String>,
    pub object_id: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// A page of the audit log, newest first.
pub async fn deeds(tx: &mut Tx, sought: &Sought, page: &Page) -> Result<Vec<Deed>, DbError> {
    let mut select = Select::new(
        "SELECT id, at, who, action, object_type, object_id, address, detail FROM audit_log WHERE TRUE",
    );
    let time = |at: Option<Timestamp>| at.map(|at| Param::Int(at.micros()));
    select
        .and_some("who = {}", sought.who.as_deref().map(Param::Text))
        .and_some("action = {}", sought.action.as_deref().map(Param::Text))
        .and_some(
            "object_id = {}",
            sought.object_id.as_deref().map(Param::Text),
        )
        .and_some("at >= {}", time(sought.from))
        .and_some("at < {}", time(sought.to));
    if let Some((at, id)) = page.after_time_and_id() {
        let key = [Param::Int(at), Param::Text(id)];
        select.push("AND").bind("(at, id) < ({}, {})", &key);
    }
    select
        .push("ORDER BY at DESC, id DESC")
        .window(page.fetch(), page.offset);
    select
        .fetch_all(tx, |row| {
            Ok(Deed {
                id: row.get(0)?,
                at: row.get(1)?,
                who: row.get(2)?,
                action: row.get(3)?,
                object_type: row.get(4)?,
                object_id: row.get(5)?,
                address: row.get(6)?,
                detail: row.get(7)?,
            })
        })
        .await
}
