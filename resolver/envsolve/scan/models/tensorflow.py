"""TensorFlow graphs: SavedModel, MetaGraph and GraphDef, on the wire and as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

from envsolve.facts import ModelRelease
from envsolve.scan.evidence import Strength
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.protobuf import Message
from envsolve.scan.models.source import LimitError, NotThisFormatError, Source, printable

_OP = re.compile(r"^[A-Z_][A-Za-z0-9_>]*$")
_TABLE = "matrices/models.json, releases: read from the released wheels"


@dataclass
class Graph:
    """What graphs in a file say."""

    ops: dict[str, int] = field(default_factory=dict)
    producer: int | None = None
    min_consumer: int | None = None
    producer_at: int | None = None
    writer: str | None = None
    writer_at: int | None = None
    odd_nodes: int = 0
    cut: bool = False


def read_saved_model(source: Source, notes: Notes) -> None:
    """A ``saved_model.pb``."""
    graph, found = Graph(), False
    with _as_far_as_it_goes(graph):
        for part in Message(source).fields():
            if part.number == 1 and part.kind == 0 and part.value == 1:
                found = True
            elif part.number == 2 and part.kind == 2:
                _meta_graph(Message(source, part.start, part.end), graph)
            else:
                raise NotThisFormatError
    if not found or not graph.ops:
        raise NotThisFormatError
    notes.mark("tf-file", "saved-model", "SavedModel")
    say(graph, notes)


def read_meta_graph(source: Source, notes: Notes) -> None:
    """A ``.meta`` file of a checkpoint or an ``export.meta``."""
    graph = Graph()
    with _as_far_as_it_goes(graph):
        _meta_graph(Message(source), graph)
    if not graph.ops or graph.odd_nodes:
        raise NotThisFormatError
    notes.mark("tf-file", "meta-graph", "MetaGraph")
    say(graph, notes)


def read_graph(source: Source, notes: Notes) -> None:
    """A frozen or plain GraphDef."""
    graph = Graph()
    with _as_far_as_it_goes(graph):
        _graph(Message(source), graph)
    if not graph.ops or graph.odd_nodes:
        raise NotThisFormatError
    notes.mark("tf-file", "graph", "GraphDef")
    say(graph, notes)


@contextmanager
def _as_far_as_it_goes(graph: Graph) -> Iterator[None]:
    """A graph that is too large for a scan counts for what was read of it."""
    try:
        yield
    except LimitError:
        graph.cut = True


def _meta_graph(message: Message, graph: Graph) -> None:
    seen: set[int] = set()
    for part in message.fields():
        if part.kind != 2 or part.number > 7 or (part.number in seen and part.number < 4):
            raise NotThisFormatError
        seen.add(part.number)
        if part.number == 1:
            for info in message.sub(part).fields():
                if info.number == 5 and info.kind == 2 and graph.writer is None:
                    graph.writer, graph.writer_at = message.text(info), info.start
        elif part.number == 2:
            _graph(message.sub(part), graph)


def _graph(message: Message, graph: Graph) -> None:
    for part in message.fields():
        if part.number == 1 and part.kind == 2:
            _node(message.sub(part), graph)
        elif part.number == 2 and part.kind == 2:
            _library(message.sub(part), graph)
        elif part.number == 4 and part.kind == 2:
            graph.producer_at = part.start
            for version in message.sub(part).fields():
                if version.number == 1:
                    graph.producer = max(graph.producer or 0, version.value)
                elif version.number == 2:
                    graph.min_consumer = version.value
        elif part.number not in (3, 5) or part.kind not in (0, 2):
            raise NotThisFormatError


def _library(message: Message, graph: Graph) -> None:
    """Functions: their nodes are field 3 of each."""
    for function in message.fields():
        if function.number == 1 and function.kind == 2:
            for part in message.sub(function).fields():
                if part.number == 3 and part.kind == 2:
                    _node(message.sub(part), graph)


def _node(message: Message, graph: Graph) -> None:
    name = op = None
    at = message.start
    for part in message.fields():
        if part.kind != 2:
            graph.odd_nodes += 1
            return
        if part.number == 1:
            name = message.text(part)
        elif part.number == 2:
            op, at = message.text(part), part.start
            break
    if not name or not op or not _OP.match(op):
        graph.odd_nodes += 1
    else:
        graph.ops.setdefault(op, at)


_TEXT_OP = re.compile(r'^\s*op:\s*"([^"]+)"', re.MULTILINE)
_TEXT_WRITER = re.compile(r'tensorflow_version:\s*"([^"]+)"')


def read_text(source: Source, notes: Notes) -> None:
    """A graph, a MetaGraph or a SavedModel as text (``.pbtxt``)."""
    text = source.head(16 << 20).decode("utf-8", "replace")
    graph = Graph(ops={m[1]: m.start() for m in _TEXT_OP.finditer(text)})
    if not graph.ops or not re.search(r"^\s*node\s*\{", text, re.MULTILINE):
        raise NotThisFormatError
    producer = re.search(r"versions\s*\{\s*producer:\s*(\d{1,6})", text)
    writer = _TEXT_WRITER.search(text)
    graph.producer = int(producer[1]) if producer else None
    graph.writer = writer[1] if writer else None
    notes.mark("tf-file", "text-graph", "graph as text")
    say(graph, notes)


def say(graph: Graph, notes: Notes) -> None:
    """The evidence of a graph: who wrote it, and which releases know all its operations."""
    if graph.cut:
        notes.partly()
    if graph.writer:
        _writer(graph, notes)
    if graph.producer:
        _producer(graph, notes)
    say_ops(graph.ops, notes)


def _writer(graph: Graph, notes: Notes) -> None:
    text = printable(graph.writer, 30)
    try:
        made = {"tensorflow": f"=={Version(text)}"}
    except InvalidVersion:
        made = {}
    notes.say(
        f"tensorflow_version {text}",
        f"written by TensorFlow {text}",
        "proof",
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/meta_graph.proto",
        offset=graph.writer_at,
        made_with=made,
    )


def _producer(graph: Graph, notes: Notes) -> None:
    """The releases that write this producer number, or the two that it lies between."""
    known = (r for r in notes.facts.model_releases if r.producer is not None and r.framework == "tensorflow")
    rows = sorted(known, key=lambda r: (r.producer or 0, Version(r.release)))
    number = graph.producer or 0
    same = sorted(Version(r.release) for r in rows if r.producer == number)
    below = max((r.producer or 0 for r in rows if (r.producer or 0) < number), default=None)
    above = [r for r in rows if (r.producer or 0) > number]
    if same:
        made, text = f">={same[0]},<={same[-1]}.9999", f"{same[0]} to {same[-1]}" if same[1:] else f"{same[0]}"
    elif above:
        first = above[0].release
        made = f"<={first}.9999" if below is None else f">={_last(rows, below)},<={first}.9999"
        text = f"{first} or a version on the way to it" if below is not None else f"before {first}"
    elif rows:
        made, text = f">={rows[-1].release}", f"{rows[-1].release} or later"
    else:
        return
    strong = graph.writer is None
    strength: Strength = "strong" if strong else "weak"
    means = f"the graph was last written by TensorFlow {text} (tools that rewrite graphs put in their own)"
    notes.say(
        f"producer {number}",
        means,
        strength,
        _TABLE,
        offset=graph.producer_at,
        made_with={"tensorflow": made} if strong else {},
    )


def _last(rows: Iterable[ModelRelease], producer: int) -> str:
    return str(max(Version(row.release) for row in rows if row.producer == producer))


def say_ops(ops: dict[str, int], notes: Notes) -> None:
    """The first release that knows all operations, and the first that no longer does."""
    since: dict[str, str] = {}
    gone: dict[str, str] = {}
    releases = [r for r in notes.facts.model_releases if r.framework == "tensorflow"]
    known = [row for row in releases if row.ops_added]
    for row in known[1:]:
        since |= {op: row.release for op in ops.keys() & set(row.ops_added) if op not in since}
    for row in releases:
        gone |= dict.fromkeys(ops.keys() & set(row.ops_gone), row.release)
    low = max(since.values(), key=Version, default=None)
    high = min(gone.values(), key=Version, default=None)
    if low is not None:
        mine = sorted(op for op, release in since.items() if release == low)
        notes.say(
            f"op {', '.join(mine[:5])}",
            f"operations that TensorFlow has since {low}",
            "proof",
            _TABLE,
            offset=min(ops[op] for op in mine),
            ranges={"tensorflow": f">={low}"},
        )
    if high is not None:
        mine = sorted(op for op, release in gone.items() if release == high)
        notes.say(
            f"op {', '.join(mine[:5])}",
            f"operations of tf.contrib, which TensorFlow {high} no longer has",
            "strong",
            _TABLE,
            offset=min(ops[op] for op in mine),
            ranges={"tensorflow": f"<{high}"},
        )
