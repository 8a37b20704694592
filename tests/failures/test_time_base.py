"""Times of samples: clocks that drift, versions of the same time, leap seconds, headers without a rate, texts.

Every sample must be told within half a sample of its record's stamp, by every door that gives samples or times.
"""

import io

import numpy as np
import obspy
import pytest
from records import FLOAT32, FLOAT64, TEXT, ns, record, record3, series

NS = 10**9


def drifting(late_ns, records=300, per_record=100, rate=100, start="2024-05-14T00:00:00", **more) -> bytes:
    """Records that begin `late_ns` after the time at which their first sample is due; one number, or one for each."""
    parts, at, first = [], ns(start), 0
    for index in range(records):
        parts.append(record(np.arange(first, first + per_record), at, factor=rate, sequence=index % 999_999 + 1, **more))
        first += per_record
        step = late_ns[index] if isinstance(late_ns, (list, np.ndarray)) else late_ns
        # Headers tell tenths of a millisecond.
        at += per_record * NS // rate + int(step) // 100_000 * 100_000
    return b"".join(parts)


def stamps(data: bytes) -> dict:
    """Value of the first sample of each record and its stamp in ns; values count the samples."""
    found = {}
    for trace in obspy.read(io.BytesIO(data), format="MSEED", details=False, headonly=False):
        found[int(trace.data[0])] = trace.stats.starttime.ns
    return found


def truth(data: bytes, length: int) -> dict:
    return {key: value for at in range(0, len(data), length) for key, value in stamps(data[at:at + length]).items()}


def put(home, name: str, data: bytes) -> None:
    folder = home.folder / "records"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def check_times(found: dict, true: dict, rate: float, what: str) -> None:
    """`found`: time in ns by value; `true`: stamps of first samples."""
    assert set(true) <= set(found), f"{what}: {len(set(true) - set(found))} records are missing"
    worst = max(abs(found[value] - stamp) for value, stamp in true.items())
    assert worst <= 0.5 * NS / rate, f"{what}: a sample is {worst / NS} s off its stamp"


def times_of_records(data: bytes, rate: float) -> dict:
    """Time of every value, record by record: ObsPy makes one trace of what joins within half a sample."""
    found = {}
    for at in range(0, len(data), 512):
        for trace in obspy.read(io.BytesIO(data[at:at + 512]), format="MSEED"):
            start = trace.stats.starttime.ns
            found.update({int(value): start + round(index * NS / rate) for index, value in enumerate(trace.data)})
    return found


def exported(home, *arguments) -> bytes:
    path = home.folder / "out.mseed"
    home.succeed("export", *arguments, "--output", path)
    return path.read_bytes()


def read_back(home, data: bytes, query: str) -> list:
    """Rows of a home that holds nothing but what was exported."""
    other = type(home)(home.folder / f"other{len(list(home.folder.iterdir()))}")
    other.folder.mkdir()
    (other.folder / "records").mkdir()
    (other.folder / "records" / "all.mseed").write_bytes(data)
    other.succeed("import", "--archive-only", other.folder / "records")
    return other.query(query)


CASES = {
    "late": 4_000_000,
    "early": -4_000_000,
    "slowly late": 100_000,
    "slowly early": -100_000,
    "a third": 3_300_000,
    "jitter": [(-1) ** index * 2_000_000 for index in range(300)],
    "wandering": [[1_500_000, 2_400_000, -3_000_000, 900_000, 4_400_000, -1_000_000][index % 6] for index in range(300)],
}


@pytest.mark.parametrize("case", CASES)
def test_A4_drifting_records_keep_their_times(home, case):
    data = drifting(CASES[case])
    put(home, "drift.mseed", data)
    home.succeed("import", "--archive-only", home.folder / "records")
    home.succeed("maintain compact")
    true = truth(data, 512)
    assert len(true) == 300
    window = "'XX.STA..HHZ', '2024-05-14', '2024-05-15'"
    rows = home.query(f"SELECT time_ns, sample FROM samples({window}) WHERE sample IS NOT NULL")
    assert len(rows) == 30_000
    check_times({int(float(row["sample"])): int(row["time_ns"]) for row in rows}, true, 100, "samples()")
    gaps = home.query(f"SELECT count(*) AS n FROM samples({window}) WHERE sample IS NULL")
    assert gaps[0]["n"] == "0", "a clock that drifts is no gap"
    rows = home.query(f"SELECT start_ns, sample_rate_hz, sample_count, samples[1] AS first FROM traces({window})")
    found = {}
    for row in rows:
        for index in range(int(row["sample_count"])):
            found[int(float(row["first"])) + index] = int(row["start_ns"]) + round(index * 1e9 / float(row["sample_rate_hz"]))
    check_times(found, true, 100, "traces()")
    rows = home.query("SELECT start_ns, sample_count, samples[1] AS first FROM waveform.segments ORDER BY start_ns")
    found = {int(row["first"]) + index: int(row["start_ns"]) + index * 10_000_000
             for row in rows for index in range(int(row["sample_count"]))}
    check_times(found, true, 100, "waveform.segments")
    data = exported(home, "--format", "mseed")
    check_times(times_of_records(data, 100), true, 100, "export")
    stream = obspy.read(io.BytesIO(data))
    assert len(stream) == 1, f"false gaps: {stream.get_gaps()[:3]}"


def test_A4_a_slow_channel_and_miniseed_3_drift_as_well(home):
    """0.1 Hz, each record three seconds late, for a day: the last sample was 267 s off; two channels beside it."""
    parts, at = [], ns("2024-05-14T23:52:07")
    for index in range(90):
        samples = np.arange(100 * index, 100 * index + 100)
        parts.append(record(samples, at, station="SLOW", channel="VKD", factor=-10))
        moment = obspy.UTCDateTime(ns=at).datetime.isoformat()
        put(home, f"three{index}.ms3", record3(samples, moment, "FDSN:XX_THREE__V_K_D", rate_hz=0.1))
        at += 1003 * NS
    put(home, "slow.mseed", b"".join(parts))
    home.succeed("import", "--archive-only", home.folder / "records")
    true = truth(b"".join(parts), 512)
    for station in ("SLOW", "THREE"):
        query = f"SELECT time_ns, sample FROM samples('XX.{station}..VKD', '2024-05-14', '2024-05-17') WHERE sample IS NOT NULL"
        rows = home.query(query)
        check_times({int(float(row["sample"])): int(row["time_ns"]) for row in rows}, true, 0.1, station)
        for format in ("mseed", "mseed3"):
            rows = read_back(home, exported(home, "--format", format, "--source", f"XX.{station}..VKD"), query)
            check_times({int(float(row["sample"])): int(row["time_ns"]) for row in rows}, true, 0.1, f"{station} {format}")


def test_A4_all_doors_tell_the_same_span(home):
    data = drifting(4_000_000)
    put(home, "drift.mseed", data)
    home.succeed("import", "--archive-only", home.folder / "records")
    true = truth(data, 512)
    server = home.serve()
    spans = server.get("/fdsnws/availability/1/query?network=XX&format=text").text.splitlines()
    assert len(spans) == 2, f"one span without a gap: {spans}"
    begin, end = [obspy.UTCDateTime(word).ns for word in spans[1].split()[-2:]]
    assert abs(begin - min(true.values())) <= 1000
    assert abs(end - (max(true.values()) + 990_000_000)) <= 1000
    answer = server.get("/fdsnws/dataselect/1/query?network=XX&station=STA")
    check_times(times_of_records(answer.content, 100), true, 100, "dataselect")
    assert server.stop() == 0
    home.succeed("quality update")
    row, = home.query("SELECT gap_count, overlap_count, sample_count FROM quality.continuity")
    # The rest of the day is the one gap.
    assert (row["gap_count"], row["overlap_count"], row["sample_count"]) == ("1", "0", "30000")


def versions(home, order):
    """Ten minutes as D and, 70 ms earlier and with other samples, as Q; in archives of this order."""
    start = ns("2024-04-01T00:00:00")
    for number, quality in enumerate(order):
        shift, scale = (-70_000_000, 7) if quality == "Q" else (0, 1)
        parts = [record(np.full(1000, scale), start + index * 10 * NS + shift, station="OBS1", quality=quality)
                 for index in range(60)]
        put(home, f"{number}{quality}.mseed", b"".join(parts))


@pytest.mark.parametrize("order", ["DQ", "QD"])
def test_A5_one_version_at_a_time_the_best(home, order):
    versions(home, order)
    home.succeed("import", "--archive-only", home.folder / "records")
    for _ in range(2):
        window = "'XX.OBS1..HHZ', '2024-03-31', '2024-04-02'"
        rows = home.query(f"SELECT sample, count(*) AS n, min(time_ns) AS first FROM samples({window}) GROUP BY 1 ORDER BY 1")
        # Seven samples of D reach beyond the end of Q.
        assert [(row["sample"], row["n"]) for row in rows] == [("1.0", "7"), ("7.0", "60000")]
        rows = home.query(f"SELECT sample_count, samples[1] AS one FROM traces({window}) ORDER BY start_ns")
        assert [(row["sample_count"], row["one"]) for row in rows] == [("60000", "7.0"), ("7", "1.0")]
        stream = obspy.read(io.BytesIO(exported(home, "--format", "mseed")))
        assert sum(int((trace.data == 7).sum()) for trace in stream) == 60_000
        assert sum(int((trace.data == 1).sum()) for trace in stream) == 7
        home.succeed("quality update")
        row, = home.query("SELECT sum(sample_count) AS n, sum(repeated_count) AS twice, sum(overlap_count) AS overlaps "
                          "FROM quality.continuity")
        assert (row["n"], row["twice"], row["overlaps"]) == ("60007", "0", "0")
        row, = home.query("SELECT minimum, maximum, sample_count FROM quality.signal_levels WHERE start_time = '2024-04-01'")
        assert (float(row["maximum"]), int(row["sample_count"])) == (7.0, 60_000)
        home.succeed("maintain compact", "--all")
    kept = home.query("SELECT quality, sum(sample_count) AS n FROM waveform.segments GROUP BY 1 ORDER BY 1")
    assert [(row["quality"], row["n"]) for row in kept] == [("D", "60000"), ("Q", "60000")], "nothing is thrown away"


def test_A5_dataselect_chooses_and_availability_lists_both(home):
    versions(home, "DQ")
    home.succeed("import", "--archive-only", home.folder / "records")
    server = home.serve()

    def values(quality: str) -> dict:
        answer = server.get(f"/fdsnws/dataselect/1/query?station=OBS1{quality}")
        data = np.concatenate([trace.data for trace in obspy.read(io.BytesIO(answer.content))])
        return {int(value): int(count) for value, count in zip(*np.unique(data, return_counts=True))}

    assert values("") == {1: 7, 7: 60_000}
    assert values("&quality=B") == {1: 7, 7: 60_000}
    assert values("&quality=D") == {1: 60_000}
    assert values("&quality=Q") == {7: 60_000}
    spans = server.get("/fdsnws/availability/1/query?station=OBS1").text.splitlines()
    assert [line.split()[4] for line in spans[1:]] == ["Q", "D"] or [line.split()[4] for line in spans[1:]] == ["D", "Q"]
    assert server.stop() == 0


def test_B12_infinities_count_as_missing(home):
    samples = 100 * np.sin(np.arange(2000) * 0.1)
    samples[[10, 700]] = np.inf
    samples[[30, 1500]] = -np.inf
    samples[40] = np.nan
    true = samples[np.isfinite(samples)]
    for station, encoding in (("F32", FLOAT32), ("F64", FLOAT64)):
        put(home, f"{station}.mseed", series(samples, "2024-03-01T00:00:00", station=station, encoding=encoding))
    home.succeed("import", "--archive-only", home.folder / "records")
    home.succeed("quality update")
    rows = home.query("SELECT * FROM quality.signal_levels")
    assert len(rows) == 2
    for row in rows:
        assert int(row["sample_count"]) == len(true)
        assert abs(float(row["mean"]) - true.mean()) < 1e-3
        assert abs(float(row["rms"]) - true.std()) < 1e-3
        assert float(row["maximum"]) <= 100
    window = "'XX.F64..HHZ', '2024-03-01', '2024-03-02'"
    row, = home.query(f"SELECT count(sample) AS n, max(sample) AS most FROM samples({window})")
    assert (int(row["n"]), float(row["most"]) <= 100) == (len(true), True)
    row, = home.query(f"SELECT rms(samples) AS rms, peak(samples) AS peak FROM traces({window})")
    assert abs(float(row["rms"]) - np.sqrt((true**2).mean())) < 1e-6 and float(row["peak"]) <= 100
    rows = home.query(f"SELECT psd FROM spectrogram({window}, 1)")
    assert rows and all(np.isfinite(float(row["psd"])) for row in rows)


def test_B32_an_announced_leap_second_gives_no_overlap(home):
    """A second more of samples, announced by the flag, at 1 and at 100 Hz: nothing is missing, nothing twice."""
    midnight = ns("2015-07-01T00:00:00")
    one = [record(np.arange(0, 60), midnight - 120 * NS, station="ONE", factor=1),
           record(np.arange(60, 121), midnight - 60 * NS, station="ONE", factor=1, activity=0x10),
           record(np.arange(121, 181), midnight, station="ONE", factor=1)]
    fast = [record(np.arange(0, 200), midnight - 2 * NS, station="FAST"),
            record(np.arange(200, 300), midnight, station="FAST", activity=0x10),
            record(np.arange(300, 500), midnight, station="FAST")]
    # Second 60 as the header writes it.
    fast[1] = fast[1][:20] + (2015).to_bytes(2, "big") + (181).to_bytes(2, "big") + bytes([23, 59, 60, 0]) + fast[1][28:]
    put(home, "leap.mseed", b"".join(one + fast))
    home.succeed("import", "--archive-only", home.folder / "records")
    server = home.serve()
    for station, samples in (("ONE", 181), ("FAST", 500)):
        spans = server.get(f"/fdsnws/availability/1/query?station={station}").text.splitlines()[1:]
        assert len(spans) == 1, spans
        data = server.get(f"/fdsnws/dataselect/1/query?station={station}").content
        assert sum(len(trace.data) for trace in obspy.read(io.BytesIO(data))) == samples
    assert server.stop() == 0
    home.succeed("quality update")
    rows = home.query("SELECT source_id, sum(overlap_count) AS overlaps, sum(sample_count) AS n FROM quality.continuity "
                      "WHERE source_id LIKE '%ONE%' GROUP BY 1")
    assert [(row["overlaps"], row["n"]) for row in rows] == [("0", "181")]


def test_B32_text_records_are_answered_by_dataselect(home):
    text = b"clock set: 12 us\r\n"
    put(home, "log.mseed", b"".join(
        record([], ns("2024-05-01T00:00:00") + index * 3600 * NS, station="LOGS", channel="LOG", factor=0, encoding=TEXT,
               payload=text, sample_count=len(text)) for index in range(3)))
    put(home, "wave.mseed", series(np.arange(500), "2024-05-01T00:00:00", station="LOGS"))
    home.succeed("import", "--archive-only", home.folder / "records")
    server = home.serve()
    answer = server.get("/fdsnws/dataselect/1/query?station=LOGS&channel=LOG")
    assert answer.status_code == 200
    assert answer.content.count(text) == 3
    answer = server.get("/fdsnws/dataselect/1/query?station=LOGS&channel=LOG&starttime=2024-05-01T00:30:00&endtime=2024-05-01T01:30:00")
    assert answer.content.count(text) == 1
    three = server.get("/fdsnws/dataselect/1/query?station=LOGS&channel=LOG&format=miniseed3")
    assert three.content.startswith(b"MS\x03") and three.content.count(text) == 3
    both = server.get("/fdsnws/dataselect/1/query?station=LOGS").content
    assert both.count(text) == 3 and len(both) > len(answer.content)
    assert server.get("/fdsnws/dataselect/1/query?station=LOGS&channel=LOG&starttime=2025-01-01").status_code == 204
    assert server.stop() == 0


@pytest.mark.parametrize("rate", [0.0, 1e-300])
def test_B32_a_header_without_a_rate_makes_no_segment_of_centuries(home, rate):
    put(home, "rate.ms3", record3(np.arange(100), "2024-04-09T00:00:00", "FDSN:XX_RATE__H_H_Z", rate_hz=rate)
        + record3(np.arange(100), "2024-04-09T00:00:00", "FDSN:XX_GOOD__H_H_Z"))
    home.run("import", "--archive-only", home.folder / "records")
    rows = home.query("SELECT source_id, sample_count FROM waveform.segments WHERE end_time < '2024-04-10'")
    assert [row["source_id"] for row in rows] == ["FDSN:XX_GOOD__H_H_Z"]
    assert home.count("waveform.segments") == 1
    assert home.count("samples('XX.RATE..HHZ', '2024-01-01', '2599-01-01')") == 0
