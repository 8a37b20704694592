//! Time travel and the current view.

use seislake_model::{ErrorKind, EventStatus};

use super::*;
use crate::AsOf;
use crate::tables::IcebergTable;

#[tokio::test]
async fn a_table_can_be_read_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let mut sink = lake.sink("bulletin.events").await.unwrap();
    let mut snapshots = Vec::new();
    for (next, revision) in [(1, 1), (2, 2)] {
        sink.write(table_rows(vec![event("event/a", revision, EventStatus::Closed, None)])).await.unwrap();
        snapshots.push(sink.commit(&covered(0, next)).await.unwrap().unwrap());
    }
    let count_at = async |name: &str| count(&lake, &format!("\"{name}\"")).await;
    assert_eq!(count_at(&format!("events@{}", snapshots[0])).await, 1);
    assert_eq!(count_at(&format!("events@{}", snapshots[1])).await, 2);
    assert_eq!(count_at("events@2020-01-01T00:00:00Z").await, 0);
    assert_eq!(count_at("events@2200-01-01T00:00:00Z").await, 2);
    let table = lake.load(&seislake_tables::table_def("bulletin.events").unwrap().ident()).await.unwrap();
    let first = table.metadata().snapshot_by_id(snapshots[0]).unwrap().timestamp_ms();
    let time = Timestamp::from_micros(first * 1000);
    assert_eq!(count_at(&format!("events@{time}")).await, 1);
    let then = session(&lake);
    then.register_catalog("seislake", lake.provider_as_of(AsOf::Time(time)));
    assert_eq!(rows_of(&then, "SELECT revision FROM events_current").await[1], "|1|");

    for (name, named) in [("events@12", "no snapshot 12"), ("events@then", "neither a snapshot id nor")] {
        let error = lake.table_provider("bulletin", name).await.unwrap_err();
        assert!(error.message.contains(named), "{error}");
        let sql = format!("SELECT * FROM \"{name}\"");
        let error = session(&lake).sql(&sql).await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    assert_eq!(lake.table_provider("bulletin", "nothing").await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_current_view_shows_the_latest_revision_of_what_is_not_deleted() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let rows = vec![
        event("event/a", 1, EventStatus::Closed, None),
        event("event/b", 1, EventStatus::Closed, None),
        event("event/b", 2, EventStatus::Deleted, None),
    ];
    append(&lake, table_rows(rows), &covered(0, 1)).await;
    append(&lake, table_rows(vec![event("event/a", 2, EventStatus::Closed, Some(2.5))]), &covered(0, 2))
        .await;
    let rows = rows_of(&session(&lake), "SELECT event_id, revision, magnitude FROM events_current").await;
    assert_eq!(rows[1..], ["|event/a|2|2.5|"]);
    let listed = session(&lake).catalog("seislake").unwrap().schema("bulletin").unwrap().table_names();
    assert!(listed.contains(&"events_current".to_owned()) && listed.contains(&"picks".to_owned()));
}
