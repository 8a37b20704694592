//! `quality.signal_levels`: offset, rms, dead, clipped and spiky channels by UTC day.
//!
//! Made from the samples of `waveform.segments` by the job of `seislake quality update`.

use seislake_model::SignalLevel;

use crate::TableDef;
use crate::columns;

pub const TABLE: TableDef = TableDef::of_quality(
    "signal_levels",
    "Levels of a channel's samples on a UTC day, in the unit of the samples.",
    COLUMNS,
    &[names::source_id, names::start_time],
);

columns! {
    rows of SignalLevel as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 start_time: required Time, "First moment of the UTC day.";
    3 sample_count: required Long, "Samples looked at.";
    4 minimum: required Double, "Least value.";
    5 maximum: required Double, "Greatest value.";
    6 mean: required Double, "Mean: the offset.";
    7 rms: required Double, "Root mean square about the mean.";
    8 constant_s: required Double, "Longest stretch of equal samples, seconds.";
    9 clipped_count: required Long, "Samples on flat tops.";
    10 spike_count: required Long, "Lone samples far away from both neighbours.";
    11 condition: required Text, "good, dead, clipped or spiky: the first that holds, in the order dead, clipped, spiky.";
    -> SignalLevel {
        source_id,
        start_time,
        sample_count,
        minimum,
        maximum,
        mean,
        rms,
        constant_s,
        clipped_count,
        spike_count,
        condition,
    }
}
