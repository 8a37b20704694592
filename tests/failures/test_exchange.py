"""Stations, codes and files of all kinds: what cannot be is refused by name, what can comes out by every door."""

import bz2
import gzip
import io
import json
import pathlib
import re
import zipfile

import numpy as np
import pytest
from harness import Home
from records import record, record3, series

START = "2024-04-01T00:00:00"
FDSN_CHANNELS = ("#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|SensorDescription|"
                 "Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime")
# Codes that no id may hold, as XML and JSON write them.
BAD_STATIONS = ["S A", "STÄ", "A/B", "..", "A_B", "A*", "TOOLONGCODE", "A" * 70, "'A'", "A;B", ""]
BAD_CHANNELS = ["H Z", "H/Z", "..", "HÄZ", "H" * 70, "", "HH*"]


def station_xml(*networks: str) -> str:
    return ('<?xml version="1.0"?><FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1">'
            '<Source>t</Source><Created>2024-01-01T00:00:00</Created>\n' + "\n".join(networks) + "</FDSNStationXML>")


def network(code: str, *stations: str, start: str = "2000-01-01T00:00:00") -> str:
    return f'<Network code="{code}" startDate="{start}">\n' + "\n".join(stations) + "</Network>"


def station(code: str, *channels: str, latitude: object = 10) -> str:
    return (f'<Station code="{code}" startDate="2020-01-01T00:00:00"><Latitude>{latitude}</Latitude><Longitude>20</Longitude>'
            f'<Elevation>100</Elevation><Site><Name>{code}</Name></Site>\n' + "\n".join(channels) + "</Station>")


def channel(code: str, location: str = "", rate: object = 100, start: str = "2020-01-01T00:00:00", more: str = "") -> str:
    return (f'<Channel code="{code}" locationCode="{location}" startDate="{start}"><Latitude>10</Latitude><Longitude>20</Longitude>'
            f'<Elevation>100</Elevation><Depth>0</Depth>{more}<SampleRate>{rate}</SampleRate></Channel>')


def write(path: pathlib.Path, content) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def samples(count: int = 100) -> np.ndarray:
    return np.arange(count) % 97


@pytest.mark.parametrize("form", ["xml", "text", "csv"])
def test_A1_stations_that_cannot_be_are_refused_by_name_and_never_stop_a_home(home, form):
    good = ("XX", "GOOD", "00", "HHZ")
    rows = [("XX", code, "", "HHZ") for code in BAD_STATIONS] + [("XX", "GOOD", "", code) for code in BAD_CHANNELS if code]
    rows += [("X X", "GOOD", "", "HHZ"), ("XX", "GOOD", "0 0", "HHZ"), good]
    numbers = ["91", "NaN", "inf", "1e300"]
    if form == "xml":
        body = [network(n, station(s, channel(c, l))) for n, s, l, c in rows]
        body += [network("XX", station("GOOD", channel("HHN", rate=rate))) for rate in ("NaN", "-1", "1e300", "INF")]
        body += [network("XX", station("FAR", channel("HHZ").replace("<Latitude>10<", f"<Latitude>{n}<"), latitude=n)) for n in numbers]
        path = write(home.folder / "stations.xml", station_xml(*body))
    else:
        bar = "|" if form == "text" else ","
        lines = [bar.join(["Network", "Station", "Location", "Channel", "Latitude", "Longitude", "Elevation_m", "SampleRate", "StartTime"])]
        lines += [bar.join([n, s.replace(",", ""), l, c, "10", "20", "100", "100", "0001-01-01T00:00:00"]) for n, s, l, c in rows]
        lines += [bar.join(["XX", "FAR", "", "HHZ", n, "20", "100", "100", ""]) for n in numbers]
        lines += [bar.join(["XX", "FAR", "", "HHZ", "10", "20", n, "100", ""]) for n in numbers[1:]]
        lines += [bar.join(["XX", "FAR", "", "HHZ", "10", "20", "100", n, ""]) for n in ("NaN", "-1", "1e300", "inf")]
        path = write(home.folder / "stations.txt", "\n".join(lines) + "\n")
    done = home.run("import", "--stations", path)
    assert done.returncode == 0, done.stderr
    assert "panicked" not in done.stderr and "left out" in done.stderr, done.stderr
    assert all(re.search(r"line \d+: |more problems", line) for line in done.stderr.strip().splitlines()), done.stderr
    for _ in range(2):
        home.succeed("import", "--stations", path)
    sources = {row["source_id"] for row in home.query("SELECT source_id FROM network.channels")}
    assert "FDSN:XX_GOOD_00_H_H_Z" in sources and all(re.fullmatch(r"FDSN:XX_GOOD_(00)?_[HN]_H_[ZN]", one) for one in sources), sources
    assert {row["station"] for row in home.query("SELECT station FROM network.stations")} == {"GOOD"}
    server = home.serve()
    answer = server.get("/fdsnws/station/1/query?level=channel&format=text")
    assert answer.status_code == 200 and "XX|GOOD|00|HHZ|" in answer.text
    assert server.stop() == 0


def test_A1_posted_stations_are_named_where_they_cannot_be_kept(home):
    server = home.serve()
    body = {"network": "XX", "station": "STA", "latitude": 1.0, "longitude": 2.0, "elevation_m": 3.0}
    for change in [{"station": code} for code in BAD_STATIONS] + [
            {"latitude": 91}, {"elevation_m": 1e300}, {"network": ""}, {"network": "X/"}, {"longitude": None}, {"start_time": "yesterday"}]:
        answer = server.post("/stations", json={**body, **change})
        assert answer.status_code == 400, (change, answer.text)
        assert answer.json()["problems"], answer.text
    channels = [{"channel": code} for code in BAD_CHANNELS] + [{"channel": "HHZ", "location": "0/"}]
    channels += [{"channel": "HHN", key: value} for key, value in
                 [("sample_rate_hz", -1), ("sample_rate_hz", 1e300), ("dip", 100), ("azimuth", 400), ("latitude", -91), ("depth_m", 1e9)]]
    answer = server.post("/stations", json=[{**body, "station": "TWO", "start_time": "0001-01-01T00:00:00Z",
                                             "end_time": "9999-12-31T23:59:59Z", "channels": [*channels, {"channel": "HHZ"}]},
                                            {**body, "station": "S A"}])
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["station_count"], report["channel_count"], report["problem_count"]) == (1, 1, len(channels) + 1), report
    assert {problem["index"] for problem in report["problems"]} == {0, 1}
    document = station_xml(network("XX", station("THREE", channel("HHZ"), channel("H Z")), station("S A", channel("HHZ"))))
    answer = server.post("/stations", data=document, headers={"Content-Type": "application/xml"})
    assert answer.status_code == 200 and answer.json()["problem_count"] == 3, answer.text
    assert all("line" in problem for problem in answer.json()["problems"]), answer.text
    nothing = station_xml(network("XX", station("S A", channel("HHZ"))))
    answer = server.post("/stations", data=nothing, headers={"Content-Type": "application/xml"})
    assert answer.status_code == 400 and "S A" in answer.text, answer.text
    answer = server.post("/stations", data="Network,Station,Latitude,Longitude,Elevation_m\nXX,FOUR,1,2,3\nXX,F/,1,2,3\n",
                         headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200 and answer.json()["station_count"] == 1, answer.text
    names = {row["station"] for row in server.get("/stations").json()["stations"]}
    assert names == {"TWO", "THREE", "FOUR"}
    assert server.stop() == 0
    home.serve().alive()


# Codes of records that would lead elsewhere if they stood in a path as they are.
TRAVELLERS = [("..", "..", "", "HHZ"), ("XX", "../..", "", "HHZ"), ("/", "a", "", "HHZ"), ("XX", "A B", "", "HHZ"), ("XX", "SL", "", "H/Z"),
              ("XX", "\x01\x02", "", "HHZ"), ("XX", "*", "", "HHZ"), ("XX", "a;b", "", "HHZ"), ("XX", "o'k", "", "HHZ"),
              ("XX", "%2E", "..", "HHZ"), ('"', "<b>", "", "HHZ"), ("", "S", "", "HHZ")]
TRAVELLERS_3 = ["FDSN:XX_/etc__H_H_Z", "FDSN:../../.._../../..__H_H_Z", "FDSN:XX_EVIL__H_H_/../../../../x", "FDSN:.._.._.._H_H_Z",
                "FDSN:XX_N__H_H_$(x)", "FDSN:XX_C:\\__H_H_Z"]


def travelling_records() -> list:
    made = [record(samples() + index, 1_711_929_600 * 10**9 + index * 10**9, network=n, station=s, location=l, channel=c)
            for index, (n, s, l, c) in enumerate(TRAVELLERS)]
    return made + [record3(samples() + index, START, source) for index, source in enumerate(TRAVELLERS_3)]


@pytest.mark.parametrize("keep_raw", [True, False])
def test_A3_no_code_leads_out_of_the_output_folder(home, keep_raw):
    records = travelling_records()
    config = write(home.folder / "settings.toml", f"[archive]\nkeep_raw = {str(keep_raw).lower()}\n")
    home.succeed("import", "--config", config, "--archive-only", write(home.folder / "trav.mseed", b"".join(records)))
    assert home.count("waveform.packets") == len(records)
    output = home.folder / "a" / "b" / "c" / "d" / "e" / "f" / "g" / "sds"
    raw = home.folder / "raw.mseed"
    before = {path for path in home.folder.rglob("*") if home.path not in path.parents}
    home.succeed("export", "--config", config, "--format", "sds", "--output", output)
    home.succeed("export", "--config", config, "--format", "raw", "--output", raw)
    for form in ("mseed", "mseed3"):
        home.succeed("export", "--config", config, "--format", form, "--output", home.folder / form)
    new = {path for path in home.folder.rglob("*") if home.path not in path.parents} - before
    outside = {path for path in new if output not in path.parents and path not in {raw, home.folder / "mseed", home.folder / "mseed3"}}
    assert all(path in output.parents or path == output for path in outside), outside
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) == len(records), files
    assert all(len(path.relative_to(output).parts) == 5 for path in files), files
    assert sorted(raw.read_bytes()[i:i + len(one)] for one, i in placed(records, raw.read_bytes())) == sorted(records)
    if keep_raw:
        stored = [path for path in (home.path / "warehouse" / "raw").rglob("*") if path.is_file()]
        named = {row["object_uri"].split("#")[0].removeprefix("file://") for row in home.query("SELECT object_uri FROM waveform.packets")}
        assert named == {str(path) for path in stored}
        # An original that is gone does not take the others with it.
        stored[0].unlink()
        done = home.run("export", "--config", config, "--format", "raw", "--output", raw)
        assert done.returncode == 0 and re.search(r"\b[12] original records are not in this export", done.stderr), done.stderr
        assert 0 < raw.stat().st_size < sum(map(len, records))
    one = home.folder / "one.mseed"
    home.succeed("export", "--format", "mseed", "--source", "XX.%2A..HHZ", "--output", one)
    assert one.read_bytes().count(b"*    ") == 1


def placed(records: list, whole: bytes):
    """Each record with its place in the bytes."""
    return [(one, whole.index(one)) for one in records]


def test_A3_links_in_the_output_folder_are_not_followed(home):
    home.succeed("import", "--archive-only", write(home.folder / "a.mseed", series(samples(), START)))
    output, elsewhere = home.folder / "sds", home.folder / "elsewhere"
    elsewhere.mkdir()
    (output / "2024").mkdir(parents=True)
    (output / "2024" / "XX").symlink_to(elsewhere)
    message = home.fail("export", "--format", "sds", "--output", output)
    assert "is a link" in message and not list(elsewhere.iterdir()), message


def test_A11_records_of_a_home_filled_in_shares_are_read_from_the_share_that_took_them(home):
    folder = home.folder / "records"
    whole = []
    for index in range(8):
        data = series(samples(300) + index, START, station=f"S{index}")
        whole.append(data)
        write(folder / f"{index}.mseed", data)
    for share in (1, 2, 3):
        home.succeed("import", "--shard", f"{share}/3", folder)
    out = home.folder / "raw.mseed"
    home.succeed("export", "--format", "raw", "--output", out)
    assert out.read_bytes() == b"".join(whole)
    home.succeed("export", "--format", "raw", "--source", "FDSN:XX_S3__H_H_Z", "--output", out)
    assert out.read_bytes() == whole[3]


def test_B2_stations_without_a_network_take_that_of_the_waveforms(home):
    stations = write(home.folder / "stations.csv", "Latitude,Longitude,Elevation_m,Name\n10,20,30,AAA\n11,20,30,BBB\n12,20,30,LOST\n")
    data = write(home.folder / "data.mseed", series(samples(), START, network="Z7", station="AAA") + series(samples(), START, network="Y1", station="BBB"))
    done = home.run("import", "--stations", stations, data)
    assert done.returncode == 0 and "LOST" in done.stderr and "--network" in done.stderr, done.stderr
    assert {(row["network"], row["station"]) for row in home.query("SELECT network, station FROM network.stations")} == {("Z7", "AAA"), ("Y1", "BBB")}
    server = home.serve()
    text = server.get("/fdsnws/station/1/query?level=station&format=text&network=Z7").text
    assert "\nZ7|AAA|10|20|30" in text and "BBB" not in text
    xml = server.get("/fdsnws/station/1/query?level=station").text
    assert 'code=""' not in xml and 'code="Z7"' in xml
    assert server.get(f"/fdsnws/dataselect/1/query?network=Z7&starttime={START}&endtime=2024-04-02T00:00:00").status_code == 200
    assert server.stop() == 0
    assert 'code=""' not in home.succeed("export", "--format", "stationxml")
    # A later import finds the network in the home.
    home.succeed("import", "--stations", write(home.folder / "again.csv", "Name,Latitude,Longitude,Elevation_m\nAAA,13,20,30\n"))
    assert home.query("SELECT latitude FROM network.stations WHERE station = 'AAA'") == [{"latitude": "13.0"}]


def test_B2_without_waveforms_the_network_is_asked_for(home):
    stations = write(home.folder / "stations.csv", "Latitude,Longitude,Elevation_m,Name\n10,20,30,AAA\n")
    assert "--network" in home.fail("import", "--stations", stations)
    home.succeed("import", "--network", "Q2", "--stations", stations)
    assert [row["network"] for row in home.query("SELECT network FROM network.stations")] == ["Q2"]
    assert "--network" in home.fail("import", "--network", "Q 2", "--stations", stations)


def test_B3_whole_ids_in_place_of_a_code_are_taken_apart_or_refused(home):
    rows = "id,latitude,longitude,elevation_m\nXX.AAA.00.HHZ,10,20,30\nXX.AAA..HHN,10,20,30\nYY.BBB,11,20,30\na.b.c.d.e,1,2,3\n"
    done = home.run("import", "--stations", write(home.folder / "stations.csv", rows))
    assert done.returncode == 0 and "line 5" in done.stderr, done.stderr
    assert {(row["network"], row["station"]) for row in home.query("SELECT network, station FROM network.stations")} == {("XX", "AAA"), ("YY", "BBB")}
    assert {row["source_id"] for row in home.query("SELECT source_id FROM network.channels")} == {"FDSN:XX_AAA_00_H_H_Z", "FDSN:XX_AAA__H_H_N"}


def test_B4_a_flag_of_stations_takes_one_file(home):
    one = write(home.folder / "one.xml", station_xml(network("XX", station("AAA", channel("HHZ")))))
    two = write(home.folder / "two.xml", station_xml(network("YY", station("BBB", channel("HHZ")))))
    data = write(home.folder / "data.mseed", series(samples(), START, station="AAA"))
    report = json.loads(home.succeed("import", "--json", "--stations", one, "--stations", two, data))
    assert report["records"] == 1 and home.count("network.stations") == 2


def test_B10_the_scale_of_channel_text_is_kept_used_and_written_back(home):
    rows = ["XX|AAA||HHZ|10|20|30|0|0|-90|STS-2|600000000|1|M/S|100|2015-01-01T00:00:00|",
            "XX|AAA||HHN|10|20|30|0|0|0|STS-2|0.6|1|nm/s|100|2015-01-01T00:00:00|",
            "XX|AAA||BDF|10|20|30|0|0|0|baro|-51.5|0.5|PA|20|2015-01-01T00:00:00|"]
    home.succeed("import", "--stations", write(home.folder / "stations.txt", "\n".join([FDSN_CHANNELS, *rows]) + "\n"))
    found = {row["channel"]: row["response"] for row in home.query("SELECT channel, response FROM network.channels")}
    assert json.loads(found["HHZ"])["sensitivity"] == 6e8 and json.loads(found["HHN"])["sensitivity"] == pytest.approx(6e8)
    server = home.serve()
    text = server.get("/fdsnws/station/1/query?level=channel&format=text").text
    for scale in ("|600000000|1|M/S|100|", "|0.6|1|nm/s|100|", "|-51.5|0.5|PA|20|"):
        assert scale in text, text
    xml = server.get("/fdsnws/station/1/query?level=response").text
    assert "<Value>600000000</Value>" in xml and "<Name>PA</Name>" in xml
    import obspy
    inventory = obspy.read_inventory(io.BytesIO(xml.encode()))
    assert inventory.get_response("XX.AAA..HHZ", obspy.UTCDateTime(START)).instrument_sensitivity.value == 6e8


def test_B11_two_dashes_are_no_location_wherever_they_stand(home):
    data = series(samples(), START, location="--") + series(samples(), START, location="", channel="HHN")
    data += record3(samples(), START, "FDSN:XX_STA_--_H_H_E")
    document = station_xml(network("XX", station("STA", channel("HHZ", "--"), channel("HHN", "  "), channel("HHE", ""))))
    home.succeed("import", "--stations", write(home.folder / "s.xml", document), write(home.folder / "d.mseed", data))
    expected = {"FDSN:XX_STA__H_H_Z", "FDSN:XX_STA__H_H_N", "FDSN:XX_STA__H_H_E"}
    for table in ("waveform.packets", "waveform.segments", "network.channels"):
        assert {row["source_id"] for row in home.query(f"SELECT DISTINCT source_id FROM {table}")} == expected, table
    for source in ("FDSN:XX_STA_--_H_H_Z", "FDSN:XX_STA__H_H_Z", "XX.STA.--.HHZ", "XX.STA..HHZ"):
        assert home.query(f"SELECT count(*) AS n FROM samples('{source}', '{START}', '2024-04-02')")[0]["n"] != "0", source
        home.succeed("export", "--format", "mseed", "--source", source, "--output", home.folder / "out.mseed")
    server = home.serve()
    window = f"starttime={START}&endtime=2024-04-02T00:00:00"
    for location in ("--", "", "%20%20"):
        answer = server.get(f"/fdsnws/dataselect/1/query?net=XX&sta=STA&loc={location}&cha=HH%3F&{window}")
        assert answer.status_code == 200 and answer.content.count(b"STA") >= 3, location
        assert server.get(f"/fdsnws/station/1/query?loc={location}&level=channel&format=text").text.count("XX|STA||") == 3
    assert '"--"' not in server.get("/fdsnws/station/1/query?level=channel").text


def test_B15_packed_files_are_read_as_they_are(home):
    parts = {name: series(samples(), START, station=name) for name in ("GZ", "BZ", "ZIP1", "ZIP2", "LATE")}
    folder = home.folder / "data"
    write(folder / "a.mseed.gz", gzip.compress(parts["GZ"]))
    write(folder / "b.mseed.bz2", bz2.compress(parts["BZ"]))
    # Records that are not in the order of time.
    late = [parts["LATE"], series(samples(), "2024-03-01T00:00:00", station="LATE")]
    write(folder / "late.mseed.gz", gzip.compress(b"".join(late)))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("one/a.mseed", parts["ZIP1"])
        made.writestr("b.mseed", parts["ZIP2"])
    write(folder / "c.zip", archive.getvalue())
    document = station_xml(network("XX", *(station(name, channel("HHZ")) for name in parts)))
    stations = write(home.folder / "stations.xml.gz", gzip.compress(document.encode("utf-16")))
    home.succeed("import", "--stations", stations, folder)
    assert {row["station"] for row in home.query("SELECT DISTINCT station FROM waveform.segments")} == set(parts)
    assert home.count("waveform.packets") == 6 and home.count("network.stations") == len(parts)
    assert home.count("stream.dead_letters") == 0
    from harness import binary, environment
    import subprocess
    inspected = subprocess.run([binary(), "inspect", "--json", *map(str, sorted(folder.iterdir()))], capture_output=True, text=True, env=environment())
    assert sum(file["records"] for file in json.loads(inspected.stdout)["files"]) == 6, inspected.stderr
    bomb = write(home.folder / "bomb.mseed.bz2", bz2.compress(b"\0" * (300 << 20)))
    message = home.fail("import", bomb)
    assert "unpacks to more than" in message, message


def sac() -> bytes:
    head = np.zeros(70, "<f4").tobytes() + np.zeros(40, "<i4").tobytes() + b" " * 192
    head = bytearray(head)
    head[:4] = np.float32(0.01).tobytes()
    head[304:308], head[340:344] = np.int32(6).tobytes(), np.int32(1).tobytes()
    return bytes(head) + samples().astype("<f4").tobytes()


@pytest.mark.parametrize("content, words", [
    (sac(), "SAC"), (b"WID2 2004/06/09 20:05:59.849", "GSE"), (b"000001V 010080", "dataless SEED"), (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"<q:quakeml xmlns:q='x'/>", "QuakeML"), (b"#\nB050F03     Station:     ANMO\n", "RESP"), (b"\xfd7zXZ\0", "xz"), (b"", "empty"),
    (b"Dear archive, this is no record", "no miniSEED record"), (b"<html>", "web page")])
def test_B15_files_that_hold_no_records_are_named_and_the_status_is_one(home, content, words):
    path = write(home.folder / "given", content)
    assert words in home.fail("import", path)
    assert words in home.fail("import", write(home.folder / "in" / "lies.mseed", content).parent)


def test_B15_catalogues_and_stations_of_all_dresses_are_read(home):
    for name, content in [
            ("cr.csv", "Network,Station,Latitude,Longitude,Elevation_m\rXX,CR,1,2,3\r"),
            ("comment.csv", "# mine, of 2024\nNetwork,Station,Latitude,Longitude,Elevation_m\nXX,CO,1,2,3\n"),
            ("utf16.csv", "Network,Station,Latitude,Longitude,Elevation_m\nXX,UT,1,2,3\n".encode("utf-16")),
            ("comma.csv", "Network;Station;Latitude;Longitude;Elevation_m\nXX;DE;1,5;2,5;3\n")]:
        home.succeed("import", "--stations", write(home.folder / name, content))
    assert {row["station"] for row in home.query("SELECT station FROM network.stations")} == {"CR", "CO", "UT", "DE"}
    assert home.query("SELECT latitude FROM network.stations WHERE station = 'DE'") == [{"latitude": "1.5"}]
    feature = {"type": "Feature", "id": "x", "properties": {"mag": 2.9, "time": 1714521660019},
               "geometry": {"type": "Point", "coordinates": [10.03, 45.02, 10]}}
    collection = json.dumps({"type": "FeatureCollection", "features": [feature]})
    for content in (f"eqfeed_callback({collection});", gzip.compress(collection.encode()), collection.encode("utf-16"),
                    "time;latitude;longitude;depth;mag\n2024-05-01T00:01:00,019;45,02;10,03;10;2,9\n"):
        report = json.loads(home.succeed("compare", "--json", "--reference", write(home.folder / "reference", content)))
        assert report["reference_count"] == 1
    for content, words in [(b"000001V 0100802", "dataless SEED"), (sac(), "SAC"), (series(samples(), START), "miniSEED")]:
        assert words in home.fail("import", "--stations", write(home.folder / "wrong", content))
        assert words in home.fail("compare", "--reference", home.folder / "wrong")


def test_B28_a_network_is_written_once_however_often_it_was_said(home):
    for index in range(5):
        document = station_xml(network("XX", station(f"S{index}", channel("HHZ")), start=f"200{index}-01-01T00:00:00"),
                               network("XX", station(f"T{index}", channel("HHZ")), start=f"200{index}-01-01T00:00:00"))
        home.succeed("import", "--stations", write(home.folder / "stations.xml", document))
    document = home.succeed("export", "--format", "stationxml")
    assert document.count("<Network ") == 1 and document.count("<Station ") == 10
    assert 'startDate="2000-01-01T00:00:00' in document.split("<Network ")[1].split(">")[0]
    server = home.serve()
    for level in ("network", "station", "channel", "response"):
        assert server.get(f"/fdsnws/station/1/query?level={level}").text.count("<Network ") == 1
    text = server.get("/fdsnws/station/1/query?level=network&format=text").text
    assert text.count("\nXX|") == 1 and text.rstrip().endswith("|10"), text


def test_B33_the_last_of_two_rows_of_a_station_counts_in_every_form(home):
    csv = "Network,Station,Latitude,Longitude,Elevation_m\nXX,DUP,10,20,100\nXX,DUP,11,21,200\n"
    text = "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime\nXX|DUP|10|20|100|||\nXX|DUP|12|21|200|||\n"
    xml = station_xml(network("XX", station("DUP", latitude=10).replace(' startDate="2020-01-01T00:00:00"', ""),
                              station("DUP", latitude=13).replace(' startDate="2020-01-01T00:00:00"', "")))
    for name, content, latitude in (("a.csv", csv, "11.0"), ("b.txt", text, "12.0"), ("c.xml", xml, "13.0")):
        done = home.run("import", "--stations", write(home.folder / name, content))
        assert done.returncode == 0 and "XX.DUP" in done.stderr and "the last, counts" in done.stderr, done.stderr
        assert [row["latitude"] for row in home.query("SELECT latitude FROM network.stations")] == [latitude], name


def test_round_trip_what_comes_in_by_one_door_comes_out_by_the_others(home, tmp_path):
    rows = ["XX|AAA||HHZ|10.25|-20.5|30.75|1.5|0|-90|STS-2, \"old\"|600000000|1|m/s|100|2015-01-01T00:00:00.000|",
            "XX|AAA|00|HHN|10.25|-20.5|30.75|0|12.5|0|||||99.5|2015-01-01T00:00:00.000|2020-02-29T23:59:59.999",
            "YY|B-1|10|BDF|-90|180|-11000|0|||baro é|-51.5|0.5|Pa|20|1999-12-31T00:00:00.123456|"]
    home.succeed("import", "--stations", write(home.folder / "in.txt", "\n".join([FDSN_CHANNELS, *rows]) + "\n"))
    server = home.serve()
    text = server.get("/fdsnws/station/1/query?level=channel&format=text").text
    assert sorted(text.splitlines()[1:]) == sorted(rows)
    xml = server.get("/fdsnws/station/1/query?level=response").text
    (tmp_path / "two").mkdir()
    other = Home(tmp_path / "two")
    try:
        second = other.serve()
        answer = second.post("/stations", data=xml.encode(), headers={"Content-Type": "application/xml"})
        assert answer.status_code == 200 and answer.json()["problem_count"] == 0, answer.text
        again = second.get("/fdsnws/station/1/query?level=channel&format=text").text
        assert sorted(again.splitlines()[1:]) == sorted(rows)
        assert second.stop() == 0
        columns = "source_id, latitude, longitude, elevation_m, depth_m, azimuth, dip, sample_rate_hz, sensor, start_time, end_time, response"
        query = f"SELECT {columns} FROM network.channels ORDER BY source_id, start_time"
        assert other.query(query) == home.query(query)
    finally:
        other.close()


def test_compare_leaves_out_events_that_were_rejected(home):
    def event(name, status, kind="earthquake"):
        return (f'<event publicID="smi:x/{name}"><type>{kind}</type><origin publicID="smi:x/o{name}"><time><value>2024-04-01T00:00:00Z</value></time>'
                f"<latitude><value>1</value></latitude><longitude><value>2</value></longitude><evaluationStatus>{status}</evaluationStatus></origin></event>")
    events = event("a", "rejected") + event("b", "confirmed") + event("c", "final", "explosion") + event("d", "final", "not locatable")
    document = f'<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><eventParameters>{events}</eventParameters></q:quakeml>'
    table = ("time,latitude,longitude,status,type\n2024-04-01,1,2,rejected,earthquake\n2024-04-01,1,2,reviewed,earthquake\n"
             "2024-04-01,1,2,automatic,quarry blast\n2024-04-01,1,2,deleted,earthquake\n")
    home.succeed("import", "--archive-only", write(home.folder / "a.mseed", series(samples(), START)))
    for content in (document, table):
        report = json.loads(home.succeed("compare", "--json", "--from", "2024-03-01", "--to", "2024-05-01", "--reference", write(home.folder / "r", content)))
        assert report["reference_count"] + report["common"]["reference_other"] + report["common"]["reference_outside"] == 4, report
        assert report["reference_count"] == 1 and report["common"]["reference_other"] == 3, report
