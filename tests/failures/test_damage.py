"""Damage of every kind: never a wrong row, a message with the way back, a check that names it, a repair that mends it."""

import csv
import io
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import numpy as np
import pytest
from harness import Home, binary, environment, wait_until
from records import series, station_text

SAMPLES = "SELECT source_id, start_ns, encoding, samples FROM waveform.segments ORDER BY 1, 2"
PACKETS = "SELECT sha256, start_ns FROM waveform.packets ORDER BY 1"
STATIONS = ["AAA", "BBB", "CCC"]


class Filled:
    """A home with records of three stations, and a copy of it to start each case from."""

    def __init__(self, folder: pathlib.Path):
        self.home = Home(folder)
        self.kept = folder / "kept"
        self.records = folder / "records"
        self.records.mkdir()
        random_state = np.random.default_rng(5)
        for station in STATIONS:
            samples = np.cumsum(random_state.integers(-50, 51, 6000))
            (self.records / f"{station}.mseed").write_bytes(series(samples, "2024-01-01T00:00:00", station=station))
        self.stations = folder / "stations.txt"
        self.stations.write_text(station_text([("XX", s, "", "HHZ", 1.0 + i, 2.0, 0, 100) for i, s in enumerate(STATIONS)]))
        self.fill()
        self.samples, self.packets = self.home.query(SAMPLES), self.home.query(PACKETS)
        assert len(self.packets) == 180
        shutil.copytree(self.home.path, self.kept)

    def fill(self) -> None:
        self.home.succeed("import", "--stations", self.stations, "--velocity-model", "iasp91", "--", self.records)

    def restore(self) -> Home:
        """The home as it was before all damage, at the same place: tables name their files by absolute paths."""
        shutil.rmtree(self.home.path, ignore_errors=True)
        shutil.rmtree(self.home.path.with_suffix(".extra"), ignore_errors=True)
        shutil.copytree(self.kept, self.home.path)
        return self.home


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    made = Filled(tmp_path_factory.mktemp("damage"))
    yield made
    made.home.close()


def files(home: Home, pattern: str) -> list:
    found = sorted((home.path).glob(pattern))
    assert found, f"nothing matches {pattern}"
    return found


def flip(path: pathlib.Path, places: list) -> None:
    content = bytearray(path.read_bytes())
    for place in places:
        content[place % len(content)] ^= 1 << (place % 8)
    path.write_bytes(bytes(content))


def cut(path: pathlib.Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def pointer(home: Home, table: str) -> pathlib.Path:
    with sqlite3.connect(home.path / "catalog.sqlite") as database:
        rows = database.execute("SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", (table,)).fetchall()
    return pathlib.Path(rows[0][0].removeprefix("file://"))


def data(home: Home) -> pathlib.Path:
    return files(home, "warehouse/waveform/segments/data/**/*.parquet")[0]


def segment(home: Home) -> pathlib.Path:
    """The largest file of the log of records."""
    return max(files(home, "log/waveforms.raw/*/*.log"), key=lambda path: path.stat().st_size)


def zero_head(path: pathlib.Path) -> None:
    path.write_bytes(bytes(512) + path.read_bytes()[512:])


def manifest_list(home: Home) -> pathlib.Path:
    metadata = json.loads(pointer(home, "segments").read_text())
    current = metadata["current-snapshot-id"]
    found = [s for s in metadata["snapshots"] if s["snapshot-id"] == current]
    return pathlib.Path(found[0]["manifest-list"].removeprefix("file://"))


def a_pipe_at(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_circle_at(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(path)


def drop_catalog(home: Home) -> None:
    for path in home.path.glob("catalog.sqlite*"):
        path.unlink()


# Each: what is done to the home, and a word of the finding that names it.
KINDS = {
    "data flipped at a third": (lambda h: flip(data(h), [data(h).stat().st_size // 3]), ".parquet"),
    "data flipped in the middle": (lambda h: flip(data(h), [data(h).stat().st_size // 2]), ".parquet"),
    "data flipped ten times": (lambda h: flip(data(h), random.Random(7).sample(range(8, 10**6), 10)), ".parquet"),
    "data flipped in the footer": (lambda h: flip(data(h), [data(h).stat().st_size - 200]), ".parquet"),
    "data flipped in the length of the footer": (lambda h: flip(data(h), [data(h).stat().st_size - 7]), ".parquet"),
    "data cut by 37 bytes": (lambda h: cut(data(h), data(h).stat().st_size - 37), ".parquet"),
    "data cut by half": (lambda h: cut(data(h), data(h).stat().st_size // 2), ".parquet"),
    "data longer": (lambda h: data(h).write_bytes(data(h).read_bytes() + b"more"), ".parquet"),
    "data empty": (lambda h: cut(data(h), 0), ".parquet"),
    "data deleted": (lambda h: data(h).unlink(), ".parquet"),
    "data all deleted": (lambda h: [p.unlink() for p in files(h, "warehouse/waveform/*/data/**/*.parquet")], ".parquet"),
    "data a pipe": (lambda h: a_pipe_at(data(h)), ".parquet"),
    "metadata a pipe": (lambda h: a_pipe_at(pointer(h, "segments")), "metadata.json"),
    "list of manifests a pipe": (lambda h: a_pipe_at(manifest_list(h)), "snap-"),
    "data a link to itself": (lambda h: a_circle_at(data(h)), ".parquet"),
    "metadata a link to itself": (lambda h: a_circle_at(pointer(h, "segments")), "metadata.json"),
    "list of manifests a link to itself": (lambda h: a_circle_at(manifest_list(h)), "snap-"),
    "packets deleted": (lambda h: files(h, "warehouse/waveform/packets/data/**/*.parquet")[0].unlink(), ".parquet"),
    "list of manifests flipped": (lambda h: flip(manifest_list(h), [manifest_list(h).stat().st_size // 2]), "snap-"),
    "list of manifests deleted": (lambda h: manifest_list(h).unlink(), "snap-"),
    "manifests flipped": (lambda h: [flip(p, [p.stat().st_size * 2 // 3]) for p in files(h, "warehouse/waveform/segments/metadata/*-m0.avro")], "-m0.avro"),
    "manifests deleted": (lambda h: [p.unlink() for p in files(h, "warehouse/waveform/segments/metadata/*-m0.avro")], "-m0.avro"),
    "metadata flipped": (lambda h: flip(pointer(h, "segments"), [700]), "metadata.json"),
    "metadata cut": (lambda h: cut(pointer(h, "segments"), 900), "metadata.json"),
    "metadata deleted": (lambda h: pointer(h, "segments").unlink(), "metadata.json"),
    "catalog deleted": (drop_catalog, "catalog.sqlite"),
    "catalog garbage": (lambda h: (drop_catalog(h), (h.path / "catalog.sqlite").write_bytes(os.urandom(8192)))[0], "catalog.sqlite"),
    "catalog cut by half": (lambda h: cut(h.path / "catalog.sqlite", (h.path / "catalog.sqlite").stat().st_size // 2), "catalog.sqlite"),
    "catalog empty": (lambda h: (drop_catalog(h), (h.path / "catalog.sqlite").touch())[0], "catalog.sqlite"),
    "warehouse deleted": (lambda h: shutil.rmtree(h.path / "warehouse"), "warehouse"),
    "purpose garbage": (lambda h: (h.path / "purpose.json").write_text("{whole"), "purpose.json"),
    "log cut by 37 bytes": (lambda h: cut(segment(h), segment(h).stat().st_size - 37), ".log"),
    "log cut by half": (lambda h: cut(segment(h), segment(h).stat().st_size // 2), "waveforms.raw"),
    "log flipped": (lambda h: flip(segment(h), [segment(h).stat().st_size // 2]), ".log"),
    "log segment deleted": (lambda h: segment(h).unlink(), "waveforms.raw"),
    "log deleted": (lambda h: shutil.rmtree(h.path / "log"), "log"),
    "topic file garbage": (lambda h: (h.path / "log" / "waveforms.raw" / "topic.json").write_text("{"), "topic.json"),
    "index flipped": (lambda h: flip(h.path / "state" / "seen.redb", list(range(5000, 200_000, 4096))), "seen.redb"),
    "index cut": (lambda h: cut(h.path / "state" / "seen.redb", 5000), "seen.redb"),
    "index zeroed at the head": (lambda h: zero_head(h.path / "state" / "seen.redb"), "seen.redb"),
    "index deleted": (lambda h: (h.path / "state" / "seen.redb").unlink(), "seen.redb"),
    "checkpoints garbage": (lambda h: (h.path / "state" / "checkpoints.redb").write_bytes(os.urandom(9000)), "checkpoints.redb"),
    "state deleted": (lambda h: shutil.rmtree(h.path / "state"), "seen.redb"),
    "state and log deleted": (lambda h: [shutil.rmtree(h.path / name) for name in ("state", "log")], "log"),
    "velocity model garbage": (lambda h: (h.path / "state" / "velocity-model.json").write_text('{"name": 3}'), "velocity-model.json"),
}
# What comes in again from the log or the records, so that nothing is lost in the end.
FROM_LOG = [kind for kind in KINDS if kind.startswith("data") or kind.startswith("packets")]
WHOLE_AGAIN = ["data", "packets", "list of", "manifests", "metadata", "catalog", "warehouse", "purpose", "velocity", "log", "topic", "index", "checkpoints", "state"]


def subset(rows: list, of: list) -> bool:
    known = {json.dumps(row, sort_keys=True) for row in of}
    return all(json.dumps(row, sort_keys=True) in known for row in rows) and len(rows) <= len(of)


# What a statement about samples does not read: it is answered as ever.
NOT_READ = ("packets", "purpose", "log", "topic", "index", "checkpoints", "state", "velocity")


def never_wrong(filled: Filled, kind: str, word: str) -> None:
    """A statement gives all rows that were there, or names what is damaged or the way back; never a part of the rows."""
    done = filled.home.run("query", "--format", "csv", SAMPLES)
    if done.returncode == 0:
        assert list(csv.DictReader(io.StringIO(done.stdout))) == filled.samples
        return
    assert done.returncode == 1 and "panicked" not in done.stderr, done.stderr
    assert not kind.startswith(NOT_READ), done.stderr
    assert word in done.stderr or "seislake home repair" in done.stderr, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_D8_D10_every_kind_of_damage_is_told_and_mended(filled, kind):
    damage, word = KINDS[kind]
    home = filled.restore()
    damage(home)
    never_wrong(filled, kind, word)
    checked = home.run("home", "check", "--json")
    assert checked.returncode == 1 and "panicked" not in checked.stderr, checked.stdout + checked.stderr
    findings = json.loads(checked.stdout)
    assert any(word in finding["object"] + finding["damage"] for finding in findings), findings
    assert all(finding["remedy"] and finding["lost"] for finding in findings)
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    whole_again = any(kind.startswith(begin) for begin in WHOLE_AGAIN)
    if whole_again and kind not in FROM_LOG:
        filled.fill()
    samples, packets = home.query(SAMPLES), home.query(PACKETS)
    assert subset(samples, filled.samples) and subset(packets, filled.packets), "rows that were never there, or twice"
    if whole_again:
        assert packets == filled.packets
        assert sum(len(row["samples"]) for row in samples) == sum(len(row["samples"]) for row in filled.samples)


def test_D10_flipped_bits_never_give_other_samples(filled):
    """Twenty places spread over a data file: each is an error or harmless."""
    home = filled.restore()
    path = data(home)
    sound = path.read_bytes()
    refused = 0
    for number in range(20):
        path.write_bytes(sound)
        flip(path, [len(sound) * number // 20 + 5])
        done = home.run("query", "--format", "csv", SAMPLES)
        if done.returncode == 0:
            assert list(csv.DictReader(io.StringIO(done.stdout))) == filled.samples
        else:
            refused += 1
            assert path.name in done.stderr or "damaged" in done.stderr, done.stderr
    assert refused >= 15, "nothing is checked"


def test_D10_readiness_tells_of_a_damaged_file_once_seen_and_shows_no_path(filled):
    home = filled.restore()
    server = home.serve()
    assert server.get("/readyz").status_code == 200
    flip(data(home), [data(home).stat().st_size // 3])
    answer = server.get("/fdsnws/dataselect/1/query?starttime=2024-01-01&endtime=2024-01-02")
    assert answer.status_code >= 500, "the rows that cannot be read are not passed over"
    ready = server.get("/readyz")
    assert ready.status_code == 503 and "waveform.segments" in ready.text, ready.text
    # Where files lie is for the operator, not for everybody.
    assert data(home).name not in ready.text and str(home.path) not in ready.text and "file:" not in ready.text, ready.text
    wait_until(lambda: data(home).name in server.log())
    server.alive()
    server.kill()


def test_D8_a_home_in_use_is_not_repaired(filled):
    home = filled.restore()
    server = home.serve()
    assert "belongs to a running seislake" in home.fail("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    server.kill()


def test_D8_a_sound_home_is_told_sound(filled):
    home = filled.restore()
    assert home.succeed("home", "check") == "nothing is damaged\n"
    assert home.succeed("home", "repair") == "nothing is damaged\n"
    assert home.query(SAMPLES) == filled.samples


def test_D8_messages_of_a_damaged_home_say_the_way_back(filled):
    home = filled.restore()
    drop_catalog(home)
    assert "seislake home repair" in home.fail("query", "SELECT 1")
    assert "seislake home repair" in home.fail("import", filled.records)
    home = filled.restore()
    drop_catalog(home)
    (home.path / "catalog.sqlite").write_bytes(b"no database " * 1000)
    assert "seislake home repair" in home.fail("query", "SELECT count(*) FROM waveform.packets")


def test_B25_missing_credentials_of_a_bucket_are_named(home):
    home.folder.joinpath("s3.toml").write_text('[lake]\nwarehouse = "s3://somewhere/lake"\n')
    records = home.folder / "records"
    records.mkdir()
    (records / "a.mseed").write_bytes(series(np.arange(100), "2024-01-01T00:00:00"))
    given = {key: value for key, value in environment().items() if not key.startswith("AWS")}
    command = [binary(), "import", "--home", str(home.path), "--config", str(home.folder / "s3.toml"), "--archive-only", str(records)]
    nowhere = {**given, "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=nowhere)
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in done.stderr and "AWS_SECRET_ACCESS_KEY" in done.stderr, done.stderr
    assert "169.254" not in done.stderr


def test_B25_a_home_remembers_its_warehouse(home):
    elsewhere = home.folder / "elsewhere"
    home.folder.joinpath("lake.toml").write_text(f'[lake]\nwarehouse = "{elsewhere}"\n')
    records = home.folder / "records"
    records.mkdir()
    (records / "a.mseed").write_bytes(series(np.arange(500), "2024-01-01T00:00:00"))
    home.succeed("import", "--config", home.folder / "lake.toml", "--archive-only", records)
    assert home.count("waveform.packets") == 5
    home.succeed("import", "--archive-only", records)
    assert home.count("waveform.packets") == 5
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D15_a_home_on_a_file_system_for_reading_is_read(filled):
    home = filled.restore()
    if os.geteuid() == 0:
        mounted = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind -o ro {home.path} {home.path} && mount -o remount,bind,ro {home.path} && exec \"$@\"", "sh",
                                  *map(str, read_count(home))], capture_output=True, text=True)
        if "unshare" in mounted.stderr or "mount:" in mounted.stderr:
            pytest.skip("no right to mount here")
    else:
        for path in [home.path, *home.path.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        mounted = subprocess.run(list(map(str, read_count(home))), capture_output=True, text=True)
        for path in [home.path, *home.path.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert mounted.returncode == 0 and "180" in mounted.stdout, mounted.stderr


def read_count(home: Home) -> list:
    return [binary(), "query", "--home", home.path, "--format", "csv", "SELECT count(*) AS n FROM waveform.packets"]


def random_rows(schema, count: int, seed: int):
    """Rows of any values that the types allow."""
    import pyarrow as pa
    lots = random.Random(seed)

    def value(kind):
        if pa.types.is_timestamp(kind):
            return lots.choice([0, -10**15, 4 * 10**15])
        if pa.types.is_integer(kind):
            return lots.choice([0, -1, 2**31 - 1, -2**31])
        if pa.types.is_floating(kind):
            return lots.choice([float("nan"), float("inf"), -1e300, 0.0])
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return [value(kind.value_type) for _ in range(lots.randrange(3))]
        if pa.types.is_large_binary(kind) or pa.types.is_binary(kind):
            return bytes(lots.randrange(256) for _ in range(5))
        return lots.choice(["", "..", "no id", "\u0000", "{", "FDSN:XX_AAA__H_H_Z", "x" * 300])

    columns = [pa.array([value(field.type) for _ in range(count)], type=field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def test_D8_rows_of_any_values_in_tables_stop_no_home(filled):
    """Others may write the tables: what cannot be read is passed over, the sound rows are answered."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import NotInstalledError
    home = filled.restore()
    catalog = SqlCatalog("seislake", uri=f"sqlite:///{home.path}/catalog.sqlite", warehouse=f"file://{home.path}/warehouse")
    poisoned = []
    for namespace in catalog.list_namespaces():
        for identifier in catalog.list_tables(namespace):
            table = catalog.load_table(identifier)
            try:
                table.append(random_rows(table.schema().as_arrow(), 6, len(poisoned)))
                poisoned.append(identifier[-1])
            except NotInstalledError:
                continue
    catalog.close()
    assert {"stations", "channels", "events", "picks", "origins", "magnitudes", "dead_letters", "packets", "segments"} <= set(poisoned), poisoned
    server = home.serve()
    whole = server.get("/fdsnws/dataselect/1/query?network=XX&station=AAA&starttime=2024-01-01&endtime=2024-01-02")
    assert whole.status_code == 200 and len(whole.content) > 7000
    for path in ["/events", "/stations", "/fdsnws/station/1/query?level=channel", "/fdsnws/availability/1/query?network=XX"]:
        assert server.get(path).status_code == 200, (path, server.get(path).text)
    assert server.get("/fdsnws/event/1/query?limit=10").status_code == 204, "no event is sound"
    answer = server.graphql("{ events(first: 5) { nodes { eventId magnitudes { magnitude } } } picks(first: 5) { nodes { pickId } } "
                            "stations(first: 5) { nodes { station } } }")
    assert "errors" not in answer, answer
    # The sound rows of stations are still there, and new ones are taken.
    assert set(STATIONS) <= {node["station"] for node in server.graphql("{ stations(first: 50) { nodes { station } } }")["data"]["stations"]["nodes"]}
    more = station_text([("XX", "DDD", "", "HHZ", 4.0, 2.0, 0, 100)])
    assert server.post("/stations", data=more, headers={"Content-Type": "text/plain"}).status_code == 200
    assert server.ingest((filled.records / "AAA.mseed").read_bytes()).status_code == 200
    server.alive()
    assert server.stop() == 0


# ---------------------------------------------------------------- the log is not believed blindly

def findings(home: Home) -> list:
    """What a check tells of a home that is damaged."""
    checked = home.run("home", "check", "--json")
    assert checked.returncode == 1 and "panicked" not in checked.stderr, checked.stdout + checked.stderr
    told = json.loads(checked.stdout)
    assert told and all(finding["remedy"] and finding["lost"] for finding in told)
    return told


def mended(filled: Filled) -> None:
    """A repair and the same records once more: what was there is there, once."""
    home = filled.home
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    assert home.query(PACKETS) == filled.packets
    assert samples_of(home) == sum(len(row["samples"]) for row in filled.samples)
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_of(home) == sum(len(row["samples"]) for row in filled.samples)


def samples_of(home: Home) -> int:
    return sum(len(row["samples"]) for row in home.query(SAMPLES))


def swap(one: pathlib.Path, other: pathlib.Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def segments(home: Home, topic: str = "waveforms.raw") -> list:
    return sorted(home.path.glob(f"log/{topic}/*/*.log"), key=lambda path: -path.stat().st_size)


SWAPS = {
    "segments of two partitions": lambda h: swap(*segments(h)[:2]),
    "a full and an empty segment": lambda h: swap(segments(h)[0], segments(h)[-1]),
    "folders of two partitions": lambda h: swap(segments(h)[0].parent, segments(h)[1].parent),
    "segments of two topics": lambda h: swap(segments(h)[0], segments(h, "waveforms.phase_picks")[0]),
}


@pytest.mark.parametrize("kind", SWAPS)
@pytest.mark.parametrize("import_between", [False, True])
def test_D8_swapped_segments_are_told_and_put_back_and_double_no_row(filled, kind, import_between):
    home = filled.restore()
    SWAPS[kind](home)
    assert any("belong elsewhere" in finding["damage"] for finding in findings(home))
    if import_between:
        filled.fill()
        assert home.query(PACKETS) == filled.packets
    mended(filled)


@pytest.mark.parametrize("text", ['{"version":1,"partitions":0}', '{"version":1,"partitions":3}', '{"version":1,"partitions":5}',
                                  '{"version":1,"partitions":4000000000}', '{"version":1,"partitions":-1}', '{"version":1,"partitions":"4"}',
                                  '{"version":4294967295,"partitions":4}', '{"version":0,"partitions":4}', "[4]"])
def test_D8_a_topic_that_says_what_cannot_be_is_not_believed(filled, text):
    home = filled.restore()
    description = home.path / "log" / "waveforms.raw" / "topic.json"
    description.write_text(text)
    assert any("topic.json" in finding["object"] for finding in findings(home))
    filled.fill()
    assert json.loads(description.read_text())["partitions"] == 4
    description.write_text(text)
    mended(filled)


# ---------------------------------------------------------------- the catalog is not believed blindly

def older_catalog(home: Home, folder: pathlib.Path) -> pathlib.Path:
    """A home of two imports whose catalog is that of before the second; the folder of both."""
    records = folder / "records"
    records.mkdir()
    for number, station in enumerate(STATIONS[:2]):
        body = series(np.cumsum(np.random.default_rng(number).integers(-50, 51, 3000)), "2024-01-01T00:00:00", station=station)
        (records / f"{station}.mseed").write_bytes(body)
        home.succeed("import", "--archive-only", records / f"{station}.mseed")
        if number == 0:
            shutil.copy(home.path / "catalog.sqlite", folder / "older.sqlite")
    drop_catalog(home)
    shutil.copy(folder / "older.sqlite", home.path / "catalog.sqlite")
    return records


def test_D8_an_older_catalog_is_told_of_and_a_repair_goes_forward(home):
    records = older_catalog(home, home.folder)
    assert home.count("waveform.packets") == 30
    told = findings(home)
    assert any("older state" in finding["damage"] and "hidden" in finding["lost"] for finding in told), told
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    assert home.count("waveform.packets") == 60
    home.succeed("import", "--archive-only", records)
    rows = home.query("SELECT count(*) AS n, count(DISTINCT sha256) AS d FROM waveform.packets")[0]
    assert (rows["n"], rows["d"]) == ("60", "60")


def forget_log(home: Home) -> None:
    shutil.rmtree(home.path / "log")
    shutil.rmtree(home.path / "state")


def test_D8_a_server_on_an_older_catalog_goes_forward_where_the_log_cannot_give_the_rows(home):
    older_catalog(home, home.folder)
    forget_log(home)
    server = home.serve()
    assert server.get("/readyz").status_code == 200, server.get("/readyz").text
    assert "went forward to the newest" in server.log()
    assert server.stop() == 0
    # What is still told is that the log is gone.
    assert all(finding["part"] == "log" for finding in findings(home))
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    assert home.count("waveform.packets") == 60


def test_D8_a_server_on_an_older_catalog_takes_in_again_what_the_log_holds(home):
    older_catalog(home, home.folder)
    server = home.serve()
    wait_until(lambda: server.get("/readyz").status_code == 200)
    assert "went forward" not in server.log()
    assert server.stop() == 0
    assert home.count("waveform.packets") == 60
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D8_what_comes_to_an_older_catalog_without_a_log_hides_nothing_and_loses_nothing(home):
    older_catalog(home, home.folder)
    forget_log(home)
    body = series(np.cumsum(np.random.default_rng(2).integers(-50, 51, 3000)), "2024-01-01T00:00:00", station=STATIONS[2])
    (home.folder / "third.mseed").write_bytes(body)
    home.succeed("import", "--archive-only", home.folder / "third.mseed")
    home.succeed("maintain orphans", "--older-than-hours", "0")
    assert home.count("waveform.packets") == 90
    assert home.count("waveform.segments") > 0
    # What is still told is that the log is gone.
    assert all(finding["part"] == "log" for finding in findings(home))
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D8_stations_that_an_older_catalog_does_not_know_are_not_lost(home):
    def store(station: str) -> None:
        path = home.folder / f"{station}.txt"
        path.write_text(station_text([("XX", station, "", "HHZ", 64.0, -17.0, 100.0, 100.0)]))
        home.succeed("import", "--stations", path)
    store(STATIONS[0])
    shutil.copy(home.path / "catalog.sqlite", home.folder / "older.sqlite")
    store(STATIONS[1])
    drop_catalog(home)
    shutil.copy(home.folder / "older.sqlite", home.path / "catalog.sqlite")
    store(STATIONS[2])
    rows = home.query("SELECT station FROM network.stations ORDER BY 1")
    assert [row["station"] for row in rows] == STATIONS


def test_D8_a_table_that_the_catalog_has_forgotten_is_told_of_and_named_again(filled):
    def forget():
        home = filled.restore()
        with sqlite3.connect(home.path / "catalog.sqlite") as database:
            database.execute("DELETE FROM iceberg_tables WHERE table_name = 'packets'")
        database.close()
        return home
    home = forget()
    assert any("does not name" in finding["damage"] for finding in findings(home))
    mended(filled)
    # Whoever opens the home to write takes the table back.
    home = forget()
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D8_rows_that_are_there_twice_are_counted_and_one_is_kept(filled):
    from pyiceberg.catalog.sql import SqlCatalog
    home = filled.restore()
    catalog = SqlCatalog("seislake", uri=f"sqlite:///{home.path}/catalog.sqlite", warehouse=f"file://{home.path}/warehouse")
    table = catalog.load_table("waveform.packets")
    table.append(table.scan().to_arrow().slice(0, 70))
    catalog.close()
    assert home.count("waveform.packets") == 250
    assert any("70 rows" in finding["damage"] and "more than once" in finding["damage"] for finding in findings(home))
    mended(filled)


def test_D8_rows_of_events_that_are_lost_come_back_from_the_log(home):
    home.succeed("demo", "--exit", "--minutes", "10", timeout=400)
    tables = ["bulletin.picks", "bulletin.origins", "bulletin.arrivals", "bulletin.events", "bulletin.magnitudes", "bulletin.amplitudes",
              "waveform.packets", "waveform.segments"]
    def rows():
        return {table: home.count(table) for table in tables}
    before = rows()
    assert all(before[table] for table in ["bulletin.picks", "bulletin.events", "bulletin.arrivals"]), before
    for path in home.path.glob("warehouse/bulletin/*/data/**/*.parquet"):
        path.unlink()
    findings(home)
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    assert rows() == before


# ---------------------------------------------------------------- things that are no files

def a_pipe(path: pathlib.Path) -> None:
    os.mkfifo(path)


def a_folder(path: pathlib.Path) -> None:
    path.mkdir()
    (path / "inside").write_text("something")


def a_dangling_link(path: pathlib.Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def a_link_to_itself(path: pathlib.Path) -> None:
    path.symlink_to(path)


def a_link_below_a_file(path: pathlib.Path) -> None:
    path.symlink_to("/dev/null/nowhere")


def a_link_to_no_name(path: pathlib.Path) -> None:
    path.symlink_to("a" * 300)


def a_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            opened.bind(path.name)
        finally:
            os.chdir(here)


def a_device(path: pathlib.Path) -> None:
    path.symlink_to("/dev/zero")


def a_hollow_file(path: pathlib.Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


STATE_FILES = ["catalog.sqlite", "purpose.json", "warehouse.toml", "lock", "state/seen.redb", "state/checkpoints.redb",
               "state/velocity-model.json", "log/waveforms.raw/topic.json", "SEGMENT", "log/waveforms.raw/0/gaps.json",
               "log/bulletin.proposals/topic.json", "log/bulletin.proposals/0", "log/bulletin.revisions", "log/bulletin.revisions/0/gaps.json"]
MAKERS = [a_pipe, a_folder, a_dangling_link, a_link_to_itself, a_link_below_a_file, a_link_to_no_name, a_socket, a_device, a_hollow_file]
# Every file as a pipe, which never ends, and as a link in a circle; every other thing in the places of four.
STRANGE = [(name, make) for make in (a_pipe, a_link_to_itself) for name in STATE_FILES] + [
    (name, make) for name in ["catalog.sqlite", "state/seen.redb", "log/waveforms.raw/topic.json", "SEGMENT"] for make in MAKERS if make not in (a_pipe, a_link_to_itself)]
# What the log and the tables make again, or go on without: whoever owns the home puts it aside by itself.
MADE_AGAIN = ["lock", "state/seen.redb", "state/checkpoints.redb", "log/waveforms.raw/topic.json", "SEGMENT", "log/waveforms.raw/0/gaps.json",
              "log/bulletin.proposals/topic.json", "log/bulletin.proposals/0", "log/bulletin.revisions", "log/bulletin.revisions/0/gaps.json"]


def place(home: Home, name: str) -> pathlib.Path:
    return segment(home) if name == "SEGMENT" else home.path / name


@pytest.mark.parametrize(("name", "make"), STRANGE, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_D8_what_is_no_file_hangs_nobody_is_named_and_is_put_aside(filled, name, make):
    home = filled.restore()
    path = place(home, name)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    make(path)
    for command in [("query", "SELECT count(*) FROM waveform.packets"), ("home", "check"), ("import", filled.records)]:
        done = home.run(*command, timeout=60)
        assert "panicked" not in done.stderr
        # Who reads tables needs neither log nor state.
        if command[0] == "query" and name not in ("catalog.sqlite", "warehouse.toml"):
            assert done.returncode == 0 and "180" in done.stdout and not done.stderr, (done.stdout, done.stderr)
            continue
        goes_on = command[0] == "import" and name in MADE_AGAIN
        named = home.path if command[0] == "query" else path
        assert done.returncode == (0 if goes_on else 1) and str(named) in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    home.succeed("home", "repair", timeout=60)
    assert json.loads(home.succeed("home", "check", "--json")) == []
    filled.fill()
    assert home.query(PACKETS) == filled.packets


@pytest.mark.parametrize("name", ["catalog.sqlite", "lock", "state/seen.redb", "state/checkpoints.redb", "state/tables.json", "SEGMENT"])
def test_D8_a_file_that_was_only_made_longer_stops_nobody_and_loses_nothing(filled, name):
    longer = 200 << 30
    for commands in ([("import", filled.records)], [("home", "repair")]):
        home = filled.restore()
        path = place(home, name)
        os.truncate(path, longer)
        assert home.query(PACKETS) == filled.packets
        assert any(finding["object"] == str(path) for finding in findings(home))
        for command in commands:
            home.succeed(*command, timeout=60)
        # How long a catalog is, SQLite knows, and only a repair cuts it.
        assert path.stat().st_size < longer or (name, commands[0][0]) == ("catalog.sqlite", "import")
        assert home.query(PACKETS) == filled.packets and home.query(SAMPLES) == filled.samples
    assert json.loads(home.succeed("home", "check", "--json")) == []
    assert '"accepted_records":0' in home.succeed("import", "--json", filled.records).replace(" ", "")


def test_D8_a_server_starts_where_what_is_made_again_is_no_file(filled):
    home = filled.restore()
    # A folder where a folder belongs is none.
    paths = [path for name in MADE_AGAIN if not (path := place(home, name)).is_dir()]
    for path in paths:
        path.unlink(missing_ok=True)
        a_folder(path)
    server = home.serve()
    assert server.sql("SELECT count(*) FROM waveform.packets") == [(180,)]
    for path in paths:
        assert str(path) in server.log(), path
    assert server.stop() == 0
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    filled.fill()
    assert home.query(PACKETS) == filled.packets


def test_D8_a_folder_whose_disk_is_missing_is_not_put_aside_by_an_import(filled):
    home = filled.restore()
    log, disk = home.path / "log", home.path.with_suffix(".extra")
    log.rename(disk)
    log.symlink_to(disk)
    disk.rename(disk.with_suffix(".away"))
    message = home.fail("import", filled.records)
    assert str(log) in message and "link to nothing" in message, message
    disk.with_suffix(".away").rename(disk)
    home.succeed("import", filled.records)
    assert log.is_symlink() and home.query(PACKETS) == filled.packets


def test_D8_a_catalog_that_an_import_refused_is_still_told_lost(filled):
    home = filled.restore()
    drop_catalog(home)
    (home.path / "catalog.sqlite").touch()
    assert "seislake home repair" in home.fail("import", filled.records)
    assert "seislake home repair" in home.fail("query", PACKETS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", STATE_FILES[:6])
def test_D8_what_may_not_be_read_is_named_and_not_called_mended(filled, name):
    home = filled.restore()
    path = home.path / name
    path.touch()
    path.chmod(0)
    for command in [("home", "check"), ("home", "repair"), ("import", filled.records)]:
        done = home.run(*command, timeout=60)
        assert done.returncode == 1 and str(path) in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    path.chmod(0o644)


# ---------------------------------------------------------------- a first import that did not come far

def a_database_without_tables(path: pathlib.Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize("catalog", [lambda path: None, pathlib.Path.touch, a_database_without_tables])
def test_D8_a_home_of_which_only_the_begin_was_made_holds_nothing_yet(tmp_path, filled, catalog):
    home = Home(tmp_path)
    for folder in ("log", "state", "run"):
        (home.path / folder).mkdir(parents=True)
    (home.path / "lock").write_text("1")
    (home.path / "purpose.json").write_text('"whole"')
    catalog(home.path / "catalog.sqlite")
    # A topic without records needs no index.
    shutil.copytree(filled.kept / "log" / "waveforms.raw", home.path / "log" / "waveforms.raw", ignore=shutil.ignore_patterns("*.log"))
    message = home.fail("query", PACKETS)
    assert "holds nothing yet" in message and "seislake import" in message, message
    assert home.succeed("home", "check") == "nothing is damaged\n"
    home.succeed("import", filled.records)
    assert len(home.query(PACKETS)) == 180


@pytest.mark.parametrize("after_s", [0, 0.05, 0.1, 0.2, 0.3])
def test_D8_a_first_import_that_is_killed_goes_on_and_its_home_is_not_called_damaged(tmp_path, filled, after_s):
    home = Home(tmp_path)
    begun = subprocess.Popen([binary(), "import", "--home", str(home.path), str(filled.records)], env=environment(),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: (home.path / "purpose.json").exists(), every_s=0.001)
    try:
        begun.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        begun.kill()
        begun.wait()
    asked = home.run("query", PACKETS)
    assert "lost" not in asked.stderr and "damaged" not in asked.stderr, asked.stderr
    home.succeed("import", filled.records)
    assert len(home.query(PACKETS)) == 180


# ---------------------------------------------------------------- records that nothing holds any more

def samples_by_station(home: Home) -> dict:
    rows = home.query("SELECT station, sum(sample_count) AS n FROM waveform.segments GROUP BY 1")
    return {row["station"]: row["n"] for row in rows}


def lose(home: Home) -> None:
    """Samples and records of the stations of one data file: what is left of them is their packets."""
    data(home).unlink()
    for path in segments(home):
        path.unlink()


def lost_stations(told: list) -> set:
    return {finding["object"] for finding in told if finding["object"].startswith("station")}


def test_D8_records_that_nothing_holds_are_told_of_and_taken_when_they_come_again(filled):
    home = filled.restore()
    lose(home)
    told = json.loads(home.succeed("home", "repair", "--json"))
    lost = lost_stations(told)
    assert lost and all("import" in finding["remedy"] and finding["lost"].startswith("60 records of XX.")
                        for finding in told if finding["object"] in lost), told
    assert json.loads(home.succeed("home", "check", "--json")) == []
    left = samples_by_station(home)
    assert lost == {f'station "XX.{station}"' for station in STATIONS if station not in left}
    assert len(home.query(PACKETS)) == 60 * len(left), "rows of records that were lost"
    filled.fill()
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_by_station(home) == dict.fromkeys(STATIONS, "6000")
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D8_lost_records_that_could_not_be_told_of_are_not_forgotten(filled):
    home = filled.restore()
    lose(home)
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([binary(), "home", "repair", "--home", str(home.path)], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=120, env=environment())
    assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
    assert home.query(PACKETS) == filled.packets
    lost = lost_stations(findings(home))
    assert lost and lost == lost_stations(json.loads(home.succeed("home", "repair", "--json")))
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_by_station(home) == dict.fromkeys(STATIONS, "6000")


def test_D8_lost_records_that_come_again_double_no_pick_and_no_event(home):
    home.succeed("demo", "--exit", "--minutes", "10", timeout=400)
    records = home.folder / "records.mseed"
    home.succeed("export", "--format", "raw", "--output", records)
    tables = ["bulletin.picks", "bulletin.origins", "bulletin.arrivals", "bulletin.events", "bulletin.magnitudes",
              "bulletin.amplitudes", "waveform.packets"]
    def rows():
        return {table: home.count(table) for table in tables} | samples_by_station(home)
    before = rows()
    assert before["bulletin.picks"] and before["bulletin.events"], before
    lose(home)
    assert lost_stations(json.loads(home.succeed("home", "repair", "--json")))
    assert rows() != before
    home.succeed("import", records, timeout=400)
    assert rows() == before
    assert json.loads(home.succeed("home", "check", "--json")) == []


def test_D8_samples_that_only_their_originals_hold_are_made_again_from_them(tmp_path):
    home = Home(tmp_path)
    config, records = tmp_path / "settings.toml", tmp_path / "records.mseed"
    config.write_text("[archive]\nkeep_raw = true\n")
    records.write_bytes(b"".join(series(np.arange(6000) % 977, "2024-01-01T00:00:00", station=s) for s in STATIONS))
    home.succeed("import", "--archive-only", "--config", config, records)
    before, packets = samples_of(home), home.query("SELECT * FROM waveform.packets ORDER BY sha256")
    lose(home)
    assert not lost_stations(json.loads(home.succeed("home", "repair", "--json", "--config", config)))
    assert json.loads(home.succeed("home", "check", "--json", "--config", config)) == []
    assert samples_of(home) == before
    assert home.query("SELECT * FROM waveform.packets ORDER BY sha256") == packets
    home.succeed("import", "--archive-only", "--config", config, records)
    assert samples_of(home) == before


def lose_rows_and_log(home: Home) -> None:
    for path in [*files(home, "warehouse/waveform/*/data/**/*.parquet"), *segments(home)]:
        path.unlink()


def lose_rows_and_cut_the_log(home: Home) -> None:
    for path in files(home, "warehouse/waveform/*/data/**/*.parquet"):
        path.unlink()
    for path in segments(home):
        cut(path, path.stat().st_size * 2 // 5)


@pytest.mark.parametrize("damage", [lose_rows_and_log, lose_rows_and_cut_the_log])
def test_D8_records_whose_rows_are_lost_with_the_log_are_taken_when_they_come_again(filled, damage):
    home = filled.restore()
    damage(home)
    told = findings(home)
    assert not any("the last append is not whole" in finding["damage"] and "nothing" in finding["lost"] for finding in told), told
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_by_station(home) == dict.fromkeys(STATIONS, "6000")
    filled.fill()
    assert home.query(PACKETS) == filled.packets


def test_D8_what_was_put_aside_before_is_kept(filled):
    home = filled.restore()
    for content in (b"one", b"two"):
        (home.path / "state" / "seen.redb").write_bytes(content)
        home.succeed("home", "repair")
    kept = {path.read_bytes() for path in home.path.glob("state/seen.redb.damaged*")}
    assert {b"one", b"two"} <= kept, kept


@pytest.mark.parametrize("text", ["", "[3]"])
def test_D8_a_damaged_note_of_how_far_the_tables_had_come_is_told(filled, text):
    home = filled.restore()
    note = home.path / "state" / "tables.json"
    before = json.loads(note.read_text())
    note.write_text(text)
    assert any("tables.json" in finding["object"] for finding in findings(home))
    mended(filled)
    assert json.loads(note.read_text()).keys() == before.keys()


def test_D8_arrivals_whose_picks_are_nowhere_are_told(home):
    home.succeed("demo", "--exit", "--minutes", "10", timeout=400)
    assert home.count("bulletin.arrivals") > 0
    assert home.succeed("home", "check") == "nothing is damaged\n"
    for path in files(home, "warehouse/bulletin/picks/data/**/*.parquet"):
        path.unlink()
    for path in segments(home, "waveforms.phase_picks"):
        path.write_bytes(b"")
    home.succeed("home", "repair")
    told = [finding for finding in findings(home) if finding["object"] == 'table "bulletin.arrivals"']
    assert len(told) == 1 and f"{home.count('bulletin.arrivals')} rows" in told[0]["damage"], told
    assert "import" in told[0]["remedy"] and "picks" in told[0]["lost"], told


# ---------------------------------------------------------------- killed at work

@pytest.mark.parametrize("command", ["check", "repair"])
def test_D8_a_check_or_repair_that_is_killed_leaves_a_home_that_can_be_repaired(filled, command):
    for number in range(5):
        home = filled.restore()
        data(home).unlink()
        flip(segment(home), [segment(home).stat().st_size // 2])
        (home.path / "state" / "seen.redb").write_bytes(b"none")
        with sqlite3.connect(home.path / "catalog.sqlite") as database:
            database.execute("DELETE FROM iceberg_tables WHERE table_name = 'picks'")
        database.close()
        process = subprocess.Popen([binary(), "home", command, "--home", str(home.path)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment())
        time.sleep(0.05 * 3 ** number)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        home.succeed("home", "repair")
        assert json.loads(home.succeed("home", "check", "--json")) == []
        filled.fill()
        assert home.query(PACKETS) == filled.packets
        assert samples_by_station(home) == dict.fromkeys(STATIONS, "6000"), number
        assert subset(home.query(SAMPLES), filled.samples)


# ---------------------------------------------------------------- moved or copied

@pytest.mark.parametrize("without_catalog", [False, True])
def test_D8_a_copied_home_is_told_as_such_and_not_emptied(filled, without_catalog):
    home = filled.restore()
    elsewhere = Home(home.folder / f"elsewhere-{without_catalog}")
    elsewhere.folder.mkdir()
    shutil.copytree(home.path, elsewhere.path)
    if without_catalog:
        for file in elsewhere.path.glob("catalog.sqlite*"):
            file.unlink()
    before = sorted(path.relative_to(elsewhere.path) for path in elsewhere.path.rglob("*"))
    for action in ("check", "repair"):
        assert "a home is not moved or copied" in elsewhere.fail("home", action), action
    assert sorted(path.relative_to(elsewhere.path) for path in elsewhere.path.rglob("*")) == before
    assert home.query(PACKETS) == filled.packets


# ---------------------------------------------------------------- what cannot be read is no damage

def state_of(home: Home) -> dict:
    """All that a repair may change: files of log and warehouse, names in the home, rows of the catalog."""
    contents = {path.relative_to(home.path): path.read_bytes() for name in ("log", "warehouse") for path in (home.path / name).rglob("*") if path.is_file()}
    names = sorted(path.name for path in [*home.path.iterdir(), *(home.path / "state").iterdir()] if not path.name.startswith("catalog.sqlite-"))
    with sqlite3.connect(home.path / "catalog.sqlite") as database:
        rows = database.execute("SELECT * FROM iceberg_tables ORDER BY 2, 3").fetchall()
    database.close()
    return {"contents": contents, "names": names, "rows": rows}


def limited_to(descriptors: int):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


@pytest.mark.parametrize("descriptors", [11, 12, 13, 15, 17, 19, 21, 24])
def test_D8_a_repair_that_runs_out_of_descriptors_changes_nothing(filled, descriptors):
    home = filled.restore()
    home.run("home", "check")
    before = state_of(home)
    for action in ("check", "repair"):
        done = home.run("home", action, preexec_fn=limited_to(descriptors))
        assert done.returncode == 0 or "open files" in done.stderr or "unable to open" in done.stderr, (action, done.stdout, done.stderr)
        if done.returncode == 0:
            assert done.stdout == "nothing is damaged\n"
        else:
            assert done.stdout == "" and "panicked" not in done.stderr, done.stdout
    assert state_of(home) == before
    assert home.succeed("home", "check") == "nothing is damaged\n"
    assert home.query(PACKETS) == filled.packets


def without_rights() -> list:
    """Begins a command that may read what its user may, also where that is root."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv here")
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]


UNREADABLE = {
    "data file": data,
    "manifest": lambda h: files(h, "warehouse/waveform/segments/metadata/*-m0.avro")[0],
    "list of manifests": manifest_list,
    "metadata file": lambda h: pointer(h, "segments"),
    "newest metadata of an older catalog": lambda h: pointer(h, "stations"),
    "folder of metadata": lambda h: pointer(h, "picks").parent,
    "partition of the log": lambda h: segment(h).parent,
    "segment of the log": segment,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_D8_what_may_not_be_read_is_no_damage_and_a_repair_changes_nothing(filled, kind):
    home = filled.restore()
    path = UNREADABLE[kind](home)
    before, mode = state_of(home), path.stat().st_mode
    for action in ("check", "repair"):
        path.chmod(0)
        done = subprocess.run([*without_rights(), binary(), "home", action, "--home", str(home.path)], capture_output=True, text=True,
                              timeout=120, env=environment())
        path.chmod(mode)
        assert done.returncode == 1 and "ermission denied" in done.stdout + done.stderr, (action, done.stdout, done.stderr)
        assert path.name in done.stdout + done.stderr, (action, done.stdout, done.stderr)
        assert state_of(home) == before, action
    assert home.succeed("home", "check") == "nothing is damaged\n"
    assert home.query(PACKETS) == filled.packets


# ---------------------------------------------------------------- what is gone or lies in the wrong place

@pytest.mark.parametrize("topic", ["waveforms.raw", "waveforms.raw.dlq", "waveforms.phase_picks", "waveforms.associations",
                                   "bulletin.proposals", "bulletin.revisions"])
def test_D8_a_topic_whose_folder_is_gone_is_told_of(filled, topic):
    home = filled.restore()
    shutil.rmtree(home.path / "log" / topic)
    told = findings(home)
    assert any(finding["object"].endswith(f"/{topic}") and "not there" in finding["damage"] for finding in told), told
    mended(filled)


def rows_of_catalog(home: Home, statement: str, *values) -> None:
    with sqlite3.connect(home.path / "catalog.sqlite") as database:
        database.execute(statement, values)
    database.close()


def swap_pointers(home: Home) -> None:
    segments_at, packets_at = (f"file://{pointer(home, table)}" for table in ("segments", "packets"))
    rows_of_catalog(home, "UPDATE iceberg_tables SET metadata_location = ? WHERE table_name = 'segments'", packets_at)
    rows_of_catalog(home, "UPDATE iceberg_tables SET metadata_location = ? WHERE table_name = 'packets'", segments_at)


def swap_metadata(home: Home) -> None:
    swap(pointer(home, "segments"), pointer(home, "packets"))


@pytest.mark.parametrize("swapped", [swap_pointers, swap_metadata])
def test_D8_metadata_of_two_tables_that_were_swapped_are_told_by_both_names_and_mended(filled, swapped):
    home = filled.restore()
    swapped(home)
    message = home.fail("query", "SELECT count(*) FROM waveform.segments")
    assert '"waveform.segments"' in message and '"waveform.packets"' in message, message
    message = home.fail("import", filled.records)
    assert '"waveform.segments"' in message and '"waveform.packets"' in message and "seislake home repair" in message, message
    told = [finding["damage"] for finding in findings(home)]
    assert any('"waveform.segments"' in damage and '"waveform.packets"' in damage for damage in told), told
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    # Tables that went back to the metadata files of before take in again what the log holds.
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_of(home) == sum(len(row["samples"]) for row in filled.samples)


def test_D8_folders_of_two_tables_that_were_swapped_are_told_by_both_names_and_nothing_is_changed(filled):
    home = filled.restore()
    folders = [home.path / "warehouse" / "waveform" / name for name in ("segments", "packets")]
    swap(*folders)
    before = state_of(home)
    for command in [("home", "check"), ("home", "repair")]:
        message = home.fail(*command)
        assert '"waveform.segments"' in message and '"waveform.packets"' in message, message
    assert state_of(home) == before
    message = home.fail("query", "SELECT count(*) FROM waveform.segments")
    assert '"waveform.segments"' in message and "is not there" in message, message
    swap(*folders)
    assert home.succeed("home", "check") == "nothing is damaged\n"


def copy_over(home: Home, pattern: str) -> list:
    """Files of waveform.segments under the names of those of waveform.packets."""
    named = files(home, f"warehouse/waveform/packets/{pattern}")
    for path in named:
        shutil.copy(files(home, f"warehouse/waveform/segments/{pattern}")[-1], path)
    return named


@pytest.mark.parametrize("pattern", ["metadata/snap-*.avro", "metadata/*-m0.avro", "data/**/*.parquet"])
def test_D8_files_of_another_table_are_damage_and_never_rows(filled, pattern):
    home = filled.restore()
    named = copy_over(home, pattern)
    message = home.fail("query", "SELECT source_id, sha256 FROM waveform.packets")
    assert any(path.name in message for path in named), message
    # A data file is not as long as its manifest says.
    if pattern.startswith("metadata"):
        assert "damaged" in message and "of another table" in message, message
    told = findings(home)
    assert any(path.name in finding["object"] + finding["damage"] for path in named for finding in told), told
    home.succeed("home", "repair")
    assert json.loads(home.succeed("home", "check", "--json")) == []
    filled.fill()
    assert home.query(PACKETS) == filled.packets
    assert samples_by_station(home) == dict.fromkeys(STATIONS, "6000")


def test_D8_a_home_without_some_tables_is_checked_and_read(filled):
    """It is older than they are, or was killed while they were made."""
    home = filled.restore()
    for namespace, table in [("quality", "timing"), ("quality", "latency"), ("bulletin", "arrivals")]:
        rows_of_catalog(home, "DELETE FROM iceberg_tables WHERE table_name = ?", table)
        shutil.rmtree(home.path / "warehouse" / namespace / table)
    assert home.succeed("home", "check") == "nothing is damaged\n"
    message = home.fail("query", "SELECT count(*) FROM quality.timing")
    assert 'no table "quality.timing" yet' in message and "seislake import" in message, message
    assert home.query(PACKETS) == filled.packets
    assert home.succeed("home", "repair") == "nothing is damaged\n"
    assert home.count("quality.timing") == 0


def test_D10_readiness_tells_of_files_that_are_gone(filled):
    """A data file that was read before, and a manifest that was not."""
    samples = "/fdsnws/dataselect/1/query?starttime=2024-01-01&endtime=2024-01-02"
    for lost, is_read in [("data/**/*.parquet", True), ("metadata/*-m0.avro", False)]:
        home = filled.restore()
        server = home.serve()
        if is_read:
            assert server.get(samples).status_code == 200
        assert server.get("/readyz").status_code == 200
        gone = files(home, f"warehouse/waveform/segments/{lost}")
        for path in gone:
            path.unlink()
        assert server.get(samples).status_code >= 500
        ready = server.get("/readyz")
        assert ready.status_code == 503 and "waveform.segments" in ready.text and "not there" in ready.text, ready.text
        wait_until(lambda: any(path.name in server.log() for path in gone))
        server.kill()


@pytest.mark.parametrize("table", ["segments", "picks", "stations"])
def test_D8_a_row_of_the_catalog_that_names_no_file_is_told_of_and_mended(filled, table):
    home = filled.restore()
    rows_of_catalog(home, "UPDATE iceberg_tables SET metadata_location = NULL WHERE table_name = ?", table)
    namespace = {"segments": "waveform", "picks": "bulletin", "stations": "network"}[table]
    for command in [("query", f"SELECT count(*) FROM {namespace}.{table}"), ("import", filled.records)]:
        message = home.fail(*command)
        assert f"{namespace}.{table}" in message and "no metadata file" in message, message
    assert home.count("waveform.packets") == 180, "other tables are read"
    assert any("no metadata file" in finding["damage"] for finding in findings(home))
    mended(filled)


def test_D8_an_older_warehouse_with_its_older_catalog_is_told_of(home):
    records = home.folder / "records"
    records.mkdir()
    for number, station in enumerate(STATIONS[:2]):
        body = series(np.cumsum(np.random.default_rng(number).integers(-50, 51, 3000)), "2024-01-01T00:00:00", station=station)
        (records / f"{station}.mseed").write_bytes(body)
        stations = home.folder / f"{station}.txt"
        stations.write_text(station_text([("XX", station, "", "HHZ", 1.0, 2.0, 0, 100)]))
        home.succeed("import", "--archive-only", "--stations", stations, "--", records / f"{station}.mseed")
        if number == 0:
            shutil.copytree(home.path / "warehouse", home.folder / "warehouse")
            shutil.copy(home.path / "catalog.sqlite", home.folder / "older.sqlite")
    assert home.succeed("home", "check") == "nothing is damaged\n"
    drop_catalog(home)
    shutil.rmtree(home.path / "warehouse")
    shutil.copytree(home.folder / "warehouse", home.path / "warehouse")
    shutil.copy(home.folder / "older.sqlite", home.path / "catalog.sqlite")
    told = {finding["object"] for finding in findings(home) if "older" in finding["damage"]}
    assert {'table "waveform.packets"', 'table "network.stations"'} <= told, told
    home.succeed("home", "repair")
    assert home.succeed("home", "check") == "nothing is damaged\n"
    home.succeed("import", "--archive-only", records)
    assert home.count("waveform.packets") == 60


# ---------------------------------------------------------------- one of many

def test_D8_a_table_that_cannot_be_kept_up_keeps_no_other_from_it(filled):
    home = filled.restore()
    for path in files(home, "warehouse/waveform/packets/metadata/*-m0.avro"):
        flip(path, [path.stat().st_size * 2 // 3])
    for action in ("compact", "orphans"):
        done = home.run(f"maintain {action}", "--json")
        assert done.returncode == 1 and '"waveform.packets"' in done.stderr and "panicked" not in done.stderr, (action, done.stderr)
        told = {report["table"] for report in json.loads(done.stdout)}
        assert {"bulletin.picks", "waveform.segments", "quality.timing", "stream.dead_letters"} <= told, (action, told)
        assert "waveform.packets" not in told
    home = filled.restore()
    files(home, "warehouse/waveform/packets/data/**/*.parquet")[0].write_bytes(b"no data")
    done = home.run("quality update")
    assert done.returncode == 1 and "quality.timing" in done.stderr, done.stderr
    assert home.count("quality.signal_levels") > 0 and home.count("quality.continuity") > 0


def test_D8_a_row_of_unknown_quality_is_passed_over_and_the_others_are_served(filled):
    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
    home = filled.restore()
    whole = "SELECT count(*) AS n, sum(sample) AS s FROM samples('FDSN:XX_AAA__H_H_Z', '2024-01-01T00:00', '2024-01-02T00:00')"
    before = home.query(whole)
    catalog = SqlCatalog("seislake", uri=f"sqlite:///{home.path}/catalog.sqlite", warehouse=f"file://{home.path}/warehouse")
    table = catalog.load_table("waveform.segments")
    rows = table.scan(row_filter="source_id = 'FDSN:XX_AAA__H_H_Z'").to_arrow().slice(0, 1)
    place = rows.schema.get_field_index("quality")
    table.append(rows.set_column(place, rows.schema.field(place), pa.array(["no quality"], rows.schema.field(place).type)))
    catalog.close()
    assert home.query(whole) == before and int(before[0]["n"]) == 6000
    home.succeed("quality update")
    assert home.count("quality.continuity", "source_id = 'FDSN:XX_AAA__H_H_Z'") == 1


@pytest.mark.parametrize("name", ["purpose.json.new", "state/velocity-model.json.new", "run/addresses.json.new", "log/waveforms.raw/topic.json.new"])
@pytest.mark.parametrize("make", [pathlib.Path.symlink_to, pathlib.Path.hardlink_to], ids=["symbolic", "hard"])
def test_D8_what_a_link_in_the_place_of_a_file_under_way_leads_to_stays(home, name, make):
    records = home.folder / "records"
    records.mkdir()
    (records / "one.mseed").write_bytes(series(np.arange(4000) % 100, "2024-01-01T00:00:00"))
    precious = home.folder / "precious"
    precious.write_text("precious")
    path = home.path / name
    path.parent.mkdir(parents=True)
    make(path, precious)
    home.succeed("import", "--velocity-model", "ak135", records)
    home.serve().stop()
    assert precious.read_text() == "precious"
    made = path.with_suffix("")
    assert not path.is_symlink() and not path.exists() and not made.is_symlink(), made


def test_D8_a_lock_that_is_a_link_is_refused_and_not_written_through(filled):
    home = filled.restore()
    precious = home.folder / "precious"
    precious.write_text("precious")
    lock = home.path / "lock"
    lock.unlink()
    lock.symlink_to(precious)
    for command in [("import", filled.records), ("home", "repair"), ("serve",)]:
        said = home.fail(*command, timeout=30)
        assert f'"{lock}" is a link' in said, said
    assert precious.read_text() == "precious"
    lock.unlink()
    home.succeed("import", filled.records)


@pytest.mark.parametrize("topic, again", [("waveforms.raw", True), ("waveforms.phase_picks", False)])
def test_D8_stations_lost_with_the_log_are_said_to_come_again(filled, topic, again):
    home = filled.restore()
    for file in sorted((home.path / "log" / topic).glob("*/*.log")):
        if file.stat().st_size > 200:
            data = bytearray(file.read_bytes())
            data[100] ^= 0xFF
            file.write_bytes(data)
    told = [finding for finding in findings(home) if f'"{topic}"' in finding["damage"]]
    assert told and all("import its files" in finding["remedy"] for finding in told), told
    assert all(("stations among them come again by themselves" in finding["remedy"]) == again for finding in told), told
