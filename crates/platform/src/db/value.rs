//! What goes into a statement and what comes out of a row, the same on both engines.
//!
//! Three column types cover everything: `TEXT`, `BIGINT` and `BOOLEAN`. Time is BIGINT microseconds
//! UTC, money BIGINT minor units, JSON is TEXT.

use super::DbError;
use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use std::error::Error as StdError;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// One bound parameter. Borrows its text, so binding copies nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Param<'a> {
    /// SQL NULL of whatever type the statement expects.
    Null,
    /// A BIGINT.
    Int(i64),
    /// A TEXT.
    Text(&'a str),
    /// A BOOLEAN.
    Bool(bool),
}

/// What can be bound to a `$n`. Newtypes (ids, timestamps) implement it beside their definition.
pub trait ToParam {
    /// The value as it is bound; must not allocate.
    fn to_param(&self) -> Param<'_>;
}

impl ToParam for Param<'_> {
    fn to_param(&self) -> Param<'_> {
        *self
    }
}
impl ToParam for i64 {
    fn to_param(&self) -> Param<'_> {
        Param::Int(*self)
    }
}
impl ToParam for u32 {
    fn to_param(&self) -> Param<'_> {
        Param::Int(i64::from(*self))
    }
}
impl ToParam for bool {
    fn to_param(&self) -> Param<'_> {
        Param::Bool(*self)
    }
}
impl ToParam for str {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}
impl ToParam for String {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}
impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param<'_> {
        (**self).to_param()
    }
}
impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, ToParam::to_param)
    }
}

/// `params![id, quantity, now]`: the parameters of one statement, `$1` first.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::db::ToParam::to_param(&$value)),*] };
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match *self {
            Param::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Param::Int(value) => ToSqlOutput::Owned(SqliteValue::Integer(value)),
            Param::Bool(value) => ToSqlOutput::Owned(SqliteValue::Integer(i64::from(value))),
            Param::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Param::Null => Ok(IsNull::Yes),
            Param::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Param::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Param::Text(value) if <&str as ToSql>::accepts(ty) => value.to_sql(ty, out),
            Param::Bool(value) if *ty == Type::BOOL => value.to_sql(ty, out),
            other => Err(format!("{other:?} bound where the statement expects {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true // checked value by value above: NULL fits every type
    }

    to_sql_checked!();
}

/// One row of an answer, lent to the mapping function; columns are read by position.
pub enum Row<'r> {
    #[doc(hidden)]
    Sqlite(&'r rusqlite::Row<'r>),
    #[doc(hidden)]
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of column `index` (0 is the first).
    ///
    /// # Errors
    /// [`DbError::Column`] when the type differs or a NULL meets a type that is not `Option`.
    pub fn get<'a, T: FromColumn<'a>>(&'a self, index: usize) -> Result<T, DbError> {
        T::from_column(self, index)
    }

    fn is_null(&self, index: usize) -> Result<bool, DbError> {
        match self {
            Row::Sqlite(row) => {
                let value = row.get_ref(index).map_err(|e| DbError::column(index, e))?;
                Ok(value == ValueRef::Null)
            }
            Row::Postgres(row) => {
                let check: NullCheck = row.try_get(index).map_err(|e| DbError::column(index, e))?;
                Ok(check.0)
            }
        }
    }
}

/// A type that can be read from a column. `&str` borrows from the row, so that text can go straight
/// into a serialiser.
pub trait FromColumn<'a>: Sized {
    /// Reads column `index` of `row`.
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError>;
}

macro_rules! from_column {
    ($type:ty, $sqlite:expr) => {
        impl<'a> FromColumn<'a> for $type {
            fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
                match row {
                    Row::Sqlite(row) => {
                        let value = row.get_ref(index).map_err(|e| DbError::column(index, e))?;
                        #[allow(clippy::redundant_closure_call)]
                        ($sqlite)(value).map_err(|e| DbError::column(index, e))
                    }
                    Row::Postgres(row) => row.try_get(index).map_err(|e| DbError::column(index, e)),
                }
            }
        }
    };
}

impl<'a> FromColumn<'a> for i64 {
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
        match row {
            Row::Sqlite(row) => {
                let value = row.get_ref(index).map_err(|e| DbError::column(index, e))?;
                value.as_i64().map_err(|e| DbError::column(index, e))
            }
            Row::Postgres(row) => {
                let value: AnyInt = row.try_get(index).map_err(|e| DbError::column(index, e))?;
                Ok(value.0)
            }
        }
    }
}

/// A PostgreSQL integer of any width: a literal such as the one of `SELECT 1` is an INT4.
struct AnyInt(i64);

impl<'a> FromSql<'a> for AnyInt {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(AnyInt(match *ty {
            Type::INT4 => i32::from_sql(ty, raw)?.into(),
            _ => i64::from_sql(ty, raw)?,
        }))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::INT4 || *ty == Type::INT8
    }
}

from_column!(bool, |v: ValueRef<'a>| v.as_i64().map(|n| n != 0));
from_column!(&'a str, |v: ValueRef<'a>| v.as_str());
from_column!(String, |v: ValueRef<'a>| v.as_str().map(str::to_owned));

impl<'a, T: FromColumn<'a>> FromColumn<'a> for Option<T> {
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
        if row.is_null(index)? {
            Ok(None)
        } else {
            T::from_column(row, index).map(Some)
        }
    }
}

/// Reads whether a column is NULL, whatever its type.
struct NullCheck(bool);

impl FromSql<'_> for NullCheck {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(NullCheck(false))
    }
    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(NullCheck(true))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}
