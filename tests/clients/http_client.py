"""Plain HTTP: GraphQL, the routes of the original system, health, and bad input."""

import json
import sys

import requests

context = json.load(sys.stdin)
base = f"http://{context['http']}"


def graphql(query: str) -> dict:
    return requests.post(f"{base}/graphql", json={"query": query}, timeout=30).json()


for path in ["/livez", "/readyz", "/metrics", "/version", "/openapi.json", "/", "/graphiql"]:
    answer = requests.get(base + path, timeout=30)
    assert answer.status_code == 200, (path, answer.status_code, answer.text)
assert "seislake_" in requests.get(f"{base}/metrics", timeout=30).text

page = graphql("""{ events(first: 2) { totalCount pageInfo { hasNextPage endCursor }
  nodes { eventId originTime latitude longitude depthKm magnitude
          origins { originId rmsS azimuthalGap arrivals { phase residualS pick { pickTime sourceId } } }
          magnitudes { magnitudeType magnitude } } } }""")
assert "errors" not in page, page
nodes = page["data"]["events"]["nodes"]
assert len(nodes) == 2 and nodes[0]["origins"][0]["arrivals"], nodes
stations = requests.get(f"{base}/stations", params={"limit": 1000}, timeout=30)
assert stations.status_code == 200, stations.text
events = requests.get(f"{base}/events", timeout=30)
assert events.status_code == 200, events.text

deep = graphql("{ " + "events { nodes { origins { arrivals { pick { arrivals { pick { arrivals { pick { pickId "
               + "} } } } } } } } } }")
assert deep.get("errors"), "a query ten levels deep was answered"
many = graphql("{ events(first: 10000000) { nodes { eventId } } }")
assert many.get("errors") and len(many["errors"]) == 1, many
wrong = requests.get(f"{base}/fdsnws/event/1/query", params={"starttime": "yesterday"}, timeout=30)
assert wrong.status_code == 400 and "yesterday" in wrong.text, wrong.text
too_large = requests.post(f"{base}/waveforms/ingest", data=b"\0" * (65 << 20), timeout=60,
                          headers={"Content-Type": "application/vnd.fdsn.mseed"})
assert too_large.status_code == 413, too_large.status_code
not_mseed = requests.post(f"{base}/waveforms/ingest", data=b"this is not miniSEED, but text", timeout=30,
                          headers={"Content-Type": "application/vnd.fdsn.mseed"})
assert not_mseed.status_code == 422, (not_mseed.status_code, not_mseed.text)
arrays = {"network": "SY", "station": "T001", "location": "", "channel": "HHZ", "start_time": "2026-01-02T00:00:00Z",
          "sample_rate_hz": 100.0, "samples": list(range(-500, 500))}
ingested = requests.post(f"{base}/waveforms/ingest", json=arrays, timeout=30)
assert ingested.status_code == 200, (ingested.status_code, ingested.text)
print("ok: HTTP")
