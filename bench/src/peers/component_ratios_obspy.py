"""The recipe as an ObsPy user writes it, over one day; prints the median time of three runs and the medians.

Arguments: folder of Z.i32, N.i32, E.i32 (one day), sample rate. Prints seconds and the medians N/E, Z/E, Z/N.
"""
import statistics, sys, time
import numpy as np
from obspy import Trace, UTCDateTime
day, rate = UTCDateTime(2024, 2, 1), float(sys.argv[2])
traces = [Trace(np.fromfile(f'{sys.argv[1]}/{code}.i32', dtype='<i4'), {'sampling_rate': rate, 'starttime': day})
          for code in 'ZNE']
times = []
for _ in range(3):
    begin = time.perf_counter()
    energies = []
    for trace in traces:
        row = []
        for window in range(288):
            start = day + 300 * window
            piece = trace.slice(start, start + 300 - 1 / rate).copy()
            piece.detrend('demean')
            piece.filter('bandpass', freqmin=0.1, freqmax=1.0, corners=4, zerophase=False)
            row.append(np.sum(piece.data ** 2))
        energies.append(np.array(row))
    z, n, e = energies
    ratios = [np.median(n / e), np.median(z / e), np.median(z / n)]
    times.append(time.perf_counter() - begin)
print(statistics.median(times), *ratios)
