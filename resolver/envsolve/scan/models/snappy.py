"""Unpack a block of Snappy, as tables of checkpoints use it, within a bound.

The layout is that of Snappy's format description: a length, then literals and copies of what was unpacked.
"""

from __future__ import annotations

from envsolve.scan.models.source import LimitError, MalformedError, number


def unpack(data: bytes, limit: int) -> bytes:
    """The block, unpacked. Raises MalformedError when it is none, LimitError when it is larger than ``limit``."""
    size, at = _length(data)
    if size > limit:
        raise LimitError("a packed block is larger than a scan reads")
    plain = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            count, at = _literal(data, tag >> 2, at)
            if at + count > len(data):
                raise MalformedError("a packed block is cut off")
            plain += data[at : at + count]
            at += count
        else:
            count, distance, at = _copy(data, tag, at)
            if not 0 < distance <= len(plain):
                raise MalformedError("a packed block refers to what is not there")
            piece = plain[-distance:]
            plain += (piece * (count // distance + 1))[:count]
        if len(plain) > size:
            raise MalformedError("a packed block is longer than it says")
    if len(plain) != size:
        raise MalformedError("a packed block is shorter than it says")
    return bytes(plain)


def _length(data: bytes) -> tuple[int, int]:
    value = 0
    for i in range(5):
        byte = number(data, i, 1)
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, i + 1
    raise MalformedError("a packed block has no length")


def _literal(data: bytes, code: int, at: int) -> tuple[int, int]:
    if code < 60:
        return code + 1, at
    width = code - 59
    return number(data, at, width) + 1, at + width


def _copy(data: bytes, tag: int, at: int) -> tuple[int, int, int]:
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, (tag >> 5) << 8 | number(data, at, 1), at + 1
    width = 2 if tag & 3 == 2 else 4
    return (tag >> 2) + 1, number(data, at, width), at + width
