"""A wheel's METADATA without the wheel: the separate file (PEP 658), else the few bytes of the zip that hold it."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from email.parser import HeaderParser

from envsolve.lock.index import Index
from envsolve.lock.pages import File

_TAIL = 65536
_HEADER_ROOM = 512
_END = b"PK\x05\x06"
LARGEST = 16_000_000
"""Bytes of the largest file of metadata that is unpacked; real ones have thousands."""
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA$")


class MetadataError(ValueError):
    """A file's metadata cannot be read; the text says why."""


def bounded(content: bytes, filename: str) -> bytes:
    """What was unpacked up to one byte beyond the limit. Raises MetadataError when it is more than metadata can be."""
    if len(content) > LARGEST:
        raise MetadataError(f"{filename} holds metadata of more than {LARGEST // 1_000_000} MB")
    return content


def requires_dist(text: str) -> tuple[str, ...]:
    """The requirements that a METADATA or PKG-INFO states."""
    values = HeaderParser().parsestr(text).get_all("Requires-Dist") or []
    return tuple(" ".join(str(value).split()) for value in values)


def read_wheel(index: Index, file: File) -> tuple[str, ...]:
    """A wheel's requirements.

    Raises MetadataError when it holds none that can be read, NotReadyError when the index does not answer.
    """
    if file.metadata_sha256 is not None:
        content = index.download(f"{file.url}.metadata", f"{file.filename}.metadata", file.metadata_sha256)
    else:
        content = _from_zip(index, file)
    return requires_dist(content.decode("utf-8", "replace"))


def _from_zip(index: Index, file: File) -> bytes:
    offset, tail = index.part(file, max(0, file.size - _TAIL), file.size - 1)
    if offset == 0 and len(tail) >= file.size:
        return _whole(tail, file)
    try:
        return _ranged(index, file, offset, tail)
    except (struct.error, zlib.error, IndexError) as error:
        raise MetadataError(f"{file.filename} is not a zip file that can be read in parts") from error


def _whole(content: bytes, file: File) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next((n for n in archive.namelist() if _METADATA.fullmatch(n)), None)
            if name is None:
                raise MetadataError(f"{file.filename} holds no METADATA")
            with archive.open(name) as member:
                return bounded(member.read(LARGEST + 1), file.filename)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise MetadataError(f"{file.filename} is not a readable zip file") from error


def _ranged(index: Index, file: File, offset: int, tail: bytes) -> bytes:
    """Find the member in the zip's directory (at its end) and read just that."""
    end = tail.rindex(_END) if _END in tail else -1
    if end < 0:
        raise MetadataError(f"{file.filename} has no zip directory")
    size, start = struct.unpack("<II", tail[end + 12 : end + 20])
    if start == 0xFFFFFFFF or start + size > file.size:
        raise MetadataError(f"{file.filename} has a zip directory of an unknown kind")
    directory = tail[start - offset :][:size] if start >= offset else _read(index, file, start, size)
    position, length, method = _member(directory, file)
    # One request for the member's header (30 bytes, its name, its extra field) and its body.
    block = _read(index, file, position, 30 + _HEADER_ROOM + length, offset, tail)
    if block[:4] != b"PK\x03\x04":
        raise MetadataError(f"{file.filename} has a broken zip directory")
    name_size, extra_size = struct.unpack("<HH", block[26:30])
    packed = block[30 + name_size + extra_size :][:length]
    if len(packed) < length:
        packed = _read(index, file, position + 30 + name_size + extra_size, length)
    if method == zipfile.ZIP_STORED:
        return packed
    return bounded(zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, LARGEST + 1), file.filename)


def _member(directory: bytes, file: File) -> tuple[int, int, int]:
    """Where METADATA starts in the file, its packed size and its compression method."""
    at = 0
    while at + 46 <= len(directory):
        method = struct.unpack("<H", directory[at + 10 : at + 12])[0]
        packed, _, name_size, extra, comment = struct.unpack("<IIHHH", directory[at + 20 : at + 34])
        position = struct.unpack("<I", directory[at + 42 : at + 46])[0]
        name = directory[at + 46 : at + 46 + name_size].decode("utf-8", "replace")
        if _METADATA.fullmatch(name):
            if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MetadataError(f"{file.filename} packs METADATA by an unknown method")
            return position, packed, method
        at += 46 + name_size + extra + comment
    raise MetadataError(f"{file.filename} holds no METADATA")


def _read(index: Index, file: File, start: int, size: int, offset: int = 0, tail: bytes = b"") -> bytes:
    """Bytes of the file, from the tail at hand where that holds them; fewer at the file's end."""
    if tail and start >= offset:
        return tail[start - offset :][:size]
    at, content = index.part(file, start, min(file.size, start + size) - 1)
    return content[start - at :][:size]
