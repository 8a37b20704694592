"""miniSEED written byte by byte, sound or damaged as a case needs it (SEED manual 2.4, miniSEED 3)."""

import datetime
import struct

import numpy as np

INT32, FLOAT32, FLOAT64, STEIM1, STEIM2, TEXT = 3, 4, 5, 10, 11, 0


def ns(text: str) -> int:
    """Nanoseconds since 1970 of `2024-01-01T00:00:00`, any year from 1 to 9999."""
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    passed = moment - datetime.datetime(1970, 1, 1)
    return (passed.days * 86400 + passed.seconds) * 10**9 + passed.microseconds * 1000


def record(samples, start_ns: int, network="XX", station="STA", location="", channel="HHZ", factor=100, multiplier=1,
           quality="D", encoding=INT32, activity=0, sequence=1, sample_count=None, payload=None, length_exponent=None) -> bytes:
    """One miniSEED 2 record, big endian. `payload` replaces the encoded samples, `sample_count` what the header says."""
    if payload is None:
        kind = {INT32: ">i4", FLOAT32: ">f4", FLOAT64: ">f8"}[encoding]
        payload = np.asarray(samples).astype(kind).tobytes()
    count = len(samples) if sample_count is None else sample_count
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=start_ns // 1000)
    tenths = moment.microsecond // 100
    exponent = length_exponent or max(8, (64 + len(payload) - 1).bit_length())
    def text(value: str, width: int) -> bytes:
        return value.encode("latin-1").ljust(width)[:width]
    header = b"%06d" % sequence + quality.encode() + b" " + text(station, 5) + text(location, 2) + text(channel, 3) + text(network, 2)
    header += struct.pack(">HHBBBxH", moment.year, moment.timetuple().tm_yday, moment.hour, moment.minute, moment.second, tenths)
    header += struct.pack(">HhhBBBBiHH", count, factor, multiplier, activity, 0, 0, 1, 0, 64, 48)
    header += struct.pack(">HHBBBB", 1000, 0, encoding, 1, exponent, 0)
    return header.ljust(64, b"\0") + payload.ljust((1 << exponent) - 64, b"\0")


def series(samples, start: str, per_record=100, **more) -> bytes:
    """Consecutive records of one channel at `factor` Hz."""
    rate = more.get("factor", 100)
    start_ns = ns(start)
    parts = [record(samples[i:i + per_record], start_ns + i * 10**9 // rate, sequence=i // per_record + 1, **more)
             for i in range(0, len(samples), per_record)]
    return b"".join(parts)


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def record3(samples, start: str, source_id: str, rate_hz=100.0, encoding=INT32, version=1, extra=b"", flags=0, sample_count=None) -> bytes:
    """One miniSEED 3 record with its checksum."""
    kind = {INT32: "<i4", FLOAT32: "<f4", FLOAT64: "<f8"}[encoding]
    payload = np.asarray(samples).astype(kind).tobytes()
    moment = datetime.datetime.fromisoformat(start)
    count = len(samples) if sample_count is None else sample_count
    sid = source_id.encode()
    head = struct.pack("<2sBBIHHBBBBdIIBBHI", b"MS", 3, flags, moment.microsecond * 1000, moment.year,
                       moment.timetuple().tm_yday, moment.hour, moment.minute, moment.second, encoding, rate_hz,
                       count, 0, version, len(sid), len(extra), len(payload))
    whole = head + sid + extra + payload
    return whole[:28] + struct.pack("<I", _crc32c(whole)) + whole[32:]


def station_text(rows) -> str:
    """FDSN station text at channel level: (network, station, location, channel, latitude, longitude, elevation_m, rate_hz)."""
    head = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime"
    lines = [f"{n}|{s}|{l}|{c}|{lat}|{lon}|{elevation}|0|0|-90|made|1e9|1|m/s|{rate}|1970-01-01T00:00:00|" for n, s, l, c, lat, lon, elevation, rate in rows]
    return "\n".join([head, *lines]) + "\n"
