//! What the Flight SQL door says of itself and of its types, and the columns of answers that are always empty.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{Nullable, Searchable, SqlInfo, XdbcDataType};
use tonic::Status;

static SQL_INFO: LazyLock<Option<SqlInfoData>> = LazyLock::new(|| {
    let mut builder = SqlInfoDataBuilder::new();
    builder.append(SqlInfo::FlightSqlServerName, "Seislake");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    builder.append(SqlInfo::FlightSqlServerReadOnly, true);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(SqlInfo::FlightSqlServerTransaction, 0_i32);
    builder.append(SqlInfo::FlightSqlServerCancel, false);
    builder.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    builder.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, false);
    builder.append(SqlInfo::SqlDdlTable, false);
    builder.append(SqlInfo::SqlIdentifierCase, 3_i32);
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    builder.append(SqlInfo::SqlQuotedIdentifierCase, 0_i32);
    builder.append(SqlInfo::SqlAllTablesAreSelectable, true);
    builder.append(SqlInfo::SqlNullOrdering, 0_i32);
    builder.build().ok()
});

static XDBC_TYPES: LazyLock<Option<XdbcTypeInfoData>> = LazyLock::new(|| {
    let types = [
        ("BOOLEAN", XdbcDataType::XdbcBit, 1, false),
        ("INTEGER", XdbcDataType::XdbcInteger, 32, false),
        ("BIGINT", XdbcDataType::XdbcBigint, 64, false),
        ("REAL", XdbcDataType::XdbcFloat, 24, false),
        ("DOUBLE", XdbcDataType::XdbcDouble, 53, false),
        ("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX, true),
        ("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX, true),
        ("TIMESTAMP", XdbcDataType::XdbcTimestamp, 29, true),
    ];
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for (name, data_type, column_size, quoted) in types {
        let quote = quoted.then(|| "'".to_owned());
        builder.append(XdbcTypeInfo {
            type_name: name.into(),
            data_type,
            column_size: Some(column_size),
            literal_prefix: quote.clone(),
            literal_suffix: quote,
            create_params: None,
            nullable: Nullable::NullabilityNullable,
            case_sensitive: quoted,
            searchable: Searchable::Full,
            unsigned_attribute: (!quoted).then_some(false),
            fixed_prec_scale: false,
            auto_increment: Some(false),
            local_type_name: Some(name.into()),
            minimum_scale: None,
            maximum_scale: None,
            sql_data_type: data_type,
            datetime_subcode: None,
            num_prec_radix: (!quoted).then_some(2),
            interval_precision: None,
        });
    }
    builder.build().ok()
});

pub(super) fn sql_info() -> Result<&'static SqlInfoData, Status> {
    SQL_INFO.as_ref().ok_or_else(|| super::failed(&"server information could not be built"))
}

pub(super) fn xdbc_types() -> Result<&'static XdbcTypeInfoData, Status> {
    XDBC_TYPES.as_ref().ok_or_else(|| super::failed(&"type information could not be built"))
}

/// Columns of the key results, all empty here: Iceberg tables declare no keys to clients.
pub(super) fn primary_key_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_key_schema() -> SchemaRef {
    let mut fields = Vec::new();
    for side in ["pk", "fk"] {
        fields.push(Field::new(format!("{side}_catalog_name"), DataType::Utf8, true));
        fields.push(Field::new(format!("{side}_db_schema_name"), DataType::Utf8, true));
        fields.push(Field::new(format!("{side}_table_name"), DataType::Utf8, false));
        fields.push(Field::new(format!("{side}_column_name"), DataType::Utf8, false));
    }
    fields.push(Field::new("key_sequence", DataType::Int32, false));
    fields.push(Field::new("fk_key_name", DataType::Utf8, true));
    fields.push(Field::new("pk_key_name", DataType::Utf8, true));
    fields.push(Field::new("update_rule", DataType::UInt8, false));
    fields.push(Field::new("delete_rule", DataType::UInt8, false));
    Arc::new(Schema::new(fields))
}
