"""Protocol-buffer messages read field by field from the wire, without their descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from envsolve.scan.models.source import MalformedError, Source, number


class Field(NamedTuple):
    """One field: its number and what stands there. ``start``: byte of the value in the file."""

    number: int
    kind: int
    value: int
    start: int
    end: int


class Message:
    """A stretch of bytes that may be a message."""

    def __init__(self, source: Source, start: int = 0, end: int | None = None) -> None:
        self.source = source
        self.start, self.end = start, source.size if end is None else end

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            if at >= self.end or shift > 63:
                raise MalformedError(f"a number at byte {at} does not end")
            byte = self.source.byte(at)
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    def fields(self) -> Iterator[Field]:
        """Every field in order. Raises MalformedError when the bytes are no message."""
        at = self.start
        while at < self.end:
            self.source.step()
            key, at = self._varint(at)
            kind, value = key & 7, 0
            if not 0 < key >> 3 < 1 << 29:
                raise MalformedError(f"a field at byte {at} has no number")
            if kind == 0:
                start = at
                value, at = self._varint(at)
            elif kind == 2:
                size, start = self._varint(at)
                at = start + size
            elif kind in (1, 5):
                start, at = at, at + (8 if kind == 1 else 4)
                value = number(self.source.some(start, 8), 0, at - start) if at <= self.end else 0
            else:
                raise MalformedError(f"a field at byte {at} has the unknown kind {kind}")
            if at > self.end:
                raise MalformedError(f"a field at byte {start} is cut off")
            yield Field(key >> 3, kind, value, start, at)

    def sub(self, field: Field) -> Message:
        """The message in a field."""
        return Message(self.source, field.start, field.end)

    def raw(self, field: Field, limit: int = 4096) -> bytes:
        """The bytes of a field, cut at ``limit``."""
        return self.source.some(field.start, min(field.end - field.start, limit))

    def text(self, field: Field) -> str | None:
        """The text of a field; None when it is none."""
        try:
            return self.raw(field).decode("utf-8")
        except UnicodeDecodeError:
            return None

    def valid(self) -> bool:
        """Do the bytes read as a message, one level deep?"""
        try:
            for _ in self.fields():
                pass
        except MalformedError:
            return False
        return True

    def first(self, wanted: int) -> Field | None:
        """The first field of a number."""
        return next((f for f in self.fields() if f.number == wanted), None)
