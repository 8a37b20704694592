//! Any bytes as station CSV or FDSN text; the first byte chooses the unit of elevations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_exchange::{ElevationUnit, read_stations, station_text};

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let unit = match choice % 3 {
        0 => None,
        1 => Some(ElevationUnit::Metres),
        _ => Some(ElevationUnit::Kilometres),
    };
    let _ = read_stations(bytes, unit);
    let Ok(read) = station_text::read(bytes, unit) else { return };
    for station in &read.value.stations {
        assert!(station.latitude.is_finite() && station.longitude.is_finite(), "{station:?}");
        assert!(station.elevation_m.is_finite(), "{station:?}");
    }
    for channel in &read.value.channels {
        assert!(channel.latitude.is_finite() && channel.depth_m.is_finite(), "{channel:?}");
    }
});
