//! Tests of StationXML.

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
    assert_eq!((channel.latitude, channel.elevation_m, channel.depth_m), (1.5, 100.0, 5.0));
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
