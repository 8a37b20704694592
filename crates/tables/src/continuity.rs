//! `quality.continuity`: what of a channel's UTC day is there.
//!
//! Made from the metadata columns of `waveform.segments` (never the samples) by the job of `seislake quality update`.

use seislake_model::{Continuity, SourceId, Span, Timestamp};

use crate::TableDef;
use crate::columns;
use crate::kind::codes;

pub const TABLE: TableDef = TableDef::of_quality(
    "continuity",
    "What of a channel's UTC day is there: samples, gaps, overlaps.",
    COLUMNS,
    &[names::source_id, names::start_time],
);

columns! {
    rows of Continuity as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    3 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    4 location: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::location), "Location code; empty where blank.";
    5 channel: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::channel), "SEED channel code.";
    6 start_time: required Time, "First moment of the UTC day.";
    7 sample_rate_hz: required Double, "Sample rate of most samples of the day.";
    8 sample_count: required Long, "Samples received, repeated ones counted once.";
    9 expected_count: required Long, "Samples of a day without gaps.";
    10 continuity: required Double => row.fraction(), "Received over expected, 0 to 1.";
    11 repeated_count: required Long, "Samples that came again: duplicates and overlaps.";
    12 gap_count: required Long, "Gaps, those at the begin and the end of the day included.";
    13 gap_s: required Double, "Length of all gaps, seconds.";
    14 overlap_count: required Long, "Stretches that are there more than once.";
    15 overlap_s: required Double, "Length of all overlaps, seconds.";
    16 gap_start_ns: required NanosList(20) = row.gaps.iter().map(|gap| gap.start_time), "Begins of the 100 longest gaps in order of time, ns since 1970.";
    17 gap_end_ns: required NanosList(21) = row.gaps.iter().map(|gap| gap.end_time), "Ends of these gaps: the next sample, or the end of the day.";
    18 overlap_start_ns: required NanosList(22) = row.overlaps.iter().map(|overlap| overlap.start_time), "Begins of the 100 longest overlaps in order of time.";
    19 overlap_end_ns: required NanosList(23) = row.overlaps.iter().map(|overlap| overlap.end_time), "Ends of these overlaps.";
    -> Continuity {
        source_id,
        start_time,
        sample_rate_hz,
        sample_count,
        expected_count,
        repeated_count,
        gap_count,
        gap_s,
        overlap_count,
        overlap_s,
        gaps: spans(gap_start_ns, gap_end_ns),
        overlaps: spans(overlap_start_ns, overlap_end_ns),
    }
}

fn spans(starts: Vec<Timestamp>, ends: Vec<Timestamp>) -> Vec<Span> {
    starts.into_iter().zip(ends).map(|(start_time, end_time)| Span { start_time, end_time }).collect()
}
