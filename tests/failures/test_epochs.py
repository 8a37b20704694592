"""Epochs: what states no begin, and dates too far away to be held, are the same in every format and at every door."""

import io
import re

import obspy
import pytest
from test_exchange import FDSN_CHANNELS, channel, network, station, station_xml, write

STATIONS = "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime"
FAR = ["2599-12-31T23:59:59", "9999-12-31T23:59:59", "2262-04-12T00:00:00", "2250-01-01T00:00:00"]


def rows(server, level: str, **query) -> list:
    answer = server.get("/fdsnws/station/1/query", params={"level": level, "format": "text", **query})
    assert answer.status_code in (200, 204), answer.text
    lines = answer.text.splitlines()
    names = lines[0].lstrip("#").split("|") if lines else []
    return [dict(zip(names, line.split("|"))) for line in lines[1:]]


def dates(row) -> tuple:
    return row["StartTime"], row["EndTime"]


def xml_dates(server, element: str) -> list:
    """startDate and endDate of every element of a document, as text writes them."""
    document = server.get("/fdsnws/station/1/query?level=channel").text
    def moment(found) -> str:
        if not found:
            return ""
        text = found.group(1).rstrip("Z")
        return text if "." in text else f"{text}T00:00:00.000" if "T" not in text else f"{text}.000"
    found = []
    for tag in re.findall(f"<{element} [^>]*>", document):
        found.append(tuple(moment(re.search(f'{name}="([^"]*)"', tag)) for name in ("startDate", "endDate")))
    return found


def undated(text: str) -> str:
    return re.sub(r' startDate="[^"]*"', "", text, count=1)


def test_a_station_whose_channels_alone_have_epochs_begins_with_the_first_of_them(home):
    document = station_xml(re.sub(r' startDate="[^"]*"', "", network("XX"), count=1).replace("</Network>", "")
                           + undated(station("AAA", channel("HHZ", start="2015-03-04T05:06:07"), channel("HHN", start="2014-01-01T00:00:00"),
                                             undated(channel("HHE")))) + "</Network>")
    home.succeed("import", "--stations", write(home.folder / "s.xml", document))
    server = home.serve()
    begin = "2014-01-01T00:00:00.000"
    assert [dates(row) for row in rows(server, "network")] == [(begin, "")]
    assert [dates(row) for row in rows(server, "station")] == [(begin, "")]
    by_channel = {row["Channel"]: dates(row) for row in rows(server, "channel")}
    assert by_channel == {"HHZ": ("2015-03-04T05:06:07.000", ""), "HHN": (begin, ""), "HHE": (begin, "")}
    assert xml_dates(server, "Network") == [(begin, "")] and xml_dates(server, "Station") == [(begin, "")]
    assert sorted(xml_dates(server, "Channel")) == sorted(by_channel.values())
    # A selection does not decide when the station began, and what it is shown with is what it is chosen by.
    assert dates(rows(server, "station", channel="HHZ")[0]) == (begin, "")
    assert dates(rows(server, "network", channel="HHZ")[0]) == (begin, "")
    assert rows(server, "station", startbefore="2013-01-01") == [] and len(rows(server, "station", startafter="2013-01-01")) == 1
    assert rows(server, "station", endtime="2013-01-01") == []
    # What nobody stated is null where there is null.
    assert server.graphql("{ stations { nodes { startTime endTime } } }")["data"]["stations"]["nodes"] == [{"startTime": None, "endTime": None}]
    assert server.get("/stations").json()["stations"][0]["start_time"] is None
    assert server.sql("SELECT start_time, end_time FROM network.stations") == [(None, None)]
    for level in ("network", "station", "channel"):
        obspy.read_inventory(io.BytesIO(server.get(f"/fdsnws/station/1/query?format=text&level={level}").content), format="STATIONTXT")
    assert server.stop() == 0


@pytest.mark.parametrize("form, levels", [("xml", ["station", "channel"]), ("json", ["station", "channel"]), ("text", ["station"]), ("csv", ["station"]),
                                          ("text", ["channel"]), ("csv", ["channel"])])
def test_far_dates_come_out_as_they_came_in(home, form, levels):
    body = [{"network": "XX", "station": f"S{index}", "latitude": 1, "longitude": 2, "elevation_m": 3, "site_name": "site",
             "start_time": "2001-01-01T00:00:00", "end_time": end, "channels": [{"channel": "HHZ", "sample_rate_hz": 100}]}
            for index, end in enumerate(FAR)]
    body.append({**body[0], "station": "OLD", "start_time": "1600-01-01T00:00:00"})
    if form == "xml":
        place = "<Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation>"
        stations = [f'<Station code="{one["station"]}" startDate="{one["start_time"]}" endDate="{one["end_time"]}">{place}<Site><Name>site</Name></Site>'
                    f'<Channel code="HHZ" locationCode="" startDate="{one["start_time"]}" endDate="{one["end_time"]}">{place}<Depth>0</Depth>'
                    "<SampleRate>100</SampleRate></Channel></Station>" for one in body]
        home.succeed("import", "--stations", write(home.folder / "s.xml", station_xml(network("XX", *stations))))
    elif form in ("text", "csv"):
        bar = "|" if form == "text" else ","
        if levels == ["channel"]:
            names = FDSN_CHANNELS.replace("Elevation", "Elevation_m") if form == "csv" else FDSN_CHANNELS
            rows_ = [["XX", one["station"], "", "HHZ", "1", "2", "3", "0", "", "", "", "", "", "", "100", one["start_time"], one["end_time"]] for one in body]
        else:
            names = STATIONS.replace("Elevation", "Elevation_m") if form == "csv" else STATIONS
            rows_ = [["XX", one["station"], "1", "2", "3", "site", one["start_time"], one["end_time"]] for one in body]
        text = "\n".join([names.replace("|", bar), *(bar.join(row) for row in rows_)]) + "\n"
        home.succeed("import", "--stations", write(home.folder / "s.txt", text.lstrip("#") if form == "csv" else text))
    server = home.serve()
    if form == "json":
        assert server.post("/stations", json=body).status_code == 200
    expected = {one["station"]: (one["start_time"] + ".000", one["end_time"] + ".000") for one in body}
    for level in levels:
        assert {row["Station"]: dates(row) for row in rows(server, level)} == expected, level
        assert sorted(xml_dates(server, level.capitalize())) == sorted(expected.values()), level
    # They mean that the epoch is open, or began before anybody's records.
    nodes = server.graphql("{ stations { nodes { station startTime endTime } } }")["data"]["stations"]["nodes"]
    assert all(node["endTime"] is None for node in nodes) and (levels == ["channel"] or {node["startTime"] is None for node in nodes} == {True, False})
    assert all(end is None for end, in server.sql("SELECT end_time FROM network.channels UNION ALL SELECT end_time FROM network.stations"))
    assert {row["Station"] for row in rows(server, "station", endafter="2500-01-01")} == set(expected)
    assert server.stop() == 0
    # Through StationXML into another home, and out of it again.
    document = home.succeed("export", "--format", "stationxml")
    for end in FAR:
        assert document.count(end) == sum(one["end_time"] == end for one in body) * len(levels), end


def test_a_network_ends_when_it_says_so_not_when_its_last_station_did(home):
    ended = station("AAA", channel("HHZ")).replace("<Station ", '<Station endDate="2021-01-01T00:00:00" ')
    said = network("XX", ended).replace("<Network ", '<Network endDate="2599-12-31T23:59:59" ')
    home.succeed("import", "--stations", write(home.folder / "s.xml", station_xml(said, network("YY", ended))))
    server = home.serve()
    assert {row["Network"]: row["EndTime"] for row in rows(server, "network")} == {"XX": "2599-12-31T23:59:59.000", "YY": ""}
    assert xml_dates(server, "Network") == [("2000-01-01T00:00:00.000", "2599-12-31T23:59:59.000"), ("2000-01-01T00:00:00.000", "")]
