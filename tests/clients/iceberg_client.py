"""PyIceberg reads every table from its metadata file and through the REST catalog."""

import json
import pathlib
import sys

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import StaticTable

context = json.load(sys.stdin)
catalog = RestCatalog("seislake", uri=f"http://{context['http']}/iceberg", warehouse="seislake")
namespaces = sorted(name[0] for name in catalog.list_namespaces())
assert namespaces == ["bulletin", "network", "quality", "stream", "waveform"], namespaces
listed = {".".join(name) for namespace in namespaces for name in catalog.list_tables(namespace)}
for name, count in context["counts"].items():
    assert name in listed, f"{name} is not listed"
    table = catalog.load_table(name)
    by_catalog = table.scan().count() if table.current_snapshot() else 0
    assert by_catalog == count, f"{name}: REST catalog {by_catalog}, query {count}"
    static = StaticTable.from_metadata(table.metadata_location)
    rows = static.scan().to_arrow().num_rows if static.current_snapshot() else 0
    assert rows == count, f"{name}: metadata file {rows}, query {count}"
location = pathlib.Path(catalog.load_table("bulletin.events").metadata_location.removeprefix("file://"))
assert location.exists(), location
picks = catalog.load_table("bulletin.picks").scan(row_filter="phase = 'S'", selected_fields=("pick_id", "pick_time")).to_arrow()
assert 0 < picks.num_rows < context["counts"]["bulletin.picks"]
print("ok: PyIceberg, metadata files and REST catalog")
