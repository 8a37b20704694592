//! Real documents of many agencies: each is read, or refused in one sentence.
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]

mod damage;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use seislake_exchange::{ElevationUnit, read_catalogue, read_stations, station_text, stationxml};
use seislake_model::InputUnit;

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_xml_document_is_read_or_refused_in_one_sentence() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let mut station_count = 0;
    for path in files(&folder, ".xml") {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.display();
        if bytes.windows(14).take(2000).any(|window| window == b"FDSNStationXML") {
            let parsed = read_stations(&bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            station_count += parsed.value.stations.len();
            let text = stationxml::write(
                &parsed.value,
                stationxml::Level::Response,
                seislake_model::Timestamp::from_nanos(0),
            );
            let again = stationxml::read(text.as_bytes()).unwrap().value;
            assert_eq!(again.channels.len(), parsed.value.channels.len(), "{name}");
        } else if let Err(error) = read_catalogue("x", &bytes) {
            assert!(!error.to_string().contains('\n'), "{name}: {error}");
        }
    }
    assert!(station_count > 30, "{station_count}");
}

/// Values as the file states them.
#[test]
fn response_of_anmo_is_that_of_the_file() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let bytes = std::fs::read(folder.join("metadata/stationxml/IU_ANMO_00_BHZ.xml")).unwrap();
    let inventory = stationxml::read(&bytes).unwrap().value;
    let response = inventory.channels[0].response.as_ref().unwrap();
    assert_eq!(response.input_unit, InputUnit::Velocity);
    assert_eq!((response.sensitivity, response.sensitivity_frequency_hz), (3.275_08e9, 0.02));
    let stage = response.poles_zeros.as_ref().unwrap();
    assert_eq!((stage.poles.len(), stage.zeros.len()), (5, 2));
}

#[test]
fn station_texts_of_agencies_are_read() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let read = |path: &str, unit| {
        let bytes = std::fs::read(folder.join(path)).unwrap();
        station_text::read(&bytes, unit).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let iceland = read("cases/iceland-dike-20140824/iceland_stations.txt", Some(ElevationUnit::Kilometres));
    assert_eq!((iceland.value.stations.len(), iceland.problems.len()), (12, 0));
    assert_eq!(iceland.value.stations[0].elevation_m, 1381.0);
    let stations = read("fdsnws/station-text/station_level_fdsn.txt", None);
    assert!(stations.value.stations.len() == 3 && stations.problems.is_empty());
    let channels = read("fdsnws/station-text/channel_level_fdsn.txt", None);
    assert!(channels.value.channels.len() == 6 && channels.problems.is_empty());
    read("location/nlloc-alaska/obs/station_coordinates.txt", None);
}

#[test]
fn catalogues_of_agencies_are_read() {
    let Some(folder) = seislake_recordings::folder() else { return };
    for (path, least_count, problem_count) in [
        ("cases/TRUTH.tsv", 15, Some(2)),
        ("cases/ridgecrest-m71-20190706/catalog.csv", 100, Some(0)),
        ("cases/ridgecrest-m71-20190706/event.json", 1, Some(0)),
        ("fdsnws/usgs-geojson/all_week.geojson", 100, None),
        ("fdsnws/seiscomp/results/event-1.txt", 2, Some(0)),
        ("cases/antilles-20100421/cdsa20100421051050GL.xml", 1, Some(0)),
        ("catalog/quakeml/neries_events.xml", 3, Some(0)),
        ("catalog/quakeml/iris_events.xml", 2, Some(0)),
        ("catalog/nlloc/nlloc.qml", 1, Some(0)),
    ] {
        let bytes = std::fs::read(folder.join(path)).unwrap();
        let parsed = read_catalogue(path, &bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(parsed.value.len() >= least_count, "{path}: {}", parsed.value.len());
        if let Some(problem_count) = problem_count {
            assert_eq!(parsed.problems.len(), problem_count, "{path}: {:?}", parsed.problems.first());
        }
    }
}

/// Seeds of every format; see [`damaged_documents_never_panic`].
const SEEDS: [&str; 5] = [
    "<FDSNStationXML><Network code='A'><Station code='B'><Latitude>1</Latitude><Longitude>2</Longitude>\
     <Channel code='BHZ'><Response><InstrumentSensitivity><Value>1</Value></InstrumentSensitivity></Response>\
     </Channel></Station></Network></FDSNStationXML>",
    "<quakeml><eventParameters><event publicID='a'><origin><time><value>2020-01-01T00:00:00</value></time>\
     <latitude><value>1</value></latitude><longitude><value>2</value></longitude></origin></event>\
     </eventParameters></quakeml>",
    "{\"type\":\"Feature\",\"properties\":{\"time\":1},\"geometry\":{\"coordinates\":[1,2,3]}}",
    "time,lat,lon,\"depth\"\n2020-01-01,1,2,3\n# comment\n\n2020-01-01,1,2,\"3\"\n",
    "Name|Latitude|Longitude|Elevation_m\nA|1|2|3\n",
];

proptest! {
    #[test]
    fn damaged_documents_never_panic(
        seed in 0..SEEDS.len(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (place, byte) in hits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        for error in [
            read_stations(&bytes, Some(ElevationUnit::Metres)).err(),
            read_catalogue("x", &bytes).err(),
        ].into_iter().flatten() {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
