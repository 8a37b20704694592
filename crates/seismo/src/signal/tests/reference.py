"""Expected values of `oracles.rs`, computed with SciPy and ObsPy: python reference.py > reference-signal.json"""

import json

import numpy as np
import obspy
import scipy
from obspy.core.inventory.response import Response
from obspy.signal.cross_correlation import correlate
from obspy.signal.filter import bandpass, envelope
from obspy.signal.trigger import classic_sta_lta, recursive_sta_lta
from scipy import signal

RATE, COUNT, STRIDE = 50.0, 401, 20


def samples():
    state, values = 20240101, []
    for i in range(COUNT):
        state = (1103515245 * state + 12345) % 2**31
        t = i / RATE
        value = 1000.0 * (state / 2**31 - 0.5) + 200.0 + 3.0 * i
        if t >= 3.0:
            value += 5000.0 * np.exp(-(t - 3.0)) * np.sin(8.0 * np.pi * (t - 3.0))
        values.append(value)
    return np.array(values)


def trace(data):
    return obspy.Trace(np.array(data), {"sampling_rate": RATE})


def removed(data, input_unit, output, pre_filter):
    response = Response.from_paz(
        zeros=[0j, 0j], poles=[-0.148 + 0.148j, -0.148 - 0.148j, -180.0 + 90.0j, -180.0 - 90.0j],
        stage_gain=4.0e8, stage_gain_frequency=1.0, input_units=input_unit, normalization_frequency=1.0,
        normalization_factor=PAZ_FACTOR)
    one = trace(data)
    one.stats.response = response
    one.remove_response(output=output, water_level=60.0, pre_filt=pre_filter)
    return one.data


s = 2j * np.pi
PAZ_FACTOR = float(1 / abs(s * s / ((s + 0.148 - 0.148j) * (s + 0.148 + 0.148j) * (s + 180 - 90j) * (s + 180 + 90j))))
x = samples()
flat = x - x.mean()
cases = {
    "demean": flat,
    "detrend": signal.detrend(x),
    "taper": trace(x).taper(0.07).data,
    "taper_half": trace(x[:400]).taper(0.5).data,
    "integrate": trace(x).integrate().data,
    "differentiate": trace(x).differentiate().data,
    "zero_phase": bandpass(flat, 2.0, 8.0, RATE, corners=3, zerophase=True),
    "decimate_5": signal.resample_poly(x, 1, 5, padtype="mean"),
    "resample_4_5": signal.resample_poly(x, 4, 5, padtype="mean"),
    "resample_3": signal.resample_poly(x, 3, 1, padtype="mean"),
    "amplitudes": abs(np.fft.rfft(x)) / RATE,
    "amplitudes_even": abs(np.fft.rfft(x[:400])) / RATE,
    "envelope": envelope(flat),
    "envelope_even": envelope(flat[:400]),
    "welch": signal.welch(x, RATE, nperseg=100)[1],
    "welch_odd": signal.welch(x, RATE, nperseg=75, noverlap=25)[1],
    "spectrogram": signal.spectrogram(x, RATE, window="hann", nperseg=64, noverlap=32, detrend="constant")[2][:, 3],
    "correlation": correlate(x[:300], x[60:360], 90),
    "vel": removed(x, "M/S", "VEL", None),
    "disp": removed(x, "M/S", "DISP", (0.2, 0.4, 15.0, 20.0)),
    "acc": removed(x, "M/S", "ACC", None),
    "acc_to_vel": removed(x, "M/S**2", "VEL", (0.2, 0.4, 15.0, 20.0)),
    "classic": classic_sta_lta(flat, 10, 100),
    "recursive": recursive_sta_lta(flat, 10, 100),
    "rms": [np.sqrt(np.mean(x**2))],
    "peak": [abs(x).max()],
    "energy": [np.sum(x**2) / RATE],
}
out = {"numpy": np.__version__, "scipy": scipy.__version__, "obspy": obspy.__version__, "stride": STRIDE}
out["factor"] = PAZ_FACTOR
out["cases"] = {k: {"count": len(v), "values": [float(f"{y:.14g}") for y in list(v)[::STRIDE]]} for k, v in cases.items()}
print(json.dumps(out).replace('}, "', '},\n"'))
