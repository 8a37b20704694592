//! `quality.component_ratios`: how the energies of the components of a sensor compare on a UTC day.
//!
//! Made from the samples of `waveform.segments` by the job of `seislake quality update`.

use arrow::array::ArrayRef;
use seislake_model::ComponentRatios;

use super::ColumnType::{Double, Long, Text, Time};
use super::arrays::{double, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "quality",
    name: "component_ratios",
    doc: "Daily medians of the ratios of band-passed energies of a sensor's components in five-minute windows.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
    sort: SortBy::Columns(&["instrument_id", "start_time"]),
    identity: &["instrument_id", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "instrument_id", Text, "The sensor: source id without its last code, FDSN:NET_STA_LOC_B_S."),
    required(2, "start_time", Time, "First moment of the UTC day."),
    required(3, "components", Text, "Codes taken as vertical, north and east: ZNE or Z12."),
    required(4, "sample_rate_hz", Double, "Sample rate."),
    required(5, "low_hz", Double, "Lower corner of the band pass."),
    required(6, "high_hz", Double, "Upper corner of the band pass."),
    required(7, "window_count", Long, "Windows in which at least two components are complete."),
    optional(
        8,
        "north_east",
        Double,
        "Energy of north over east, median of the windows; null where one is missing.",
    ),
    optional(9, "vertical_east", Double, "Energy of vertical over east, likewise."),
    optional(10, "vertical_north", Double, "Energy of vertical over north, likewise."),
];

pub(super) fn encode(rows: &[ComponentRatios]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.instrument_id.as_str())),
        time(rows.iter().map(|row| row.start_time)),
        text(rows.iter().map(|row| row.components.as_str())),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        double(rows.iter().map(|row| row.low_hz)),
        double(rows.iter().map(|row| row.high_hz)),
        long(rows.iter().map(|row| row.window_count as i64)),
        double(rows.iter().map(|row| row.north_east)),
        double(rows.iter().map(|row| row.vertical_east)),
        double(rows.iter().map(|row| row.vertical_north)),
    ]
}
