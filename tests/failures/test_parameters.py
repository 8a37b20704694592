"""Parameters of every HTTP door: what is out of range, given twice, empty or unknown is refused by its name; codes mean
the same however they are spelt."""

import numpy as np
import pytest
from harness import Home
from records import series, station_text

FDSN = {service: f"/fdsnws/{service}/1/query" for service in ("station", "event", "dataselect", "availability")}
AREA = [("minlatitude", "91"), ("maxlatitude", "-90.5"), ("latitude", "91"), ("minlongitude", "540"), ("maxlongitude", "-361"),
        ("longitude", "1e9"), ("minradius", "-1"), ("maxradius", "181"), ("minradiuskm", "-1"), ("maxradiuskm", "1e9"),
        ("maxradius", "NaN"), ("minlatitude", "north")]
# Wrong values that a service names, each for itself; a pair is wrong together, and its second name is told.
WRONG = {
    "station": [*AREA, ("level", "foo"), ("format", "pdf"), ("nodata", "999"), ("includerestricted", "maybe"), ("starttime", "yesterday"),
                ("updatedafter", "2024-13-01"), ("startbefore", "x"), ("network", "A;B"), ("channel", "H Z")],
    "event": [*AREA, ("mindepth", "-101"), ("maxdepth", "6401"), ("minmagnitude", "21"), ("maxmagnitude", "inf"), ("orderby", "size"),
              ("format", "pdf"), ("nodata", "999"), ("limit", "0"), ("limit", "-1"), ("limit", "1.5"), ("offset", "0"), ("starttime", "2024"),
              ("includearrivals", "2")],
    "dataselect": [("minimumlength", "-1"), ("quality", "X"), ("format", "sac"), ("nodata", "200"), ("longestonly", "x"), ("endtime", "24"),
                   ("station", "A/B")],
    "availability": [("mergegaps", "-0.1"), ("quality", "X"), ("merge", "all"), ("show", "all"), ("orderby", "x"), ("limit", "0"),
                     ("format", "xml"), ("nodata", "0"), ("starttime", "9"), ("location", "a b")],
}
PAIRS = {
    "station": [("minlatitude", "10", "maxlatitude", "9"), ("minradius", "2", "maxradius", "1"), ("starttime", "2024-01-02", "endtime", "2024-01-01"),
                ("startafter", "2024-01-02", "startbefore", "2024-01-01"), ("endafter", "2024-01-02", "endbefore", "2024-01-01")],
    "event": [("minmagnitude", "5", "maxmagnitude", "4"), ("mindepth", "5", "maxdepth", "4"), ("minradiuskm", "5", "maxradiuskm", "4")],
    "dataselect": [("starttime", "2024-01-02", "endtime", "2024-01-01")],
    "availability": [("starttime", "2024-01-02", "endtime", "2024-01-01")],
}
REST = {
    "/stations": [("min_latitude", "91"), ("max_longitude", "181"), ("latitude", "-91"), ("max_radius_km", "-1"), ("limit", "0"), ("offset", "-1")],
    "/events": [("min_latitude", "91"), ("longitude", "181"), ("max_radius_km", "-1"), ("limit", "x"), ("start_time", "yesterday"),
                ("order_by", "size"), ("min_magnitude", "NaN")],
}
# Codes as they stand in the records: one station has small letters, as some have.
CODES = [("XX", "AAA", "", "HHZ"), ("XX", "AAA", "00", "HHZ"), ("XX", "bbb", "", "HHZ"), ("yy", "CCC", "00", "BHN")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("parameters"))
    folder = made.folder / "records"
    folder.mkdir()
    (folder / "all.mseed").write_bytes(b"".join(
        series(np.arange(100), "2024-01-01T00:00:00", network=n, station=s, location=l, channel=c) for n, s, l, c in CODES))
    (made.folder / "stations.txt").write_text(station_text([(n, s, l, c, 1, 2, 3, 100) for n, s, l, c in CODES]))
    made.succeed("import", "--archive-only", "--stations", made.folder / "stations.txt", folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(home):
    return home.serve()


def refused(server, path: str, name: str, query) -> None:
    answer = server.get(path, params=query)
    said = answer.text.split("Request:")[0].split("Usage details")[0]
    assert answer.status_code == 400 and name in said, (path, query, answer.status_code, said)


@pytest.mark.parametrize("service", FDSN)
def test_fdsn_parameters_that_cannot_be_are_refused_by_name(server, service):
    path = FDSN[service]
    for name, value in WRONG[service]:
        refused(server, path, name, {name: value})
    for first, low, second, high in PAIRS[service]:
        refused(server, path, second, {first: low, second: high})
    known = "magnitudetype" if service == "event" else "channel"
    refused(server, path, known, [(known, "HHZ"), (known, "HHN")])
    refused(server, path, "starttime", [("start", "2024-01-01"), ("starttime", "2024-01-01")])
    refused(server, path, "endtime", {"end": ""})
    refused(server, path, known, {known: "  "})
    refused(server, path, "nodata", "nodata")
    refused(server, path, "foo", {"foo": "1"})


@pytest.mark.parametrize("service", ["station", "dataselect", "availability"])
def test_bodies_are_refused_as_queries_are(server, service):
    name, value = WRONG[service][0]
    line = "XX AAA -- HHZ 2024-01-01 2024-01-02\n"
    for body, named in ((f"{name}={value}\n{line}", name), (f"nodata=\n{line}", "nodata"), (f"foo=1\n{line}", "foo"),
                        ("XX AAA -- HHZ yesterday 2024-01-02\n", "starttime"), ("XX AAA -- HHZ 2024-01-02 2024-01-01\n", "endtime"),
                        ("XX A;B -- HHZ * *\n", "station")):
        answer = server.post(FDSN[service], data=body)
        assert answer.status_code == 400 and named in answer.text.split("Usage details")[0], (service, body, answer.text)


@pytest.mark.parametrize("path", REST)
def test_rest_parameters_that_cannot_be_are_refused_by_name(server, path):
    for name, value in REST[path]:
        refused(server, path, name, {name: value})
    for query in ([("limit", "1"), ("limit", "2")], {"limit": ""}):
        refused(server, path, "limit", query)
    refused(server, path, "foo", {"foo": "1"})


def test_graphql_arguments_that_cannot_be_are_refused_by_name(server):
    for filter_, name in (("magnitude: {gte: 5, lte: 4}", "magnitude"), ("depthKm: {gte: 5, lte: 4}", "depthKm"),
                          ("within: {box: {latitudeMin: 10, latitudeMax: 9, longitudeMin: 0, longitudeMax: 1}}", "latitudeMin"),
                          ("within: {box: {latitudeMin: 91, latitudeMax: 91, longitudeMin: 0, longitudeMax: 1}}", "latitude"),
                          ("within: {radius: {latitude: 0, longitude: 540, radiusKm: 1}}", "longitude"),
                          ("within: {radius: {latitude: 0, longitude: 0, radiusKm: -1}}", "radiusKm"),
                          ('timeRange: {from: "2024-01-02", to: "2024-01-01"}', "time range")):
        answer = server.graphql("{ events(filter: {%s}) { totalCount } }" % filter_)
        assert name in answer["errors"][0]["message"], (filter_, answer)


def found(server, **query) -> dict:
    """Channels of a selection by each service."""
    window = {"starttime": "2024-01-01", "endtime": "2024-01-02"}
    def codes(lines):
        return sorted(tuple(line.split("|")[:4]) for line in lines)
    text = server.get(FDSN["station"], params={"level": "channel", "format": "text", **query}).text
    spans = server.get(FDSN["availability"], params={**window, "format": "request", **query}).text
    data = server.get(FDSN["dataselect"], params={**window, **query}).content
    records = {(data[i + 18:i + 20].decode().strip(), data[i + 8:i + 13].decode().strip(), data[i + 13:i + 15].decode().strip(),
                data[i + 15:i + 18].decode().strip()) for i in range(0, len(data), 512)}
    of_spans = sorted(tuple("" if word == "--" else word for word in line.split()[:4]) for line in spans.splitlines())
    return {"station": codes(text.splitlines()[1:]), "availability": of_spans, "dataselect": sorted(records)}


@pytest.mark.parametrize("query, wanted", [
    ({"network": "XX"}, [0, 1, 2]), ({"network": "xx"}, [0, 1, 2]), ({"station": "aaa"}, [0, 1]), ({"station": "bbb"}, [2]),
    ({"station": "BBB"}, []), ({"station": "b*"}, [2]), ({"network": "yy"}, [3]), ({"network": "YY"}, []), ({"channel": "hh?"}, [0, 1, 2]),
    ({"location": "--"}, [0, 2]), ({"location": ""}, [0, 2]), ({"location": "  "}, [0, 2]), ({"location": "--,00"}, [0, 1, 2, 3]),
    ({"location": "0?"}, [1, 3]), ({"station": " AAA , bbb "}, [0, 1, 2]), ({"network": "??", "station": "?*"}, [0, 1, 2, 3])])
def test_codes_are_found_however_they_are_spelt(server, query, wanted):
    expected = sorted(CODES[index] for index in wanted)
    for service, channels in found(server, **query).items():
        assert channels == expected, (service, query)


def test_codes_are_found_at_the_other_doors_too(home, server):
    by_rest = lambda **query: sorted({row["station"] for row in server.get("/stations", params=query).json()["stations"]})
    assert by_rest(network="xx") == ["AAA", "bbb"] == by_rest(network="XX") and by_rest(station="aaa") == ["AAA"] and by_rest(station="BBB") == []
    answer = server.graphql('{ stations(network: "xx", station: "aaa") { nodes { station } } }')
    assert [node["station"] for node in answer["data"]["stations"]["nodes"]] == ["AAA"]
    for source, count in (("xx.aaa.00.hhz", 100), ("XX.bbb..HHZ", 100), ("xx.bbb..hhz", 100), ("FDSN:XX_AAA_00_H_H_Z", 100), ("FDSN:xx_AAA_00_H_H_Z", 0),
                          ("yy.CCC.00.BHN", 100), ("XX.BBB..HHZ", 0)):
        assert server.sql(f"SELECT count(*) FROM samples('{source}', '2024-01-01', '2024-01-02')") == [(count,)], source
    assert server.sql("SELECT count(DISTINCT source_id) FROM traces('xx.*.*.hh?', '2024-01-01', '2024-01-02')") == [(3,)]
    out = home.folder / "out.mseed"
    for source in ("xx.aaa.00.hhz", "XX.AAA.00.HHZ", "FDSN:XX_AAA_00_H_H_Z"):
        home.succeed("export", "--format", "mseed", "--source", source, "--output", out)
        assert out.read_bytes().count(b"AAA  00HHZXX") == len(out.read_bytes()) // 512 > 0, source
    assert "no records" in home.fail("export", "--format", "mseed", "--source", "FDSN:xx_AAA_00_H_H_Z", "--output", out)


def test_originals_are_exported_by_any_spelling_too(home, tmp_path):
    own = Home(tmp_path)
    own.succeed("import", "--archive-only", home.folder / "records")
    out = tmp_path / "out.mseed"
    for source, count in (("xx.aaa.00.hhz", 1), ("XX.AAA.*.HHZ", 2), ("*.*.--.HH?", 2), ("FDSN:XX_AAA_00_H_H_Z", 1), ("XX.bbb..HHZ", 1)):
        own.succeed("export", "--format", "raw", "--source", source, "--output", out)
        assert len(out.read_bytes()) == count * 512, source
    assert "no records" in own.fail("export", "--format", "raw", "--source", "XX.BBB..HHZ", "--output", out)
