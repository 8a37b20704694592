"""What SciPy, NumPy and ObsPy make of the samples of the fixture: compare with the .slt files. python reference.py"""

import numpy as np
from obspy import Trace
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
