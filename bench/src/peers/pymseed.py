# Reads every record and its samples once; prints the samples and the best CPU time of several runs.
import sys
import time

from pymseed import MS3Record

best, samples = float("inf"), 0
for _ in range(int(sys.argv[2])):
    begin, samples = time.process_time(), 0
    for record in MS3Record.from_file(sys.argv[1], unpack_data=True):
        samples += record.numsamples
    best = min(best, time.process_time() - begin)
print(samples, best)
