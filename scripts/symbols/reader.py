"""The Python sources of a release: of a wheel by ranges, of a source archive whole."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

from harvest.errors import UnreadableError
from harvest.transport import Remote, Span, join_spans
from harvest.zipdir import DEFLATED, STORED, Member, body_offset, read_directory

from envsolve.lock.index import Index
from envsolve.lock.pages import File

_PIECE = 8 << 20
_LARGEST = 4 << 20
"""Bytes; a source beyond this size is a table of numbers."""
_DATA = re.compile(r"[^/]+\.data/(purelib|platlib)/")


def sources(index: Index, file: File, roots: Sequence[str]) -> dict[str, bytes]:
    """Path below the archive's top -> bytes, for the ``.py`` files of these top folders."""
    if file.filename.endswith(".whl"):
        return _of_wheel(Remote(index, file), roots)
    content = index.download(file.url, file.filename, file.sha256)
    return _of_archive(content, file.filename, roots)


def wanted(path: str, roots: Sequence[str]) -> bool:
    """A source of the package itself, not one of its tests."""
    parts = path.split("/")
    return (
        path.endswith((".py", ".pyi"))
        and parts[0] in roots
        and not any(p in ("tests", "test", "testing_data", "include", "benchmarks") for p in parts[1:-1])
        and not parts[-1].endswith("_test.py")
        and not parts[-1].startswith("test_")
    )


def _of_wheel(source: Remote, roots: Sequence[str]) -> dict[str, bytes]:
    directory = read_directory(source)
    members = [m for m in directory if wanted(_inside(m.name), roots) and m.size < _LARGEST]
    spans = join_spans([(m.start, m.end) for m in members])
    held: list[tuple[Span, bytes]] = [
        ((at, min(end, at + _PIECE)), source.read(at, min(end, at + _PIECE)))
        for start, end in spans
        for at in range(start, end, _PIECE)
    ]
    return {_inside(m.name): _unpacked(m, _bytes(held, m)) for m in members}


def _inside(name: str) -> str:
    """The path as installed: old wheels keep their files in NAME.data/purelib."""
    match = _DATA.match(name)
    return name[match.end() :] if match else name


def _bytes(held: list[tuple[Span, bytes]], member: Member) -> bytes:
    parts = [
        content[max(0, member.start - start) : member.end - start]
        for (start, end), content in held
        if start < member.end and end > member.start
    ]
    return b"".join(parts)


def _unpacked(member: Member, content: bytes) -> bytes:
    packed = content[body_offset(content, member) - member.start :][: member.packed]
    if member.method == STORED:
        return packed
    if member.method != DEFLATED:
        raise UnreadableError(f"{member.name} is packed by an unknown method ({member.method})")
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)


def _of_archive(content: bytes, filename: str, roots: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    if filename.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                path = _below(name, roots)
                if path:
                    found[path] = archive.read(name)
        return found
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for entry in tar:
            path = _below(entry.name, roots)
            stream = tar.extractfile(entry) if path and entry.isfile() else None
            if path and stream:
                found[path] = stream.read()
    return found


def _below(name: str, roots: Sequence[str]) -> str:
    """The path from the package's folder on; some archives keep it one or two folders down."""
    parts = name.split("/")
    for skip in (1, 2):
        path = "/".join(parts[skip:])
        if wanted(path, roots):
            return path
    return ""
