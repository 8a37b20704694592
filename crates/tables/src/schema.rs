//! The Arrow schema of a table. It is the one that Iceberg derives from the table's own schema (a test of `catalog` holds
//! the two side by side).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::{Column, ColumnType, Need, TABLES, TableDef};

/// Key of the field id in the metadata of a field, as Parquet's readers and writers know it.
pub const FIELD_ID_KEY: &str = "PARQUET:field_id";
/// Key of the meaning, as Iceberg writes it.
const DOC_KEY: &str = "doc";
/// Time zone of `timestamptz` in Arrow.
pub(crate) const UTC: &str = "+00:00";

static SCHEMAS: LazyLock<HashMap<String, SchemaRef>> =
    LazyLock::new(|| TABLES.iter().map(|table| (table.full_name(), schema(table))).collect());

impl TableDef {
    /// The Arrow schema of rows of this table; fields carry their id as [`FIELD_ID_KEY`].
    pub fn arrow_schema(&self) -> SchemaRef {
        SCHEMAS.get(&self.full_name()).cloned().unwrap_or_else(|| schema(self))
    }
}

fn schema(table: &TableDef) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}

fn field(column: &Column) -> Field {
    let metadata = [(FIELD_ID_KEY, column.id.to_string()), (DOC_KEY, column.doc.to_owned())];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
    Field::new(column.name, arrow_type(column.kind), column.need == Need::Optional)
        .with_metadata(metadata.into())
}

/// The Arrow type of a column.
pub(crate) fn arrow_type(kind: ColumnType) -> DataType {
    let list = |id, element| DataType::List(Arc::new(element_field(id, element)));
    match kind {
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Text => DataType::Utf8,
        ColumnType::Binary => DataType::LargeBinary,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        ColumnType::IntList(id) => list(id, DataType::Int32),
        ColumnType::LongList(id) => list(id, DataType::Int64),
        ColumnType::DoubleList(id) => list(id, DataType::Float64),
    }
}

/// Field of the elements of a list, as Iceberg names it.
pub fn element_field(id: i32, kind: DataType) -> Field {
    Field::new("element", kind, false).with_metadata([(FIELD_ID_KEY.to_owned(), id.to_string())].into())
}
