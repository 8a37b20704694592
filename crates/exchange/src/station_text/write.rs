//! FDSN station text out.
//!
//! Text holds what its columns name: of a channel's response the overall sensitivity, of a station no address. The rest is
//! in StationXML only.

use std::fmt::Write;

use seislake_model::Inventory;

use crate::cell;
use crate::epochs::{Side, date_text};
use crate::stationxml::{Level, azimuth, group_networks, network_summary_of, sensitivity, unit_name};
use crate::xml::number;

/// FDSN station text at a level; `Response` is not expressible and written as `Channel`.
pub fn write(inventory: &Inventory, level: Level) -> String {
    match level {
        Level::Network => write_networks(inventory),
        Level::Station => write_stations(inventory),
        Level::Channel | Level::Response => write_channels(inventory),
    }
}

fn field(text: Option<&String>) -> String {
    text.map_or(String::new(), |text| cell(text))
}

fn write_networks(inventory: &Inventory) -> String {
    let mut out = "#Network|Description|StartTime|EndTime|TotalStations\n".to_owned();
    for network in group_networks(inventory.stations.iter()) {
        let stations = || network.stations.iter().filter_map(|index| inventory.stations.get(*index));
        let mut codes: Vec<&str> = stations().map(|station| station.station.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let summary = network.element.as_ref().map(network_summary_of).unwrap_or_default();
        // Where the network does not say, it begins with its first station: clients do not read an empty begin.
        let first =
            || date_text(stations().filter_map(|station| station.start_time).min(), None, Side::Start);
        let [said, end] = summary.dates;
        let start = if said.is_empty() { first() } else { said };
        let description = field(summary.description.as_ref());
        let _ = writeln!(out, "{}|{description}|{start}|{end}|{}", network.code, codes.len());
    }
    out
}

fn write_stations(inventory: &Inventory) -> String {
    let mut out = "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime\n".to_owned();
    for s in &inventory.stations {
        let original = s.original.as_deref();
        let start = date_text(s.start_time, original, Side::Start);
        let end = date_text(s.end_time, original, Side::End);
        let site = field(s.site_name.as_ref());
        let (network, station) = (&s.network, &s.station);
        let _ = writeln!(
            out,
            "{network}|{station}|{}|{}|{}|{site}|{start}|{end}",
            s.latitude, s.longitude, s.elevation_m
        );
    }
    out
}

fn write_channels(inventory: &Inventory) -> String {
    let mut out = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|\
                   SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime\n"
        .to_owned();
    for c in &inventory.channels {
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let scale = match (&c.response, c.response_original.as_deref().and_then(sensitivity)) {
            (_, Some(total)) => {
                let (value, frequency_hz) = (number(total.value), number(total.frequency_hz));
                format!("{value}|{frequency_hz}|{}", field(Some(&total.input_unit)))
            }
            (Some(response), None) => {
                let unit = unit_name(response.input_unit);
                format!(
                    "{}|{}|{unit}",
                    number(response.sensitivity),
                    number(response.sensitivity_frequency_hz)
                )
            }
            (None, None) => "||".to_owned(),
        };
        let id = &c.source_id;
        let _ = writeln!(
            out,
            "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{scale}|{}|{}|{}",
            id.network(),
            id.station(),
            id.location(),
            id.channel(),
            c.latitude,
            c.longitude,
            c.elevation_m,
            c.depth_m,
            optional(c.azimuth.map(azimuth)),
            optional(c.dip),
            field(c.sensor.as_ref()),
            optional(c.sample_rate_hz),
            date_text(c.start_time, c.original.as_deref(), Side::Start),
            date_text(c.end_time, c.original.as_deref(), Side::End),
        );
    }
    out
}
