"""What comes in by records, logs and state files: nothing of it stops a home, and nothing is lost without a word."""

import json
import pathlib
import resource
import shutil
import struct
import subprocess
import time

import numpy as np
import pytest
from harness import binary, environment, wait_until
from records import INT32, _crc32c, record, record3, series

MSEED = {"Content-Type": "application/vnd.fdsn.mseed"}
FAST = "[lake]\ncommit_interval_s = 0.3\n"
STEIM1, UNKNOWN = 10, 99


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-2**30, 2**30, count, dtype=np.int32)


def good(start: str = "2024-01-01T00:00:00", **more) -> bytes:
    return series(np.arange(100), start, **more)


def damaged_records() -> list:
    """Records whose headers can be read and which cannot be used."""
    start_ns = 1_704_067_200 * 10**9
    return [
        record([], start_ns, station="STEIM", encoding=STEIM1, payload=bytes(192), sample_count=100),
        record([], start_ns, station="CODE", encoding=UNKNOWN, payload=bytes(192), sample_count=10),
        record(np.arange(10), start_ns, station="COUNT", sample_count=5000, length_exponent=9),
        record(np.arange(10), start_ns, station=""),
        record(np.arange(10), start_ns, station="RATE", factor=0),
    ]


# ---------------------------------------------------------------- what the ingest door says

def test_A6_the_answer_names_every_refused_record_with_its_place(home):
    server = home.serve()
    parts = [good(), *damaged_records(), good("2024-01-01T01:00:00")]
    places, offset = [], 0
    for part in parts:
        places.append((offset, len(part)))
        offset += len(part)
    answer = server.ingest(b"".join(parts))
    report = answer.json()
    assert (answer.status_code, report["accepted_count"]) == (200, 2), report
    told = [(letter["index"], letter["byte_offset"], letter["byte_count"]) for letter in report["dead_letters"]]
    assert told == [(index, *places[index]) for index in range(1, 6)], report
    assert all(letter["reason"] for letter in report["dead_letters"])
    assert report["dead_letter_count"] == 5
    # The same once more: records are known, refused ones are named again.
    again = server.ingest(b"".join(parts)).json()
    assert (again["accepted_count"], again["duplicate_count"], len(again["dead_letters"])) == (0, 2, 5)


def test_A6_a_body_of_which_nothing_can_be_used_is_unprocessable_and_says_why(home):
    server = home.serve()
    for part in damaged_records():
        answer = server.ingest(part)
        report = answer.json()
        assert answer.status_code == 422, report
        (letter,) = report["dead_letters"]
        assert (letter["byte_offset"], letter["byte_count"]) == (0, len(part))
        assert letter["reason"] in report["error"]["message"]


def without_header(number: int) -> bytes:
    """A record whose header is damaged behind its first bytes: the hour is none."""
    content = bytearray(record(np.arange(10), 1_704_067_200 * 10**9, station=f"H{number % 1000}", sequence=number))
    content[24] = 99
    return bytes(content)


def test_A6_neighbouring_bad_records_are_dead_letters_of_their_own(home):
    server = home.serve(settings=FAST)
    bad = [without_header(number) for number in range(1, 6)]
    whole3 = record3(np.arange(10), "2024-01-01T00:00:00", "FDSN:XX_V__H_H_Z")
    bad += [whole3[:-1] + bytes([whole3[-1] ^ 1]), whole3[:-2] + bytes([whole3[-2] ^ 1]) + whole3[-1:]]
    parts = [good(), *bad, good("2024-01-01T01:00:00")]
    places, offset = [], 0
    for part in parts:
        places.append((offset, len(part)))
        offset += len(part)
    report = server.ingest(b"".join(parts)).json()
    assert [(letter["byte_offset"], letter["byte_count"]) for letter in report["dead_letters"]] == places[1:-1], report
    assert report["accepted_count"] == 2
    wait_until(lambda: server.sql("SELECT count(*) FROM stream.dead_letters")[0][0] == len(bad))
    # However many there are, a body makes a bounded number of them, and the rest is counted.
    many = b"".join(without_header(number) for number in range(3000))
    report = server.ingest(good("2024-01-01T02:00:00") + many).json()
    assert report["dead_letter_count"] == 1001
    assert "2000 more parts" in report["dead_letters"][-1]["reason"], report["dead_letters"][-1]
    assert server.stop() == 0


# ---------------------------------------------------------------- times that cannot be

def absurd() -> list:
    start = "2024-01-01T00:00:00"
    rates = [0.0, 1e-300, -1e300, 1e12, float("nan"), float("inf"), float("-inf")]
    bodies = [record3(np.arange(10), start, f"FDSN:XX_R{number}__H_H_Z", rate_hz=rate) for number, rate in enumerate(rates)]
    bodies.append(record3(np.arange(10), "9999-12-31T23:59:59", "FDSN:XX_Y__H_H_Z"))
    bodies.append(record(np.arange(10), 1_704_067_200 * 10**9, station="ZERO", factor=0))
    return bodies


def test_B32_records_without_believable_times_are_dead_letters_by_every_way_in(home):
    folder = home.folder / "records"
    folder.mkdir()
    for number, body in enumerate(absurd()):
        (folder / f"{number}.mseed").write_bytes(body)
    (folder / "good.mseed").write_bytes(good())
    home.succeed("import", folder)
    assert home.count("waveform.packets") == 1
    assert home.count("waveform.segments", "end_time - start_time > INTERVAL '24 hours'") == 0
    assert home.count("stream.dead_letters") == len(absurd())
    assert home.count("stream.dead_letters", "reason = ''") == 0
    server = home.serve()
    for body in absurd():
        answer = server.ingest(body)
        assert answer.status_code == 422 and len(answer.json()["dead_letters"]) == 1, answer.text


# ---------------------------------------------------------------- a single record

@pytest.mark.flaky(reruns=1)
def test_D16_single_records_on_an_idle_server_are_seen_within_the_commit_interval_and_a_second(home):
    server = home.serve(settings="[lake]\ncommit_interval_s = 1.0\n")
    # The second brings no later time than the first, the third goes back; each is seen before the next is sent.
    cases = [("A", "2024-01-01T00:00:00"), ("B", "2024-01-01T00:00:00"), ("A", "2023-12-31T23:59:00")]
    for number, (station, start) in enumerate(cases, start=1):
        sent = time.monotonic()
        assert server.ingest(good(start, station=station)).status_code == 200
        for table in ["waveform.packets", "waveform.segments"]:
            wait_until(lambda: server.sql(f"SELECT count(*) FROM {table}")[0][0] == number, within_s=20)
        # An interval and a second, and what a slow machine needs to ask.
        assert time.monotonic() - sent < 8, f"record {number}"


# ---------------------------------------------------------------- no room

def test_D11_without_room_ingest_waits_reading_goes_on_and_it_recovers_by_itself(home):
    server = home.serve(settings=FAST + "[streams]\nraw_partition_count = 1\n")
    assert server.ingest(good()).status_code == 200
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets")[0][0] == 1)
    largest = max(path.stat().st_size for path in home.path.rglob("*") if path.is_file())
    # No file may grow beyond this: as if the disk were full.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    accepted, refused = 1, None
    for number in range(40):
        body = series(noise(100_000, number), f"2024-02-{1 + number // 20:02}T{number % 20:02}:00:00", per_record=1000)
        answer = server.ingest(body)
        if answer.status_code != 200:
            refused = answer
            break
        accepted += answer.json()["accepted_count"]
    assert refused is not None and refused.status_code == 503, refused and refused.text
    ready = server.get("/readyz")
    assert ready.status_code == 503 and ready.json()["parts"]["log"] != "ready", ready.text
    assert str(home.path) not in ready.text
    assert int(refused.headers["Retry-After"]) >= 1
    for said in ["re-open the database", "Previous I/O"]:
        assert said not in refused.text + server.log()
    for _ in range(5):
        assert server.ingest(body).status_code == 503
        server.alive()
        assert server.sql("SELECT count(*) FROM waveform.packets")[0][0] >= 1
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    report = wait_until(lambda: (answer := server.ingest(body)).status_code == 200 and answer.json(), within_s=60)
    assert report["accepted_count"] + report["duplicate_count"] == 100
    accepted += 100
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets")[0][0] == accepted, within_s=60)
    assert server.sql("SELECT count(DISTINCT sha256) FROM waveform.packets")[0][0] == accepted
    wait_until(lambda: server.get("/readyz").status_code == 200)
    assert server.stop() == 0, server.log()[-3000:]


# ---------------------------------------------------------------- damage of log and state

def archive(home, seed: int = 1, hours: int = 3) -> pathlib.Path:
    folder = home.folder / f"records-{seed}"
    folder.mkdir()
    for hour in range(hours):
        body = series(noise(20_000, 100 * seed + hour), f"2024-01-0{seed}T{hour:02}:00:00", per_record=1000)
        (folder / f"{hour}.mseed").write_bytes(body)
    return folder


def segment(home) -> pathlib.Path:
    """The one that holds the records; the others hold punctuation."""
    return max(home.path.glob("log/waveforms.raw/*/*.log"), key=lambda path: path.stat().st_size)


def cut(home):
    path = segment(home)
    path.write_bytes(path.read_bytes()[:-37])


def flip(home):
    path = segment(home)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)


def lose_a_segment(home):
    segment(home).unlink()


def lose_log(home):
    shutil.rmtree(home.path / "log")


def lose_state(home):
    shutil.rmtree(home.path / "state")


def lose_both(home):
    lose_log(home)
    lose_state(home)


def lose_topic_files(home):
    for path in home.path.glob("log/*/topic.json"):
        path.write_text("")


def junk_checkpoints(home):
    for name in ["checkpoints.redb", "seen.redb"]:
        (home.path / "state" / name).write_bytes(b"no database at all" * 100)


DAMAGES = [cut, flip, lose_a_segment, lose_log, lose_state, lose_both, lose_topic_files, junk_checkpoints]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_D8_a_home_with_a_damaged_log_takes_records_again_and_none_twice(home, damage):
    first, second = archive(home, 1), archive(home, 2)
    home.succeed("import", first)
    before = home.count("waveform.packets")
    assert before == 60
    damage(home)
    report = json.loads(home.succeed("import", "--json", first, second))
    assert report["accepted_records"] >= 60
    rows = home.query("SELECT count(*) AS n, count(DISTINCT sha256) AS d FROM waveform.packets")[0]
    assert (rows["n"], rows["d"]) == ("120", "120")


def test_D8_a_server_goes_on_behind_a_lost_log(home):
    home.succeed("import", archive(home))
    lose_both(home)
    server = home.serve()
    assert server.ingest(good("2024-03-01T00:00:00")).json()["accepted_count"] == 1
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets")[0][0] == 61)
    assert "the log ends before records" in server.log()
    assert server.stop() == 0


def test_D9_flipped_bits_of_the_index_double_no_record(home):
    folder = archive(home)
    home.succeed("import", folder)
    index = home.path / "state" / "seen.redb"
    whole = index.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(4):
        content = bytearray(whole)
        for at in random.integers(0, len(content), 10):
            content[at] ^= 1 << random.integers(0, 8)
        index.write_bytes(content)
        home.succeed("import", folder)
        assert home.count("waveform.packets") == 60


def test_D15_a_truncated_index_is_told_of_in_words(home):
    folder = archive(home)
    home.succeed("import", folder)
    index = home.path / "state" / "seen.redb"
    whole = index.read_bytes()
    for length in [0, 100, len(whole) // 2]:
        index.write_bytes(whole[:length])
        done = home.run("import", folder)
        assert done.returncode == 0, done.stderr
        assert "panicked" not in done.stderr and "backtrace" not in done.stderr
        assert home.count("waveform.packets") == 60


def test_D9_a_server_on_a_home_filled_in_shares_takes_no_records_and_says_the_way(home):
    folder = archive(home)
    home.succeed("import", "--archive-only", "--shard", "1/2", folder)
    server = home.serve()
    answer = server.ingest(good())
    assert answer.status_code == 409, answer.text
    assert "--shard" in answer.json()["error"]["hint"]
    server.alive()
    assert home.count("waveform.packets") in (0, 60)


# ---------------------------------------------------------------- messages that nobody can read

def append_to_log(path: pathlib.Path, base: int, records: list) -> None:
    """An append as the log writes them, whatever the records are."""
    body = b"".join(struct.pack("<IIq", len(key), len(value), -2**63) + key + value for key, value in records)
    head = b"SLB1" + struct.pack("<IQQIQ", len(body), base, len(records), _crc32c(body), 0)
    with path.open("ab") as file:
        file.write(head + struct.pack("<I", _crc32c(head)) + body)


def end_of_log(path: pathlib.Path, base: int) -> int:
    content, position = path.read_bytes(), 0
    while position < len(content):
        length, _, count = struct.unpack_from("<IQQ", content, position + 4)
        position, base = position + 40 + length, base + count
    return base


def test_poison_in_every_topic_becomes_dead_letters_and_stops_nobody(home):
    first, second = archive(home, 1), archive(home, 2)
    home.succeed("import", first)
    junk = [
        (b"watermark", b"\x00\xffjunk"),
        (b"watermark", b'{"version":2,"watermark":"max"}'),
        (b"x", b'{"version":1,"source":{"topic":"t","partition":0,"offset":0,"index":0},"kind":"dream"}'),
        (b"x", b'{"version":7,"source":{"topic":"t","partition":0,"offset":0,"index":0},"kind":"watermark"}'),
        (b"FDSN:XX_A__H_H_Z", bytes(range(256))),
        (b"", b""),
    ]
    places = 0
    for path in sorted(home.path.glob("log/*/*")):
        if path.is_dir():
            files = sorted(path.glob("*.log")) or [path / f"{0:020}.log"]
            base = int(files[-1].stem)
            end = end_of_log(files[-1], base) if files[-1].exists() else base
            append_to_log(files[-1], end, junk)
            places += 1
    assert places > 15
    home.succeed("import", second)
    assert home.count("waveform.packets") == 120
    letters = home.query("SELECT topic, partition, count(*) AS n FROM stream.dead_letters GROUP BY 1, 2")
    assert len(letters) == places, letters
    assert all(int(row["n"]) >= len(junk) for row in letters), letters
    server = home.serve()
    assert server.get("/readyz").status_code == 200
    assert server.ingest(good("2024-03-01T00:00:00")).json()["accepted_count"] == 1
    assert server.stop() == 0


# ---------------------------------------------------------------- live doors beside it all

def test_D11_readyz_names_the_runner_that_waits_and_livez_stays(home):
    server = home.serve(settings=FAST)
    assert server.ingest(good()).status_code == 200
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets")[0][0] == 1)
    # A file where a folder of the warehouse was: no data file of this table can be written.
    place = home.path / "warehouse" / "waveform" / "packets" / "data"
    aside = place.with_name("data.aside")
    place.rename(aside)
    place.write_text("")
    assert server.ingest(good("2024-01-02T00:00:00")).status_code == 200
    told = wait_until(lambda: (got := server.get("/readyz")).status_code == 503 and got.text)
    assert "waveform.packets" in told
    assert str(home.path) not in told
    assert wait_until(lambda: server.ingest(good("2024-01-03T00:00:00")).headers.get("Retry-After"))
    server.alive()
    assert server.get("/events").status_code == 200
    place.unlink()
    aside.rename(place)
    wait_until(lambda: server.get("/readyz").status_code == 200)
    wait_until(lambda: server.ingest(good("2024-01-03T00:00:00")).status_code == 200)
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.packets")[0][0] == 3)
    assert server.stop() == 0


def test_folders_behind_links_are_imported_and_circles_end(home):
    disk, folder = home.folder / "disk", home.folder / "archive"
    (disk / "D002").mkdir(parents=True)
    (folder / "D001").mkdir(parents=True)
    (folder / "D001" / "a.mseed").write_bytes(good("2024-01-01T00:00:00"))
    (disk / "D002" / "b.mseed").write_bytes(good("2024-01-02T00:00:00"))
    (folder / "2024").symlink_to(disk)
    (disk / "up").symlink_to(folder)
    report = json.loads(home.succeed("import", "--archive-only", "--json", folder))
    assert report["accepted_records"] == 2 and home.count("waveform.packets") == 2
    inspected = subprocess.run([binary(), "inspect", str(folder)], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert "b.mseed" in inspected.stdout
