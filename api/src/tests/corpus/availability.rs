//! Availability, by way of the service.
//!
//! Three things differ and must. `Updated` is the moment of the last commit to our table, the same in all rows, so it is
//! left out of the comparison and orders by it are those by channel. There are no users: `extentauth` is `extent`. And the
//! other server calls a channel open where any epoch of it is, we look at the epoch: see the last test.

use axum::http::StatusCode;
use serde_json::Value;

use super::database::{Database, Status};
use super::{corpus, exchanges};
use crate::tests::House;

async fn house(root: &std::path::Path, status: Status) -> House {
    let house = House::empty().await;
    let database = Database::open(root).await;
    house.write(database.spans().await).await;
    house.state.stations.upsert(database.inventory(status).await).await.unwrap();
    house
}

/// Rows as cells under their heading, without `Updated`.
fn table(text: &str, separator: Option<char>) -> Vec<Vec<(String, String)>> {
    let cells = |line: &str| -> Vec<String> {
        match separator {
            Some(separator) => line.split(separator).map(str::to_owned).collect(),
            None => line.split_whitespace().map(str::to_owned).collect(),
        }
    };
    let geocsv = separator.is_some();
    let mut lines = text.lines().filter(|line| !geocsv || !line.starts_with('#'));
    let heads = cells(lines.next().unwrap());
    lines
        .map(|line| {
            let row = heads.iter().cloned().zip(cells(line));
            row.filter(|(head, _)| head != "Updated").collect()
        })
        .collect()
}

/// Data sources of a document without `updated`.
fn sources(document: &str) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["version"], 1.0);
    let mut sources = document["datasources"].take().as_array().unwrap().clone();
    for source in &mut sources {
        assert!(source.as_object_mut().unwrap().remove("updated").is_some());
    }
    sources
}

fn sorted<T: std::fmt::Debug>(mut rows: Vec<T>) -> Vec<T> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

#[tokio::test]
async fn rows_are_those_of_the_other_server() {
    let Some(root) = corpus() else { return };
    let house = house(&root, Status::OpenWhereAnyEpochIs).await;
    let exchanges = exchanges(&root, "availability");
    for (request, expected) in &exchanges {
        let theirs = std::str::from_utf8(expected).unwrap();
        let (status, ours) = house.get(&request.replace("extentauth", "extent")).await;
        assert_eq!(status, StatusCode::OK, "{request}: {ours}");
        // Only their order by channel or by count can be ours too; that of `query` is the order of their data base.
        let ordered = !request.contains("latestupdate") && !request.contains("/query");
        if request.contains("format=json") {
            assert_eq!(sorted(sources(&ours)), sorted(sources(theirs)), "{request}");
        } else if request.contains("format=request") {
            let lines = |text: &str| sorted(text.lines().map(str::to_owned).collect());
            assert_eq!(lines(&ours), lines(theirs), "{request}");
        } else {
            let separator = request.contains("geocsv").then_some('|');
            let (ours, theirs) = (table(&ours, separator), table(theirs, separator));
            if ordered {
                assert_eq!(ours, theirs, "{request}");
            }
            assert_eq!(sorted(ours), sorted(theirs), "{request}");
        }
    }
    assert_eq!(exchanges.len(), 10, "requests");
}

#[tokio::test]
async fn spans_of_a_closed_epoch_are_restricted_though_an_earlier_epoch_was_open() {
    let Some(root) = corpus() else { return };
    let house = house(&root, Status::AsStored).await;
    let service = "/fdsnws/availability/1";
    let (status, _) = house.get(&format!("{service}/extent")).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "every span lies in an epoch that is closed");
    let (_, text) = house.get(&format!("{service}/extent?includerestricted=true")).await;
    assert_eq!((text.matches("RESTRICTED").count(), text.matches("OPEN").count()), (5, 0), "{text}");
    let (_, text) = house.get(&format!("{service}/extent?includerestricted=true&quality=Q")).await;
    assert_eq!(text.lines().count(), 3, "two extents of controlled quality: {text}");
}
