//! Tests of station text.

use super::*;

fn elevations(text: &str, unit: Option<ElevationUnit>) -> Result<Vec<f64>, ReadError> {
    let parsed = read(text.as_bytes(), unit)?;
    Ok(parsed.value.stations.iter().map(|station| station.elevation_m).collect())
}

#[test]
fn elevation_unit_comes_from_the_flag_or_the_header_and_is_never_guessed() {
    let plain = "Latitude,Longitude,Elevation,Name\n64.68,-17.13,1.381,DYJN\n";
    let error = read(plain.as_bytes(), None).unwrap_err();
    assert!(error.to_string().contains("--elevation-unit m|km"), "{error}");
    assert_eq!(elevations(plain, Some(ElevationUnit::Kilometres)), Ok(vec![1381.0]));
    assert_eq!(elevations(plain, Some(ElevationUnit::Metres)), Ok(vec![1.381]));
    for header in ["elevation_km", "Elevation (km)", "Elevation(km)", "ELEVATION/km", "elevation [km]"] {
        let text = plain.replace("Elevation", header);
        assert_eq!(elevations(&text, Some(ElevationUnit::Metres)), Ok(vec![1381.0]), "{header}");
    }
    assert_eq!(elevations(&plain.replace("Elevation", "Elevation_m"), None), Ok(vec![1.381]));
}

#[test]
fn columns_come_in_any_order_and_any_separator() {
    for separator in [",", "\t", "|", ";", ", "] {
        let text = "name,ELEV_M,lon,Net,LAT\nAAA,10,1.5,XX,2.5\r\n\n# comment\nBBB,20,361,,3\n"
            .replace(',', separator);
        let parsed = read(text.as_bytes(), None).unwrap();
        let station = &parsed.value.stations[0];
        assert_eq!((station.network.as_str(), station.station.as_str()), ("XX", "AAA"));
        assert_eq!((station.latitude, station.longitude, station.elevation_m), (2.5, 1.5, 10.0));
        assert_eq!(parsed.problems, [Problem { line: 5, reason: "3, 361 is no place on earth".into() }]);
    }
}

#[test]
fn fdsn_station_text_is_in_metres_and_far_ends_are_open() {
    let text = "#Network | Station | Latitude | Longitude | Elevation | SiteName | StartTime | EndTime\n\
                TA|A04A|48.7197|-122.707|23.0|Legoe Bay, \"Lummi\" Island|2004-09-19T00:00:00|2008-02-19T23:59:59\n\
                TA|A04D|48.7201|-122.7063|13.0|Lummi Island|2010-08-18T00:00:00|2599-12-31T23:59:59\n";
    let parsed = read(text.as_bytes(), None).unwrap();
    let [first, second] = parsed.value.stations.as_slice() else { panic!("two stations") };
    assert_eq!(first.site_name.as_deref(), Some("Legoe Bay, \"Lummi\" Island"));
    assert_eq!(first.elevation_m, 23.0);
    assert_eq!((second.start_time.is_some(), second.end_time), (true, None));
}

#[test]
fn fdsn_channel_text_gives_channels_and_their_stations() {
    let text = "#Network | Station | Location | Channel | Latitude | Longitude | Elevation | Depth | Azimuth | Dip | \
                SensorDescription | Scale | ScaleFreq | ScaleUnits |  SampleRate | StartTime | EndTime\n\
                AK|BAGL|  |LHZ|60.4896|-142.0915|1470.0|0.0|0.0|-90.0|Trillium 240|4.88E8|0.02|M/S|1.0|2013-01-01T00:00:00|2599-12-31T23:59:59\n\
                AK|BAGL|  |LHN|60.4896|-142.0915|1470.0|0.0|0.0|0.0|Trillium 240|4.88E8|0.02|M/S|1.0|2013-01-01T00:00:00|\n";
    let inventory = read(text.as_bytes(), None).unwrap().value;
    assert_eq!((inventory.stations.len(), inventory.channels.len()), (1, 2));
    assert_eq!(inventory.channels[0].source_id.as_str(), "FDSN:AK_BAGL__L_H_Z");
    assert_eq!(inventory.channels[0].dip, Some(-90.0));
    let again = read(write(&inventory, Level::Channel).as_bytes(), None).unwrap().value;
    assert_eq!(again, inventory);
}

#[test]
fn nonlinloc_stations_need_latitude_and_longitude() {
    let text =
        "#GTSRCE  label  type  lat  lon  z_srce  elev\nGTSRCE  NP_8040  LATLON  61.2  -149.9  0  0.028\n";
    assert_eq!(elevations(text, None), Ok(vec![28.0]));
    let error = read(b"GTSRCE FJS  XYZ 367.405 7650.849 0.0 2.123\n", None).unwrap_err();
    assert!(error.to_string().contains("\"XYZ\" coordinates"), "{error}");
}

#[test]
fn what_is_no_station_table_is_refused_in_one_sentence() {
    for (bytes, expected) in [
        (&b"64.68,-17.13,1.381,DYJN\n"[..], "no column for the latitude"),
        (b"", "it is empty"),
        (b"\x00\x01\x02", "it holds binary data"),
        (b"Latitude,Longitude,Elevation_m,Name\nnorth,1,2,AAA\n", "\"north\" is not a latitude"),
    ] {
        let error = read(bytes, None).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn station_text_and_back_is_the_same_inventory() {
    let text = "Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime\n\
                XX|AAA|1.5|-2.25|1000|A place|2001-02-03T04:05:06|\n";
    let inventory = read(text.as_bytes(), None).unwrap().value;
    assert_eq!(read(write(&inventory, Level::Station).as_bytes(), None).unwrap().value, inventory);
    assert!(write(&inventory, Level::Network).ends_with("XX||2001-02-03T04:05:06.000||1\n"));
}
