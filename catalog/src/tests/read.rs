//! The provider against the same rows in memory.

use seislake_tables::encode;
use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::*;
use crate::tables::IcebergTable;

/// The picks of four days in three commits, in the lake as `picks` and in memory as `oracle`.
async fn two_copies(home: &Path) -> (Lake, SessionContext) {
    let lake = lake(home).await;
    for (next, range) in [(1, 0..2000), (2, 2000..2500), (3, 2500..5760)] {
        append(&lake, table_rows(picks(range)), &covered(0, next)).await;
    }
    let batch = encode(&picks(0..5760)).unwrap();
    let context = SessionContext::new();
    context
        .register_table("oracle", Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()))
        .unwrap();
    context.register_table("picks", lake.table_provider("bulletin", "picks").await.unwrap()).unwrap();
    (lake, context)
}

#[tokio::test]
async fn every_shape_of_filter_gives_what_the_same_rows_in_memory_give() {
    let home = tempfile::tempdir().unwrap();
    let (_lake, context) = two_copies(home.path()).await;
    for filter in [
        "true",
        "false",
        "pick_time >= '2024-02-29T00:00:00Z'",
        "pick_time < '2024-02-28T01:00:00Z' OR pick_time > '2024-03-02T23:00:00Z'",
        "pick_time BETWEEN '2024-02-29T10:00:00Z' AND '2024-02-29T10:30:00Z'",
        "pick_time = '2024-02-28T00:07:00Z'",
        "pick_time > '2030-01-01T00:00:00Z'",
        "NOT (pick_time > '2024-02-28T06:00:00Z')",
        "date_trunc('day', pick_time) = '2024-03-01T00:00:00Z'",
        "CAST(pick_time AS DATE) = '2024-03-01'",
        "pick_ns = 1709078820000000123",
        "pick_ns % 7 = 0",
        "snr > 500.5",
        "snr < 3",
        "snr = 17.5",
        "snr <> 17.5 AND pick_time < '2024-02-28T05:00:00Z'",
        "snr > 1e300",
        "isnan(snr)",
        "snr IS NULL",
        "station = 'S3'",
        "station IN ('S1', 'S2') AND phase = 'S'",
        "source_id LIKE 'FDSN:XX_S5%'",
        "station > 'S5'",
        "station = 'nowhere'",
        "phase <> 'P' AND snr BETWEEN 10 AND 20",
        "TRY_CAST(snr AS INT) = 3",
        "length(station) = 2 AND time_uncertainty_s = 0.05",
    ] {
        let select = |table: &str| format!("SELECT * FROM {table} WHERE {filter}");
        let (found, expected) =
            (rows_of(&context, &select("picks")).await, rows_of(&context, &select("oracle")).await);
        assert_eq!(found.len(), expected.len(), "{filter}");
        assert_eq!(found, expected, "{filter}");
    }
}

#[tokio::test]
async fn every_shape_of_statement_gives_what_the_same_rows_in_memory_give() {
    let home = tempfile::tempdir().unwrap();
    let (_lake, context) = two_copies(home.path()).await;
    for statement in [
        "SELECT count(*) FROM {}",
        "SELECT count(*), min(pick_time), max(pick_time), min(pick_ns), max(station) FROM {}",
        "SELECT max(snr), min(snr) FROM {}",
        "SELECT station, count(*), max(pick_time) FROM {} GROUP BY station",
        "SELECT pick_id FROM {} WHERE NOT isnan(snr) ORDER BY snr DESC LIMIT 10",
        "SELECT pick_time FROM {} ORDER BY pick_time LIMIT 3 OFFSET 2",
        "SELECT a.pick_id FROM {} a JOIN {} b ON a.pick_ns = b.pick_ns WHERE b.snr < 2",
        "SELECT method, 1 FROM {} WHERE pick_time < '2024-02-28T00:03:00Z'",
        "SELECT count(*) FROM {} WHERE pick_time >= '2024-03-01T00:00:00Z' AND snr > 400",
    ] {
        let (found, expected) = (
            rows_of(&context, &statement.replace("{}", "picks")).await,
            rows_of(&context, &statement.replace("{}", "oracle")).await,
        );
        assert_eq!(found[1..], expected[1..], "{statement}");
    }
}

#[tokio::test]
async fn files_outside_the_time_asked_for_are_not_opened() {
    let home = tempfile::tempdir().unwrap();
    let (_lake, context) = two_copies(home.path()).await;
    for (filter, files) in [
        ("pick_time < '2024-02-28T06:00:00Z'", 1),
        ("pick_time >= '2024-03-02T00:00:00Z'", 1),
        ("pick_ns > 1709400000000000000", 1),
        ("true", 6),
    ] {
        let sql = format!("EXPLAIN SELECT pick_id FROM picks WHERE {filter}");
        let plan = rows_of(&context, &sql).await.join("\n");
        assert_eq!(plan.matches(".parquet").count(), files, "{filter}: {plan}");
    }
    let plan = rows_of(&context, "EXPLAIN SELECT count(*), max(pick_time) FROM picks").await.join("\n");
    assert!(!plan.contains("DataSourceExec"), "answered from manifests: {plan}");
}

#[tokio::test]
async fn a_column_renamed_or_used_anew_reads_right() {
    use iceberg::TableUpdate;
    use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};

    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    append(&lake, table_rows(vec![dead_letter(1)]), &covered(0, 1)).await;
    let ident = seislake_tables::table_def("stream.dead_letters").unwrap().ident();
    let table = lake.load(&ident).await.unwrap();
    let fields = table.metadata().current_schema().as_struct().fields().iter();
    let mut fields: Vec<_> = fields
        .filter(|field| field.name != "origin")
        .map(|field| {
            let mut field = field.as_ref().clone();
            if field.name == "reason" {
                field.name = "cause".into();
            }
            field.into()
        })
        .collect();
    // A new column under the name of the one that was dropped.
    fields.push(NestedField::optional(9, "origin", Type::Primitive(PrimitiveType::String)).into());
    let schema = Schema::builder().with_schema_id(1).with_fields(fields).build().unwrap();
    let updates = vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }];
    lake.catalog().commit(&ident, vec![], updates).await.unwrap();
    let rows =
        rows_of(&session(&lake), "SELECT cause, origin FROM stream.dead_letters WHERE cause LIKE 'no%'")
            .await;
    let cells: Vec<&str> = rows[1].split('|').map(str::trim).collect();
    assert_eq!(cells, ["", "no miniSEED", "", ""], "{rows:?}");
    // The file's own column of that name holds no null: its bounds must not leave the row out.
    for condition in ["origin IS NULL", "origin IS NULL AND cause = 'no miniSEED'"] {
        let sql = format!("SELECT cause FROM stream.dead_letters WHERE {condition}");
        assert_eq!(rows_of(&session(&lake), &sql).await.len(), 2, "{condition}");
    }
    let sql = "SELECT cause FROM stream.dead_letters WHERE origin = 'a.mseed'";
    assert!(rows_of(&session(&lake), sql).await.len() < 2, "a value of the column that was dropped");
}
