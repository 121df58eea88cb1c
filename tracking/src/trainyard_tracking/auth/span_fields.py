"""How much there is in spans, told from their bytes: an empty one has two, and takes 170. Pure."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trainyard_tracking.errors import Refused

_MOST = 300_000
"""Fields in one request; the 512 spans that an exporter sends at once have some 60,000."""
_SMALL = 256 << 10
"""Bytes that are worth no look."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LONGEST = 63
_SKIPPED = {_EIGHT: 8, _FOUR: 4}


def check_fields(raw: bytes) -> None:
    """Look through spans before anything is made of them.

    Raises:
        Refused: they have too many fields.
    """
    if len(raw) <= _SMALL:
        return
    left = _MOST
    parts: list[tuple[int, int, Any]] = [(0, len(raw), ExportTraceServiceRequest.DESCRIPTOR)]
    while parts:
        at, end, kind = parts.pop()
        below = {one.number: one.message_type for one in kind.fields if one.message_type}
        while at < end:
            left -= 1
            if left < 0:
                raise Refused(f"The spans have more than {_MOST} fields: send fewer at once")
            key, at = _varint(raw, at, end)
            wire = key & 7
            if wire == _VARINT:
                _, at = _varint(raw, at, end)
            elif wire == _BYTES:
                size, at = _varint(raw, at, end)
                inner = below.get(key >> 3)
                if inner is not None and size and at + size <= end:
                    parts.append((at, at + size, inner))
                at += size
            else:
                at += _SKIPPED.get(wire, 0)


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number; where it has no end, the parser says so better."""
    value = shift = 0
    while at < end and shift <= _LONGEST:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return value, end
