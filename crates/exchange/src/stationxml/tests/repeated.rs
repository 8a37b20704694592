//! What documents state twice, who may have the data of it, and what other namespaces state.

use super::*;

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
fn of_what_is_stated_twice_the_first_that_is_not_empty_holds() {
    let text = CHANNEL
        .replacen("<x:Latitude>", "<x:Latitude/><x:Latitude>", 1)
        .replacen("<x:Elevation>", "<x:Elevation unit=\"METERS\"></x:Elevation><x:Elevation>", 1)
        .replacen("<x:Site>", "<x:Site><x:Name/></x:Site><x:Site>", 1)
        .replacen("<x:Depth>", "<x:Depth/><x:Depth/><x:Depth>", 1)
        .replacen("<x:Response>", "<x:Response/><x:Response>", 1)
        .replacen("<x:Frequency>", "<x:Frequency> </x:Frequency><x:Frequency>", 1)
        .replacen("<x:Real>", "<x:Real/><x:Real>", 1);
    let sound = read(CHANNEL.as_bytes()).unwrap();
    assert_eq!(read(text.as_bytes()).unwrap(), sound);
    let only_empty = CHANNEL.replacen("<x:Depth>5</x:Depth>", "<x:Depth/><x:Depth/>", 1);
    let parsed = read(only_empty.as_bytes()).unwrap();
    assert_eq!((parsed.problems.len(), parsed.value.channels[0].depth_m), (0, 0.0));
}

#[test]
fn what_is_stated_twice_inside_of_elements_is_told_too() {
    let text = CHANNEL
        .replacen("<x:Site>", "<x:Site><x:Town>one</x:Town><x:Town>two</x:Town>", 1)
        .replacen("</x:Value>", "</x:Value><x:Value>3</x:Value>", 1)
        .replacen("<x:Depth>", "<x:Sensor><x:Model>a</x:Model><x:Model>b</x:Model></x:Sensor><x:Depth>", 1)
        .replacen("<x:Depth>", "<x:Equipment><x:Type>a</x:Type><x:Type>b</x:Type></x:Equipment><x:Depth>", 1)
        .replacen("</x:PolesZeros>", "</x:PolesZeros><x:PolesZeros>3</x:PolesZeros>", 1)
        .replacen(
            "<x:Station ",
            "<x:Description>one</x:Description><x:Description>two</x:Description><x:Station ",
            1,
        );
    let parsed = read(text.as_bytes()).unwrap();
    let told: Vec<_> = parsed.problems.iter().map(|problem| problem.reason.as_str()).collect();
    let names = ["Description", "Town", "Model", "Type", "Value", "PolesZeros"];
    assert_eq!(told.len(), names.len(), "{told:?}");
    for name in names {
        let told = told.iter().filter(|reason| reason.contains(&format!("<{name}> is stated before")));
        assert_eq!(told.count(), 1, "{name}");
    }
    assert_eq!(parsed.value.channels[0].response.as_ref().unwrap().sensitivity, 2e9);
    let written = write(&parsed.value, Level::Response, Timestamp::from_nanos(0));
    assert_eq!(read(written.as_bytes()).unwrap(), Parsed { value: parsed.value, problems: vec![] });
}

#[test]
fn of_two_stages_of_one_number_the_first_holds() {
    for one in [" 1", "01", "+1"] {
        a_stage_is_stated_again_as(one);
    }
}

fn a_stage_is_stated_again_as(one: &str) {
    let second = "</x:Stage><x:Stage number=\"ONE\"><x:StageGain><x:Value>7</x:Value></x:StageGain></x:Stage><x:Stage \
                  number=\"2\"><x:StageGain><x:Value>3</x:Value></x:StageGain></x:Stage>";
    let second = second.replace("ONE", one);
    let parsed = read(CHANNEL.replacen("</x:Stage>", &second, 1).as_bytes()).unwrap();
    let told: Vec<_> = parsed.problems.iter().map(|problem| problem.reason.as_str()).collect();
    let one = one.trim();
    assert_eq!(
        told,
        [format!("channel \"BHZ\": <Stage number=\"{one}\"> is stated before; the first one holds")]
    );
    let original = parsed.value.channels[0].response_original.clone().unwrap();
    let numbers: Vec<_> =
        response_stages(&original).unwrap().stages.iter().map(|stage| stage.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn what_only_the_shorter_head_of_a_network_says_is_written_too() {
    let station = |code: &str| {
        format!(
            "<Station code=\"{code}\"><Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation></Station>"
        )
    };
    let comment = |text: &str| format!("<Comment><Value>{text}</Value></Comment>");
    let long = format!(
        "<Description>the long name of it</Description>{}<Operator><Agency>O</Agency></Operator>",
        comment("said by both")
    );
    let short = format!(
        "<Description>short</Description><Identifier>i</Identifier>{}{}<o:grade xmlns:o=\"urn:o\">7</o:grade>",
        comment("said by both"),
        comment("said by one")
    );
    // The same stations in both heads, and others.
    for (first, second) in [("AAA", "BBB"), ("AAA", "AAA")] {
        for (one, other) in [(&long, &short), (&short, &long)] {
            let document = format!(
                "<FDSNStationXML><Network code=\"SY\" alternateCode=\"QQ\">{one}{}</Network><Network code=\"SY\">{other}{}</Network></FDSNStationXML>",
                station(first),
                station(second)
            );
            let parsed = read(document.as_bytes()).unwrap();
            assert_eq!(parsed.problems, []);
            let written = flat(&write(&parsed.value, Level::Network, Timestamp::from_nanos(0)));
            let said =
                ["said by both", "said by one", ">i<", ">the long name of it<", ">short<", ">7<", ">O<"];
            for said in said {
                assert_eq!(written.matches(said).count(), 1, "{said}: {written}");
            }
            if first != second {
                assert!(written.contains("alternateCode=\"QQ\""), "{written}");
            }
            let order = ["<Description", "<Identifier", "<Comment", "<Operator"];
            let places: Vec<usize> = order.iter().map(|name| written.find(name).unwrap()).collect();
            assert!(places.is_sorted(), "{written}");
        }
    }
}

#[test]
fn of_an_epoch_that_is_stated_twice_the_comments_of_both_are_kept_and_other_words_are_told() {
    let station = |inside: &str, after: &str| {
        format!(
            "<Station code=\"AAA\"><Description>{inside}</Description><Comment><Value>c {inside}</Value></Comment>\
             <Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation>{after}\
             <Channel code=\"HHZ\" locationCode=\"\"><Comment><Value>of {inside}</Value></Comment><Depth>0</Depth></Channel></Station>"
        )
    };
    let both = |one: &str, other: &str| {
        format!("<FDSNStationXML><Network code=\"XX\">{one}\n{other}</Network></FDSNStationXML>")
    };
    let parsed = read(both(&station("one", ""), &station("two", "")).as_bytes()).unwrap();
    assert_eq!((parsed.value.stations.len(), parsed.value.channels.len(), parsed.problems), (1, 1, vec![]));
    let written = flat(&write(&parsed.value, Level::Channel, Timestamp::from_nanos(0)));
    for said in [">two<", ">one<", ">c one<", ">c two<", ">of one<", ">of two<"] {
        assert_eq!(written.matches(said).count(), 1, "{said}: {written}");
    }
    let parsed =
        read(both(&station("one", "<Vault>a</Vault>"), &station("one", "<Vault>b</Vault>")).as_bytes());
    let told: Vec<_> = parsed.unwrap().problems.into_iter().map(|problem| problem.reason).collect();
    let reason =
        "station \"XX.AAA\" is stated more than once, with other <Vault>: this one, the last, counts";
    assert_eq!(told, [reason]);
}

#[test]
fn the_comments_of_very_many_equal_epochs_are_all_kept() {
    let station = |number: usize| {
        format!(
            "<Network code=\"XX\"><Comment><Value>n{number}</Value></Comment><Station code=\"AAA\">\
             <Comment><Value>{number}</Value></Comment><Latitude>1</Latitude><Longitude>2</Longitude></Station></Network>"
        )
    };
    let stations: String = (0..2000).map(station).collect();
    let parsed = read(format!("<FDSNStationXML>{stations}</FDSNStationXML>").as_bytes()).unwrap();
    assert_eq!(parsed.problems, []);
    let written = write(&parsed.value, Level::Station, Timestamp::from_nanos(0));
    assert_eq!(written.matches("<Comment>").count(), 4000);
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
