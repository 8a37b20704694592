"""One request sees one state of the tables, however much is committed meanwhile, and nobody's rows are lost."""

import base64
import datetime
import json
import subprocess
import threading

import numpy as np
from harness import binary, environment
from records import ns, record, series, station_text

FAST = "[lake]\ncommit_interval_s = 0.05\n"
DAYS = 105
PAGES = """query($after: String) { waveformSegments(sourceId: "FDSN:XX_R__L_H_Z", first: 60, after: $after,
    timeRange: {from: "2024-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z"})
    { totalCount snapshotId pageInfo { endCursor hasNextPage } nodes { startTime } } }"""


def feed(server, station: str, count: int, begin: int = 0) -> None:
    """Posts `count` records one by one."""
    start = ns("2024-01-01T00:00:00")
    for index in range(begin, begin + count):
        body = record(np.arange(100) + index, start + index * 10**9, station=station)
        assert server.ingest(body).status_code == 200


def many_days(home, days: int = DAYS) -> None:
    """Each day is a partition of waveform.segments with two small files: putting them together is a commit for each."""
    day = datetime.date(2024, 1, 1)
    for hour in (0, 1):
        records = home.folder / f"records{hour}"
        records.mkdir()
        begins = [f"{day + datetime.timedelta(days=number)}T0{hour}:00:00" for number in range(days)]
        made = [series(np.arange(100), begin, station="R", channel="LHZ", factor=1) for begin in begins]
        (records / "all.mseed").write_bytes(b"".join(made))
        home.succeed("import", "--archive-only", records)


def compact(home) -> list:
    return [binary(), "maintain", "compact", "--files-min", "2", "--table", "waveform.segments", "--home", str(home.path)]


def test_A7_A8_readers_and_cursors_outlive_a_hundred_commits(home):
    many_days(home)
    records = home.folder / "long"
    records.mkdir()
    samples = np.random.default_rng(1).integers(-2**30, 2**30, 6_000_000)
    (records / "long.mseed").write_bytes(series(samples, "2024-05-31T00:00:00", station="LONG", factor=1000, per_record=1000))
    home.succeed("import", "--archive-only", records)
    server = home.serve()
    query = "/fdsnws/dataselect/1/query?network=XX&station=LONG&starttime=2024-01-01&endtime=2025-01-01"
    whole = server.get(query, timeout=60).content
    assert len(whole) > 20_000_000
    slow = server.get(query, stream=True, timeout=60)
    parts = slow.iter_content(65536)
    got = [next(parts)]
    page = server.graphql(PAGES)["data"]["waveformSegments"]
    total, seen = page["totalCount"], list(page["nodes"])
    assert total == 2 * DAYS
    done = subprocess.run(compact(home), capture_output=True, text=True, timeout=400, env=environment())
    assert done.returncode == 0 and f"{DAYS} partitions" in done.stdout, done.stdout + done.stderr
    got += list(parts)
    assert b"".join(got) == whole, "the body of a slow reader ends early"
    while page["pageInfo"]["hasNextPage"]:
        answer = server.graphql(PAGES, {"after": page["pageInfo"]["endCursor"]})
        assert "errors" not in answer and "extensions" not in answer, answer
        page = answer["data"]["waveformSegments"]
        assert page["totalCount"] == total
        seen += page["nodes"]
    assert len(seen) == total == len({node["startTime"] for node in seen})


def test_A7_a_cursor_whose_state_is_gone_goes_on_with_a_notice(home):
    many_days(home, 40)
    server = home.serve()
    page = server.graphql(PAGES)["data"]["waveformSegments"]
    cursor = page["pageInfo"]["endCursor"]
    held = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    held["s"] = 12345
    older = base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")
    answer = server.graphql(PAGES, {"after": older})
    assert "errors" not in answer, answer
    assert "newest state" in answer["extensions"]["notices"][0], answer
    sound = server.graphql(PAGES, {"after": cursor})
    assert "extensions" not in sound
    assert answer["data"] == sound["data"], "it goes on from its row"


def test_A7_fields_of_one_request_see_one_state(home):
    many_days(home, 12)
    server = home.serve()
    listed = """a%d: waveformSegments(sourceId: "FDSN:XX_R__L_H_Z", first: 1, timeRange: {from: "2024-01-01T00:00:00Z",
        to: "2025-01-01T00:00:00Z"}) { snapshotId totalCount pageInfo { endCursor } }"""

    def state():
        answer = server.graphql("{" + " ".join(listed % number for number in range(8)) + "}")
        fields = answer["data"].values()
        assert len({field["snapshotId"] for field in fields}) == 1, answer
        assert len({field["totalCount"] for field in fields}) == 1, answer
        return next(iter(fields))["snapshotId"]

    before = state()
    compacting = subprocess.Popen(compact(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    while compacting.poll() is None:
        state()
    assert compacting.returncode == 0
    assert state() != before, "there was no commit"


def test_A9_shares_with_different_stations_lose_none(home):
    folders = []
    for share in (1, 2):
        folder = home.folder / f"records{share}"
        folder.mkdir()
        (folder / "a.mseed").write_bytes(series(np.arange(200), "2024-01-01T00:00:00", station=f"D{share}"))
        lists = home.folder / f"stations{share}.txt"
        lists.write_text(station_text([("XX", f"S{share}{n:02}", "", "HHZ", n, 2.0, 0, 100) for n in range(20)]))
        folders.append((folder, lists))
    running = [subprocess.Popen([binary(), "import", "--home", str(home.path), "--archive-only", "--shard", f"{share}/2",
                                 "--stations", str(lists), "--", str(folder)], env=environment(), stderr=subprocess.PIPE, text=True)
               for share, (folder, lists) in enumerate(folders, 1)]
    for process in running:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert home.count("network.stations") == 40
    assert home.count("network.channels") == 40


def test_D14_maintenance_goes_on_beside_commits(home):
    server = home.serve(settings=FAST)
    feed(server, "LIVE", 120)
    stopping = threading.Event()

    def keep_feeding():
        index = 1000
        while not stopping.is_set():
            feed(server, "LIVE", 1, index)
            index += 1

    feeding = threading.Thread(target=keep_feeding)
    feeding.start()
    try:
        for _ in range(3):
            for action in (["expire", "--keep", "1", "--days", "0"], ["orphans"], ["compact"]):
                command = [binary(), "maintain", *action, "--home", str(home.path)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
                assert done.returncode == 0, done.stderr
    finally:
        stopping.set()
        feeding.join()
    server.alive()
    assert "upkeep failed" not in server.log()
