"""ObsPy's FDSN client reads events."""

import csv
import io
import json
import sys
import urllib.request

from obspy import UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import FDSNNoDataException

context = json.load(sys.stdin)
base = f"http://{context['http']}"
client = Client(base)
events = client.get_events(starttime=UTCDateTime(1970, 1, 1), endtime=UTCDateTime(2100, 1, 1), includearrivals=True)
text = urllib.request.urlopen(f"{base}/fdsnws/event/1/query?format=text&starttime=1970-01-01").read().decode()
rows = list(csv.reader(io.StringIO(text), delimiter="|"))[1:]
assert len(events) == len(rows) > 0, (len(events), len(rows))
for event in events:
    origin = event.preferred_origin()
    assert origin is not None and origin.depth_errors.uncertainty > 0 and origin.quality.azimuthal_gap is not None
    assert len(event.picks) >= len(origin.arrivals) > 0
    assert -10_000 <= origin.depth < 100_000, "QuakeML depths are metres, above sea level negative"
strongest = max(event.preferred_magnitude().mag for event in events if event.preferred_magnitude())
some = client.get_events(minmagnitude=strongest - 0.01, orderby="magnitude", limit=1)
assert len(some) == 1 and abs(some[0].preferred_magnitude().mag - strongest) < 1e-6
try:
    client.get_events(starttime=UTCDateTime(1971, 1, 1), endtime=UTCDateTime(1971, 1, 2))
    raise SystemExit("events in 1971")
except FDSNNoDataException:
    pass
print("ok: ObsPy get_events")
