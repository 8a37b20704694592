//! Damaged and invented documents: read in part or refused in a sentence, never a panic. The long form of these tests
//! are the fuzz targets in `fuzz/`.

use proptest::collection::vec;
use proptest::prelude::*;
use seislake_exchange::stationxml::{self, Level};
use seislake_exchange::{ElevationUnit, catalogue_text, quakeml, read_stations, station_text};
use seislake_model::{CatalogueEvent, Timestamp};

const CHANNELS: &str = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime\n\
IU|ANMO|00|BHZ|34.9459|-106.4572|1850.0|100.0|0.0|-90.0|Streckeisen STS-1|1.98475E9|0.02|M/S|20.0|2002-11-19T21:07:00|2008-06-30T20:00:00\n";
const CSV: &str = "Latitude,Longitude,Elevation_km,Name\n64.1,-17.2,1.2,AAA\n64.2,-17.3,0.9,\"B,B\"\n";
const QUAKEML: &str = r#"<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters publicID="smi:x/e"><event publicID="smi:x/1"><preferredOriginID>smi:x/o</preferredOriginID><origin publicID="smi:x/o"><time><value>2014-08-24T10:20:44.07Z</value></time><latitude><value>38.2</value></latitude><longitude><value>-122.3</value></longitude><depth><value>11000</value></depth></origin></event></eventParameters></q:quakeml>"#;
const GEOJSON: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"nc1","properties":{"mag":6.02,"time":1408875644070},"geometry":{"type":"Point","coordinates":[-122.3,38.2,11.12]}}]}"#;
const TABLE: &str = "time,latitude,longitude,depth,mag\n2014-08-24T10:20:44.070Z,38.2,-122.3,11.12,6.02\n";

fn documents() -> Vec<Vec<u8>> {
    let inventory = read_stations(CHANNELS.as_bytes(), None).expect("the document is sound").value;
    let xml = stationxml::write(&inventory, Level::Response, Timestamp::from_nanos(0));
    [CHANNELS, CSV, QUAKEML, GEOJSON, TABLE, &xml].map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Pieces that documents are made of, and some that they should not be.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "NaN",
        "inf",
        "-1e999",
        "9999999999999999999999",
        "\0",
        "\u{FEFF}",
        "<",
        ">",
        "</",
        "/>",
        "&#0;",
        "&amp",
        "<![CDATA[",
        "<!DOCTYPE x [<!ENTITY a \"b\">]>",
        "\"",
        "'",
        "|",
        ",",
        ";",
        "\t",
        "\r",
        "\n",
        "#",
        "{",
        "}",
        "[",
        "]",
        ":",
        "null",
        "2599-12-31T23:59:59",
        "0000-00-00",
        "-9999-01-01",
        "é",
        "\u{202E}",
        "<Channel>",
        "<Station code=\"\">",
        "--",
    ];
    prop_oneof![
        proptest::sample::select(words.map(str::as_bytes).map(<[u8]>::to_vec).to_vec()),
        vec(any::<u8>(), 0..12),
    ]
}

/// A document with some pieces put in the place of others.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let cuts = vec((any::<prop::sample::Index>(), 0..20_usize, piece()), 0..6);
    (proptest::sample::select(documents()), cuts).prop_map(|(mut bytes, cuts)| {
        for (at, length, piece) in cuts {
            let begin = at.index(bytes.len() + 1);
            let end = bytes.len().min(begin + length);
            bytes.splice(begin..end, piece);
        }
        bytes
    })
}

fn sound(events: &[CatalogueEvent]) -> bool {
    events.iter().all(|event| {
        event.latitude.abs() <= 90.0
            && event.longitude.is_finite()
            && event.depth_km.is_none_or(f64::is_finite)
            && event.magnitude.is_none_or(f64::is_finite)
    })
}

fn read_everything(bytes: &[u8]) -> Result<(), TestCaseError> {
    for unit in [None, Some(ElevationUnit::Metres), Some(ElevationUnit::Kilometres)] {
        let Ok(read) = read_stations(bytes, unit) else { continue };
        for station in &read.value.stations {
            prop_assert!(station.latitude.is_finite() && station.elevation_m.is_finite(), "{station:?}");
        }
        for level in [Level::Station, Level::Channel, Level::Response] {
            let document = stationxml::write(&read.value, level, Timestamp::from_nanos(0));
            let again = stationxml::read(document.as_bytes());
            prop_assert!(again.is_ok(), "{again:?}\n{document}");
            let _ = station_text::write(&read.value, level);
        }
        for original in read.value.channels.iter().filter_map(|channel| channel.response_original.as_ref()) {
            let _ = (stationxml::response_stages(original), stationxml::sensitivity(original));
        }
    }
    for name in ["events.csv", "events.xml"] {
        if let Ok(read) = catalogue_text::read_catalogue(name, bytes) {
            prop_assert!(sound(&read.value), "{:?}", read.value);
        }
    }
    let _ = (
        quakeml::read(bytes),
        catalogue_text::read_geojson(bytes),
        catalogue_text::looks_like_catalogue(bytes),
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn damaged_documents_are_read_in_part_or_refused(bytes in damaged()) {
        read_everything(&bytes)?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        read_everything(&bytes)?;
    }
}
