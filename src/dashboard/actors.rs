//! Who did something, by the name that people know them by.

use super::store;
use crate::oauth::store::names_of;
use platform::db::{DbError, Tx};
use std::collections::{BTreeSet, HashMap};

/// Names of members of staff and of clients, by id.
#[derive(Debug, Default)]
pub struct Actors(HashMap<String, String>);

impl Actors {
    /// The names of all that `ids` names.
    pub async fn of<'a>(
        tx: &mut Tx,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<Actors, DbError> {
        let ids: BTreeSet<&str> = ids.filter(|id| id.starts_with("cli_")).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut names: HashMap<String, String> = names_of(tx, &ids).await?.into_iter().collect();
        let staff = store::list(tx).await?.into_iter();
        names.extend(staff.map(|one| (one.id.to_string(), one.email)));
        Ok(Actors(names))
    }

    /// The id itself of who is not known: the server, or somebody who is gone.
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }
}
