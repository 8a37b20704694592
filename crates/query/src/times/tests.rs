//! Times of the years 1 to 9999 through everything that compares, chooses, cuts and joins them.

use crate::asking::answer;

/// Five moments in microseconds, as the columns of the tables have them, with their numbers.
const MOMENTS: &str = "WITH t AS (SELECT n, arrow_cast(x, 'Timestamp(Microsecond, Some(\"+00:00\"))') AS at, x FROM (VALUES \
    (1, '0001-01-01T00:00:00'), (2, '1969-12-31T23:59:59.5'), (3, '2024-02-29T12:00:00.25'), \
    (4, '2599-12-31T23:59:59'), (5, '9999-12-31T23:59:59.999999')) AS v(n, x)) ";

/// Numbers of the moments of which a condition is true.
async fn numbers(condition: &str) -> Result<String, String> {
    let rows = answer(&format!("{MOMENTS} SELECT n FROM t WHERE {condition} ORDER BY n")).await?;
    Ok(rows.replace(';', ""))
}

#[tokio::test]
async fn conditions_hold_for_the_moments_they_should() {
    let mut wrong = vec![];
    for (condition, expected) in [
        ("at < now()", "123"),
        ("at < DATE '2024-02-29' + INTERVAL '12 hours'", "12"),
        ("at > DATE '2024-02-29' + INTERVAL '12 hours'", "345"),
        ("at > INTERVAL '12 hours' + DATE '2024-02-29'", "345"),
        ("at > DATE '2024-03-01' - INTERVAL '12 hours'", "345"),
        ("at IN (SELECT v FROM (VALUES (TIMESTAMP '2024-01-01'), (DATE '2024-01-02')) AS t(v))", ""),
        ("at >= now()", "45"),
        ("at < to_timestamp('2024-03-01')", "123"),
        ("at >= to_timestamp('2599-01-01T00:00:00')", "45"),
        ("at > to_timestamp_nanos(0)", "345"),
        ("to_timestamp_nanos(0) < at", "345"),
        ("now() < DATE '2599-01-01'", "12345"),
        ("at < DATE '2599-01-01'", "123"),
        ("DATE '0001-01-01' = at", "1"),
        ("at > DATE '9999-12-31'", "5"),
        ("at = '0001-01-01'", "1"),
        ("at = x", "12345"),
        ("x = at", "12345"),
        ("at IN ('0001-01-01', '2599-12-31T23:59:59', '2024-02-29T12:00:00.25')", "134"),
        ("at NOT IN (DATE '0001-01-01', '2599-12-31T23:59:59')", "235"),
        ("at IN (to_timestamp_seconds(0), x)", "12345"),
        ("at IN (SELECT DATE '0001-01-01')", "1"),
        ("at IN (SELECT x FROM t WHERE n > 3)", "45"),
        ("at BETWEEN '0001-01-01' AND '2024-12-31'", "123"),
        ("at BETWEEN DATE '2024-01-01' AND DATE '9999-12-31'", "34"),
        ("at BETWEEN to_timestamp_nanos(0) AND '9999-01-01'", "34"),
        ("at IS DISTINCT FROM DATE '0001-01-01'", "2345"),
        ("at IS NOT DISTINCT FROM x AND n > 1", "2345"),
        ("at > to_timestamp_seconds(1709208000)", "345"),
        ("at = to_timestamp_seconds(1709208000)", ""),
        ("at = to_timestamp_millis(1709208000250)", "3"),
        ("at = to_timestamp_nanos(1709208000250000000)", "3"),
        ("at::TIMESTAMP = at", "12345"),
        ("at::DATE = DATE '2599-12-31'", "4"),
        ("CAST(at AS TIMESTAMP) >= TIMESTAMP '2599-01-01'", "45"),
        ("x::TIMESTAMP = at", "12345"),
        ("coalesce(at, '0001-01-01') < '0001-01-02'", "1"),
        ("coalesce(at, DATE '0001-01-01') > now()", "45"),
        ("greatest(at, now()) = at", "45"),
        ("least(at, DATE '2000-01-01') = at", "12"),
        ("nullif(at, '9999-12-31T23:59:59.999999') IS NULL", "5"),
        ("CASE WHEN n = 1 THEN at ELSE now() END < DATE '1000-01-01'", "1"),
        ("CASE at WHEN DATE '0001-01-01' THEN true END", "1"),
        ("date_trunc('year', at) = '0001-01-01'", "1"),
        ("date_trunc('year', at) = DATE '2599-01-01'", "4"),
        (
            "date_trunc('week', at) <= at AND date_trunc('month', at) <= at AND date_trunc('hour', at) <= at",
            "12345",
        ),
        ("date_bin(INTERVAL '1 day', at) = date_trunc('day', at)", "12345"),
        ("date_bin(INTERVAL '1 month', at, '0001-01-01') = date_trunc('month', at)", "12345"),
        ("date_bin(INTERVAL '10 years', at, TIMESTAMP '0001-01-01') = '0001-01-01'", "1"),
        ("extract(year FROM at) = 2599", "4"),
        ("date_part('year', at) IN (1, 9999)", "15"),
        ("extract(epoch FROM at) > 253402300799", "5"),
        ("to_char(at, '%Y') = '2599'", "4"),
        ("date_format(at, '%Y-%m') = '0001-01'", "1"),
        ("to_date(at) = DATE '9999-12-31'", "5"),
        ("to_unixtime(at) > 253402300000", "5"),
        ("to_unixtime('2599-12-31T23:59:59') = to_unixtime(at)", "4"),
        ("to_timestamp_seconds(at) < '0001-01-02' AND to_timestamp_micros(at) < '0001-01-02'", "1"),
        ("to_local_time(at) < '0001-01-02'", "1"),
        ("(at AT TIME ZONE 'UTC') >= '2599-01-01'", "45"),
        ("array_has([DATE '2599-12-31'::TIMESTAMP + INTERVAL '86399 seconds'], at)", "4"),
        ("now() > at IS NOT TRUE", "45"),
        ("at + INTERVAL '1 day' > '2599-12-31'", "45"),
        ("at - INTERVAL '1 day' < '0001-01-01'", "1"),
        ("at > (SELECT max(x) FROM t WHERE n = 3)", "45"),
        ("EXISTS (SELECT 1 FROM (VALUES (DATE '2599-12-31')) AS u(d) WHERE t.at > d)", "45"),
    ] {
        let found = numbers(condition).await;
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("{condition}: {found:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn values_are_the_times_they_should_be() {
    let mut wrong = vec![];
    for (sql, expected) in [
        ("SELECT to_timestamp('2599-12-31T23:59:59')", "2599-12-31T23:59:59"),
        ("SELECT to_timestamp(99999999999)", "5138-11-16T09:46:39"),
        ("SELECT to_timestamp(99999999999.5)", "5138-11-16T09:46:39.500"),
        ("SELECT to_timestamp('2024-01-01T00:00:00.123456789')", "2024-01-01T00:00:00.123456789"),
        ("SELECT DATE '2599-12-31'", "2599-12-31"),
        ("SELECT DATE '2599-12-31'::TIMESTAMP", "2599-12-31T00:00:00"),
        ("SELECT DATE '2599-12-31' + INTERVAL '1 day'", "2600-01-01T00:00:00"),
        ("SELECT TIMESTAMP '0001-01-01' UNION SELECT now() WHERE false", "0001-01-01T00:00:00"),
        (
            "SELECT DATE '0001-01-01' UNION ALL SELECT TIMESTAMP '2024-01-01' ORDER BY 1",
            "0001-01-01T00:00:00;2024-01-01T00:00:00",
        ),
        (
            "SELECT '9999-12-31' UNION ALL SELECT TIMESTAMP '2024-01-01' ORDER BY 1",
            "2024-01-01T00:00:00;9999-12-31T00:00:00",
        ),
        ("SELECT TIMESTAMP '0001-01-01' INTERSECT SELECT DATE '0001-01-01'", "0001-01-01T00:00:00"),
        (
            "SELECT count(*) FROM (VALUES (DATE '2599-01-01')) AS a(x) JOIN (VALUES (TIMESTAMP '2599-01-01')) AS b(y) ON x = y",
            "1",
        ),
        (
            "SELECT count(*) FROM (VALUES (DATE '2599-01-01')) AS a(x) JOIN (VALUES (TIMESTAMP '2599-01-01')) AS b(x) USING (x)",
            "1",
        ),
        (
            "SELECT count(*) FROM (VALUES (DATE '2599-01-01')) AS a(x) JOIN (VALUES (TIMESTAMP '2600-01-01')) AS b(y) ON x < y",
            "1",
        ),
        ("SELECT date_trunc('quarter', TIMESTAMP '2599-12-31T23:59:59')", "2599-10-01T00:00:00"),
        ("SELECT date_trunc('day', DATE '2599-12-31')", "2599-12-31T00:00:00"),
        ("SELECT date_trunc('month', '0001-02-03')", "0001-02-01T00:00:00"),
        (
            "SELECT date_trunc('microsecond', TIMESTAMP '2024-01-01T00:00:00.123456789')",
            "2024-01-01T00:00:00.123456",
        ),
        ("SELECT date_bin('15 minutes', TIMESTAMP '2599-12-31T23:59:59')", "2599-12-31T23:45:00"),
        ("SELECT date_bin(NULL, TIMESTAMP '2599-12-31T23:59:59')", ""),
        ("SELECT date_trunc('day', CAST(NULL AS TIMESTAMP))", ""),
        ("SELECT date_trunc('hour', TIME '12:34:56')", "12:00:00"),
        (
            "SELECT min(x), max(x) FROM (VALUES (TIMESTAMP '0001-01-01'), (TIMESTAMP '9999-12-31'), (now())) AS t(x)",
            "0001-01-01T00:00:00,9999-12-31T00:00:00",
        ),
        ("SELECT TIMESTAMP '2599-01-01' - TIMESTAMP '2598-12-31'", "PT86400S"),
    ] {
        let found = answer(sql).await;
        if found.as_deref().map(|found| found.replace('Z', "")) != Ok(expected.to_owned()) {
            wrong.push(format!("{sql}: {found:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What no time is says so; it is no null, and no panic.
#[tokio::test]
async fn what_is_beyond_all_times_is_an_error() {
    let mut wrong = vec![];
    for sql in [
        "SELECT to_timestamp(1e300)",
        "SELECT to_timestamp(9223372036854775807)",
        "SELECT to_timestamp('no time')",
        "SELECT to_timestamp_nanos(TIMESTAMP '2599-01-01')",
        "SELECT arrow_cast(TIMESTAMP '2599-01-01', 'Timestamp(Nanosecond, None)')",
        "SELECT TIMESTAMP '9999-12-31' + INTERVAL '2000000000 months'",
        "SELECT date_bin(INTERVAL '0 days', TIMESTAMP '2024-01-01')",
        "SELECT date_bin(INTERVAL '-1 day', TIMESTAMP '2024-01-01')",
        "SELECT date_trunc('fortnight', TIMESTAMP '2024-01-01')",
    ] {
        match answer(sql).await {
            Ok(rows) => wrong.push(format!("{sql}: {rows}")),
            Err(said) if said.contains("panicked") => wrong.push(format!("{sql}: {said}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
