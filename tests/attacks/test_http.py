"""Connections, bodies, headers, paths and parameters that attack the doors: one client cannot stop another."""

import concurrent.futures
import fcntl
import gzip
import json
import os
import resource
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
import requests
from harness import Home, wait_until
from records import series

IMPATIENT = "[http]\nidle_timeout_s = 2.0\nreceive_timeout_s = 2.0\nsend_timeout_s = 2.0\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with an hour of three stations, and little patience."""
    home = Home(tmp_path_factory.mktemp("http"))
    made = home.serve(settings=IMPATIENT)
    noise = np.random.default_rng(1).integers(-1000, 1000, 36_000)
    for station in ("ONE", "TWO", "THREE"):
        body = series(noise, "2024-01-01T00:00:00", per_record=900, station=station)
        assert made.ingest(body).json()["accepted_count"] == 40
    # Whichever case comes first finds them in the tables.
    wait_until(lambda: made.sql("SELECT sum(sample_count) FROM waveform.segments") == [(3 * 36_000,)])
    yield made
    home.close()


def address(server):
    host, port = server.http.removeprefix("http://").split(":")
    return host, int(port)


def raw(server, request: bytes, timeout=10) -> bytes:
    """What comes back on a connection of its own, until it is closed or nothing more comes."""
    with socket.create_connection(address(server), timeout=timeout) as connection:
        try:
            connection.sendall(request)
        except OSError:
            pass
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except OSError:
            pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


class Held:
    """Many connections that are kept open."""

    def __init__(self, server, count, request=b""):
        self.connections = []
        for _ in range(count):
            connection = socket.create_connection(address(server), timeout=10)
            if request:
                connection.sendall(request)
            self.connections.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()


def descriptors(count):
    """Room for our own ends of many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


@pytest.mark.flaky(reruns=1)
def test_D6_a_thousand_idle_connections_under_1024_descriptors_stop_nobody(home):
    descriptors(4096)
    limit = ["prlimit", "--nofile=1024:1024"]
    server = home.serve(prefix=tuple(limit))
    body = series(np.arange(500), "2024-01-01T00:00:00")
    assert server.ingest(body).status_code == 200
    with Held(server, 1200):
        assert server.alive() < 0.5
        for minute in range(5):
            body = series(np.arange(500), f"2024-01-01T00:{minute + 10}:00")
            assert server.ingest(body).json()["accepted_count"] == 5
        wait_until(lambda: server.sql("SELECT sum(sample_count) FROM waveform.packets")[0][0] == 3000)
        opened = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        assert opened < 900, f"{opened} descriptors are open"
    assert server.alive() < 0.5
    assert server.stop() == 0, server.log()


@pytest.mark.flaky(reruns=1)
def test_D6_half_sent_requests_are_closed(server):
    beginnings = [b"G", b"GET /eve", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""]
    with Held(server, 20) as silent:
        for connection, beginning in zip(silent.connections, beginnings * 4):
            connection.sendall(beginning)
        assert server.alive() < 0.5
        for connection in silent.connections:
            connection.settimeout(15)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass


@pytest.mark.flaky(reruns=1)
def test_D6_slow_bodies_take_nobodys_place(server):
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{"
    descriptors(2048)
    with Held(server, 300, head % b"/waveforms/ingest") as slow:
        began = time.monotonic()
        assert server.get("/events").status_code == 200
        assert server.get("/fdsnws/station/1/query").status_code == 204
        assert server.alive() < 0.5
        assert time.monotonic() - began < 5
        first = slow.connections[-1]
        first.settimeout(15)
        answer = b""
        try:
            while part := first.recv(4096):
                answer += part
        except ConnectionResetError:
            pass
        assert not answer or status(answer) == 408, answer[:200]


@pytest.mark.flaky(reruns=1)
def test_D6_slow_readers_are_cut_off_and_hold_little_memory(server):
    request = b"GET /fdsnws/dataselect/1/query?start=2024-01-01&end=2024-01-02 HTTP/1.1\r\nhost: x\r\n\r\n"
    before = server.resident_bytes()
    with Held(server, 64, request):
        assert server.alive() < 0.5
        assert server.resident_bytes() - before < 600e6
    whole = server.get("/fdsnws/dataselect/1/query?start=2024-01-01&end=2024-01-02")
    assert whole.status_code == 200 and len(whole.content) > 100_000


@pytest.mark.flaky(reruns=1)
def test_D6_readers_that_never_read_hold_a_bounded_part_of_their_answers(home):
    """Without a bound on what is made ahead, the answers would be five gigabytes together."""
    server = home.serve(settings="[lake]\ncommit_interval_s = 0.5\n")
    count = 32_000_000
    noise = np.random.default_rng(2).integers(-1000, 1000, count)
    part = count // 20
    for index in range(20):
        body = series(noise[index * part:(index + 1) * part], "2024-01-01T00:00:00", per_record=900, station=f"S{index}")
        assert server.ingest(body).status_code == 200
    wait_until(lambda: server.sql("SELECT sum(sample_count) FROM waveform.segments")[0][0] == count, within_s=240)
    path = "/fdsnws/dataselect/1/query?start=2024-01-01&end=2024-01-02"
    whole = server.get(path, timeout=120)
    assert whole.status_code == 200 and len(whole.content) > 60e6
    before, peak = server.resident_bytes(), 0
    with Held(server, 64, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()):
        end = time.monotonic() + 12
        while time.monotonic() < end:
            peak = max(peak, server.resident_bytes())
            assert server.alive() < 1.0
            time.sleep(0.1)
        # Beside them one that reads is served, from the first byte to the last.
        assert server.get(path, timeout=120).content == whole.content
    assert peak - before < 2e9, f"{(peak - before) / 1e6:.0f} MB for 64 answers of {len(whole.content) / 1e6:.0f} MB"


def test_B30_requests_wait_for_their_turn_and_probes_do_not(home):
    server = home.serve(settings="[http]\nconcurrency = 1\nwaiting = 64\n")
    answers = []
    def ask():
        answers.append(server.get("/fdsnws/event/1/query").status_code)
    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert server.alive() < 0.5
    for thread in threads:
        thread.join()
    assert answers == [204] * 20


def test_D12_invented_methods_are_no_labels(server):
    for number in range(300):
        answer = raw(server, b"INVENTED%d / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % number)
        assert status(answer) in (400, 405, 501), answer[:100]
    metrics = server.get("/metrics").text
    assert "INVENTED" not in metrics and 'method="other"' in metrics
    assert len(metrics) < 200_000


def test_D12_a_json_trace_of_millions_of_samples_takes_little_memory(home):
    server = home.serve()
    count = 3_000_000
    body = '{"source_id":"FDSN:XX_BIG__H_H_Z","start_time":"2024-01-01T00:00:00Z","sample_rate_hz":100,"samples":[%s]}'
    body = (body % ",".join(["7"] * count)).encode()
    peak = [server.resident_bytes()]
    before, done = peak[0], threading.Event()
    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], server.resident_bytes())
    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = server.post("/waveforms/ingest", data=body, headers={"Content-Type": "application/json"}, timeout=50)
    done.set()
    watcher.join()
    assert answer.status_code == 200 and answer.json()["sample_count"] == count, answer.text[:300]
    assert peak[0] - before < 40 * len(body), f"{(peak[0] - before) / 1e6:.0f} MB for {len(body) / 1e6:.0f} MB"


def test_D12_bodies_packed_by_gzip_are_read_and_others_refused(server):
    records = series(np.arange(1000), "2024-02-01T00:00:00", station="GZIP")
    def post(body, encoding):
        headers = {"Content-Type": "application/vnd.fdsn.mseed", "Content-Encoding": encoding}
        return server.post("/waveforms/ingest", data=body, headers=headers)
    assert post(gzip.compress(records), "gzip").json()["accepted_count"] == 10
    assert post(records, "identity").json()["duplicate_count"] == 10
    for encoding in ("deflate", "br", "zstd", "compress", "gzip, gzip", "nonsense"):
        answer = post(zlib.compress(records), encoding)
        assert answer.status_code == 415, (encoding, answer.text)
    assert post(b"no gzip at all", "gzip").status_code == 400
    assert post(gzip.compress(records)[:-20], "gzip").status_code == 400
    query = gzip.compress(json.dumps({"query": "{__typename}"}).encode())
    answer = server.post("/graphql", data=query, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.json() == {"data": {"__typename": "Query"}}


def takes_records_and_ends(server):
    for minute in range(5):
        body = series(np.arange(500), f"2024-01-01T00:{minute:02}:00")
        assert server.ingest(body).json()["accepted_count"] == 5
    wait_until(lambda: server.sql("SELECT sum(sample_count) FROM waveform.packets")[0][0] == 2500)
    assert server.get("/readyz").status_code == 200
    assert server.stop() == 0


def test_a_log_that_cannot_be_written_stops_nothing(home):
    server = home.serve("--log-level", "debug", prefix=("sh", "-c", 'exec "$@" 2>/dev/full', "sh"))
    takes_records_and_ends(server)


def test_a_log_that_nobody_reads_stops_nothing(home, tmp_path):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    # Whoever starts the server forgets its log, as a console does that is stopped by Ctrl-S.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    try:
        server = home.serve("--log-level", "debug", prefix=("sh", "-c", f'exec "$@" 2>"{fifo}"', "sh"))
        takes_records_and_ends(server)
    finally:
        os.close(reader)


def test_bombs_of_gzip_are_not_unpacked(server):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    before = server.resident_bytes()
    for path, media_type in [("/waveforms/ingest", "application/vnd.fdsn.mseed"), ("/graphql", "application/json"),
                             ("/stations", "application/xml"), ("/fdsnws/dataselect/1/query", "text/plain")]:
        answer = server.post(path, data=bomb, headers={"Content-Type": media_type, "Content-Encoding": "gzip"})
        assert answer.status_code == 413, (path, answer.status_code, answer.text[:200])
    assert server.resident_bytes() - before < 250e6
    server.alive()


ROUTES = ["/events", "/stations", "/graphql", "/fdsnws/event/1/query", "/fdsnws/station/1/query",
          "/fdsnws/dataselect/1/query", "/fdsnws/availability/1/query", "/fdsnws/availability/1/extent",
          "/iceberg/v1/config", "/iceberg/v1/namespaces", "/livez", "/readyz", "/metrics", "/version", "/", "/docs"]


def test_paths_lead_nowhere_else(server):
    ups = ["..", "%2e%2e", "..%2f", "%2e%2e%2f", "..\\", "%5c..", "....//", "%252e%252e", "..%00", "%c0%ae%c0%ae"]
    with requests.Session() as session:
        for base in ["/", "/assets", "/iceberg/v1/namespaces", "/fdsnws/event/1", "/graphiql", "/iceberg/v1/namespaces/bulletin/tables",
                     "/waveforms/ingest"]:
            for up in ups:
                for depth in (1, 6):
                    path = base + "/" + "/".join([up] * depth) + "/etc/passwd"
                    request = requests.Request("GET", server.http).prepare()
                    request.url = server.http + path
                    answer = session.send(request, timeout=10, allow_redirects=False)
                    assert answer.status_code in (400, 404), (path, answer.status_code)
                    assert "root:" not in answer.text, path


def test_parameters_are_values_and_nothing_else(server):
    values = ["'", "\"", "' OR '1'='1", "1; DROP TABLE x", "%00", "\x00", "../../etc/passwd", "${7*7}", "{{7*7}}", "<script>",
              "1e999", "-1e999", "NaN", "inf", "-0", "9" * 400, "0x10", "1,2,3,,", "*" * 50, "?" * 50, "\u202e", "é" * 100,
              "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "[]", "{}", "true", "null", "-1", " ", "%", "%zz", "A" * 3000]
    parameters = {
        "/events": ["start_time", "end_time", "min_magnitude", "magnitude_type", "min_latitude", "max_radius_km", "event_id", "order_by", "limit", "offset", "x"],
        "/fdsnws/availability/1/extent": ["station", "mergequality", "format"],
        "/stations": ["network", "station", "latitude", "limit", "offset"],
        "/fdsnws/event/1/query": ["starttime", "minlatitude", "maxradius", "eventid", "catalog", "orderby", "format", "limit", "offset", "updatedafter", "magnitudetype"],
        "/fdsnws/station/1/query": ["network", "station", "location", "channel", "level", "format", "endbefore", "matchtimeseries"],
        "/fdsnws/dataselect/1/query": ["network", "station", "quality", "minimumlength", "longestonly", "starttime", "nodata"],
        "/fdsnws/availability/1/query": ["network", "merge", "mergegaps", "show", "orderby", "limit"],
        "/graphql": ["query", "variables", "operationName"],
        "/iceberg/v1/config": ["warehouse"], "/iceberg/v1/namespaces": ["parent"],
    }
    asked = [(path, name, value) for path, names in parameters.items() for name in names for value in values]
    leaks = ("/root/", "/home/", "SELECT ", "panicked", ".rs:", "DataFusion", "sqlx", ".sqlite")
    of_thread = threading.local()
    def ask(case):
        path, name, value = case
        if not hasattr(of_thread, "session"):
            of_thread.session = requests.Session()
        answer = of_thread.session.get(server.http + path, params={name: value}, timeout=20)
        leaked = [leak for leak in leaks if leak in answer.text]
        return None if answer.status_code < 500 and not leaked else (case, answer.status_code, answer.text[:300])
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        wrong = [told for told in threads.map(ask, asked) if told]
    assert not wrong, wrong[:5]
    assert len(asked) > 1700, "every value goes through every parameter"
    server.alive()


def test_methods_that_are_not_served_are_405_in_the_form_of_the_door(server):
    with requests.Session() as session:
        for path in ROUTES:
            for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
                answer = session.request(method, server.http + path, timeout=10)
                assert answer.status_code == 405, (method, path, answer.status_code)
                assert "access-control-allow-origin" not in answer.headers
                if path.startswith("/iceberg"):
                    error = answer.json()["error"]
                    assert error["code"] == 405 and error["type"] and error["message"], answer.text
                elif path.startswith("/fdsnws"):
                    assert answer.text.startswith("Error 405"), answer.text
                elif path == "/graphql":
                    assert answer.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
                else:
                    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_heads_that_are_too_large_or_ambiguous_are_refused(server):
    def of(head):
        return status(raw(server, head))
    assert of(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 1_000_000 + b"\r\n\r\n") == 431
    assert of(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n") == 414
    assert of(b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 500 + b"\r\n") == 431
    for head in [b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
                 b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
                 b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                 b"transfer-encoding: chunked\r\n\r\nzz\r\n",
                 b"GET /livez HTTP/9.9\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET / livez HTTP/1.1\r\n\r\n"]:
        assert of(head + b"") in (0, 400, 505), head
    smuggled = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    smuggled += b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert b'"version"' not in raw(server, smuggled)
    server.alive()


def test_documents_that_attack_their_readers_are_refused(server):
    entities = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 40))
    documents = [
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><FDSNStationXML>&e;</FDSNStationXML>',
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><FDSNStationXML>&e39;</FDSNStationXML>',
        "<FDSNStationXML>" + "<a>" * 100_000, "", "<", "\x00",
    ]
    for document in documents:
        answer = server.post("/stations", data=document.encode(), headers={"Content-Type": "application/xml"})
        assert answer.status_code == 400, (document[:80], answer.status_code, answer.text[:200])
        assert "root:" not in answer.text
    for document in ["[" * 100_000, '{"a":' * 100_000, "[]]", "", "nul", '"\\ud800"', "[1e999]"]:
        for path in ("/stations", "/waveforms/ingest", "/graphql"):
            answer = server.post(path, data=document.encode(), headers={"Content-Type": "application/json"})
            assert answer.status_code == 400, (path, document[:20], answer.status_code, answer.text[:200])
    server.alive()


def h2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def test_floods_of_http2_frames_end_with_their_connection(server):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0)
    # GET / with an authority, as literals without index.
    head = b"\x82\x86\x84\x01\x01x"
    rapid = b"".join(h2_frame(1, 5, n, head) + h2_frame(3, 0, n, struct.pack(">I", 8)) for n in range(1, 8001, 2))
    pings = h2_frame(6, 0, 0, bytes(8)) * 20_000
    settings = h2_frame(4, 0, 0) * 20_000
    continuations = h2_frame(1, 0, 1, head) + h2_frame(9, 0, 1, b"\x00\x01a\x01b" * 200) * 200
    for flood in (rapid, pings, settings, continuations):
        with socket.create_connection(address(server), timeout=10) as connection:
            try:
                connection.sendall(preface + flood)
            except OSError:
                pass
            assert server.alive() < 1.0


def test_B17_other_origins_read_nothing_unless_they_are_named(home, server):
    answer = server.get("/events", headers={"Origin": "https://maps.example.org"})
    assert "access-control-allow-origin" not in answer.headers
    named = home.serve(settings='[http]\ncors_origins = ["https://maps.example.org"]\n')
    origin = {"Origin": "https://maps.example.org"}
    answer = named.get("/events", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://maps.example.org"
    assert "origin" in answer.headers["vary"].lower()
    asks = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = requests.options(named.http + "/graphql", headers=asks, timeout=10)
    assert answer.status_code in (200, 204)
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()
    for other in ("https://evil.example", "null", "https://maps.example.org.evil.example", "http://maps.example.org"):
        answer = requests.options(named.http + "/graphql", headers={**asks, "Origin": other}, timeout=10)
        assert "access-control-allow-origin" not in answer.headers, other
        answer = named.get("/events", headers={"Origin": other})
        assert "access-control-allow-origin" not in answer.headers, other
        assert "origin" in answer.headers["vary"].lower(), "caches must know that the answer depends on the origin"
