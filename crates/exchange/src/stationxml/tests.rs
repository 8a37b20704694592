//! Tests of StationXML: how documents are read.

mod repeated;
mod written;

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

#[test]
fn a_document_is_read_in_the_encoding_that_it_declares() {
    let text = |label: &str, name: &str| {
        let site = format!("<Site><Name>{name}</Name></Site>");
        let inside = document(&station("code=\"XX\"", "AAA", &site));
        format!("<?xml version='1.0' encoding='{label}' ?>\n{inside}")
    };
    let name_of = |bytes: &[u8]| read(bytes).unwrap().value.stations[0].site_name.clone().unwrap();
    for (label, name) in [
        ("KOI8-R", "Москва"),
        ("windows-1251", "Москва"),
        ("ISO-8859-2", "Łódź"),
        ("iso-8859-15", "Malmö €"),
        ("Shift_JIS", "東京"),
        ("EUC-JP", "東京"),
        ("ISO-2022-JP", "東京"),
        ("GB18030", "北京"),
        ("x-mac-roman", "Málaga"),
    ] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        assert_eq!(name_of(&encoding.encode(&text(label, name)).0), name, "{label}");
    }
    // What declares nothing is UTF-8, or Latin-1.
    let undeclared = document(&station("code=\"XX\"", "AAA", "<Site><Name>Malmö</Name></Site>"));
    let latin_1: Vec<u8> =
        undeclared.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    assert_eq!((name_of(undeclared.as_bytes()), name_of(&latin_1)), ("Malmö".to_owned(), "Malmö".to_owned()));
    let refused = crate::read_stations(text("IBM437", "Malmo").as_bytes(), None).unwrap_err().to_string();
    assert!(refused.contains("its encoding \"IBM437\" is not one that is read"), "{refused}");
}

#[test]
fn references_to_characters_that_xml_forbids_are_refused() {
    let site = |name: &str| station("code=\"XX\"", "AAA", &format!("<Site><Name>{name}</Name></Site>"));
    for reference in ["&#0;", "&#27;", "&#x1b;", "&#8;", "&#xFFFE;", "&#xD800;"] {
        let in_text = read(document(&site(&format!("a{reference}[31mb"))).as_bytes()).unwrap_err();
        assert!(in_text.to_string().contains("a character that XML does not allow"), "{in_text}");
        let in_attribute = site("a").replace("<Site>", &format!("<Site note=\"{reference}\">"));
        assert!(read(document(&in_attribute).as_bytes()).is_err(), "{reference}");
    }
    for reference in ["&#9;", "&#10;", "&#xE9;", "&amp;"] {
        assert!(read(document(&site(&format!("a{reference}b"))).as_bytes()).is_ok(), "{reference}");
    }
}

fn one_station() -> String {
    station("code=\"XX\"", "AAA", "<Site><Name>Ærø</Name></Site>")
}
