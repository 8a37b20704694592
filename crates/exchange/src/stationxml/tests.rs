//! Tests of StationXML.

use std::f64::consts::TAU;

use super::*;

const CHANNEL: &str = r#"<?xml version="1.0"?>
<x:FDSNStationXML xmlns:x="http://www.fdsn.org/xml/station/1" schemaVersion="1.1">
 <x:Network code="XX"><x:Station code="AAA" startDate="2001-01-01T00:00:00" endDate="2599-12-31T23:59:59">
  <x:Latitude>1.5</x:Latitude><x:Longitude>2.5</x:Longitude><x:Elevation>100</x:Elevation>
  <x:Site><x:Name>A &amp; B &#233;</x:Name></x:Site>
  <x:Channel code="BHZ" locationCode="00"><x:Depth>5</x:Depth><x:SampleRate>20</x:SampleRate>
   <x:Response>
    <x:InstrumentSensitivity><x:Value>2</x:Value><x:Frequency>1</x:Frequency>
     <x:InputUnits><x:Name>NM/S</x:Name></x:InputUnits><x:OutputUnits><x:Name>COUNTS</x:Name></x:OutputUnits>
    </x:InstrumentSensitivity>
    <x:Stage number="1"><x:PolesZeros><x:PzTransferFunctionType>LAPLACE (HERTZ)</x:PzTransferFunctionType>
     <x:NormalizationFactor>1</x:NormalizationFactor>
     <x:Zero number="0"><x:Real>0</x:Real><x:Imaginary>0</x:Imaginary></x:Zero>
     <x:Pole number="1"><x:Real>-0.01</x:Real><x:Imaginary>0</x:Imaginary></x:Pole>
    </x:PolesZeros></x:Stage>
   </x:Response>
  </x:Channel></x:Station></x:Network>
</x:FDSNStationXML>"#;

#[test]
fn reads_any_prefix_hertz_and_nanometres() {
    let parsed = read(CHANNEL.as_bytes()).unwrap();
    assert_eq!(parsed.problems, []);
    let station = &parsed.value.stations[0];
    assert_eq!((station.site_name.as_deref(), station.end_time), (Some("A & B é"), None));
    let channel = &parsed.value.channels[0];
    assert_eq!((channel.latitude, channel.elevation_m, channel.depth_m), (1.5, 95.0, 5.0));
    let response = channel.response.as_ref().unwrap();
    assert_eq!((response.sensitivity, response.input_unit), (2e9, InputUnit::Velocity));
    let stage = response.poles_zeros.as_ref().unwrap();
    assert!((stage.poles[0].0 + 0.01 * TAU).abs() < 1e-12);
    assert!((stage.normalization_factor - 1.0).abs() < 1e-3);
}

#[test]
fn written_documents_read_back_the_same() {
    let inventory = read(CHANNEL.as_bytes()).unwrap().value;
    let text = write(&inventory, Level::Response, Timestamp::from_nanos(0));
    assert_eq!(read(text.as_bytes()).unwrap(), Parsed { value: inventory.clone(), problems: vec![] });
    let stations =
        read(write(&inventory, Level::Station, Timestamp::from_nanos(0)).as_bytes()).unwrap().value;
    assert_eq!((stations.stations.len(), stations.channels.len()), (1, 0));
}

#[test]
fn of_what_is_stated_twice_the_first_holds_and_the_second_is_told() {
    let response = CHANNEL.split("<x:Response>").nth(1).unwrap().split("</x:Response>").next().unwrap();
    let second = format!(
        "</x:Response><x:Azimuth>7</x:Azimuth><x:SampleRate>40</x:SampleRate><x:Response>{response}</x:Response>"
    );
    let first_is_bad = second.replace("<x:Value>2<", "<x:Value>3<");
    let text = CHANNEL.replacen("</x:Response>", &first_is_bad, 1).replacen(
        "<x:Site>",
        "<x:Elevation>7</x:Elevation><x:Site>",
        1,
    );
    let parsed = read(text.as_bytes()).unwrap();
    let told: Vec<_> = parsed.problems.iter().map(|problem| problem.reason.as_str()).collect();
    assert_eq!(
        told,
        [
            "station \"AAA\": <Elevation> is stated before; the first one holds",
            "channel \"BHZ\": <SampleRate> is stated before; the first one holds",
            "channel \"BHZ\": <Response> is stated before; the first one holds"
        ]
    );
    let channel = &parsed.value.channels[0];
    assert_eq!((channel.sample_rate_hz, channel.azimuth), (Some(20.0), Some(7.0)));
    assert_eq!(channel.response.as_ref().unwrap().sensitivity, 2e9);
    // What is written is read without problems, and is the same.
    let written = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
    assert_eq!(read(written.as_bytes()).unwrap(), Parsed { value: parsed.value, problems: vec![] });
    // A first one that is no response at all is not replaced by the second: the channel is refused.
    let text = CHANNEL.replacen("<x:Value>2<", "<x:Value>two<", 1).replacen("</x:Response>", &second, 1);
    let parsed = read(text.as_bytes()).unwrap();
    assert!(parsed.value.channels.is_empty(), "{:?}", parsed.value);
    assert!(
        parsed.problems.iter().any(|problem| problem.reason.contains("left out")),
        "{:?}",
        parsed.problems
    );
}

#[test]
fn elements_and_attributes_of_other_namespaces_do_not_take_the_place_of_ours() {
    let text = CHANNEL
        .replacen("<x:Latitude>", "<o:Latitude xmlns:o=\"urn:o\">9</o:Latitude><x:Latitude>", 1)
        .replacen("<x:Response>", "<o:Response xmlns:o=\"urn:o\">junk</o:Response><x:Response>", 1)
        .replacen("code=\"AAA\"", "xmlns:o=\"urn:o\" o:code=\"BBB\" code=\"AAA\"", 1);
    let parsed = read(text.as_bytes()).unwrap();
    assert_eq!(parsed.problems, []);
    assert_eq!((parsed.value.stations[0].station.as_str(), parsed.value.stations[0].latitude), ("AAA", 1.5));
    assert_eq!(parsed.value.channels[0].response.as_ref().unwrap().sensitivity, 2e9);
    let written = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
    assert_eq!(read(written.as_bytes()).unwrap().value, parsed.value);
}

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
fn stations_and_networks_of_other_namespaces_are_none() {
    let foreign = "<f:Station xmlns:f=\"urn:f\" code=\"S9\"><x:Latitude>1</x:Latitude><x:Longitude>2</x:Longitude>\
        <x:Elevation>3</x:Elevation><x:Channel code=\"HHZ\" locationCode=\"\"><x:Depth>0</x:Depth></x:Channel></f:Station>";
    let network = format!(
        "<f:Network xmlns:f=\"urn:f\" code=\"E3\">{}</f:Network>",
        foreign.replace("f:Station", "x:Station")
    );
    for text in [
        CHANNEL.replacen("<x:Station ", &format!("{foreign}<x:Station "), 1),
        CHANNEL.replacen("</x:Network>", &format!("{foreign}</x:Network>"), 1),
        CHANNEL.replacen("<x:Network ", &format!("{network}<x:Network "), 1),
    ] {
        let parsed = read(text.as_bytes()).unwrap();
        assert_eq!(parsed.problems, []);
        let codes: Vec<_> = parsed.value.stations.iter().map(|station| station.station.as_str()).collect();
        assert_eq!((codes, parsed.value.channels.len()), (vec!["AAA"], 1));
    }
}

#[test]
fn what_is_closed_stays_closed_when_it_is_written_and_what_is_open_open() {
    let station = |code: &str, status: &str| {
        format!(
            "<Station code=\"{code}\"{status}><Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation></Station>"
        )
    };
    let closed = " restrictedStatus=\"closed\"";
    let heads = |long_first: bool| {
        let words = "<Description>more words than the other head has</Description>";
        let (one, other) = if long_first { (words, "") } else { ("", words) };
        format!(
            "<FDSNStationXML><Network code=\"SY\"{closed}>{one}{}{}</Network><Network code=\"SY\">{other}{}{}</Network></FDSNStationXML>",
            station("D001", ""),
            station("D002", " restrictedStatus=\"open\""),
            station("D003", ""),
            station("D004", closed),
        )
    };
    let effective = |inventory: &Inventory| -> Vec<(String, bool)> {
        let closed = |original: &Option<Arc<str>>| {
            original.as_deref().and_then(restricted_status) == Some(RestrictedStatus::Closed)
        };
        let mut stations: Vec<_> = inventory
            .stations
            .iter()
            .map(|station| {
                (station.station.clone(), closed(&station.network_original) || closed(&station.original))
            })
            .collect();
        stations.sort();
        stations
    };
    for long_first in [true, false] {
        let read_first = read(heads(long_first).as_bytes()).unwrap().value;
        let before = effective(&read_first);
        assert_eq!(before.iter().map(|(_, closed)| *closed).collect::<Vec<_>>(), [true, true, false, true]);
        let written = write(&read_first, Level::Response, Timestamp::from_nanos(0));
        let again = read(written.as_bytes()).unwrap().value;
        assert_eq!(effective(&again), before, "{written}");
        // Under a network that is open in part, what says nothing would be left to its channels.
        let d003 = again.stations.iter().find(|station| station.station == "D003").unwrap();
        assert_eq!(d003.original.as_deref().and_then(restricted_status), Some(RestrictedStatus::Open));
    }
}

#[test]
fn of_two_equal_epochs_the_stricter_status_holds_and_is_told() {
    let with = |status: &str| {
        CHANNEL.replace("<x:Station code", &format!("<x:Station restrictedStatus=\"{status}\" code"))
    };
    let inner = |text: &str| {
        text.split("<x:Network code=\"XX\">").nth(1).unwrap().split("</x:Network>").next().unwrap().to_owned()
    };
    for (first, second, told) in
        [("closed", "open", true), ("open", "closed", false), ("partial", "open", true)]
    {
        let joined =
            with(first).replacen("</x:Network>", &format!("{}</x:Network>", inner(&with(second))), 1);
        let parsed = read(joined.as_bytes()).unwrap();
        assert_eq!(parsed.value.stations.len(), 1);
        let status = parsed.value.stations[0].original.as_deref().and_then(restricted_status);
        let stricter = if first == "open" { second } else { first };
        assert_eq!(status.map(RestrictedStatus::as_str), Some(stricter));
        let is_told =
            parsed.problems.iter().any(|problem| problem.reason.contains("fewer may have its data"));
        assert_eq!(is_told, told, "{:?}", parsed.problems);
    }
}

#[test]
fn another_namespace_says_nothing_about_ours() {
    let text = CHANNEL
        .replacen(" endDate=", " xmlns:o=\"urn:o\" o:restrictedStatus=\"closed\" o:endDate=", 1)
        .replacen("<x:Depth>", "<o:Latitude xmlns:o=\"urn:o\">12</o:Latitude><x:Depth>", 1);
    let parsed = read(text.as_bytes()).unwrap();
    let (station, channel) = (&parsed.value.stations[0], &parsed.value.channels[0]);
    assert_eq!((station.end_time, channel.latitude), (None, 1.5));
    assert_eq!(station.original.as_deref().and_then(restricted_status), None);
}

#[test]
fn broken_documents_are_refused_with_their_position() {
    for (text, expected) in [
        (CHANNEL.replace("</x:Depth>", "</x:Dept>"), "line 6, column"),
        (CHANNEL.get(..500).unwrap().to_owned(), "broken StationXML at line"),
        (CHANNEL.replace("&amp;", "&nbsp;"), "an entity that XML does not predefine"),
        ("<html></html>".to_owned(), "not StationXML: the root element is <html>"),
        ("<".repeat(3), "broken StationXML"),
        (format!("<FDSNStationXML>{}", "<a>".repeat(100)), "nested too deeply"),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn channels_without_a_place_are_problems() {
    let text = CHANNEL.replace("<x:Latitude>1.5</x:Latitude>", "");
    let parsed = read(text.as_bytes()).unwrap();
    assert_eq!((parsed.value.stations.len(), parsed.value.channels.len()), (0, 0));
    assert_eq!(parsed.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 6]);
}

#[test]
fn pressure_has_no_response_of_ground_motion() {
    let channels = read(CHANNEL.replace("NM/S", "PA").as_bytes()).unwrap().value.channels;
    assert_eq!(channels[0].response, None);
}

const FOREIGN: &str = r#"<?xml version="1.0"?>
<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" xmlns:a="urn:agency" schemaVersion="1.2">
 <Source>someone</Source><Created>2020-01-01T00:00:00Z</Created>
 <Network code="XX" startDate="2000-01-01T00:00:00Z" restrictedStatus="open" a:owner="me &amp; you">
  <Description>A network</Description><Identifier type="DOI">10.1/XX</Identifier><a:grade>7</a:grade>
  <SelectedNumberStations>1</SelectedNumberStations>
  <Station code="AAA" startDate="2001-01-01T00:00:00Z" restrictedStatus="closed">
   <Comment id="1"><Value>moved twice</Value></Comment>
   <z:box xmlns:z="urn:z" z:size="3"><z:lid/>text</z:box>
   <Latitude unit="DEGREES" plusError="0.1">1.5</Latitude><Longitude>2.5</Longitude><Elevation>100</Elevation>
   <Site><Name>Here</Name><Town>There</Town></Site><Vault>deep</Vault>
   <Channel code="BDF" locationCode="00"><Latitude>1.5</Latitude><Longitude>2.5</Longitude><Elevation>100</Elevation>
    <Depth>5</Depth><Azimuth>0</Azimuth><Dip>0</Dip><SampleRate>20</SampleRate>
    <Sensor resourceId="s/1"><Manufacturer>M</Manufacturer><SerialNumber>42</SerialNumber></Sensor>
    <Response><InstrumentSensitivity><Value>4000</Value><Frequency>5</Frequency>
      <InputUnits><Name>PA</Name></InputUnits><OutputUnits><Name>COUNTS</Name></OutputUnits></InstrumentSensitivity>
     <Stage number="1"><FIR><InputUnits><Name>PA</Name></InputUnits><OutputUnits><Name>COUNTS</Name></OutputUnits>
      <Symmetry>NONE</Symmetry><NumeratorCoefficient i="1">0.5</NumeratorCoefficient></FIR>
      <StageGain><Value>4000</Value><Frequency>5</Frequency></StageGain></Stage></Response>
   </Channel></Station></Network>
</FDSNStationXML>"#;

/// Text without the white space between elements.
fn flat(xml: &str) -> String {
    xml.lines().map(str::trim).collect()
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

#[test]
fn originals_tell_restriction_summary_and_sensitivity() {
    let inventory = read(FOREIGN.as_bytes()).unwrap().value;
    let station = &inventory.stations[0];
    assert_eq!(restricted_status(station.original.as_ref().unwrap()), Some(RestrictedStatus::Closed));
    let network = station.network_original.as_ref().unwrap();
    let open = Some(RestrictedStatus::Open);
    assert_eq!((restricted_status(network), restricted_status("not XML")), (open, None));
    let summary = network_summary(network);
    assert_eq!(summary.description.as_deref(), Some("A network"));
    assert_eq!(summary.start_time, Some("2000-01-01".parse().unwrap()));
    let total = sensitivity(inventory.channels[0].response_original.as_ref().unwrap()).unwrap();
    assert_eq!((total.value, total.frequency_hz, total.input_unit.as_str()), (4000.0, 5.0, "PA"));
    let text = crate::station_text::write(&inventory, Level::Network);
    assert!(text.ends_with("\nXX|A network|2000-01-01T00:00:00.000||1\n"), "{text}");
    let text = crate::station_text::write(&inventory, Level::Channel);
    assert!(text.contains("|4000|5|PA|20|"), "{text}");
}

fn station(network: &str, code: &str, inside: &str) -> String {
    format!(
        "<Network {network}><Station code=\"{code}\" startDate=\"2001-01-01\"><Latitude>1</Latitude>\
         <Longitude>2</Longitude><Elevation>3</Elevation>{inside}</Station></Network>"
    )
}

fn document(inside: &str) -> String {
    format!("<FDSNStationXML xmlns=\"http://www.fdsn.org/xml/station/1\">\n{inside}</FDSNStationXML>")
}

#[test]
fn what_cannot_be_is_refused_by_name_and_the_rest_is_taken() {
    let channel = |attributes: &str, inside: &str| format!("<Channel {attributes}>{inside}</Channel>");
    let good = channel(
        "code=\"HHZ\" locationCode=\"--\" startDate=\"0001-01-01T00:00:00\"",
        "<SampleRate>0</SampleRate>",
    );
    let value = |value: &str| {
        format!(
            "<Response><InstrumentSensitivity><Value>{value}</Value><Frequency>1</Frequency>\
        <InputUnits><Name>M/S</Name></InputUnits></InstrumentSensitivity></Response>"
        )
    };
    for bad in [
        channel("code=\"H Z\"", ""),
        channel("code=\"\"", ""),
        channel("code=\"H/Z\"", ""),
        channel("code=\"HHZ\" locationCode=\"..\"", ""),
        channel(&format!("code=\"{}\"", "H".repeat(70)), ""),
        channel("code=\"HHN\" startDate=\"yesterday\"", ""),
        channel("code=\"HHN\" startDate=\"2020-01-01\" endDate=\"2019-01-01\"", ""),
        channel("code=\"HHN\"", "<Latitude>91</Latitude><Longitude>2</Longitude>"),
        channel("code=\"HHN\"", "<Latitude>NaN</Latitude><Longitude>2</Longitude>"),
        channel("code=\"HHN\"", "<Latitude>1</Latitude><Longitude>361</Longitude>"),
        channel("code=\"HHN\"", "<Elevation>INF</Elevation>"),
        channel("code=\"HHN\"", "<Depth>deep</Depth>"),
        channel("code=\"HHN\"", "<Azimuth>1e9</Azimuth>"),
        channel("code=\"HHN\"", "<Dip>-91</Dip>"),
        channel("code=\"HHN\"", "<SampleRate>NaN</SampleRate>"),
        channel("code=\"HHN\"", "<SampleRate>1e300</SampleRate>"),
        channel("code=\"HHN\"", "<SampleRate>-1</SampleRate>"),
        channel("code=\"HHN\"", &value("NaN")),
        channel("code=\"HHN\"", &value("1e300")),
    ] {
        let text = document(&station("code=\"XX\"", "AAA", &format!("\n\n{bad}\n{good}")));
        let parsed = read(text.as_bytes()).unwrap();
        assert_eq!((parsed.value.stations.len(), parsed.value.channels.len()), (1, 1), "{bad}");
        assert_eq!(parsed.value.channels[0].source_id.as_str(), "FDSN:XX_AAA__H_H_Z");
        assert_eq!(parsed.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [4], "{bad}");
        let written = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
        assert!(written.contains("locationCode=\"\" startDate=\"0001-01-01T00:00:00\""), "{written}");
    }
    for (network, code) in
        [("XX", "S A"), ("XX", "STÄ"), ("XX", ".."), ("X/X", "AAA"), ("XX", "A&#10;A"), ("XX", "")]
    {
        let bad = station(&format!("code=\"{network}\""), code, &good);
        let parsed = read(document(&(bad + &station("code=\"YY\"", "BBB", &good))).as_bytes()).unwrap();
        assert_eq!((parsed.value.stations.len(), parsed.value.channels.len()), (1, 1), "{network}.{code}");
        assert_eq!(parsed.problems.len(), 2, "{:?}", parsed.problems);
    }
}

#[test]
fn a_network_that_is_said_several_times_is_written_once() {
    let one = station("code=\"XX\" startDate=\"2000-01-01\"", "AAA", "");
    let two = station(
        "code=\"XX\" startDate=\"2003-01-01\" endDate=\"2010-01-01\" restrictedStatus=\"open\"",
        "BBB",
        "",
    );
    let three = station("code=\"XX\"", "CCC", "");
    let inventory = read(document(&format!("{one}{two}{three}{one}")).as_bytes()).unwrap().value;
    let text = write(&inventory, Level::Station, Timestamp::from_nanos(0));
    assert_eq!(text.matches("<Network ").count(), 1, "{text}");
    assert!(text.contains("startDate=\"2000-01-01T00:00:00.000Z\"") && !text.contains("endDate"), "{text}");
    assert_eq!(text.matches("<Station ").count(), 3, "{text}");
    let again = read(text.as_bytes()).unwrap().value;
    assert_eq!(again.stations.len(), 3);
    assert!(
        crate::station_text::write(&inventory, Level::Network)
            .ends_with("\nXX||2000-01-01T00:00:00.000||3\n")
    );
    // A temporary network has the code of another that ended before.
    let former = station("code=\"XA\" startDate=\"2001-01-01\" endDate=\"2003-01-01\"", "AAA", "");
    let later = station("code=\"XA\" startDate=\"2010-01-01\" endDate=\"2011-01-01\"", "DDD", "");
    let inventory = read(document(&format!("{later}{former}")).as_bytes()).unwrap().value;
    let text = write(&inventory, Level::Station, Timestamp::from_nanos(0));
    assert_eq!(text.matches("<Network ").count(), 2, "{text}");
    assert!(text.find("\"AAA\"") < text.find("\"DDD\""), "{text}");
}

#[test]
fn a_station_that_comes_twice_is_one_and_differences_are_said() {
    let channel = |code: &str| format!("<Channel code=\"{code}\" locationCode=\"\"/>");
    let one = station("code=\"XX\"", "AAA", &channel("HHZ"));
    let two = station("code=\"XX\"", "AAA", &channel("HHN"));
    let parsed = read(document(&format!("{one}{two}")).as_bytes()).unwrap();
    assert_eq!((parsed.value.stations.len(), parsed.value.channels.len(), parsed.problems.len()), (1, 2, 0));
    let moved = two.replace("<Latitude>1<", "<Latitude>7<");
    let parsed = read(document(&format!("{one}\n{moved}")).as_bytes()).unwrap();
    assert_eq!((parsed.value.stations.len(), parsed.value.stations[0].latitude), (1, 7.0));
    assert!(parsed.problems[0].reason.contains("\"XX.AAA\" stands at line 2 too"), "{:?}", parsed.problems);
}

#[test]
fn documents_of_any_size_and_depth_are_read_or_refused_in_proportion() {
    let attributes: String = (0..100_000).map(|index| format!(" a{index}=\"\"")).collect();
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let site = "<Site><Name>&b;</Name></Site>";
    for (text, expected) in [
        (document(&format!("<Network code=\"XX\"{attributes}/>")), "more attributes"),
        (format!("{entities}{}", document(&station("code=\"XX\"", "AAA", site))), "entity"),
        (document(&"<a>".repeat(1_000_000)), "nested too deeply"),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let long =
        station("code=\"XX\"", "AAA", &format!("<Site><Name>{}</Name></Site>", "x".repeat(20_000_000)));
    assert_eq!(read(document(&long).as_bytes()).unwrap().value.stations.len(), 1);
    let utf_16: Vec<u8> = document(&one_station()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf_16).unwrap().value.stations.len(), 1);
    assert_eq!(crate::read_stations(&utf_16, None).unwrap().value.stations.len(), 1);
}

fn one_station() -> String {
    station("code=\"XX\"", "AAA", "<Site><Name>Ærø</Name></Site>")
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

#[test]
fn documents_one_behind_the_other_are_all_read_and_junk_is_told() {
    let document = |code: &str| {
        format!(
            "\u{FEFF}<?xml version=\"1.0\"?>\n<FDSNStationXML xmlns=\"http://www.fdsn.org/xml/station/1\"><Network code=\"XX\">\
             <Station code=\"{code}\"><Latitude>1</Latitude><Longitude>2</Longitude></Station></Network></FDSNStationXML>\n"
        )
    };
    let (a, b) = (document("A"), document("B"));
    let codes = |text: &str| {
        let parsed = read(text.as_bytes())?;
        assert_eq!(parsed.problems, []);
        Ok(parsed.value.stations.into_iter().map(|station| station.station).collect::<Vec<_>>())
    };
    assert_eq!(codes(&format!("{a}{b}")), Ok(vec!["A".to_owned(), "B".to_owned()]));
    for (text, reason) in [
        (format!("{a}junk"), "line 3, column 5: text that stands in no element"),
        (format!("{a}&amp;"), "text that stands in no element"),
        (format!("{a}<html></html>"), "behind the document stands another one, <html>"),
        (format!("{a}<Network code=\"YY\"></Network>"), "behind the document stands another one, <Network>"),
        (format!("{a}<FDSNStationXML>"), "the document ends too early"),
    ] {
        let error: Result<Vec<String>, ReadError> = codes(&text);
        let said = error.unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
    }
}
