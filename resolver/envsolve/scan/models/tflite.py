"""TensorFlow Lite models: the version and the metadata of the flatbuffer."""

from __future__ import annotations

import re

from packaging.version import Version

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source, number, printable

_MANY = 4096
_VERSION_TEXT = re.compile(r"^\d+(\.\d+){1,2}$")


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, source: Source, at: int) -> None:
        self._source, self._at = source, at
        distance = int.from_bytes(source.exactly(at, 4), "little", signed=True)
        self._fields = source.exactly(at - distance, number(source.exactly(at - distance, 2), 0, 2))

    def place(self, field: int) -> int | None:
        """Where a field's value is."""
        at = 4 + 2 * field
        offset = number(self._fields, at, 2) if at + 2 <= len(self._fields) else 0
        return self._at + offset if offset else None

    def integer(self, field: int) -> int:
        """A field of four bytes; 0 when it is not there."""
        at = self.place(field)
        return 0 if at is None else number(self._source.exactly(at, 4), 0, 4)

    def _target(self, field: int) -> int | None:
        at = self.place(field)
        return None if at is None else at + number(self._source.exactly(at, 4), 0, 4)

    def raw(self, field: int) -> bytes:
        """A string or a vector of bytes, cut at 4096."""
        at = self._target(field)
        return b"" if at is None else self._source.some(at + 4, min(_MANY, number(self._source.exactly(at, 4), 0, 4)))

    def tables(self, field: int) -> list[int]:
        """Where the tables of a vector are."""
        at = self._target(field)
        if at is None:
            return []
        count = min(_MANY, number(self._source.exactly(at, 4), 0, 4))
        self._source.step(count)
        places = self._source.exactly(at + 4, 4 * count)
        return [at + 4 + 4 * i + number(places, 4 * i, 4) for i in range(count)]


def read(source: Source, notes: Notes) -> None:
    """A ``.tflite`` file."""
    head = source.head(8)
    if head[4:8] != b"TFL3":
        raise NotThisFormatError
    model = _Table(source, number(head, 0, 4))
    version = model.integer(0)
    if not version:
        raise MalformedError("its model has no version")
    notes.mark("tflite", "TFL3", f"TFL3, schema {version}", 4)
    description = model.raw(3).decode("utf-8", "replace")
    notes.mark("tflite-description", description.strip(), f"description {printable(description, 40)}")
    buffers = model.tables(4)
    for place in model.tables(6):
        entry = _Table(source, place)
        name = entry.raw(0)
        index = entry.integer(1)
        if name == b"min_runtime_version" and index < len(buffers):
            _runtime(_Table(source, buffers[index]).raw(0), notes)


def _runtime(value: bytes, notes: Notes) -> None:
    text = value.rstrip(b"\0 ").decode("utf-8", "replace")
    if _VERSION_TEXT.match(text):
        row = notes.marker("tflite", "min_runtime_version")
        if row:
            ranges = {"tensorflow": f">={Version(text)}"}
            source = notes.facts.evidence(row).source
            notes.say(f"min_runtime_version {text}", row.means, row.strength, source, ranges=ranges)
