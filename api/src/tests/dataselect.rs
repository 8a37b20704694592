//! FDSN dataselect: windows, lists, joins, types, limits and bodies.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use seislake_model::{Samples, Segment, SourceId, Timestamp};
use seislake_mseed::{Encoding, FormatVersion, ScanItem, Scanner, TraceList, TraceSegment};

use super::{House, position, table_rows, time};

const QUERY: &str = "/fdsnws/dataselect/1/query";

/// Segments of a body as libmseed's trace list joins them; panics where a byte is no record.
fn traces(body: &[u8]) -> Vec<TraceSegment> {
    let mut list = TraceList::new();
    for scanned in Scanner::new(body) {
        match scanned {
            ScanItem::Record { record, .. } => list.add(&record, &record.decode().unwrap().samples),
            other => panic!("{other:?}"),
        }
    }
    list.into_segments()
}

/// Channel, start and number of samples of each segment.
fn shapes(body: &[u8]) -> Vec<(String, String, u64)> {
    let shape = |trace: TraceSegment| {
        (trace.source_id, Timestamp::from_nanos(trace.start_ns).to_string(), trace.sample_count)
    };
    traces(body).into_iter().map(shape).collect()
}

fn segment(channel: &str, start: &str, samples: Samples, encoding: &str, offset: u64) -> Segment {
    let (start_time, rate_hz) = (time(start), 100.0);
    Segment {
        source_id: SourceId::from_nslc("XX", "S1", "00", channel),
        start_time,
        end_time: start_time.add_seconds((samples.len() - 1) as f64 / rate_hz),
        sample_rate_hz: rate_hz,
        encoding: encoding.into(),
        quality: "D".into(),
        samples,
        position: position(offset),
    }
}

fn ramp(from: i32, to: i32) -> Samples {
    Samples::Int32((from..to).collect())
}

#[tokio::test]
async fn a_window_is_cut_at_sample_precision_with_both_ends() {
    let house = House::furnished().await;
    for (query, expected) in [
        (
            "net=XX&sta=S0&loc=--&cha=HHZ&start=2014-08-24T00:00:10.2&end=2014-08-24T00:00:10.5",
            vec![("10.200", 31)],
        ),
        ("starttime=2014-08-24T00:00:10.995&endtime=2014-08-24T00:00:20.004999", vec![("20.000", 1)]),
        ("network=X?&channel=H*", vec![("10.000", 100), ("20.000", 100), ("30.000", 100)]),
        ("station=S1,S0&start=2014-08-24T00:00:25", vec![("30.000", 100)]),
        ("end=2014-08-24T00:00:10", vec![("10.000", 1)]),
    ] {
        let (status, headers, body) = house.get_bytes(&format!("{QUERY}?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {}", String::from_utf8_lossy(&body));
        assert_eq!(headers["content-type"], "application/vnd.fdsn.mseed");
        assert_eq!(
            headers["content-disposition"],
            "attachment; filename=\"fdsnws-dataselect_2026-01-02T03-04-05-000Z.mseed\""
        );
        let expected: Vec<_> = expected
            .iter()
            .map(|(second, count)| {
                ("FDSN:XX_S0__H_H_Z".to_owned(), format!("2014-08-24T00:00:{second}Z"), *count)
            })
            .collect();
        assert_eq!(shapes(&body), expected, "{query}");
    }
}

#[tokio::test]
async fn samples_come_back_bit_for_bit_in_records_of_their_type() {
    let house = House::empty().await;
    let singles: Vec<f32> = (0..700).map(|i| (i as f32).sin() * 1e-7).collect();
    let doubles: Vec<f64> = (0..300).map(|i| f64::from(i).cos() * 1e200).collect();
    let wild: Vec<i32> = (0..500).map(|i| if i % 2 == 0 { i32::MIN } else { i32::MAX - i }).collect();
    let rows = vec![
        segment("HHE", "2020-01-01", Samples::Float32(singles.clone()), "float32", 1),
        segment("HHN", "2020-01-01", Samples::Float64(doubles.clone()), "float64", 2),
        segment("HHZ", "2020-01-01", Samples::Int32(wild.clone()), "int32", 3),
    ];
    house.write(table_rows(rows)).await;
    for (format, version) in [("miniseed", FormatVersion::Two), ("miniseed3", FormatVersion::Three)] {
        let (_, headers, body) = house.get_bytes(&format!("{QUERY}?format={format}")).await;
        let media_type = headers["content-type"].to_str().unwrap();
        assert_eq!(media_type.ends_with("mseed3"), version == FormatVersion::Three);
        for scanned in Scanner::new(&body) {
            let ScanItem::Record { record, .. } = scanned else { panic!("{scanned:?}") };
            assert_eq!((record.format_version, record.length() <= 512), (version, true));
        }
        let traces = traces(&body);
        let found: Vec<_> = traces.iter().map(|trace| (trace.encoding, &trace.samples)).collect();
        use seislake_mseed::Samples as Decoded;
        assert_eq!(
            found,
            [
                (Encoding::Float32, &Decoded::Float32(singles.clone())),
                (Encoding::Float64, &Decoded::Float64(doubles.clone())),
                (Encoding::Int32, &Decoded::Int32(wild.clone())),
            ]
        );
    }
}

#[tokio::test]
async fn pieces_join_and_overlaps_stay_apart() {
    let house = House::empty().await;
    let rows = vec![
        segment("HHZ", "2020-01-01T00:00:00", ramp(0, 1000), "steim2", 1),
        segment("HHZ", "2020-01-01T00:00:10", ramp(1000, 2000), "int16", 2),
        segment("HHZ", "2020-01-01T00:00:15", ramp(7000, 7100), "steim2", 3),
        segment("HHZ", "2020-01-01T00:01:00", ramp(0, 50), "steim2", 4),
    ];
    house.write(table_rows(rows)).await;
    let get = async |query: &str| shapes(&house.get_bytes(&format!("{QUERY}?{query}")).await.2);
    let shape = |second: &str, count| {
        ("FDSN:XX_S1_00_H_H_Z".to_owned(), format!("2020-01-01T00:{second}.000Z"), count)
    };
    let (long, overlap, late) = (shape("00:00", 2000), shape("00:15", 100), shape("01:00", 50));
    assert_eq!(get("").await, [long.clone(), overlap, late.clone()]);
    assert_eq!(get("longestonly=true").await, std::slice::from_ref(&long));
    assert_eq!(get("minimumlength=19.9").await, [long]);
    assert_eq!(get("start=2020-01-01T00:00:59&quality=M").await, [late]);
    let (_, _, body) = house.get_bytes(&format!("{QUERY}?end=2020-01-01T00:00:12&minimumlength=5")).await;
    let traces = traces(&body);
    assert_eq!(traces[0].samples, seislake_mseed::Samples::Int32((0..1201).collect()));
}

#[tokio::test]
async fn post_takes_lines_with_their_own_windows() {
    let house = House::furnished().await;
    let body = "quality=B\nlongestonly=false\n\
                XX S0 -- HHZ 2014-08-24T00:00:10.000000 2014-08-24T00:00:10.09\n\
                XX S* * HH? 2014-08-24T00:00:30 2014-08-24T00:00:30.01\n\
                YY S0 * * 2014-08-24T00:00:30 2014-08-24T00:00:30.01\n";
    let request = Request::post(QUERY).body(Body::from(body)).unwrap();
    let (status, _, answer) = house.send_bytes(request).await;
    assert_eq!(status, StatusCode::OK);
    let counts: Vec<u64> = shapes(&answer).into_iter().map(|shape| shape.2).collect();
    assert_eq!(counts, [10, 2]);
    for (body, part) in [
        ("XX S0 -- HHZ 2014-08-24", "is not of the form NET STA LOC CHA START END"),
        ("colour=red\nXX S0 -- HHZ * *", "\"colour\" is not known"),
        ("XX S0 -- HHZ tomorrow *", "\"tomorrow\" is not a UTC time"),
    ] {
        let (status, text) = house.post(QUERY, "text/plain", body).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn nothing_found_is_204_or_404_and_too_much_is_413() {
    let house = House::furnished().await;
    for query in [
        "net=YY",
        "start=2015-01-01",
        "minimumlength=2",
        "loc=00",
        "start=2014-08-24T00:00:10.992&end=2014-08-24T00:00:19.9",
    ] {
        let (status, _, body) = house.get_bytes(&format!("{QUERY}?{query}")).await;
        assert_eq!((status, body.len()), (StatusCode::NO_CONTENT, 0), "{query}");
        let (status, text) = house.get(&format!("{QUERY}?{query}&nodata=404")).await;
        assert!(status == StatusCode::NOT_FOUND && text.starts_with("Error 404: Not Found\n\n"), "{query}");
    }
    let samples = crate::HttpLimits { fdsn_samples_max: 299, ..Default::default() };
    let pieces = crate::HttpLimits { fdsn_pieces_max: 2, ..Default::default() };
    for (limits, part) in [(samples, "300 samples match; at most 299"), (pieces, "more than 2 pieces")] {
        let request = Request::get(QUERY).body(Body::empty()).unwrap();
        let router = crate::router(house.state.clone(), limits);
        let (status, text) = super::text_of(tower::ServiceExt::oneshot(router, request).await.unwrap()).await;
        assert!(status == StatusCode::PAYLOAD_TOO_LARGE && text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn errors_are_the_text_of_the_specification() {
    let house = House::empty().await;
    for (query, part) in [
        ("starttime=2020-01-02&endtime=2020-01-01", "comes before"),
        ("quality=X", "quality: \"X\" is none of B, D, M, Q, R"),
        ("format=sac", "format: \"sac\" is none of"),
        ("minimumlength=-1", "-1 is less than 0"),
        ("network=A;B", "network: \"A;B\" is not a code"),
        ("longestonly=perhaps", "neither true nor false"),
        ("level=channel", "\"level\" is not known"),
    ] {
        let (status, text) = house.get(&format!("{QUERY}?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {text}");
        assert!(text.starts_with("Error 400: Bad Request\n\n") && text.contains(part), "{query}: {text}");
    }
}

#[tokio::test]
async fn records_keep_their_quality_and_are_chosen_by_it() {
    let house = House::empty().await;
    let of = |quality: &str, start: &str, offset| Segment {
        quality: quality.into(),
        ..segment("HHZ", start, ramp(0, 100), "steim2", offset)
    };
    let rows = vec![
        of("D", "2020-01-01T00:00:00", 1),
        of("Q", "2020-01-01T00:00:01", 2),
        // Publication version 4 of miniSEED 3 is M.
        of("4", "2020-01-01T00:00:02", 3),
        of("R", "2020-01-01T00:00:03", 4),
    ];
    house.write(table_rows(rows)).await;
    let letters = async |query: &str| -> String {
        let (_, _, body) = house.get_bytes(&format!("{QUERY}?{query}")).await;
        let letter = |scanned| match scanned {
            ScanItem::Record { record, .. } => record.quality.letter(),
            other => panic!("{other:?}"),
        };
        Scanner::new(&body).map(letter).collect()
    };
    for (query, expected) in [
        ("", "DQMR"),
        ("quality=B", "DQMR"),
        ("quality=M", "DQMR"),
        ("quality=D", "D"),
        ("quality=Q", "Q"),
        ("quality=R&format=miniseed3", "R"),
        ("format=miniseed3", "DQMR"),
        ("quality=Q&start=2020-01-01T00:00:02.5", ""),
    ] {
        assert_eq!(letters(query).await, expected, "{query}");
    }
    let (_, text) = house.get("/fdsnws/availability/1/query?quality=M,R").await;
    let qualities: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(4)).collect();
    assert_eq!(qualities, ["M", "R"], "{text}");
    let (_, text) = house.get("/fdsnws/availability/1/query?merge=quality&format=request").await;
    assert_eq!(text.lines().count(), 1, "one span where quality makes no difference: {text}");
}

/// A station whose channel is closed for ten seconds.
const CLOSED: &str = r#"<FDSNStationXML schemaVersion="1.2"><Network code="XX"><Station code="S1"
startDate="2019-01-01T00:00:00Z"><Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation><Site><Name>A</Name>
</Site><Channel code="HHZ" locationCode="00" startDate="2020-01-01T00:00:10Z" endDate="2020-01-01T00:00:20Z"
restrictedStatus="closed"><Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation><Depth>0</Depth>
</Channel></Station></Network></FDSNStationXML>"#;

#[tokio::test]
async fn closed_data_count_as_absent_unless_the_door_is_private() {
    let house = House::empty().await;
    house.write(table_rows(vec![segment("HHZ", "2020-01-01", ramp(0, 3000), "steim2", 1)])).await;
    let inventory = seislake_exchange::stationxml::read(CLOSED.as_bytes()).unwrap().value;
    house.state.stations.upsert(inventory).await.unwrap();
    let (_, _, body) = house.get_bytes(&format!("{QUERY}?net=XX")).await;
    let shape = |second: &str, count| {
        ("FDSN:XX_S1_00_H_H_Z".to_owned(), format!("2020-01-01T00:00:{second}.000Z"), count)
    };
    assert_eq!(shapes(&body), [shape("00", 1000), shape("20", 1000)], "cut where the epoch begins and ends");
    let inside = format!("{QUERY}?start=2020-01-01T00:00:10&end=2020-01-01T00:00:19.99");
    assert_eq!(house.get(&inside).await.0, StatusCode::NO_CONTENT);
    assert_eq!(house.get(&format!("{inside}&nodata=404")).await.0, StatusCode::NOT_FOUND);
    let line = "XX S1 00 HHZ 2020-01-01T00:00:10 2020-01-01T00:00:19.99";
    assert_eq!(house.post(QUERY, "text/plain", line).await.0, StatusCode::NO_CONTENT, "by POST as well");
    let limits = crate::HttpLimits { serve_restricted: true, ..Default::default() };
    let router = crate::router(house.state.clone(), limits);
    let request = Request::get(&inside).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(shapes(&body), [shape("10", 1000)]);
    let rows = async |query: &str| -> Vec<String> {
        let (_, text) = house.get(&format!("/fdsnws/availability/1/extent?{query}")).await;
        let cells = |line: &str| line.split_whitespace().skip(6).map(str::to_owned).collect::<Vec<_>>();
        let row = |line: &str| {
            let cells = cells(line);
            format!("{} {} {}", &cells[0][17..19], &cells[1][17..22], cells[4])
        };
        text.lines().skip(1).map(row).collect()
    };
    assert_eq!(rows("").await, ["00 29.99 OPEN"]);
    assert_eq!(rows("includerestricted=true").await, ["00 29.99 OPEN", "10 19.99 RESTRICTED"]);
}

#[tokio::test]
async fn an_answer_that_may_not_read_ahead_is_the_same() {
    let house = House::empty().await;
    // More channels than a chunk holds: two chunks.
    let one = |number: u64| {
        let channel =
            format!("{}{}Z", char::from(b'A' + (number / 26) as u8), char::from(b'A' + (number % 26) as u8));
        segment(&channel, "2026-01-01T00:00:00Z", ramp(0, 20), "steim2", number)
    };
    house.write(table_rows((0..300).map(one).collect())).await;
    let (status, _, ahead) = house.get_bytes(QUERY).await;
    assert_eq!(status, StatusCode::OK);
    let all = crate::records::AHEAD.acquire_many(crate::records::AHEAD_MAX as u32).await.unwrap();
    let (status, _, alone) = house.get_bytes(QUERY).await;
    drop(all);
    assert_eq!((status, shapes(&alone).len()), (StatusCode::OK, 300));
    assert!(ahead == alone);
}
