//! Statements whose conditions depend on the request: text and parameters grow together.

use super::{DbError, Param, Row, Tx};

/// A statement under construction. Conditions come from the program, values only as parameters.
#[derive(Debug)]
pub struct Select<'a> {
    sql: String,
    params: Vec<Param<'a>>,
}

impl<'a> Select<'a> {
    /// `base` ends in its first condition: `SELECT … FROM users WHERE deleted_at IS NULL`.
    pub fn new(base: &str) -> Select<'a> {
        Select {
            sql: base.to_owned(),
            params: Vec::new(),
        }
    }

    /// Appends text as it is.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.sql.push(' ');
        self.sql.push_str(text);
        self
    }

    /// Appends text in which each `{}` becomes the placeholder of the next of `values`.
    pub fn bind(&mut self, text: &str, values: &[Param<'a>]) -> &mut Self {
        self.sql.push(' ');
        let mut values = values.iter();
        let mut parts = text.split("{}");
        self.sql.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.params
                .push(values.next().copied().unwrap_or(Param::Null));
            self.sql.push('$');
            self.sql.push_str(&self.params.len().to_string());
            self.sql.push_str(part);
        }
        self
    }

    /// `AND condition`, with one `{}` for `value`.
    pub fn and(&mut self, condition: &str, value: Param<'a>) -> &mut Self {
        self.push("AND").bind(condition, &[value])
    }

    /// `AND condition` if there is a value.
    pub fn and_some(&mut self, condition: &str, value: Option<Param<'a>>) -> &mut Self {
        if let Some(value) = value {
            self.and(condition, value);
        }
        self
    }

    /// `AND column IN (…)`; nothing when `values` is empty.
    pub fn and_in(&mut self, column: &str, values: &[Param<'a>]) -> &mut Self {
        if values.is_empty() {
            return self;
        }
        let marks = vec!["{}"; values.len()].join(", ");
        self.push("AND")
            .bind(&format!("{column} IN ({marks})"), values)
    }

    /// At most `rows` rows after the first `skipped`. The number of rows is written out: PostgreSQL plans a statement
    /// once for all values, and one that may return any number of rows is planned for many.
    pub fn window(&mut self, rows: i64, skipped: i64) -> &mut Self {
        self.push("LIMIT").push(&rows.to_string());
        if skipped > 0 {
            self.bind("OFFSET {}", &[Param::Int(skipped)]);
        }
        self
    }

    /// The text so far, for the test that reads query plans.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters so far.
    pub fn params(&self) -> &[Param<'a>] {
        &self.params
    }

    /// Runs it and maps all rows.
    pub async fn fetch_all<T, F>(&self, tx: &mut Tx, map: F) -> Result<Vec<T>, DbError>
    where
        F: FnMut(&Row<'_>) -> Result<T, DbError>,
    {
        tx.fetch_all(&self.sql, &self.params, map).await
    }
}
