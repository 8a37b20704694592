# The libmseed inside pymseed: headers into a trace list, then all samples of each segment into a buffer that exists
# already, each in one call. Prints the samples and the best CPU time of several runs.
import sys
import time

from pymseed.clib import clibmseed as c, ffi

data = open(sys.argv[1], "rb").read()
source, length = ffi.from_buffer("char[]", data), len(data)
best, samples, output = float("inf"), 0, None
for _ in range(int(sys.argv[2])):
    traces = ffi.new("MS3TraceList **")
    begin = time.process_time()
    if c.mstl3_readbuffer(traces, source, length, 0, c.MSF_RECORDLIST, ffi.NULL, 0) < 0:
        sys.exit("libmseed cannot read the file")
    used = time.process_time() - begin
    pieces = []
    trace = traces[0].traces.next[0]
    while trace:
        segment = trace.first
        while segment:
            pieces.append((trace, segment))
            segment = segment.next
        trace = trace.next[0]
    if output is None:
        output = ffi.new("int32_t[]", max(int(segment.samplecnt) for _, segment in pieces))
    begin, samples = time.process_time(), 0
    for trace, segment in pieces:
        samples += c.mstl3_unpack_recordlist(trace, segment, output, ffi.sizeof(output), 0)
    used += time.process_time() - begin
    c.mstl3_free(traces, 0)
    best = min(best, used)
print(samples, best)
