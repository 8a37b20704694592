use super::*;
use crate::stationxml::Level;
use crate::{read_stations, station_text};

#[test]
fn dates_of_all_years_begin_and_end_epochs() {
    let text = |time: Option<Timestamp>| time.map_or("open".to_owned(), |time| time.to_string());
    for (date, start, end) in [
        ("", "open", "open"),
        ("2016-01-02", "2016-01-02T00:00:00.000Z", "2016-01-02T00:00:00.000Z"),
        ("2016-01-02Z", "2016-01-02T00:00:00.000Z", "2016-01-02T00:00:00.000Z"),
        ("2016-01-02T24:00:00", "2016-01-03T00:00:00.000Z", "2016-01-03T00:00:00.000Z"),
        ("2016-06-30T23:59:60", "2016-07-01T00:00:00.000Z", "2016-07-01T00:00:00.000Z"),
        ("1797-01-01T00:50:39.000", "1797-01-01T00:50:39.000Z", "1797-01-01T00:50:39.000Z"),
        ("1600-02-29T00:00:00", "open", "1677-09-21T00:12:43.145224192Z"),
        ("0001-01-01T00:00:00Z", "open", "1677-09-21T00:12:43.145224192Z"),
        ("2250-01-01T00:00:00", "2250-01-01T00:00:00.000Z", "open"),
        ("2599-12-31T23:59:59", "2262-04-11T23:47:16.854775807Z", "open"),
        ("9999-12-31T23:59:59.999999Z", "2262-04-11T23:47:16.854775807Z", "open"),
    ] {
        assert_eq!(
            (text(epoch_start(date).unwrap()), text(epoch_end(date).unwrap())),
            (start.into(), end.into())
        );
    }
    for date in
        ["yesterday", "0000-01-01", "1500-13-01", "1501-02-29", "12345-01-01", "2599-12-31T25:00:00", "é"]
    {
        assert!(epoch_start(date).is_err() && epoch_end(date).is_err(), "{date}");
    }
}

const PLACE: &str = "<Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation>";

/// A document of one network with stations of the given attributes, each with channels of the given ones.
fn document(network: &str, stations: &[(&str, &[&str])]) -> String {
    let mut text = format!("<FDSNStationXML schemaVersion=\"1.2\"><Network code=\"XX\" {network}>");
    for (station, channels) in stations {
        text += &format!("<Station {station}>{PLACE}<Site><Name>n</Name></Site>");
        for channel in *channels {
            text += &format!("<Channel locationCode=\"\" {channel}>{PLACE}<Depth>0</Depth></Channel>");
        }
        text += "</Station>";
    }
    text + "</Network></FDSNStationXML>"
}

fn read(text: &str) -> Inventory {
    let parsed = read_stations(text.as_bytes(), None).unwrap();
    assert_eq!(parsed.problems, []);
    parsed.value
}

/// Begin and end of each row of text, after its codes.
fn rows(inventory: &Inventory, level: Level) -> Vec<String> {
    let text = station_text::write(inventory, level);
    let cells = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
    let header = cells(text.lines().next().unwrap());
    let column = |name: &str| header.iter().position(|cell| cell == name).unwrap();
    let (start, end) = (column("StartTime"), column("EndTime"));
    let row = |line: &str| format!("{} {}", cells(line)[start], cells(line)[end]);
    text.lines().skip(1).map(row).collect()
}

#[test]
fn what_states_no_begin_begins_with_what_it_holds_or_lies_in() {
    let check = |network: &str, stations: &[(&str, &[&str])], expected: [&[&str]; 3]| {
        let inventory = read(&document(network, stations));
        let filled = Begins::of(&inventory).fill(inventory.clone());
        for (level, expected) in [Level::Network, Level::Station, Level::Channel].into_iter().zip(expected) {
            assert_eq!(rows(&filled, level), expected, "{level:?} of {network} {stations:?}");
            // A document says the same.
            let xml = stationxml::write(&filled, Level::Channel, SINCE_EVER);
            assert_eq!(rows(&read(&xml), level), expected, "{level:?} {xml}");
        }
    };
    let channels: &[&str] = &[
        "code=\"HHZ\" startDate=\"2015-01-01T00:00:00\" endDate=\"2016-01-01T00:00:00\"",
        "code=\"HHN\" startDate=\"2014-06-01\" endDate=\"2599-12-31T23:59:59\"",
        "code=\"HHE\"",
    ];
    check(
        "",
        &[("code=\"A\"", channels)],
        [
            &["2014-06-01T00:00:00.000 "],
            &["2014-06-01T00:00:00.000 "],
            &[
                "2015-01-01T00:00:00.000 2016-01-01T00:00:00.000",
                "2014-06-01T00:00:00.000 2599-12-31T23:59:59.000",
                "2014-06-01T00:00:00.000 ",
            ],
        ],
    );
    // The network's date where there is no other, and the convention where there is none at all.
    check(
        "startDate=\"2001-02-03\" endDate=\"9999-12-31\"",
        &[("code=\"A\"", &["code=\"HHZ\""]), ("code=\"B\" startDate=\"1999-01-01\"", &[])],
        [
            &["2001-02-03T00:00:00.000 9999-12-31T00:00:00.000"],
            &["2001-02-03T00:00:00.000 ", "1999-01-01T00:00:00.000 "],
            &["2001-02-03T00:00:00.000 "],
        ],
    );
    check(
        "",
        &[("code=\"A\" endDate=\"1990-01-01\"", &["code=\"HHZ\""])],
        [
            &["1900-01-01T00:00:00.000 "],
            &["1900-01-01T00:00:00.000 1990-01-01T00:00:00.000"],
            &["1900-01-01T00:00:00.000 "],
        ],
    );
    // Dates too far away to be held are those of the document.
    check(
        "startDate=\"1500-01-01\"",
        &[(
            "code=\"A\" startDate=\"1600-01-01\" endDate=\"1650-01-01\"",
            &["code=\"HHZ\" startDate=\"2400-01-01\""],
        )],
        [
            &["1500-01-01T00:00:00.000 "],
            &["1600-01-01T00:00:00.000 1650-01-01T00:00:00.000"],
            &["2400-01-01T00:00:00.000 "],
        ],
    );
}

#[test]
fn a_selection_does_not_decide_when_a_network_began() {
    let inventory = read(&document(
        "",
        &[("code=\"A\" startDate=\"2001-01-01\"", &[]), ("code=\"B\" startDate=\"2002-01-01\"", &[])],
    ));
    let begins = Begins::of(&inventory);
    let later = Inventory { stations: vec![inventory.stations[1].clone()], channels: vec![] };
    assert_eq!(rows(&begins.fill(later), Level::Network), ["2001-01-01T00:00:00.000 "]);
}

#[test]
fn dates_of_text_that_are_too_far_away_come_back_in_every_format() {
    const STATIONS: &str = "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime\n\
                            XX|A|1|2|3|site|2001-01-01T00:00:00|2599-12-31T23:59:59\n\
                            XX|B|1|2|3|site|1600-01-01T00:00:00|9999-12-31T23:59:59.999999\n\
                            XX|C|1|2|3|site|2001-01-01T00:00:00|2210-01-01\n";
    let station_dates = [
        "2001-01-01T00:00:00.000 2599-12-31T23:59:59.000",
        "1600-01-01T00:00:00.000 9999-12-31T23:59:59.999999",
        "2001-01-01T00:00:00.000 2210-01-01T00:00:00.000",
    ];
    let inventory = read(STATIONS);
    assert!(inventory.stations.iter().all(|station| station.end_time.is_none()), "they are open");
    assert_eq!(rows(&inventory, Level::Station), station_dates);
    let xml = stationxml::write(&inventory, Level::Station, SINCE_EVER);
    let again = read(&xml);
    assert_eq!(rows(&again, Level::Station), station_dates, "{xml}");
    assert_eq!(again.stations[0].site_name.as_deref(), Some("site"));
    let channels = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|\
                    SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime\n\
                    XX|A|00|HHZ|1|2|3|4|5|-90|s|1000|1|m/s|100|2001-01-01T00:00:00.000|2599-12-31T23:59:59.000\n";
    let inventory = read(channels);
    assert_eq!(station_text::write(&inventory, Level::Channel), channels);
    let xml = stationxml::write(&inventory, Level::Response, SINCE_EVER);
    assert_eq!(station_text::write(&read(&xml), Level::Channel), channels, "{xml}");
}

#[test]
fn what_a_service_says_of_no_begin_is_no_begin_when_it_comes_back() {
    for text in ["1900-01-01", "1900-01-01T00:00:00", "1900-01-01T00:00:00.000Z", "1900-001T00:00:00"] {
        assert_eq!(epoch_start(text).unwrap(), None, "{text}");
    }
    assert!(epoch_start("1900-01-01T00:00:01").unwrap().is_some());
    assert!(epoch_end("1900-01-01").unwrap().is_some());
}
