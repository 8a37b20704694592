"""Writes testdata-response-stages.xml, one channel for each kind of stage, and reference-response-stages.json, its
frequency responses as evalresp gives them through ObsPy 1.5.1. Run it in this folder: python response_stages.py"""

import json
import warnings

import numpy
from obspy import read_inventory

FREQUENCIES_HZ = [0.1, 0.5, 1.0, 5.0, 10.0, 25.0, 40.0]
RADIANS = "LAPLACE (RADIANS/SECOND)"


def units(before, after):
    return f"<InputUnits><Name>{before}</Name></InputUnits><OutputUnits><Name>{after}</Name></OutputUnits>"


def gain(value, frequency):
    return f"<StageGain><Value>{value!r}</Value><Frequency>{frequency!r}</Frequency></StageGain>"


def decimation(rate, factor, delay, correction):
    return (
        f"<Decimation><InputSampleRate>{rate!r}</InputSampleRate><Factor>{factor}</Factor><Offset>0</Offset>"
        f"<Delay>{delay!r}</Delay><Correction>{correction!r}</Correction></Decimation>"
    )


def poles_zeros(kind, factor, frequency, zeros, poles, before="M/S", after="V"):
    def roots(name, values):
        return "".join(
            f'<{name} number="{index}"><Real>{complex(root).real!r}</Real>'
            f"<Imaginary>{complex(root).imag!r}</Imaginary></{name}>"
            for index, root in enumerate(values)
        )

    return (
        f"<PolesZeros>{units(before, after)}<PzTransferFunctionType>{kind}</PzTransferFunctionType>"
        f"<NormalizationFactor>{factor!r}</NormalizationFactor>"
        f"<NormalizationFrequency>{frequency!r}</NormalizationFrequency>"
        f"{roots('Zero', zeros)}{roots('Pole', poles)}</PolesZeros>"
    )


def coefficients(numerators, denominators=(), before="COUNTS"):
    parts = "".join(f"<Numerator>{float(value)!r}</Numerator>" for value in numerators)
    parts += "".join(f"<Denominator>{float(value)!r}</Denominator>" for value in denominators)
    kind = "<CfTransferFunctionType>DIGITAL</CfTransferFunctionType>"
    return f"<Coefficients>{units(before, 'COUNTS')}{kind}{parts}</Coefficients>"


def fir(values, symmetry):
    parts = "".join(
        f'<NumeratorCoefficient i="{index + 1}">{float(value)!r}</NumeratorCoefficient>'
        for index, value in enumerate(values)
    )
    return f"<FIR>{units('COUNTS', 'COUNTS')}<Symmetry>{symmetry}</Symmetry>{parts}</FIR>"


def response_list(rows, before):
    parts = "".join(
        f"<ResponseListElement><Frequency>{frequency!r}</Frequency><Amplitude>{amplitude!r}</Amplitude>"
        f"<Phase>{phase!r}</Phase></ResponseListElement>"
        for frequency, amplitude, phase in rows
    )
    return f"<ResponseList>{units(before, 'V')}{parts}</ResponseList>"


def polynomial(values):
    parts = "".join(f'<Coefficient number="{index}">{value!r}</Coefficient>' for index, value in enumerate(values))
    return (
        f"<Polynomial>{units('M/S', 'V')}<ApproximationType>MACLAURIN</ApproximationType>"
        "<FrequencyLowerBound>0.0</FrequencyLowerBound><FrequencyUpperBound>10.0</FrequencyUpperBound>"
        "<ApproximationLowerBound>-10.0</ApproximationLowerBound>"
        f"<ApproximationUpperBound>10.0</ApproximationUpperBound><MaximumError>0.0</MaximumError>{parts}</Polynomial>"
    )


def low_pass(count, share):
    times = numpy.arange(count) - (count - 1) / 2
    return [round(float(value), 7) for value in numpy.sinc(share * times) * numpy.hamming(count) * share]


def channels():
    even, odd = low_pass(12, 0.4), low_pass(13, 0.35)
    shape = numpy.array([0.6**k * (1 + 0.3 * k) for k in range(12)])
    minimum = [round(float(value), 6) for value in shape / shape.sum()]
    zeros, poles = [0, 0], [-4.44 + 4.44j, -4.44 - 4.44j]
    sensor = poles_zeros(RADIANS, 1.0, 5.0, zeros, poles) + gain(28.8, 5.0)
    digitiser = coefficients([], before="V") + decimation(1000.0, 1, 0.0, 0.0) + gain(400000.0, 0.0)
    listed = [
        (0.01, 0.9, -2.0),
        (0.1, 0.95, -1.0),
        (1.0, 1.0, 0.0),
        (5.0, 1.01, 3.0),
        (10.0, 1.0, 8.0),
        (20.0, 0.9, 20.0),
        (35.0, 0.6, 45.0),
    ]
    hertz = poles_zeros(
        "LAPLACE (HERTZ)", 2.5, 2.0, [0, 0, 0], [-0.7 + 0.7j, -0.7 - 0.7j, -40.0], before="M"
    )
    digital = poles_zeros("DIGITAL (Z-TRANSFORM)", 0.25, 0.0, [-1.0], [0.5], before="COUNTS", after="COUNTS")
    return {
        # Symmetric filters, said to be so.
        "HHA": ("M/S", 5.0, [
            sensor,
            digitiser,
            fir(even[:6], "EVEN") + decimation(1000.0, 5, 0.0055, 0.0055) + gain(1.0, 0.0),
            fir(odd[:7], "ODD") + decimation(200.0, 2, 0.03, 0.03) + gain(1.0, 0.0),
        ]),
        # Minimum phase: the correction turns the phase, not the delay.
        "HHB": ("M/S", 5.0, [
            sensor,
            digitiser,
            fir(minimum, "NONE") + decimation(1000.0, 10, 0.0031, 0.0028) + gain(1.0, 0.0),
        ]),
        # Symmetric without saying so; a sum that is not one.
        "HHC": ("M/S", 5.0, [
            sensor,
            digitiser,
            coefficients(even) + decimation(1000.0, 5, 0.0055, 0.0055) + gain(1.0, 5.0),
            coefficients([1.5 * value for value in minimum]) + decimation(200.0, 2, 0.01, 0.012) + gain(2.0, 5.0),
        ]),
        # A mean of five, and a recursive filter.
        "HHD": ("M/S", 5.0, [
            sensor,
            digitiser,
            coefficients([0.2] * 5) + decimation(1000.0, 5, 0.002, 0.002) + gain(1.0, 0.0),
            coefficients([0.2, 0.3, 0.1], [1.0, -0.5, 0.1]) + decimation(200.0, 2, 0.0, 0.0) + gain(1.0, 0.0),
        ]),
        # Poles and zeros in Hz, of displacement, and in the plane of z; gains at other frequencies than the sensitivity.
        "HHE": ("M", 1.0, [
            hertz + gain(100.0, 2.0),
            digitiser,
            digital + decimation(1000.0, 10, 0.0, 0.0) + gain(1.0, 0.0),
        ]),
        # A list that ends below the highest frequency asked for.
        "HHF": ("M/S**2", 1.0, [response_list(listed, "M/S**2") + gain(1.2, 1.0), digitiser]),
        "HHG": ("M/S", 1.0, [polynomial([0.1, 0.0025]), digitiser]),
        "HHH": ("NM/S", 1.0, [
            poles_zeros(RADIANS, 1.0, 5.0, zeros, poles, before="NM/S") + gain(28.8e-9, 5.0),
            digitiser,
        ]),
        # No overall sensitivity, and a normalisation factor that does not make one at 1 Hz: taken as it is.
        "HHI": ("M/S", None, [
            poles_zeros(RADIANS, 1.0, 1.0, zeros, poles) + gain(1500.0, 1.0),
            coefficients([], before="V") + decimation(1000.0, 1, 0.0, 0.0) + gain(400000.0, 1.0),
        ]),
        # The last gain of a frequency above zero measures the others: here that of the digitiser,
        "HHJ": ("M/S", None, [
            poles_zeros(RADIANS, 1.0, 2.0, zeros, poles) + gain(1500.0, 2.0),
            coefficients([], before="V") + decimation(1000.0, 1, 0.0, 0.0) + gain(400000.0, 1.0),
        ]),
        # and here that of the sensor.
        "HHK": ("M/S", None, [
            poles_zeros(RADIANS, 1.0, 2.0, zeros, poles) + gain(1500.0, 2.0),
            digitiser,
        ]),
        # A recursive filter without a sampling of its own: that of the stage before.
        "HHL": ("M/S", 5.0, [
            sensor,
            coefficients([], before="V") + decimation(1000.0, 10, 0.0, 0.0) + gain(400000.0, 5.0),
            poles_zeros(
                "DIGITAL (Z-TRANSFORM)", 0.25, 5.0, [0.5 + 0.1j, 0.5 - 0.1j], [0.2 + 0.3j, 0.2 - 0.3j],
                before="COUNTS", after="COUNTS",
            ) + gain(1.0, 5.0),
        ]),
    }


def document():
    place = "<Latitude>46.5</Latitude><Longitude>8.25</Longitude><Elevation>1000</Elevation>"
    out = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" '
        'schemaVersion="1.2">\n<Source>Seislake</Source>\n<Created>2026-01-01T00:00:00Z</Created>\n'
        f'<Network code="XX">\n<Station code="RESP" startDate="2020-01-01T00:00:00Z">{place}'
        "<Site><Name>Kinds of stages</Name></Site>\n"
    )
    for code, (unit, frequency, stages) in channels().items():
        out += (
            f'<Channel code="{code}" locationCode="" startDate="2020-01-01T00:00:00Z">{place}<Depth>0</Depth>'
            "<SampleRate>100</SampleRate>\n<Response>"
        )
        if frequency is not None:
            out += (
                f"<InstrumentSensitivity><Value>11520000.0</Value><Frequency>{frequency}</Frequency>"
                f"{units(unit, 'COUNTS')}</InstrumentSensitivity>\n"
            )
        for index, stage in enumerate(stages):
            out += f'<Stage number="{index + 1}">{stage}</Stage>\n'
        out += "</Response></Channel>\n"
    return out + "</Station>\n</Network>\n</FDSNStationXML>\n"


def main():
    warnings.simplefilter("ignore")
    with open("testdata-response-stages.xml", "w") as file:
        file.write(document())
    answers = {}
    for channel in read_inventory("testdata-response-stages.xml")[0][0]:
        answers[channel.code] = {
            output: [
                [value.real, value.imag]
                for value in channel.response.get_evalresp_response_for_frequencies(
                    FREQUENCIES_HZ, output=output, hide_sensitivity_mismatch_warning=True
                )
            ]
            for output in ["DISP", "VEL", "ACC"]
        }
    with open("reference-response-stages.json", "w") as file:
        json.dump({"frequencies_hz": FREQUENCIES_HZ, "responses": answers}, file, indent=1)
        file.write("\n")


main()
