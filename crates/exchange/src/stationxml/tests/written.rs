//! Documents that are written: valid, and with everything that was read.

use super::*;

#[test]
fn a_document_that_is_written_is_valid_where_the_one_that_was_read_was_not() {
    let text = CHANNEL
        .replace("endDate=\"2599-12-31T23:59:59\"", "endDate=\"2016-12-31T23:59:60\"")
        .replace("startDate=\"2001-01-01T00:00:00\"", "startDate=\"2000-12-31T24:00:00\"")
        .replace("<x:Depth>5</x:Depth>", "<x:Comment/><x:Depth unit=\"km\">0.25</x:Depth>");
    let parsed = read(text.as_bytes()).unwrap();
    assert_eq!(parsed.problems, []);
    let channel = &parsed.value.channels[0];
    assert_eq!((channel.elevation_m, channel.depth_m), (-150.0, 250.0));
    let written = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
    for expected in
        ["startDate=\"2001-01-01T00:00:00", "endDate=\"2017-01-01T00:00:00", "<Elevation>-150</Elevation>"]
    {
        assert!(written.contains(expected), "{expected} is not in {written}");
    }
    let order = [
        "<Comment",
        "<Latitude>1.5<",
        "<Longitude>2.5<",
        "<Elevation>-150<",
        "<Depth unit=\"METERS\">250<",
        "<SampleRate>20<",
    ];
    let of_channel = written.split("<Channel").nth(1).unwrap();
    let places: Vec<usize> = order.iter().map(|part| of_channel.find(part).unwrap()).collect();
    assert!(places.is_sorted(), "{of_channel}");
    assert_eq!(read(written.as_bytes()).unwrap().value.channels, parsed.value.channels);
}

#[test]
fn lengths_are_brought_to_metres_and_unknown_units_are_refused_by_name() {
    for (unit, expected) in [("m", 3.0), ("METERS", 3.0), ("KILOMETERS", 3000.0), ("feet", 0.9144), ("", 3.0)]
    {
        let text = CHANNEL.replace("<x:Elevation>100<", &format!("<x:Elevation unit=\"{unit}\">3<"));
        let parsed = read(text.as_bytes()).unwrap();
        assert_eq!(parsed.problems, []);
        assert!((parsed.value.stations[0].elevation_m - expected).abs() < 1e-9, "{unit}");
    }
    for (element, unit) in [("Elevation", "fathoms"), ("Latitude", "radians"), ("SampleRate", "1/min")] {
        let text = CHANNEL.replacen(&format!("<x:{element}>"), &format!("<x:{element} unit=\"{unit}\">"), 1);
        let parsed = read(text.as_bytes()).unwrap();
        let told: Vec<&str> = parsed.problems.iter().map(|problem| problem.reason.as_str()).collect();
        let sentence = format!("<{element}> is in \"{unit}\", a unit that is not known");
        assert!(told.iter().any(|reason| reason.contains(&sentence)), "{told:?}");
    }
}

#[test]
fn what_is_not_understood_is_written_as_it_was() {
    let inventory = read(FOREIGN.as_bytes()).unwrap().value;
    assert_eq!(inventory.channels[0].response, None, "pressure is no ground motion");
    let text = flat(&write(&inventory, Level::Response, Timestamp::from_nanos(0)));
    for kept in [
        r#"<Network xmlns:a="urn:agency" code="XX" startDate="2000-01-01T00:00:00Z" restrictedStatus="open" a:owner="me &amp; you">"#,
        r#"<Identifier type="DOI">10.1/XX</Identifier><a:grade xmlns:a="urn:agency">7</a:grade><Station "#,
        r#"restrictedStatus="closed"><Comment id="1"><Value>moved twice</Value></Comment>"#,
        r#"<z:box xmlns:z="urn:z" z:size="3">text<z:lid xmlns:z="urn:z"></z:lid></z:box>"#,
        r#"<Latitude unit="DEGREES" plusError="0.1">1.5</Latitude>"#,
        "<Town>There</Town></Site><Vault>deep</Vault><Channel ",
        r#"<Sensor resourceId="s/1"><Manufacturer>M</Manufacturer><SerialNumber>42</SerialNumber></Sensor><Response>"#,
        r#"<NumeratorCoefficient i="1">0.5</NumeratorCoefficient></FIR><StageGain>"#,
    ] {
        assert!(text.contains(kept), "{kept}\nin {text}");
    }
    assert!(!text.contains("SelectedNumberStations"), "a count of another request");
    let again = read(text.as_bytes()).unwrap().value;
    assert_eq!(flat(&write(&again, Level::Response, Timestamp::from_nanos(0))), text);
}

#[test]
fn levels_leave_out_what_lies_below() {
    let inventory = read(FOREIGN.as_bytes()).unwrap().value;
    let text = |level| flat(&write(&inventory, level, Timestamp::from_nanos(0)));
    let network = text(Level::Network);
    assert!(network.contains("<a:grade") && !network.contains("<Station "), "{network}");
    let station = text(Level::Station);
    assert!(station.contains("<Vault>deep</Vault>") && !station.contains("<Channel "), "{station}");
    let channel = text(Level::Channel);
    assert!(channel.contains("<Value>4000</Value>") && !channel.contains("<Stage "), "{channel}");
}

#[test]
fn availability_stands_between_the_comments_and_the_place() {
    let start = Timestamp::from_nanos(0);
    let held = move |_: &Channel| Some((start, start.add_seconds(1.0)));
    let with = Document { level: Level::Channel, created_at: start, availability: Some(&held) };
    let generated = Inventory {
        channels: vec![Channel {
            original: None,
            response_original: None,
            ..read(FOREIGN.as_bytes()).unwrap().value.channels.remove(0)
        }],
        stations: vec![],
    };
    for inventory in [read(FOREIGN.as_bytes()).unwrap().value, generated] {
        let text = flat(&write_document(&inventory, &with));
        let expected = r#"<Channel code="BDF" locationCode="00"><DataAvailability><Extent start="1970-01-01T00:00:00.000Z" end="1970-01-01T00:00:01.000Z"/></DataAvailability><Latitude>"#;
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_begin_that_the_document_did_not_say_is_added_where_it_is_known() {
    let mut inventory = read(FOREIGN.as_bytes()).unwrap().value;
    inventory.channels[0].start_time = Some(Timestamp::from_nanos(0));
    let text = flat(&write(&inventory, Level::Channel, Timestamp::from_nanos(0)));
    let expected = r#"<Channel code="BDF" locationCode="00" startDate="1970-01-01T00:00:00.000Z">"#;
    assert!(text.contains(expected), "{text}");
}

/// IU.ANMO, whose ground is 1820 m high: ObsPy 1.5 reads the channel with elevation 1671 m ("elevation of the sensor") and
/// depth 145 m.
#[test]
fn elevations_of_channels_are_those_of_their_sensors_and_of_stations_those_of_the_ground() {
    let document = |station: &str, elevation: &str| {
        format!(
            "<FDSNStationXML><Network code=\"IU\"><Station code=\"ANMO\">{station}<Channel code=\"BHZ\" locationCode=\"00\">\
             <Latitude>34.9</Latitude><Longitude>-106.5</Longitude>{elevation}<Depth>145</Depth></Channel></Station></Network>\
             </FDSNStationXML>"
        )
    };
    let of_station = "<Latitude>34.9</Latitude><Longitude>-106.5</Longitude><Elevation>1820</Elevation>";
    let of_channel = "<Elevation>1671</Elevation>";
    let read = |station: &str, channel: &str| {
        let inventory = read(document(station, channel).as_bytes()).unwrap().value;
        (inventory.stations[0].elevation_m, inventory.channels[0].elevation_m)
    };
    assert_eq!(read(of_station, of_channel), (1820.0, 1671.0));
    assert_eq!(read(of_station, ""), (1820.0, 1675.0), "145 m below the ground");
}

/// ObsPy 1.5 refuses a whole document for one longitude beyond 180 or one azimuth outside of 0 to 360; the schema wants
/// azimuths below 360 and dates with month and day.
#[test]
fn what_the_schema_does_not_allow_is_written_as_it_wants_it() {
    let document = |longitude: &str, azimuth: &str, date: &str| {
        format!(
            "<FDSNStationXML><Network code=\"XX\" startDate=\"{date}\"><Station code=\"A\" startDate=\"{date}\"><Latitude>1</Latitude>\
             <Longitude unit=\"DEGREES\">{longitude}</Longitude><Elevation>3</Elevation><Channel code=\"BHZ\" locationCode=\"\" \
             startDate=\"{date}\" endDate=\"2599-365T23:59:59\"><Latitude>1</Latitude><Longitude>{longitude}</Longitude>\
             <Elevation>3</Elevation><Depth>0</Depth><Azimuth plusError=\"2\">{azimuth}</Azimuth><Dip>0</Dip></Channel></Station>\
             </Network></FDSNStationXML>"
        )
    };
    for (longitude, azimuth, date, written) in [
        ("237.5", "-90", "2020-001T00:00:00", ["-122.5", "270", "2020-01-01T00:00:00.000Z"]),
        ("-190", "360", "2020-01-01", ["170", "0", "2020-01-01T00:00:00.000Z"]),
        ("360", "-360.0", "20200101T000000", ["0", "0", "2020-01-01T00:00:00.000Z"]),
        // What is allowed stays as it was written.
        ("180.0", "-0.0", "2020-01-01T00:00:00", ["180.0", "-0.0", "2020-01-01T00:00:00"]),
        ("1e1", "359.50", "2020-01-01T00:00:00.5+08:00", ["1e1", "359.50", "2020-01-01T00:00:00.5+08:00"]),
    ] {
        let parsed = read(document(longitude, azimuth, date).as_bytes()).unwrap();
        assert_eq!(parsed.problems, []);
        let text = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
        let [longitude, azimuth, date] = written;
        for (part, count) in [
            (format!("<Longitude unit=\"DEGREES\">{longitude}</Longitude>"), 1),
            (format!("<Longitude>{longitude}</Longitude>"), 1),
            (format!("<Azimuth plusError=\"2\">{azimuth}</Azimuth>"), 1),
            (format!(" startDate=\"{date}\""), 3),
            (" endDate=\"2599-12-31T23:59:59.000Z\"".to_owned(), 1),
        ] {
            assert_eq!(text.matches(&part).count(), count, "{part} in {text}");
        }
        // The same of what has no original.
        let mut bare = parsed.value;
        bare.stations.iter_mut().for_each(|station| station.original = None);
        bare.channels.iter_mut().for_each(|channel| channel.original = None);
        let text = write(&bare, Level::Response, Timestamp::from_nanos(0));
        let numbers: Vec<f64> = ["Longitude", "Azimuth"]
            .iter()
            .map(|name| {
                let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
                rest.split_once('<').unwrap().0.parse().unwrap()
            })
            .collect();
        assert!((-180.0..=180.0).contains(&numbers[0]) && (0.0..360.0).contains(&numbers[1]), "{text}");
    }
}
