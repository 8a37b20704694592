"""ObsPy's FDSN client reads events, waveforms, stations with responses, and a mass download."""

import csv
import io
import json
import pathlib
import sys
import tempfile
import urllib.error
import urllib.request
import warnings

import numpy
from obspy import UTCDateTime, read, read_inventory
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import FDSNBadRequestException, FDSNNoDataException
from obspy import read_events
from obspy.io.quakeml.core import _validate
from obspy.clients.fdsn.mass_downloader import MassDownloader, RectangularDomain, Restrictions

context = json.load(sys.stdin)
base = f"http://{context['http']}"


def check_events(client):
    events = client.get_events(starttime=UTCDateTime(1970, 1, 1), endtime=UTCDateTime(2100, 1, 1), includearrivals=True)
    text = urllib.request.urlopen(f"{base}/fdsnws/event/1/query?format=text&starttime=1970-01-01").read().decode()
    rows = list(csv.reader(io.StringIO(text), delimiter="|"))[1:]
    assert len(events) == len(rows) > 0, (len(events), len(rows))
    for event in events:
        origin = event.preferred_origin()
        assert origin is not None and origin.depth_errors.uncertainty > 0 and origin.quality.azimuthal_gap is not None
        assert len(event.picks) >= len(origin.arrivals) > 0
        assert -10_000 <= origin.depth < 100_000, "QuakeML depths are metres, above sea level negative"
        assert (origin.evaluation_mode, origin.evaluation_status) == ("automatic", "preliminary"), origin
        assert origin.creation_info.agency_id == event.creation_info.agency_id == "seislake"
        # Stream time: of the youngest sample that it rests on.
        assert 0 < origin.creation_info.creation_time - origin.time < 600, origin.creation_info
        assert all(pick.creation_info.agency_id and pick.evaluation_mode == "automatic" for pick in event.picks)
    # The document is what the standard says, and says the same when ObsPy has read and written it.
    url = f"{base}/fdsnws/event/1/query?starttime=1970-01-01&includearrivals=true&includeallorigins=true"
    document = urllib.request.urlopen(url).read()
    assert _validate(io.BytesIO(document), verbose=True)
    again = io.BytesIO()
    read_events(io.BytesIO(document)).write(again, "QUAKEML", validate=True)
    again.seek(0)
    key = lambda event: str(event.resource_id)
    for one, other in zip(sorted(read_events(io.BytesIO(document)), key=key), sorted(read_events(again), key=key), strict=True):
        assert one.preferred_origin() == other.preferred_origin() and one.picks == other.picks
        assert one.magnitudes == other.magnitudes and one.creation_info == other.creation_info
    strongest = max(event.preferred_magnitude().mag for event in events if event.preferred_magnitude())
    some = client.get_events(minmagnitude=strongest - 0.01, orderby="magnitude", limit=1)
    assert len(some) == 1 and abs(some[0].preferred_magnitude().mag - strongest) < 1e-6
    try:
        client.get_events(starttime=UTCDateTime(1971, 1, 1), endtime=UTCDateTime(1971, 1, 2))
        raise SystemExit("events in 1971")
    except FDSNNoDataException:
        pass


def check_waveforms(client):
    """Every channel whole, a window at sample precision, bulk, and what is refused."""
    everything = client.get_waveforms("*", "*", "*", "*", UTCDateTime(1970, 1, 1), UTCDateTime(2100, 1, 1))
    counted = {}
    for trace in everything:
        counted[trace.id] = counted.get(trace.id, 0) + trace.stats.npts
    expected = {}
    for source_id, count in context["samples"].items():
        network, station, location, *channel = source_id.removeprefix("FDSN:").split("_")
        expected[".".join([network, station, location, "".join(channel)])] = count
    assert counted == expected, {key: (counted.get(key), expected[key]) for key in expected if counted.get(key) != expected[key]}

    for letter in "DRQ":
        expected_count = sum(trace.stats.npts for trace in everything if trace.stats.mseed.dataquality == letter)
        try:
            chosen = client.get_waveforms("*", "*", "*", "*", UTCDateTime(1970, 1, 1), UTCDateTime(2100, 1, 1), quality=letter)
        except FDSNNoDataException:
            chosen = []
        assert sum(trace.stats.npts for trace in chosen) == expected_count, letter

    whole = max(everything, key=lambda trace: trace.stats.npts)
    stats = whole.stats
    start = stats.starttime + 10.005
    window = client.get_waveforms(stats.network, stats.station, stats.location or "--", stats.channel, start, start + 20)
    cut = whole.slice(start, start + 20, nearest_sample=False)
    assert len(window) == 1 and window[0].stats.starttime == cut.stats.starttime, (window, cut)
    assert numpy.array_equal(window[0].data, cut.data)
    located = client.get_waveforms(stats.network, stats.station, "", stats.channel[:2] + "?", start, start + 5,
                                   minimumlength=1, longestonly=True, quality="B")
    assert len(located) == len({trace.id for trace in located}) >= 1
    ids = sorted(counted)[:6]
    bulk = [(*identifier.split("."), start, start + 5 + index) for index, identifier in enumerate(ids)]
    bulk = [(network, station, location or "--", channel, t0, t1) for network, station, location, channel, t0, t1 in bulk]
    answer = client.get_waveforms_bulk(bulk, minimumlength=0.5)
    for index, identifier in enumerate(ids):
        reference = everything.select(id=identifier).slice(start, start + 5 + index, nearest_sample=False)
        found = answer.select(id=identifier)
        assert sum(trace.stats.npts for trace in found) == sum(trace.stats.npts for trace in reference) > 0, identifier
    with tempfile.NamedTemporaryFile(suffix=".mseed") as file:
        client.get_waveforms(stats.network, stats.station, stats.location or "--", stats.channel, start, start + 20,
                             filename=file.name)
        assert numpy.array_equal(read(file.name)[0].data, cut.data)
    try:
        client.get_waveforms("ZZ", "*", "*", "*", start, start + 1)
        raise SystemExit("waveforms of network ZZ")
    except FDSNNoDataException:
        pass
    try:
        urllib.request.urlopen(f"{base}/fdsnws/dataselect/1/query?starttime=never")
        raise SystemExit("a start time of never was answered")
    except urllib.error.HTTPError as error:
        body = error.read().decode()
        assert error.code == 400 and body.startswith("Error 400: Bad Request") and "never" in body, body


def codes(inventory) -> set:
    return {(network.code, station.code) for network in inventory for station in network}


def check_schema(client):
    """What every level answers is StationXML 1.2 by the schema."""
    import obspy.io.stationxml
    from lxml import etree

    folder = pathlib.Path(obspy.io.stationxml.__file__).parent / "data"
    schema = etree.XMLSchema(etree.parse(str(folder / "fdsn-station-1.2.xsd")))
    for query in ["level=network", "level=station", "level=channel", "level=response", "level=channel&includeavailability=true",
                  "level=response&matchtimeseries=true&includerestricted=false&updatedafter=2000-01-01"]:
        document = etree.fromstring(urllib.request.urlopen(f"{base}/fdsnws/station/1/query?{query}").read())
        assert schema.validate(document), (query, schema.error_log)
    assert document.findall(".//{*}Stage"), "a response without stages"


def check_availability(_client):
    """Extents say as many samples' ends as the table has channels."""
    text = urllib.request.urlopen(f"{base}/fdsnws/availability/1/extent?format=geocsv").read().decode()
    rows = [line for line in text.splitlines() if line and not line.startswith("#")][1:]
    assert len(rows) == len(context["samples"]), (len(rows), len(context["samples"]))
    lines = urllib.request.urlopen(f"{base}/fdsnws/availability/1/query?format=request").read()
    again = urllib.request.Request(f"{base}/fdsnws/dataselect/1/query", data=lines, headers={"Content-Type": "text/plain"})
    stream = read(io.BytesIO(urllib.request.urlopen(again).read()))
    assert sum(trace.stats.npts for trace in stream) == sum(context["samples"].values())


def check_stations(client):
    levels = {}
    for level in ["network", "station", "channel", "response"]:
        inventory = client.get_stations(level=level)
        levels[level] = inventory
        assert len(inventory) >= 1
        if level != "response":
            text = client.get_stations(level=level, format="text")
            assert codes(text) == codes(inventory), level
    channels = levels["response"].get_contents()["channels"]
    assert len(levels["channel"].get_contents()["channels"]) == len(channels) > 0
    network = levels["response"][0]
    station = network[0]
    channel = station[0]
    response = channel.response
    assert response.instrument_sensitivity.value > 0
    amplitudes = response.get_evalresp_response_for_frequencies([1.0, 5.0, 10.0], output="VEL")
    assert numpy.all(numpy.abs(amplitudes) > 0), amplitudes
    one = client.get_stations(network=network.code, station=station.code, location=channel.location_code or "--",
                              channel=channel.code, level="response", starttime=UTCDateTime(2030, 1, 1))
    assert one.get_contents()["channels"] == [f"{network.code}.{station.code}.{channel.location_code}.{channel.code}"]
    near = client.get_stations(latitude=station.latitude, longitude=station.longitude, maxradius=0.001, level="station")
    assert [s.code for n in near for s in n] == [station.code]
    bulk = client.get_stations_bulk([(network.code, station.code, "*", "*", UTCDateTime(2000, 1, 1), UTCDateTime(2030, 1, 1))],
                                    level="channel")
    assert {s.code for n in bulk for s in n} == {station.code}
    try:
        client.get_stations(network="ZZ")
        raise SystemExit("stations of network ZZ")
    except FDSNNoDataException:
        pass


def check_mass_download(client):
    stations = client.get_stations(level="channel")
    first = min(UTCDateTime(0) + ns / 1e9 for ns in context["span_ns"])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        restrictions = Restrictions(starttime=first, endtime=first + 60, reject_channels_with_gaps=False, minimum_length=0.1,
                                    minimum_interstation_distance_in_m=0, sanitize=True)
        MassDownloader(providers=[client], configure_logging=False).download(
            RectangularDomain(minlatitude=-90, maxlatitude=90, minlongitude=-180, maxlongitude=180), restrictions,
            mseed_storage=str(folder / "waveforms"), stationxml_storage=str(folder / "stations"))
        waveforms, documents = list(folder.glob("waveforms/*.mseed")), list(folder.glob("stations/*.xml"))
        assert len(documents) == len({s.code for n in stations for s in n}), (len(documents), stations)
        assert len(waveforms) >= len(documents), (waveforms, documents)
        for path in waveforms:
            assert sum(trace.stats.npts for trace in read(str(path))) > 1000, path
        for path in documents:
            assert read_inventory(str(path)).get_contents()["channels"], path


with warnings.catch_warnings():
    # A parameter that the client expects and the WADL lacks is a warning.
    warnings.simplefilter("error", category=UserWarning)
    client = Client(base)
assert {"dataselect", "event", "station"} <= set(client.services), client.services
for check in [check_events, check_waveforms, check_stations, check_schema, check_availability, check_mass_download]:
    check(client)
    print(f"ok: ObsPy {check.__name__.removeprefix('check_')}", flush=True)
