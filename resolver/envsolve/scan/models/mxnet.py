"""MXNet: symbols in JSON and files of parameters."""

from __future__ import annotations

import json

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source, number

LIST_MAGIC = (0x112).to_bytes(8, "little")
_NAMED = {0xF993FAC8: "v1", 0xF993FAC9: "v2", 0xF993FACA: "v3"}


def read_symbol(source: Source, notes: Notes) -> None:
    """A ``-symbol.json``."""
    try:
        symbol = json.loads(source.whole(16 << 20))
    except (ValueError, RecursionError) as error:
        raise NotThisFormatError from error
    if not isinstance(symbol, dict) or not isinstance(symbol.get("nodes"), list) or "arg_nodes" not in symbol:
        raise NotThisFormatError
    nodes = [node for node in symbol["nodes"] if isinstance(node, dict)]
    if "heads" not in symbol or not nodes or not all("op" in node and "inputs" in node for node in nodes):
        raise NotThisFormatError
    attributes = symbol.get("attrs")
    version = attributes.get("mxnet_version") if isinstance(attributes, dict) else None
    if isinstance(version, list) and len(version) == 2 and isinstance(version[1], int):
        _version(version[1], notes)
    keys = {key for node in nodes for key in node}
    for mark in ("attrs", "attr", "param"):
        if mark in keys:
            notes.mark("mxnet-symbol", mark, f'nodes with "{mark}"')
            return
    notes.mark("mxnet-symbol", "bare", "nodes without parameters")


def _version(value: int, notes: Notes) -> None:
    text = f"{value // 10000}.{value // 100 % 100}.{value % 100}"
    row = notes.marker("mxnet-symbol", "mxnet_version")
    if row and value > 0:
        source = notes.facts.evidence(row).source
        made = {"mxnet": f"=={text}"}
        notes.say(f"mxnet_version {value}", f"written by MXNet {text}", row.strength, source, made_with=made)


def read_params(source: Source, notes: Notes) -> None:
    """A ``.params`` file: a list of arrays and their names."""
    head = source.head(32)
    if head[:8] != LIST_MAGIC or head[8:16] != bytes(8):
        raise NotThisFormatError
    if len(head) < 28:
        raise MalformedError("its list is cut off")
    count, first = number(head, 16, 8), number(head, 24, 4)
    if not count:
        raise NotThisFormatError("a list without arrays")
    mark = _NAMED.get(first) or ("legacy" if first <= 32 else None)
    if mark is None:
        raise MalformedError(f"its first array starts with the unknown mark {first:#x}")
    found = f"{count} arrays, first mark {first:#x}" if mark != "legacy" else f"{count} arrays without a mark"
    notes.mark("mxnet-params", mark, found, 24)
