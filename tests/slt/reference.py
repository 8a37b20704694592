"""What SciPy, NumPy and ObsPy make of the samples of the fixture: compare with the .slt files. python reference.py"""

import io

import numpy as np
from obspy import Trace, read_inventory
from obspy.core.inventory.response import Response
from obspy.signal.cross_correlation import correlate
from obspy.signal.filter import bandpass, envelope, highpass, lowpass
from obspy.signal.trigger import aic_simple, classic_sta_lta, recursive_sta_lta
from scipy import signal

RATE = 100.0


def counts(count):
    state, values = 4711, []
    for k in range(count):
        state = (1103515245 * state + 12345) % 2**31
        t = k / RATE
        wavelet = 2000.0 * np.exp(-(t % 10.0) / 2.0) * np.sin(4.0 * np.pi * t)
        values.append(float(np.floor(abs(wavelet) + 0.5) * np.sign(wavelet)) + 50 + (state >> 16) % 41 - 20)
    return np.array(values)


def say(name, value):
    print(f"{name:34s}", np.round(value, 6))


def removed(x, sensitivity, output, **more):
    response = Response.from_paz(
        zeros=[0j, 0j], poles=[-0.148 + 0.148j, -0.148 - 0.148j], stage_gain=sensitivity, stage_gain_frequency=1.0,
        input_units="M/S", normalization_frequency=1.0, normalization_factor=1.0)
    trace = Trace(x.copy(), {"sampling_rate": RATE})
    trace.stats.response = response
    trace.remove_response(output=output, **more)
    return trace.data


STAGES = (
    '<Response><InstrumentSensitivity><Value>2e9</Value><Frequency>1</Frequency><InputUnits>'
    '<Name>M/S</Name></InputUnits><OutputUnits><Name>COUNTS</Name></OutputUnits></InstrumentSensitivity>'
    '<Stage number="1"><PolesZeros><InputUnits><Name>M/S</Name></InputUnits><OutputUnits><Name>V</Name>'
    '</OutputUnits><PzTransferFunctionType>LAPLACE (RADIANS/SECOND)</PzTransferFunctionType>'
    '<NormalizationFactor>1</NormalizationFactor><NormalizationFrequency>1</NormalizationFrequency>'
    '<Zero number="0"><Real>0</Real><Imaginary>0</Imaginary></Zero><Zero number="1"><Real>0</Real>'
    '<Imaginary>0</Imaginary></Zero><Pole number="0"><Real>-0.148</Real><Imaginary>0.148</Imaginary>'
    '</Pole><Pole number="1"><Real>-0.148</Real><Imaginary>-0.148</Imaginary></Pole></PolesZeros>'
    '<StageGain><Value>2000</Value><Frequency>1</Frequency></StageGain></Stage>'
    '<Stage number="2"><FIR><InputUnits><Name>V</Name></InputUnits><OutputUnits><Name>COUNTS</Name>'
    '</OutputUnits><Symmetry>NONE</Symmetry><NumeratorCoefficient i="1">0.5</NumeratorCoefficient>'
    '<NumeratorCoefficient i="2">0.3</NumeratorCoefficient>'
    '<NumeratorCoefficient i="3">0.2</NumeratorCoefficient></FIR><Decimation>'
    '<InputSampleRate>200</InputSampleRate><Factor>2</Factor><Offset>0</Offset><Delay>0.004</Delay>'
    '<Correction>0.003</Correction></Decimation><StageGain><Value>1000000</Value>'
    '<Frequency>0</Frequency></StageGain></Stage></Response>'
)
PLACE = "<Latitude>1</Latitude><Longitude>2</Longitude><Elevation>0</Elevation>"


def staged():
    document = (
        '<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.2"><Source>x</Source>'
        f'<Created>2020-01-01T00:00:00Z</Created><Network code="XX"><Station code="A">{PLACE}<Site><Name>a</Name></Site>'
        f'<Channel code="HHZ" locationCode="">{PLACE}<Depth>0</Depth><SampleRate>100</SampleRate>{STAGES}</Channel>'
        "</Station></Network></FDSNStationXML>")
    return read_inventory(io.BytesIO(document.encode()))[0][0][0].response


whole = counts(3025)
x = whole[:1000]
flat = x - x.mean()
# The first run of Z after merging: 0 to 20 s.
run = whole[:2000]
level = run - run.mean()
say("sum, rms, peak", [x.sum(), np.sqrt(np.mean(x**2)), abs(x).max()])
say("energy", np.sum(flat**2) / RATE)
say("demean, detrend[0]", [flat[0], signal.detrend(x)[0]])
say("bandpass rms (run)", np.sqrt(np.mean(bandpass(level, 1, 10, RATE, corners=4) ** 2)))
say("bandpass zero phase rms (run)", np.sqrt(np.mean(bandpass(level, 1, 10, RATE, 2, True) ** 2)))
say("highpass, lowpass peak", [abs(highpass(flat, 5, RATE)).max(), abs(lowpass(flat, 5, RATE)).max()])
taper = Trace(flat.copy(), {"sampling_rate": RATE}).taper(0.05).data
say("taper peak", abs(taper).max())
say("integrate, differentiate peak", [abs(Trace(flat, {"sampling_rate": RATE}).copy().integrate().data).max(),
    abs(Trace(x, {"sampling_rate": RATE}).copy().differentiate().data).max()])
say("decimate 5", signal.resample_poly(x, 1, 5, padtype="mean")[[0, 100, 199]])
say("resample to 40", signal.resample_poly(x, 2, 5, padtype="mean")[[0, 200, 399]])
say("sta/lta classic, recursive max", [classic_sta_lta(level, 50, 500).max(), recursive_sta_lta(level, 50, 500).max()])
say("aic[899]", aic_simple(x)[899])
late, early = whole[:1000], whole[25:1025]
cc = correlate(late, early, 50)
say("xcorr max, lag", [cc.max(), (cc.argmax() - 50) / RATE])
say("spectrum[20]", (abs(np.fft.rfft(flat)) / RATE)[20])
say("psd 2 Hz", signal.welch(x, RATE, nperseg=500)[1][10])
say("envelope rms", np.sqrt(np.mean(envelope(flat) ** 2)))
f, t, p = signal.spectrogram(run, RATE, window="hann", nperseg=400, noverlap=200, detrend="constant")
say("spectrogram shape", p.shape)
say("spectrogram times, 2 Hz", np.column_stack([t[:3], p[8, :3]]))
for name, sensitivity, piece in (("0-10", 4e8, whole[:1000]), ("15-20", 2e8, whole[1500:2000])):
    say(f"VEL um/s {name}", abs(removed(piece, sensitivity, "VEL")).max() * 1e6)
say("DISP um 0-10 pre-filter", abs(removed(x, 4e8, "DISP", pre_filt=(0.2, 0.5, 20, 40))).max() * 1e6)
for output in ["VEL", "DISP"]:
    trace = Trace(x.copy(), {"sampling_rate": RATE})
    trace.stats.response = staged()
    say(f"all stages, {output}", abs(trace.remove_response(output=output).data).max() * 1e6)
for frequency, output in [(1.0, "VEL"), (30.0, "ACC")]:
    say(f"all stages, {frequency} Hz, {output}",
        abs(staged().get_evalresp_response_for_frequencies([frequency], output=output)))
