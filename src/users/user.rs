//! What a user is, and how it may change.

use crate::address::{Address, PHONE_PATTERN};
use crate::metadata::{Metadata, MetadataPatch};
use platform::clock::Timestamp;
use platform::db::{DbError, FromColumn, Row};
use platform::http::{Patch, Problem, codes};
use platform::id::new_id;
use platform::id_type;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;

id_type! { /// A user.
UserId, "user" }
id_type! { /// An address in a user's address book.
AddressId, "addr" }

/// Letters without case, digits, `.`, `_` and `-`.
pub const USERNAME_PATTERN: &str = "^[a-z0-9._-]+$";
/// A dot-atom of RFC 5322 §3.2.3 `@` a host name of RFC 1123 §2.1: what mail servers take without quoting or
/// extensions. An internationalised domain is given in its `xn--` form.
pub const EMAIL_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";
/// The shape of a BCP 47 language tag; which tags exist is not checked.
const LOCALE_PATTERN: &str = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$";
/// The shape of an IANA time zone name; which zones exist changes several times a year and is not checked.
const TIMEZONE_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$";

/// How usernames and emails are compared: both are ASCII by their patterns, so this folds all there is.
pub fn folded(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Whether a user may buy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    #[default]
    Active,
    Inactive,
}

impl UserStatus {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            UserStatus::Active => "active",
            UserStatus::Inactive => "inactive",
        }
    }
}

impl<'a> FromColumn<'a> for UserStatus {
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
        match row.get(index)? {
            "active" => Ok(UserStatus::Active),
            "inactive" => Ok(UserStatus::Inactive),
            other => Err(DbError::Column {
                index,
                reason: format!("`{other}` is not a user status"),
            }),
        }
    }
}

/// Who the person is. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120))]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120))]
    pub last_name: Option<String>,
    /// In E.164 form, such as `+4930123456`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PHONE_PATTERN))]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub company: Option<String>,
    /// A BCP 47 language tag, such as `de-AT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), regex(pattern = LOCALE_PATTERN))]
    pub locale: Option<String>,
    /// An IANA time zone name, such as `Europe/Vienna`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = TIMEZONE_PATTERN))]
    pub timezone: Option<String>,
}

/// What the person agreed to receive beyond what an order needs: notifications of the category `marketing`,
/// by channel. Nothing until said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct Consent {
    pub email: bool,
    pub sms: bool,
    pub push: bool,
}

/// An entry of the address book.
//
// As in `Address`, the schema refuses unknown fields in serde's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct UserAddress {
    /// Made by the server when left away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AddressId>,
    /// The person's own name for it, such as `Home`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 120))]
    pub label: Option<String>,
    #[serde(flatten)]
    pub address: Address,
    /// Of several that say so, the first counts.
    #[serde(default)]
    pub is_default_shipping: bool,
    /// Of several that say so, the first counts.
    #[serde(default)]
    pub is_default_billing: bool,
}

/// Most entries of one address book.
const ADDRESSES_MAX: usize = 50;

/// A new user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Unique, whatever the case.
    #[schemars(length(min = 3, max = 64), regex(pattern = USERNAME_PATTERN))]
    pub username: String,
    /// Unique, whatever the case.
    #[schemars(length(max = 254), regex(pattern = EMAIL_PATTERN))]
    pub email: String,
    #[serde(default)]
    pub status: UserStatus,
    #[serde(default)]
    pub profile: Profile,
    #[serde(default)]
    #[schemars(length(max = ADDRESSES_MAX))]
    pub addresses: Vec<UserAddress>,
    #[serde(default)]
    pub consent: Consent,
    /// The caller's own key; unique.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// A change of a user (RFC 7396): fields left away stay, `null` clears, objects are merged, arrays are replaced.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserPatch {
    #[schemars(with = "String", length(min = 3, max = 64), regex(pattern = USERNAME_PATTERN))]
    pub username: Patch<String>,
    #[schemars(with = "String", length(max = 254), regex(pattern = EMAIL_PATTERN))]
    pub email: Patch<String>,
    #[schemars(with = "UserStatus")]
    pub status: Patch<UserStatus>,
    #[schemars(with = "Option<Profile>")]
    pub profile: Patch<Map<String, Value>>,
    #[schemars(length(max = ADDRESSES_MAX))]
    pub addresses: Patch<Vec<UserAddress>>,
    #[schemars(with = "Option<Consent>")]
    pub consent: Patch<Map<String, Value>>,
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Patch<String>,
    pub metadata: Patch<MetadataPatch>,
}

/// A user as it is stored. Serialised, it is the single resource but for what its orders add.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub status: UserStatus,
    pub created_at: Timestamp,
    pub profile: Profile,
    pub addresses: Vec<UserAddress>,
    pub consent: Consent,
    pub external_id: Option<String>,
    pub metadata: Metadata,
    pub updated_at: Timestamp,
    /// 1 at first, one more with each change.
    pub version: i64,
    /// Since when nothing here tells who it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymized_at: Option<Timestamp>,
}

/// A user as a list shows it: exactly the documented fields, in the documented order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UserItem {
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub status: UserStatus,
    pub created_at: Timestamp,
    /// For the list that is sorted by it; not shown.
    #[serde(skip)]
    pub updated_at: Timestamp,
}

impl User {
    /// A user that begins now.
    ///
    /// # Errors
    /// 422 when two addresses have the same id.
    pub fn new(new: NewUser, now: Timestamp) -> Result<User, Problem> {
        Ok(User {
            id: UserId::new(),
            username: new.username,
            email: new.email,
            status: new.status,
            created_at: now,
            profile: new.profile,
            addresses: address_book(new.addresses)?,
            consent: new.consent,
            external_id: new.external_id,
            metadata: new.metadata,
            updated_at: now,
            version: 1,
            anonymized_at: None,
        })
    }

    /// Makes the change and names the fields that differ afterwards. When none does, the version stays.
    ///
    /// # Errors
    /// 422 when two addresses have the same id, or when too many metadata keys would remain.
    pub fn apply(
        &mut self,
        patch: UserPatch,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, Problem> {
        let before = self.clone();
        // The schema accepts no null for the first three: `Clear` cannot come.
        if let Patch::Set(username) = patch.username {
            self.username = username;
        }
        if let Patch::Set(email) = patch.email {
            self.email = email;
        }
        if let Patch::Set(status) = patch.status {
            self.status = status;
        }
        merge(&mut self.profile, patch.profile)?;
        merge(&mut self.consent, patch.consent)?;
        patch.external_id.apply(&mut self.external_id);
        match patch.addresses {
            Patch::Keep => {}
            Patch::Clear => self.addresses.clear(),
            Patch::Set(addresses) => self.addresses = address_book(addresses)?,
        }
        match patch.metadata {
            Patch::Keep => {}
            Patch::Clear => self.metadata = Metadata::default(),
            Patch::Set(changes) => self.metadata.apply(changes)?,
        }
        let changed = self.differences(&before);
        if !changed.is_empty() {
            self.updated_at = now;
            self.version += 1;
        }
        Ok(changed)
    }

    fn differences(&self, before: &User) -> Vec<&'static str> {
        let fields = [
            ("username", self.username != before.username),
            ("email", self.email != before.email),
            ("status", self.status != before.status),
            ("profile", self.profile != before.profile),
            ("addresses", self.addresses != before.addresses),
            ("consent", self.consent != before.consent),
            ("external_id", self.external_id != before.external_id),
            ("metadata", self.metadata != before.metadata),
        ];
        fields
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }

    /// Forgets who it is: only the id and the times stay, so that orders keep what they refer to. The name and
    /// address put in place are random, so that nothing can be derived from them, and `.invalid` never resolves
    /// (RFC 2606 §2).
    pub fn anonymize(&mut self, now: Timestamp) {
        let name = new_id("anonymized");
        self.email = format!("{name}@anonymized.invalid");
        self.username = name;
        self.status = UserStatus::Inactive;
        self.profile = Profile::default();
        self.addresses = Vec::new();
        self.consent = Consent::default();
        self.external_id = None;
        self.metadata = Metadata::default();
        self.updated_at = now;
        self.version += 1;
        self.anonymized_at = Some(now);
    }
}

/// RFC 7396 on an object whose members the schema of `T` has checked already.
fn merge<T>(present: &mut T, change: Patch<Map<String, Value>>) -> Result<(), Problem>
where
    T: Default + Serialize + DeserializeOwned,
{
    match change {
        Patch::Keep => {}
        Patch::Clear => *present = T::default(),
        Patch::Set(members) => {
            let refused =
                |error: serde_json::Error| Problem::new(&codes::INVALID_BODY, error.to_string());
            let mut merged = serde_json::to_value(&*present).map_err(refused)?;
            for (name, value) in members {
                merged[name.as_str()] = value; // null reads as absent
            }
            *present = serde_json::from_value(merged).map_err(refused)?;
        }
    }
    Ok(())
}

/// Gives each address an id and leaves one default of each kind.
fn address_book(mut addresses: Vec<UserAddress>) -> Result<Vec<UserAddress>, Problem> {
    let (mut shipping_free, mut billing_free) = (true, true);
    let mut known = HashSet::new();
    for (index, address) in addresses.iter_mut().enumerate() {
        let id = address.id.get_or_insert_with(AddressId::new);
        if !known.insert(id.clone()) {
            let detail = format!("`{id}` is the id of an address before it");
            let pointer = format!("#/addresses/{index}/id");
            return Err(Problem::new(&codes::INVALID_BODY, detail.clone()).at(
                &pointer,
                "not_unique",
                detail,
            ));
        }
        address.is_default_shipping &= shipping_free;
        address.is_default_billing &= billing_free;
        shipping_free &= !address.is_default_shipping;
        billing_free &= !address.is_default_billing;
    }
    Ok(addresses)
}
