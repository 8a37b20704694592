"""DuckDB reads every table from its metadata file and through the REST catalog."""

import json
import sys
import urllib.request

import duckdb
from duckdb_extensions import import_extension

context = json.load(sys.stdin)
for extension in ["avro", "httpfs", "iceberg"]:
    import_extension(extension)
db = duckdb.connect()
for extension in ["avro", "httpfs", "iceberg"]:
    db.load_extension(extension)
base = f"http://{context['http']}/iceberg"
db.execute(f"ATTACH 'seislake' AS lake (TYPE iceberg, ENDPOINT '{base}', AUTHORIZATION_TYPE 'none')")
for name, count in context["counts"].items():
    by_catalog = db.execute(f"SELECT count(*) FROM lake.{name}").fetchone()[0]
    assert by_catalog == count, f"{name}: REST catalog {by_catalog}, query {count}"
    namespace, table = name.split(".")
    with urllib.request.urlopen(f"{base}/v1/namespaces/{namespace}/tables/{table}") as answer:
        loaded = json.load(answer)
    if loaded["metadata"].get("current-snapshot-id") in (None, -1):
        continue
    rows = db.execute(f"SELECT count(*) FROM iceberg_scan('{loaded['metadata-location']}')").fetchone()[0]
    assert rows == count, f"{name}: metadata file {rows}, query {count}"
samples, expected = db.execute("SELECT sum(len(samples)), sum(sample_count) FROM lake.waveform.segments").fetchone()
assert samples == expected > 0, (samples, expected)
print("ok: DuckDB, metadata files and REST catalog")
