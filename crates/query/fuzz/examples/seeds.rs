//! Writes the first corpus: statements of every kind that nests.

use std::fs;

const STATEMENTS: [&str; 24] = [
    "SELECT 1+2*3-4/5%6",
    "SELECT NOT NOT true AND false OR 1 IS NULL",
    "SELECT - - 1, +2, ~3",
    "SELECT CASE WHEN 1=1 THEN CASE 2 WHEN 3 THEN 4 ELSE 5 END END",
    "SELECT * FROM (SELECT * FROM (SELECT 1 AS x) AS a) AS b WHERE x IN (1,2,3)",
    "SELECT (SELECT max(x) FROM (VALUES (1),(2)) AS t(x))",
    "SELECT 1 WHERE EXISTS (SELECT 1 WHERE 1 IN (SELECT 2))",
    "SELECT abs(CAST('1' AS BIGINT))::INT::TEXT || 'a'",
    "SELECT [1,[2][1]], make_array(1,2)[1], struct(1,'a'), named_struct('a',1)['a']",
    "SELECT x BETWEEN 1 AND 2 FROM (VALUES (1)) AS t(x)",
    "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a, a AS c) SELECT count(*) FROM b",
    "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x+1 FROM r WHERE x<9) SELECT * FROM r",
    "SELECT 1 UNION ALL (SELECT 2 UNION SELECT 3) EXCEPT SELECT 4 INTERSECT SELECT 5",
    "SELECT * FROM (VALUES (1)) AS a(x) JOIN (VALUES (1)) AS b(y) ON x=y LEFT JOIN (VALUES (2)) AS c(z) USING (z)",
    "SELECT sum(x) OVER (PARTITION BY x ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM range(0,9) AS t(x)",
    "SELECT x, count(*) FROM range(0,9) AS t(x) GROUP BY GROUPING SETS ((x),()) HAVING count(*)>1 ORDER BY 1 LIMIT 3",
    "SELECT CAST(NULL AS ARRAY<INT>), CAST(NULL AS INT[][]), arrow_cast(1,'FixedSizeBinary(4)')",
    "SELECT repeat('x',3), lpad('a',3,'b'), replace('a','a','b'), range(0,3), array_repeat(1,2)",
    "SELECT unnest([1,2]), INTERVAL '1' DAY, DATE '2020-01-01' + INTERVAL '1 month', TIMESTAMP '2020-01-01T00:00:00Z'",
    "SELECT distance_km(64.0,-17.0,65.0,-16.0), 'a' LIKE 'b%' ESCAPE '!', 'a' SIMILAR TO 'b', 'a' ~ 'b'",
    "EXPLAIN ANALYZE VERBOSE SELECT 1",
    "SHOW TABLES",
    "COPY (SELECT 1) TO 'x.csv'",
    "SELECT $1, ?, :a, @b, \"q\".\"r\", 'é' AS \"ü\" -- c\n/* d /* e */ */",
];

fn main() -> std::io::Result<()> {
    fs::create_dir_all("corpus/statement")?;
    for (index, statement) in STATEMENTS.iter().enumerate() {
        fs::write(format!("corpus/statement/{index}"), statement)?;
    }
    Ok(())
}
