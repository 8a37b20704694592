//! GraphQL: nested bulletin, paging, time travel, limits.

use axum::http::StatusCode;
use seislake_model::{Event, EventStatus, Origin};
use serde_json::{Value, json};

use super::{House, event, origin, table_rows, with_magnitude};

async fn ask(house: &House, query: &str) -> (StatusCode, Value) {
    let body = json!({ "query": query }).to_string();
    let (status, text) = house.post("/graphql", "application/json", body).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn data(house: &House, query: &str) -> Value {
    let (status, mut answer) = ask(house, query).await;
    assert_eq!((status, &answer["errors"]), (StatusCode::OK, &Value::Null), "{query}");
    answer["data"].take()
}

/// The only error of an answer: status, code, message.
async fn error(house: &House, query: &str) -> (StatusCode, String, String) {
    let (status, answer) = ask(house, query).await;
    let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{query}: {answer}"));
    assert_eq!(errors.len(), 1, "{answer}");
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    (status, text(&errors[0]["extensions"]["code"]), text(&errors[0]["message"]))
}

fn ids(connection: &Value) -> Vec<&str> {
    connection["nodes"].as_array().unwrap().iter().map(|node| node["eventId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_carries_what_stands_behind_it() {
    let house = House::furnished().await;
    let answer = data(
        &house,
        "{ events(first: 2, orderBy: ORIGIN_TIME_ASC) { totalCount nodes { eventId revision status originTime magnitude \
           magnitudeType qualityFlag preferredOrigin { originId } origins { rmsS azimuthalGap covarianceKm2 \
           arrivals { phase residualS distanceKm pick { pickTime sourceId polarity arrivals { eventId } } } } \
           magnitudes { magnitudeType magnitude uncertainty } amplitudes { amplitudeMm } } pageInfo { hasNextPage } } }",
    )
    .await;
    let events = &answer["events"];
    assert_eq!((&events["totalCount"], ids(events)), (&json!(3), vec!["event/0", "event/1"]));
    assert_eq!(events["pageInfo"]["hasNextPage"], true);
    let first = &events["nodes"][0];
    assert_eq!(first["originTime"], "2014-08-24T00:00:00.123456789Z");
    assert_eq!((&first["revision"], &first["status"]), (&json!(2), &json!("CLOSED")));
    assert_eq!(first["magnitudes"], json!([{"magnitudeType": "ML", "magnitude": 1.5, "uncertainty": 0.2}]));
    assert_eq!(first["amplitudes"], json!([{"amplitudeMm": 1.5}]));
    let arrivals = first["origins"][0]["arrivals"].as_array().unwrap();
    assert_eq!(arrivals.len(), 3);
    assert_eq!(arrivals[2]["phase"], "S");
    assert_eq!(arrivals[0]["pick"]["sourceId"], "FDSN:XX_S0__H_H_Z");
    assert_eq!(arrivals[0]["pick"]["arrivals"], json!([{"eventId": "event/0"}]));
}

/// A page asks for its origins near the times of its events: how many others there are does not count.
#[tokio::test]
async fn preferred_origins_are_looked_for_near_the_times_of_the_page() {
    let house = House::empty().await;
    let event = event(0);
    let far = Origin { origin_time: event.origin_time.add_seconds(-400.0 * 86_400.0), ..origin(&event) };
    house.write(table_rows(vec![event.clone()])).await;
    house.write(table_rows(vec![far])).await;
    const PAGE: &str = "{ events(first: 1) { nodes { eventId preferredOrigin { originId rmsS } } } }";
    assert_eq!(data(&house, PAGE).await["events"]["nodes"][0]["preferredOrigin"], Value::Null);
    house.write(table_rows(vec![origin(&event)])).await;
    let found = data(&house, PAGE).await;
    assert_eq!(found["events"]["nodes"][0]["preferredOrigin"], json!({"originId": "origin/0", "rmsS": 0.1}));
}

/// Field names of an answer in the order in which they stand in its text.
fn keys_as_written(text: &str) -> Vec<&str> {
    text.split('"')
        .collect::<Vec<_>>()
        .windows(2)
        .filter(|two| two[1].starts_with(':'))
        .map(|two| two[0])
        .collect()
}

#[tokio::test]
async fn fields_are_answered_in_the_order_of_the_query() {
    let house = House::furnished().await;
    // What needs a statement is asked for before what is there already; the fragment adds to a field named before it.
    let query = "query { z: events(first: 1, orderBy: ORIGIN_TIME_ASC) { totalCount snapshotId ...page nodes { magnitudes { uncertainty magnitude } \
                 revision eventId } } a: stations(first: 1) { totalCount } } \
                 fragment page on EventConnection { nodes { status } pageInfo { hasPreviousPage hasNextPage } }";
    let body = json!({ "query": query }).to_string();
    for _ in 0..3 {
        let (status, text) = house.post("/graphql", "application/json", body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let found = keys_as_written(&text);
        let expected = [
            "data",
            "z",
            "totalCount",
            "snapshotId",
            "nodes",
            "status",
            "magnitudes",
            "uncertainty",
            "magnitude",
            "revision",
            "eventId",
            "pageInfo",
            "hasPreviousPage",
            "hasNextPage",
            "a",
            "totalCount",
        ];
        assert_eq!(found, expected, "{text}");
    }
}

#[tokio::test]
async fn a_body_without_a_query_is_told_so() {
    let house = House::empty().await;
    for body in ["{}", "{\"variables\": {}}", "{\"query\": \" \"}"] {
        let (status, text) = house.post("/graphql", "application/json", body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &answer["errors"][0]["extensions"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID_ARGUMENT"))
        );
        let message = "the body is not a GraphQL request: \"query\" is missing";
        assert_eq!(answer["errors"][0]["message"], message, "{body}");
    }
}

#[tokio::test]
async fn events_are_filtered_and_found_by_id() {
    let house = House::furnished().await;
    for (filter, expected) in [
        ("{magnitude: {gte: 2}}", vec!["event/1"]),
        (
            "{within: {box: {latitudeMin: 63, latitudeMax: 64.5, longitudeMin: -20, longitudeMax: 0}}}",
            vec!["event/0"],
        ),
        ("{within: {radius: {latitude: 66, longitude: -17, radiusKm: 10}}}", vec!["event/2"]),
        ("{timeRange: {from: \"2014-08-24T00:00:30Z\", to: \"2014-08-24T00:01:30Z\"}}", vec!["event/1"]),
        ("{depthKm: {gte: 6}}", vec![]),
    ] {
        let answer = data(&house, &format!("{{ events(filter: {filter}) {{ nodes {{ eventId }} }} }}")).await;
        assert_eq!(ids(&answer["events"]), expected, "{filter}");
    }
    let answer =
        data(&house, "{ a: event(id: \"event/1\") { magnitude } b: event(id: \"event/3\") { magnitude } }")
            .await;
    assert_eq!(answer, json!({"a": {"magnitude": 2.5}, "b": null}), "a withdrawn event is not shown");
}

#[tokio::test]
async fn pages_go_through_the_list_in_each_order_and_see_one_state_of_the_lake() {
    for order in ["ORIGIN_TIME_DESC", "ORIGIN_TIME_ASC", "MAGNITUDE_DESC", "MAGNITUDE_ASC"] {
        let house = House::furnished().await;
        let page = |after: Option<String>| {
            let after = after.map(|cursor| format!(", after: \"{cursor}\"")).unwrap_or_default();
            format!(
                "{{ events(first: 1, orderBy: {order}{after}) {{ totalCount snapshotId nodes {{ eventId }} \
                 pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }}"
            )
        };
        let whole = data(&house, &format!("{{ events(orderBy: {order}) {{ nodes {{ eventId }} }} }}")).await;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let answer = data(&house, &page(after.clone())).await;
            let events = &answer["events"];
            assert_eq!(events["totalCount"], 3, "{order}: what came later is not counted");
            assert_eq!(events["pageInfo"]["hasPreviousPage"], json!(after.is_some()));
            found.extend(ids(events).into_iter().map(str::to_owned));
            after = events["pageInfo"]["endCursor"].as_str().map(str::to_owned);
            if events["pageInfo"]["hasNextPage"] == false {
                break;
            }
            // An event that fits between the pages arrives while the client reads.
            house.write(table_rows(vec![with_magnitude(&event(10 + found.len() as u32), 2.0)])).await;
        }
        assert_eq!(found, ids(&whole["events"]), "{order}");
    }
}

#[tokio::test]
async fn as_of_shows_the_lake_as_it_was() {
    let house = House::furnished().await;
    let before = data(&house, "{ events { snapshotId totalCount } }").await;
    house.write(table_rows(vec![event(20)])).await;
    let snapshot = before["events"]["snapshotId"].as_str().unwrap();
    let query = format!(
        "{{ then: events(asOf: {{snapshotId: \"{snapshot}\"}}) {{ totalCount }} now: events {{ totalCount }} \
         never: events(asOf: {{timestamp: \"2001-01-01\"}}) {{ totalCount }} }}"
    );
    let answer = data(&house, &query).await;
    assert_eq!(answer["then"]["totalCount"], 3);
    assert_eq!(answer["now"]["totalCount"], 4);
    assert_eq!(answer["never"]["totalCount"], 0);
    let (status, code, message) =
        error(&house, "{ events(asOf: {snapshotId: \"4711\"}) { totalCount } }").await;
    assert_eq!((status, code.as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{message}");
}

#[tokio::test]
async fn picks_stations_and_segments_are_lists_too() {
    let house = House::furnished().await;
    let answer = data(
        &house,
        "{ picks(station: \"S2\", phase: S, first: 2) { totalCount nodes { pickId station phase } pageInfo { hasNextPage } } \
           stations(first: 2) { totalCount nodes { station channels { channel } } pageInfo { endCursor } } }",
    )
    .await;
    assert_eq!(answer["picks"]["totalCount"], 3);
    assert_eq!(answer["picks"]["pageInfo"]["hasNextPage"], true);
    assert_eq!(answer["stations"]["totalCount"], 3);
    assert_eq!(answer["stations"]["nodes"][0], json!({"station": "S0", "channels": [{"channel": "HHZ"}]}));
    let cursor = answer["stations"]["pageInfo"]["endCursor"].as_str().unwrap();
    let rest = data(&house, &format!("{{ stations(after: \"{cursor}\") {{ nodes {{ station }} }} }}")).await;
    assert_eq!(rest["stations"]["nodes"], json!([{"station": "S2"}]));
}

#[tokio::test]
async fn segments_share_a_moment_with_the_window_and_bring_samples_when_asked() {
    let house = House::furnished().await;
    let ask = |fields: &str, more: &str| {
        format!(
            "{{ waveformSegments(sourceId: \"FDSN:XX_S0__H_H_Z\", timeRange: {{from: \"2014-08-24T00:00:10.5Z\", \
             to: \"2014-08-24T00:00:20Z\"}}{more}) {{ totalCount pageInfo {{ endCursor hasNextPage }} nodes {{ {fields} }} }} }}"
        )
    };
    let answer = data(&house, &ask("startTime sampleCount samples", "")).await;
    let segments = &answer["waveformSegments"];
    assert_eq!(segments["totalCount"], 2);
    assert_eq!(segments["nodes"][1]["startTime"], "2014-08-24T00:00:20.000Z");
    assert_eq!(segments["nodes"][1]["samples"][99], 198.0);
    let answer = data(&house, &ask("startTime", ", first: 1")).await;
    let cursor = answer["waveformSegments"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    let answer = data(&house, &ask("startTime", &format!(", after: \"{cursor}\""))).await;
    assert_eq!(answer["waveformSegments"]["nodes"], json!([{"startTime": "2014-08-24T00:00:20.000Z"}]));
}

#[tokio::test]
async fn a_query_ten_levels_deep_is_refused_in_one_sentence_and_nine_levels_are_answered() {
    let house = House::furnished().await;
    let nested = |inner: &str| {
        format!(
            "{{ events {{ nodes {{ origins {{ arrivals {{ pick {{ arrivals {{ pick {{ {inner} }} }} }} }} }} }} }} }}"
        )
    };
    let (status, code, message) = error(&house, &nested("arrivals { pick { pickId } }")).await;
    assert_eq!((status, code.as_str()), (StatusCode::BAD_REQUEST, "QUERY_TOO_DEEP"));
    assert!(message.contains("10 levels") && message.contains('9'), "{message}");
    data(&house, &nested("arrivals { pickId }")).await;
    let (_, code, _) = error(
        &house,
        "{ events { nodes { origins { ...A } } } } fragment A on Origin { arrivals { pick { arrivals { pick { arrivals \
         { pick { pickId } } } } } } }",
    )
    .await;
    assert_eq!(code, "QUERY_TOO_DEEP", "fragments count");
}

#[tokio::test]
async fn ten_million_rows_are_refused_in_one_sentence() {
    let house = House::empty().await;
    let (status, code, message) = error(&house, "{ events(first: 10000000) { nodes { eventId } } }").await;
    assert_eq!((status, code.as_str()), (StatusCode::BAD_REQUEST, "PAGE_TOO_LARGE"));
    assert!(message.contains("10000000") && message.contains("1000"), "{message}");
}

#[tokio::test]
async fn wrong_queries_have_a_code_each() {
    let house = House::empty().await;
    for (query, code) in [
        ("{ events { nodes { colour } } }", "INVALID_QUERY"),
        ("{ events ", "INVALID_QUERY"),
        ("{ events(after: \"nonsense\") { nodes { eventId } } }", "INVALID_ARGUMENT"),
        ("{ events(first: -1) { nodes { eventId } } }", "INVALID_ARGUMENT"),
        ("{ waveformSegments(sourceId: \"XX\", timeRange: {}) { nodes { sourceId } } }", "INVALID_ARGUMENT"),
        (
            "{ a: events(first: 1000) { nodes { origins { arrivals { pick { arrivals { pick { pickId } } } } } } } \
               b: events(first: 1000) { nodes { origins { arrivals { pick { arrivals { pick { pickId } } } } } } } }",
            "QUERY_TOO_COMPLEX",
        ),
        ("{ events(filter: {timeRange: {from: \"yesterday\"}}) { nodes { eventId } } }", "INVALID_QUERY"),
    ] {
        let (status, found, message) = error(&house, query).await;
        assert_eq!((status, found.as_str()), (StatusCode::BAD_REQUEST, code), "{query}: {message}");
    }
    let (_, text) =
        house.post("/graphql", "application/json", json!({"query": "mutation{x}"}).to_string()).await;
    assert_eq!(text.matches("\"message\"").count(), 1, "told once: {text}");
    let (status, text) = house.post("/graphql", "application/json", "not json").await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("INVALID_ARGUMENT"), "{text}");
}

#[tokio::test]
async fn variables_are_coerced_before_anything_looks_at_them() {
    let house = House::furnished().await;
    let ask = async |query: &str, variables: Value| {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let (status, text) = house.post("/graphql", "application/json", body).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let keys = async |query: &str, variables: Value| {
        let (status, answer) = ask(query, variables).await;
        assert_eq!((status, &answer["errors"]), (StatusCode::OK, &Value::Null), "{query}");
        let node = &answer["data"]["events"]["nodes"][0];
        node.as_object().unwrap_or_else(|| panic!("{query}: {answer}")).keys().cloned().collect::<Vec<_>>()
    };
    let events = |definition: &str, fields: &str| {
        format!("query({definition}) {{ events(first: 1) {{ nodes {{ {fields} }} }} }}")
    };
    // Defaults decide, and what is sent decides against them.
    let included = events("$i: Boolean = true", "magnitude eventId @include(if: $i)");
    assert_eq!(keys(&included, json!({})).await, ["eventId", "magnitude"]);
    assert_eq!(keys(&included, json!({"i": false})).await, ["magnitude"]);
    let skipped = events("$s: Boolean = true", "magnitude eventId @skip(if: $s)");
    assert_eq!(keys(&skipped, json!({})).await, ["magnitude"]);
    assert_eq!(keys(&skipped, json!({"s": false})).await, ["eventId", "magnitude"]);
    // An object all of whose fields are skipped is empty, not null.
    for fields in
        ["eventId @skip(if: $s)", "... @skip(if: $s) { eventId }", "... on Event { eventId @skip(if: $s) }"]
    {
        assert_eq!(keys(&events("$s: Boolean = true", fields), json!({})).await, [""; 0], "{fields}");
        assert_eq!(keys(&events("$s: Boolean = true", fields), json!({"s": false})).await, ["eventId"]);
    }
    let nothing = "query($s: Boolean!) { events(first: 1) @skip(if: $s) { totalCount } }";
    assert_eq!(ask(nothing, json!({"s": true})).await.1["data"], json!({}));
    // A condition whose variable may have no value is none, wherever it stands.
    let events = "events(first: 1) { totalCount }";
    for (definition, document) in [
        ("$s: Boolean", format!("{{ a: {events} ... @include(if: $s) {{ {events} }} }}")),
        ("$s: Boolean", format!("{{ __typename ...E @skip(if: $s) }} fragment E on Query {{ {events} }}")),
        (
            "$s: Boolean",
            format!(
                "{{ ...E }} fragment E on Query {{ ...F }} fragment F on Query {{ __typename @include(if: $s) {events} }}"
            ),
        ),
        (
            "$s: Boolean = null",
            "{ events(first: 1) { totalCount nodes @include(if: $s) { eventId } } }".to_owned(),
        ),
        ("$s: String = \"true\"", "{ __typename @include(if: $s) }".to_owned()),
        ("$s: [Boolean!]!", "{ __typename @skip(if: $s) }".to_owned()),
    ] {
        let (kind, _) =
            definition.trim_start_matches("$s: ").split_once(" =").unwrap_or((&definition[4..], ""));
        let wrong =
            format!("Variable \"$s\" of type \"{kind}\" used in position expecting type \"Boolean!\".");
        let (status, answer) = ask(&format!("query({definition}) {document}"), json!({})).await;
        let told = answer["errors"][0]["message"].as_str();
        assert_eq!((status, told), (StatusCode::BAD_REQUEST, Some(wrong.as_str())), "{document}");
    }
    let (status, answer) = ask(
        "query A($s: Boolean) { __typename } query B($s: Boolean!) { ...F } fragment F on Query { a: __typename @include(if: $s) }",
        json!({"s": true}),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "no operation is named: {answer}");
    let first = "query($n: Int!) { events(first: $n) { nodes { eventId } } }";
    let by_id = |definition: &str| format!("query({definition}) {{ event(id: $v) {{ eventId }} }}");
    for (query, variables, message) in [
        (nothing, json!({}), "Variable \"$s\" of required type \"Boolean!\" was not provided."),
        (first, json!({}), "Variable \"$n\" of required type \"Int!\" was not provided."),
        (first, json!({"n": null}), "Variable \"$n\" of non-null type \"Int!\" must not be null."),
        (first, json!({"n": "one"}), "Variable \"$n\" got invalid value \"one\"; Expected type \"Int\"."),
        (first, json!({"n": [1]}), "Variable \"$n\" got invalid value [1]; Expected type \"Int\"."),
        (
            nothing,
            json!({"s": "yes"}),
            "Variable \"$s\" got invalid value \"yes\"; Expected type \"Boolean\".",
        ),
        (&by_id("$v: [String!]!"), json!({"v": ["a", null]}), "not to be null."),
        (&by_id("$v: [String!]!"), json!({"v": "a"}), "expected type \"String\""),
        (&by_id("$v: [String!]!"), json!({"v": ["a"]}), "expected type \"String\""),
    ] {
        let (status, answer) = ask(query, variables).await;
        let said = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && said.contains(message), "{query}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_QUERY");
    }
}

#[tokio::test]
async fn queries_go_by_get_too_and_introspection_is_answered() {
    let house = House::furnished().await;
    let (status, answer) = house.get_json("/graphql?query=%7Bevents%28first%3A1%29%7BtotalCount%7D%7D").await;
    assert_eq!((status, &answer["data"]["events"]["totalCount"]), (StatusCode::OK, &json!(3)));
    assert_eq!(house.get("/graphql").await.0, StatusCode::BAD_REQUEST);
    let deep = "{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } } }";
    data(&house, deep).await;
}

#[tokio::test]
async fn who_asks_for_a_merged_event_is_given_its_survivor() {
    let house = House::furnished().await;
    let merged = |number: u32, revision, into: u32| Event {
        revision,
        status: EventStatus::Deleted,
        merged_into: Some(format!("event/{into}").into()),
        ..event(number)
    };
    house.write(table_rows(vec![merged(0, 3, 1), merged(1, 3, 2)])).await;
    let found =
        data(&house, "{ event(id: \"event/0\") { eventId provenance { evaluationMode agencyId } } }").await;
    assert_eq!(found["event"]["eventId"], "event/2");
    assert_eq!(found["event"]["provenance"]["evaluationMode"], "AUTOMATIC");
    assert_eq!(found["event"]["provenance"]["agencyId"], "seislake", "what names no agency is ours");
    assert_eq!(data(&house, "{ event(id: \"event/none\") { eventId } }").await["event"], Value::Null);
    let picks = data(&house, "{ picks(first: 1) { nodes { arrivals { event { eventId } } } } }").await;
    assert_eq!(picks["picks"]["nodes"][0]["arrivals"][0]["event"]["eventId"], "event/2");
    let (_, page) = house.get_json("/events?event_id=event/1").await;
    assert_eq!(page["events"][0]["event_id"], "event/2");
    let (_, text) = house.get("/fdsnws/event/1/query?format=text&eventid=event/0,event/1").await;
    assert_eq!(text.lines().count(), 2, "once: {text}");
    assert!(text.contains("\nevent/2|"), "{text}");
    let all = data(&house, "{ events { nodes { eventId mergedInto } } }").await;
    assert_eq!(all["events"]["nodes"].as_array().unwrap().len(), 1, "merged ones are not listed");
}
