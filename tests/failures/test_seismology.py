"""Poles, the date line, the sea floor, two versions of one hour, changed settings: from waveforms to the bulletin."""

import csv
import io
import json
import math
import subprocess

import numpy as np
import pytest
from harness import binary, environment, wait_until
from records import FLOAT64, ns, record, record3, series

RATE = 50
P_KM_S, S_KM_S = 5.8, 3.36


def destination(latitude, longitude, azimuth, km):
    """The place so far from another on a sphere; at a pole every direction is a longitude."""
    d = km / 6371.0
    if abs(latitude) == 90:
        return math.copysign(90 - math.degrees(d), latitude), (azimuth + 540) % 360 - 180
    la, lo, az = map(math.radians, (latitude, longitude, azimuth))
    la2 = math.asin(math.sin(la) * math.cos(d) + math.cos(la) * math.sin(d) * math.cos(az))
    lo2 = lo + math.atan2(math.sin(az) * math.sin(d) * math.cos(la), math.cos(d) - math.sin(la) * math.sin(la2))
    return math.degrees(la2), (math.degrees(lo2) + 540) % 360 - 180


def distance_km(one, other):
    la, lo, la2, lo2 = map(math.radians, (*one, *other))
    chord = math.sin((la2 - la) / 2) ** 2 + math.cos(la) * math.cos(la2) * math.sin((lo2 - lo) / 2) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(chord)))


def ring(latitude, longitude, radius_km=60.0, count=10, elevation_m=lambda index: 0.0):
    """Stations around a place, at distances from a quarter of the radius on."""
    stations = []
    for index in range(count):
        share = 0.25 + 0.75 * ((index * 7) % count) / count
        place = destination(latitude, longitude, 360 * index / count + 5, radius_km * share)
        stations.append((f"S{index:02}", *place, elevation_m(index)))
    return stations


def stations_xml(stations, network="XX"):
    """StationXML with a flat response above half a hertz: amplitudes and magnitudes need one."""
    def channel(code, latitude, longitude, elevation, azimuth, dip):
        return (f'<Channel code="{code}" locationCode="" startDate="2000-01-01T00:00:00"><Latitude>{latitude}</Latitude>'
                f"<Longitude>{longitude}</Longitude><Elevation>{elevation}</Elevation><Depth>0</Depth><Azimuth>{azimuth}</Azimuth>"
                f"<Dip>{dip}</Dip><SampleRate>{RATE}</SampleRate><Response><InstrumentSensitivity><Value>6e8</Value>"
                "<Frequency>1</Frequency><InputUnits><Name>M/S</Name></InputUnits><OutputUnits><Name>COUNTS</Name></OutputUnits>"
                '</InstrumentSensitivity><Stage number="1"><PolesZeros><InputUnits><Name>M/S</Name></InputUnits>'
                "<OutputUnits><Name>COUNTS</Name></OutputUnits><PzTransferFunctionType>LAPLACE (RADIANS/SECOND)</PzTransferFunctionType>"
                "<NormalizationFactor>1</NormalizationFactor><NormalizationFrequency>1</NormalizationFrequency>"
                '<Zero number="0"><Real>0</Real><Imaginary>0</Imaginary></Zero><Zero number="1"><Real>0</Real><Imaginary>0</Imaginary></Zero>'
                '<Pole number="0"><Real>-0.037</Real><Imaginary>0.037</Imaginary></Pole><Pole number="1"><Real>-0.037</Real>'
                "<Imaginary>-0.037</Imaginary></Pole></PolesZeros><StageGain><Value>6e8</Value><Frequency>1</Frequency></StageGain>"
                "</Stage></Response></Channel>")
    text = ""
    for code, latitude, longitude, elevation in stations:
        inner = "".join(channel("HH" + c, latitude, longitude, elevation, {"Z": 0, "N": 0, "E": 90}[c], -90 if c == "Z" else 0)
                        for c in "ZNE")
        text += (f'<Station code="{code}" startDate="2000-01-01T00:00:00"><Latitude>{latitude}</Latitude>'
                 f"<Longitude>{longitude}</Longitude><Elevation>{elevation}</Elevation><Site><Name>x</Name></Site>{inner}</Station>")
    return ('<?xml version="1.0"?><FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1">'
            f'<Source>x</Source><Created>2024-01-01T00:00:00</Created><Network code="{network}">{text}</Network></FDSNStationXML>')


def waveforms(stations, events, start="2024-05-01T00:00:00", seconds=150, network="XX", per_record=500):
    """Records of three components: noise, and for each event (latitude, longitude, depth_km, after_s, size) a P and an S."""
    random = np.random.default_rng(3)
    time = np.arange(int(seconds * RATE)) / RATE
    parts = []
    for code, latitude, longitude, elevation in stations:
        waves = {component: random.standard_normal(len(time)) * 20 for component in "ZNE"}
        for lat, lon, depth, after, size in events:
            km = math.hypot(distance_km((lat, lon), (latitude, longitude)), depth + elevation / 1000)
            amplitude = 20000 * size * (30 / max(km, 5)) ** 1.2
            for onset, hertz, gains in ((after + km / P_KM_S, 8.0, (0.5, 0.1, 0.1)), (after + km / S_KM_S, 5.0, (0.3, 1.0, 0.9))):
                since = time - onset
                on = since > 0
                wave = np.sin(2 * np.pi * hertz * since[on]) * np.exp(-since[on] / 1.2) * (1 - np.exp(-since[on] / 0.02))
                for component, gain in zip("ZNE", gains):
                    waves[component][on] += amplitude * gain * wave
        for component in "ZNE":
            parts.append(series(np.round(waves[component]).astype(int), start, per_record=per_record, factor=RATE,
                                network=network, station=code, channel="HH" + component))
    return b"".join(parts)


def import_network(home, stations, events, *arguments, **more):
    folder = home.folder / "waves"
    folder.mkdir(exist_ok=True)
    (folder / "all.mseed").write_bytes(waveforms(stations, events, **more))
    (home.folder / "stations.xml").write_text(stations_xml(stations))
    return home.succeed("import", *arguments, "--stations", home.folder / "stations.xml", "--", folder)


def located(home):
    return [(float(row["latitude"]), float(row["longitude"]), float(row["depth_km"]))
            for row in home.query("SELECT latitude, longitude, depth_km FROM bulletin.events_current ORDER BY origin_time")]


@pytest.mark.parametrize("latitude,longitude", [(90.0, 0.0), (-90.0, 0.0), (89.9, 120.0), (-89.6, -60.0), (89.0, 10.0), (-88.2, 180.0)])
def test_A2_earthquakes_at_the_poles_are_found_once_each(home, latitude, longitude):
    stations = ring(latitude, longitude)
    events = [(*destination(latitude, longitude, 100, 7), 10.0, 30.0, 1.0), (*destination(latitude, longitude, -60, 11), 8.0, 90.0, 1.0)]
    import_network(home, stations, events)
    found = located(home)
    assert len(found) == 2, found
    for (lat, lon, depth, *_), (found_lat, found_lon, found_depth) in zip(events, found):
        assert abs(found_lat) <= 90 and abs(found_lon) <= 180
        assert distance_km((lat, lon), (found_lat, found_lon)) < 2 and abs(found_depth - depth) < 4
    # The home goes on: its messages can be read, its doors answer.
    assert home.count("stream.dead_letters") == 0
    document = home.succeed("export", "--format", "quakeml")
    assert "nan" not in document.lower() and "inf<" not in document.lower()


def test_A2_numbers_that_are_none_become_dead_letters_and_the_home_goes_on(home):
    folder = home.folder / "wild"
    folder.mkdir()
    random = np.random.default_rng(1)
    samples = random.standard_normal(6000)
    samples[3000:4000] *= 1e306
    samples[5000:5200] = 1e308
    for channel in ("HHZ", "HHN", "HHE"):
        (folder / f"{channel}.mseed").write_bytes(
            series(samples, "2024-05-01T00:00:00", per_record=500, encoding=FLOAT64, station="WILD", channel=channel))
    (home.folder / "wild.xml").write_text(stations_xml([("WILD", 10.0, 20.0, 0.0)]))
    home.succeed("import", "--stations", home.folder / "wild.xml", "--", folder)
    import_network(home, ring(10.0, 20.0), [(10.05, 20.02, 10.0, 30.0, 1.0)])
    assert len(located(home)) == 1


def test_A12_a_network_across_the_date_line_finds_what_one_beside_it_finds(tmp_path):
    from harness import Home

    found = []
    for name, west in (("across", 178.6), ("beside", 40.0)):
        home = Home(tmp_path / name)
        home.folder.mkdir()
        stations = [(f"S{index}", -17.0 + north, (west + east + 180) % 360 - 180, 0.0)
                    for index, (east, north) in enumerate([(0, 0), (0.5, 0.45), (1.0, -0.4), (1.5, 0.35), (2.1, -0.1), (0.8, 0.1)])]
        epicentre = (-16.9, (west + 1.1 + 180) % 360 - 180)
        import_network(home, stations, [(*epicentre, 20.0, 20.0, 2.0)], seconds=120)
        events = located(home)
        assert len(events) == 1, (name, events)
        assert distance_km(epicentre, events[0][:2]) < 5
        found.append(home.query("SELECT used_phase_count, azimuthal_gap FROM bulletin.origins")[0])
    assert found[0]["used_phase_count"] == found[1]["used_phase_count"]
    assert abs(float(found[0]["azimuthal_gap"]) - float(found[1]["azimuthal_gap"])) < 2


@pytest.mark.parametrize("elevation", [lambda index: -5000.0, lambda index: 3600.0 + 250 * index, lambda index: -10500.0])
def test_item6_stations_below_the_sea_and_above_4000_m_hear_events(home, elevation):
    stations = ring(10.0, 140.0, elevation_m=elevation)
    depth = 14.0 + max(0.0, -elevation(0) / 1000)
    import_network(home, stations, [(10.05, 140.03, depth, 30.0, 1.0)])
    found = located(home)
    assert len(found) == 1
    assert distance_km((10.05, 140.03), found[0][:2]) < 3 and abs(found[0][2] - depth) < 6


@pytest.mark.parametrize("better,worse", [("Q", "D"), ("M", "R"), ("D", "R")])
def test_A5_two_versions_of_the_same_hour_are_not_picked_alternately(home, better, worse):
    samples = (np.sin(np.arange(60000) * 2 * np.pi / 500) * 1000).astype(int)
    folder = home.folder / "versions"
    folder.mkdir()
    for quality, shift_ns in ((worse, 0), (better, -70_000_000)):
        parts = [record(samples[i:i + 1000], ns("2024-04-01T00:00:00") + i * 10_000_000 + shift_ns, station="OBS1", quality=quality)
                 for i in range(0, len(samples), 1000)]
        (folder / f"{quality}.mseed").write_bytes(b"".join(parts))
    home.succeed("import", folder)
    assert home.count("bulletin.picks") <= 1


def test_A5_publication_versions_and_two_recordings_of_one_quality_are_no_arrivals(home):
    samples = (np.sin(np.arange(30000) * 2 * np.pi / 500) * 1000).astype(int)
    folder = home.folder / "versions"
    folder.mkdir()
    for version, shift_us in ((1, 0), (7, 130_000)):
        parts = []
        for i in range(0, len(samples), 1000):
            moment = f"2024-04-01T00:{i // 6000:02}:{i // 100 % 60:02}.{shift_us:06}"
            parts.append(record3(samples[i:i + 1000], moment, "FDSN:XX_NEW__H_H_Z", version=version))
        (folder / f"{version}.mseed").write_bytes(b"".join(parts))
    for name, shift_ns in (("one", 0), ("other", -70_000_000)):
        parts = [record(samples[i:i + 1000], ns("2024-04-01T00:00:00") + i * 10_000_000 + shift_ns, station="SAME")
                 for i in range(0, len(samples), 1000)]
        (folder / f"{name}.mseed").write_bytes(b"".join(parts))
    home.succeed("import", folder)
    assert home.count("bulletin.picks") <= 3


def test_A13_changed_picker_settings_reach_stations_that_are_known(home):
    stations = ring(10.0, 20.0, count=4)
    event = (10.05, 20.02, 10.0, 40.0, 1.0)

    def live(settings, start):
        server = home.serve(settings=settings)
        assert server.ingest(waveforms(stations, [event], start=start, seconds=120)).status_code == 200
        return server

    deaf = "[pick]\np_snr_min = 1e9\ns_snr_min = 1e9\nweak_s_snr_min = 1e9\n"
    server = live(deaf, "2024-05-01T00:00:00")
    wait_until(lambda: home.count("waveform.packets") >= 4 * 3 * 12)
    server.stop()
    assert home.count("bulletin.picks") == 0
    server = live("", "2024-05-01T00:02:00")
    wait_until(lambda: home.count("bulletin.picks") >= 8)
    server.stop()
    assert home.count("bulletin.picks", "pick_time < TIMESTAMP '2024-05-01T00:01:50Z'") == 0


def test_B31_one_station_gives_a_magnitude_without_an_uncertainty(home):
    settings = home.folder / "one.toml"
    settings.write_text("[magnitude]\nstations_min = 1\n")
    stations = ring(10.0, 20.0)
    event = (10.05, 20.02, 10.0, 30.0, 1.0)
    # Of all stations but one only the verticals are there.
    folder = home.folder / "waves"
    folder.mkdir()
    (folder / "one.mseed").write_bytes(waveforms(stations[:1], [event]))
    others = waveforms(stations[1:], [event])
    kept = [others[at:at + 4096] for at in range(0, len(others), 4096)]
    (folder / "others.mseed").write_bytes(b"".join(one for one in kept if one[15:18] == b"HHZ"))
    (home.folder / "stations.xml").write_text(stations_xml(stations))
    home.succeed("import", "--config", settings, "--stations", home.folder / "stations.xml", "--", folder)
    rows = home.query("SELECT magnitude, uncertainty, station_count FROM bulletin.magnitudes")
    assert [(row["uncertainty"], row["station_count"]) for row in rows] == [("", "1")], rows
    document = home.succeed("export", "--format", "quakeml")
    magnitude = document[document.index("<magnitude "):]
    magnitude = magnitude[:magnitude.index("</mag>")]
    assert "<value>" in magnitude and "uncertainty" not in magnitude
    server = home.serve()
    answer = server.graphql("{ events { edges { node { magnitudes { magnitude uncertainty stationCount } } } } }")
    found = answer["data"]["events"]["edges"][0]["node"]["magnitudes"]
    assert found[0]["uncertainty"] is None and found[0]["stationCount"] == 1, answer


@pytest.fixture(scope="module")
def quiet_home(tmp_path_factory):
    """Two minutes with two earthquakes on both sides of the date line."""
    from harness import Home

    home = Home(tmp_path_factory.mktemp("quiet"))
    epicentres = [(52.03, 179.95), (51.96, -179.92)]
    events = [(*epicentres[0], 10.0, 30.0, 1.0), (*epicentres[1], 10.0, 90.0, 1.0)]
    import_network(home, ring(52.0, 180.0), events)
    assert len(located(home)) == 2
    yield home
    home.close()


def test_B29_the_box_of_events_across_the_date_line_is_not_the_whole_earth(quiet_home):
    west, south, _, east, north, _ = json.loads(quiet_home.succeed("export", "--format", "geojson"))["bbox"]
    assert 179 < west < 180 and -180 < east < -179 and south < north, (west, east)
    server = quiet_home.serve()
    boxes = ["minlongitude=179&maxlongitude=-179", "minlongitude=179&maxlongitude=181", "minlongitude=-181&maxlongitude=-179"]
    for box in boxes:
        text = server.get(f"/fdsnws/event/1/query?format=text&{box}").text
        assert len(text.strip().splitlines()) == 3, (box, text)
        stations = server.get(f"/fdsnws/station/1/query?format=text&level=station&{box}").text
        assert len(stations.strip().splitlines()) == 11, (box, stations)
    assert server.get("/fdsnws/event/1/query?format=text&minlongitude=-179&maxlongitude=179").status_code == 204
    document = "{ events(filter: {within: {box: {latitudeMin: 50, latitudeMax: 53, longitudeMin: 179, longitudeMax: -179}}}) { edges { node { eventId } } } }"
    assert len(server.graphql(document)["data"]["events"]["edges"]) == 2


def quakeml_event(number, moment, kind="earthquake", latitude=52.03, longitude=179.95, magnitudes=""):
    return (f'<event publicID="smi:x/e{number}"><preferredOriginID>smi:x/o{number}</preferredOriginID><type>{kind}</type>'
            f'<origin publicID="smi:x/old{number}"><time><value>{moment}</value></time><latitude><value>0</value></latitude>'
            f'<longitude><value>0</value></longitude></origin><origin publicID="smi:x/o{number}"><time><value>{moment}</value></time>'
            f"<latitude><value>{latitude}</value></latitude><longitude><value>{longitude}</value></longitude>"
            f"<depth><value>10000</value></depth></origin>{magnitudes}</event>")


def test_B26_a_long_catalogue_is_compared_over_the_time_that_both_cover(quiet_home):
    def magnitude(number, origin, value):
        return (f'<magnitude publicID="smi:x/{origin}m{number}"><mag><value>{value}</value></mag>'
                f"<originID>smi:x/{origin}{number}</originID></magnitude>")
    events = [quakeml_event(1, "2024-05-01T00:00:30Z", magnitudes=magnitude(1, "old", 9.0) + magnitude(1, "o", 2.5)),
              quakeml_event(2, "2024-05-01T00:01:30Z", latitude=51.96, longitude=-179.92),
              quakeml_event(3, "2024-05-01T00:01:00Z", kind="quarry blast"),
              quakeml_event(4, "2024-05-01T00:01:10Z", kind="not existing"),
              quakeml_event(5, "2024-05-01T00:01:20Z", kind="explosion")]
    events += [quakeml_event(100 + i, f"20{10 + i % 14}-03-01T00:{i % 60:02}:00Z") for i in range(300)]
    reference = quiet_home.folder / "reference.xml"
    reference.write_text('<?xml version="1.0"?><q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" '
                         'xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters publicID="smi:x/p">'
                         + "".join(events) + "</eventParameters></q:quakeml>")
    answer = json.loads(quiet_home.succeed("compare", "--json", "--reference", reference))
    assert (answer["reference_count"], answer["matched"], answer["recall"], answer["precision"]) == (2, 2, 1.0, 1.0), answer
    assert answer["common"]["reference_outside"] == 300 and answer["common"]["reference_other"] == 3
    assert answer["common"]["from"].startswith("2024-05-01T00:00:00")
    text = quiet_home.succeed("compare", "--reference", reference)
    assert "the time that both cover" in text and "300 events of the reference" in text and "no earthquakes" in text
    differences = [pair["magnitude"] for pair in answer["pairs"] if pair["reference_id"] == "smi:x/e1"]
    assert differences and differences[0] is not None and abs(differences[0]) < 5, "the magnitude of the preferred origin"


def quality(home, *arguments):
    first, *rest = [str(argument) for argument in arguments]
    done = subprocess.run([binary(), "quality", first, "--home", str(home.path), *rest], capture_output=True, text=True,
                          timeout=120, env=environment())
    assert done.returncode == 0, done.stderr[-2000:]


def test_B27_the_rest_of_the_day_is_no_gap_of_four_hours(home):
    folder = home.folder / "hours"
    folder.mkdir()
    samples = np.arange(4 * 3600)
    (folder / "a.mseed").write_bytes(series(samples, "2024-06-01T02:00:00", per_record=1000, factor=1, station="A"))
    half = series(samples[:7200], "2024-06-01T02:00:00", per_record=1000, factor=1, station="B")
    (folder / "b.mseed").write_bytes(half)
    home.succeed("import", "--archive-only", folder)
    quality(home, "update")
    output = home.folder / "report"

    def fractions(*arguments):
        quality(home, "report", "--output", output, *arguments)
        rows = csv.DictReader(io.StringIO((output / "continuity.csv").read_text()))
        return {row["source_id"]: int(row["sample_count"]) / int(row["expected_count"]) for row in rows}

    found = fractions()
    assert found["FDSN:XX_A__H_H_Z"] == pytest.approx(1.0, abs=1e-3) and found["FDSN:XX_B__H_H_Z"] == pytest.approx(0.5, abs=1e-3)
    assert "100.000 %" in (output / "continuity.svg").read_text()
    asked = fractions("--from", "2024-06-01T03:00:00Z", "--to", "2024-06-01T05:00:00Z")
    assert asked["FDSN:XX_A__H_H_Z"] == pytest.approx(1.0, abs=1e-3) and asked["FDSN:XX_B__H_H_Z"] == pytest.approx(0.5, abs=1e-3)
    day = fractions("--from", "2024-06-01T00:00:00Z", "--to", "2024-06-02T00:00:00Z")
    assert day["FDSN:XX_A__H_H_Z"] == pytest.approx(1 / 6, abs=1e-3), "what is asked for counts"


def test_6_16_channels_beyond_the_limit_of_a_station_are_named(home):
    folder = home.folder / "many"
    folder.mkdir()
    parts = [series(np.arange(500), "2024-06-01T00:00:00", per_record=500, station="MANY", location=f"{index:02}") for index in range(50)]
    (folder / "all.mseed").write_bytes(b"".join(parts))
    home.succeed("import", folder)
    letters = home.query("SELECT reason FROM stream.dead_letters")
    refused = [row for row in letters if "is not picked" in row["reason"]]
    assert len(refused) == 2, letters
    assert home.count("waveform.packets") == 50


BULLETIN = {"picks": "pick_id", "arrivals": "arrival_id", "origins": "origin_id", "magnitudes": "magnitude_id", "amplitudes": "amplitude_id"}


def test_A5_the_same_samples_in_other_records_say_nothing_new(home, tmp_path):
    """An archive is read once more after its records were cut otherwise, into the same home, by import and by a server."""
    made = home.run("demo", "--exit", "--minutes", 4, "--seed", 11)
    assert made.returncode in (0, 1), made.stderr
    tables = {table: home.query(f"SELECT * FROM bulletin.{table} ORDER BY {key}") for table, key in BULLETIN.items()}
    events = home.query("SELECT * FROM bulletin.events ORDER BY event_id, revision")
    assert tables["picks"] and events
    archive = tmp_path / "archive"
    home.succeed("export", "--format", "sds", "--output", archive)
    records = b"".join(path.read_bytes() for path in sorted(archive.rglob("*")) if path.is_file())
    report = json.loads(home.succeed("import", "--json", archive))
    assert report["accepted_records"] > 0, "the records were not cut otherwise"

    def unchanged(how):
        for table, key in BULLETIN.items():
            rows = home.query(f"SELECT * FROM bulletin.{table} ORDER BY {key}")
            assert rows == tables[table], f"{how}: {len(rows)} rows of {table} instead of {len(tables[table])}"
        assert home.query("SELECT * FROM bulletin.events ORDER BY event_id, revision") == events, how

    unchanged("import")
    # The same by the door of a server, in records of one second.
    single = tmp_path / "second.mseed"
    home.succeed("export", "--format", "mseed3", "--output", single)
    server = home.serve(settings="[lake]\ncommit_interval_s = 0.5\n")
    for body in (records, single.read_bytes()):
        answer = server.ingest(body)
        assert answer.status_code == 200, answer.text[:300]
    assert server.stop() == 0
    unchanged("server")


def test_stations_of_one_time_in_two_imports_are_told(home):
    """An event is declared from the records of one import: who brings the other stations later is told what came of it."""
    stations = [(f"S{index:02}", 40 + 0.2 * (index % 4), 20 + 0.2 * (index // 4), 0.0) for index in range(12)]
    (home.folder / "stations.xml").write_text(stations_xml(stations))
    reports = []
    for part, some in (("first", stations[:6]), ("second", stations[6:])):
        folder = home.folder / part
        folder.mkdir()
        (folder / "all.mseed").write_bytes(waveforms(some, [(40.3, 20.2, 8.0, 60.0, 1.0)]))
        reports.append(json.loads(home.succeed("import", "--json", "--stations", home.folder / "stations.xml", "--", folder)))
    first, second = reports
    assert first["rows"]["events"] == 1 and not any("together" in reason for reason in first["reasons"]), first
    told = any("may be the same" in reason and "together" in reason for reason in second["reasons"])
    assert told == (second["rows"]["events"] > 1), second
    again = json.loads(home.succeed("import", "--json", "--stations", home.folder / "stations.xml", "--", home.folder / "second"))
    assert again["accepted_records"] == 0 and not any("together" in reason for reason in again["reasons"]), again
