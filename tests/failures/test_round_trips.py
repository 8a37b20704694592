"""Waveforms of all kinds through a home and out again: miniSEED 2, miniSEED 3, SDS and raw, each imported into a new home,
give the rows that there were.

Named as lost: what is packed anew has lengths of records, encodings (integers become Steim 2) and timing quality of its own;
miniSEED 2 rounds times to a microsecond and has a letter where miniSEED 3 has a publication version; of two versions of the
same time an export has the better one. Raw loses nothing."""

import pathlib

import numpy as np
import pytest
from harness import Home
from records import FLOAT32, FLOAT64, INT32, TEXT, ns, record, record3, series

DAY = "2024-02-28"


def generated(seed: int) -> bytes:
    """Channels of every kind that records know; `seed` chooses the numbers."""
    random = np.random.default_rng(seed)
    parts = []
    def wave(count, kind=INT32):
        values = random.integers(-10**int(random.integers(1, 9)), 10**int(random.integers(1, 9)), count)
        return values if kind == INT32 else values * 0.37 + 0.1
    # Encodings, generations, and records of all lengths.
    for index, kind in enumerate((INT32, FLOAT32, FLOAT64)):
        parts.append(series(wave(730, kind), f"{DAY}T00:00:00", per_record=int(random.integers(20, 300)), station="ENC2", channel=f"HH{index}", encoding=kind))
        start = np.datetime64(f"{DAY}T01:00:00")
        for number in range(4):
            parts.append(record3(wave(150, kind), str((start + np.timedelta64(1500 * number, "ms")).astype("datetime64[us]")),
                                 f"FDSN:XX_ENC3_{index}_H_H_Z", encoding=kind, version=1))
    # Codes that miniSEED 2 has no room for.
    parts.append(record3(wave(100), f"{DAY}T02:00:00", "FDSN:XX2024_LONGNAME_LOC12345_H_GPS_X"))
    # Gaps, a piece that comes late, and the change of a day in a leap year.
    for start in ("03:00:00", "03:00:20", "03:00:10.123400"):
        parts.append(series(wave(300), f"{DAY}T{start}", station="GAPS"))
    parts.append(series(wave(1000), f"{DAY}T23:59:55", station="DAY"))
    # Odd rates: seconds a sample, thirds, and many a second.
    for code, factor, multiplier, interval_ns in (("LHZ", 1, 1, 10**9), ("VHZ", -10, 1, 10**10), ("UHZ", -1000, 1, 10**12), ("BHZ", 100, -3, 3 * 10**7),
                                                  ("FHZ", 1000, 1, 10**6), ("EHZ", 125, 1, 8 * 10**6)):
        samples = wave(200)
        for first in range(0, 200, 50):
            parts.append(record(samples[first:first + 50], ns(f"{DAY}T04:00:00") + first * interval_ns, station="RATE", channel=code,
                                factor=factor, multiplier=multiplier))
    # Flags of activity, and every quality letter.
    for index, letter in enumerate("DRQM"):
        parts.append(series(wave(200), f"{DAY}T05:00:00", station="QUAL", location=f"0{index}", quality=letter, activity=(0, 4, 8, 1)[index]))
    for version in (1, 2, 3, 4):
        parts.append(record3(wave(100), f"{DAY}T06:00:00", f"FDSN:XX_VERS_{version}_H_H_Z", version=version, extra=b'{"FDSN":{"Time":{"Quality":77}}}', flags=4))
    # Overlaps: of equal samples, and of a better version.
    equal = wave(300)
    parts.append(series(equal, f"{DAY}T07:00:00", station="OVER") + series(equal[100:], f"{DAY}T07:00:01", station="OVER", per_record=60))
    parts.append(series(wave(300), f"{DAY}T07:00:00", station="BEST", quality="D") + series(wave(300), f"{DAY}T07:00:00", station="BEST", quality="Q"))
    # Before 1970, and one sample alone.
    parts.append(series(wave(100), "1965-12-31T23:59:59.5", station="OLD") + series(wave(1), f"{DAY}T08:00:00", station="ONE"))
    return b"".join(parts)


TEXTS = b"".join(record([0] * 5, ns(f"{DAY}T0{hour}:00:00"), station="TEXT", channel="LOG", factor=0, encoding=TEXT, sample_count=len(words),
                        payload=words) for hour, words in enumerate((b"first line\r\n", "réglé\r\n".encode())))


def filled(folder: pathlib.Path, *paths) -> Home:
    folder.mkdir()
    home = Home(folder)
    home.succeed("import", "--archive-only", *paths)
    return home


def samples(home: Home) -> list:
    """Every sample that a reader gets, by channel and time; of several versions the best."""
    sources = [row["source_id"] for row in home.query("SELECT DISTINCT source_id FROM waveform.segments ORDER BY 1")]
    parts = [f"SELECT '{source}' AS source_id, time_ns, CAST(sample AS DOUBLE) AS sample FROM samples('{source}', '1960-01-01', '2030-01-01')" for source in sources]
    rows = home.query(" UNION ALL ".join(parts))
    return sorted((row["source_id"], int(row["time_ns"]), row["sample"]) for row in rows)


def rates(home: Home) -> list:
    return [tuple(row.values()) for row in home.query("SELECT DISTINCT source_id, sample_rate_hz FROM waveform.segments ORDER BY 1, 2")]


@pytest.mark.parametrize("seed", [1])
def test_what_comes_in_comes_out_in_every_form(tmp_path, seed):
    (tmp_path / "in.mseed").write_bytes(generated(seed) + TEXTS)
    home = filled(tmp_path / "first", tmp_path / "in.mseed")
    assert home.count("stream.dead_letters") == 0, home.query("SELECT reason FROM stream.dead_letters")
    wanted, wanted_rates = samples(home), rates(home)
    assert len(wanted) > 10_000 and len({row[0] for row in wanted}) == 27, sorted({row[0] for row in wanted})
    packets = "SELECT {} FROM waveform.packets ORDER BY source_id, start_ns, sha256"
    columns = ("source_id, start_ns, sample_count, expected_count, sample_rate_hz, encoding, quality, timing_quality, byte_count, sha256")
    for form, name in (("raw", "raw.mseed"), ("mseed", "two.mseed"), ("mseed3", "three.mseed3"), ("sds", "archive")):
        out = tmp_path / name
        home.succeed("export", "--format", form, "--output", out)
        other = filled(tmp_path / f"home-{form}", out)
        assert other.count("stream.dead_letters") == 0, (form, other.query("SELECT reason FROM stream.dead_letters"))
        got = samples(other)
        if form == "raw":
            assert other.query(packets.format(columns)) == home.query(packets.format(columns))
            # How records that overlap are joined depends on their order; what they say does not.
            segments = ("SELECT source_id, start_ns, end_ns, sample_rate_hz, sample_count, quality, encoding FROM waveform.segments "
                        "WHERE station NOT IN ('OVER', 'BEST') ORDER BY 1, 2, 6")
            assert other.query(segments) == home.query(segments)
        assert rates(other) == wanted_rates, form
        assert [(row[0], row[2]) for row in got] == [(row[0], row[2]) for row in wanted], form
        # miniSEED 2 rounds to a microsecond; nothing that was put in is finer.
        late = [(one, other) for one, other in zip(got, wanted) if abs(one[1] - other[1]) > 1000]
        assert not late, (form, late[:3])
        texts = "SELECT source_id, start_ns FROM waveform.packets WHERE encoding = 'text' ORDER BY 2"
        assert other.query(texts) == home.query(texts), form
        letters = "SELECT DISTINCT source_id, quality FROM waveform.segments WHERE source_id NOT LIKE '%BEST%' AND source_id LIKE '%QUAL%' ORDER BY 1, 2"
        if form in ("mseed", "sds", "raw"):
            assert other.query(letters) == home.query(letters), form
