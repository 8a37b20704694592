"""What the HTTP doors say of edges, mistakes and methods: in the form that their clients expect, and true."""

import json

import numpy as np
import pytest
import requests
from harness import Home, wait_until
from records import FLOAT64, series

START = "2024-01-01T00:00:00"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("doors"))
    made = home.serve()
    samples = np.array([1.5, np.nan, np.inf, -np.inf, 2.5] * 20)
    assert made.ingest(series(samples, START, station="FLOAT", encoding=FLOAT64)).status_code == 200
    assert made.ingest(series(np.arange(500), START, station="WHOLE")).status_code == 200
    wait_until(lambda: made.sql("SELECT count(*) FROM waveform.segments")[0][0] >= 2)
    yield made
    home.close()


def test_B13_samples_that_are_no_numbers_are_null_as_the_schema_says(server):
    answer = server.graphql("""{ __type(name: "WaveformSegment") { fields { name type { kind ofType { kind name } } } }
        waveformSegments(sourceId: "FDSN:XX_FLOAT__H_H_Z", timeRange: {from: "2024-01-01", to: "2024-01-02"})
        { nodes { sampleRateHz samples } } }""")
    assert "errors" not in answer, answer
    samples = [value for node in answer["data"]["waveformSegments"]["nodes"] for value in node["samples"]]
    assert samples[:5] == [1.5, None, None, None, 2.5]
    kind = next(field["type"] for field in answer["data"]["__type"]["fields"] if field["name"] == "samples")
    assert kind == {"kind": "LIST", "ofType": {"kind": "SCALAR", "name": "Float"}}, "an element may be null"


def test_B13_the_scalar_of_times_says_what_it_is(server):
    answer = server.graphql('{ __type(name: "DateTime") { specifiedByURL } }')
    assert answer["data"]["__type"]["specifiedByURL"].startswith("https://")


ICEBERG = ["/iceberg/v1/config", "/iceberg/v1/namespaces", "/iceberg/v1/namespaces/bulletin", "/iceberg/v1/namespaces/bulletin/tables",
           "/iceberg/v1/namespaces/bulletin/tables/events", "/iceberg/v1/nothing", "/iceberg/nothing/at/all"]


def iceberg_error(answer):
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    error = answer.json()["error"]
    assert isinstance(error["code"], int) and error["code"] == answer.status_code, answer.text
    assert error["type"].endswith("Exception") and error["message"], answer.text
    return answer.status_code


def test_B18_every_error_below_iceberg_has_the_shape_of_its_specification(server):
    for path in ICEBERG:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "INVENTED"):
            answer = requests.request(method, server.http + path, timeout=10, json={"name": "x"} if method == "POST" else None)
            assert iceberg_error(answer) == (404 if "nothing" in path else 405), (method, path)
    wrong = ["/iceberg/v1/config?warehouse=other", "/iceberg/v1/namespaces?parent=none", "/iceberg/v1/namespaces/none",
             "/iceberg/v1/namespaces/none/tables", "/iceberg/v1/namespaces/bulletin/tables/none",
             "/iceberg/v1/namespaces/bulletin/tables/events?snapshots=some", "/iceberg/v1/namespaces/%ff%fe",
             "/iceberg/v1/namespaces/bulletin/tables/%ff", "/iceberg/v1/config?warehouse=%ff&warehouse=x", "/iceberg/v2/config"]
    for path in wrong:
        assert iceberg_error(server.get(path)) in (400, 404), path


def test_B20_the_door_of_the_catalog_is_a_page(server):
    for path in ("/iceberg", "/iceberg/"):
        answer = server.get(path)
        assert answer.status_code == 200 and "v1/config" in answer.text, (path, answer.text)


@pytest.mark.parametrize("path", ["/events", "/stations", "/livez", "/version", "/fdsnws/event/1/version", "/fdsnws/station/1/query",
                                  "/fdsnws/event/1/query", "/fdsnws/dataselect/1/query", "/fdsnws/availability/1/extent",
                                  "/iceberg/v1/config", "/iceberg/v1/namespaces", "/docs", "/fdsnws/event/1", "/fdsnws/station/1"])
def test_B20_a_slash_behind_a_path_changes_nothing(server, path):
    query = "?station=WHOLE" if "dataselect" in path else ""
    plain, slashed = server.get(path + query), server.get(path + "/" + query)
    assert (plain.status_code, plain.content) == (slashed.status_code, slashed.content), path
    assert plain.status_code in (200, 204)


def test_a_slash_never_leads_to_another_host(server):
    for path in ("//evil.example/", "/%2f/evil.example/", "/\\evil.example/", "//evil.example//"):
        request = requests.Request("GET", server.http).prepare()
        request.url = server.http + path
        answer = requests.Session().send(request, allow_redirects=False, timeout=10)
        assert answer.status_code in (400, 404), (path, answer.status_code, answer.headers)


SERVICES = ["event/1/query", "station/1/query", "dataselect/1/query", "availability/1/query", "availability/1/extent"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("body", ["", "\n\n", "   ", "format=xml\n", "nodata=404\n"])
def test_B20_a_body_that_asks_for_nothing_is_wrong(server, service, body):
    if service.startswith("event") and body.strip():
        pytest.skip("parameters alone are a request of the event service")
    answer = server.post(f"/fdsnws/{service}", data=body)
    assert answer.status_code == 400 and answer.text.startswith("Error 400"), (service, body, answer.text[:200])


def test_B20_a_page_of_no_rows_is_wrong_and_the_document_says_so(server):
    document = server.get("/openapi.json").json()
    for path in ("/events", "/stations", "/fdsnws/event/1/query", "/fdsnws/availability/1/query"):
        assert server.get(path + "?limit=0").status_code == 400, path
        limit = next(one for one in document["paths"][path]["get"]["parameters"] if one["name"] == "limit")
        assert limit["schema"]["minimum"] == 1, path


def test_B20_the_document_names_every_door_and_its_parameters(server):
    paths = server.get("/openapi.json").json()["paths"]
    for service in SERVICES:
        operation = paths[f"/fdsnws/{service}"]["get"]
        told = {parameter["name"] for parameter in operation["parameters"]}
        wadl = server.get(f"/fdsnws/{service.split('/')[0]}/1/application.wadl").text
        for name in told:
            assert f'<param name="{name}"' in wadl, (service, name)
        assert wadl.count("<param name=") % len(told) == 0, (service, "all parameters are told")
    assert "text/plain" in paths["/fdsnws/station/1/query"]["get"]["responses"]["200"]["content"]
    for path, methods in paths.items():
        if "{" not in path and "get" in methods:
            assert server.get(path).status_code not in (404, 405, 500), path


def test_nothing_of_the_inside_is_told(server):
    """Errors say what was asked and what to do, not where files lie or which statement failed."""
    wrong = ["/events?start_time=x", "/fdsnws/event/1/query?eventid=%27", "/graphql?query={events(asOf:{snapshotId:\"1\"}){nodes{eventId}}}",
             "/graphql?query={event(id:\"%00\"){eventId}}", "/iceberg/v1/namespaces/x/tables/y", "/fdsnws/dataselect/1/query?net=%27",
             "/graphql?query={events(after:\"e30\"){nodes{eventId}}}"]
    for path in wrong:
        answer = server.get(path)
        for leak in ("home/", "SELECT", ".rs", "sqlite", "datafusion", "warehouse/", "stack"):
            assert leak not in answer.text, (path, answer.text)


def test_json_of_samples_keeps_integers_and_floats_apart(server):
    def post(samples):
        trace = {"source_id": "FDSN:XX_JSON__H_H_Z", "start_time": START, "sample_rate_hz": 100, "samples": samples}
        return server.post("/waveforms/ingest", data=json.dumps(trace), headers={"Content-Type": "application/json"})
    assert post([1, -2, 2147483647]).json()["sample_count"] == 3
    assert post([1, 2.5, 3]).json()["sample_count"] == 3
    assert post([2**40, 1]).json()["sample_count"] == 2
    for wrong in ([], [None], ["1"], [[1]], [True], "1"):
        assert post(wrong).status_code == 400, wrong


def test_flight_sql_says_in_words_of_its_own_what_it_does_not_do(home):
    import adbc_driver_flightsql.dbapi as flight_sql
    server = home.serve()
    with flight_sql.connect(server.flight) as connection, connection.cursor() as cursor:
        with pytest.raises(Exception, match="parameters of statements are not taken at this door") as refused:
            cursor.execute("SELECT count(*) FROM network.stations WHERE station = ?", ("D001",))
        assert "default implementation" not in str(refused.value)
        with pytest.raises(Exception) as refused:
            cursor.executemany("INSERT INTO network.stations (station) VALUES (?)", [("D001",)])
        assert "default implementation" not in str(refused.value), refused.value
