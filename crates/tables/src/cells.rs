//! Reads rows from record batches, whatever Arrow types an engine or another writer chose for a column.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use seislake_model::Timestamp;

use crate::schema::arrow_type;
use crate::{Column, ColumnType, Need, TableRow};

/// Rows of a batch, and those that nothing can be made of.
#[derive(Clone, Debug)]
pub struct Decoding<R> {
    /// The rows, in their order.
    pub rows: Vec<R>,
    /// The others, in their order.
    pub unreadable: Vec<Unreadable>,
}

/// A row that nothing can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its index in the batch.
    pub index: usize,
    /// Why, one sentence.
    pub reason: String,
}

/// A cell that no row can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column \"{column}\" {reason}")]
pub struct CellError {
    pub(crate) column: &'static str,
    pub(crate) reason: String,
}

/// The rows of a batch. Columns are found by their names; one that is optional may be missing.
///
/// # Errors
/// A column that is missing though it is required, or of a type that does not become the table's.
pub fn decode<R: TableRow>(batch: &RecordBatch) -> Result<Decoding<R>, ArrowError> {
    decode_checked(batch, |_| Ok(()))
}

/// The same; rows of which `check` says why they cannot be are unreadable too.
///
/// # Errors
/// As [`decode`].
pub fn decode_checked<R: TableRow>(
    batch: &RecordBatch,
    check: impl Fn(&R) -> Result<(), String>,
) -> Result<Decoding<R>, ArrowError> {
    let cells = Cells::of(R::TABLE.columns, batch)?;
    let mut decoded = Decoding { rows: Vec::with_capacity(batch.num_rows()), unreadable: Vec::new() };
    for index in 0..batch.num_rows() {
        let row = R::row(&mut cells.row(index)).map_err(|unfit| unfit.to_string());
        match row.and_then(|row| check(&row).map(|()| row)) {
            Ok(row) => decoded.rows.push(row),
            Err(reason) => decoded.unreadable.push(Unreadable { index, reason }),
        }
    }
    Ok(decoded)
}

/// Columns of a batch, brought to the types of their table.
#[derive(Debug)]
pub(crate) struct Cells {
    columns: Vec<(&'static Column, Values)>,
    /// Equal texts in one place, for columns that share them.
    texts: RefCell<HashSet<Arc<str>>>,
}

/// Values of a column, by what they are read as.
#[derive(Debug)]
enum Values {
    /// The batch does not have it.
    Absent,
    Integers(PrimitiveArray<Int64Type>),
    Floats(PrimitiveArray<Float64Type>),
    Times(PrimitiveArray<TimestampMicrosecondType>),
    Texts(arrow::array::StringArray),
    Bytes(arrow::array::LargeBinaryArray),
    Lists(arrow::array::ListArray),
}

/// One row of a batch, read column by column.
#[derive(Debug)]
pub struct Row<'a> {
    cells: &'a Cells,
    index: usize,
    next: usize,
}

/// One cell.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    cells: &'a Cells,
    column: usize,
    row: usize,
}

impl Cells {
    /// The `columns` of `batch`.
    ///
    /// # Errors
    /// A column that is missing though it is required, or of a type that does not become the table's.
    pub(crate) fn of(columns: &'static [Column], batch: &RecordBatch) -> Result<Self, ArrowError> {
        let columns = columns.iter().map(|column| {
            let values = match batch.column_by_name(column.name) {
                Some(array) => values(column, array)?,
                None if column.need == Need::Optional => Values::Absent,
                None => {
                    return Err(ArrowError::SchemaError(format!("column \"{}\" is missing", column.name)));
                }
            };
            Ok((column, values))
        });
        Ok(Self { columns: columns.collect::<Result<_, _>>()?, texts: RefCell::default() })
    }

    /// The row at `index`.
    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        Row { cells: self, index, next: 0 }
    }
}

fn values(column: &Column, array: &ArrayRef) -> Result<Values, ArrowError> {
    let kind = match column.kind {
        ColumnType::Int => DataType::Int64,
        kind => arrow_type(kind),
    };
    let is_list = matches!(array.data_type(), DataType::List(_));
    let array = match kind {
        // The names of elements do not matter, only what they are.
        DataType::List(_) if is_list => ArrayRef::clone(array),
        _ if *array.data_type() == kind => ArrayRef::clone(array),
        _ => cast(array, &kind)?,
    };
    Ok(match column.kind {
        ColumnType::Int | ColumnType::Long => Values::Integers(array.as_primitive().clone()),
        ColumnType::Double => Values::Floats(array.as_primitive().clone()),
        ColumnType::Time => Values::Times(array.as_primitive().clone()),
        ColumnType::Text => Values::Texts(array.as_string().clone()),
        ColumnType::Binary => Values::Bytes(array.as_binary().clone()),
        ColumnType::IntList(_) | ColumnType::LongList(_) | ColumnType::DoubleList(_) => {
            Values::Lists(array.as_list().clone())
        }
    })
}

impl<'a> Row<'a> {
    /// The next cell, in the order of the table.
    pub fn cell(&mut self) -> Cell<'a> {
        let cell = Cell { cells: self.cells, column: self.next, row: self.index };
        self.next += 1;
        cell
    }
}

impl<'a> Cell<'a> {
    fn values(self) -> &'a Values {
        self.cells.columns.get(self.column).map_or(&Values::Absent, |(_, values)| values)
    }

    /// That no row can have this cell.
    pub(crate) fn unfit(self, reason: &str) -> CellError {
        let column = self.cells.columns.get(self.column).map_or("", |(column, _)| column.name);
        CellError { column, reason: reason.to_owned() }
    }

    /// Whether there is no value.
    pub(crate) fn is_null(self) -> bool {
        match self.values() {
            Values::Absent => true,
            Values::Integers(values) => values.is_null(self.row),
            Values::Floats(values) => values.is_null(self.row),
            Values::Times(values) => values.is_null(self.row),
            Values::Texts(values) => values.is_null(self.row),
            Values::Bytes(values) => values.is_null(self.row),
            Values::Lists(values) => values.is_null(self.row),
        }
    }

    /// The text; empty where the column is none of texts.
    pub(crate) fn text(self) -> &'a str {
        if let Values::Texts(texts) = self.values() { texts.value(self.row) } else { "" }
    }

    /// The text; there is one copy of it for all cells of the batch.
    pub(crate) fn shared_text(self) -> Arc<str> {
        let text = self.text();
        let mut texts = self.cells.texts.borrow_mut();
        if let Some(same) = texts.get(text) {
            return Arc::clone(same);
        }
        let new = Arc::<str>::from(text);
        texts.insert(Arc::clone(&new));
        new
    }

    /// The integer; 0 where the column is none of integers.
    pub(crate) fn integer(self) -> i64 {
        if let Values::Integers(integers) = self.values() { integers.value(self.row) } else { 0 }
    }

    /// The float; no number where the column is none of floats.
    pub(crate) fn float(self) -> f64 {
        if let Values::Floats(floats) = self.values() { floats.value(self.row) } else { f64::NAN }
    }

    /// The moment; 1970 where the column is none of moments.
    pub(crate) fn time(self) -> Timestamp {
        let micros = if let Values::Times(times) = self.values() { times.value(self.row) } else { 0 };
        Timestamp::from_micros(micros)
    }

    /// The bytes; none where the column is none of bytes.
    pub(crate) fn bytes(self) -> &'a [u8] {
        if let Values::Bytes(bytes) = self.values() { bytes.value(self.row) } else { &[] }
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// Elements of another type.
    pub(crate) fn list<T: ArrowPrimitiveType>(self) -> Result<Vec<T::Native>, CellError> {
        let Values::Lists(lists) = self.values() else { return Ok(Vec::new()) };
        let elements = lists.value(self.row);
        let elements = elements.as_primitive_opt::<T>();
        elements
            .map(|elements| elements.values().to_vec())
            .ok_or_else(|| self.unfit("is a list of another type"))
    }
}
