//! Changing an order after it was placed: what may change, and until when.
//!
//! What was bought, for how much and by whom is the contract and never changes here. What people keep beside
//! it (note, tags, metadata, external id) may change at any time, where it goes until something has left, and
//! who is written to and invoiced until the order is completed or cancelled.

use super::body::Order;
use super::order::{FulfillmentStatus, OrderStatus};
use crate::address::Address;
use crate::metadata::{Metadata, MetadataPatch};
use crate::users::EMAIL_PATTERN;
use platform::clock::Timestamp;
use platform::http::{Patch, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

/// A change of an order: fields left away stay, `null` clears, `tags` and addresses are replaced, keys of
/// `metadata` that are not sent stay.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrderPatch {
    /// Where the buyer is reached; a guest's cannot be cleared. Until the order is completed or cancelled.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL_PATTERN))]
    pub email: Patch<String>,
    /// Replaced as a whole, so that no part of the old address stays. Until something has shipped, or the order
    /// is completed or cancelled.
    pub shipping_address: Patch<Address>,
    /// Replaced as a whole. Until the order is completed or cancelled.
    pub billing_address: Patch<Address>,
    /// At any time.
    #[schemars(length(max = 2000))]
    pub note: Patch<String>,
    /// The caller's own key, unique among orders. At any time.
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Patch<String>,
    /// At any time.
    #[schemars(length(max = 250), inner(length(min = 1, max = 64)))]
    pub tags: Patch<Vec<String>>,
    /// At any time.
    pub metadata: Patch<MetadataPatch>,
}

/// Why a change is refused. Code and status are chosen in `error.rs`.
#[derive(Debug)]
pub enum ChangeRefused {
    /// These fields cannot change any more.
    TooLate(Vec<&'static str>),
    /// The order of a guest would lose its email.
    GuestWithoutEmail,
    /// Too many metadata keys would remain.
    Metadata(Problem),
}

/// What tells who the buyer is; all that is erased when a person is forgotten.
pub const PERSONAL: [&str; 4] = ["email", "shipping_address", "billing_address", "note"];

impl Order {
    /// Makes the change and names the fields that differ afterwards. When none does, the version stays.
    ///
    /// # Errors
    /// When a field differs that cannot change any more; nothing is to be stored then.
    pub fn apply(
        &mut self,
        patch: OrderPatch,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, ChangeRefused> {
        let before = self.clone();
        patch.email.apply(&mut self.email);
        patch.shipping_address.apply(&mut self.shipping_address);
        patch.billing_address.apply(&mut self.billing_address);
        patch.note.apply(&mut self.note);
        patch.external_id.apply(&mut self.external_id);
        match patch.tags {
            Patch::Keep => {}
            Patch::Clear => self.tags.clear(),
            Patch::Set(tags) => self.tags = tags,
        }
        match patch.metadata {
            Patch::Keep => {}
            Patch::Clear => self.metadata = Metadata::default(),
            Patch::Set(changes) => self
                .metadata
                .apply(changes)
                .map_err(ChangeRefused::Metadata)?,
        }
        let changed = self.differences(&before);
        let late: Vec<&'static str> = changed
            .iter()
            .copied()
            .filter(|field| !before.may_change(field))
            .collect();
        if !late.is_empty() {
            return Err(ChangeRefused::TooLate(late));
        }
        if changed.contains(&"email") && self.email.is_none() && self.user_id.is_none() {
            return Err(ChangeRefused::GuestWithoutEmail);
        }
        if changed.iter().any(|field| field.ends_with("_address")) {
            self.country = self.destination();
        }
        if !changed.is_empty() {
            self.updated_at = now;
            self.version += 1;
        }
        Ok(changed)
    }

    /// The country where it goes, else where its invoice goes.
    pub fn destination(&self) -> Option<String> {
        let address = self
            .shipping_address
            .as_ref()
            .or(self.billing_address.as_ref())?;
        Some(address.country.as_str().to_owned())
    }

    fn may_change(&self, field: &str) -> bool {
        let open = !matches!(self.status, OrderStatus::Completed | OrderStatus::Cancelled);
        match field {
            "shipping_address" => open && self.fulfillment_status == FulfillmentStatus::Unfulfilled,
            "email" | "billing_address" => open,
            _ => true,
        }
    }

    fn differences(&self, before: &Order) -> Vec<&'static str> {
        let fields = [
            ("email", self.email != before.email),
            (
                "shipping_address",
                self.shipping_address != before.shipping_address,
            ),
            (
                "billing_address",
                self.billing_address != before.billing_address,
            ),
            ("note", self.note != before.note),
            ("external_id", self.external_id != before.external_id),
            ("tags", self.tags != before.tags),
            ("metadata", self.metadata != before.metadata),
        ];
        fields
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }

    /// Whether a change of `changed` wrote something that tells who the buyer is.
    pub fn tells_more_of_the_buyer(&self, changed: &[&str]) -> bool {
        let told = [
            self.email.is_some(),
            self.shipping_address.is_some(),
            self.billing_address.is_some(),
            self.note.is_some(),
        ];
        PERSONAL
            .iter()
            .zip(told)
            .any(|(field, told)| told && changed.contains(field))
    }
}
