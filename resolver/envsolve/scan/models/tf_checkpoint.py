"""TensorFlow checkpoints: tables of version 1 and 2, shards of data, and the ``checkpoint`` text beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envsolve.scan.models import snappy
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.protobuf import Message
from envsolve.scan.models.source import LimitError, MalformedError, NotThisFormatError, Source, printable

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_BLOCK = 16 << 20
_NAMES = 20_000
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_ATTRIBUTE = "/.ATTRIBUTES/"
SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise MalformedError("a number in its table does not end")


def _block(source: Source, offset: int, size: int) -> bytes:
    if size > _BLOCK:
        raise LimitError("a block of its table is larger than a scan reads")
    data = source.exactly(offset, size + 5)
    if data[size] == 1:
        return snappy.unpack(data[:size], _BLOCK)
    if data[size] != 0:
        raise MalformedError(f"a block of its table is packed in the unknown way {data[size]}")
    return data[:size]


def _entries(source: Source, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    restarts = int.from_bytes(data[-4:], "little")
    end = len(data) - 4 - 4 * restarts
    if end < 0:
        raise MalformedError("a block of its table is too short")
    at, key = 0, b""
    while at < end:
        source.step()
        shared, at = _varint(data, at)
        more, at = _varint(data, at)
        size, at = _varint(data, at)
        if shared > len(key) or at + more + size > end:
            raise MalformedError("an entry of its table is cut off")
        key = key[:shared] + data[at : at + more]
        yield key, data[at + more : at + more + size]
        at += more + size


def table(source: Source) -> Iterator[tuple[bytes, bytes]]:
    """The entries of an SSTable. Raises NotThisFormatError when the file is none."""
    footer = source.tail(_FOOTER)
    if len(footer) < _FOOTER or footer[-8:] != MAGIC:
        raise NotThisFormatError
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, at = _varint(footer, at)
    for _, handle in _entries(source, _block(source, offset, size)):
        start, at = _varint(handle, 0)
        length, at = _varint(handle, at)
        yield from _entries(source, _block(source, start, length))


def read_table(source: Source, notes: Notes) -> None:
    """A checkpoint of version 1, or the index of one of version 2."""
    names: list[str] = []
    version = 0
    for key, value in table(source):
        if not key:
            version, inside = _header(value)
            names += inside
        elif version == 2:
            names.append(key.decode("utf-8", "replace"))
        if len(names) >= _NAMES or version == 1:
            break
    if not version:
        raise NotThisFormatError("a table of keys and values that is no checkpoint")
    notes.mark(
        "tf-checkpoint", f"v{version}", f"checkpoint V{version}, e.g. {printable(names[0] if names else '', 40)}"
    )
    objects = [n for n in names if n == OBJECT_GRAPH or _ATTRIBUTE in n]
    if objects:
        notes.mark("tf-checkpoint", "objects", printable(objects[0], 60))
    say_names(names, notes)


def _header(value: bytes) -> tuple[int, list[str]]:
    """The version that the entry of the empty key tells; of version 1 the names too."""
    message = Message(Source(value))
    fields = list(message.fields())
    if any(f.number == 1 and f.kind == 0 for f in fields):
        return 2, []
    names = []
    for field in fields:
        if field.number == 1 and field.kind == 2:
            for tensor in message.sub(field).fields():
                if tensor.number == 1 and tensor.kind == 2:
                    first = message.sub(tensor).first(1)
                    names.append((message.text(first) or "") if first and first.kind == 2 else "")
    return (1, names) if names else (0, [])


def say_names(names: list[str], notes: Notes) -> None:
    """What variable names tell of the code that made them."""
    for mark in notes.facts.model_markers.get("tf-variable", {}):
        name = next((n for n in names if n.endswith(mark)), None)
        if name:
            notes.mark("tf-variable", mark, f"variable {printable(name, 80)}")


def read_shard(source: Source, notes: Notes) -> None:
    """A file of data of a checkpoint of version 2: known by its name, and by the object graph inside."""
    if not SHARD.search(source.name):
        raise NotThisFormatError
    notes.mark("tf-checkpoint", "v2", "shard of a checkpoint V2")
    data = source.some(0, 4 << 20) + (source.tail(4 << 20) if source.size > 4 << 20 else b"")
    at = data.find(_ATTRIBUTE.encode())
    if at >= 0 or b"_CHECKPOINTABLE" in data:
        notes.mark("tf-checkpoint", "objects", ".ATTRIBUTES in its object graph", at if 0 <= at < 4 << 20 else None)


def read_text(source: Source, notes: Notes) -> None:
    """The ``checkpoint`` text that names the newest checkpoint."""
    text = source.head(1 << 16).decode("utf-8", "replace")
    found = re.match(r'\s*(?:all_)?model_checkpoint_path\s*:\s*"([^"\n]*)"', text)
    if not found:
        raise NotThisFormatError
    notes.mark("tf-checkpoint", "text", f"model_checkpoint_path: {printable(found[1], 60)}")
