//! `quality.latency`: how long the live packets of a channel's hour took to arrive.
//!
//! Made from `waveform.packets` by the job of `seislake quality update`.

use seislake_model::{Latency, SourceId};

use crate::TableDef;
use crate::columns;
use crate::kind::codes;

pub const TABLE: TableDef = TableDef::of_quality(
    "latency",
    "How long the live packets of a channel's hour took: arrival time minus time of the last sample.",
    COLUMNS,
    &[names::source_id, names::start_time],
);

columns! {
    rows of Latency as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    3 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    4 location: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::location), "Location code; empty where blank.";
    5 channel: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::channel), "SEED channel code.";
    6 start_time: required Time, "First moment of the UTC hour in which the packets begin.";
    7 packet_count: required Long, "Live packets: those with an arrival time.";
    8 latency_min_s: required Double, "Least latency, seconds; negative where a clock is wrong.";
    9 latency_p50_s: required Double, "Median latency, seconds.";
    10 latency_p90_s: required Double, "90th percentile of latency, seconds.";
    11 latency_p99_s: required Double, "99th percentile of latency, seconds.";
    12 latency_max_s: required Double, "Greatest latency, seconds.";
    13 bin_counts: required IntList(14) = row.bin_counts.as_slice(), "Packets by latency: bin k begins at 0.01 s times 2 to the power k/2; the first takes all below, the last all above.";
    -> Latency {
        source_id,
        start_time,
        packet_count,
        latency_min_s,
        latency_p50_s,
        latency_p90_s,
        latency_p99_s,
        latency_max_s,
        bin_counts,
    }
}
