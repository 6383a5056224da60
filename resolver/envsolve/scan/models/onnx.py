"""ONNX models: the version of the format, the operator sets and who exported it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.protobuf import Message
from envsolve.scan.models.source import NotThisFormatError, Source, printable

_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_VERSION = re.compile(r"^\d+(\.\d+)*")


@dataclass
class _Model:
    ir: int = 0
    producer: str = ""
    version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    graph: bool = False


def read(source: Source, notes: Notes) -> None:
    """An ``.onnx`` file."""
    model = _Model()
    message = Message(source)
    for part in message.fields():
        if _FIELDS.get(part.number) != part.kind:
            raise NotThisFormatError
        if part.number == 1:
            model.ir = part.value
        elif part.number == 2:
            model.producer = message.text(part) or ""
        elif part.number == 3:
            model.version = message.text(part) or ""
        elif part.number == 7:
            model.graph = message.sub(part).valid()
        elif part.number == 8:
            _opset(message.sub(part), model)
    if not model.graph or not 0 < model.ir < 1000 or not (model.opsets or model.ir < 3):
        raise NotThisFormatError
    _say(model, notes)


def _opset(message: Message, model: _Model) -> None:
    domain, version = "", 0
    for part in message.fields():
        if part.number == 1 and part.kind == 2:
            domain = message.text(part) or ""
        elif part.number == 2 and part.kind == 0:
            version = part.value
    model.opsets[domain] = version


def _say(model: _Model, notes: Notes) -> None:
    notes.below("onnx-ir", model.ir, f"ir_version {model.ir}")
    opset = model.opsets.get("", model.opsets.get("ai.onnx", 0))
    if opset:
        notes.below("onnx-opset", opset, f"opset {opset}")
    if not model.producer:
        return
    row = notes.marker("onnx-producer", model.producer)
    shown = f"producer {printable(model.producer, 40)} {printable(model.version, 20)}"
    if row is None:
        notes.mark("onnx-producer", "", shown)
        return
    version = _VERSION.match(model.version)
    made = dict.fromkeys(row.made_with, f"=={version[0]}.*") if version else dict(row.made_with)
    source = notes.facts.evidence(row).source
    notes.say(shown, row.means, row.strength, source, ranges=row.ranges, made_with=made)
