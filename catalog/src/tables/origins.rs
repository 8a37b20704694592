//! `bulletin.origins`: hypocentres with uncertainty and quality.

use arrow::array::ArrayRef;
use seislake_model::Origin;

use super::ColumnType::{Double, Long, Text, Time};
use super::arrays::{double, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "origins",
    doc: "Where and when an event was, with uncertainty and quality.",
    columns: COLUMNS,
    partition: &[PartitionBy::Month("origin_time")],
    sort: SortBy::Hilbert { longitude: "longitude", latitude: "latitude", time: "origin_time" },
    identity: &["origin_id"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "origin_id", Text, "Name-based on event, method and picks."),
    required(2, "event_id", Text, "Event."),
    required(3, "origin_time", Time, "Origin time, rounded down to a microsecond."),
    required(4, "origin_ns", Long, "Origin time, nanoseconds since 1970."),
    required(5, "time_uncertainty_s", Double, "One standard deviation of the origin time, seconds."),
    required(6, "latitude", Double, "Degrees north, WGS84."),
    required(7, "longitude", Double, "Degrees east, WGS84."),
    required(8, "depth_km", Double, "Depth below sea level."),
    required(9, "covariance_east_east_km2", Double, "Covariance of the hypocentre, km²."),
    required(10, "covariance_east_north_km2", Double, "Covariance of the hypocentre, km²."),
    required(11, "covariance_east_down_km2", Double, "Covariance of the hypocentre, km²."),
    required(12, "covariance_north_north_km2", Double, "Covariance of the hypocentre, km²."),
    required(13, "covariance_north_down_km2", Double, "Covariance of the hypocentre, km²."),
    required(14, "covariance_down_down_km2", Double, "Covariance of the hypocentre, km²."),
    required(15, "ellipse_major_km", Double, "Semi-major axis of the horizontal error ellipse (68 %)."),
    required(16, "ellipse_minor_km", Double, "Semi-minor axis of the horizontal error ellipse (68 %)."),
    required(17, "ellipse_azimuth", Double, "Of the major axis, degrees clockwise from north."),
    required(18, "depth_uncertainty_km", Double, "One standard deviation of the depth."),
    required(19, "rms_s", Double, "Root mean square of the weighted residuals, seconds."),
    required(20, "azimuthal_gap", Double, "Largest gap in azimuth between stations used, degrees."),
    required(21, "nearest_station_km", Double, "Epicentral distance of the nearest station used."),
    required(22, "used_phase_count", Long, "Phases used."),
    required(23, "used_station_count", Long, "Stations used."),
    required(24, "method", Text, "Locator and version."),
    required(25, "earth_model", Text, "Velocity model."),
];

pub(super) fn encode(rows: &[Origin]) -> Vec<ArrayRef> {
    let covariance = |index: usize| double(rows.iter().map(move |row| row.covariance_km2[index]));
    vec![
        text(rows.iter().map(|row| row.origin_id.as_str())),
        text(rows.iter().map(|row| row.event_id.as_str())),
        time(rows.iter().map(|row| row.origin_time)),
        long(rows.iter().map(|row| row.origin_time.nanos())),
        double(rows.iter().map(|row| row.time_uncertainty_s)),
        double(rows.iter().map(|row| row.latitude)),
        double(rows.iter().map(|row| row.longitude)),
        double(rows.iter().map(|row| row.depth_km)),
        covariance(0),
        covariance(1),
        covariance(2),
        covariance(3),
        covariance(4),
        covariance(5),
        double(rows.iter().map(|row| row.ellipse_major_km)),
        double(rows.iter().map(|row| row.ellipse_minor_km)),
        double(rows.iter().map(|row| row.ellipse_azimuth)),
        double(rows.iter().map(|row| row.depth_uncertainty_km)),
        double(rows.iter().map(|row| row.rms_s)),
        double(rows.iter().map(|row| row.azimuthal_gap)),
        double(rows.iter().map(|row| row.nearest_station_km)),
        long(rows.iter().map(|row| i64::from(row.used_phase_count))),
        long(rows.iter().map(|row| i64::from(row.used_station_count))),
        text(rows.iter().map(|row| row.method.as_str())),
        text(rows.iter().map(|row| row.earth_model.as_str())),
    ]
}
