"""Bounded reading of a file's bytes, and the two ways in which a file is not what a reader takes it for."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

BUDGET = 64 << 20
"""Bytes that one scan of one file may read in all."""
STEPS = 200_000
"""Structures (fields, opcodes, nodes, messages) that one scan of one file may look at."""


_CHUNK = 16 << 10
_LINE = 16 << 20


class NotThisFormatError(Exception):
    """The file is none of this reader's: another may try."""


class MalformedError(Exception):
    """The file starts like this format and then breaks it; the text says where, in one line."""


class LimitError(MalformedError):
    """The file asks for more than a scan is willing to read."""


class Source:
    """A file that is read in parts, within a budget of bytes and of steps."""

    def __init__(self, file: Path | bytes, budget: int = BUDGET, steps: int = STEPS) -> None:
        self.name = file.name if isinstance(file, Path) else ""
        self._file: BinaryIO = file.open("rb") if isinstance(file, Path) else io.BytesIO(file)
        self.size = self._file.seek(0, 2)
        self._budget = self._left = budget
        self._steps = steps
        self._chunks: dict[int, bytes] = {}

    def __enter__(self) -> Source:  # noqa: PYI034 - Self is newer than the oldest Python
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def renew(self) -> None:
        """Give the next reader its own budget."""
        self._left, self._steps = self._budget, STEPS

    def step(self, count: int = 1) -> None:
        """Count structures looked at. Raises LimitError when there are too many."""
        self._steps -= count
        if self._steps < 0:
            raise LimitError("it has more parts than a scan looks at")

    def some(self, at: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``at``; fewer at the end. Raises LimitError beyond the budget."""
        if at < 0 or count <= 0 or at >= self.size:
            return b""
        count = min(count, self.size - at)
        self._left -= count
        if self._left < 0:
            raise LimitError("it is larger than a scan reads")
        self._file.seek(at)
        return self._file.read(count)

    def exactly(self, at: int, count: int) -> bytes:
        """Just these bytes. Raises MalformedError when the file ends before."""
        found = self.some(at, count) if count >= 0 else b""
        if len(found) != count:
            raise MalformedError(f"the file ends before byte {at + count}")
        return found

    def byte(self, at: int) -> int:
        """One byte, read with its neighbours. Raises MalformedError at the end."""
        chunk = at // _CHUNK
        if chunk not in self._chunks:
            self._chunks[chunk] = self.some(chunk * _CHUNK, _CHUNK)
        found = self._chunks[chunk]
        if not 0 <= at % _CHUNK < len(found):
            raise MalformedError(f"the file ends before byte {at + 1}")
        return found[at % _CHUNK]

    def part(self, at: int, count: int) -> bytes:
        """So many bytes, read with their neighbours. Raises MalformedError at the end."""
        found = b""
        while count > 0:
            self.byte(at)
            start = at % _CHUNK
            piece = self._chunks[at // _CHUNK][start : start + count]
            found += piece
            at += len(piece)
            count -= len(piece)
        return found

    def line(self, at: int, most: int) -> tuple[int, bytes]:
        """The place of the next newline, and up to ``most`` bytes before it. Raises LimitError where it is too far."""
        start, found = at, b""
        while True:
            self.byte(at)
            chunk, begin = self._chunks[at // _CHUNK], at % _CHUNK
            end = chunk.find(b"\n", begin)
            if len(found) < most:
                found += chunk[begin : end if end >= 0 else None]
            if end >= 0:
                return at + end - begin, found[:most]
            at += len(chunk) - begin
            if at - start > _LINE:
                raise LimitError("a line of it is longer than a scan reads")

    def head(self, count: int = 4096) -> bytes:
        """The first bytes."""
        return self.some(0, count)

    def tail(self, count: int) -> bytes:
        """The last bytes."""
        return self.some(max(0, self.size - count), count)

    def whole(self, limit: int = BUDGET) -> bytes:
        """All of it. Raises LimitError when that is more than ``limit``."""
        if self.size > limit:
            raise LimitError(f"it has {self.size} bytes, more than a scan reads whole")
        return self.some(0, self.size)


def unpack(layout: str, data: bytes, at: int = 0) -> tuple[int, ...]:
    """Integers at an offset. Raises MalformedError when the data ends before."""
    try:
        found: tuple[int, ...] = struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise MalformedError("it is cut off") from error
    return found


def number(data: bytes, at: int, size: int) -> int:
    """An unsigned little-endian integer of any size. Raises MalformedError when the data ends before."""
    part = data[at : at + size]
    if at < 0 or len(part) != size:
        raise MalformedError("it is cut off")
    return int.from_bytes(part, "little")


def printable(value: object, limit: int = 80) -> str:
    """A value fit for a line of output: control characters gone, cut at ``limit``."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= limit else text[: limit - 3] + "..."
