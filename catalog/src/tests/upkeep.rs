//! Tables kept up from others: only what changed, exactly once.

use std::collections::BTreeSet;

use seislake_model::{Continuity, ErrorKind, Samples, Segment, Timestamp};

use super::*;
use crate::{Channels, Upkeep};

const TABLE: &str = "quality.continuity";
const SOURCE: &str = "waveform.segments";

fn hour(hours: i64) -> Timestamp {
    let begin: Timestamp = "2024-02-28T00:00:00Z".parse().unwrap();
    begin.add_nanos(hours * 3_600_000_000_000)
}

fn midnight(day: i64) -> Timestamp {
    hour(day * 24)
}

/// One sample a minute for so many hours.
fn piece(station: &str, start: i64, hours: i64) -> Segment {
    let count = hours * 60;
    Segment {
        source_id: SourceId::from_nslc("XX", station, "", "HHZ"),
        start_time: hour(start),
        end_time: hour(start).add_nanos((count - 1) * 60_000_000_000),
        sample_rate_hz: 1.0 / 60.0,
        encoding: "steim2".into(),
        quality: "D".into(),
        samples: Samples::Int32(vec![1; count as usize]),
        position: position(start as u64),
    }
}

fn id(station: &str) -> String {
    format!("FDSN:XX_{station}__H_H_Z")
}

/// A row that says which run made it.
fn row(station: &str, day: i64, run: u64) -> Continuity {
    Continuity {
        source_id: id(station).parse().unwrap(),
        start_time: midnight(day),
        sample_rate_hz: 1.0 / 60.0,
        sample_count: run,
        expected_count: 1440,
        repeated_count: 0,
        gap_count: 0,
        gap_s: 0.0,
        overlap_count: 0,
        overlap_s: 0.0,
        gaps: vec![],
        overlaps: vec![],
    }
}

async fn arrive(lake: &Lake, next: u64, segments: Vec<Segment>) {
    append(lake, table_rows(segments), &covered(0, next)).await;
}

async fn begin(lake: &Lake) -> Upkeep {
    lake.upkeep(TABLE, SOURCE).await.unwrap().unwrap()
}

/// Makes a row for each station on each touched day and commits.
async fn keep_up(lake: &Lake, stations: &[&str], run: u64) {
    let mut upkeep = begin(lake).await;
    let days: Vec<(Timestamp, Channels)> =
        upkeep.days().map(|(day, channels)| (day, channels.clone())).collect();
    for (day, channels) in days {
        let index = (day.nanos() - midnight(0).nanos()) / DAY_NS;
        let touched = stations.iter().filter(|station| channels.contains(&id(station)));
        let rows = touched.map(|station| row(station, index, run)).collect();
        upkeep.replace_day(day, table_rows(rows)).await.unwrap();
    }
    upkeep.commit().await.unwrap();
}

async fn runs(lake: &Lake) -> Vec<String> {
    let sql = "SELECT station, CAST(start_time AS DATE), sample_count FROM quality.continuity";
    rows_of(&session(lake), sql).await[1..].iter().map(|line| line.replace("|2024-02-", " ")).collect()
}

#[tokio::test]
async fn only_touched_channels_and_days_are_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    assert!(lake.upkeep(TABLE, SOURCE).await.unwrap().is_none(), "there is nothing");
    // A lies on both days: it crosses midnight.
    arrive(&lake, 1, vec![piece("A", 20, 10), piece("B", 1, 2)]).await;
    let days: Vec<Timestamp> = begin(&lake).await.days().map(|(day, _)| day).collect();
    assert_eq!(days, [midnight(0), midnight(1)]);
    let mut upkeep = begin(&lake).await;
    let first = vec![row("A", 0, 1), row("B", 0, 1)];
    upkeep.replace_day(midnight(0), table_rows(first)).await.unwrap();
    upkeep.replace_day(midnight(1), table_rows(vec![row("A", 1, 1)])).await.unwrap();
    assert_eq!(count(&lake, TABLE).await, 0, "nothing is visible before the commit");
    upkeep.commit().await.unwrap();
    assert_eq!(runs(&lake).await, ["|A 28|1|", "|A 29|1|", "|B 28|1|"]);

    // Late data of B, and a new channel the day after.
    arrive(&lake, 2, vec![piece("B", 5, 1), piece("C", 30, 1)]).await;
    let upkeep = begin(&lake).await;
    let touched: Vec<(Timestamp, Channels)> =
        upkeep.days().map(|(day, channels)| (day, channels.clone())).collect();
    let some = |station: &str| Channels::Some(BTreeSet::from([id(station)]));
    assert_eq!(touched, [(midnight(0), some("B")), (midnight(1), some("C"))]);
    drop(upkeep);
    keep_up(&lake, &["A", "B", "C"], 2).await;
    assert_eq!(runs(&lake).await, ["|A 28|1|", "|A 29|1|", "|B 28|2|", "|C 29|2|"]);
}

#[tokio::test]
async fn running_again_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    arrive(&lake, 1, vec![piece("A", 1, 2)]).await;
    keep_up(&lake, &["A"], 1).await;
    let snapshot = lake.snapshot_id(TABLE, crate::AsOf::Latest).await.unwrap();
    assert!(snapshot.is_some());
    assert!(lake.upkeep(TABLE, SOURCE).await.unwrap().is_none());
    let reopened = super::lake(home.path()).await;
    assert!(reopened.upkeep(TABLE, SOURCE).await.unwrap().is_none(), "the position is in the table");
    assert_eq!(reopened.snapshot_id(TABLE, crate::AsOf::Latest).await.unwrap(), snapshot);
}

#[tokio::test]
async fn a_run_that_was_overtaken_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    arrive(&lake, 1, vec![piece("A", 1, 2)]).await;
    let mut slow = begin(&lake).await;
    slow.replace_day(midnight(0), table_rows(vec![row("A", 0, 9)])).await.unwrap();
    keep_up(&lake, &["A"], 1).await;
    slow.commit().await.unwrap();
    assert_eq!(runs(&lake).await, ["|A 28|1|"], "its position is covered: its rows are dropped");

    arrive(&lake, 2, vec![piece("A", 5, 1)]).await;
    let mut slow = begin(&lake).await;
    slow.replace_day(midnight(0), table_rows(vec![row("A", 0, 9)])).await.unwrap();
    keep_up(&lake, &["A"], 2).await;
    arrive(&lake, 3, vec![piece("A", 7, 1)]).await;
    keep_up(&lake, &["A"], 3).await;
    slow.commit().await.unwrap();
    assert_eq!(runs(&lake).await, ["|A 28|3|"]);

    // Overtaken from an older position: it would cover more than the other, on a base that is gone.
    arrive(&lake, 4, vec![piece("A", 9, 1)]).await;
    let middle = begin(&lake).await;
    arrive(&lake, 5, vec![piece("A", 11, 1)]).await;
    let mut ahead = begin(&lake).await;
    middle.commit().await.unwrap();
    ahead.replace_day(midnight(0), table_rows(vec![row("A", 0, 9)])).await.unwrap();
    let error = ahead.commit().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    assert_eq!(runs(&lake).await, ["|A 28|3|"]);
}

#[tokio::test]
async fn rows_for_another_table_or_an_untouched_day_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    arrive(&lake, 1, vec![piece("A", 1, 2)]).await;
    let mut upkeep = begin(&lake).await;
    assert!(upkeep.replace_day(midnight(7), table_rows::<Continuity>(vec![])).await.is_err());
    assert!(upkeep.replace_day(midnight(0), table_rows::<Pick>(vec![])).await.is_err());
    let error = lake.upkeep("quality.nothing", SOURCE).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn gaps_come_back_as_lists() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let span = |from: i64, to: i64| seislake_model::Span { start_time: hour(from), end_time: hour(to) };
    let with_gaps = Continuity { gaps: vec![span(1, 2), span(5, 6)], ..row("A", 0, 7) };
    append(&lake, table_rows(vec![with_gaps, row("B", 0, 7)]), &Offsets::default()).await;
    let sql = "SELECT source_id, unnest(gap_end_ns) - unnest(gap_start_ns) FROM quality.continuity";
    let lines = rows_of(&session(&lake), sql).await;
    assert_eq!(lines[1..], ["|FDSN:XX_A__H_H_Z|3600000000000|", "|FDSN:XX_A__H_H_Z|3600000000000|"]);
}
