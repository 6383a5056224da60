"""Bytes of a file on the index: single ranges, and a plan of spans fetched one piece ahead of the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from envsolve.lock.index import Index
from envsolve.lock.pages import File
from harvest.errors import UnreadableError

PIECE = 8 << 20
"""Bytes of one request of a plan: memory holds AHEAD + 1 of these."""
AHEAD = 4
"""Requests under way while one piece is being read."""

Span = tuple[int, int]


class Source(Protocol):
    """A file that can be read in parts."""

    size: int

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``."""


@dataclass
class Remote:
    """A file of the index, read by HTTP ranges. ``fetched``: bytes so far."""

    index: Index
    file: File
    size: int = field(init=False)
    fetched: int = 0

    def __post_init__(self) -> None:
        self.size = self.file.size

    def read(self, start: int, end: int) -> bytes:
        """A range. Raises UnreadableError when the answer is another one, NotReadyError when there is none."""
        end = min(end, self.size)
        if start >= end:
            return b""
        at, content = self.index.part(self.file, start, end - 1)
        content = content[start - at :][: end - start]
        if len(content) != end - start:
            raise UnreadableError(f"the index gave {len(content)} bytes of {end - start} at {start}")
        self.fetched += len(content)
        return content


@dataclass
class Local:
    """A file on disk."""

    path: Path
    size: int = field(init=False)
    fetched: int = 0

    def __post_init__(self) -> None:
        self.size = self.path.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        """A range; fewer bytes at the file's end."""
        with self.path.open("rb") as stream:
            stream.seek(start)
            return stream.read(max(0, end - start))


def join_spans(spans: Sequence[Span], gap: int = 256 << 10) -> list[Span]:
    """Spans in order, those that nearly touch as one: a request costs more than a few bytes too many."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class Pieces:
    """A forward reader over the spans of a plan; what lies between two reads is thrown away."""

    def __init__(self, source: Source, spans: Sequence[Span], piece: int = PIECE, ahead: int = AHEAD) -> None:
        self._source = source
        self._todo = deque(
            (at, min(at + piece, end)) for start, end in join_spans(spans) for at in range(start, end, piece)
        )
        self._pool = ThreadPoolExecutor(ahead, thread_name_prefix="pieces")
        self._coming: deque[tuple[Span, Future[bytes]]] = deque()
        self._ahead = ahead
        self._start, self._now = 0, b""

    def __enter__(self) -> Pieces:  # noqa: PYI034 - Self is newer than the oldest Python
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _next(self) -> bool:
        while self._todo and len(self._coming) <= self._ahead:
            span = self._todo.popleft()
            self._coming.append((span, self._pool.submit(self._source.read, *span)))
        if not self._coming:
            return False
        span, future = self._coming.popleft()
        self._start, self._now = span[0], future.result()
        return True

    def stream(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a range of the plan, in the order of the file, piece by piece.

        Raises UnreadableError when the plan does not hold the range, or it lies behind.
        """
        while start < end:
            while start >= self._start + len(self._now):
                if not self._next():
                    raise UnreadableError(f"the file ends before {end}")
            if start < self._start:
                raise UnreadableError(f"offset {start} was not planned")
            part = self._now[start - self._start : end - self._start]
            yield part
            start += len(part)
