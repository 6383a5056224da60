"""A zip member, inflated as it comes in, into a temporary file that is gone when it was read."""

from __future__ import annotations

import mmap
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from harvest.errors import UnreadableError
from harvest.transport import Pieces
from harvest.zipdir import DEFLATED, STORED, Member, body_offset

_fast: Any = zlib
with suppress(ImportError):  # a third of the time; the standard library's does as well
    _fast = import_module("isal.isal_zlib")

SLICE = 1 << 20
"""Packed bytes inflated at once: what comes out of a slice is at most a thousand times as much, in practice four."""
MEMBER_LIMIT = 8 << 30
_HEAD = 30


def unpacked(pieces: Pieces, member: Member) -> Iterator[bytes]:
    """A member's plain bytes. Raises UnreadableError when they are broken, or not those of the directory."""
    if member.size > MEMBER_LIMIT:
        raise UnreadableError(f"{member.name} has {member.size} bytes: more than can be kept here")
    head = b"".join(pieces.stream(member.start, min(member.end, member.start + _HEAD)))
    start = body_offset(head, member)
    size, crc = 0, 0
    for part in _inflated(pieces.stream(start, start + member.packed), member):
        size += len(part)
        if size > member.size:
            break
        crc = _fast.crc32(part, crc)
        yield part
    if size != member.size or crc != member.crc:
        raise UnreadableError(f"{member.name} is not what the zip directory says: size or CRC differ")


def _inflated(packed: Iterator[bytes], member: Member) -> Iterator[bytes]:
    if member.method == STORED:
        yield from packed
        return
    if member.method != DEFLATED:
        raise UnreadableError(f"{member.name} is packed by an unknown method ({member.method})")
    engine = _fast.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        for piece in packed:
            for at in range(0, len(piece), SLICE):
                yield engine.decompress(piece[at : at + SLICE])
        yield engine.flush()
    except (_fast.error, zlib.error) as error:
        raise UnreadableError(f"{member.name} cannot be unpacked: {error}") from error


@contextmanager
def as_file(pieces: Pieces, member: Member, magic: bytes, folder: Path | None = None) -> Iterator[mmap.mmap | None]:
    """A member as a memory map over a nameless file; None when it does not start with ``magic``."""
    with tempfile.TemporaryFile(dir=folder) as stream:
        first = True
        for part in unpacked(pieces, member):
            if first and part and not part.startswith(magic[: len(part)]):
                yield None
                return
            first = first and not part
            stream.write(part)
        stream.flush()
        if first:
            yield None
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
