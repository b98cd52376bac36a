//! What happens to accounts: made, invited, signed in, given a password, closed. The pages and the command line
//! both do it here.

use super::passkeys;
use super::role::Role;
use super::second;
use super::staff::{LinkKind, SESSION_MAX, Shop, Staff, StaffId};
use super::store::{self, Device, Doer};
use super::visit::{new_token, token_hash};
use crate::oauth::client::{ClientId, ClientSecret};
use crate::oauth::flows::grant::GrantId;
use crate::oauth::flows::revoke::revoke;
use crate::oauth::flows::store as flows;
use crate::oauth::{NewClient, Scopes, create_client};
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::secrets::Secret;

/// Why an account was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the link was used already, is too old, or was never made")]
    LinkGone,
    #[error("the shop has an owner already: sign in")]
    SetUp,
    #[error("there is an account with the email {0}")]
    Taken(String),
    #[error("nobody has the email {0}")]
    Unknown(String),
    #[error("{0} is the last owner: make another one first")]
    LastOwner(String),
    #[error("the account {0} is disabled")]
    Disabled(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A link that can be opened once: its kind and its token, which is shown this once.
#[derive(Clone, Debug)]
pub struct OneTimeLink {
    kind: LinkKind,
    token: Secret<String>,
}

impl OneTimeLink {
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Its address on the server at `url`.
    pub fn address(&self, url: &str) -> String {
        format!("{url}{}?token={}", self.kind.path(), self.token.expose())
    }
}

async fn make_link(
    tx: &mut Tx,
    kind: LinkKind,
    id: Option<&StaffId>,
    now: Timestamp,
) -> Result<OneTimeLink, DbError> {
    let token = new_token();
    let hash = token_hash(&token).expect("a token that was just made");
    store::insert_link(tx, &hash, kind, id, now).await?;
    let token = Secret::new(token);
    Ok(OneTimeLink { kind, token })
}

/// A link to the first account, if nobody has one.
pub async fn setup_link(db: &Db, now: Timestamp) -> Result<Option<OneTimeLink>, DbError> {
    if store::has_staff(&mut db.read().await?).await? {
        return Ok(None);
    }
    db.write(async move |tx| make_link(tx, LinkKind::Setup, None, now).await.map(Some))
        .await
}

/// What somebody said at the first run, checked.
#[derive(Clone, Debug)]
pub struct Setup {
    pub email: String,
    pub password_hash: String,
    pub shop: Shop,
}

/// What the first run made. Both secrets are shown this once.
#[derive(Clone, Debug)]
pub struct Made {
    pub session: Secret<String>,
    pub client_id: ClientId,
    pub secret: ClientSecret,
}

/// Makes the owner, the shop and a client that may do everything, and signs the owner in.
pub async fn set_up(
    tx: &mut Tx,
    link_hash: &str,
    setup: &Setup,
    device: &Device,
    now: Timestamp,
) -> Result<Made, AccountError> {
    if store::has_staff(tx).await? {
        return Err(AccountError::SetUp);
    }
    use_link(tx, link_hash, now).await?;
    // Two setups at the same instant: the key of the shop lets one win.
    store::insert_shop(tx, &setup.shop, now)
        .await
        .map_err(|error| match error {
            DbError::Unique { .. } | DbError::Constraint(_) => AccountError::SetUp,
            other => other.into(),
        })?;
    let id = store::insert(tx, &setup.email, Role::Owner, now).await?;
    store::set_password(tx, &id, &setup.password_hash, now).await?;
    let doer = Doer {
        actor: id.as_str(),
        who: &setup.email,
        address: &device.address,
        now,
    };
    store::note(tx, doer, "shop.set_up", ("staff", id.as_str())).await?;
    let new = NewClient {
        name: "First credentials".to_owned(),
        scopes: Scopes::all(),
        signing_alg: Default::default(),
        token_ttl_seconds: None,
        expires_at: None,
        ip_allow: Vec::new(),
    };
    let (client_id, secret) = create_client(tx, &new, now).await?;
    let made = ("client", client_id.as_str());
    store::note(tx, doer, "client.created", made).await?;
    let session = begin_session(tx, &id, device, now).await?;
    Ok(Made {
        session,
        client_id,
        secret,
    })
}

async fn use_link(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<(), AccountError> {
    match store::use_link(tx, hash, now).await? {
        true => Ok(()),
        false => Err(AccountError::LinkGone),
    }
}

/// Signs somebody in: ends the session that their browser brought along, notes the `deed`, and begins another one.
pub async fn sign_in(
    tx: &mut Tx,
    staff: &Staff,
    deed: &str,
    (brought, device): (Option<&str>, &Device),
    now: Timestamp,
) -> Result<Secret<String>, DbError> {
    if let Some(hash) = brought {
        store::end_session_of(tx, hash).await?;
    }
    let object = ("staff", staff.id.as_str());
    store::note(tx, staff.doer(device, now), deed, object).await?;
    begin_session(tx, &staff.id, device, now).await
}

/// Begins a session and returns its token, which is always a new one.
pub async fn begin_session(
    tx: &mut Tx,
    id: &StaffId,
    device: &Device,
    now: Timestamp,
) -> Result<Secret<String>, DbError> {
    let token = new_token();
    let hash = token_hash(&token).expect("a token that was just made");
    store::insert_session(tx, id, &hash, device, (now, now + SESSION_MAX)).await?;
    store::signed_in(tx, id, now).await?;
    Ok(Secret::new(token))
}

/// Gives the owner of a link another password, ends their sessions everywhere and begins one here; none when a code
/// is asked for after the password, which a link does not stand in for.
pub async fn choose_password(
    tx: &mut Tx,
    link_hash: &str,
    owner: &Staff,
    password_hash: &str,
    (device, now): (&Device, Timestamp),
) -> Result<Option<Secret<String>>, AccountError> {
    use_link(tx, link_hash, now).await?;
    let current = store::find_open(tx, owner.id.as_str()).await?;
    let current = current.ok_or(AccountError::LinkGone)?;
    store::set_password(tx, &owner.id, password_hash, now).await?;
    store::end_sessions(tx, &owner.id, None).await?;
    let doer = Doer {
        actor: owner.id.as_str(),
        who: &owner.email,
        address: &device.address,
        now,
    };
    let object = ("staff", owner.id.as_str());
    store::note(tx, doer, "staff.password_chosen", object).await?;
    if current.totp_since.is_some() {
        return Ok(None);
    }
    Ok(Some(begin_session(tx, &owner.id, device, now).await?))
}

/// Makes an account and the link by which its owner chooses a password.
pub async fn invite(
    tx: &mut Tx,
    email: &str,
    role: Role,
    now: Timestamp,
) -> Result<OneTimeLink, AccountError> {
    let staff = make(tx, Doer::operator(now), email, role).await?;
    Ok(link_for(tx, &staff, now).await?)
}

/// Makes an account that nobody can sign in to yet, or opens one again that was closed: without the password, codes and
/// passkeys that it had.
pub async fn make(
    tx: &mut Tx,
    doer: Doer<'_>,
    email: &str,
    role: Role,
) -> Result<Staff, AccountError> {
    let known = store::find_by_email(tx, email).await?;
    if let Some((closed, _)) = known.filter(|(staff, _)| staff.disabled_at.is_some()) {
        store::reopen(tx, &closed.id, role, doer.now).await?;
        second::turn_off(tx, &closed.id, doer.now).await?;
        let object = ("staff", closed.id.as_str());
        let told = format!("{email}, {}", role.shown());
        store::note_change(tx, doer, "staff.reopened", object, &told).await?;
        let opened = store::find(tx, closed.id.as_str()).await?;
        return opened.ok_or_else(|| AccountError::Unknown(email.to_owned()));
    }
    let inserted = store::insert(tx, email, role, doer.now).await;
    let id = inserted.map_err(|error| match error {
        error if error.is_unique("staff_email_folded") => AccountError::Taken(email.to_owned()),
        other => other.into(),
    })?;
    let object = ("staff", id.as_str());
    let told = format!("{email}, {}", role.shown());
    store::note_change(tx, doer, "staff.invited", object, &told).await?;
    let made = store::find(tx, id.as_str()).await?;
    made.ok_or_else(|| AccountError::Unknown(email.to_owned()))
}

/// The link by which somebody chooses a password: their first, as long as they never signed in.
pub async fn link_for(tx: &mut Tx, staff: &Staff, now: Timestamp) -> Result<OneTimeLink, DbError> {
    let kind = match staff.signed_in_at {
        None => LinkKind::Invitation,
        Some(_) => LinkKind::Reset,
    };
    make_link(tx, kind, Some(&staff.id), now).await
}

async fn known(tx: &mut Tx, email: &str) -> Result<Staff, AccountError> {
    let found = store::find_by_email(tx, email).await?;
    found
        .map(|(staff, _)| staff)
        .ok_or_else(|| AccountError::Unknown(email.to_owned()))
}

/// The link by which somebody chooses another password. The old one works until then.
pub async fn reset(tx: &mut Tx, email: &str, now: Timestamp) -> Result<OneTimeLink, AccountError> {
    let staff = known(tx, email).await?;
    ask_reset(tx, Doer::operator(now), &staff).await?;
    Ok(make_link(tx, LinkKind::Reset, Some(&staff.id), now).await?)
}

/// Notes that somebody is to choose another password, if they may.
pub async fn ask_reset(tx: &mut Tx, doer: Doer<'_>, staff: &Staff) -> Result<(), AccountError> {
    if staff.disabled_at.is_some() {
        return Err(AccountError::Disabled(staff.email.clone()));
    }
    let object = ("staff", staff.id.as_str());
    Ok(store::note(tx, doer, "staff.reset_asked", object).await?)
}

/// Turns the codes of somebody off who has lost phone and recovery codes.
pub async fn forget_codes(tx: &mut Tx, email: &str, now: Timestamp) -> Result<(), AccountError> {
    let staff = known(tx, email).await?;
    second::turn_off(tx, &staff.id, now).await?;
    let object = ("staff", staff.id.as_str());
    Ok(store::note(tx, Doer::operator(now), "staff.codes_turned_off", object).await?)
}

/// Removes the passkeys of somebody, of whom others may have added one; how many there were.
pub async fn forget_passkeys(
    tx: &mut Tx,
    email: &str,
    now: Timestamp,
) -> Result<u64, AccountError> {
    let staff = known(tx, email).await?;
    let count = passkeys::store::remove_all(tx, &staff.id).await?;
    let object = ("staff", staff.id.as_str());
    store::note(tx, Doer::operator(now), "staff.passkeys_removed", object).await?;
    Ok(count)
}

/// Closes an account until it is invited again: its sessions and links end with it, and so does what its owner allowed
/// apps.
pub async fn disable(tx: &mut Tx, email: &str, now: Timestamp) -> Result<(), AccountError> {
    let staff = known(tx, email).await?;
    close(tx, Doer::operator(now), staff.id.as_str())
        .await
        .map(drop)
}

/// As [`disable`], by whoever.
///
/// Returns what its owner allowed apps: their tokens are to be forgotten when the transaction is done.
pub async fn close(tx: &mut Tx, doer: Doer<'_>, id: &str) -> Result<Vec<GrantId>, AccountError> {
    let staff = still_owned_without(tx, id).await?;
    store::disable(tx, &staff.id, doer.now).await?;
    passkeys::store::remove_all(tx, &staff.id).await?;
    let grants = flows::hold_grants_of(tx, &staff.id).await?;
    for grant in &grants {
        let why = ("grant.revoked", doer.actor);
        revoke(tx, grant, why, doer.now).await?;
    }
    let object = ("staff", staff.id.as_str());
    store::note(tx, doer, "staff.disabled", object).await?;
    Ok(grants.into_iter().map(|grant| grant.id).collect())
}

/// Gives somebody another role, if it is another. Their sessions end: what they may begins anew with the next sign-in. So do links by which
/// a password is chosen: whoever was handed one could take over an account that may more by now.
pub async fn change_role(
    tx: &mut Tx,
    doer: Doer<'_>,
    id: &str,
    role: Role,
) -> Result<(), AccountError> {
    let staff = match role {
        Role::Owner => store::find(tx, id)
            .await?
            .ok_or_else(|| AccountError::Unknown(id.to_owned()))?,
        _ => still_owned_without(tx, id).await?,
    };
    if staff.disabled_at.is_some() {
        return Err(AccountError::Disabled(staff.email));
    }
    if staff.role == role {
        return Ok(());
    }
    store::set_role(tx, &staff.id, role, doer.now).await?;
    store::end_sessions(tx, &staff.id, None).await?;
    store::end_links(tx, &staff.id, doer.now).await?;
    let action = format!("staff.made_{}", role.as_str());
    let told = format!("was {}", staff.role.shown());
    let object = ("staff", staff.id.as_str());
    Ok(store::note_change(tx, doer, &action, object, &told).await?)
}

/// The account of this id, if the shop has an owner without it. Until the transaction ends nobody else changes who
/// is one.
async fn still_owned_without(tx: &mut Tx, id: &str) -> Result<Staff, AccountError> {
    store::hold_team(tx).await?;
    let staff = store::find(tx, id).await?;
    let staff = staff.ok_or_else(|| AccountError::Unknown(id.to_owned()))?;
    let everyone = store::list(tx).await?;
    let mut owners = everyone
        .iter()
        .filter(|one| one.role == Role::Owner && one.disabled_at.is_none() && one.id != staff.id);
    if staff.role == Role::Owner && owners.next().is_none() {
        return Err(AccountError::LastOwner(staff.email));
    }
    Ok(staff)
}
