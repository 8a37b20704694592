# obspy.read of a file; prints the samples and the best CPU time of several runs.
import sys
import time

import obspy

best, samples = float("inf"), 0
for _ in range(int(sys.argv[2])):
    begin = time.process_time()
    stream = obspy.read(sys.argv[1], format="MSEED")
    best = min(best, time.process_time() - begin)
    samples = sum(trace.stats.npts for trace in stream)
print(samples, best)
