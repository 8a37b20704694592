//! Requests as clients send them, changed at random: read or refused, quickly and in a sentence. The number of cases is that
//! of proptest (`PROPTEST_CASES`), so the long form is the same code.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::read::Interval;

/// Sound requests of all services.
const REQUESTS: [&str; 12] = [
    "net=IU&sta=ANMO,COLA&loc=--&cha=BH?,HH*&start=2024-01-01T00:00:00.000000&end=2024-01-02&nodata=404",
    "network=*&station=A*&location=00,10&channel=*Z&starttime=2024-001&level=channel&format=text&includerestricted=false",
    "minlat=-10&maxlat=10.5&minlon=170&maxlon=-170&level=response&updatedafter=2020-01-01&matchtimeseries=true",
    "latitude=64.1&longitude=-21.9&minradius=0&maxradius=2.5&startbefore=2599-12-31T23:59:59&endafter=1600-01-01",
    "lat=90&lon=360&maxradiuskm=500&mindepth=-1&maxdepth=700&minmag=2.5&magtype=ML&orderby=magnitude-asc&limit=10&offset=2",
    "eventid=smi:seislake.org/event/1,event/2&includearrivals=1&includeallorigins=t&includeallmagnitudes=no&format=geojson",
    "net=xx&quality=M&minimumlength=0.5&longestonly=TRUE&format=miniseed3",
    "merge=quality,samplerate,overlap&mergegaps=1.5&show=latestupdate&orderby=latestupdate_desc&limit=5&quality=D,Q",
    "quality=B\nlongestonly=false\nIU ANMO -- BHZ 2024-01-01T00:00:00 2024-01-02T00:00:00\nIU * 00 ??Z * *\n",
    "level=channel\nformat=xml\nXX %2A * HHZ 1970-01-01 2599-12-31T23:59:59\n",
    "mergegaps=0\nshow=latestupdate\nXX AAA * * 2016-12-31T23:59:60 2017-01-01T01:00:00+01:00\n",
    "starttime=20240101T000000Z&endtime=2024-02-29T24:00:00&catalog=seislake&contributor=seislake&eventtype=earthquake",
];

/// Words that requests are made of, and others.
const WORDS: [&str; 44] = [
    "net=",
    "sta",
    "=",
    "&",
    "\n",
    " ",
    "starttime=",
    "end=",
    "2024-01-01",
    "T00:00:00",
    "2599-12-31",
    "*",
    "?",
    ",",
    "--",
    "XX STA -- HHZ 2024-01-01 2024-01-02\n",
    "format=",
    "geocsv",
    "merge=",
    "limit=",
    "-1",
    "1e999",
    "NaN",
    "%00",
    "%zz",
    "+",
    "quality=B\n",
    "\r",
    "\t",
    "é",
    "\u{0}",
    "minlatitude=",
    "minradius=",
    "91",
    "level=",
    "nodata=404",
    "&&",
    "==",
    "%2C",
    "%26net%3D",
    "0.1e-300",
    "18446744073709551616",
    "loc=&",
    ":60",
];

/// One change of a text: where, of how many characters, and what comes there.
fn change() -> impl Strategy<Value = (Index, usize, String)> {
    let new = prop_oneof![
        4 => select(WORDS.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
        1 => (select(WORDS.to_vec()), 1..300_usize).prop_map(|(word, count)| word.repeat(count)),
        1 => select(REQUESTS.to_vec()).prop_map(str::to_owned),
    ];
    (any::<Index>(), 0..6_usize, new)
}

fn changed((request, changes): (&str, Vec<(Index, usize, String)>)) -> String {
    let mut text: Vec<char> = request.chars().collect();
    for (at, count, new) in changes {
        let from = at.index(text.len() + 1);
        let to = (from + count).min(text.len());
        text.splice(from..to, new.chars());
    }
    text.into_iter().collect()
}

/// What every request must keep, read or refused.
fn check(text: &str) -> Result<(), TestCaseError> {
    let started = Instant::now();
    let mut answers = vec![crate::fdsn::event::is_readable(text).map(|()| Vec::new())];
    for service in crate::fdsn::services() {
        answers.push(service.asked_by_get(Some(text)).map(|asked| asked.selections));
        answers.push(service.asked_by_body(text.as_bytes()).map(|asked| asked.selections));
    }
    for answer in answers {
        match answer {
            Ok(selections) => {
                for selection in selections {
                    let Interval { min, max } = selection.window;
                    prop_assert!(
                        min.zip(max).is_none_or(|(min, max)| min <= max),
                        "{text:?}: {min:?} {max:?}"
                    );
                }
            }
            Err(error) => prop_assert!(!error.message.is_empty(), "{text:?}"),
        }
    }
    prop_assert!(started.elapsed() < Duration::from_secs(2), "{:?}: {text:?}", started.elapsed());
    Ok(())
}

proptest! {
    #[test]
    fn changed_requests_are_read_or_refused(text in (select(REQUESTS.to_vec()), proptest::collection::vec(change(), 0..8)).prop_map(changed)) {
        check(&text)?;
    }

    /// Query strings and bodies of any words.
    #[test]
    fn no_request_hangs_or_ends_a_service(words in proptest::collection::vec(select(WORDS.to_vec()), 0..200)) {
        check(&words.concat())?;
    }

    /// The same for any bytes.
    #[test]
    fn no_bytes_hang_or_end_a_service(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&String::from_utf8_lossy(&bytes))?;
        for service in crate::fdsn::services() {
            let _ = service.asked_by_body(&bytes);
        }
    }
}

#[test]
fn sound_requests_are_read_by_a_service() {
    for request in REQUESTS {
        let by_event = crate::fdsn::event::is_readable(request).is_ok();
        let of = |service: &&Service| match request.contains('\n') {
            true => service.asked_by_body(request.as_bytes()).is_ok(),
            false => service.asked_by_get(Some(request)).is_ok(),
        };
        assert!(by_event || crate::fdsn::services().iter().any(of), "{request}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let [station, dataselect, availability] = crate::fdsn::services();
    for (service, request, name) in [
        (station, "maxradius=181", "maxradius"),
        (station, "minlatitude=91", "minlatitude"),
        (station, "lon=540", "longitude"),
        (station, "minradius=-1", "minradius"),
        (station, "start=2024-01-02&end=2024-01-01", "endtime"),
        (station, "nodata=999", "nodata"),
        (station, "level=foo", "level"),
        (station, "net=", "network"),
        (station, "net=A&network=B", "network"),
        (station, "foo=1", "foo"),
        (dataselect, "minimumlength=-1", "minimumlength"),
        (dataselect, "longestonly=x", "longestonly"),
        (availability, "mergegaps=-1", "mergegaps"),
        (availability, "limit=x", "limit"),
    ] {
        let message = service.asked_by_get(Some(request)).unwrap_err().message;
        assert!(message.contains(name), "{request}: {message}");
    }
    for request in ["loc=", "loc=%20%20", "loc=--"] {
        let asked = station.asked_by_get(Some(request)).unwrap();
        let location = &asked.selections[0].location;
        assert!(location.take("") && !location.take("00"), "{request}");
    }
}

#[test]
fn a_body_of_many_lines_is_bounded() {
    let line = "XX STA -- HHZ 2024-01-01 2024-01-02\n";
    let service = &crate::fdsn::services()[0];
    assert!(service.asked_by_body(line.repeat(1_000).as_bytes()).is_ok());
    assert!(service.asked_by_body(line.repeat(LINES_MAX + 1).as_bytes()).is_err());
}
