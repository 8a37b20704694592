"""Responses: what cannot be used says so and stops nothing; what can gives evalresp's answer."""

import json

import numpy as np
from records import series

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>t</Source><Created>2024-01-01T00:00:00</Created>'


def sensitivity(value, unit, frequency=1.0):
    return (f"<InstrumentSensitivity><Value>{value}</Value><Frequency>{frequency}</Frequency><InputUnits><Name>{unit}</Name></InputUnits>"
            "<OutputUnits><Name>COUNTS</Name></OutputUnits></InstrumentSensitivity>")


def stage(number, inner, gain=1.0, frequency=1.0):
    return f'<Stage number="{number}">{inner}<StageGain><Value>{gain}</Value><Frequency>{frequency}</Frequency></StageGain></Stage>'


def units(before, after):
    return f"<InputUnits><Name>{before}</Name></InputUnits><OutputUnits><Name>{after}</Name></OutputUnits>"


def sensor(unit="M/S", factor=1.0):
    roots = "".join(f'<Zero number="{i}"><Real>0</Real><Imaginary>0</Imaginary></Zero>' for i in range(2))
    roots += "".join(f'<Pole number="{i}"><Real>-4.21</Real><Imaginary>{sign}4.66</Imaginary></Pole>' for i, sign in enumerate(("", "-")))
    inner = (f"<PolesZeros>{units(unit, 'V')}<PzTransferFunctionType>LAPLACE (RADIANS/SECOND)</PzTransferFunctionType>"
             f"<NormalizationFactor>{factor}</NormalizationFactor><NormalizationFrequency>1.0</NormalizationFrequency>{roots}</PolesZeros>")
    return stage(1, inner, 1500)


def digitiser(number=2, gain=4e5):
    inner = f"<Coefficients>{units('V', 'COUNTS')}<CfTransferFunctionType>DIGITAL</CfTransferFunctionType></Coefficients>"
    inner += "<Decimation><InputSampleRate>100</InputSampleRate><Factor>1</Factor><Offset>0</Offset><Delay>0</Delay><Correction>0</Correction></Decimation>"
    return stage(number, inner, gain)


def listed(unit="M/S"):
    rows = "".join(f"<ResponseListElement><Frequency>{f}</Frequency><Amplitude>{a}</Amplitude><Phase>0</Phase></ResponseListElement>"
                   for f, a in ((0.01, 0.001), (0.1, 0.01), (1, 1), (5, 3), (10, 10), (20, 30), (40, 90)))
    return stage(1, f"<ResponseList>{units(unit, 'V')}{rows}</ResponseList>", 1500)


def recursive(decimation=""):
    roots = '<Zero number="0"><Real>0.5</Real><Imaginary>0.1</Imaginary></Zero><Zero number="1"><Real>0.5</Real><Imaginary>-0.1</Imaginary></Zero>'
    roots += '<Pole number="0"><Real>0.2</Real><Imaginary>0.3</Imaginary></Pole><Pole number="1"><Real>0.2</Real><Imaginary>-0.3</Imaginary></Pole>'
    inner = (f"<PolesZeros>{units('COUNTS', 'COUNTS')}<PzTransferFunctionType>DIGITAL (Z-TRANSFORM)</PzTransferFunctionType>"
             f"<NormalizationFactor>1.0</NormalizationFactor><NormalizationFrequency>1.0</NormalizationFrequency>{roots}</PolesZeros>{decimation}")
    return stage(3, inner)


RESPONSES = {
    "GOOD": sensitivity(6e8, "M/S") + sensor() + digitiser(),
    "NOSEN": sensor() + digitiser(),
    "PRESS": sensitivity(1e3, "PA") + sensor("PA") + digitiser(),
    "VOLTS": sensitivity(1e3, "V") + sensor("V") + digitiser(),
    "TEMP": sensitivity(1e3, "degC") + sensor("degC") + digitiser(),
    "NOSTG": sensitivity(6e8, "M/S"),
    "EMPTY": "",
    "NOGAI": sensitivity(6e8, "M/S") + sensor().replace("<StageGain><Value>1500</Value><Frequency>1.0</Frequency></StageGain>", ""),
    "LIST": sensitivity(6e8, "M/S") + listed() + digitiser(),
    "IIR": sensitivity(6e8, "M/S") + sensor() + digitiser() + recursive(),
}


def document() -> str:
    place = "<Latitude>10</Latitude><Longitude>20</Longitude><Elevation>100</Elevation>"
    stations = "".join(
        f'<Station code="{code}" startDate="2020-01-01T00:00:00">{place}<Site><Name>S</Name></Site>'
        f'<Channel code="HHZ" locationCode="" startDate="2020-01-01T00:00:00">{place}<Depth>0</Depth><SampleRate>100</SampleRate>'
        f"<Response>{response}</Response></Channel></Station>" for code, response in RESPONSES.items())
    return f'{HEAD}<Network code="XX" startDate="2000-01-01T00:00:00">{stations}</Network></FDSNStationXML>'


def filled(home):
    folder = home.folder / "records"
    folder.mkdir()
    for code in RESPONSES:
        samples = (1000 * np.sin(np.arange(2000) * 0.3)).astype(int)
        (folder / f"{code}.mseed").write_bytes(series(samples, "2024-01-01T00:00:00", station=code))
    (home.folder / "stations.xml").write_text(document())
    home.succeed("import", folder, "--stations", home.folder / "stations.xml")


def station(row) -> str:
    return row["source_id"].split("_")[1]


def test_B7_B8_B9_one_unusable_response_does_not_fail_the_statement(home):
    filled(home)
    rows = home.query("SELECT source_id, response_amplitude(response_stationxml, 1) AS size, "
                      "response_problem(response_stationxml) AS problem FROM network.channels ORDER BY 1")
    assert len(rows) == len(RESPONSES)
    size = {station(row): row["size"] for row in rows}
    problem = {station(row): row["problem"] for row in rows}
    for code in ("PRESS", "VOLTS", "TEMP", "NOSTG", "EMPTY", "NOGAI"):
        assert size[code] == "", code
        assert len(problem[code]) > 10, (code, "says why")
    # As ObsPy 1.5.1 and its evalresp.
    for code, expected in (("GOOD", 4.477328e8), ("NOSEN", 4.477328e8), ("IIR", 1.605322e8)):
        assert abs(float(size[code]) / expected - 1) < 1e-6, code
        assert "warning" in problem[code], (code, problem[code])
    assert "sample rate" in problem["IIR"]
    rows = home.query("SELECT t.source_id, peak(remove_response(t.samples, t.sample_rate_hz, c.response_stationxml)) AS peak "
                      "FROM traces('XX.*.*.HHZ', '2024-01-01', '2024-01-02') t JOIN network.channels c ON c.source_id = t.source_id")
    peaks = {station(row): row["peak"] for row in rows}
    assert len(peaks) == len(RESPONSES)
    assert {code for code, peak in peaks.items() if peak == ""} == {"PRESS", "VOLTS", "TEMP", "NOSTG", "EMPTY", "NOGAI"}


def test_B6_a_list_of_values_is_never_taken_for_flat(home):
    filled(home)
    rows = home.query("SELECT source_id, response, response_amplitude(response_stationxml, 10) AS size FROM network.channels")
    response = {station(row): row["response"] for row in rows}
    assert response["LIST"] == "", "sensitivity alone would be off by ten at 10 Hz and by 10000 at 0.1 Hz"
    assert response["GOOD"] != ""
    size, = [float(row["size"]) for row in rows if station(row) == "LIST"]
    assert abs(size / 6e9 - 1) < 1e-3, "the stages tell it"


def test_B6_the_import_says_of_every_channel_why_its_response_is_not_used(home):
    folder = home.folder / "records"
    folder.mkdir()
    samples = (1000 * np.sin(np.arange(2000) * 0.3)).astype(int)
    for code in [*RESPONSES, "LOST"]:
        (folder / f"{code}.mseed").write_bytes(b"".join(series(samples, "2024-01-01T00:00:00", station=code, channel=channel) for channel in ("HHN", "HHZ")))
    (home.folder / "stations.xml").write_text(document().replace('code="HHZ"', 'code="HHN"'))
    report = json.loads(home.succeed("import", "--json", "--stations", home.folder / "stations.xml", "--", folder))
    reasons = {row["source_id"]: row["reason"] for row in report["unused_responses"]}
    words = {"PRESS": '"PA", is no ground motion', "VOLTS": '"V", is no ground motion', "TEMP": '"degC", is no ground motion',
             "EMPTY": "does not say the unit", "LIST": "stage 1 of its response is a list of values", "LOST": "do not list the channel"}
    assert set(reasons) == {f"FDSN:XX_{code}__H_H_N" for code in words}, reasons
    for code, expected in words.items():
        assert expected in reasons[f"FDSN:XX_{code}__H_H_N"], reasons
    again = home.succeed("import", "--", folder)
    for code in words:
        assert any(line.startswith("not used for magnitudes: ") and reasons[f"FDSN:XX_{code}__H_H_N"] in line and code in line
                   for line in again.splitlines()), (code, again)
