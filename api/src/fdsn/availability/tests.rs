//! The answers of another server to the same requests over the same spans.

use std::path::{Path, PathBuf};

use super::formats::{Method, RowFields, geocsv, json, request, text};
use super::spans::{Merge, Order, Span, extents, merged, sort};
use seislake_model::{SourceId, Timestamp};

/// Answers of a SeisComP server, where the tester has them.
fn answers() -> Option<PathBuf> {
    Some(seislake_recordings::folder()?.join("fdsnws/seiscomp/results"))
}

fn answer(folder: &Path, number: u32) -> String {
    std::fs::read_to_string(folder.join(format!("availability-{number}.txt"))).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The spans that the server's data base holds: three channels, each of eight pieces of nine hours.
fn spans(restricted: bool) -> Vec<Span> {
    const PIECES: [(&str, &str); 8] = [
        ("19T16:02:04", "20T01:01:54"),
        ("20T01:02:04", "20T10:01:54"),
        ("20T10:02:04", "20T19:01:54"),
        ("20T19:02:04", "21T04:01:54"),
        ("21T04:02:04", "21T13:01:54"),
        ("21T13:02:04", "21T22:01:54"),
        ("21T22:01:59", "22T07:02:04"),
        ("22T07:01:59", "22T16:02:04"),
    ];
    let moment = |text: &str| time(&format!("2019-08-{text}.778422Z"));
    let mut spans = Vec::new();
    for (station, channel) in [("R0F05", "SHZ"), ("R187C", "HDF"), ("R187C", "EHZ")] {
        for (index, (start, end)) in PIECES.into_iter().enumerate() {
            let early = channel == "HDF" && index < 2;
            spans.push(Span {
                source_id: SourceId::from_nslc("AM", station, "00", channel),
                quality: if early { 'Q' } else { 'M' },
                rate_hz: match (station, channel, index) {
                    ("R0F05", ..) => 50.0,
                    (_, "HDF", 0) => 80.0,
                    _ => 100.0,
                },
                start: moment(start),
                end: moment(end),
                updated: if early { time("2019-08-27") } else { moment("22T16:02:04") },
                span_count: 1,
                restricted: station == "R0F05",
            });
        }
    }
    spans.retain(|span| restricted || !span.restricted);
    spans
}

fn shown(method: Method, merge: Merge) -> RowFields {
    RowFields { method, quality: !merge.quality, sample_rate: !merge.sample_rate, updated: false }
}

fn extent(merge: Merge, order: Order, restricted: bool) -> (Vec<Span>, RowFields) {
    let mut rows = extents(spans(restricted), merge);
    sort(&mut rows, order);
    (rows, shown(Method::Extent, merge))
}

#[test]
fn extents_are_those_of_another_server() {
    let Some(folder) = answers() else { return };
    let quality = Merge { quality: true, ..Merge::default() };
    let rate = Merge { sample_rate: true, ..Merge::default() };
    let both = Merge { sample_rate: true, ..quality };
    let none = Merge::default();
    for (number, merge, order) in [
        (1, none, Order::Channel),
        (2, rate, Order::Channel),
        (3, quality, Order::Channel),
        (4, both, Order::Channel),
        (5, none, Order::Updated),
    ] {
        let (rows, shown) = extent(merge, order, false);
        assert_eq!(text(&rows, shown), answer(&folder, number), "{number}");
    }
    let (mut rows, shown) = extent(none, Order::SpanCountDescending, false);
    rows.retain(|row| row.source_id.channel() == "HDF");
    assert_eq!(text(&rows, shown), answer(&folder, 6));
}

#[test]
fn other_formats_are_those_of_another_server() {
    let Some(folder) = answers() else { return };
    let none = Merge::default();
    let (mut rows, shown) = extent(none, Order::UpdatedDescending, true);
    rows.retain(|row| row.source_id.station() == "R0F05");
    assert_eq!(geocsv(&rows, shown), answer(&folder, 7));
    let (rows, _) = extent(none, Order::UpdatedDescending, false);
    assert_eq!(request(&rows), answer(&folder, 8));
    let (rows, shown) = extent(Merge { quality: true, ..none }, Order::UpdatedDescending, true);
    let ours: serde_json::Value =
        serde_json::from_str(&json(&rows, shown, time("2019-08-27T15:29:58Z"))).unwrap();
    let theirs: serde_json::Value = serde_json::from_str(&answer(&folder, 9)).unwrap();
    assert_eq!(ours, theirs);
}

#[test]
fn spans_are_those_of_another_server_whose_order_is_that_of_its_data_base() {
    let Some(folder) = answers() else { return };
    let mut rows = merged(spans(false), Merge::default());
    sort(&mut rows, Order::Channel);
    let ours = text(&rows, shown(Method::Query, Merge::default()));
    let theirs = answer(&folder, 10);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&ours), sorted(&theirs));
}

#[test]
fn gaps_and_overlaps_count_only_as_far_as_asked() {
    let spans = || {
        let mut spans = spans(false);
        spans.retain(|span| span.source_id.channel() == "EHZ");
        spans
    };
    let count = |merge| merged(spans(), merge).len();
    let none = Merge::default();
    assert_eq!(count(none), 8);
    assert_eq!(count(Merge { overlap: true, ..none }), 7);
    assert_eq!(count(Merge { gaps_s: Some(5.0), ..none }), 7);
    assert_eq!(count(Merge { gaps_s: Some(10.0), ..none }), 2);
    assert_eq!(count(Merge { gaps_s: Some(10.0), overlap: true, ..none }), 1);
}
