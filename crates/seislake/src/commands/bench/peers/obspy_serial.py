# Decompresses all files of a folder one behind the other with ObsPy; prints the samples and the wall time.
import pathlib
import sys
import time

import obspy

samples, begin = 0, time.perf_counter()
for path in sorted(path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()):
    samples += sum(trace.stats.npts for trace in obspy.read(str(path), format="MSEED"))
print(samples, time.perf_counter() - begin)
