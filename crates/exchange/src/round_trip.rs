//! What goes in by one format comes out by every other that can hold it: generated inventories and catalogues.
//!
//! Named as lost: text of channels has no sites and no epochs of stations, text of stations no channels; both have of a
//! response only its overall sensitivity. Tables of events round places to a millionth of a degree, depths to a metre,
//! magnitudes to a hundredth; GeoJSON times to a millisecond.

use proptest::prelude::*;
use seislake_model::{
    CatalogueEvent, Channel, Event, EventStatus, InputUnit, Inventory, Provenance, Response, SourceId,
    Station, Timestamp,
};

use crate::catalogue_text::{GeoJsonMetadata, read_catalogue, write_csv, write_event_text, write_geojson};
use crate::stationxml::{self, Level};
use crate::{read_stations, station_text};

/// 1700-01-01 to 2199-12-31: what is held, and no "not yet".
const YEARS_NS: std::ops::Range<i64> = -8_520_336_000_000_000_000..7_258_118_400_000_000_000;

/// Text as people write it, without the bar that divides FDSN text.
fn words() -> impl Strategy<Value = String> {
    "[\\PC&&[^|]]{1,30}".prop_map(|text| text.trim().to_owned()).prop_filter("words", |text| !text.is_empty())
}

fn epoch() -> impl Strategy<Value = (Option<Timestamp>, Option<Timestamp>)> {
    (prop::option::of(YEARS_NS), prop::option::of(YEARS_NS)).prop_map(|(one, another)| {
        let (start, end) = match (one, another) {
            (Some(one), Some(another)) => (Some(one.min(another)), Some(one.max(another))),
            other => other,
        };
        (start.map(Timestamp::from_nanos), end.map(Timestamp::from_nanos))
    })
}

fn place() -> impl Strategy<Value = (f64, f64, f64)> {
    (-90.0..=90.0, -180.0..=180.0, -12_000.0..=12_000.0)
}

fn station() -> impl Strategy<Value = Station> {
    ("[A-Z0-9]{1,2}", "[A-Za-z0-9][A-Za-z0-9-]{0,7}", place(), words(), epoch()).prop_map(
        |(network, station, (latitude, longitude, elevation_m), site, (start_time, end_time))| Station {
            network,
            station,
            latitude,
            longitude,
            elevation_m,
            site_name: Some(site),
            start_time,
            end_time,
            original: None,
            network_original: None,
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    let units =
        prop::sample::select(vec![InputUnit::Displacement, InputUnit::Velocity, InputUnit::Acceleration]);
    (1e-9..1e15_f64, 0.0..100.0_f64, units, any::<bool>()).prop_map(
        |(size, sensitivity_frequency_hz, input_unit, is_negative)| Response {
            sensitivity: if is_negative { -size } else { size },
            sensitivity_frequency_hz,
            input_unit,
            poles_zeros: None,
        },
    )
}

/// A channel of any station: its codes are filled in.
fn channel() -> impl Strategy<Value = Channel> {
    let codes = ("(|[A-Z0-9]{1,8})", "([A-Z0-9]{1,3}|H_GPS_|_T_|H__Z)");
    let numbers = (
        -500.0..3_000.0_f64,
        prop::option::of(0.0..360.0_f64),
        prop::option::of(-90.0..=90.0_f64),
        prop::option::of(1e-6..1e6_f64),
    );
    (codes, place(), numbers, prop::option::of(words()), epoch(), prop::option::of(response())).prop_map(
        |((location, code), place, numbers, sensor, (start_time, end_time), response)| Channel {
            source_id: SourceId::from_nslc("XX", "S", &location, &code),
            latitude: place.0,
            longitude: place.1,
            // The ground above the sensor must be some, too.
            elevation_m: place.2.clamp(-11_000.0, 9_000.0),
            depth_m: numbers.0,
            azimuth: numbers.1,
            dip: numbers.2,
            sample_rate_hz: numbers.3,
            sensor,
            start_time,
            end_time,
            response,
            original: None,
            response_original: None,
        },
    )
}

/// Stations of different codes, each with some channels, one epoch of each.
fn inventory() -> impl Strategy<Value = Inventory> {
    prop::collection::vec((station(), prop::collection::vec(channel(), 0..4)), 1..6).prop_map(|stations| {
        let mut inventory = Inventory::default();
        for (station, channels) in stations {
            let codes = (station.network.clone(), station.station.clone());
            if inventory.stations.iter().any(|other| other.network == codes.0 && other.station == codes.1) {
                continue;
            }
            let channels = channels.into_iter().map(|channel| {
                let id = channel.source_id;
                let source_id = SourceId::from_nslc(&codes.0, &codes.1, id.location(), &id.channel());
                Channel { source_id, ..channel }
            });
            let more = Inventory { channels: channels.collect(), stations: vec![station] };
            inventory.merge(more);
        }
        inventory
    })
}

/// In one order, without what only StationXML has.
fn essence(mut inventory: Inventory) -> Inventory {
    for station in &mut inventory.stations {
        (station.original, station.network_original) = (None, None);
    }
    for channel in &mut inventory.channels {
        (channel.original, channel.response_original) = (None, None);
    }
    inventory
        .stations
        .sort_by_key(|station| (station.network.clone(), station.station.clone(), station.start_time));
    inventory.channels.sort_by_key(|channel| (channel.source_id.clone(), channel.start_time));
    inventory
}

fn xml(inventory: &Inventory) -> String {
    stationxml::write(inventory, Level::Response, Timestamp::from_nanos(0))
}

fn read(text: &str) -> Result<Inventory, TestCaseError> {
    let parsed =
        read_stations(text.as_bytes(), None).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(parsed.problems, vec![]);
    Ok(parsed.value)
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn event() -> impl Strategy<Value = Event> {
    let magnitude = prop::option::of(-3.0..10.0_f64);
    ("[a-z0-9/]{1,20}", YEARS_NS, -90.0..=90.0_f64, -180.0..=180.0_f64, -5.0..800.0_f64, magnitude).prop_map(
        |(event_id, nanos, latitude, longitude, depth_km, magnitude)| Event {
            event_id: event_id.into(),
            revision: 1,
            status: EventStatus::Closed,
            preferred_origin_id: "origin/1".into(),
            preferred_magnitude_id: None,
            origin_time: Timestamp::from_nanos(nanos),
            latitude,
            longitude,
            depth_km,
            magnitude,
            magnitude_type: magnitude.map(|_| "ML".into()),
            merged_into: None,
            provenance: Provenance::default(),
        },
    )
}

/// Equal within what a table of events states.
fn same(event: &Event, read: &CatalogueEvent, time_tolerance_s: f64) -> Result<(), TestCaseError> {
    prop_assert!(read.id.ends_with(event.event_id.as_str()), "{} {}", read.id, event.event_id);
    prop_assert!(read.origin_time.seconds_since(event.origin_time).abs() <= time_tolerance_s);
    prop_assert!((read.latitude - event.latitude).abs() < 1e-6);
    prop_assert!((read.longitude - event.longitude).abs() < 1e-6);
    prop_assert!((read.depth_km.unwrap_or(f64::NAN) - event.depth_km).abs() < 1e-3);
    prop_assert_eq!(read.magnitude.is_some(), event.magnitude.is_some());
    let (read, made) = (read.magnitude.unwrap_or_default(), event.magnitude.unwrap_or_default());
    prop_assert!((read - made).abs() <= 0.005 + 1e-9, "{} {}", read, made);
    Ok(())
}

/// A QuakeML document of an event, with a prefix or none, a gap around the content of elements, and another origin and magnitude before the preferred ones.
fn quakeml(event: &Event, prefix: &str, gap: &str) -> String {
    let tag = |name: &str, inside: &str| format!("<{prefix}{name}>{gap}{inside}{gap}</{prefix}{name}>");
    let value = |name: &str, inside: &str| tag(name, &tag("value", inside));
    let origin = |id: &str, latitude: f64| {
        let inside = value("time", &event.origin_time.to_string())
            + &value("latitude", &latitude.to_string())
            + &value("longitude", &event.longitude.to_string())
            + &value("depth", &(event.depth_km * 1000.0).to_string());
        format!("<{prefix}origin publicID=\"{id}\">{inside}</{prefix}origin>")
    };
    let magnitude = |id: &str, magnitude: f64| {
        let inside = value("mag", &magnitude.to_string());
        format!("<{prefix}magnitude publicID=\"{id}\">{inside}</{prefix}magnitude>")
    };
    let mut inside = origin("smi:other", 0.0) + &origin("smi:mine", event.latitude);
    inside += &tag("preferredOriginID", "smi:mine");
    if let Some(size) = event.magnitude {
        inside +=
            &(magnitude("smi:m0", 9.9) + &magnitude("smi:m1", size) + &tag("preferredMagnitudeID", "smi:m1"));
    }
    let bed = if prefix.is_empty() { "xmlns" } else { "xmlns:b" };
    let event = format!("<{prefix}event publicID=\"smi:x/{}\">{inside}</{prefix}event>", event.event_id);
    format!(
        "<q:quakeml xmlns:q=\"http://quakeml.org/xmlns/quakeml/1.2\" {bed}=\"http://quakeml.org/xmlns/bed/1.2\">{}</q:quakeml>",
        tag("eventParameters", &event)
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn inventories_come_back_from_stationxml(inventory in inventory()) {
        prop_assert_eq!(essence(read(&xml(&inventory))?), essence(inventory));
    }

    #[test]
    fn inventories_come_back_from_text_as_far_as_it_goes(inventory in inventory()) {
        let stations = read(&station_text::write(&inventory, Level::Station))?;
        prop_assert_eq!(essence(stations).stations, essence(inventory.clone()).stations);
        if !inventory.channels.is_empty() {
            let channels = read(&station_text::write(&inventory, Level::Channel))?;
            prop_assert_eq!(essence(channels).channels, essence(inventory).channels);
        }
    }

    #[test]
    fn text_through_stationxml_is_the_same_text(inventory in inventory()) {
        for level in [Level::Station, Level::Channel] {
            let text = station_text::write(&inventory, level);
            if sorted_lines(&text).len() < 2 {
                continue;
            }
            let through = station_text::write(&read(&xml(&read(&text)?))?, level);
            prop_assert_eq!(sorted_lines(&through), sorted_lines(&text));
        }
    }

    #[test]
    fn documents_written_again_are_the_same(inventory in inventory()) {
        let text = xml(&inventory);
        let again = xml(&read(&text)?);
        prop_assert_eq!(xml(&read(&again)?), again);
    }

    #[test]
    fn events_come_back_from_every_table(events in prop::collection::vec(event(), 1..5)) {
        let metadata = GeoJsonMetadata {
            generated_at: Timestamp::from_nanos(0),
            url: String::new(),
            title: String::new(),
        };
        let rows: Vec<_> = events.iter().map(|event| (event, None)).collect();
        for (text, time_tolerance_s) in [
            (write_csv(&events), 0.0),
            (write_event_text(&events), 0.0),
            (write_geojson(&rows, &metadata), 1e-3),
            (format!("eqfeed_callback({});\n", write_geojson(&rows, &metadata)), 1e-3),
        ] {
            let parsed = read_catalogue("x", text.as_bytes());
            let parsed = parsed.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(parsed.problems, vec![]);
            prop_assert_eq!(parsed.value.len(), events.len());
            for (event, read) in events.iter().zip(&parsed.value) {
                same(event, read, time_tolerance_s)?;
            }
        }
    }

    #[test]
    fn events_come_back_from_quakeml_of_any_dress(
        event in event(),
        prefix in prop::sample::select(vec!["", "b:"]),
        gap in prop::sample::select(vec!["", "\n   "]),
        is_utf_16 in any::<bool>(),
    ) {
        let text = quakeml(&event, prefix, gap);
        let utf_16 = || format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let bytes: Vec<u8> = if is_utf_16 { utf_16() } else { text.clone().into_bytes() };
        let parsed = read_catalogue("x", &bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!((parsed.problems.len(), parsed.value.len()), (0, 1), "{}", text);
        same(&event, &parsed.value[0], 0.0)?;
    }
}
