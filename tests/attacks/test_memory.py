"""Statements whose joins and windows make much from little, several at once: all together stay within a bound."""

import threading

import pytest
from harness import wait_until

MEMORY_BYTES = 256 << 20
SETTINGS = f"[query]\nmemory_bytes = {MEMORY_BYTES}\n"
# What all statements may hold (twice the setting), one step of one of them, and what the allocator keeps of what was freed.
BOUND_BYTES = 4 * MEMORY_BYTES

LIST = "WITH t AS (SELECT 1 AS k, array_agg(value) AS a FROM range(0, 200000)) "
TEXT = "WITH t AS (SELECT 1 AS k, repeat(CAST(value AS VARCHAR), 4000000) AS s FROM range(7, 8)) "
WIDE = {
    "cross join": LIST + "SELECT max(cardinality(a) + value) FROM t, range(0, 20000)",
    "join on a condition": LIST + "SELECT max(cardinality(a) + value) FROM t JOIN range(0, 20000) ON cardinality(a) > value",
    "join on a key": LIST + "SELECT max(cardinality(a) + value) FROM t JOIN range(0, 20000) ON k = (value + 1) / (value + 1)",
    "outer join": LIST + "SELECT max(cardinality(a) + value) FROM range(0, 20000) LEFT JOIN t ON k = (value + 1) / (value + 1)",
    "joins of joins": TEXT + ", u AS (SELECT s FROM t) SELECT max(length(a.s) + length(b.s)) FROM t AS a, u AS b, range(0, 20000)",
    "rows of a join": TEXT + "SELECT s || value AS s FROM t, range(0, 20000)",
    "rows that a window keeps": TEXT + "SELECT sum(length(s)) OVER () AS n FROM t, range(0, 20000)",
    "rows that a frame keeps": TEXT + "SELECT sum(length(s)) OVER (ORDER BY value ROWS BETWEEN 9000 PRECEDING AND CURRENT ROW) AS n FROM t, range(0, 20000)",
    "running text": "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') OVER (ORDER BY value) AS t FROM range(0, 1000000))",
    "whole text": "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') OVER () AS t FROM range(0, 1000000))",
    "filtered text": "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') FILTER (WHERE value > 1) OVER () AS t FROM range(0, 1000000))",
    "running list": "SELECT max(cardinality(t)) FROM (SELECT array_agg(value) OVER (ORDER BY value) AS t FROM range(0, 1000000))",
    "one value for all": TEXT + "SELECT count(f) FROM (SELECT first_value(s) OVER () AS f FROM (SELECT s FROM t UNION ALL SELECT 'y' FROM range(0, 20000)))",
    "largest value for all": TEXT + "SELECT count(f) FROM (SELECT max(s) OVER () AS f FROM (SELECT s FROM t UNION ALL SELECT 'a' FROM range(0, 20000)))",
    "constants": "SELECT concat(" + ",".join(["repeat('x', 10000000)"] * 500) + ")",
}
REFUSED = ("memory", "ask for less", "query.timeout_s", "deadline", "Timeout", "TIMEOUT")


@pytest.fixture
def server(home):
    yield home.serve(settings=SETTINGS)


def _answers(server, statements: list, timeout_s: float) -> tuple:
    """What came of statements that are asked at once, and the most that the server held above what it had."""
    before, most, done = server.resident_bytes(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            most[0] = max(most[0], server.resident_bytes() - before)

    answers = {}

    def ask(place, statement):
        try:
            answers[place] = server.sql(statement, timeout_s=timeout_s)
        except Exception as error:  # noqa: BLE001 - the driver has many kinds
            answers[place] = str(error)

    threads = [threading.Thread(target=ask, args=each) for each in enumerate(statements)]
    watching = threading.Thread(target=watch)
    watching.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watching.join()
    assert server.process.poll() is None, server.log()[-3000:]
    return [answers[place] for place in range(len(statements))], most[0]


def _check(statements: list, answers: list) -> None:
    for statement, answer in zip(statements, answers):
        if isinstance(answer, str):
            assert any(word in answer for word in REFUSED), f"{statement}: {answer}"


def test_D5_joins_and_windows_hold_no_more_than_they_may(server):
    names = sorted(WIDE)
    for first in range(0, len(names), 5):
        statements = [WIDE[name] for name in names[first:first + 5]]
        answers, most = _answers(server, statements, timeout_s=6)
        _check(statements, answers)
        assert most < BOUND_BYTES, f"{most >> 20} MB: {names[first:first + 5]}"
        server.alive(within_s=5)
        # Their clients have left: what still works on them ends, and its memory is free for the next.
        wait_until(lambda: server.sql("SELECT count(*) FROM (SELECT value FROM range(0, 100000) ORDER BY value DESC)") == [(100000,)])


def test_D5_the_same_join_many_times_at_once(server):
    statements = [WIDE["cross join"]] * 8
    answers, most = _answers(server, statements, timeout_s=10)
    _check(statements, answers)
    assert most < BOUND_BYTES, f"{most >> 20} MB"
    server.alive(within_s=5)


def test_D5_what_fits_is_answered_in_narrow_batches(server):
    small = "WITH t AS (SELECT array_agg(value) AS a FROM range(0, 200000)) SELECT max(cardinality(a) + value), count(*) FROM t, range(0, 600)"
    assert server.sql(small, timeout_s=60) == [(200599, 600)]
    wide = "WITH t AS (SELECT repeat('x', 1000000) AS s FROM range(7, 8)) SELECT count(*), sum(length(s)) FROM t, range(0, 300)"
    assert server.sql(wide, timeout_s=60) == [(300, 300000000)]
