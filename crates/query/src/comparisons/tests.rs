//! Numbers beside texts, spans of time, and both zeros.

use crate::asking::answer;

/// All `(condition, expected)` of which the answer is another one.
async fn wrong(from: &str, cases: &[(&str, &str)]) -> String {
    let mut wrong = vec![];
    for (expression, expected) in cases {
        let said = answer(&format!("SELECT {expression} {from}")).await;
        if said.as_deref() != Ok(*expected) {
            wrong.push(format!("{expression}: {said:?}, not {expected}"));
        }
    }
    wrong.join("\n")
}

const NUMBERS: &str = "FROM (VALUES (9, 9.5, '9'), (10, 10.5, '10'), (100, 100.5, '010')) AS t(n, x, s)";

#[tokio::test]
async fn texts_beside_numbers_are_numbers() {
    let constants = [
        ("10 < '9'", "false"),
        ("'10' > 9", "true"),
        ("10 = '010'", "true"),
        ("1.0 = '1'", "true"),
        ("2 < '2.5'", "true"),
        ("2 BETWEEN '1' AND '10'", "true"),
        ("3 IN ('3.0', '4')", "true"),
        ("9 IS DISTINCT FROM '9'", "false"),
        ("CASE 10 WHEN '010' THEN 'same' ELSE 'other' END", "same"),
        ("greatest(9, '10'), least('9', 10), nullif(10, '10') IS NULL", "10,9,true"),
        ("coalesce(9, '10') < '10'", "true"),
        ("18446744073709551615 = '18446744073709551615'", "true"),
        ("'a' < 'b', '10' < '9'", "true,true"),
        ("1 = NULL, NULL = '1'", ","),
        ("7 = ' 7 '", "true"),
    ];
    let said = wrong("", &constants).await;
    assert!(said.is_empty(), "{said}");
    let columns = [
        ("count(*) FILTER (WHERE n >= '10')", "2"),
        ("count(*) FILTER (WHERE x < '10')", "1"),
        ("count(*) FILTER (WHERE '10' > x)", "1"),
        ("count(*) FILTER (WHERE x BETWEEN '10' AND '100.5')", "2"),
        ("count(*) FILTER (WHERE n NOT IN ('9', '100'))", "1"),
        ("count(*) FILTER (WHERE s = 10)", "2"),
        ("count(*) FILTER (WHERE s < 10)", "1"),
        ("count(*) FILTER (WHERE s = n)", "2"),
        ("count(*) FILTER (WHERE CASE WHEN n > 9 THEN n ELSE '9' END > 9)", "2"),
    ];
    let said = wrong(NUMBERS, &columns).await;
    assert!(said.is_empty(), "{said}");
    for (rows, expected) in [
        ("WHERE n IN (SELECT s FROM (VALUES ('010'), ('11')) AS u(s))", "1"),
        ("WHERE s IN (SELECT n FROM (VALUES (10), (11)) AS u(n))", "2"),
        ("JOIN (VALUES ('0100')) AS u(v) ON n = v", "1"),
        ("JOIN (VALUES ('0100'), ('9.0')) AS u(n) USING (n)", ""),
        ("JOIN (VALUES ('0100'), ('09')) AS u(n) USING (n)", "2"),
    ] {
        let said = answer(&format!("SELECT count(*) {NUMBERS} {rows}")).await;
        match expected {
            "" => assert!(said.is_err(), "{rows}: {said:?}"),
            expected => assert_eq!(said.as_deref(), Ok(expected), "{rows}"),
        }
    }
}

#[tokio::test]
async fn a_text_that_is_no_number_is_an_error() {
    for (condition, text) in
        [("n = 'a'", "'a'"), ("x > ''", "''"), ("n IN ('1', 'b')", "'b'"), ("x BETWEEN '1' AND 'z'", "'z'")]
    {
        let said = answer(&format!("SELECT count(*) {NUMBERS} WHERE {condition}")).await;
        assert!(said.as_ref().is_err_and(|said| said.contains(text)), "{condition}: {said:?}");
    }
    let said = answer("SELECT count(*) FROM (VALUES ('a')) AS t(s) WHERE s = 1").await;
    assert!(said.as_ref().is_err_and(|said| said.contains("'a'")), "{said:?}");
}

#[tokio::test]
async fn spans_are_compared_by_their_length() {
    let constants = [
        ("INTERVAL '25 hours' > INTERVAL '1 day'", "true"),
        ("INTERVAL '24 hours' = INTERVAL '1 day'", "true"),
        ("INTERVAL '1 month' = INTERVAL '30 days'", "true"),
        ("INTERVAL '1 month' < INTERVAL '31 days'", "true"),
        ("INTERVAL '36 hours' BETWEEN INTERVAL '1 day' AND INTERVAL '2 days'", "true"),
        ("INTERVAL '24 hours' IN (INTERVAL '1 day')", "true"),
        ("INTERVAL '24 hours' IS DISTINCT FROM INTERVAL '1 day'", "false"),
        ("INTERVAL '36 hours' BETWEEN '1 day' AND '2 days'", "true"),
        ("INTERVAL '24 hours' IN ('1 day', '2 days')", "true"),
        ("CASE INTERVAL '24 hours' WHEN INTERVAL '1 day' THEN 1 ELSE 0 END", "1"),
        ("INTERVAL '1000000 years' > INTERVAL '999999 years'", "true"),
        ("INTERVAL '1 day' > NULL", ""),
    ];
    let said = wrong("", &constants).await;
    assert!(said.is_empty(), "{said}");
    const TIMES: &str = "(VALUES (1, TIMESTAMP '2025-12-01T12:00:00'), (2, TIMESTAMP '2025-12-23'), \
                         (3, TIMESTAMP '2025-12-02')) AS t(n, at)";
    let since = "at - TIMESTAMP '2025-12-01'";
    for (rows, expected) in [
        (format!("SELECT count(*) FROM {TIMES} WHERE {since} > INTERVAL '1 day'"), "1"),
        (format!("SELECT count(*) FROM {TIMES} WHERE {since} > INTERVAL '1 week'"), "1"),
        (format!("SELECT count(*) FROM {TIMES} WHERE {since} = INTERVAL '1 day'"), "1"),
        (format!("SELECT count(*) FROM {TIMES} WHERE {since} BETWEEN '25 hours' AND '1 year'"), "1"),
        (format!("SELECT count(*) FROM {TIMES} WHERE INTERVAL '1 day' >= {since}"), "2"),
        (format!("SELECT count(*) FROM {TIMES} JOIN (VALUES (INTERVAL '1 day')) AS u(i) ON {since} = i"), "1"),
        (format!("SELECT n FROM {TIMES} WHERE {since} IN (SELECT INTERVAL '24 hours')"), "3"),
        ("SELECT i FROM (VALUES (1, INTERVAL '25 hours'), (2, INTERVAL '1 day'), (3, INTERVAL '2 hours')) AS t(i, x) ORDER BY x".into(), "3;2;1"),
        ("SELECT i, rank() OVER (ORDER BY x) FROM (VALUES (1, INTERVAL '24 hours'), (2, INTERVAL '1 day')) AS t(i, x) ORDER BY i".into(), "1,1;2,1"),
        ("SELECT first_value(i ORDER BY x) FROM (VALUES (1, INTERVAL '25 hours'), (2, INTERVAL '1 day')) AS t(i, x)".into(), "2"),
    ] {
        assert_eq!(answer(&rows).await.as_deref(), Ok(expected), "{rows}");
    }
    const SPANS: &str = "FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day')) AS t(x)";
    for sql in [
        format!("SELECT max(x) {SPANS}"),
        format!("SELECT count(DISTINCT x) {SPANS}"),
        format!("SELECT x, count(*) {SPANS} GROUP BY x"),
        format!("SELECT DISTINCT x {SPANS}"),
        format!("SELECT x {SPANS} UNION SELECT x {SPANS}"),
        "SELECT greatest(INTERVAL '25 hours', INTERVAL '1 day')".into(),
    ] {
        let said = answer(&sql).await;
        assert!(said.as_ref().is_err_and(|said| said.contains("epoch")), "{sql}: {said:?}");
    }
    let epoch =
        "SELECT max(extract(epoch FROM x)) FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day')) AS t(x)";
    assert_eq!(answer(epoch).await.as_deref(), Ok("90000.0"));
}

#[tokio::test]
async fn both_zeros_are_one() {
    const ZEROS: &str = "FROM (VALUES (-0.0, 1), (0.0, 2), (-1.5, 3), (1.5, 4)) AS t(x, n)";
    let conditions = [
        ("x >= 0", "3"),
        ("x > 0", "1"),
        ("x <= 0", "3"),
        ("x < 0", "1"),
        ("0 <= x", "3"),
        ("0 > x", "1"),
        ("x = 0", "2"),
        ("x = '0'", "2"),
        ("x <> 0.0", "2"),
        ("x = -0.0", "2"),
        ("x BETWEEN 0 AND 1", "2"),
        ("x BETWEEN -1 AND 0", "2"),
        ("x IN (0, 1.5)", "3"),
        ("x NOT IN (0, 1.5)", "1"),
        ("x = -x", "2"),
        ("x IS DISTINCT FROM 0.0", "2"),
        ("round(x / 10) = 0", "4"),
        ("x IN (CAST(-0.0 AS DOUBLE), 7)", "2"),
        ("x IN (CAST('-0' AS DOUBLE), n * 100)", "2"),
        ("x IN (n * 0.0)", "2"),
        ("x NOT IN (n * -0.0)", "2"),
        ("x BETWEEN CAST(0 AS DOUBLE) AND 1", "2"),
        ("x BETWEEN -1 AND CAST('-0.0' AS DOUBLE)", "2"),
        ("x BETWEEN n * 0 AND 1", "2"),
        ("n * 0 BETWEEN -1 AND x", "3"),
        ("CAST(x AS REAL) BETWEEN 0 AND 1", "2"),
        ("n * 0 >= x", "3"),
        ("x = n * 0", "2"),
        ("n - 1 > CAST(-0.0 AS DOUBLE)", "3"),
        ("x IS DISTINCT FROM 0", "2"),
        ("x IS NOT DISTINCT FROM CAST(0 AS DOUBLE)", "2"),
        ("CASE x WHEN 0 THEN true ELSE false END", "2"),
        ("CASE x WHEN 1.5 THEN false WHEN -0.0 THEN true ELSE false END", "2"),
        ("CASE n * 0.0 WHEN x THEN true ELSE false END", "2"),
        ("nullif(x, 0) IS NULL", "2"),
        ("nullif(0.0, x) IS NULL", "2"),
        ("x IN (SELECT 0.0)", "2"),
        ("x IN (SELECT -0.0)", "2"),
        ("x NOT IN (SELECT y FROM (VALUES (0.0)) AS u(y))", "2"),
        ("x = ANY (SELECT 0.0)", "2"),
        ("n * 0 IN (SELECT CAST(-0.0 AS DOUBLE))", "4"),
        ("x < 1.5 AND x <> 0", "1"),
    ];
    let mut wrong = vec![];
    for (condition, expected) in conditions {
        let said = answer(&format!("SELECT count(*) {ZEROS} WHERE {condition}")).await;
        if said.as_deref() != Ok(expected) {
            wrong.push(format!("{condition}: {said:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (sql, expected) in [
        (format!("SELECT x, count(*) {ZEROS} GROUP BY x ORDER BY x"), "-1.5,1;0.0,2;1.5,1"),
        (format!("SELECT round(x / 10), count(*) {ZEROS} GROUP BY round(x / 10)"), "0.0,4"),
        (format!("SELECT count(*) FROM (SELECT DISTINCT x {ZEROS})"), "3"),
        (format!("SELECT count(DISTINCT x) {ZEROS}"), "3"),
        (format!("SELECT count(*) {ZEROS} JOIN (VALUES (0.0)) AS u(y) ON x = y"), "2"),
        (format!("SELECT count(*) {ZEROS} JOIN (VALUES (0.0)) AS u(x) USING (x)"), "2"),
        (
            format!("SELECT rank() OVER (ORDER BY x), dense_rank() OVER (ORDER BY x) {ZEROS} ORDER BY n"),
            "2,2;2,2;1,1;4,3",
        ),
        (format!("SELECT count(*) OVER (ORDER BY x DESC) {ZEROS} ORDER BY n"), "3;3;4;1"),
        (
            format!(
                "SELECT sum(n) OVER (ORDER BY x RANGE BETWEEN CURRENT ROW AND CURRENT ROW) {ZEROS} ORDER BY n"
            ),
            "3;3;3;4",
        ),
        (format!("SELECT n {ZEROS} ORDER BY x, n DESC"), "3;2;1;4"),
        (
            format!("SELECT x, grouping(x), count(*) {ZEROS} GROUP BY ROLLUP (x) ORDER BY x"),
            "-1.5,0,1;0.0,0,2;1.5,0,1;,1,4",
        ),
        (
            format!(
                "SELECT round(x / 10), grouping(round(x / 10)), count(*) {ZEROS} GROUP BY CUBE (round(x / 10)) ORDER BY 2"
            ),
            "0.0,0,4;,1,4",
        ),
        (
            format!(
                "SELECT nullif(x, 0), n > 2, count(*) {ZEROS} GROUP BY GROUPING SETS ((nullif(x, 0)), (n > 2)) ORDER BY 1, 2"
            ),
            "-1.5,,1;1.5,,1;,false,2;,true,2;,,2",
        ),
        (format!("SELECT n {ZEROS} ORDER BY abs(x) - abs(x), -x, n DESC LIMIT 3"), "4;2;1"),
        (format!("SELECT array_agg(n ORDER BY x, n DESC) {ZEROS}"), "[3, 2, 1, 4]"),
        (format!("SELECT array_agg(DISTINCT x ORDER BY x) {ZEROS}"), "[-1.5, 0.0, 1.5]"),
        (format!("SELECT first_value(n ORDER BY x DESC, n DESC) {ZEROS} WHERE x < 1"), "2"),
    ] {
        assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
    }
}

#[tokio::test]
async fn functions_of_windows_stand_among_the_columns_only() {
    const NUMBER: &str = "row_number() OVER (ORDER BY value)";
    for (rows, place) in
        [(format!("GROUP BY {NUMBER}"), "GROUP BY"), (format!("ORDER BY {NUMBER} DESC"), "ORDER BY")]
    {
        let said = answer(&format!("SELECT 1 FROM range(0, 3) {rows}")).await;
        let told = format!("not allowed in {place}");
        assert!(said.as_ref().is_err_and(|said| said.contains(&told)), "{rows}: {said:?}");
    }
    let named = format!("SELECT value, {NUMBER} AS n FROM range(0, 3) ORDER BY {NUMBER} DESC");
    assert_eq!(answer(&named).await.as_deref(), Ok("2,3;1,2;0,1"));
}

#[tokio::test]
async fn the_first_row_of_each_value_knows_one_zero() {
    const ZEROS: &str = "(VALUES (-0.0, 1), (0.0, 2), (-1.5, 3), (1.5, 4), (NULL, 5)) AS t(x, n)";
    for (sql, rows) in [
        ("SELECT DISTINCT ON (x) n FROM t ORDER BY x, n", "3;1;4;5"),
        ("SELECT DISTINCT ON (x) n FROM t ORDER BY x, n DESC", "3;2;4;5"),
        ("SELECT DISTINCT ON (round(x / 10), x) n FROM t ORDER BY round(x / 10), x, n DESC", "3;2;4;5"),
        ("SELECT count(*) FROM (SELECT DISTINCT ON (x) n FROM t) AS q", "4"),
        ("SELECT DISTINCT ON (n / 3) n FROM t ORDER BY n / 3, n", "1;3"),
    ] {
        let sql = sql.replace("FROM t", &format!("FROM {ZEROS}"));
        assert_eq!(answer(&sql).await.as_deref(), Ok(rows), "{sql}");
    }
}

#[tokio::test]
async fn what_the_engine_would_calculate_in_too_few_digits_is_refused() {
    for (sql, part) in [
        ("SELECT trunc('9007199254740993'::decimal(20, 0))", "round it"),
        (
            "SELECT date_part('microsecond', TIMESTAMP '1970-01-01T00:40:00' - TIMESTAMP '1970-01-01T00:00:00')",
            "epoch",
        ),
        ("SELECT extract(millisecond FROM INTERVAL '40 minutes')", "epoch"),
    ] {
        let said = answer(sql).await;
        assert!(said.as_ref().is_err_and(|said| said.contains(part)), "{sql}: {said:?}");
    }
    for (sql, expected) in [
        ("SELECT trunc('12.75'::decimal(5, 2)), trunc(2.5)", "12.0,2.0"),
        (
            "SELECT extract(epoch FROM INTERVAL '40 minutes'), date_part('microsecond', TIMESTAMP '1970-01-01T00:00:01.5')",
            "2400.0,1500000",
        ),
    ] {
        assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
    }
}
