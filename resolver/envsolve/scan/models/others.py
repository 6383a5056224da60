"""Small readers: git-lfs pointers, CNTK, Core ML and Paddle."""

from __future__ import annotations

import re

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.protobuf import Message
from envsolve.scan.models.source import NotThisFormatError, Source

LFS = b"version https://git-lfs.github.com/spec/"
CNTK_V1 = "BCN".encode("utf-16-le")
_SIZE = re.compile(rb"^size (\d{1,20})$", re.MULTILINE)
_CNTK_KEYS = frozenset({"uid", "root", "inputs", "primitive_functions", "outputs"})


def read_lfs(source: Source, notes: Notes) -> None:
    """The text that git keeps in place of a large file."""
    head = source.head(1024)
    if not head.startswith(LFS) or b"oid sha256:" not in head:
        raise NotThisFormatError
    size = _SIZE.search(head)
    what = f"git-lfs pointer to {int(size[1])} bytes" if size else "git-lfs pointer"
    notes.mark("pointer", "git-lfs", what)


def read_cntk(source: Source, notes: Notes) -> None:
    """A CNTK model, of version 1 (its own format) or 2 (a message of named values)."""
    if source.head(6) == CNTK_V1:
        notes.mark("cntk", "v1", "starts with BCN in UTF-16", 0)
        return
    message, keys, version = Message(source), set(), False
    for part in message.fields():
        if part.number == 1 and part.kind == 0:
            version = True
        elif part.number == 2 and part.kind == 2:
            name = message.sub(part).first(1)
            if name and name.kind == 2:
                keys.add(message.text(name))
        else:
            raise NotThisFormatError
    if not version or len(keys & _CNTK_KEYS) < 3:
        raise NotThisFormatError
    notes.mark("cntk", "v2", "a dictionary with root and primitive_functions")


def read_coreml(source: Source, notes: Notes) -> None:
    """A Core ML model: specification version, description, and one model of many kinds."""
    message, version, described, kind = Message(source), 0, False, 0
    for part in message.fields():
        if part.number == 1 and part.kind == 0:
            version = part.value
        elif part.number == 2 and part.kind == 2:
            described = message.sub(part).valid()
        elif part.number >= 200 and part.kind == 2:
            kind = part.number
        elif part.number != 10:
            raise NotThisFormatError
    if not 0 < version < 100 or not described or not kind:
        raise NotThisFormatError
    notes.below("coreml", version, f"Core ML specification {version}")


def read_paddle(source: Source, notes: Notes) -> None:
    """A Paddle program: blocks of variables and operations."""
    message, blocks = Message(source), 0
    for part in message.fields():
        if part.number == 1 and part.kind == 2:
            kinds = [(f.number, f.kind) for f in message.sub(part).fields()]
            if kinds[:2] != [(1, 0), (2, 0)] or not {(3, 2), (4, 2)} & set(kinds):
                raise NotThisFormatError
            blocks += 1
        elif (part.number, part.kind) not in ((4, 2), (5, 2)):
            raise NotThisFormatError
    if not blocks:
        raise NotThisFormatError
    notes.mark("paddle", "program", f"a program of {blocks} blocks")
