//! Any bytes as StationXML: what is read can be written and read again, and its parts are understood or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_exchange::stationxml::{self, Level};
use seislake_exchange::{read_stations, station_text};
use seislake_model::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = stationxml::read(bytes) else { return };
    for problem in &read.problems {
        assert!(!problem.reason.is_empty());
    }
    for channel in &read.value.channels {
        if let Some(original) = &channel.response_original {
            let _ = stationxml::response_stages(original);
            let _ = stationxml::sensitivity(original);
        }
        let _ = channel.original.as_deref().map(stationxml::restricted_status);
    }
    for station in &read.value.stations {
        let _ = station.network_original.as_deref().map(stationxml::network_summary);
    }
    let count = (read.value.stations.len(), read.value.channels.len());
    for level in [Level::Network, Level::Station, Level::Channel, Level::Response] {
        let document = stationxml::write(&read.value, level, Timestamp::from_nanos(0));
        let again = stationxml::read(document.as_bytes());
        assert!(again.is_ok(), "{again:?}\n{document}");
        if let (Level::Response, Ok(again)) = (level, again) {
            // A channel whose station could not be read gets one to stand in.
            assert!(again.value.stations.len() >= count.0, "{document}");
            assert_eq!(again.value.channels.len(), count.1, "{document}");
        }
        let _ = station_text::write(&read.value, level);
    }
    let _ = read_stations(bytes, None);
});
