//! `quality.component_ratios`: how the energies of the components of a sensor compare on a UTC day.
//!
//! Made from the samples of `waveform.segments` by the job of `seislake quality update`.

use seislake_model::ComponentRatios;

use crate::TableDef;
use crate::columns;

pub const TABLE: TableDef = TableDef::of_quality(
    "component_ratios",
    "Daily medians of the ratios of band-passed energies of a sensor's components in five-minute windows.",
    COLUMNS,
    &[names::instrument_id, names::start_time],
);

columns! {
    rows of ComponentRatios as row in rows;
    1 instrument_id: required Text, "The sensor: source id without its last code, FDSN:NET_STA_LOC_B_S.";
    2 start_time: required Time, "First moment of the UTC day.";
    3 components: required Text, "Codes taken as vertical, north and east: ZNE or Z12.";
    4 sample_rate_hz: required Double, "Sample rate.";
    5 low_hz: required Double, "Lower corner of the band pass.";
    6 high_hz: required Double, "Upper corner of the band pass.";
    7 window_count: required Long, "Windows in which at least two components are complete.";
    8 north_east: optional Double, "Energy of north over east, median of the windows; null where one is missing.";
    9 vertical_east: optional Double, "Energy of vertical over east, likewise.";
    10 vertical_north: optional Double, "Energy of vertical over north, likewise.";
    -> ComponentRatios {
        instrument_id,
        start_time,
        components,
        sample_rate_hz,
        low_hz,
        high_hz,
        window_count,
        north_east,
        vertical_east,
        vertical_north,
    }
}
