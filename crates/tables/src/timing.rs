//! `quality.timing`: the timing quality that the records of a channel's UTC day state.
//!
//! Made from `waveform.packets` by the job of `seislake quality update`.

use seislake_model::Timing;

use crate::TableDef;
use crate::columns;

pub const TABLE: TableDef = TableDef::of_quality(
    "timing",
    "Timing quality that the records of a channel's UTC day state; no row where none states one.",
    COLUMNS,
    &[names::source_id, names::start_time],
);

columns! {
    rows of Timing as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 start_time: required Time, "First moment of the UTC day.";
    3 packet_count: required Long, "Records that begin on the day.";
    4 stated_count: required Long, "Records that state a timing quality.";
    5 timing_quality_min: required Int, "Least timing quality, percent.";
    6 timing_quality_p50: required Double, "Median timing quality, percent.";
    7 timing_quality_mean: required Double, "Mean timing quality, percent.";
    -> Timing {
        source_id,
        start_time,
        packet_count,
        stated_count,
        timing_quality_min,
        timing_quality_p50,
        timing_quality_mean,
    }
}
