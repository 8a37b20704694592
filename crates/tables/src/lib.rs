//! The tables of the lake as Arrow knows them: one declaration a table, one file each, and the registry [`TABLES`].
//!
//! ```text
//! model struct ── encode ─► record batch ── decode ─► model struct
//!                               ▲
//!      declaration: id · name · type · meaning · where in the struct
//!                               ▼
//!        Arrow schema · names in SQL · docs/tables.md · Iceberg schema (`catalog`)
//! ```
//! Field ids are permanent: a new column takes the next free id, an id is never used twice.
//! Nothing here knows Iceberg, DataFusion or a file.

mod cells;
mod declare;
#[cfg(test)]
mod document;
pub mod kind;
mod port;
mod schema;
#[cfg(test)]
mod tests;

pub mod amplitudes;
pub mod arrivals;
pub mod channels;
pub mod component_ratios;
pub mod continuity;
pub mod dead_letters;
pub mod events;
pub mod latency;
pub mod magnitudes;
pub mod origins;
pub mod packets;
pub mod picks;
pub mod segments;
pub mod signal_levels;
pub mod stations;
pub mod timing;

pub use arrow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;

pub use cells::{Cell, CellError, Decoding, Row, Unreadable, decode, decode_checked};
pub use port::Sink;
pub use schema::{FIELD_ID_KEY, element_field};

/// Every table of the lake.
pub static TABLES: &[TableDef] = &[
    stations::TABLE,
    channels::TABLE,
    packets::TABLE,
    segments::TABLE,
    picks::TABLE,
    arrivals::TABLE,
    origins::TABLE,
    amplitudes::TABLE,
    magnitudes::TABLE,
    events::TABLE,
    continuity::TABLE,
    latency::TABLE,
    component_ratios::TABLE,
    signal_levels::TABLE,
    timing::TABLE,
    dead_letters::TABLE,
];

/// A table: what it holds and how it lies on disk.
#[derive(Debug)]
pub struct TableDef {
    /// Namespace.
    pub namespace: &'static str,
    /// Name within the namespace, a plural noun.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// Columns in order.
    pub columns: &'static [Column],
    /// How rows are spread over files.
    pub partition: &'static [PartitionBy],
    /// Order of rows within a file.
    pub sort: SortBy,
    /// Columns that name a row.
    pub identity: &'static [&'static str],
    /// Rows in a page of the data files: few where rows are wide.
    pub page_rows: usize,
    /// Rows in a row group of the data files.
    pub row_group_rows: usize,
}

/// A table of ours below another namespace: that of a stage of a configuration. One for each namespace and table, for as
/// long as the process lives.
pub fn below(namespace: &str, of: &TableDef) -> &'static TableDef {
    static TABLES: Mutex<BTreeMap<String, &'static TableDef>> = Mutex::new(BTreeMap::new());
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || -> &'static TableDef {
        let doc = String::leak(format!("{} By the stage \"{namespace}\" of a configuration.", of.doc));
        Box::leak(Box::new(TableDef { namespace: String::leak(namespace.to_owned()), doc, ..*of }))
    };
    tables.entry(format!("{namespace}.{}", of.name)).or_insert_with(make)
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Permanent field id.
    pub id: i32,
    /// Name, units last.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub need: Need,
    /// Meaning, unit and what null says.
    pub doc: &'static str,
}

/// Whether a column may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Never null.
    Required,
    /// Null where there is no value, or where the row was written before the column was there.
    Optional,
}

/// Types of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// 64-bit float.
    Double,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// UTC moment, microseconds (`timestamptz`).
    Time,
    /// List of 32-bit integers; holds the permanent id of the element.
    IntList(i32),
    /// List of 64-bit integers; holds the permanent id of the element.
    LongList(i32),
    /// List of 64-bit floats; holds the permanent id of the element.
    DoubleList(i32),
}

/// Partition of a table by a transform of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionBy {
    /// UTC day of a time column.
    Day(&'static str),
    /// UTC month of a time column.
    Month(&'static str),
    /// One of so many buckets of a text column, by Iceberg's hash.
    Bucket(&'static str, u32),
}

/// Order of rows within a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Ascending by these columns, nulls first; declared as the Iceberg sort order.
    Columns(&'static [&'static str]),
    /// Along the Hilbert curve over longitude and latitude, then by time. Iceberg has no such transform, so the
    /// table declares no sort order.
    Hilbert {
        /// Column in degrees east.
        longitude: &'static str,
        /// Column in degrees north.
        latitude: &'static str,
        /// Time column.
        time: &'static str,
    },
}

impl TableDef {
    /// A table of what is known of the quality of channels (or sensors) on days or hours: `key` names a row.
    const fn of_quality(
        name: &'static str,
        doc: &'static str,
        columns: &'static [Column],
        key: &'static [&'static str],
    ) -> Self {
        Self {
            namespace: "quality",
            name,
            doc,
            columns,
            partition: &[PartitionBy::Day(continuity::names::start_time)],
            sort: SortBy::Columns(key),
            identity: key,
            page_rows: 4096,
            row_group_rows: 1 << 16,
        }
    }

    /// `namespace.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }
}

/// Tables are told apart by their names.
impl PartialEq for TableDef {
    fn eq(&self, other: &Self) -> bool {
        (self.namespace, self.name) == (other.namespace, other.name)
    }
}

impl std::fmt::Display for TableDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

/// Names of columns one behind the other, quoted, as `SELECT` and `ORDER BY` take them.
pub fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// The definition of `namespace.name`, if it is one of ours.
pub fn table_def(full_name: &str) -> Option<&'static TableDef> {
    let (namespace, name) = full_name.split_once('.')?;
    TABLES.iter().find(|table| table.namespace == namespace && table.name == name)
}

/// A struct of the model that is a row of one table. Declared by the file of the table.
pub trait TableRow: Sized + Send + Sync {
    /// The table.
    const TABLE: &'static TableDef;

    /// The columns of `rows`, in the order of the table.
    fn columns(rows: &[Self]) -> Vec<ArrayRef>;

    /// A row of the cells at hand, in the order of the table.
    ///
    /// # Errors
    /// The first cell that no row can have.
    fn row(cells: &mut Row<'_>) -> Result<Self, CellError>;

    /// `rows` as batches of the table. Long lists stay where they are in memory, in batches of their own.
    ///
    /// # Errors
    /// What keeps the columns from making a batch: a null where a value is required.
    fn batches(rows: Vec<Self>) -> Result<Vec<RecordBatch>, ArrowError> {
        Ok(vec![encode(&rows)?])
    }
}

/// Rows as a batch of their table.
///
/// # Errors
/// What keeps the columns from making a batch: a null where a value is required.
pub fn encode<R: TableRow>(rows: &[R]) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(R::TABLE.arrow_schema(), R::columns(rows))
}

/// Rows of one table, on their way to it.
#[derive(Clone, Debug)]
pub struct TableBatch {
    /// The table.
    pub table: &'static TableDef,
    /// The rows, in their order.
    pub rows: Vec<RecordBatch>,
}

impl TableBatch {
    /// Rows of the model on their way to their table.
    ///
    /// # Errors
    /// As [`TableRow::batches`].
    pub fn of<R: TableRow>(rows: Vec<R>) -> Result<Self, ArrowError> {
        Ok(Self { table: R::TABLE, rows: R::batches(rows)? })
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.rows.iter().map(RecordBatch::num_rows).sum()
    }
}
