//! The page `docs/tables.md`, generated from [`TABLES`]; `BLESS=1` rewrites it.

use std::fmt::Write;
use std::path::Path;

use crate::{ColumnType, Need, PartitionBy, SortBy, TABLES, TableDef};

fn kind(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Int => "int",
        ColumnType::Long => "long",
        ColumnType::Double => "double",
        ColumnType::Text => "string",
        ColumnType::Binary => "binary",
        ColumnType::Time => "timestamptz",
        ColumnType::IntList(_) => "list&lt;int&gt;",
        ColumnType::LongList(_) => "list&lt;long&gt;",
        ColumnType::DoubleList(_) => "list&lt;double&gt;",
    }
}

fn layout(table: &TableDef) -> String {
    let partition = table.partition.iter().map(|by| match by {
        PartitionBy::Day(column) => format!("day({column})"),
        PartitionBy::Month(column) => format!("month({column})"),
        PartitionBy::Bucket(column, count) => format!("bucket({count}, {column})"),
    });
    let partition = partition.collect::<Vec<_>>().join(", ");
    let partition = if partition.is_empty() { "none".to_owned() } else { partition };
    let sort = match table.sort {
        SortBy::Columns(columns) => columns.join(", "),
        SortBy::Hilbert { longitude, latitude, time } => {
            format!("Hilbert curve over ({longitude}, {latitude}), then {time}")
        }
    };
    format!("Partition: {partition}.\nOrder: {sort}.\nIdentity: {}.", table.identity.join(", "))
}

fn page() -> String {
    let mut page = String::from("# Tables\n\nGenerated from `crates/tables` by `make bless`.\n");
    for table in TABLES {
        let _ = write!(page, "\n## {}\n\n{}\n{}\n\n", table.full_name(), table.doc, layout(table));
        page.push_str("| id | column | type | null | meaning |\n|---|---|---|---|---|\n");
        for column in table.columns {
            let null = if column.need == Need::Required { "" } else { "yes" };
            let _ = writeln!(
                page,
                "| {} | `{}` | {} | {null} | {} |",
                column.id,
                column.name,
                kind(column.kind),
                column.doc
            );
        }
    }
    page
}

#[allow(clippy::disallowed_methods, reason = "compares with the page in docs/")]
#[test]
fn docs_tables_md_says_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tables.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/tables.md is out of date: run the tests with BLESS=1");
}
