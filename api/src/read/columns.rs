//! Reads the cells of record batches by column name, whatever Arrow type the engine chose for a column.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use seislake_model::{SourceId, Timestamp};
use seislake_tables::{TableRow, decode};

use crate::error::{ApiError, ErrorCode};

/// One batch with its columns brought to a few types: text, 64-bit integers and floats, microseconds, lists.
#[derive(Debug)]
pub(crate) struct Columns {
    arrays: HashMap<String, ArrayRef>,
    row_count: usize,
}

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    columns: &'a Columns,
    index: usize,
}

/// A row type that can be read from a batch.
pub(crate) trait FromRow: Sized {
    /// Reads the row; an error says which column is damaged.
    fn from_row(row: Row<'_>) -> Result<Self, ApiError>;
}

/// All rows of the batches that can be read. One that cannot is passed over, counted and logged: others may write the
/// tables too, and what they write must not take the sound rows with it.
pub(crate) fn read<T: FromRow>(batches: &[RecordBatch]) -> Result<Vec<T>, ApiError> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    let mut passed_over = 0_u64;
    for batch in batches {
        let columns = Columns::new(batch)?;
        for index in 0..columns.row_count {
            match T::from_row(Row { columns: &columns, index }) {
                Ok(row) => rows.push(row),
                Err(error) if error.code == ErrorCode::Corrupt => {
                    if passed_over == 0 {
                        let kind = std::any::type_name::<T>();
                        tracing::warn!(kind, %error, "a row that cannot be read is passed over");
                    }
                    passed_over += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
    if passed_over > 0 {
        metrics::counter!("seislake_rows_passed_over_total").increment(passed_over);
    }
    Ok(rows)
}

/// The same for rows of a table: what is selected are all its columns.
pub(crate) fn rows<R: TableRow>(batches: &[RecordBatch]) -> Result<Vec<R>, ApiError> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    let mut unreadable = Vec::new();
    for batch in batches {
        let decoded = decode(batch)
            .map_err(|error| ApiError::internal(&format!("read rows of \"{}\"", R::TABLE), &error))?;
        rows.extend(decoded.rows);
        unreadable.extend(decoded.unreadable);
    }
    if let Some(first) = unreadable.first() {
        let (table, count) = (R::TABLE.full_name(), unreadable.len() as u64);
        tracing::warn!(table, count, reason = first.reason, "rows that cannot be read are passed over");
        metrics::counter!("seislake_rows_passed_over_total").increment(count);
    }
    Ok(rows)
}

fn plain_type(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => Some(DataType::Utf8),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt32 | DataType::UInt64 => {
            Some(DataType::Int64)
        }
        DataType::Float32 => Some(DataType::Float64),
        DataType::Timestamp(..) => {
            Some(DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("+00:00".into())))
        }
        _ => None,
    }
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, ApiError> {
        let mut arrays = HashMap::with_capacity(batch.num_columns());
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let array = match plain_type(field.data_type()) {
                Some(kind) if kind != *field.data_type() => cast(array, &kind).map_err(|error| {
                    ApiError::internal(&format!("read column \"{}\"", field.name()), &error)
                })?,
                _ => ArrayRef::clone(array),
            };
            arrays.insert(field.name().clone(), array);
        }
        Ok(Self { arrays, row_count: batch.num_rows() })
    }
}

/// Of all rows: the statement or the table is another than expected.
fn missing(name: &str) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("column \"{name}\" is missing or has an unexpected type"))
}

/// Of one row.
fn unfit(name: &str) -> ApiError {
    ApiError::new(ErrorCode::Corrupt, format!("column \"{name}\" holds no value that can be used"))
}

impl<'a> Row<'a> {
    fn array(self, name: &str) -> Result<Option<&'a ArrayRef>, ApiError> {
        let array = self.columns.arrays.get(name).ok_or_else(|| missing(name))?;
        Ok(array.is_valid(self.index).then_some(array))
    }

    /// Whether the statement selected this column.
    pub(crate) fn has(self, name: &str) -> bool {
        self.columns.arrays.contains_key(name)
    }

    pub(crate) fn optional_text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let Some(array) = self.array(name)? else { return Ok(None) };
        let texts = array.as_string_opt::<i32>().ok_or_else(|| missing(name))?;
        Ok(Some(texts.value(self.index)))
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, ApiError> {
        self.optional_text(name)?.ok_or_else(|| unfit(name))
    }

    pub(crate) fn optional_number(self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(array) = self.array(name)? else { return Ok(None) };
        let numbers = array.as_primitive_opt::<Float64Type>().ok_or_else(|| missing(name))?;
        Ok(Some(numbers.value(self.index)))
    }

    pub(crate) fn number(self, name: &str) -> Result<f64, ApiError> {
        self.optional_number(name)?.ok_or_else(|| unfit(name))
    }

    pub(crate) fn optional_integer(self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(array) = self.array(name)? else { return Ok(None) };
        let integers = array.as_primitive_opt::<Int64Type>().ok_or_else(|| missing(name))?;
        Ok(Some(integers.value(self.index)))
    }

    pub(crate) fn integer(self, name: &str) -> Result<i64, ApiError> {
        self.optional_integer(name)?.ok_or_else(|| unfit(name))
    }

    pub(crate) fn count(self, name: &str) -> Result<u32, ApiError> {
        u32::try_from(self.integer(name)?).map_err(|_| unfit(name))
    }

    pub(crate) fn nanos(self, name: &str) -> Result<Timestamp, ApiError> {
        Ok(Timestamp::from_nanos(self.integer(name)?))
    }

    pub(crate) fn source_id(self, name: &str) -> Result<SourceId, ApiError> {
        self.text(name)?.parse().map_err(|_| unfit(name))
    }

    /// Elements of a list column as floats: integers of 32 bits are exact in them. `None` where the cell is null.
    pub(crate) fn optional_list(self, name: &str) -> Result<Option<Vec<f64>>, ApiError> {
        let Some(array) = self.array(name)? else { return Ok(None) };
        let elements = match array.data_type() {
            DataType::List(_) => array.as_list::<i32>().value(self.index),
            DataType::LargeList(_) => array.as_list::<i64>().value(self.index),
            _ => return Err(missing(name)),
        };
        if let Some(integers) = elements.as_primitive_opt::<Int32Type>() {
            return Ok(Some(integers.values().iter().map(|value| f64::from(*value)).collect()));
        }
        let floats = elements.as_primitive_opt::<Float64Type>().ok_or_else(|| missing(name))?;
        Ok(Some(floats.values().to_vec()))
    }
}
