# Decompresses all files of a folder one behind the other with ObsPy; prints the samples and the median wall time of
# several runs.
import pathlib
import statistics
import sys
import time

import obspy

paths = sorted(path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file())
times = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    samples = sum(trace.stats.npts for path in paths for trace in obspy.read(str(path), format="MSEED"))
    times.append(time.perf_counter() - begin)
print(samples, statistics.median(times))
