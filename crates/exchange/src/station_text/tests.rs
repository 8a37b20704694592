//! Tests of station text.

use super::*;
use crate::stationxml::Level;

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
fn a_name_beside_a_code_is_that_of_the_site_and_columns_that_are_not_read_are_told() {
    let row = |header: &str| {
        let text = format!("{header},Latitude,Longitude,Elevation_m\nDYJN,Dyngjujokull,64.68,-17.13,1381\n");
        let parsed = read(text.as_bytes(), None).unwrap();
        let station = parsed.value.stations.into_iter().next().unwrap();
        let told = parsed.problems.into_iter().map(|problem| problem.reason).collect::<Vec<_>>();
        (station.station, station.site_name, told)
    };
    let site = Some("Dyngjujokull".to_owned());
    for header in ["station,Name", "code,name", "Station,Station Name", "sta,site"] {
        assert_eq!(row(header), ("DYJN".to_owned(), site.clone(), vec![]), "{header}");
    }
    let told = "the column \"code\" is not read: \"station\" is the station code".to_owned();
    assert_eq!(row("station,code"), ("DYJN".to_owned(), None, vec![told]));
    let told =
        "two columns are called \"latitude\": column 2 is the latitude, column 4 is not read".to_owned();
    let twice = read(b"station,latitude,longitude,Latitude,elev_m\nA,1,2,5,0\n", None).unwrap();
    assert_eq!(twice.problems.iter().map(|problem| &problem.reason).collect::<Vec<_>>(), [&told]);
    let text = "station,lat,latitude,lon,elev_m,elev_km,name,site\nA,1,9,2,5,9,Here,There\n";
    let parsed = read(text.as_bytes(), None).unwrap();
    assert_eq!(
        parsed.problems.iter().map(|problem| problem.reason.as_str()).collect::<Vec<_>>(),
        [
            "the column \"lat\" is not read: \"latitude\" is the latitude",
            "the column \"elev_km\" is not read: \"elev_m\" is the elevation",
            "the column \"name\" is not read: \"station\" is the station code",
        ]
    );
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
        assert_eq!(
            parsed.problems,
            [Problem { line: 5, reason: "left out: 3, 361 is no place on earth".into() }]
        );
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
    let response = inventory.channels[0].response.as_ref().unwrap();
    assert_eq!((response.sensitivity, response.sensitivity_frequency_hz), (4.88e8, 0.02));
    let written = write(&inventory, Level::Channel);
    assert!(written.contains("|Trillium 240|488000000|0.02|M/S|1|2013"), "{written}");
    let again = read(written.as_bytes(), None).unwrap().value;
    assert_eq!(again, inventory);
}

#[test]
fn a_scale_is_kept_in_its_units_and_used_where_it_is_ground_motion() {
    let rows = |scale: &str| {
        format!(
            "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Scale|ScaleFreq|ScaleUnits|SampleRate\n\
                 XX|A||HHZ|1|2|3|{scale}|100\n"
        )
    };
    let read_scale = |scale: &str| {
        let parsed = read(rows(scale).as_bytes(), None).unwrap();
        let channel = parsed.value.channels[0].clone();
        let written = write(&parsed.value, Level::Channel);
        (channel.response.map(|response| response.sensitivity), written, parsed.problems)
    };
    for (scale, sensitivity) in
        [("600000000|1|M/S", Some(6e8)), ("0.6|1|nm/s", Some(6e8)), ("-5|0|PA", None), ("1e-7|1|V", None)]
    {
        let (found, written, problems) = read_scale(scale);
        assert_eq!(found.map(f64::round), sensitivity, "{scale}");
        assert!(written.contains(&format!("|{scale}|100|")) && problems.is_empty(), "{written} {problems:?}");
    }
    for scale in ["600000000||M/S", "600000000|1|"] {
        let (found, written, problems) = read_scale(scale);
        assert!(found.is_none() && written.contains("||||100|"), "{written}");
        assert!(problems[0].reason.contains("the scale is left out"), "{problems:?}");
    }
    for scale in ["nan|1|M/S", "1e300|1|M/S", "6e8|-1|M/S", "0|1|M/S", "x|1|M/S"] {
        let error = read(rows(scale).as_bytes(), None).unwrap_err().to_string();
        assert!(error.contains("scale"), "{error}");
    }
}

#[test]
fn whole_ids_in_place_of_a_station_code_are_taken_apart() {
    let codes = |text: &str| {
        let parsed = read(text.as_bytes(), None).unwrap();
        let stations: Vec<_> =
            parsed.value.stations.iter().map(|s| format!("{}.{}", s.network, s.station)).collect();
        let channels: Vec<_> =
            parsed.value.channels.iter().map(|c| c.source_id.as_str().to_owned()).collect();
        (stations, channels)
    };
    let (stations, channels) = codes(
        "id,latitude,longitude,elevation_m\nXX.A.00.HHZ,1,2,3\nXX.A.00.HHN,1,2,3\nYY.B,1,2,3\nC,1,2,3\nZZ_D,1,2,3\n\
         FDSN:VV_E__H_H_Z,1,2,3\nXX.F..BHZ,1,2,3\n",
    );
    assert_eq!(stations, ["YY.B", ".C", "ZZ.D", "XX.A", "VV.E", "XX.F"]);
    let ids = ["FDSN:XX_A_00_H_H_Z", "FDSN:XX_A_00_H_H_N", "FDSN:VV_E__H_H_Z", "FDSN:XX_F__B_H_Z"];
    assert_eq!(channels, ids);
    let text = "network,station,latitude,longitude,elevation_m\nXX,XX.A,1,2,3\nXX,YY.A,1,2,3\nXX,a.b.c.d.e,1,2,3\nXX,.A,1,2,3\n";
    let parsed = read(text.as_bytes(), None).unwrap();
    assert_eq!((parsed.value.stations.len(), parsed.value.stations[0].station.as_str()), (1, "A"));
    assert_eq!(parsed.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(parsed.problems[0].reason.contains("\"YY.A\" and the network column, \"XX\", disagree"));
}

#[test]
fn the_last_row_of_a_station_counts_and_it_is_said() {
    let text = "Network,Station,Latitude,Longitude,Elevation_m\nXX,DUP,10,20,100\nXX,ONE,1,2,3\nXX,DUP,11,21,200\nXX,ONE,1,2,3\n";
    let parsed = read(text.as_bytes(), None).unwrap();
    let places: Vec<_> = parsed.value.stations.iter().map(|s| (s.station.as_str(), s.latitude)).collect();
    assert_eq!(places, [("DUP", 11.0), ("ONE", 1.0)]);
    assert_eq!((parsed.problems.len(), parsed.problems[0].line), (1, 4));
    assert!(parsed.problems[0].reason.contains("\"XX.DUP\" stands at line 2 too"), "{:?}", parsed.problems);
}

#[test]
fn codes_and_numbers_that_cannot_be_are_refused_with_their_line() {
    let head = "Network|Station|Location|Channel|Latitude|Longitude|Elevation_m|Depth|Azimuth|Dip|SampleRate|StartTime|EndTime\n";
    let good = "XX|GOOD||HHZ|1|2|3|0|0|-90|100|0001-01-01T00:00:00|9999-12-31T23:59:59\n";
    for row in [
        "XX|S A||HHZ|1|2|3|0|0|0|100||",
        "XX|STÄ||HHZ|1|2|3|0|0|0|100||",
        "XX|A\u{7}||HHZ|1|2|3|0|0|0|100||",
        "X/|A||HHZ|1|2|3|0|0|0|100||",
        "XX|A|0 0|HHZ|1|2|3|0|0|0|100||",
        "XX|A||H/Z|1|2|3|0|0|0|100||",
        "XX|..||HHZ|1|2|3|0|0|0|100||",
        "XX|ABCDEFGHIJ||HHZ|1|2|3|0|0|0|100||",
        "XX|A||HHZ|91|2|3|0|0|0|100||",
        "XX|A||HHZ|nan|2|3|0|0|0|100||",
        "XX|A||HHZ|1|361|3|0|0|0|100||",
        "XX|A||HHZ|1|2|inf|0|0|0|100||",
        "XX|A||HHZ|1|2|3|NaN|0|0|100||",
        "XX|A||HHZ|1|2|3|0|999|0|100||",
        "XX|A||HHZ|1|2|3|0|0|inf|100||",
        "XX|A||HHZ|1|2|3|0|0|0|-1||",
        "XX|A||HHZ|1|2|3|0|0|0|1e300||",
        "XX|A||HHZ|1|2|3|0|0|0|100|yesterday|",
        "XX|A||HHZ|1|2|3|0|0|0|100|2020-01-01|2019-01-01",
    ] {
        let parsed = read(format!("{head}{row}\n{good}").as_bytes(), None).unwrap();
        assert_eq!((parsed.value.stations.len(), parsed.value.channels.len()), (1, 1), "{row}");
        assert_eq!((parsed.value.channels[0].start_time, parsed.value.channels[0].end_time), (None, None));
        assert_eq!(parsed.problems.len(), 1, "{row}: {:?}", parsed.problems);
        assert_eq!(parsed.problems[0].line, 2, "{row}");
        assert!(!parsed.problems[0].reason.contains(|c: char| c.is_control()), "{:?}", parsed.problems);
    }
}

#[test]
fn tables_of_all_habits_are_read() {
    for text in [
        "Network,Station,Latitude,Longitude,Elevation_m\rXX,A,10.5,20.5,1200\rXX,B,-10.25,-20.75,-300\r",
        "# my list, of 2024\n# made by hand\nNetwork,Station,Latitude,Longitude,Elevation_m\nXX,A,10.5,20.5,1200\nXX,B,-10.25,-20.75,-300\n",
        "Network;Station;Latitude;Longitude;Elevation_m\nXX;A;10,5;20,5;1200\nXX;B;-10,25;-20,75;-300\n",
        "\u{FEFF}\n\n#Network|Station|Latitude|Longitude|Elevation|SiteName\n\nXX|A|10.5|20.5|1200|\nXX|B|-10.25|-20.75|-300|\n",
    ] {
        let utf_16: Vec<u8> = format!("\u{FEFF}{}", text.trim_start_matches('\u{FEFF}'))
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [text.as_bytes(), &utf_16] {
            let parsed = read(bytes, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            let places: Vec<_> =
                parsed.value.stations.iter().map(|s| (s.latitude, s.longitude, s.elevation_m)).collect();
            assert_eq!(places, [(10.5, 20.5, 1200.0), (-10.25, -20.75, -300.0)], "{text}");
        }
    }
}

#[test]
fn nonlinloc_stations_need_latitude_and_longitude() {
    let text =
        "#GTSRCE  label  type  lat  lon  z_srce  elev\nGTSRCE  NP_8040  LATLON  61.2  -149.9  0  0.028\n";
    assert_eq!(elevations(text, None), Ok(vec![28.0]));
    assert_eq!(read(text.as_bytes(), None).unwrap().value.stations[0].network, "NP");
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

#[test]
fn no_control_characters_are_written() {
    let text = "Network|Station|Latitude|Longitude|Elevation|SiteName\nXX|AAA|1.5|-2.25|1000|A place\n";
    let mut inventory = read(text.as_bytes(), None).unwrap().value;
    inventory.stations[0].site_name = Some("a\u{1b}[31mb\u{9b}c\u{7f}|\nd".to_owned());
    let written = write(&inventory, Level::Station);
    assert!(written.contains("|a [31mb c   d|"), "{written:?}");
}

#[test]
fn a_station_that_only_its_channels_name_stands_on_the_ground_above_them() {
    let text = "#Network | Station | Location | Channel | Latitude | Longitude | Elevation | Depth\n\
                IU|ANMO|00|BHZ|34.9|-106.5|1671.0|145.0\n";
    let inventory = read(text.as_bytes(), None).unwrap().value;
    assert_eq!((inventory.stations[0].elevation_m, inventory.channels[0].elevation_m), (1816.0, 1671.0));
}
