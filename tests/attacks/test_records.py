"""Bodies that pretend to be records: the door answers each in words, and the good record behind them is seen."""

import numpy as np
from harness import wait_until
from records import FLOAT64, record, record3, series


def bodies() -> list:
    """Noise, sound records with some bytes changed, cut or doubled; the same every time."""
    random = np.random.default_rng(11)
    start = "2024-01-01T00:00:00"
    sound = [
        series(np.arange(300), start),
        record3(np.arange(100), start, "FDSN:XX_A__H_H_Z"),
        record3(np.linspace(0, 1, 50), start, "FDSN:XX_B__H_H_Z", encoding=FLOAT64),
        record(np.arange(10), 1_704_067_200 * 10**9, station="C", activity=0xFF),
    ]
    made = [b"\0", b"MS", b"MS\x03" + bytes(40), b"000001D ", bytes(4096)]
    for number in range(120):
        body = bytearray(sound[number % len(sound)])
        kind = number % 5
        if kind == 0:
            body = bytearray(random.bytes(int(random.integers(1, 2000))))
        elif kind == 1:
            for at in random.integers(0, min(len(body), 64), 3):
                body[at] = random.integers(0, 256)
        elif kind == 2:
            body = body[: int(random.integers(1, len(body)))]
        elif kind == 3:
            at = int(random.integers(0, len(body)))
            body = body[:at] + body[: int(random.integers(1, 200))] + body[at:]
        else:
            for at in random.integers(0, len(body), 20):
                body[at] ^= 1 << random.integers(0, 8)
        made.append(bytes(body))
    return made


def test_no_body_ends_the_server_or_hides_the_records_behind_it(home):
    server = home.serve(settings="[lake]\ncommit_interval_s = 0.3\n")
    for number, body in enumerate(bodies()):
        answer = server.ingest(body)
        report = answer.json()
        known = report["accepted_count"] + report["duplicate_count"]
        assert answer.status_code == (200 if known else 422), f"body {number}: {answer.status_code} {answer.text}"
        assert known or report["dead_letters"], f"body {number}: {answer.text}"
        assert "panicked" not in answer.text
        assert report["dead_letter_count"] == len(report["dead_letters"])
        assert all(letter["reason"] and letter["byte_offset"] <= len(body) for letter in report["dead_letters"])
    assert server.ingest(series(np.arange(100), "2024-06-01T00:00:00", station="GOOD")).json()["accepted_count"] == 1
    wait_until(lambda: server.sql("SELECT count(*) FROM waveform.segments WHERE station = 'GOOD'")[0][0] == 1)
    server.alive()
    assert "panicked" not in server.log()
    assert server.stop() == 0
