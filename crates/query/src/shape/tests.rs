//! What a statement is given against what it uses: the resident part of the stack it ran on.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::{Question, SessionSettings, query, session};

fn empty_session() -> SessionContext {
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("bulletin", Arc::new(MemorySchemaProvider::new())).unwrap();
    session(Arc::new(catalog), &SessionSettings::default()).unwrap()
}

/// `open` and `close` about `inner`, `count` times.
fn nested(count: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(count), close.repeat(count))
}

fn chain(count: usize, term: &str, operator: &str) -> String {
    vec![term; count].join(operator)
}

/// A statement of so many levels or terms.
type OfSize = fn(usize) -> String;

/// Every way to nest or lengthen a statement.
fn kinds() -> Vec<(&'static str, OfSize)> {
    vec![
        ("sum", |n| format!("SELECT {}", chain(n, "1", "+"))),
        ("sum of columns", |n| format!("SELECT {} FROM (VALUES (1), (2)) AS t(x)", chain(n, "x", "+"))),
        ("or", |n| {
            format!("SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE {}", chain(n, "x % 3 = 2", " OR "))
        }),
        ("and", |n| format!("SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE {}", chain(n, "x > 0", " AND "))),
        ("text", |n| format!("SELECT {}", chain(n, "'a'", " || "))),
        ("parentheses", |n| format!("SELECT {}", nested(n, "(", "1", ")"))),
        ("right sums", |n| format!("SELECT {} FROM (VALUES (1)) AS t(x)", nested(n, "(x+", "1", ")"))),
        ("not", |n| format!("SELECT x FROM (VALUES (true)) AS t(x) WHERE {}", nested(n, "NOT ", "x", ""))),
        ("minus", |n| format!("SELECT {} FROM (VALUES (1)) AS t(x)", nested(n, "- ", "x", ""))),
        ("case", |n| {
            format!(
                "SELECT {} FROM (VALUES (1)) AS t(x)",
                nested(n, "CASE WHEN x=1 THEN ", "2", " ELSE 3 END")
            )
        }),
        ("selects", |n| nested(n, "SELECT * FROM (", "SELECT 1 AS x", ") AS t")),
        ("scalar subqueries", |n| nested(n, "SELECT (", "SELECT 1", ")")),
        ("exists", |n| nested(n, "SELECT 1 AS x WHERE EXISTS (", "SELECT 1", ")")),
        ("in subqueries", |n| nested(n, "SELECT 1 AS x WHERE 1 IN (", "SELECT 1", ")")),
        ("calls", |n| format!("SELECT {} FROM (VALUES (1)) AS t(x)", nested(n, "abs(", "x", ")"))),
        ("casts", |n| format!("SELECT {} FROM (VALUES (1)) AS t(x)", nested(n, "CAST(", "x", " AS BIGINT)"))),
        ("colon casts", |n| format!("SELECT x{} FROM (VALUES (1)) AS t(x)", "::INT::BIGINT".repeat(n / 2))),
        ("lists", |n| format!("SELECT {}", nested(n, "[", "1", "]"))),
        ("structs", |n| format!("SELECT {}", nested(n, "named_struct('a', ", "1", ")"))),
        ("between", |n| {
            format!("SELECT {} FROM (VALUES (1)) AS t(x)", nested(n, "(x BETWEEN 0 AND ", "1", ")::INT"))
        }),
        ("in list", |n| format!("SELECT 1 AS x WHERE 1 IN ({})", chain(n, "2", ","))),
        ("values", |n| format!("SELECT count(*) FROM (VALUES {}) AS t(x)", chain(n, "(-1)", ","))),
        ("union all", |n| chain(n, "SELECT 1", " UNION ALL ")),
        ("union", |n| chain(n, "SELECT 1", " UNION ")),
        ("intersect", |n| chain(n, "SELECT 1", " INTERSECT ")),
        ("table expressions", |n| {
            let each = (1..n).map(|i| format!("t{i} AS (SELECT x FROM t{})", i - 1));
            let all: Vec<String> = std::iter::once("t0 AS (SELECT 1 AS x)".to_owned()).chain(each).collect();
            format!("WITH {} SELECT * FROM t{}", all.join(", "), n.max(1) - 1)
        }),
        ("cross joins", |n| {
            let tables: Vec<String> = (0..n).map(|i| format!("(VALUES (1)) AS t{i}(x{i})")).collect();
            format!("SELECT count(*) FROM {}", tables.join(", "))
        }),
        ("joins", |n| {
            let joins: Vec<String> =
                (1..n).map(|i| format!("JOIN (VALUES (1)) AS t{i}(x{i}) ON x{i} = x{}", i - 1)).collect();
            format!("SELECT count(*) FROM (VALUES (1)) AS t0(x0) {}", joins.join(" "))
        }),
        ("nested joins", |n| {
            nested(n, "SELECT 1 AS y FROM ((VALUES (1)) AS a(x) CROSS JOIN (", "SELECT 1 AS y", ") AS b)")
        }),
        ("windows", |n| nested(n, "SELECT sum(x) OVER () AS x FROM (", "SELECT 1 AS x", ") AS t")),
        ("windows beside each other", |n| {
            let all: Vec<String> = (0..n).map(|i| format!("sum(x) OVER (ORDER BY x + {i})")).collect();
            format!("SELECT {} FROM (VALUES (1)) AS t(x)", all.join(", "))
        }),
        ("aggregates", |n| nested(n, "SELECT sum(x) AS x FROM (", "SELECT 1 AS x", ") AS t")),
        ("is null", |n| format!("SELECT {}", nested(n, "(", "1", " IS NULL)"))),
        ("like", |n| format!("SELECT {}", nested(n, "(", "'a'", " LIKE 'a')::TEXT"))),
        ("fields", |n| format!("SELECT x{} FROM (SELECT 1 AS x) AS t", "['a']".repeat(n))),
        ("types", |n| format!("SELECT CAST(NULL AS {})", nested(n, "ARRAY<", "INT", ">"))),
        ("list types", |n| format!("SELECT CAST(NULL AS INT{})", "[]".repeat(n))),
        ("explain", |n| nested(n, "EXPLAIN ", "SELECT 1", "")),
        ("intervals", |n| {
            nested(n, "SELECT ", "1", "").replacen("SELECT ", "INTERVAL ", n.saturating_sub(1))
        }),
        ("open brackets", |n| format!("SELECT {}", "(".repeat(n))),
        ("open selects", |n| "SELECT * FROM (".repeat(n)),
        ("open cases", |n| format!("SELECT {}", "CASE ".repeat(n))),
    ]
}

/// Bytes of the stack of `work` that were touched.
#[allow(clippy::disallowed_methods, reason = "the kernel knows how much of a stack was used")]
fn touched_bytes(work: impl FnOnce()) -> usize {
    on_stack(STACK_BYTES_MAX * 2, || {
        work();
        let here = 0_u8;
        let address = std::ptr::from_ref(&here) as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut within = false;
        for line in maps.lines() {
            let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
            let bounds = range.and_then(|(from, to)| {
                Some(usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?)
            });
            match bounds {
                Some(bounds) => within = bounds.contains(&address),
                None if within && line.starts_with("Rss:") => {
                    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
                    return kilobytes << 10;
                }
                None => {}
            }
        }
        panic!("the stack is not in the list of mappings");
    })
}

/// Plans and runs; the number of rows, or the sentence.
fn answer(sql: &str) -> std::result::Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let context = empty_session();
        let batches = query(&context, sql).await.map_err(|error| error.to_string())?;
        let batches: Vec<_> = batches.try_collect().await.map_err(|error| error.to_string())?;
        Ok(batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
    })
}

fn given_bytes(sql: &str) -> Option<usize> {
    let asked = crate::parse(&empty_session(), Question::new(sql)).ok()?;
    Some(asked.stack_bytes())
}

/// Kinds that nobody answers, not even short ones: they are refused in words.
const WRONG: [&str; 6] = ["fields", "explain", "intervals", "open brackets", "open selects", "open cases"];
/// Kinds that are answered in a few levels only.
const MULTIPLYING: [&str; 4] = ["scalar subqueries", "exists", "in subqueries", "nested joins"];

#[test]
fn statements_use_less_stack_than_they_are_given() {
    for (kind, statement) in kinds() {
        for count in [1, 10, 60, 120] {
            let sql = statement(count);
            let is_wrong = WRONG.contains(&kind);
            let Some(given) = given_bytes(&sql) else {
                let is_deep = count > if MULTIPLYING.contains(&kind) { 10 } else { 60 };
                assert!(is_wrong || is_deep, "{kind} {count} is refused");
                continue;
            };
            let mut outcome = Ok(0);
            let used = touched_bytes(|| outcome = answer(&sql));
            eprintln!(
                "{kind} {count}: used {} kB of {} kB, per level {} B, {outcome:?}",
                used >> 10,
                given >> 10,
                used / count
            );
            assert!(used < given, "{kind} {count}: used {used} bytes of {given}");
            assert!(is_wrong || outcome.is_ok(), "{kind} {count}: {outcome:?}");
        }
    }
}

/// What tools write for a list of ranges: fifty levels.
#[test]
fn nested_cases_are_answered_as_the_flat_ones_they_are() {
    use crate::asking::answer;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let level = |open: &str, close: &str| {
        (0..50).rev().fold("99".to_owned(), |inner, i| {
            let i = i.to_string();
            format!("{}{inner}{}", open.replace('#', &i), close.replace('#', &i))
        })
    };
    let rows = "FROM (VALUES (0), (7), (49), (50), (NULL)) AS t(x)";
    for (open, close, expected) in [
        ("CASE WHEN x = # THEN # ELSE ", " END", "0;7;49;99;99"),
        ("CASE x WHEN # THEN # ELSE ", " END", "0;7;49;99;99"),
        ("CASE WHEN x <> # THEN (", ") ELSE # END", "0;7;49;99;0"),
        ("CASE WHEN x = # THEN # WHEN x > # THEN ", " END", "0;7;49;99;"),
        ("CASE WHEN x = # THEN # WHEN x > # THEN ", " ELSE -1 END", "0;7;49;99;-1"),
        ("coalesce(nullif(x, x), ", ")", "99;99;99;99;99"),
        ("nvl(NULL, coalesce(NULL, ", ", #))", "99;99;99;99;99"),
    ] {
        let found = runtime.block_on(answer(&format!("SELECT {} {rows}", level(open, close))));
        assert_eq!(found.as_deref(), Ok(expected), "{open}");
    }
    let doubling = level("1 + coalesce(x, ", ")");
    let refused = runtime.block_on(answer(&format!("SELECT {doubling} {rows}")));
    assert!(refused.unwrap_err().contains("too large a plan"));
}

#[test]
fn long_chains_are_answered_or_refused_at_once() {
    let of = |count: usize, term: &str, operator: &str| {
        format!("SELECT {} FROM (VALUES (1, 'a')) AS t(x, s)", chain(count, term, operator))
    };
    for (term, operator) in
        [("x", " + "), ("x", " - "), ("x", " * "), ("s", " || "), ("x", " | "), ("x * 2", " + ")]
    {
        let refused = answer(&of(10_000, term, operator)).unwrap_err();
        assert!(refused.contains("chain of 10000 terms"), "{term}{operator}: {refused}");
    }
    for (term, operator) in [("1", " + "), ("'a'", " || "), ("x = 1", " OR "), ("x = 1", " AND ")] {
        assert_eq!(answer(&of(10_000, term, operator)), Ok(1), "{term}{operator}");
    }
    assert_eq!(answer(&of(300, "x", " + ")), Ok(1));
}

#[test]
fn a_plan_with_more_joins_than_a_task_has_turns_ends() {
    let joins: String = (0..140).map(|i| format!(" JOIN (SELECT 1 AS x{i}) AS t{i} ON x{i} = x")).collect();
    assert_eq!(answer(&format!("SELECT count(*) FROM (SELECT 1 AS x) AS t{joins}")), Ok(1));
}

#[test]
fn what_is_nested_without_end_is_refused_with_a_sentence() {
    for (kind, statement) in kinds() {
        let refused = crate::parse(&empty_session(), Question::new(statement(100_000)));
        // The one kind that is long and not nested.
        assert_eq!(refused.is_ok(), kind == "in list", "{kind}");
        let Err(error) = refused else { continue };
        assert!(!error.message.contains('\n') && error.message.len() < 1000, "{kind}: {error}");
    }
}

#[test]
fn a_short_statement_does_not_ask_for_a_plan_of_millions() {
    let each = (1..60).map(|i| format!("t{i} AS (SELECT a.x FROM t{0} AS a, t{0} AS b)", i - 1));
    let all: Vec<String> = std::iter::once("t0 AS (SELECT 1 AS x)".to_owned()).chain(each).collect();
    let sql = format!("WITH {} SELECT * FROM t59", all.join(", "));
    let error = crate::parse(&empty_session(), Question::new(sql)).unwrap_err();
    assert!(error.message.contains("too large a plan"), "{error}");
    let doubled = nested(60, "SELECT x + x AS x FROM (", "SELECT 1 AS x", ")");
    let sql = format!("SELECT * FROM ({doubled}) WHERE x > 1");
    let error = crate::parse(&empty_session(), Question::new(sql)).unwrap_err();
    assert!(error.message.contains("multiply"), "{error}");
}

fn numbered(count: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(between)
}

fn refusal(sql: &str) -> Option<String> {
    crate::parse(&empty_session(), Question::new(sql)).err().map(|error| error.message)
}

#[test]
fn a_plan_that_would_be_too_large_is_refused_before_it_is_begun() {
    let columns = |n: usize| numbered(n, ", ", |i| format!("1 AS c{i}"));
    let wide = format!("WITH w AS (SELECT {})", columns(1000));
    let of_wide = numbered(500, ", ", |i| format!("w AS w{i}"));
    let from = "FROM (VALUES (1)) AS t(x)";
    for (sql, told) in [
        (
            format!("SELECT 1 {from} GROUP BY CUBE({})", numbered(60, ", ", |i| format!("x + {i}"))),
            "GROUP BY",
        ),
        (
            format!("SELECT 1 {from} GROUP BY CUBE({})", numbered(13, ", ", |i| format!("x + {i}"))),
            "GROUP BY",
        ),
        (
            format!(
                "SELECT 1 {from} GROUP BY {}",
                chain(7, "GROUPING SETS ((x), (x+1), (x+2), (x+3))", ", ")
            ),
            "GROUP BY",
        ),
        (format!("SELECT 1 {from} GROUP BY {}", chain(9, "ROLLUP(x, x+1)", ", ")), "GROUP BY"),
        (format!("SELECT (SELECT 1 {from} GROUP BY CUBE({}))", chain(60, "x", ", ")), "GROUP BY"),
        (format!("SELECT {} {from}", numbered(39_000, ", ", |i| format!("x + {i}"))), "columns"),
        (format!("SELECT {} FROM (SELECT {}) AS t", chain(100, "*", ", "), columns(100)), "columns"),
        (format!("{wide} SELECT * FROM {of_wide}"), "columns"),
        (format!("{wide} SELECT (SELECT count(*) FROM (SELECT * FROM {of_wide}))"), "too large"),
        (format!("SELECT 1 WHERE EXISTS ({wide} SELECT * FROM {of_wide})"), "too large"),
        (format!("SELECT * FROM {}", numbered(80, ", ", |i| format!("a AS a{i}"))), "columns"),
        (chain(2000, "SELECT 1", " UNION "), "parts"),
        (format!("SELECT x {from} ORDER BY {}", numbered(1000, ", ", |i| format!("x + {i}"))), "parts"),
        (
            format!("SELECT {} {from}", numbered(300, ", ", |i| format!("sum(x) OVER (ORDER BY x + {i})"))),
            "too large",
        ),
    ] {
        let refused = refusal(&sql).unwrap_or_else(|| panic!("admitted: {}", &sql[..sql.len().min(200)]));
        assert!(refused.contains("too large a plan") && refused.contains(told), "{refused}");
    }
}

/// What tools for reports send, and people with many columns.
#[test]
fn large_plans_of_usual_tools_are_admitted() {
    let columns = |n: usize| numbered(n, ", ", |i| format!("x + {i} AS c{i}"));
    let from = "FROM (VALUES (1)) AS t(x)";
    for sql in [
        format!("SELECT {} {from}", columns(1000)),
        format!("SELECT x, count(*) {from} GROUP BY CUBE(x, x+1, x+2, x+3, x+4, x+5, x+6)"),
        format!("SELECT x, count(*) {from} GROUP BY ROLLUP(x, x+1, x+2), CUBE(x+3, x+4)"),
        format!("SELECT * {from} WHERE x IN ({})", numbered(20_000, ", ", |i| i.to_string())),
        format!("SELECT count(*) FROM (VALUES {}) AS t(x)", numbered(20_000, ", ", |i| format!("({i})"))),
        chain(500, "SELECT 1 AS x", " UNION ALL "),
        format!(
            "SELECT * FROM {}",
            numbered(12, " CROSS JOIN ", |i| format!("(SELECT {}) AS t{i}", columns(50).replace('x', "1")))
        ),
        format!(
            "SELECT {} {from}",
            numbered(40, ", ", |i| format!("sum(x) OVER (PARTITION BY x ORDER BY x + {i})"))
        ),
        format!(
            "SELECT * FROM ({}) AS t ORDER BY {}",
            format_args!("SELECT {} {from}", columns(64)),
            numbered(64, ", ", |i| format!("c{i}"))
        ),
    ] {
        assert_eq!(refusal(&sql), None, "{}", &sql[..sql.len().min(200)]);
    }
}

/// Parts of statements; put together at random they are mostly wrong, and must be refused in words.
const WORDS: [&str; 64] = [
    "SELECT",
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "(",
    "(",
    "(",
    ")",
    ")",
    ")",
    "[",
    "]",
    "CAST(",
    "AS",
    "BIGINT",
    "::INT",
    "UNION ALL",
    "INTERSECT",
    "WITH t AS (",
    "JOIN",
    "ON",
    "IN (",
    "BETWEEN",
    "EXISTS (",
    "range(0, 9)",
    "repeat('x', 9)",
    "unnest(",
    "OVER (",
    "PARTITION BY",
    "ORDER BY",
    "GROUP BY",
    "INTERVAL",
    "ARRAY<",
    ">",
    "struct(",
    "VALUES (",
    "EXPLAIN",
    "LIMIT",
    "NULL",
    "1",
    "1",
    "'a'",
    "||",
    "+",
    "-",
    "*",
    "x",
    "x",
    "t",
    ",",
    ",",
    ".",
    "=",
    "<",
    "count(*)",
    "true",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_words_is_planned_or_refused(words in prop::collection::vec(0..WORDS.len(), 1..40)) {
        let sql: Vec<&str> = words.iter().map(|word| WORDS[*word]).collect();
        let planned = futures::executor::block_on(crate::plan(&empty_session(), &format!("SELECT {}", sql.join(" "))));
        if let Err(error) = planned {
            prop_assert!(!error.message.is_empty() && !error.message.contains('\n'), "{}", error);
        }
    }

    #[test]
    fn any_nesting_of_expressions_is_planned_or_refused(
        levels in prop::collection::vec(0..8_usize, 1..100),
        leaf in prop::sample::select(vec!["1", "x", "NULL", "'a'", "true"]),
    ) {
        let mut sql = leaf.to_owned();
        for level in levels {
            sql = match level {
                0 => format!("({sql})"),
                1 => format!("NOT ({sql})"),
                2 => format!("({sql}) + 1"),
                3 => format!("CASE WHEN {sql} IS NULL THEN 1 ELSE 2 END"),
                4 => format!("abs({sql})"),
                5 => format!("CAST({sql} AS BIGINT)"),
                6 => format!("(SELECT {sql})"),
                _ => format!("coalesce({sql}, 1)"),
            };
        }
        let sql = format!("SELECT {sql} FROM (VALUES (1)) AS t(x)");
        if let Err(error) = answer(&sql) {
            prop_assert!(!error.is_empty() && !error.contains('\n'), "{}", error);
        }
    }
}
