//! What binds tighter, against brackets written by hand after PostgreSQL's table.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Statement, VisitMut, VisitorMut};

use super::*;

fn parsed(dialect: &dyn Dialect, sql: &str) -> Result<Vec<Statement>, String> {
    Parser::parse_sql(dialect, sql).map_err(|error| error.to_string())
}

struct WithoutBrackets;

impl VisitorMut for WithoutBrackets {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        while let Expr::Nested(inner) = expression {
            *expression = (**inner).clone();
        }
        ControlFlow::Continue(())
    }
}

/// The tree of an expression, without its brackets.
fn tree(expression: &str) -> Vec<Statement> {
    let mut statements = parsed(&Seislake, &format!("SELECT {expression}")).expect(expression);
    let _ = VisitMut::visit(&mut statements, &mut WithoutBrackets);
    statements
}

#[test]
fn operators_bind_as_in_postgresql() {
    for (plain, bracketed) in [
        ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
        ("a IS NOT DISTINCT FROM b AND c", "(a IS NOT DISTINCT FROM b) AND c"),
        ("a IS DISTINCT FROM b OR c AND d", "(a IS DISTINCT FROM b) OR (c AND d)"),
        ("a AND b IS DISTINCT FROM c OR d", "(a AND (b IS DISTINCT FROM c)) OR d"),
        ("NOT a IS DISTINCT FROM b AND c", "(NOT (a IS DISTINCT FROM b)) AND c"),
        ("a IS DISTINCT FROM NOT b AND c", "(a IS DISTINCT FROM (NOT b)) AND c"),
        ("a IS DISTINCT FROM b = c", "a IS DISTINCT FROM (b = c)"),
        ("a = b IS DISTINCT FROM c", "(a = b) IS DISTINCT FROM c"),
        ("a IS DISTINCT FROM b + 1 AND c", "(a IS DISTINCT FROM (b + 1)) AND c"),
        ("a IS DISTINCT FROM b BETWEEN c AND d OR e", "(a IS DISTINCT FROM (b BETWEEN c AND d)) OR e"),
        ("a IS DISTINCT FROM b LIKE c AND d", "(a IS DISTINCT FROM (b LIKE c)) AND d"),
        ("a IS DISTINCT FROM b::INT AND c", "(a IS DISTINCT FROM (b::INT)) AND c"),
        ("a IS DISTINCT FROM -1 AND c", "(a IS DISTINCT FROM (-1)) AND c"),
        (
            "CASE WHEN a IS DISTINCT FROM b AND c THEN d END",
            "CASE WHEN (a IS DISTINCT FROM b) AND c THEN d END",
        ),
        ("x IN (1, 2) IS DISTINCT FROM y OR z", "((x IN (1, 2)) IS DISTINCT FROM y) OR z"),
        ("a IS NULL AND b", "(a IS NULL) AND b"),
        ("a = b IS NULL", "(a = b) IS NULL"),
        ("NOT a IS NULL", "NOT (a IS NULL)"),
        ("NOT a = b AND c", "(NOT (a = b)) AND c"),
        ("NOT a IN (1) OR b", "(NOT (a IN (1))) OR b"),
        ("a OR b AND c", "a OR (b AND c)"),
        ("a XOR b AND c", "a XOR (b AND c)"),
        ("a OR b XOR c", "a OR (b XOR c)"),
        ("a = 1 XOR b = 2", "(a = 1) XOR (b = 2)"),
        ("a BETWEEN 1 AND 2 AND b", "(a BETWEEN 1 AND 2) AND b"),
        ("a NOT BETWEEN 1 AND 2 OR b", "(a NOT BETWEEN 1 AND 2) OR b"),
        ("a = b BETWEEN c AND d", "a = (b BETWEEN c AND d)"),
        ("a BETWEEN b AND c = d", "(a BETWEEN b AND c) = d"),
        ("a BETWEEN b + 1 AND c || d AND e", "(a BETWEEN (b + 1) AND (c || d)) AND e"),
        ("a = b IN (1)", "a = (b IN (1))"),
        ("a IN (1) = b", "(a IN (1)) = b"),
        ("a LIKE 'x' = b", "(a LIKE 'x') = b"),
        ("a = b LIKE 'x'", "a = (b LIKE 'x')"),
        ("a NOT LIKE 'x' = b", "(a NOT LIKE 'x') = b"),
        ("a ILIKE b || '%' AND c", "(a ILIKE (b || '%')) AND c"),
        ("a SIMILAR TO 'x' <> b", "(a SIMILAR TO 'x') <> b"),
        ("a || b LIKE c || d", "(a || b) LIKE (c || d)"),
        ("'1' || 2 * 3", "'1' || (2 * 3)"),
        ("1 + 2 || 'x'", "(1 + 2) || 'x'"),
        ("'x' || 1 + 2", "'x' || (1 + 2)"),
        ("a || b = c", "(a || b) = c"),
        ("a || b || c", "(a || b) || c"),
        ("-a || b", "(-a) || b"),
        ("a = b ~ c", "a = (b ~ c)"),
        ("a ~ b = c", "(a ~ b) = c"),
        ("a !~* b IS NULL", "(a !~* b) IS NULL"),
        ("a ~ b AND c", "(a ~ b) AND c"),
        ("a @> b = c", "(a @> b) = c"),
        ("a @> b IS NULL", "(a @> b) IS NULL"),
        ("a.b -> 'x' = 'y'", "(a.b -> 'x') = 'y'"),
        ("a ->> 'x' IN ('y')", "(a ->> 'x') IN ('y')"),
        ("a & b = c", "(a & b) = c"),
        ("a & b + 1", "a & (b + 1)"),
        ("a | b & c", "(a | b) & c"),
        ("a << 1 + 2", "a << (1 + 2)"),
        ("a ^ b * c", "(a ^ b) * c"),
        ("a * b ^ c", "a * (b ^ c)"),
        ("a ^ b::INT", "a ^ (b::INT)"),
        ("a ^ b ^ c", "(a ^ b) ^ c"),
        ("-2 * 3", "(-2) * 3"),
        ("- a::INT", "-(a::INT)"),
        ("-a[1]", "-(a[1])"),
        ("a - b - c", "(a - b) - c"),
        ("a - b * c % d", "a - ((b * c) % d)"),
        ("a / b / c", "(a / b) / c"),
        ("a + b::INT", "a + (b::INT)"),
        ("a + b AT TIME ZONE 'UTC'", "a + (b AT TIME ZONE 'UTC')"),
        ("a::TIMESTAMP AT TIME ZONE 'UTC' = b", "((a::TIMESTAMP) AT TIME ZONE 'UTC') = b"),
        ("a AT TIME ZONE 'UTC'::TEXT", "a AT TIME ZONE ('UTC'::TEXT)"),
        ("a < b + c", "a < (b + c)"),
        ("a COLLATE c || b", "(a COLLATE c) || b"),
        ("a = ANY(b) AND c", "(a = ANY(b)) AND c"),
        ("a * INTERVAL '1 day' + b", "(a * INTERVAL '1 day') + b"),
        ("position('a' IN b || c) + 1", "(position('a' IN (b || c))) + 1"),
        ("l[a || b : c | d]", "l[(a || b) : (c | d)]"),
        ("NOT EXISTS (SELECT 1) AND a", "(NOT EXISTS (SELECT 1)) AND a"),
    ] {
        assert_eq!(tree(plain), tree(bracketed), "{plain}");
    }
}

#[test]
fn what_could_mean_two_things_asks_for_brackets() {
    for expression in [
        "a IS DISTINCT FROM b IS NULL",
        "a IS DISTINCT FROM b IS DISTINCT FROM c",
        "a IS NOT DISTINCT FROM b IS TRUE",
    ] {
        let refused = parsed(&Seislake, &format!("SELECT {expression}")).unwrap_err();
        assert!(refused.contains("brackets"), "{refused}");
    }
    assert!(parsed(&Seislake, "SELECT (a IS DISTINCT FROM b) IS NULL").is_ok());
}

/// Statements of every kind that the general dialect allows: a question that it answers anew would show here.
#[test]
fn everything_else_is_as_in_the_general_dialect() {
    for sql in [
        "SELECT * EXCEPT (a) FROM t",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT * REPLACE (a + 1 AS a) FROM t",
        "SELECT * RENAME (a AS b) FROM t",
        "SELECT * ILIKE '%a%' FROM t",
        "FROM t SELECT a",
        "FROM t",
        "SELECT a, b, FROM t",
        "SELECT",
        "SELECT a FROM t LIMIT 1, 2",
        "SELECT a FROM t LIMIT 3 BY b",
        "SELECT a FROM (t)",
        "SELECT a FROM t JOIN u JOIN v ON u.a = v.a ON t.a = u.a",
        "SELECT a FROM VALUES (1, 2)",
        "SELECT a FROM t |> WHERE a = 1 |> SELECT b",
        "SELECT {'a': 1, 'b': 2}",
        "SELECT MAP {'a': 1}",
        "SELECT STRUCT(1 AS a, 'b' AS b)",
        "SELECT f(a => 1), f(a := 1), f(x -> x + 1), f((x, y) -> x)",
        "SELECT f(a) FILTER (WHERE a > 1), first_value(a) IGNORE NULLS OVER w FROM t WINDOW w AS (w2 ROWS 1 PRECEDING), w2 AS (ORDER BY a)",
        "SELECT extract(microseconds FROM a), extract('year' FROM a), extract(year, a), date_part('year', a)",
        "SELECT E'a\\nb', U&'\\0061', q'[a'b]', N'a', X'00', 'a' 'b'",
        "SELECT `a`, \"b c\", a.b.c[1].d, [1, 2][1], a[1:2], #a, @b",
        "SELECT a::INT[], CAST(a AS ARRAY<INT>), TRY_CAST(a AS INT), TRY_CONVERT(INT, a), CAST(a AS INT UNSIGNED)",
        "SELECT a /* one /* two */ */ FROM t -- three",
        "SELECT /*+ hint */ a FROM t",
        "SELECT a, count(*) FROM t GROUP BY ALL WITH ROLLUP",
        "SELECT a FROM t GROUP BY ROLLUP (a), CUBE (b), GROUPING SETS ((a), ())",
        "SELECT a FROM t CONNECT BY PRIOR a = b START WITH a = 1",
        "SELECT a FROM t PREWHERE b WHERE c SETTINGS d = 1 FORMAT e",
        "SELECT a FROM t ORDER BY a WITH FILL INTERPOLATE (b)",
        "SELECT a FROM t MATCH_RECOGNIZE (PATTERN (x) DEFINE x AS a > 1)",
        "SELECT match(a) against ('b'), a -> 'b', a ->> 'c', a #> 'd', a @> b, a <@ b, a ? b, a ~~ b, a !~~* b, a && b",
        "SELECT INTERVAL '1' DAY, INTERVAL '1 day 2 hours', INTERVAL 5 MINUTE, DATE '2020-01-01', TIME '1:2:3'",
        "SELECT a DIV b, a // b, a == b, a <=> b, a RLIKE b, a REGEXP b, a MEMBER OF (b)",
        "SELECT a COLLATE b, a AT TIME ZONE b, a OVERLAPS b, position(a IN b), trim(BOTH 'x' FROM a), substring(a FROM 1 FOR 2)",
        "SELECT DISTINCT ON (a) b FROM t QUALIFY row_number() OVER () = 1",
        "SELECT a FROM t TABLESAMPLE BERNOULLI (10) FOR UPDATE",
        "SELECT a FROM t PIVOT (sum(b) FOR c IN ('d')) UNPIVOT (e FOR f IN (g, h))",
        "SELECT TOP 5 a INTO b FROM t FETCH FIRST 3 ROWS ONLY",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1",
        "SHOW TABLES",
        "DESCRIBE t",
        "SET (a, b) = (1, 2)",
        "SET a = 1, b = 2",
        "SET NAMES utf8",
        "BEGIN TRANSACTION",
        "BEGIN IMMEDIATE",
        "CREATE VIEW v COMMENT = 'a' AS SELECT 1",
        "CREATE INDEX i ON t (a) WITH (b = 1)",
        "CREATE TABLE t (a INT ASC, b INT CONSTRAINT CHECK (b > 1))",
        "COMMENT ON TABLE t IS 'a'",
        "LOAD EXTENSION a",
        "LOAD a",
        "INSTALL a",
        "DETACH a",
        "OPTIMIZE TABLE t",
        "GRANT SELECT ON t TO 'a'@'b'",
        "INSERT INTO t VALUES (1), (2)",
        "DELETE FROM t",
        "UPDATE t SET a = 1 WHERE b",
    ] {
        assert_eq!(parsed(&Seislake, sql), parsed(&GenericDialect {}, sql), "{sql}");
    }
}
