use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;

use crate::asking::{answer, small_session};
use crate::query;

#[tokio::test]
async fn what_would_grow_beyond_the_memory_is_refused_before_it_is_made() {
    for sql in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT array_length(range(0, 2000000000))",
        "SELECT array_length(generate_series(0, 2000000000))",
        "SELECT length(lpad('a', 2147483647, 'b'))",
        "SELECT length(rpad('a', 2147483647, 'b'))",
        "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
        "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g'))",
        "SELECT levenshtein(repeat('a', 3000000), repeat('b', 3000000))",
        "SELECT array_length(array_repeat(1, 2000000000))",
        "SELECT array_length(array_repeat(array_repeat(1, 100000), 100000))",
        "SELECT array_length(array_resize([1], 2000000000, 7))",
        "SELECT length(array_to_string(range(0, 1000000), repeat('x', 10000)))",
        "SELECT length(repeat(x, 2000000000)) FROM (VALUES ('x')) AS t(x)",
        "SELECT length(repeat('x', n)) FROM (VALUES (2000000000)) AS t(n)",
        "SELECT array_length(range(0, n)) FROM (VALUES (2000000000)) AS t(n)",
        "SELECT 1 WHERE length(repeat('x', 2000000000)) > 1",
        "SELECT CASE WHEN random() < 2 THEN length(repeat('x', 2000000000)) END",
        "SELECT length(a || a) FROM (SELECT b || b AS a FROM (SELECT repeat('x', 8000000) AS b))",
        "SELECT arrow_cast('a', 'FixedSizeBinary(2000000000)')",
        "SELECT concat(repeat('a', 9000000), repeat('b', 9000000))",
    ] {
        let refused = answer(sql).await.expect_err(sql);
        let told = ["ask for less", "fixed size", "more memory"].iter().any(|words| refused.contains(words));
        assert!(told && !refused.contains('\n'), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn a_list_as_text_is_measured_by_its_elements() {
    for (sql, expected) in [
        ("SELECT length(array_to_string(range(0, 100000), ',')) FROM range(0, 2)", "588889;588889"),
        ("SELECT array_to_string(make_array(range(0, 2), range(5, 7)), ' + ', '*')", "0 + 1 + 5 + 6"),
        ("SELECT length(array_to_string(make_array(NULL, repeat('x', 9), NULL), ',', repeat('y', 9)))", "29"),
    ] {
        assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
    }
}

/// Two texts of megabytes, in constants and in rows.
#[tokio::test]
async fn what_would_take_days_in_one_call_is_refused_before_it_begins() {
    let text = "repeat('a', 3000000)";
    let pattern = "repeat('%a_', 100000)";
    let expression = "repeat('(a|b)*c', 10000)";
    let searches = [
        format!("levenshtein({text}, {text})"),
        format!("strpos({text}, repeat('a', 1000000) || 'b')"),
        format!("position(repeat('a', 1000000) || 'b' IN {text})"),
        format!("btrim({text}, repeat('b', 1000000))"),
        format!("ltrim({text}, repeat('b', 1000000) || 'a')"),
        format!("rtrim({text}, repeat('b', 1000000) || 'a')"),
        format!("{text} LIKE {pattern}"),
        format!("{text} NOT LIKE {pattern}"),
        format!("{text} ILIKE {pattern}"),
        format!("{text} SIMILAR TO '{}'", "(a|b)*c".repeat(10_000)),
        format!("{text} ~ {expression}"),
        format!("{text} !~* {expression}"),
        format!("{text} ~ '(a{{1,100}}){{1,100}}b'"),
        format!("regexp_like({text}, {expression})"),
        format!("regexp_match({text}, {expression})"),
        format!("regexp_count({text}, {expression})"),
        format!("regexp_instr({text}, {expression})"),
        format!("regexp_replace({text}, {expression}, 'x')"),
    ];
    for search in searches {
        let of_rows = search.replace(text, "s");
        for sql in [
            format!("SELECT {search}"),
            format!("SELECT {of_rows} FROM (SELECT repeat(x, 3000000) AS s FROM (VALUES ('a')) AS t(x))"),
        ] {
            let refused = answer(&sql).await.expect_err(&sql);
            assert!(refused.contains("ask for less") && !refused.contains('\n'), "{sql}: {refused}");
        }
    }
    for search in ["array_has_all(a, b)", "array_has_any(a, b)", "a @> b"] {
        let lists = "SELECT range(0, n) AS a, range(1, n) AS b FROM (VALUES (500000)) AS t(n)";
        let refused = answer(&format!("SELECT {search} FROM ({lists})")).await.expect_err(search);
        assert!(refused.contains("ask for less"), "{search}: {refused}");
    }
}

#[tokio::test]
async fn usual_calls_give_what_they_gave() {
    for (sql, expected) in [
        ("SELECT levenshtein('kitten', 'sitting')", "3"),
        ("SELECT strpos('banana', 'nan'), btrim('xxaxx', 'x'), position('é' IN 'caféé')", "3,a,4"),
        (
            "SELECT 'banana' LIKE 'b%n_', 'banana' ILIKE 'B%', 'banana' ~ '^b.*a$', 'a' SIMILAR TO 'b'",
            "true,true,true,false",
        ),
        (
            "SELECT count(*) FROM (VALUES ('abc', 'a%c'), ('abc', 'b%'), (NULL, '%')) AS t(x, y) WHERE x LIKE y",
            "1",
        ),
        ("SELECT x FROM (VALUES ('abc'), ('abd')) AS t(x) WHERE x LIKE repeat('a', 1) || '%' || 'c'", "abc"),
        (
            "SELECT regexp_like('abc', 'B', 'i'), regexp_count('aXbX', 'X'), regexp_match('ab', '(b)')",
            "true,2,[b]",
        ),
        (
            "SELECT array_has_all([1, 2, 3], [1, 3]), [1, 2] @> [3], array_has_any([1], [1])",
            "true,false,true",
        ),
        ("SELECT count(*) FROM (SELECT repeat('ab', 1000000) AS s) WHERE s LIKE '%b%a%ba'", "0"),
        ("SELECT to_timestamp('2020-01-02', '%Y/%m/%d', '%Y-%m-%d')", "2020-01-02T00:00:00"),
        ("SELECT repeat('ab', 3), lpad('a', 3, 'xy'), rpad('é', 3)", "ababab,xya,é  "),
        ("SELECT replace('banana', 'a', 'oo'), regexp_replace('abc', '(b)', '<\\1>')", "boonoonoo,a<b>c"),
        ("SELECT 'a' || 'b' || 'c', 'a' || NULL || 'c'", "abc,"),
        ("SELECT x || '-' || y FROM (VALUES ('a', 1), ('b', NULL), ('c', 3)) AS t(x, y)", "a-1;;c-3"),
        ("SELECT 1 || 'a', [1] || [2, 3]", "1a,[1, 2, 3]"),
        (
            "SELECT range(0, 3), generate_series(1, 3), [1, 2], array_repeat(7, 2)",
            "[0, 1, 2],[1, 2, 3],[1, 2],[7, 7]",
        ),
        (
            "SELECT array_resize([1], 3, 7), concat('a', NULL, 'b'), concat_ws('-', 'a', 'b')",
            "[1, 7, 7],ab,a-b",
        ),
        ("SELECT count(*) FROM (SELECT unnest(range(0, 1000)) AS i, 'x' AS s) WHERE s = 'x'", "1000"),
        ("SELECT length(repeat('x', 1000000))", "1000000"),
        ("SELECT sum(length(repeat(CAST(i AS VARCHAR), 10))) FROM range(0, 100000) AS r(i)", "4888900"),
        ("SELECT length(s) FROM (SELECT repeat('x', 100000) AS s FROM range(0, 3000)) LIMIT 1", "100000"),
    ] {
        assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
    }
}

/// Windows that give wide values are rebuilt with measured arguments: they give what they gave.
#[tokio::test]
async fn windows_over_texts_give_what_they_gave() {
    let rows =
        "(VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, NULL, 'x'), (4, 'c', 'y'), (5, 'd', 'y')) AS t(n, s, g)";
    for (window, expected) in [
        ("string_agg(s, '-') OVER (ORDER BY n)", "a;a-b;a-b;a-b-c;a-b-c-d"),
        ("string_agg(s, '-') OVER (PARTITION BY g ORDER BY n)", "a;a-b;a-b;c;c-d"),
        ("string_agg(s, '-') FILTER (WHERE n > 1) OVER (ORDER BY n)", ";b;b;b-c;b-c-d"),
        ("min(s) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)", "a;a;b;c;c"),
        ("min(s) FILTER (WHERE n > 2) OVER ()", "c;c;c;c;c"),
        ("max(s) OVER (PARTITION BY g)", "b;b;b;d;d"),
        ("first_value(s) OVER (ORDER BY n DESC)", "d;d;d;d;d"),
        ("lag(s) OVER (ORDER BY n)", ";a;b;;c"),
        ("sum(n) FILTER (WHERE s IS NOT NULL) OVER (ORDER BY n)", "1;3;3;7;12"),
    ] {
        let sql = format!("SELECT w FROM (SELECT n, {window} AS w FROM {rows}) ORDER BY n");
        assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{window}");
    }
    let refused = answer(&format!("SELECT array_agg(s) FILTER (WHERE n > 1) OVER () FROM {rows}")).await;
    assert!(refused.as_ref().is_err_and(|sentence| sentence.contains("takes no FILTER")), "{refused:?}");
}

/// Rows too wide for usual batches: the same answer in narrower ones.
#[tokio::test]
async fn wide_rows_are_joined_in_narrow_batches() {
    let text = "(SELECT repeat(CAST(value AS VARCHAR), 200000) AS s FROM range(1, 3))";
    for (from, count, texts) in [
        (format!("{text}, range(0, 300)"), 600, 600),
        (format!("{text} JOIN range(0, 300) ON length(s) > value"), 600, 600),
        (format!("{text} JOIN range(0, 300) ON length(s) / 200000 = value"), 2, 2),
        (format!("range(0, 300) LEFT JOIN {text} ON length(s) / 200000 = value"), 301, 2),
    ] {
        let sql = format!("SELECT count(*), count(s), max(length(s)) FROM {from}");
        assert_eq!(answer(&sql).await, Ok(format!("{count},{texts},200000")), "{from}");
        // The texts themselves, as they leave.
        let sql = format!("SELECT s || value FROM {from}");
        let batches: Vec<_> = query(&small_session(), &sql).await.unwrap().try_collect().await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), count, "{from}");
    }
}

#[tokio::test]
async fn a_joined_column_keeps_its_name() {
    let context = small_session();
    let batches = query(&context, "SELECT 'a' || x FROM (VALUES ('b')) AS t(x)").await.unwrap();
    assert_eq!(batches.schema().field(0).name(), "Utf8(\"a\") || t.x");
}

/// As the binary's own frames are: `home check` compares rows so. Nobody tries such a plan again, so nothing ends it for its
/// width.
#[tokio::test]
async fn a_plan_that_was_not_measured_keeps_the_batches_of_its_session() {
    let context = small_session();
    let sql = "SELECT count(*), max(length(s)) FROM (SELECT i, max(s) AS s FROM (SELECT i, CASE WHEN i = 7 THEN \
               repeat(CAST(i AS VARCHAR), 5000) ELSE 'x' END AS s FROM generate_series(1, 30000) AS n(i)) GROUP BY i) AS a \
               JOIN (VALUES (1), (2), (7)) AS b(j) ON a.i = b.j";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert!(text.contains("| 3 ") && text.contains("| 5000 "), "{text}");
}

/// Calls that make too much of a batch and little of a row are made in narrower batches.
#[tokio::test]
async fn a_call_on_fewer_rows_is_tried_before_it_is_refused() {
    let sql = "SELECT count(s), max(length(s)) FROM (SELECT repeat(CAST(value AS VARCHAR), 4000) AS s FROM range(1, 20000))";
    assert_eq!(answer(sql).await.as_deref(), Ok("19999,20000"));
}

#[tokio::test]
async fn what_an_aggregate_over_a_window_gathers_is_counted() {
    // Blocks of 9 kB, too small to be counted where they are allocated.
    let wide = "arrow_cast(arrow_cast(CAST(value AS VARCHAR) || repeat('x', 9000), 'Binary'), 'FixedSizeBinary(9005)')";
    let sql = format!(
        "SELECT max(c) FROM (SELECT count(DISTINCT {wide}) OVER (ORDER BY value) AS c FROM range(10000, 30000))"
    );
    let refused = answer(&sql).await;
    assert!(refused.as_ref().is_err_and(|refused| refused.contains("more memory")), "{sql}: {refused:?}");
    for (sql, expected) in [
        (format!("SELECT max(c) FROM (SELECT count(DISTINCT {wide}) OVER (ORDER BY value) AS c FROM range(10000, 10300))"), "300"),
        (format!("SELECT max(c) FROM (SELECT count(DISTINCT {wide}) OVER (PARTITION BY value % 40 ORDER BY value) AS c FROM range(10000, 30000))"), "500"),
        ("SELECT max(c) FROM (SELECT count(DISTINCT value % 7) OVER (ORDER BY value) AS c FROM range(0, 100000))".to_owned(), "7"),
        (
            "SELECT max(c) FROM (SELECT count(DISTINCT value) OVER (ORDER BY value ROWS 9 PRECEDING) AS c FROM range(0, 100000))"
                .to_owned(),
            "10",
        ),
        ("SELECT c FROM (SELECT value, median(value) OVER (ORDER BY value DESC) AS c FROM range(0, 1000)) WHERE value = 0".to_owned(), "499.5"),
    ] {
        assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
    }
}
