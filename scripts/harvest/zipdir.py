"""A zip file's directory, and members read by themselves, over any source of ranges."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from harvest.errors import UnreadableError
from harvest.transport import Source

TAIL = 64 << 10
STORED, DEFLATED = 0, 8
TEXT_LIMIT = 16 << 20
"""A text member beyond this size is no text that anybody wants."""
_DIRECTORY_LIMIT = 64 << 20
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_HEADER = b"PK\x03\x04"
_ROOM = 4096


@dataclass(frozen=True)
class Member:
    """An entry of the directory. ``end``: where the next member or the directory starts."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int
    end: int

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]


def read_directory(source: Source) -> list[Member]:
    """Every member, in the order of the file. Raises UnreadableError when there is no zip directory to be read."""
    tail_at = max(0, source.size - TAIL)
    tail = source.read(tail_at, source.size)
    start, size = _locate(source, tail, tail_at)
    if start + size > source.size or size > _DIRECTORY_LIMIT:
        raise UnreadableError("its zip directory lies outside the file")
    content = tail[start - tail_at :][:size] if start >= tail_at else source.read(start, start + size)
    try:
        found = sorted(_entries(content), key=lambda entry: entry[5])
    except (struct.error, IndexError) as error:
        raise UnreadableError("its zip directory is cut off") from error
    ends = [entry[5] for entry in found[1:]] + [start]
    members = [Member(*entry, end) for entry, end in zip(found, ends, strict=True)]
    if any(m.start + m.packed > m.end for m in members):
        raise UnreadableError("its zip directory names members that overlap")
    return members


def _locate(source: Source, tail: bytes, tail_at: int) -> tuple[int, int]:
    """Where the directory starts, and its size."""
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise UnreadableError("it has no zip directory at its end")
    size, start = struct.unpack_from("<II", tail, at + 12)
    if 0xFFFFFFFF not in (size, start):
        return start, size
    locator = tail.rfind(_LOCATOR64, 0, at)
    if locator < 0:
        raise UnreadableError("its zip64 directory is not there")
    record_at = struct.unpack_from("<Q", tail, locator + 8)[0]
    inside = tail_at <= record_at <= source.size - 56
    record = tail[record_at - tail_at :][:56] if inside else source.read(record_at, record_at + 56)
    if record[:4] != _END64 or len(record) < 56:
        raise UnreadableError("its zip64 directory is broken")
    size, start = struct.unpack_from("<QQ", record, 40)
    return start, size


def _entries(content: bytes) -> list[tuple[str, int, int, int, int, int]]:
    found = []
    at = 0
    while at < len(content):
        if content[at : at + 4] != b"PK\x01\x02":
            raise UnreadableError("its zip directory is broken")
        method, crc, packed, size = struct.unpack_from("<H4xIII", content, at + 10)
        name_size, extra_size, comment_size = struct.unpack_from("<HHH", content, at + 28)
        start = struct.unpack_from("<I", content, at + 42)[0]
        name = content[at + 46 : at + 46 + name_size].decode("utf-8", "replace")
        extra = content[at + 46 + name_size :][:extra_size]
        size, packed, start = _widen(extra, size, packed, start)
        found.append((name, method, crc, packed, size, start))
        at += 46 + name_size + extra_size + comment_size
    return found


def _widen(extra: bytes, *values: int) -> list[int]:
    """The values, those that did not fit into 32 bits from the zip64 extra field."""
    at = 0
    wide: list[int] = []
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = list(struct.unpack_from(f"<{size // 8}Q", extra, at + 4))
        at += 4 + size
    return [wide.pop(0) if value == 0xFFFFFFFF and wide else value for value in values]


def body_offset(head: bytes, member: Member) -> int:
    """Where a member's packed bytes start, from the bytes at its start. Raises UnreadableError on no header."""
    if head[:4] != _HEADER or len(head) < 30:
        raise UnreadableError(f"{member.name} has no zip header")
    name_size, extra_size = struct.unpack_from("<HH", head, 26)
    return member.start + 30 + int(name_size) + int(extra_size)


def read_member(source: Source, member: Member) -> bytes:
    """A small member, unpacked and checked. Raises UnreadableError when it is broken or too large for this."""
    if member.size > TEXT_LIMIT:
        raise UnreadableError(f"{member.name} has {member.size} bytes: too many for a text")
    content = source.read(member.start, min(member.end, member.start + 30 + _ROOM + member.packed))
    packed = content[body_offset(content, member) - member.start :][: member.packed]
    if member.method == STORED:
        plain = packed
    elif member.method == DEFLATED:
        try:
            plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
        except zlib.error as error:
            raise UnreadableError(f"{member.name} cannot be unpacked: {error}") from error
    else:
        raise UnreadableError(f"{member.name} is packed by an unknown method ({member.method})")
    if len(plain) != member.size or zlib.crc32(plain) != member.crc:
        raise UnreadableError(f"{member.name} is not what the zip directory says: size or CRC differ")
    return plain
