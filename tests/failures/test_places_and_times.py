"""Stations at the edges of the map, and times at the edges of the calendar, through every HTTP door that takes them.

Earthquakes at the same edges stand in a table of api/src/tests/places.rs: no door writes events."""

import io
import json

import numpy as np
import obspy
import pytest
from harness import Home, wait_until
from records import series

# Stations: latitude, longitude, elevation (metres; below the sea, above 4000).
STATIONS = {
    "NORTH": (90.0, 0.0, 0.0), "SOUTH": (-90.0, 135.0, 2835.0), "EAST": (0.0, 180.0, 0.0), "WEST": (0.0, -180.0, 0.0),
    "FIJI": (-17.0, 179.9, 10.0), "SAMOA": (-17.0, -179.9, 10.0), "SEA": (51.5, 0.0, -4000.0), "ARCTIC": (89.9, 170.0, 0.0),
    "ZERO": (0.0, 0.0, 0.0), "PEAK": (28.0, 87.0, 8848.0),
}
EVERYTHING = set(STATIONS)

# A box (south, north, west, east), and who stands in it.
BOXES = [
    ((-20, 20, 170, -170), {"EAST", "WEST", "FIJI", "SAMOA"}),
    ((-20, 20, -180, -179), {"EAST", "WEST", "SAMOA"}),
    ((-20, 20, 179, 180), {"EAST", "WEST", "FIJI"}),
    ((-90, 90, -180, 180), EVERYTHING),
    ((80, 90, -10, 10), {"NORTH"}),
    ((80, 90, 160, -160), {"NORTH", "ARCTIC"}),
    ((-90, -80, -10, 10), {"SOUTH"}),
    ((0, 0, 0, 0), {"ZERO"}),
]

# A circle (latitude, longitude, radius in km), and who stands in it.
CIRCLES = [
    ((90, 0, 50), {"NORTH", "ARCTIC"}), ((89.5, -10, 100), {"NORTH", "ARCTIC"}), ((-90, -45, 1), {"SOUTH"}),
    ((0, 180, 1), {"EAST", "WEST"}), ((0, -180, 1), {"EAST", "WEST"}), ((-17, 180, 15), {"FIJI", "SAMOA"}),
    ((-17, -179.95, 10), {"SAMOA"}),
]

# Any valid time of UTC bounds a search; what is none is refused.
TIMES_BEFORE = ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "1600-02-29T00:00:00", "1677-09-21T00:12:43", "1900-01-01",
                "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00Z", "2016-12-31T23:59:60", "2016-12-31T23:59:60.5Z"]
TIMES_AFTER = ["2262-04-11T23:47:16.854776", "2262-04-12T00:00:00", "2599-12-31T23:59:59", "2599-12-31T23:59:59Z",
               "9999-12-31T23:59:59.999999", "9999-12-31"]
TIMES_WRONG = ["10000-01-01", "2024-13-01", "2024-02-30T00:00:00", "2024-01-01T25:00:00", "2024-01-01T00:61:00", "yesterday",
               "2023-02-29", "0000-01-01", "-0001-01-01", "2024", "inf", "NaN"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("places"))
    made = home.serve()
    body = [{"network": "XX", "station": name, "latitude": lat, "longitude": lon, "elevation_m": up,
             "start_time": "1970-01-01T00:00:00Z", "channels": [{"channel": "HHZ"}]} for name, (lat, lon, up) in STATIONS.items()]
    assert made.post("/stations", json=body).status_code == 200
    assert made.ingest(series(np.arange(500), "2024-01-01T00:00:00", station="ZERO")).json()["accepted_count"] == 5
    wait_until(lambda: made.get("/fdsnws/dataselect/1/query?station=ZERO").status_code == 200)
    yield made
    home.close()


def by_rest(server, **query):
    return {row["station"] for row in server.get("/stations", params=query).json()["stations"]}


def by_fdsn(server, **query):
    answer = server.get("/fdsnws/station/1/query", params={"format": "text", **query})
    assert answer.status_code in (200, 204), answer.text
    return {line.split("|")[1] for line in answer.text.splitlines()[1:]}


def by_graphql(server, within):
    answer = server.graphql("query($w: Within) { stations(within: $w) { nodes { station elevationM } } }", {"w": within})
    return {node["station"] for node in answer["data"]["stations"]["nodes"]}


@pytest.mark.parametrize("box,wanted", BOXES)
def test_boxes_reach_over_the_date_line_and_the_poles(server, box, wanted):
    south, north, west, east = box
    assert by_rest(server, min_latitude=south, max_latitude=north, min_longitude=west, max_longitude=east) == wanted
    assert by_fdsn(server, minlatitude=south, maxlatitude=north, minlongitude=west, maxlongitude=east) == wanted
    within = {"box": {"latitudeMin": south, "latitudeMax": north, "longitudeMin": west, "longitudeMax": east}}
    assert by_graphql(server, within) == wanted


@pytest.mark.parametrize("circle,wanted", CIRCLES)
def test_circles_reach_over_the_date_line_and_the_poles(server, circle, wanted):
    latitude, longitude, radius_km = circle
    assert by_rest(server, latitude=latitude, longitude=longitude, max_radius_km=radius_km) == wanted
    assert by_fdsn(server, latitude=latitude, longitude=longitude, maxradiuskm=radius_km) == wanted
    assert by_fdsn(server, latitude=latitude, longitude=longitude, maxradius=radius_km / 110) == wanted
    assert by_graphql(server, {"radius": {"latitude": latitude, "longitude": longitude, "radiusKm": radius_km}}) == wanted


def test_places_are_the_same_at_every_door(server):
    """One table of stations through all that says where they stand; a station on 180° may be on either side of it."""
    def same(rows, door):
        found = {name: tuple(float(number) for number in place) for name, *place in rows}
        assert found == STATIONS, door
    same(server.sql("SELECT station, latitude, longitude, elevation_m FROM network.stations"), "Flight SQL")
    same(server.sql("SELECT station, latitude, longitude, elevation_m FROM network.channels"), "Flight SQL, channels")
    rows = server.get("/stations?limit=100").json()["stations"]
    same([(row["station"], row["latitude"], row["longitude"], row["elevation_m"]) for row in rows], "REST")
    same([(row["station"], *(row["channels"][0][name] for name in ("latitude", "longitude", "elevation_m"))) for row in rows], "REST, channels")
    nodes = server.graphql("{ stations(first: 100) { nodes { station latitude longitude elevationM channels { latitude longitude elevationM } } } }")
    nodes = nodes["data"]["stations"]["nodes"]
    same([(node["station"], node["latitude"], node["longitude"], node["elevationM"]) for node in nodes], "GraphQL")
    same([(node["station"], *node["channels"][0].values()) for node in nodes], "GraphQL, channels")
    for level, first in (("station", 2), ("channel", 4)):
        lines = server.get(f"/fdsnws/station/1/query?format=text&level={level}").text.splitlines()[1:]
        same([(line.split("|")[1], *line.split("|")[first:first + 3]) for line in lines], level)
    documents = [server.get("/fdsnws/station/1/query?level=channel").content, server.home.succeed("export", "--format", "stationxml").encode()]
    for document in documents:
        inventory = obspy.read_inventory(io.BytesIO(document))
        stations = [one for network in inventory for one in network]
        same([(one.code, one.latitude, one.longitude, one.elevation) for one in stations], "StationXML")
        same([(one.code, one[0].latitude, one[0].longitude, one[0].elevation) for one in stations], "StationXML, channels")


@pytest.mark.parametrize("form", ["text", "csv", "xml"])
def test_places_and_times_of_files_come_out_as_they_came_in(tmp_path, form):
    """The same stations from files, with epochs at the edges of the calendar."""
    home = Home(tmp_path)
    times = ["0001-01-01T00:00:00", "1677-09-22T00:00:00", "1900-01-01T00:00:00", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00",
             "2016-12-31T23:59:60", "2024-060T00:00:00", "2024-02-29T02:00:00+02:00", "2262-04-11T00:00:00", "2024-02-29T24:00:00"]
    said = ["0001-01-01T00:00:00.000", "1677-09-22T00:00:00.000", "1900-01-01T00:00:00.000", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00.000",
            "2017-01-01T00:00:00.000", "2024-02-29T00:00:00.000", "2024-02-29T00:00:00.000", "2262-04-11T00:00:00.000", "2024-03-01T00:00:00.000"]
    rows = [(name, *STATIONS[name], start) for name, start in zip(STATIONS, times)]
    if form == "xml":
        body = "".join(f'<Station code="{name}" startDate="{start}"><Latitude>{lat}</Latitude><Longitude>{lon}</Longitude><Elevation>{up}</Elevation>'
                       f"<Site><Name>s</Name></Site></Station>" for name, lat, lon, up, start in rows)
        text = f'<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>t</Source><Network code="XX">{body}</Network></FDSNStationXML>'
    else:
        bar, unit = ("|", "") if form == "text" else (",", "_m")
        text = bar.join(["#Network" if form == "text" else "Network", "Station", "Latitude", "Longitude", f"Elevation{unit}", "SiteName", "StartTime", "EndTime"])
        text += "".join("\n" + bar.join(["XX", name, str(lat), str(lon), str(up), "s", start, ""]) for name, lat, lon, up, start in rows) + "\n"
    (tmp_path / "stations").write_text(text)
    home.succeed("import", "--stations", tmp_path / "stations")
    try:
        made = home.serve()
        lines = made.get("/fdsnws/station/1/query?format=text&level=station").text.splitlines()[1:]
        found = {line.split("|")[1]: (tuple(map(float, line.split("|")[2:5])), line.split("|")[6]) for line in lines}
        assert found == {name: (STATIONS[name], start) for name, start in zip(STATIONS, said)}
    finally:
        home.close()


def test_longitudes_of_the_next_turn_are_those_of_this_one(server):
    for west, east in ((170, 190), (-190, -170)):
        assert by_fdsn(server, minlatitude=-20, maxlatitude=20, minlongitude=west, maxlongitude=east) == BOXES[0][1]


def test_places_that_are_none_are_refused(server):
    for query in ({"min_latitude": 91}, {"max_latitude": -90.1}, {"min_longitude": 181}, {"latitude": 0, "longitude": 0, "max_radius_km": "NaN"},
                  {"latitude": "inf", "longitude": 0, "max_radius_km": 1}):
        assert server.get("/stations", params=query).status_code == 400, query
        assert server.get("/events", params=query).status_code == 400, query
        named = {name.replace("_", ""): value for name, value in query.items()}
        if "minlongitude" not in named:
            assert server.get("/fdsnws/station/1/query", params=named).status_code == 400, named
            assert server.get("/fdsnws/event/1/query", params=named).status_code == 400, named


def searches(begin, end):
    """The same span of time at every door."""
    fdsn = {"starttime": begin, "endtime": end}
    fdsn = {name: value for name, value in fdsn.items() if value}
    rest = {"start_time": begin, "end_time": end}
    rest = {name: value for name, value in rest.items() if value}
    yield "/events", rest
    for service in ("event/1/query", "station/1/query", "dataselect/1/query", "availability/1/query", "availability/1/extent"):
        yield "/fdsnws/" + service, {"nodata": "404", **fdsn}
    for field in ("events(filter:{timeRange:$t})", "picks(timeRange:$t)", 'waveformSegments(sourceId:"FDSN:XX_ZERO__H_H_Z",timeRange:$t)'):
        kind = "TimeRange!" if "Segments" in field else "TimeRange"
        ends = {name: value for name, value in (("from", begin), ("to", end)) if value}
        yield "/graphql", {"query": "query($t:%s){%s{nodes{__typename}}}" % (kind, field), "variables": json.dumps({"t": ends})}


@pytest.mark.parametrize("at", TIMES_BEFORE)
def test_B1_any_time_before_begins_a_search(server, at):
    for path, query in searches(at, None):
        answer = server.get(path, params=query)
        assert answer.status_code == (404 if "event/1" in path else 200), (path, query, answer.text[:300])
        assert "errors" not in answer.text, (path, query, answer.text[:300])


@pytest.mark.parametrize("at", TIMES_AFTER)
def test_B1_any_time_after_ends_a_search(server, at):
    for begin in (None, "2024-01-01"):
        for path, query in searches(begin, at):
            answer = server.get(path, params=query)
            assert answer.status_code == (404 if "event/1" in path else 200), (path, query, answer.text[:300])
            assert "errors" not in answer.text, (path, query, answer.text[:300])


@pytest.mark.parametrize("at", TIMES_WRONG)
def test_what_is_no_time_is_refused(server, at):
    for path, query in searches(at, None):
        assert server.get(path, params=query).status_code == 400, (path, query)


def test_B1_lines_of_posts_take_any_time(server):
    for begin, end in ((TIMES_BEFORE[0], TIMES_AFTER[-2]), ("1600-01-01T00:00:00", "2599-12-31T23:59:59")):
        for service in ("station", "dataselect", "availability"):
            answer = server.post(f"/fdsnws/{service}/1/query", data=f"XX ZERO -- HHZ {begin} {end}\n")
            assert answer.status_code == 200, (service, answer.text[:300])


def test_spans_that_end_before_they_begin_are_refused(server):
    for path, query in searches("2024-01-02", "2024-01-01"):
        assert server.get(path, params=query).status_code == 400, path
