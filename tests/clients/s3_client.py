"""A warehouse in a bucket: a home on an S3 server is filled, killed, filled again, read, maintained and exported.

The S3 server is moto's, in this process. PyIceberg and DuckDB read the files in the bucket; PyIceberg is told only who it
is, the REST catalog tells it where.
"""

import csv
import io
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import boto3
import duckdb
from duckdb_extensions import import_extension
from moto.server import ThreadedMotoServer
from pyiceberg.catalog.rest import RestCatalog

BUCKET, PREFIX = "seismic-archive", "networks/demo"
KEY, SECRET = "seislake", "seislake-secret"
RECORD_BYTES = 512
KILL_WAIT_S = 120
CONTENTS = """SELECT 'packets' AS what, count(*) AS n, count(DISTINCT object_uri) AS m FROM waveform.packets
    UNION ALL SELECT 'samples', sum(sample_count), count(DISTINCT source_id) FROM waveform.segments
    UNION ALL SELECT 'squares', CAST(sum(CAST(sample AS DOUBLE) * sample) AS BIGINT), 0
    FROM (SELECT unnest(samples) AS sample FROM waveform.segments)"""

context = json.load(sys.stdin)
seislake = context["seislake"]
logging.getLogger("werkzeug").setLevel(logging.ERROR)
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
host, port = moto.get_host_and_port()
endpoint = f"http://{host}:{port}"
environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY,
                     aws_secret_access_key=SECRET)
store.create_bucket(Bucket=BUCKET)
folder = pathlib.Path(tempfile.mkdtemp(prefix="seislake-s3-"))
home, config, archive = folder / "home", folder / "seislake.toml", folder / "archive"
config.write_text(f"""
[lake]
warehouse = "s3://{BUCKET}/{PREFIX}"
s3_endpoint = "{endpoint}"
s3_allow_http = true
[archive]
keep_raw = true
""")


def run(verb: list, *arguments) -> str:
    """Output of a command on the home in the bucket, which must succeed."""
    command = [seislake, *verb, "--home", home, "--config", config, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{verb}: {done.stderr}"
    return done.stdout


def query(sql: str) -> list:
    return list(csv.DictReader(io.StringIO(run(["query"], "--format", "csv", sql))))


def contents() -> dict:
    return {row["what"]: (int(row["n"]), int(row["m"])) for row in query(CONTENTS)}


def keys(below: str, ending: str = "") -> set:
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/{below}")
    return {item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(ending)}


def import_killed_at(reached, files: list) -> None:
    """Imports until `reached`, then kill -9."""
    importing = subprocess.Popen([seislake, "import", "--archive-only", "--home", home, "--config", config, "--", *files],
                                 env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + KILL_WAIT_S
    while not reached():
        assert time.monotonic() < deadline, f"nothing to kill the import at within {KILL_WAIT_S} s"
        assert importing.poll() is None, f"the import ended before it could be killed: {importing.stderr.read()}"
        time.sleep(0.005)
    importing.kill()
    importing.wait()


def records(paths: list) -> list:
    data = b"".join(path.read_bytes() for path in paths)
    assert data and len(data) % RECORD_BYTES == 0
    return sorted(data[first:first + RECORD_BYTES] for first in range(0, len(data), RECORD_BYTES))


def fill(files: list) -> dict:
    """Three imports, the first of which is killed twice; the last one is repeated."""
    parts = [files[first::3] for first in range(3)]
    import_killed_at(lambda: keys("raw/"), parts[0])
    import_killed_at(lambda: keys("waveform/packets/data/", ".parquet"), parts[0])
    for part in parts:
        run(["import"], "--archive-only", "--", *part)
    filled = contents()
    again = json.loads(run(["import"], "--archive-only", "--json", "--", *files))
    assert again["accepted_records"] == 0 and again["duplicate_records"] == filled["packets"][0], again
    assert contents() == filled, "an import repeated adds no row"
    assert filled["packets"][0] == len(records(files)), filled
    assert filled["samples"] == (sum(context["samples"].values()), len(context["samples"])), filled
    return filled


def read_by_others(http: str, filled: dict) -> None:
    who = {"s3.access-key-id": KEY, "s3.secret-access-key": SECRET}
    catalog = RestCatalog("seislake", uri=f"http://{http}/iceberg", warehouse="seislake", **who)
    assert catalog.properties["s3.endpoint"] == endpoint
    packets = catalog.load_table("waveform.packets").scan(selected_fields=("object_uri",)).to_arrow()
    assert packets.num_rows == filled["packets"][0]
    segments = catalog.load_table("waveform.segments").scan(selected_fields=("sample_count",)).to_arrow()
    assert sum(segments["sample_count"].to_pylist()) == filled["samples"][0]
    for extension in ["avro", "httpfs", "iceberg"]:
        import_extension(extension)
    db = duckdb.connect()
    for extension in ["avro", "httpfs", "iceberg"]:
        db.load_extension(extension)
    db.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{host}:{port}', URL_STYLE 'path', "
               "USE_SSL false)")
    db.execute(f"ATTACH 'seislake' AS lake (TYPE iceberg, ENDPOINT 'http://{http}/iceberg', AUTHORIZATION_TYPE 'none', "
               "ACCESS_DELEGATION_MODE 'none')")
    assert db.execute("SELECT sum(len(samples)) FROM lake.waveform.segments").fetchone()[0] == filled["samples"][0]


def orphans(*arguments) -> int:
    reports = json.loads(run(["maintain", "orphans"], "--json", *arguments))
    return sum(report["files"] for report in reports)


def maintain_beside_a_server(filled: dict) -> None:
    compacted = json.loads(run(["maintain", "compact"], "--json", "--files-min", "2", "--table", "waveform.segments"))[0]
    assert 0 < compacted["files_after"] < compacted["files_before"], compacted
    run(["maintain", "expire"], "--keep", "1", "--days", "0")
    # Beside a server what was current within the last hour is spared: somebody may be reading it.
    assert len(keys("waveform/segments/data/", ".parquet")) >= compacted["files_before"] + compacted["files_after"]
    strays = {f"{PREFIX}/raw/XX/STRAY/2024/01/01/0-0.mseed", f"{PREFIX}/waveform/segments/data/stray.parquet"}
    for stray in strays:
        store.put_object(Bucket=BUCKET, Key=stray, Body=bytes(RECORD_BYTES))
    assert orphans() == 0, "what is young may belong to a commit under way"
    time.sleep(1.1)  # S3 tells the age of an object in whole seconds.
    before = keys("")
    found = orphans("--older-than-hours", "0", "--dry-run")
    assert found >= len(strays) and keys("") == before
    assert orphans("--older-than-hours", "0") == found
    assert len(before - keys("")) == found and not strays & keys("")
    assert contents() == filled


def main() -> None:
    export = [seislake, "export", "--home", context["home"], "--format", "sds", "--output", archive]
    subprocess.run(export, check=True, capture_output=True)
    files = sorted(path for path in archive.rglob("*") if path.is_file())
    filled = fill(files)
    server = subprocess.Popen([seislake, "serve", "--home", home, "--config", config, "--http", "127.0.0.1:0", "--flight",
                               "127.0.0.1:0"], env=environment)
    try:
        addresses = home / "run" / "addresses.json"
        while not addresses.exists():
            assert server.poll() is None, "the server ended"
            time.sleep(0.05)
        read_by_others(json.loads(addresses.read_text())["http"], filled)
        maintain_beside_a_server(filled)
        exported = folder / "raw.mseed"
        run(["export"], "--format", "raw", "--output", exported)
        assert records([exported]) == records(files), "the original records, byte for byte"
        read_by_others(json.loads(addresses.read_text())["http"], filled)
    finally:
        server.terminate()
        status = server.wait(timeout=60)
    assert status == 0, f"serve ended with {status}"
    print(f"ok: a warehouse on S3, {filled}")


try:
    main()
finally:
    moto.stop()
    shutil.rmtree(folder)
