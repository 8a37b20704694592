//! `quality.continuity`: what of a channel's UTC day is there.
//!
//! Made from the metadata columns of `waveform.segments` (never the samples) by the job of `seislake quality update`.

use arrow::array::ArrayRef;
use seislake_model::{Continuity, Span, Timestamp};

use super::ColumnType::{Double, Long, LongList, Text, Time};
use super::arrays::{double, long, long_lists, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

/// Field ids of the elements of the lists.
const GAP_START_ID: i32 = 20;
const GAP_END_ID: i32 = 21;
const OVERLAP_START_ID: i32 = 22;
const OVERLAP_END_ID: i32 = 23;

pub(super) const TABLE: TableDef = TableDef {
    namespace: "quality",
    name: "continuity",
    doc: "What of a channel's UTC day is there: samples, gaps, overlaps.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["source_id", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "network", Text, "Network code."),
    required(3, "station", Text, "Station code."),
    required(4, "location", Text, "Location code; empty where blank."),
    required(5, "channel", Text, "SEED channel code."),
    required(6, "start_time", Time, "First moment of the UTC day."),
    required(7, "sample_rate_hz", Double, "Sample rate of most samples of the day."),
    required(8, "sample_count", Long, "Samples received, repeated ones counted once."),
    required(9, "expected_count", Long, "Samples of a day without gaps."),
    required(10, "continuity", Double, "Received over expected, 0 to 1."),
    required(11, "repeated_count", Long, "Samples that came again: duplicates and overlaps."),
    required(12, "gap_count", Long, "Gaps, those at the begin and the end of the day included."),
    required(13, "gap_s", Double, "Length of all gaps, seconds."),
    required(14, "overlap_count", Long, "Stretches that are there more than once."),
    required(15, "overlap_s", Double, "Length of all overlaps, seconds."),
    required(
        16,
        "gap_start_ns",
        LongList(GAP_START_ID),
        "Begins of the 100 longest gaps in order of time, ns since 1970.",
    ),
    required(
        17,
        "gap_end_ns",
        LongList(GAP_END_ID),
        "Ends of these gaps: the next sample, or the end of the day.",
    ),
    required(
        18,
        "overlap_start_ns",
        LongList(OVERLAP_START_ID),
        "Begins of the 100 longest overlaps in order of time.",
    ),
    required(19, "overlap_end_ns", LongList(OVERLAP_END_ID), "Ends of these overlaps."),
];

pub(super) fn encode(rows: &[Continuity]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        text(rows.iter().map(|row| row.source_id.location())),
        text(rows.iter().map(|row| row.source_id.channel())),
        time(rows.iter().map(|row| row.start_time)),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        long(rows.iter().map(|row| row.sample_count as i64)),
        long(rows.iter().map(|row| row.expected_count as i64)),
        double(rows.iter().map(Continuity::fraction)),
        long(rows.iter().map(|row| row.repeated_count as i64)),
        long(rows.iter().map(|row| row.gap_count as i64)),
        double(rows.iter().map(|row| row.gap_s)),
        long(rows.iter().map(|row| row.overlap_count as i64)),
        double(rows.iter().map(|row| row.overlap_s)),
        moments(GAP_START_ID, rows, |row| &row.gaps, |span| span.start_time),
        moments(GAP_END_ID, rows, |row| &row.gaps, |span| span.end_time),
        moments(OVERLAP_START_ID, rows, |row| &row.overlaps, |span| span.start_time),
        moments(OVERLAP_END_ID, rows, |row| &row.overlaps, |span| span.end_time),
    ]
}

fn moments(
    id: i32,
    rows: &[Continuity],
    spans: impl Fn(&Continuity) -> &[Span],
    moment: impl Fn(&Span) -> Timestamp,
) -> ArrayRef {
    let moment = &moment;
    long_lists(id, rows.iter().map(|row| spans(row).iter().map(move |span| moment(span).nanos())))
}
