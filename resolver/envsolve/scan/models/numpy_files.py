"""NumPy's files: ``.npy`` and the members of ``.npz``, the pickles inside scanned and never loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envsolve.scan.models import pickles
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source, number, printable

MAGIC = b"\x93NUMPY"
_OBJECT = re.compile(r"'descr':\s*(?:'\|?O[48]?'|.*'\|?O[48]?')")
_LASAGNE = re.compile(r"^arr_\d+$")
_CHAINER = re.compile(r"(^|/)(W|b|gamma|beta|avg_mean|avg_var|N|persistent)$")


def read(source: Source, notes: Notes, *, partial: bool = False) -> None:
    """A ``.npy`` file; ``partial``: the start of one."""
    head = source.head(12)
    if head[:6] != MAGIC:
        raise NotThisFormatError
    width = 2 if number(head, 6, 1) == 1 else 4
    size = number(head, 8, width)
    if size > 1 << 20:
        raise MalformedError("its header is longer than any real one")
    header = source.exactly(8 + width, size).decode("latin-1")
    if "'descr'" not in header:
        raise MalformedError("its header describes no array")
    notes.mark("npy", "array", f"npy {head[6]}.{head[7]} {printable(header.strip(), 80)}")
    if _OBJECT.search(header):
        notes.mark("npy", "object", "array of objects: a pickle inside", 8 + width)
        pickles.say(pickles.scan(source, 8 + width + size, partial=partial), notes)


def say_names(names: Iterable[str], notes: Notes) -> None:
    """What the names of an ``.npz`` tell."""
    arrays = [name.removesuffix(".npy") for name in names]
    if arrays and all(_LASAGNE.match(name) for name in arrays):
        notes.mark("npz", "arr_", f"{arrays[0]} to {arrays[-1]}")
    elif any("/" in name and _CHAINER.search(name) for name in arrays):
        mark = "chainer-trainer" if any(name.startswith("updater/") for name in arrays) else "chainer"
        name = next(n for n in arrays if "/" in n and _CHAINER.search(n))
        notes.mark("npz", mark, printable(name, 60))
    else:
        notes.mark("npz", "arrays", ", ".join(arrays[:4]))
