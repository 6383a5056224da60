"""Torch7's files (Lua), binary and text."""

from __future__ import annotations

import re

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import NotThisFormatError, Source, printable

_BINARY = re.compile(rb"\x04\0\0\0.{4}\x03\0\0\0V \d.\0{3}([A-Za-z_]\w*(?:\.\w+)+)", re.DOTALL)
_TEXT = re.compile(rb"(?:^|\n)4\n\d+\n3\nV \d\n\d+\n([A-Za-z_]\w*(?:\.\w+)+)\n")
_LOOK = 4 << 20


def read(source: Source, notes: Notes) -> None:
    """A ``.t7`` file: a type number, then objects each with 'V 1' and the name of a class."""
    data = source.head(_LOOK)
    for name, pattern, starts in (
        ("binary", _BINARY, (b"\x04\0\0\0", b"\x03\0\0\0")),
        ("text", _TEXT, (b"4\n", b"3\n")),
    ):
        if not data.startswith(starts):
            continue
        classes = dict.fromkeys(m[1].decode("ascii") for m in pattern.finditer(data))
        if classes:
            notes.mark("torch7", name, f"Torch7 {name}, first class {printable(next(iter(classes)), 60)}", 0)
            notes.dotted("torch7-class", classes)
            return
    raise NotThisFormatError
