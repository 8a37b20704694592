"""Bodies that are small on the way and large in memory, and bodies that take their time."""

import gzip
import json
import socket
import threading
import time

import pytest
import requests
from requests.adapters import HTTPAdapter

STATION = {"network": "XX", "station": "A", "latitude": 1, "longitude": 2, "elevation_m": 3}


def bombs() -> list:
    """Bodies for /stations of a fifth of the largest size: what they become must not grow with the count of their parts."""
    size = 12 << 20
    zeros = b"[" + b"0," * (size // 2 - 1) + b"0]"
    channels = json.dumps({**STATION, "channels": [{"channel": "HHZ"}]}).encode().replace(b'{"channel": "HHZ"}', b'{"channel":"HHZ"},' * (size // 20) + b'{"channel":"HHZ"}')
    nested = b'[' + b'{"network":[' + b"0," * (size // 2) + b"0]}]"
    header = b"Network,Station,Latitude,Longitude,Elevation(m)\n"
    return [
        ("application/json", zeros),
        ("application/json", channels),
        ("application/json", nested),
        ("text/csv", header + b"X\n" * (size // 2)),
        ("text/csv", header + b"," * size),
        ("text/csv", b"Network,Station,Latitude," + b"a," * (size // 2)),
        ("text/plain", b"GTSRCE\n" * (size // 7)),
        ("application/xml", b'<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1"><Network code="XX">' + b"<Station/>" * (size // 10)),
    ]


def peak_during(server, work) -> int:
    """The most memory that the server had meanwhile, bytes; it answers its probes all the time."""
    peak, done, slowest = [0], threading.Event(), [0.0]

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], server.resident_bytes())
            slowest[0] = max(slowest[0], server.alive(within_s=5))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    assert slowest[0] < 2.0, f"a probe waited {slowest[0]:.1f} s"
    return peak[0]


@pytest.mark.flaky(reruns=1)
def test_bodies_of_very_many_parts_take_little_memory_and_stop_nobody(home):
    server = home.serve()
    before = server.resident_bytes()
    for media_type, body in bombs():
        packed = gzip.compress(body, 1)

        def post():
            headers = {"Content-Type": media_type, "Content-Encoding": "gzip"}
            answer = server.post("/stations", data=packed, headers=headers, timeout=120)
            assert answer.status_code == 400, (media_type, body[:60], answer.status_code, answer.text[:300])
            assert len(answer.text) < 2_000_000

        grown = peak_during(server, post) - before
        assert grown < 500e6, f"{media_type} {body[:60]}: {grown / 1e6:.0f} MB"
    assert server.get("/stations").json()["total_count"] == 0
    # What is usable of an array is taken still.
    answer = server.post("/stations", json=[STATION, 0, {**STATION, "station": "B", "latitude": 95}, {**STATION, "station": "C"}])
    assert answer.status_code == 200 and answer.json()["station_count"] == 2 and answer.json()["problem_count"] == 2, answer.text


class From(HTTPAdapter):
    """A client at another address of the loopback network."""

    def __init__(self, address: str):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **more):
        super().init_poolmanager(*arguments, source_address=(self.address, 0), **more)


@pytest.mark.flaky(reruns=1)
def test_slow_bodies_of_one_client_leave_room_for_others(home):
    server = home.serve(settings="[http]\nbody_bytes = 4194304\n")
    host, port = server.http.removeprefix("http://").split(":")
    head = b"POST /waveforms/ingest HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.fdsn.mseed\r\ncontent-length: 4194304\r\n\r\n"
    held = []
    try:
        for _ in range(8):
            connection = socket.create_connection((host, int(port)), timeout=10)
            held.append(connection)
            try:
                connection.sendall(head + bytes(3_500_000))
            except OSError:
                continue
        time.sleep(0.5)
        refused = 0
        for connection in held:
            connection.settimeout(0.2)
            try:
                refused += b"503" in connection.recv(4096)
            except OSError:
                continue
        assert 1 <= refused < 8, f"{refused} of 8 bodies were refused: one client has half of the memory"
        other = requests.Session()
        other.mount("http://", From("127.0.0.2"))
        large = other.post(server.http + "/waveforms/ingest", data=bytes(4_000_000), timeout=30,
                           headers={"Content-Type": "application/vnd.fdsn.mseed"})
        assert large.status_code == 422, large.text[:300]
        # A small body of the same client has its room too.
        assert server.post("/stations", json=STATION).status_code == 200
    finally:
        for connection in held:
            connection.close()
    # All of it is given back.
    end = time.monotonic() + 20
    while server.post("/waveforms/ingest", data=bytes(4_000_000), headers={"Content-Type": "application/vnd.fdsn.mseed"}).status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.2)
