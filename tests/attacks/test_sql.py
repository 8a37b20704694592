"""Statements that would end, stop or empty a server; all of one client, over Flight SQL."""

import multiprocessing
import threading
import time

import numpy as np
import pytest
from harness import Home, wait_until
from records import series

ENDLESS = "SELECT count(*) FROM range(0, 3000000) AS a(x), range(0, 3000000) AS b(y) WHERE x + y = -1"
# A server that asks for much more memory than its limit allows ends here instead of slowing the machine.
ADDRESS_SPACE = 6 << 30


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all statements: each finds it alive."""
    home = Home(tmp_path_factory.mktemp("sql"))
    served = home.serve(prefix=("prlimit", f"--as={ADDRESS_SPACE}"))
    yield served
    assert served.process.poll() is None, served.log()[-4000:]
    home.close()


def told(server, statement: str, timeout_s: float = 30) -> str:
    """Rows as text, or the sentence of the refusal; never an abort."""
    try:
        answer = str(server.sql(statement, timeout_s))
    except Exception as error:  # noqa: BLE001 - the driver has many kinds
        answer = str(error)
    assert server.process.poll() is None, f"{statement[:100]}: {answer}\n{server.log()[-3000:]}"
    server.alive(within_s=5)
    return answer


def nested(count, opened, inner, closed):
    return opened * count + inner + closed * count


NESTINGS = {
    "sums": lambda n: "SELECT " + "+".join(["1"] * n),
    "ors": lambda n: "SELECT 1 AS x WHERE " + " OR ".join(["1 = 2"] * n),
    "ands": lambda n: "SELECT 1 AS x WHERE " + " AND ".join(["1 = 1"] * n),
    "texts": lambda n: "SELECT length(" + "||".join(["'a'"] * n) + ")",
    "parentheses": lambda n: "SELECT " + nested(n, "(", "1", ")"),
    "nots": lambda n: "SELECT " + nested(n, "NOT ", "true", ""),
    "minus": lambda n: "SELECT " + nested(n, "- ", "1", ""),
    "cases": lambda n: "SELECT " + nested(n, "CASE WHEN 1=1 THEN ", "1", " END"),
    "selects": lambda n: nested(n, "SELECT * FROM (", "SELECT 1 AS x", ") AS t"),
    "scalar subqueries": lambda n: nested(n, "SELECT (", "SELECT 1", ")"),
    "exists": lambda n: nested(n, "SELECT 1 WHERE EXISTS (", "SELECT 1", ")"),
    "in subqueries": lambda n: nested(n, "SELECT 1 WHERE 1 IN (", "SELECT 1", ")"),
    "calls": lambda n: "SELECT " + nested(n, "abs(", "-1", ")"),
    "casts": lambda n: "SELECT " + nested(n, "CAST(", "1", " AS BIGINT)"),
    "colons": lambda n: "SELECT 1" + "::BIGINT" * n,
    "lists": lambda n: "SELECT " + nested(n, "[", "1", "]"),
    "structs": lambda n: "SELECT " + nested(n, "struct(", "1", ")"),
    "subscripts": lambda n: "SELECT [1]" + "[1]" * n,
    "types": lambda n: "SELECT CAST(NULL AS " + nested(n, "ARRAY<", "INT", ">") + ")",
    "list types": lambda n: "SELECT CAST(NULL AS INT" + "[]" * n + ")",
    "between": lambda n: "SELECT " + nested(n, "(1 BETWEEN 0 AND ", "1", ")::INT"),
    "unions": lambda n: " UNION ALL ".join(["SELECT 1"] * n),
    "intersects": lambda n: " INTERSECT ".join(["SELECT 1"] * n),
    "bracketed unions": lambda n: nested(n, "(SELECT 1 UNION ALL ", "SELECT 1", ")"),
    "table expressions": lambda n: "WITH t0 AS (SELECT 1 AS x)" + "".join(f", t{i} AS (SELECT x FROM t{i-1})" for i in range(1, n)) + f" SELECT * FROM t{n-1}",
    "doubled table expressions": lambda n: "WITH t0 AS (SELECT 1 AS x)" + "".join(f", t{i} AS (SELECT a.x FROM t{i-1} a, t{i-1} b)" for i in range(1, n)) + f" SELECT * FROM t{n-1}",
    "cross joins": lambda n: "SELECT count(*) FROM " + ",".join(f"(SELECT 1) AS t{i}" for i in range(n)),
    "joins": lambda n: "SELECT count(*) FROM (SELECT 1 AS x) AS t" + "".join(f" JOIN (SELECT 1 AS x{i}) AS t{i} ON x{i} = x" for i in range(n)),
    "windows": lambda n: nested(n, "SELECT sum(x) OVER () AS x FROM (", "SELECT 1 AS x", ") AS t"),
    "explains": lambda n: nested(n, "EXPLAIN ", "SELECT 1", ""),
    "intervals": lambda n: "SELECT " + nested(n, "INTERVAL ", "'1' DAY", ""),
    "open brackets": lambda n: "SELECT " + "(" * n,
    "open selects": lambda n: "SELECT * FROM (" * n,
    "open joins": lambda n: "SELECT * FROM " + "(a JOIN " * n,
    "doubled columns": lambda n: "SELECT * FROM (" + nested(n, "SELECT x + x AS x FROM (", "VALUES (1)) AS t(x", ")") + ") WHERE x > 1",
    "doubled expressions": lambda n: "WITH t0 AS (SELECT x FROM (VALUES (1)) AS t(x))" + "".join(f", t{i} AS (SELECT x + x AS x FROM t{i-1})" for i in range(1, n)) + f" SELECT * FROM t{n-1} WHERE x > 1",
}


@pytest.mark.parametrize("kind", sorted(NESTINGS))
def test_D2_no_nesting_ends_the_process(server, kind):
    for count in (60, 150, 50000):
        told(server, NESTINGS[kind](count), timeout_s=10)


def test_D2_a_statement_longer_than_a_megabyte_is_refused(server):
    assert "bytes" in told(server, "SELECT '" + "x" * (1 << 20) + "'")


GROWING = [
    "SELECT array_length(range(0, 2000000000))", "SELECT length(repeat('x', 2000000000))",
    "SELECT length(lpad('a', 2147483647, 'b'))", "SELECT length(rpad('a', 2147483647, 'b'))",
    "SELECT length(replace(repeat('x', 10000000), 'x', repeat('y', 10000000)))",
    "SELECT array_length(array_repeat(1, 2000000000))", "SELECT array_length(array_resize([1], 2000000000, 7))",
    "SELECT array_length(generate_series(0, 4000000000))",
    "SELECT length(regexp_replace(repeat('x', 10000000), 'x', repeat('y', 10000), 'g'))",
    "SELECT length(array_to_string(range(0, 10000000), repeat('x', 10000)))",
    "SELECT sum(length(repeat(CAST(i AS VARCHAR), 10000000))) FROM range(0, 100000) AS r(i)",
    "SELECT * FROM range(0, length(repeat('x', 2000000000)))",
    "SELECT length(" + "||".join(["repeat('x', 10000000)"] * 500) + ")",
    "SELECT concat(" + ",".join(["repeat('x', 10000000)"] * 500) + ")",
    "SELECT count(*) FROM (SELECT repeat('x', 20000000) AS s, unnest(range(0, 1000000)) AS i) WHERE s <> 'y'",
    "SELECT max(s || i) FROM (SELECT repeat('x', 20000000) AS s) AS a, range(0, 1000000) AS r(i)",
    "SELECT arrow_cast('a', 'FixedSizeBinary(2000000000)')",
    "SELECT length(string_agg(repeat('x', 1000000), ',')) FROM range(0, 100000) AS r(i)",
    "SELECT array_length(array_agg(repeat('x', 1000000))) FROM range(0, 100000) AS r(i)",
]


@pytest.mark.parametrize("statement", GROWING, ids=range(len(GROWING)))
def test_D5_no_call_takes_more_than_its_memory(server, statement):
    before = server.resident_bytes()
    peak = [before]
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], server.resident_bytes())
    watching = threading.Thread(target=watch)
    watching.start()
    # What would take long within its memory is given up: its client may leave.
    answer = told(server, statement, timeout_s=5)
    done.set()
    watching.join()
    assert peak[0] - before < 1 << 30, f"{(peak[0] - before) >> 20} MB: {answer[:300]}"


# Plans that are large, not statements that are long: each is refused or planned within seconds.
LARGE_PLANS = {
    "cube": "SELECT count(*) FROM (VALUES (1)) AS t(x) GROUP BY CUBE(" + ",".join(f"x+{i}" for i in range(60)) + ")",
    "small cube": "SELECT count(*) FROM (VALUES (1)) AS t(x) GROUP BY CUBE(" + ",".join(f"x+{i}" for i in range(16)) + ")",
    "grouping sets": "SELECT count(*) FROM (VALUES (1)) AS t(x) GROUP BY " + ",".join(["GROUPING SETS ((x),(x+1),(x+2),(x+3))"] * 12),
    "rollups": "SELECT count(*) FROM (VALUES (1)) AS t(x) GROUP BY " + ",".join("ROLLUP(" + ",".join(f"x+{i * 8 + j}" for j in range(8)) + ")" for i in range(8)),
    "columns": "SELECT " + ",".join(f"x+{i} AS c{i}" for i in range(40_000)) + " FROM (VALUES (1)) AS t(x)",
    "calls": "SELECT " + ",".join(f"abs(x-{i})" for i in range(20_000)) + " FROM (VALUES (1)) AS t(x)",
    "stars": "SELECT " + ",".join(["*"] * 5_000) + " FROM (SELECT " + ",".join(f"1 AS c{i}" for i in range(1000)) + ") AS t",
    "wide joins": "SELECT * FROM " + ",".join(f"(SELECT {','.join(f'{j} AS c{i}_{j}' for j in range(200))}) AS t{i}" for i in range(100)),
    "wide names": "WITH w AS (SELECT " + ",".join(f"1 AS c{i}" for i in range(1000)) + ") SELECT * FROM " + ",".join(f"w AS w{i}" for i in range(500)),
    "hidden wide names": "WITH w AS (SELECT " + ",".join(f"1 AS c{i}" for i in range(1000)) + ") SELECT (SELECT count(*) FROM (SELECT * FROM " + ",".join(f"w AS w{i}" for i in range(500)) + "))",
    "unions": " UNION ALL ".join(f"SELECT {i}" for i in range(10_000)),
    "distinct unions": " UNION ".join(f"SELECT {i}" for i in range(3_000)),
    "list": "SELECT count(*) FROM range(0, 9) AS t(x) WHERE x IN (" + ",".join(str(i) for i in range(140_000)) + ")",
    "list of texts": "SELECT count(*) FROM (VALUES ('a')) AS t(x) WHERE x IN (" + ",".join(f"'{i}'" for i in range(100_000)) + ")",
    "list of sums": "SELECT count(*) FROM range(0, 9) AS t(x) WHERE x IN (" + ",".join(f"x+{i}" for i in range(39_000)) + ")",
    "rows": "SELECT count(*) FROM (VALUES " + ",".join(f"({i})" for i in range(110_000)) + ") AS t(x)",
    "array": "SELECT array_length([" + ",".join(str(i) for i in range(140_000)) + "])",
    "arguments": "SELECT coalesce(" + ",".join(["NULL"] * 150_000) + ")",
    "branches": "SELECT CASE x " + " ".join(f"WHEN {i} THEN {i}" for i in range(20_000)) + " END FROM range(0, 9) AS t(x)",
    "table expressions": "WITH " + ",".join(f"t{i} AS (SELECT {i} AS x)" for i in range(20_000)) + " SELECT * FROM t1",
    "windows": "SELECT " + ",".join(f"sum(x) OVER (ORDER BY x+{i})" for i in range(3_000)) + " FROM range(0, 9) AS t(x)",
    "aggregates": "SELECT " + ",".join(f"sum(x+{i})" for i in range(10_000)) + " FROM range(0, 9) AS t(x)",
    "orders": "SELECT x FROM range(0, 9) AS t(x) ORDER BY " + ",".join(f"x+{i}" for i in range(20_000)),
    "groups": "SELECT count(*) FROM range(0, 9) AS t(x) GROUP BY " + ",".join(f"x+{i}" for i in range(20_000)),
}


@pytest.mark.parametrize("kind", sorted(LARGE_PLANS))
def test_D2_no_plan_takes_the_server(server, kind):
    before, worked_s = server.resident_bytes(), server.worked_s()
    answer = told(server, LARGE_PLANS[kind], timeout_s=45)
    assert server.worked_s() - worked_s < 40, f"{server.worked_s() - worked_s:.0f} s: {answer[:200]}"
    assert server.resident_bytes() - before < 1 << 30, f"{(server.resident_bytes() - before) >> 20} MB"


# Calls on one batch that nothing can stop: what remains of their kind. A backtracking search, a window that grows.
UNSTOPPABLE = [
    "SELECT length(regexp_replace(repeat('A', 3000000), '.*[^A-Z]|[A-Z]', 'x', 'g'))",
    "SELECT length(regexp_replace(s, '.*[^A-Z]|[A-Z]', 'x', 'g')) FROM (SELECT repeat(x, 3000000) AS s FROM (VALUES ('A')) AS t(x))",
]


@pytest.mark.flaky(reruns=1)
def test_D4_threads_that_do_not_come_back_are_replaced_and_the_doors_go_on(home):
    server = home.serve(settings="[query]\ntimeout_s = 2.0\nthread_count = 2\n")
    threads = [threading.Thread(target=told, args=(server, statement, 30)) for statement in UNSTOPPABLE * 2]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 9
    while time.monotonic() < end:
        for path in ("/events", "/stations", "/fdsnws/event/1/query", "/fdsnws/station/1/query"):
            began = time.monotonic()
            assert server.get(path, timeout=10).status_code in (200, 204)
            assert time.monotonic() - began < 5, path
        assert server.graphql("{events(first: 1) {nodes {eventId}}}")["data"] is not None
    for thread in threads:
        thread.join()
    wait_until(lambda: _answers(server), within_s=30)
    ready = server.get("/readyz")
    assert ready.status_code == 200 and "replaced" in ready.json()["parts"]["queries"], ready.text
    metrics = server.get("/metrics").text
    held = [line for line in metrics.splitlines() if line.startswith("seislake_query_threads_held") and "sql" in line]
    assert held and float(held[0].split()[-1]) >= 1, metrics
    server.kill()


def _answers(server) -> bool:
    try:
        return server.sql("SELECT 1", timeout_s=10) == [(1,)]
    except Exception:  # noqa: BLE001 - the driver has many kinds
        return False


def test_an_answer_with_more_rows_than_allowed_ends_with_an_error(home):
    server = home.serve(settings="[query]\nrow_count = 10000\n")
    assert len(server.sql("SELECT * FROM range(0, 10000)")) == 10_000
    with pytest.raises(Exception, match="query.row_count"):
        server.sql("SELECT * FROM range(0, 100000)")
    assert server.sql("SELECT count(*) FROM range(0, 100000)") == [(100_000,)]


# What a statement may not touch: files, settings, tables.
FORBIDDEN = [
    "SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"", "SELECT * FROM './Cargo.toml'", "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_parquet('/tmp/x.parquet')", "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM csv_scan('/etc/passwd')", "SELECT pg_read_file('/etc/passwd')", "SELECT load_file('/etc/passwd')",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://a/b'",
    "CREATE TABLE t AS SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE OR REPLACE TABLE bulletin.events AS SELECT 1", "CREATE SCHEMA s",
    "CREATE DATABASE d", "CREATE FUNCTION f() RETURNS INT RETURN 1", "DROP TABLE bulletin.events", "DROP VIEW bulletin.events_current",
    "DROP SCHEMA bulletin", "COPY (SELECT 1) TO '/tmp/seislake-attack.csv'", "COPY bulletin.events TO '/tmp/seislake-attack.parquet'",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/seislake-attack.csv'", "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/seislake-attack.csv'",
    "INSERT INTO bulletin.events SELECT * FROM bulletin.events", "INSERT INTO information_schema.tables VALUES (1)",
    "UPDATE bulletin.events SET magnitude = 9", "DELETE FROM bulletin.events", "TRUNCATE TABLE bulletin.events",
    "ALTER TABLE bulletin.events ADD COLUMN x INT", "SET datafusion.execution.batch_size = 1", "SET datafusion.runtime.memory_limit = '100G'",
    "RESET datafusion.execution.batch_size", "SELECT 1; DROP TABLE bulletin.events", "SELECT 1; SELECT 2", "BEGIN", "COMMIT",
    "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "GRANT ALL ON bulletin.events TO x", "LOAD DATA INPATH '/etc/passwd' INTO TABLE t",
]


def test_no_statement_reads_a_file_or_changes_anything(server, tmp_path):
    for statement in FORBIDDEN:
        with pytest.raises(Exception) as refused:
            server.sql(statement)
        assert "root:" not in str(refused.value), statement
        assert server.process.poll() is None, statement
    import pathlib
    assert not list(pathlib.Path("/tmp").glob("seislake-attack*"))
    assert server.sql("SELECT count(*) FROM bulletin.events") == [(0,)]


def _ask(address: str, statements: list) -> None:
    import adbc_driver_flightsql.dbapi as flight_sql
    while True:
        for statement in statements:
            try:
                with flight_sql.connect(address) as connection, connection.cursor() as cursor:
                    cursor.execute(statement)
                    cursor.fetchall()
            except Exception:  # noqa: BLE001 - refused or cut off: asked again
                pass


@pytest.mark.flaky(reruns=1)
def test_D4_the_live_path_goes_on_whatever_is_asked(tmp_path):
    home = Home(tmp_path)
    server = home.serve(settings="[query]\ntimeout_s = 5.0\n[lake]\ncommit_interval_s = 0.5\n")
    worst = [
        [ENDLESS],
        ["SELECT count(*) FROM range(0, 100000) AS a(x), range(0, 100000) AS b(y), range(0, 100000) AS c(z)"],
        [NESTINGS["ors"](3000), GROWING[0], GROWING[4]],
        ["SELECT sum(x) OVER (ORDER BY y) FROM (SELECT a.x, b.y FROM range(0, 3000) AS a(x), range(0, 3000) AS b(y))"],
    ]
    clients = [multiprocessing.get_context("spawn").Process(target=_ask, args=(server.flight, statements)) for statements in worst]
    for client in clients:
        client.start()
    try:
        probes, posts = [], []
        end = time.monotonic() + 10
        index = 0
        while time.monotonic() < end:
            for path in ("/livez", "/readyz", "/metrics"):
                began = time.monotonic()
                assert server.get(path, timeout=5).status_code in (200, 503)
                probes.append(time.monotonic() - began)
            began = time.monotonic()
            start = f"2024-01-01T00:{index // 60 % 60:02d}:{index % 60:02d}"
            assert server.ingest(series(np.arange(100), start)).status_code == 200
            posts.append(time.monotonic() - began)
            index += 1
        probes.sort()
        posts.sort()
        # The machine that runs this has other work too: most are within the limit, and none waits for a statement.
        assert probes[len(probes) * 3 // 4] < 0.1 and probes[-1] < 2, probes[-10:]
        assert posts[len(posts) // 2] < 0.1 and posts[-1] < 3, posts[-10:]
        for client in clients:
            client.kill()
        wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets") == [(index,)], within_s=20)
        assert server.stop() == 0
    finally:
        for client in clients:
            client.kill()
        home.close()
