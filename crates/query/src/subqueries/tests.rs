use crate::asking::{answer, check_all};

/// `t(k, x)` with four rows, `u(k, y)` with two rows for 2, one for 3, none for 1 and a null.
const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (1, 10), (2, 20), (3, 30), (4, 40)) AS v(k, x)),
    u AS (SELECT * FROM (VALUES (2, 5), (2, 6), (3, 7), (9, 8)) AS v(k, y)),
    n AS (SELECT * FROM (VALUES (1), (2), (NULL)) AS v(k))";

async fn check(cases: &[(&str, &str)]) {
    check_all(WITH, cases).await;
}

async fn refused(cases: &[(&str, &str)]) {
    let mut wrong = vec![];
    for (sql, part) in cases {
        let said = answer(&format!("{WITH} {sql}")).await;
        if !said.as_ref().is_err_and(|said| said.contains(part) && !said.contains("__")) {
            wrong.push(format!("{sql}: {said:?}, not {part:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_subquery_without_rows_is_null() {
    check(&[
        ("SELECT (SELECT x FROM t WHERE k = 7) IS NULL", "true"),
        ("SELECT coalesce((SELECT x FROM t WHERE k = 7), -1)", "-1"),
        ("SELECT coalesce((SELECT x FROM t WHERE k = 7 LIMIT 1), -1)", "-1"),
        ("SELECT (SELECT x FROM t WHERE k = 7) AS a, k FROM t WHERE k = 1", ",1"),
        ("SELECT count(*) FROM t WHERE (SELECT x FROM t WHERE k = 7) IS NULL", "4"),
        ("SELECT count(*) FROM t WHERE coalesce((SELECT x FROM t WHERE k = 7), 9) = 9", "4"),
        ("SELECT CASE WHEN (SELECT 's' FROM t WHERE k = 7) IS NULL THEN 1 ELSE 2 END", "1"),
        ("SELECT (SELECT count(*) FROM t HAVING count(*) > 9) IS NULL", "true"),
        ("SELECT count(*) FROM t WHERE (SELECT count(*) FROM t HAVING count(*) > 9) IS NULL", "4"),
        (
            "SELECT (SELECT max(x) FROM t) AS a, (SELECT 7) AS b, (SELECT x FROM t WHERE k = 2) AS c",
            "40,7,20",
        ),
        ("SELECT k FROM t WHERE x = (SELECT x FROM t ORDER BY x DESC LIMIT 1)", "4"),
        ("SELECT (SELECT NULL) AS a, (SELECT k FROM n WHERE k IS NULL) IS NULL", ",true"),
    ])
    .await;
}

#[tokio::test]
async fn a_subquery_with_several_rows_is_an_error() {
    const SEVERAL: &str = "more than one row returned by a subquery used as an expression";
    refused(&[
        ("SELECT (SELECT x FROM t)", SEVERAL),
        ("SELECT count(*) FROM t WHERE (SELECT x FROM t) > 5", SEVERAL),
        ("SELECT k FROM t WHERE x > (SELECT x FROM t WHERE k > 2)", SEVERAL),
        ("SELECT coalesce((SELECT x FROM t), 1)", SEVERAL),
        ("SELECT (SELECT k FROM n WHERE k IS NULL OR k = 1)", SEVERAL),
        ("SELECT k, (SELECT y FROM u WHERE u.k = t.k) FROM t", SEVERAL),
        ("SELECT sum((SELECT x FROM t)) FROM u", SEVERAL),
    ])
    .await;
}

#[tokio::test]
async fn a_subquery_may_read_the_row_around_it() {
    check(&[
        ("SELECT k, (SELECT y FROM u WHERE u.k = t.k) FROM t WHERE k <> 2 ORDER BY k", "1,;3,7;4,"),
        ("SELECT k, (SELECT DISTINCT y FROM u WHERE u.k = t.k) FROM t WHERE k <> 2 ORDER BY k", "1,;3,7;4,"),
        ("SELECT k FROM t WHERE k <> 2 AND (SELECT y FROM u WHERE u.k = t.k) IS NULL ORDER BY k", "1;4"),
        ("SELECT k, (SELECT count(*) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,0;2,2;3,1;4,0"),
        (
            "SELECT k, (SELECT count(*) FROM u WHERE u.k = t.k) AS a, (SELECT count(*) FROM n WHERE n.k = t.k) AS b FROM t ORDER BY k",
            "1,0,1;2,2,1;3,1,0;4,0,0",
        ),
        (
            "SELECT k FROM t WHERE (SELECT count(*) FROM u WHERE u.k = t.k) = 0 AND (SELECT count(*) FROM n WHERE n.k = t.k) = 0",
            "4",
        ),
        ("SELECT k, (SELECT count(*) + t.x FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,10;2,22;3,31;4,40"),
        ("SELECT k, (SELECT approx_distinct(y) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,0;2,2;3,1;4,0"),
        ("SELECT k, (SELECT count(DISTINCT y) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,0;2,2;3,1;4,0"),
        ("SELECT k, (SELECT max(y) - min(y) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,;2,1;3,0;4,"),
        ("SELECT k, (SELECT coalesce(sum(y), -1) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,-1;2,11;3,7;4,-1"),
        ("SELECT k, (SELECT max(y) FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,;2,6;3,7;4,"),
        ("SELECT k, (SELECT sum(y) FROM u WHERE u.k = t.k GROUP BY u.k) FROM t ORDER BY k", "1,;2,11;3,7;4,"),
        (
            "SELECT k, (SELECT count(*) FROM u WHERE u.k = t.k HAVING count(*) <> 1) FROM t ORDER BY k",
            "1,0;2,2;3,;4,0",
        ),
        (
            "SELECT k FROM t WHERE (SELECT count(*) FROM u WHERE u.k = t.k HAVING count(*) > 0) IS NULL ORDER BY k",
            "1;4",
        ),
        ("SELECT k, (SELECT y FROM u WHERE u.k = t.k ORDER BY y DESC LIMIT 1) FROM t ORDER BY k", "1,;2,6;3,7;4,"),
        ("SELECT k, (SELECT 10 - y FROM u WHERE u.k = t.k ORDER BY u.y LIMIT 1) FROM t ORDER BY k", "1,;2,5;3,3;4,"),
        ("SELECT k FROM t WHERE (SELECT y FROM u WHERE u.k = t.k ORDER BY y DESC LIMIT 1) = 6", "2"),
        ("SELECT sum((SELECT count(*) FROM u WHERE u.k = t.k)) FROM t", "3"),
        ("SELECT k, (SELECT value FROM range(0, 3) WHERE value = k) AS r FROM t ORDER BY k", "1,1;2,2;3,;4,"),
        ("SELECT k, (SELECT max(y) AS k FROM u WHERE u.k = t.k) AS r FROM t ORDER BY k", "1,;2,6;3,7;4,"),
        ("SELECT (SELECT max(x) FROM t) - k AS d, count(*) FROM n GROUP BY (SELECT max(x) FROM t) - k ORDER BY 1", "38,1;39,1;,1"),
    ])
    .await;
}

#[tokio::test]
async fn the_row_around_is_compared_with_what_is_calculated_and_named_in_the_subquery() {
    check(&[
        ("SELECT k, (SELECT count(*) FROM u WHERE u.k - 1 = t.k) FROM t ORDER BY k", "1,2;2,1;3,0;4,0"),
        (
            "SELECT k, (SELECT count(*) FROM (VALUES (1.2), (1.4), (3.1)) d(v) WHERE CAST(d.v AS BIGINT) = t.k) FROM t ORDER BY k",
            "1,2;2,0;3,1;4,0",
        ),
        (
            "SELECT k, (SELECT count(*) FROM (VALUES (-0.0), (0.0), (3.0)) d(v) WHERE d.v = (t.k - 1) * 1.0) FROM t ORDER BY k",
            "1,2;2,0;3,0;4,1",
        ),
        (
            "SELECT v, v IN (SELECT y - 7.0 FROM u) FROM (VALUES (-0.0), (0.5)) d(v) ORDER BY v",
            "-0.0,true;0.5,false",
        ),
        ("SELECT k, (SELECT max(q.y) FROM (SELECT y FROM u WHERE u.k = t.k) q) FROM t ORDER BY k", "1,;2,6;3,7;4,"),
        ("SELECT k FROM t WHERE EXISTS (SELECT * FROM (SELECT y FROM u WHERE u.k = t.k) q WHERE q.y > 6)", "3"),
        ("SELECT k FROM t WHERE 7 IN (SELECT q.y FROM (SELECT y FROM u WHERE u.k = t.k) q)", "3"),
        ("SELECT k FROM t WHERE 7 IN (SELECT q.k FROM (SELECT y AS k FROM u WHERE u.k = t.k) q)", "3"),
        ("SELECT k FROM t WHERE 7 IN (SELECT y AS k FROM u WHERE u.k = t.k)", "3"),
        ("SELECT k, (SELECT max(u.k) FROM (SELECT y AS k FROM u WHERE u.k = t.k) u) FROM t ORDER BY k", "1,;2,6;3,7;4,"),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM u WHERE u.y * 5 < t.x + 10) ORDER BY k", "1;4"),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM n WHERE coalesce(n.k, 2) * 15 < t.x) ORDER BY k", "1;2;3"),
        ("SELECT k FROM t WHERE k IN (SELECT y - 4 AS k FROM u WHERE u.k < t.x) ORDER BY k", "1;2;3;4"),
    ])
    .await;
}

#[tokio::test]
async fn existence_is_of_rows() {
    check(&[
        ("SELECT k FROM t WHERE EXISTS (SELECT count(*) FROM u WHERE u.k = t.k) ORDER BY k", "1;2;3;4"),
        ("SELECT count(*) FROM t WHERE NOT EXISTS (SELECT count(*) FROM u WHERE u.k = t.k)", "0"),
        ("SELECT k FROM t WHERE EXISTS (SELECT count(*) FROM u WHERE u.k = t.k HAVING count(*) = 0) ORDER BY k", "1;4"),
        ("SELECT k FROM t WHERE EXISTS (SELECT * FROM u WHERE u.k = t.k) ORDER BY k", "2;3"),
        ("SELECT k FROM t WHERE EXISTS (SELECT * FROM u WHERE u.k = t.k) OR k = 1 ORDER BY k", "1;2;3"),
        ("SELECT k FROM t WHERE NOT EXISTS (SELECT * FROM u WHERE u.k < t.k) ORDER BY k", "1;2"),
        ("SELECT k, EXISTS (SELECT * FROM u WHERE u.k = t.k) FROM t ORDER BY k", "1,false;2,true;3,true;4,false"),
        ("SELECT k, NOT EXISTS (SELECT * FROM u WHERE u.k = t.k LIMIT 1) FROM t ORDER BY k", "1,true;2,false;3,false;4,true"),
        ("SELECT EXISTS (SELECT * FROM u) AS a, EXISTS (SELECT * FROM u WHERE k = 1) AS b", "true,false"),
        ("SELECT CASE WHEN EXISTS (SELECT * FROM u WHERE u.k = t.k) THEN 'a' ELSE 'b' END FROM t ORDER BY k", "b;a;a;b"),
        ("SELECT count(*) FILTER (WHERE EXISTS (SELECT * FROM u WHERE u.k = t.k)) FROM t", "2"),
        ("SELECT k FROM t WHERE 0 IN (SELECT count(*) FROM u WHERE u.k = t.k) ORDER BY k", "1;4"),
        ("SELECT k FROM t WHERE 0 NOT IN (SELECT count(*) FROM u WHERE u.k = t.k) ORDER BY k", "2;3"),
    ])
    .await;
}

#[tokio::test]
async fn membership_of_a_null_is_unknown() {
    check(&[
        ("SELECT k, k IN (SELECT k FROM u) FROM t ORDER BY k", "1,false;2,true;3,true;4,false"),
        ("SELECT k, k NOT IN (SELECT k FROM u) FROM t ORDER BY k", "1,true;2,false;3,false;4,true"),
        ("SELECT k, k IN (SELECT k FROM n) FROM t ORDER BY k", "1,true;2,true;3,;4,"),
        ("SELECT k, k NOT IN (SELECT k FROM n) FROM t ORDER BY k", "1,false;2,false;3,;4,"),
        ("SELECT k, k IN (SELECT k FROM u) FROM n ORDER BY k", "1,false;2,true;,"),
        ("SELECT k, k IN (SELECT k FROM u WHERE y > 99) FROM n ORDER BY k", "1,false;2,false;,false"),
        ("SELECT k FROM t WHERE (k NOT IN (SELECT k FROM n)) IS NULL ORDER BY k", "3;4"),
        ("SELECT k FROM t WHERE (k IN (SELECT k FROM n)) IS NOT TRUE ORDER BY k", "3;4"),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM n) OR k = 3", "3"),
        ("SELECT k FROM t WHERE NOT (k IN (SELECT k FROM n) OR k = 9)", ""),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM n)", ""),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM n) AND k = 4", ""),
        ("SELECT k FROM t WHERE k = 4 AND NOT k IN (SELECT k FROM n)", ""),
        ("SELECT * FROM (SELECT k FROM t WHERE k <> ALL (SELECT k FROM n)) AS s WHERE k > 3", ""),
        ("SELECT k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.k NOT IN (SELECT k FROM n) AND u.k = 3)", ""),
        ("SELECT k FROM t WHERE 77 NOT IN (SELECT k FROM n)", ""),
        (
            "SELECT p.a FROM (SELECT 1 AS a, 2.0 AS x UNION ALL SELECT 3, 4.0) AS p WHERE p.a NOT IN \
             (SELECT q.b * 2 FROM (SELECT 1 AS b, 'x' AS s UNION ALL SELECT 2, 'yyy') AS q WHERE length(q.s) = p.a) ORDER BY p.a",
            "1;3",
        ),
        (
            "SELECT p.x FROM (SELECT 1 AS a, 2.0 AS x UNION ALL SELECT 3, 4.0) AS p WHERE p.x NOT IN \
             (SELECT q.y * 2 FROM (SELECT 1.0 AS y, 1 AS b UNION ALL SELECT 5.0, 3) AS q WHERE q.b = p.a)",
            "4.0",
        ),
        ("SELECT k FROM t WHERE NULL NOT IN (SELECT k FROM u)", ""),
        ("SELECT k FROM t WHERE 77 NOT IN (SELECT k FROM u) AND k = 1", "1"),
        ("SELECT k FROM t WHERE NULL NOT IN (SELECT k FROM u WHERE k = 77) AND k = 1", "1"),
        ("SELECT k FROM t WHERE NOT k IN (SELECT k FROM n)", ""),
        ("SELECT k FROM t WHERE k NOT IN (SELECT k FROM u) ORDER BY k", "1;4"),
        ("SELECT count(*) FROM n WHERE k NOT IN (SELECT k FROM u WHERE y > 99)", "3"),
        ("SELECT count(*) FROM n WHERE k NOT IN (SELECT k FROM u WHERE u.k = n.k)", "2"),
        ("SELECT k FROM t WHERE k IN (SELECT k FROM n) OR k = 4 ORDER BY k", "1;2;4"),
        ("SELECT k FROM t WHERE k NOT IN (SELECT n.k FROM n WHERE n.k = t.k) ORDER BY k", "3;4"),
        ("SELECT count(*) FILTER (WHERE k IN (SELECT k FROM u)) FROM t", "2"),
        ("SELECT sum(CASE WHEN k IN (SELECT k FROM u) THEN x ELSE 0 END) FROM t", "50"),
        (
            "SELECT 5 IN (SELECT y FROM u) AS a, 55 NOT IN (SELECT y FROM u) AS b, NULL IN (SELECT y FROM u) AS c",
            "true,true,",
        ),
        ("SELECT x + 1 IN (SELECT y * 3 FROM u) FROM t WHERE k IN (2, 3) ORDER BY k", "true;false"),
    ])
    .await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_words() {
    refused(&[
        ("SELECT k, (SELECT max(y) FROM u WHERE u.k < t.k) FROM t", "write it as a join"),
        ("SELECT k, EXISTS (SELECT 1 FROM u WHERE u.k < t.k) FROM t", "write it as a join"),
        ("SELECT k, (SELECT y FROM u WHERE u.k = t.k ORDER BY y LIMIT 2) FROM t", "write it as a join"),
        (
            "SELECT t.k FROM t LEFT JOIN u ON t.k = u.k AND EXISTS (SELECT 1 FROM n WHERE n.k = u.k)",
            "a subquery cannot stand here",
        ),
        ("SELECT k, sum(x) OVER (ORDER BY (SELECT max(y) FROM u)) FROM t", "a subquery cannot stand here"),
    ])
    .await;
    let nested = format!("SELECT {}1{}", "NULL IN (SELECT ".repeat(12), ")".repeat(12));
    let said = answer(&nested).await;
    assert!(said.as_ref().is_err_and(|said| said.contains("too often")), "{nested}: {said:?}");
}

#[tokio::test]
async fn a_condition_on_the_row_around_is_not_lifted_past_what_must_see_all_rows() {
    const WORDS: &str = "a subquery that reads columns of the query around it may only compare them with =";
    refused(&[
        ("SELECT k FROM t WHERE 2 IN (SELECT count(*) OVER () FROM u WHERE u.k = t.k)", WORDS),
        ("SELECT k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k OFFSET 1)", WORDS),
        ("SELECT k FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k OFFSET 1)", WORDS),
        (
            "SELECT k FROM t WHERE EXISTS (SELECT 1 FROM (SELECT row_number() OVER (ORDER BY y) AS r FROM u WHERE u.k = t.k) q WHERE q.r = 2)",
            WORDS,
        ),
        (
            "SELECT k, (SELECT count(*) FROM n LEFT JOIN (SELECT * FROM u WHERE u.k = t.k) q ON q.k = n.k) FROM t",
            WORDS,
        ),
        ("SELECT k FROM t WHERE EXISTS (SELECT count(*) FROM u WHERE u.k = t.k GROUP BY GROUPING SETS ((), (y)))", WORDS),
        ("SELECT k FROM t WHERE k IN (SELECT u.k FROM u WHERE u.k = t.k GROUP BY ROLLUP (u.k))", WORDS),
        ("SELECT k, c FROM t, LATERAL (SELECT count(*) OVER () AS c FROM u WHERE u.k = t.k) l", WORDS),
        ("SELECT k, c FROM t, LATERAL (SELECT count(*) AS c FROM u WHERE u.k = t.k) l", WORDS),
        ("SELECT k, y FROM t, LATERAL (SELECT y FROM u WHERE u.k = t.k LIMIT 1) l", WORDS),
        ("SELECT count(y) FROM t, LATERAL (SELECT y FROM u WHERE u.k = t.k) l", WORDS),
    ])
    .await;
    check(&[
        ("SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k)", "2"),
        ("SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k LIMIT 1)", "2"),
        (
            "SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u LEFT JOIN n ON n.k = u.k WHERE u.k = t.k)",
            "2",
        ),
        ("SELECT count(*) FROM t WHERE 4 IN (SELECT count(*) OVER () FROM u)", "4"),
        (
            "SELECT k, s FROM t, LATERAL (SELECT sum(y) AS s FROM u WHERE u.k = t.k) ORDER BY k LIMIT 2",
            "1,;2,11",
        ),
        ("SELECT count(*) FROM t WHERE k IN (SELECT CAST(u.k AS BIGINT) FROM u)", "2"),
        // Columns that are never null, and values of them that are.
        ("SELECT count(*) FROM range(0, 9) WHERE nullif(value, value) NOT IN (SELECT value FROM range(0, 2))", "0"),
        ("SELECT count(*) FROM range(0, 9) WHERE CASE WHEN value > 5 THEN value END NOT IN (SELECT value FROM range(0, 8))", "1"),
        ("SELECT count(*) FROM range(0, 9) WHERE nullif(value, value) NOT IN (SELECT value FROM range(0, 0))", "9"),
        ("SELECT count(*) FROM range(0, 9) WHERE value + 1 NOT IN (SELECT value FROM range(0, 8))", "2"),
        // In conditions of joins.
        ("SELECT count(*) FROM t AS a JOIN t AS b ON EXISTS (SELECT 1 FROM u WHERE u.k = a.k)", "8"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND EXISTS (SELECT 1 FROM u WHERE u.k = b.k)", "2"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND NOT EXISTS (SELECT 1 FROM u WHERE u.k = b.k)", "2"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND a.k IN (SELECT u.k FROM u WHERE u.k = b.k)", "2"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.x = (SELECT max(c.x) FROM t AS c WHERE c.k = b.k)", "4"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND 5 NOT IN (SELECT k FROM n)", "0"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND NOT (5 IN (SELECT k FROM n))", "0"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND 5 NOT IN (SELECT k FROM n WHERE k > 0)", "4"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND a.k NOT IN (SELECT k FROM u)", "2"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON a.k = b.k AND NULL::int NOT IN (SELECT k FROM u)", "0"),
    ])
    .await;
}

#[tokio::test]
async fn grouping_sets_that_are_stated_twice_are_refused() {
    const WORDS: &str = "a grouping set is stated twice";
    refused(&[
        ("SELECT k, sum(y) FROM u GROUP BY GROUPING SETS ((), (), (k))", WORDS),
        ("SELECT k, y, count(*) FROM u GROUP BY GROUPING SETS ((k, y), (y, k))", WORDS),
        ("SELECT k, count(*) FROM u GROUP BY k, ROLLUP (k)", WORDS),
    ])
    .await;
    check(&[("SELECT sum(y) FROM u GROUP BY GROUPING SETS ((), (k)) ORDER BY 1 LIMIT 1", "7")]).await;
}

#[tokio::test]
async fn members_of_the_same_table_are_compared_with_it() {
    check(&[
        (
            "SELECT k, CASE WHEN k > 2 THEN k END NOT IN (SELECT k FROM t WHERE k < 4) FROM t ORDER BY 1",
            "1,;2,;3,false;4,true",
        ),
        ("SELECT k, k IN (SELECT k FROM t WHERE k < 3) FROM t ORDER BY 1", "1,true;2,true;3,false;4,false"),
        (
            "SELECT value, value IN (SELECT value FROM range(0, 2)) FROM range(0, 3) ORDER BY 1",
            "0,true;1,true;2,false",
        ),
        ("SELECT k, nullif(k, 1) IN (SELECT x / 10 FROM t) FROM t ORDER BY 1", "1,;2,true;3,true;4,true"),
        ("SELECT k FROM t WHERE (k IN (SELECT k FROM t WHERE k > 2)) IS FALSE ORDER BY 1", "1;2"),
        ("SELECT count(*) FILTER (WHERE k IN (SELECT k FROM t WHERE k > 1)) FROM t", "3"),
        (
            "SELECT k IN (SELECT k FROM t WHERE k > 2) AS m, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "false,2;true,2",
        ),
    ])
    .await;
}
