"""Times that bound a search: any UTC time of the years 1 to 9999, through every door."""

import numpy as np
import pytest
from records import series

LATE = ["2599-12-31T23:59:59", "9999-12-31T23:59:59", "2262-04-12T00:00:00", "3000-01-01T00:00:00.000000"]
EARLY = ["0001-01-01T00:00:00", "1600-01-01T00:00:00", "1677-01-01", "1500-06-30T00:00:00.5"]
STATIONS = """<?xml version="1.0" encoding="UTF-8"?>
<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>t</Source><Created>2024-01-01T00:00:00</Created>
<Network code="XX"><Station code="STA" startDate="2020-01-01T00:00:00"><Latitude>10</Latitude><Longitude>20</Longitude><Elevation>100</Elevation><Site><Name>S</Name></Site>
<Channel code="HHZ" locationCode="" startDate="2020-01-01T00:00:00"><Latitude>10</Latitude><Longitude>20</Longitude><Elevation>100</Elevation><Depth>0</Depth><SampleRate>100</SampleRate></Channel>
</Station></Network></FDSNStationXML>"""


@pytest.fixture
def filled(home):
    folder = home.folder / "records"
    folder.mkdir()
    (folder / "one.mseed").write_bytes(series(np.arange(1000), "2024-01-01T00:00:00"))
    (home.folder / "stations.xml").write_text(STATIONS)
    home.succeed("import", folder, "--stations", home.folder / "stations.xml")
    return home


def test_B1_fdsn_services_take_any_utc_time(filled):
    server = filled.serve()
    for start in EARLY:
        for end in LATE:
            window = f"starttime={start}&endtime={end}"
            for path in (f"/fdsnws/dataselect/1/query?network=XX&{window}", f"/fdsnws/availability/1/query?network=XX&{window}",
                         f"/fdsnws/station/1/query?network=XX&level=channel&{window}"):
                assert server.get(path).status_code == 200, path
            assert server.get(f"/fdsnws/event/1/query?{window}").status_code == 204
            assert server.get(f"/events?start_time={start}&end_time={end}").status_code == 200
    for service in ("dataselect", "availability", "station"):
        answer = server.post(f"/fdsnws/{service}/1/query", data=f"XX STA * HHZ {EARLY[0]} {LATE[0]}\n")
        assert answer.status_code == 200, (service, answer.text)
    for word in ("2599-13-01T00:00:00", "2599-02-30", "yesterday", "2020-01-01T12:00:60"):
        assert server.get(f"/fdsnws/dataselect/1/query?network=XX&starttime={word}").status_code == 400, word
    assert server.get(f"/fdsnws/dataselect/1/query?starttime={LATE[0]}").status_code == 204
    assert server.get(f"/fdsnws/dataselect/1/query?endtime={EARLY[0]}").status_code == 204
    leap = server.get("/fdsnws/dataselect/1/query?network=XX&starttime=2016-12-31T23:59:60")
    assert leap.status_code == 200
    document = f'{{ events(filter: {{originTime: {{from: "{EARLY[0]}", to: "{LATE[0]}"}}}}) {{ totalCount }} }}'
    answer = server.graphql(document)
    assert not any("UTC time" in str(error) for error in answer.get("errors", [])), answer
    assert server.stop() == 0


def test_B1_statements_and_table_functions_take_any_utc_time(filled):
    for start, end in (("'0001-01-01'", "'2599-12-31T23:59:59'"), ("TIMESTAMP '1600-01-01T00:00:00'", "TIMESTAMP '9999-12-31T23:59:59'"),
                       ("'2016-12-31T23:59:60'", "'2262-04-12'"), ("DATE '1600-01-01'", "DATE '9999-12-31'")):
        for function in ("samples", "traces"):
            rows = filled.query(f"SELECT count(*) AS n FROM {function}('XX.STA..HHZ', {start}, {end})")
            assert rows[0]["n"] == {"samples": "1000", "traces": "1"}[function]
        rows = filled.query(f"SELECT count(*) AS n FROM waveform.segments WHERE start_time >= {start} AND end_time < {end}")
        assert int(rows[0]["n"]) > 0, (start, end)
        rows = filled.query(f"SELECT count(*) AS n FROM waveform.packets WHERE start_time > {end}")
        assert rows[0]["n"] == "0"
    rows = filled.query("SELECT count(*) AS n FROM waveform.segments WHERE start_time < CAST('2599-12-31T23:59:59' AS TIMESTAMP)")
    assert int(rows[0]["n"]) > 0
    rows = filled.query("SELECT count(*) AS n FROM waveform.segments WHERE start_time BETWEEN '1500-01-01' AND '2599-12-31T23:59:60'")
    assert int(rows[0]["n"]) > 0
    assert filled.query("SELECT TIMESTAMP '2020-01-01T00:00:00.123456789' AS t")[0]["t"].endswith(".123456789")


def test_B1_commands_take_any_utc_time(filled):
    out = filled.folder / "out"
    for format in ("mseed", "quakeml", "csv", "raw"):
        filled.succeed("export", "--format", format, "--from", EARLY[0], "--to", LATE[0], "--output", out)
    filled.succeed("export", "--format", "mseed", "--from", EARLY[0], "--to", LATE[0], "--output", out)
    assert out.stat().st_size > 0
    filled.succeed("quality update")
    filled.succeed("quality report", "--from", EARLY[0], "--to", LATE[0], "--output", filled.folder / "report")
