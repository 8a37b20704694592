//! One definition per table, one file each, and the registry [`TABLES`].
//!
//! A [`TableDef`] is the only place that says what a table looks like: the Iceberg schema, partition spec and sort
//! order, the Arrow schema and the page `docs/tables.md` are derived from it. Field ids are permanent: a new column
//! takes the next free id, an id is never used twice.

mod arrays;
mod derived;
#[cfg(test)]
mod document;

mod amplitudes;
mod arrivals;
mod channels;
mod component_ratios;
mod continuity;
mod dead_letters;
mod events;
mod latency;
mod magnitudes;
mod origins;
mod packets;
mod picks;
mod segments;
mod signal_levels;
mod stations;
mod timing;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use seislake_model::{ErrorKind, Rows};

pub(crate) use channels::decode as decode_channels;
pub(crate) use stations::decode as decode_stations;

use crate::error::{Doing, Error, Result};

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

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Permanent field id.
    pub id: i32,
    /// Name, units last.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnType,
    /// Never null.
    pub required: bool,
    /// Meaning, unit and what null says.
    pub doc: &'static str,
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
    /// `namespace.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// The Arrow schema of rows of this table; fields carry their id as `PARQUET:field_id`.
    pub fn arrow_schema(&self) -> Result<SchemaRef> {
        derived::arrow_schema(self)
    }
}

/// The definition of `namespace.name`, if it is one of ours.
pub fn table_def(full_name: &str) -> Option<&'static TableDef> {
    let (namespace, name) = full_name.split_once('.')?;
    TABLES.iter().find(|table| table.namespace == namespace && table.name == name)
}

/// Rows of the vocabulary as a record batch of their table.
pub fn encode(rows: &Rows) -> Result<RecordBatch> {
    let name = rows.table();
    let table = table_def(name)
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("table \"{name}\" is not defined")))?;
    let arrays = match rows {
        Rows::Stations(rows) => stations::encode(rows),
        Rows::Channels(rows) => channels::encode(rows)?,
        Rows::Packets(rows) => packets::encode(rows),
        Rows::Segments(rows) => segments::encode(rows),
        Rows::Picks(rows) => picks::encode(rows),
        Rows::Arrivals(rows) => arrivals::encode(rows),
        Rows::Origins(rows) => origins::encode(rows),
        Rows::Amplitudes(rows) => amplitudes::encode(rows),
        Rows::Magnitudes(rows) => magnitudes::encode(rows),
        Rows::Events(rows) => events::encode(rows),
        Rows::Continuity(rows) => continuity::encode(rows),
        Rows::Latency(rows) => latency::encode(rows),
        Rows::ComponentRatios(rows) => component_ratios::encode(rows),
        Rows::SignalLevels(rows) => signal_levels::encode(rows),
        Rows::Timing(rows) => timing::encode(rows),
        Rows::DeadLetters(rows) => dead_letters::encode(rows),
    };
    RecordBatch::try_new(table.arrow_schema()?, arrays).doing(|| format!("encode rows of \"{name}\""))
}

/// Rows to be written: as [`encode`], but long samples stay where they are, in batches of their own.
pub(crate) fn encode_owned(rows: Rows) -> Result<Vec<RecordBatch>> {
    match rows {
        Rows::Segments(rows) => {
            let (long, short): (Vec<_>, Vec<_>) = rows.into_iter().partition(segments::is_long);
            let schema = segments::TABLE.arrow_schema()?;
            let arrays = long.into_iter().map(segments::encode_long);
            let arrays = arrays.chain(std::iter::once(segments::encode(&short)));
            let batches = arrays.map(|arrays| RecordBatch::try_new(SchemaRef::clone(&schema), arrays));
            batches.collect::<Result<_, _>>().doing(|| "encode segments")
        }
        rows => Ok(vec![encode(&rows)?]),
    }
}

/// Rows of one partition, in the order of the table, as they are kept for long: pieces of a waveform that were cut
/// only because they came bit by bit are joined.
pub(crate) fn compacted(table: &TableDef, rows: RecordBatch) -> Result<RecordBatch> {
    if table.full_name() == segments::TABLE.full_name() {
        return segments::joined(rows).doing(|| "join segments");
    }
    Ok(rows)
}

/// What rows of a table say, and which of them, by index, nothing can be made of.
pub(crate) struct Decoded<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) unreadable: Vec<u32>,
}

/// Rows of a table that nothing can be made of: said once, with their count and the first reason.
#[derive(Debug, Default)]
struct PassedOver {
    count: u64,
    first_reason: Option<String>,
}

impl PassedOver {
    fn add(&mut self, reason: String) {
        self.count += 1;
        self.first_reason.get_or_insert(reason);
    }

    fn tell(self, table: &TableDef) {
        let Some(reason) = self.first_reason else { return };
        let (table, count) = (table.full_name(), self.count);
        tracing::warn!(table, count, reason, "rows that cannot be read are passed over");
        metrics::counter!("seislake_unreadable_rows_total", "table" => table).increment(count);
    }
}

const fn required(id: i32, name: &'static str, kind: ColumnType, doc: &'static str) -> Column {
    Column { id, name, kind, required: true, doc }
}

const fn optional(id: i32, name: &'static str, kind: ColumnType, doc: &'static str) -> Column {
    Column { id, name, kind, required: false, doc }
}
