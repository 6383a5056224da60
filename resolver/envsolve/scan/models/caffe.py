"""Caffe networks: three generations of layers, as text (prototxt) and as trained weights (caffemodel)."""

from __future__ import annotations

import re

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.protobuf import Message
from envsolve.scan.models.source import NotThisFormatError, Source, printable

_FIELDS = {1: 2, 2: 2, 3: 2, 4: 0, 5: 0, 6: 2, 7: 0, 8: 2, 100: 2}
_WORD = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")


def read_weights(source: Source, notes: Notes) -> None:
    """A ``.caffemodel``."""
    message = Message(source)
    generations: dict[str, int] = {}
    types: dict[str, int] = {}
    for part in message.fields():
        packed = part.number == 4 and part.kind == 2
        if _FIELDS.get(part.number) != part.kind and not packed:
            raise NotThisFormatError
        if part.number == 100:
            kind = _new_layer(message.sub(part))
            generations.setdefault("layer", part.start)
            types.setdefault(kind, part.start)
        elif part.number == 2:
            generations.setdefault(_old_layer(message.sub(part)), part.start)
    if not generations:
        raise NotThisFormatError
    for mark, at in generations.items():
        notes.mark("caffe-net", mark, f"caffemodel, {mark}", at)
    _types(types, notes)


def _new_layer(message: Message) -> str:
    """The type of a LayerParameter: name in field 1, type in field 2, both words."""
    texts = {}
    for part in message.fields():
        if part.number in (1, 2) and part.kind == 2:
            texts[part.number] = message.text(part)
    if not texts.get(1) or not _WORD.match(texts.get(2) or ""):
        raise NotThisFormatError
    return str(texts[2])


def _old_layer(message: Message) -> str:
    """'layers' for V1LayerParameter, 'layers-v0' where the layer is a message of its own."""
    fields = {(part.number, part.kind): part for part in message.fields()}
    if (1, 2) in fields and (4, 2) not in fields and message.sub(fields[1, 2]).valid():
        return "layers-v0"
    if (4, 2) in fields and (5, 0) in fields and message.text(fields[4, 2]):
        return "layers"
    raise NotThisFormatError


def _types(types: dict[str, int], notes: Notes) -> None:
    for name, at in types.items():
        notes.mark("caffe-layer", name, f"layer type {printable(name, 40)}", at)


_LAYER = re.compile(r"^\s*(layers?)\s*:?\s*\{", re.MULTILINE)
_TYPE = re.compile(r"""^\s*type\s*:\s*["']?(\w+)["']?""", re.MULTILINE)
_INNER = re.compile(r"^\s*layers\s*:?\s*\{\s*layer\s*:?\s*\{", re.MULTILINE)
_SOLVER = re.compile(r"^\s*(base_lr|lr_policy|max_iter|snapshot_prefix|train_net)\s*:", re.MULTILINE)


def read_text(source: Source, notes: Notes) -> None:
    """A ``.prototxt``: a network or a solver."""
    text = source.head(4 << 20).decode("utf-8", "replace")
    text = re.sub(r"#[^\n]*", "", text)
    layer, types = _LAYER.search(text), [m[1] for m in _TYPE.finditer(text)]
    if layer and types:
        mark = "layer" if layer[1] == "layer" else "layers-v0" if _INNER.search(text) else "layers"
        notes.mark("caffe-net", mark, f"{layer[1]} {{ with type {printable(types[0], 30)}")
        _types(dict.fromkeys(types, 0), notes)
    elif len(set(_SOLVER.findall(text))) >= 2:
        notes.mark("caffe-net", "solver", "a solver's settings")
    else:
        raise NotThisFormatError
