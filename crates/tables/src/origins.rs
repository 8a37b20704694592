//! `bulletin.origins`: hypocentres with uncertainty and quality.

use seislake_model::Origin;

use crate::columns;
use crate::kind::provenance;
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "origins",
    doc: "Where and when an event was, with uncertainty and quality.",
    columns: COLUMNS,
    partition: &[PartitionBy::Month(names::origin_time)],
    sort: SortBy::Hilbert {
        longitude: names::longitude,
        latitude: names::latitude,
        time: names::origin_time,
    },
    identity: &[names::origin_id],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Origin as row in rows;
    1 origin_id: required Text, "Name-based on event, method and picks.";
    2 event_id: required Text, "Event.";
    3 origin_time: required Time => row.origin_time, "Origin time, rounded down to a microsecond.";
    4 origin_ns: required Nanos = row.origin_time, "Origin time, nanoseconds since 1970.";
    5 time_uncertainty_s: required Double, "One standard deviation of the origin time, seconds.";
    6 latitude: required Double, "Degrees north, WGS84.";
    7 longitude: required Double, "Degrees east, WGS84.";
    8 depth_km: required Double, "Depth below sea level.";
    9 covariance_east_east_km2: required Double = row.covariance_km2[0], "Covariance of the hypocentre, km².";
    10 covariance_east_north_km2: required Double = row.covariance_km2[1], "Covariance of the hypocentre, km².";
    11 covariance_east_down_km2: required Double = row.covariance_km2[2], "Covariance of the hypocentre, km².";
    12 covariance_north_north_km2: required Double = row.covariance_km2[3], "Covariance of the hypocentre, km².";
    13 covariance_north_down_km2: required Double = row.covariance_km2[4], "Covariance of the hypocentre, km².";
    14 covariance_down_down_km2: required Double = row.covariance_km2[5], "Covariance of the hypocentre, km².";
    15 ellipse_major_km: required Double, "Semi-major axis of the horizontal error ellipse (68 %).";
    16 ellipse_minor_km: required Double, "Semi-minor axis of the horizontal error ellipse (68 %).";
    17 ellipse_azimuth: required Double, "Of the major axis, degrees clockwise from north.";
    18 depth_uncertainty_km: required Double, "One standard deviation of the depth.";
    19 rms_s: required Double, "Root mean square of the weighted residuals, seconds.";
    20 azimuthal_gap: required Double, "Largest gap in azimuth between stations used, degrees.";
    21 nearest_station_km: required Double, "Epicentral distance of the nearest station used.";
    22 used_phase_count: required Long, "Phases used.";
    23 used_station_count: required Long, "Stations used.";
    24 method: required Text = &row.provenance.method, "The locator.";
    25 earth_model: required Text, "Velocity model.";
    26 agency_id: optional Text = &row.provenance.agency_id, "Agency that answers for it; null in rows of older versions.";
    27 author: optional Text = &row.provenance.author, "Program or person; null in rows of older versions.";
    28 evaluation_mode: optional Text = row.provenance.evaluation_mode, "automatic or manual; null in rows of older versions: automatic.";
    29 evaluation_status: optional Text = row.provenance.evaluation_status, "preliminary, confirmed, reviewed, final or rejected; null in rows of older versions: preliminary.";
    30 method_version: optional Text = &row.provenance.method_version, "Version of the method; null in rows of older versions.";
    31 creation_time: optional Time = row.provenance.creation_time, "Time of the youngest sample that it rests on, rounded down to a microsecond; null in rows of older versions.";
    -> Origin {
        origin_id,
        event_id,
        origin_time: origin_ns,
        time_uncertainty_s,
        latitude,
        longitude,
        depth_km,
        covariance_km2: [
            covariance_east_east_km2,
            covariance_east_north_km2,
            covariance_east_down_km2,
            covariance_north_north_km2,
            covariance_north_down_km2,
            covariance_down_down_km2,
        ],
        ellipse_major_km,
        ellipse_minor_km,
        ellipse_azimuth,
        depth_uncertainty_km,
        rms_s,
        azimuthal_gap,
        nearest_station_km,
        used_phase_count,
        used_station_count,
        provenance: provenance(agency_id, author, evaluation_mode, evaluation_status, Some(method), method_version, creation_time),
        earth_model,
    }
}
