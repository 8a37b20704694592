//! What follows from a [`TableDef`] in Iceberg: name, schema, partition spec, sort order.

use std::sync::Arc;

use iceberg::spec::{
    ListType, NestedField, NullOrder, PrimitiveType, Schema, SortDirection, SortField, SortOrder, Transform,
    Type, UnboundPartitionField, UnboundPartitionSpec,
};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use seislake_model::ErrorKind;
use seislake_tables::{Column, ColumnType, Need, PartitionBy, SortBy, TableDef};

use crate::error::{Doing, Error, Result};

/// Field ids of partition fields start here, as the Iceberg specification has it.
const PARTITION_FIELD_ID_FIRST: i32 = 1000;

/// A table of ours as Iceberg has it.
pub(crate) trait IcebergTable {
    /// Its name.
    fn ident(&self) -> TableIdent;

    /// What to ask of a catalog to create the table at `location`. Iceberg numbers the fields of a new table itself, one
    /// column after the other and the elements of lists behind them: columns that came later, whose numbers do not follow
    /// so, are [`TableDef::additions`] of a new table too.
    fn creation(&self, location: String, properties: Vec<(String, String)>) -> Result<TableCreation>;

    /// The updates that bring a table of `schema` to this definition: optional columns that came later. `None` where
    /// nothing is missing.
    fn additions(&self, schema: &Schema) -> Result<Option<Vec<TableUpdate>>>;
}

impl IcebergTable for TableDef {
    fn ident(&self) -> TableIdent {
        TableIdent::new(NamespaceIdent::new(self.namespace.to_owned()), self.name.to_owned())
    }

    fn creation(&self, location: String, properties: Vec<(String, String)>) -> Result<TableCreation> {
        let first_count = self.columns.iter().zip(1..).take_while(|(column, id)| column.id == *id).count();
        let schema = iceberg_schema(self, &self.columns[..first_count])?;
        let sort_order = sort_order(self, &schema)?;
        Ok(TableCreation::builder()
            .name(self.name.to_owned())
            .location(location)
            .partition_spec(partition_spec(self)?)
            .sort_order(sort_order)
            .properties(properties)
            .schema(schema)
            .build())
    }

    fn additions(&self, schema: &Schema) -> Result<Option<Vec<TableUpdate>>> {
        // Columns that are not there yet, or that had to have a value and need none now.
        let missing = |column: &&Column| schema.field_by_id(column.id).is_none_or(|field| field.required);
        let mut optional = self.columns.iter().filter(|column| column.need == Need::Optional);
        if !optional.any(|column| missing(&column)) {
            return Ok(None);
        }
        let schema = iceberg_schema(self, self.columns)?;
        // -1 is the schema added last.
        Ok(Some(vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }]))
    }
}

fn column<'a>(table: &'a TableDef, name: &str) -> Result<&'a Column> {
    table
        .columns
        .iter()
        .find(|column| column.name == name)
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("table \"{table}\" has no column \"{name}\"")))
}

fn iceberg_schema(table: &TableDef, columns: &[Column]) -> Result<Schema> {
    let fields = columns.iter().map(|column| Arc::new(field(column)));
    let identity: Vec<&Column> =
        table.identity.iter().map(|name| column(table, name)).collect::<Result<_>>()?;
    let mut builder = Schema::builder().with_schema_id(0).with_fields(fields);
    // Iceberg allows only required columns to identify a row.
    if identity.iter().all(|column| column.need == Need::Required) {
        builder = builder.with_identifier_field_ids(identity.iter().map(|column| column.id));
    }
    builder.build().doing(|| format!("derive the schema of \"{}\"", table.full_name()))
}

fn field(column: &Column) -> NestedField {
    let list = |id, element| {
        let element = NestedField::list_element(id, Type::Primitive(element), true);
        Type::List(ListType { element_field: Arc::new(element) })
    };
    let kind = match column.kind {
        ColumnType::Int => Type::Primitive(PrimitiveType::Int),
        ColumnType::Long => Type::Primitive(PrimitiveType::Long),
        ColumnType::Double => Type::Primitive(PrimitiveType::Double),
        ColumnType::Text => Type::Primitive(PrimitiveType::String),
        ColumnType::Binary => Type::Primitive(PrimitiveType::Binary),
        ColumnType::Time => Type::Primitive(PrimitiveType::Timestamptz),
        ColumnType::IntList(id) => list(id, PrimitiveType::Int),
        ColumnType::LongList(id) => list(id, PrimitiveType::Long),
        ColumnType::DoubleList(id) => list(id, PrimitiveType::Double),
    };
    NestedField::new(column.id, column.name, kind, column.need == Need::Required).with_doc(column.doc)
}

fn partition_spec(table: &TableDef) -> Result<UnboundPartitionSpec> {
    let mut fields = Vec::new();
    for (field_id, partition) in (PARTITION_FIELD_ID_FIRST..).zip(table.partition) {
        let (name, transform, suffix) = match partition {
            PartitionBy::Day(name) => (name, Transform::Day, "day"),
            PartitionBy::Month(name) => (name, Transform::Month, "month"),
            PartitionBy::Bucket(name, count) => (name, Transform::Bucket(*count), "bucket"),
        };
        fields.push(UnboundPartitionField {
            source_id: column(table, name)?.id,
            field_id: Some(field_id),
            name: format!("{name}_{suffix}"),
            transform,
        });
    }
    let builder = UnboundPartitionSpec::builder().with_spec_id(0);
    Ok(builder
        .add_partition_fields(fields)
        .doing(|| format!("derive the partition spec of \"{}\"", table.full_name()))?
        .build())
}

fn sort_order(table: &TableDef, schema: &Schema) -> Result<SortOrder> {
    let SortBy::Columns(names) = table.sort else {
        return Ok(SortOrder::unsorted_order());
    };
    let mut builder = SortOrder::builder();
    builder.with_order_id(1);
    for name in names {
        builder.with_sort_field(SortField {
            source_id: column(table, name)?.id,
            transform: Transform::Identity,
            direction: SortDirection::Ascending,
            null_order: NullOrder::First,
        });
    }
    builder.build(schema).doing(|| format!("derive the sort order of \"{}\"", table.full_name()))
}

#[cfg(test)]
mod tests {
    use iceberg::arrow::schema_to_arrow_schema;
    use seislake_tables::TABLES;

    use super::*;

    #[test]
    fn the_arrow_schema_of_a_table_is_the_one_that_iceberg_derives() {
        for table in TABLES {
            let derived = schema_to_arrow_schema(&iceberg_schema(table, table.columns).unwrap()).unwrap();
            assert_eq!(*table.arrow_schema(), derived, "{table}");
        }
    }
}
