//! What goes into a statement and what comes out of it, in either database: whole numbers, texts, bytes.

use rusqlite::types::{ToSqlOutput, ValueRef};

use super::Fault;

/// A parameter. Its type is known even when it is null, so that a statement has the same types however often it is run.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A whole number.
    Int(Option<i64>),
    /// A text.
    Text(Option<&'a str>),
    /// Bytes.
    Blob(Option<&'a [u8]>),
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Int(Some(number)) => ValueRef::Integer(number),
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Blob(Some(bytes)) => ValueRef::Blob(bytes),
            Value::Int(None) | Value::Text(None) | Value::Blob(None) => ValueRef::Null,
        }))
    }
}

/// What can be a parameter.
pub trait ToValue {
    /// As a parameter.
    fn to_value(&self) -> Value<'_>;
}

/// What can be a parameter or null.
pub trait Nullable: ToValue {
    /// Null, with this type.
    const NULL: Value<'static>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                Value::Int(Some(i64::from(*self)))
            }
        }
        impl Nullable for $type {
            const NULL: Value<'static> = Value::Int(None);
        }
    )*};
}

numbers!(i64, i32, u32, bool);

macro_rules! others {
    ($kind:ident: $([$($generic:tt)*] $type:ty),*) => {$(
        impl<$($generic)*> ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                Value::$kind(Some(self.as_ref()))
            }
        }
        impl<$($generic)*> Nullable for $type {
            const NULL: Value<'static> = Value::$kind(None);
        }
    )*};
}

others!(Text: [] str, [] String);
others!(Blob: [] [u8], [] Vec<u8>, [const N: usize] [u8; N]);

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: Nullable + ?Sized> Nullable for &T {
    const NULL: Value<'static> = T::NULL;
}

impl<T: Nullable> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(T::NULL, ToValue::to_value)
    }
}

/// The parameters of a statement.
#[macro_export]
#[doc(hidden)]
macro_rules! database_params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::database::ToValue),*]
    };
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number, or a truth value as 0 or 1.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row of a statement's result.
#[derive(Debug)]
pub struct Row(pub(super) Vec<Cell>);

impl Row {
    /// The value of the column at `place`, from 0.
    ///
    /// # Errors
    /// A column that there is not, or that has another type or size.
    pub fn get<T: FromCell>(&self, place: usize) -> Result<T, Fault> {
        let wrong = || Fault::Failed(format!("column {place} is not what it should be"));
        self.0.get(place).and_then(T::from_cell).ok_or_else(wrong)
    }
}

/// What can be read from a row.
pub trait FromCell: Sized {
    /// `None` when the value is of another kind.
    fn from_cell(cell: &Cell) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Int(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromCell for u32 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        u32::try_from(i64::from_cell(cell)?).ok()
    }
}

impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Blob(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}
