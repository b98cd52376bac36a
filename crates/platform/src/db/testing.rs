//! Fresh, empty databases for tests.

use super::{Db, DbError};
use crate::id::new_id;

/// A schema of its own in the PostgreSQL at `url`, and the URL that leads into it. The test cluster is
/// thrown away afterwards, so nothing is cleaned up.
pub async fn fresh_postgres(url: &str) -> Result<String, DbError> {
    let schema = new_id("test");
    let admin = Db::connect_postgres(url).await?;
    let create = format!("CREATE SCHEMA {schema}");
    admin
        .write(async move |tx| tx.control(&create).await)
        .await?;
    let join = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{join}options=-csearch_path%3D{schema}"))
}
