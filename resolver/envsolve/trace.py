"""The way from a request to a stack, for people: as text, as a tree, as a drawing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from envsolve.explain import Sources
from envsolve.models import Reason
from envsolve.prose import listed

if TYPE_CHECKING:
    from envsolve.solver.chain import Chain, Choice, Rejected

REQUEST = "request"
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW, MARGIN = 270, 40, 370, 76, 24
"""Of the drawing, in SVG user units (pixels)."""
LETTERS = 38
"""Letters that fit into a box."""


def axis_name(axis: str) -> str:
    """'framework:tensorflow' -> 'tensorflow'; 'os' -> 'OS': as a heading."""
    plain = axis.removeprefix("framework:")
    words = {"os": "OS", "cuda": "CUDA", "cudnn": "cuDNN", "cuda_source": "CUDA from", "image": "base image"}
    return words.get(plain, plain.capitalize() if plain == "python" else plain)


# -- text ----------------------------------------------------------------------------------------------------


def choices_text(choices: Iterable[Choice], links: Chain) -> str:
    """Each axis: what was taken and which facts led there; then every other value, and what it failed on."""
    sources = Sources()
    lines: list[str] = []
    for choice in choices:
        lines += (
            ["", f"{axis_name(choice.axis)}: {choice.value}"]
            if lines
            else [f"{axis_name(choice.axis)}: {choice.value}"]
        )
        because = dict.fromkeys(link.reason for link in links.links if choice.axis in (link.target, link.source))
        lines += [f"  - {reason.text}{sources.cited(reason)}" for reason in because]
        for rejected in choice.rejected:
            lines += _rejected(rejected, sources)
    return "\n".join([*lines, *sources.listing()]) + "\n"


def _rejected(rejected: Rejected, sources: Sources) -> list[str]:
    values = listed(rejected.values, most=6)
    if rejected.preference:
        return [f"  not {values}: would work too; what decided: {rejected.preference}"]
    if len(rejected.core) == 1:
        reason = rejected.core[0]
        return [f"  not {values}: {reason.text}{sources.cited(reason)}"]
    return [f"  not {values}:", *(f"      {reason.text}{sources.cited(reason)}" for reason in rejected.core)]


def choices_document(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """The same for ``--json``."""
    return [
        {
            "axis": choice.axis.removeprefix("framework:"),
            "value": choice.value,
            "rejected": [
                {
                    "values": list(r.values),
                    "reasons": [reason.model_dump(mode="json") for reason in r.core],
                    "preference": r.preference,
                }
                for r in choice.rejected
            ],
        }
        for choice in choices
    ]


# -- tree ----------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """One axis in the tree: its value, the facts that reach it from its parent, and what follows from it."""

    axis: str
    depth: int
    reasons: list[Reason] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)


def grow(chain: Chain) -> Node:
    """The facts as a tree: each axis below the first that said something about it."""
    root = Node(REQUEST, 0)
    nodes = {REQUEST: root}
    waiting = [root]
    while waiting:
        node = waiting.pop(0)
        for source, target, reason in _directed(chain):
            if source != node.axis:
                continue
            if target not in nodes:
                nodes[target] = Node(target, node.depth + 1)
                node.children.append(nodes[target])
                waiting.append(nodes[target])
            if nodes[target] in node.children:
                nodes[target].reasons.append(reason)
        _attach_images(chain, nodes, waiting)
    return root


def _directed(chain: Chain) -> list[tuple[str, str, Reason]]:
    return [(link.source, link.target, link.reason) for link in chain.links if link.source != link.target]


def _attach_images(chain: Chain, nodes: dict[str, Node], waiting: list[Node]) -> None:
    """What only speaks and is never spoken of (an image brings a Python) goes below what it speaks of."""
    if waiting:
        return
    for link in chain.links:
        if link.source not in nodes and link.target in nodes:
            parent = nodes[link.target]
            node = Node(link.source, parent.depth + 1, [link.reason])
            nodes[link.source] = node
            parent.children.append(node)
            waiting.append(node)


def tree(chain: Chain, asked: str) -> str:
    """The chain as a tree of lines, each fact with its source's number."""
    sources = Sources()
    lines = [asked]

    def draw(node: Node, indent: str) -> None:
        for i, child in enumerate(node.children):
            last = i == len(node.children) - 1
            lines.append(
                f"{indent}{'└─ ' if last else '├─ '}{axis_name(child.axis)}: {chain.values.get(child.axis, '')}"
            )
            below = indent + ("   " if last else "│  ")
            bar = "│  " if child.children else "   "
            said = dict.fromkeys([*child.reasons, *(link.reason for link in chain.links if link.target == child.axis)])
            lines.extend(f"{below}{bar}{reason.text}{sources.cited(reason)}" for reason in said)
            draw(child, below)

    draw(grow(chain), "")
    return "\n".join([*lines, *sources.listing()]) + "\n"


# -- drawing -------------------------------------------------------------------------------------------------


def svg(chain: Chain, asked: str) -> str:
    """The chain as a drawing: a box for each axis, an arrow for each fact, the facts below in words."""
    root = grow(chain)
    columns: dict[int, list[Node]] = {}
    for node in _all(root):
        columns.setdefault(node.depth, []).append(node)
    at = {
        node.axis: (MARGIN + COLUMN * depth, MARGIN + ROW * row)
        for depth, nodes in columns.items()
        for row, node in enumerate(nodes)
    }
    height = MARGIN + ROW * max(len(nodes) for nodes in columns.values())
    numbers: dict[tuple[str, str], list[int]] = {}
    facts: dict[Reason, int] = {}
    for link in chain.links:
        number = facts.setdefault(link.reason, len(facts) + 1)
        if link.source in at and link.target in at and link.source != link.target:
            numbers.setdefault((link.source, link.target), []).append(number)
    body = [_arrow(at[source], at[target], found) for (source, target), found in numbers.items()]
    body += [
        _box(at[n.axis], asked if n is root else f"{axis_name(n.axis)}: {chain.values.get(n.axis, '')}")
        for n in _all(root)
    ]
    words = [f"{number}. {reason.text}" for reason, number in facts.items()]
    body += [_words((MARGIN, height + 20 + 18 * i), text) for i, text in enumerate(words)]
    width = max(MARGIN * 2 + COLUMN * (len(columns) - 1) + BOX_WIDTH, 2 * MARGIN + 7 * max(map(len, words), default=0))
    return _drawing(width, height + 40 + 18 * len(words), body)


def _all(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in _all(child))]


Point = tuple[int, int]


def _box(at: Point, text: str) -> str:
    x, y = at
    shown = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
    return (
        f'<g><title>{escape(text)}</title><rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="#f4f6fa" stroke="#345"/><text x="{x + 8}" y="{y + 25}">{escape(shown)}</text></g>'
    )


def _arrow(start: Point, end: Point, numbers: Sequence[int]) -> str:
    forward = end[0] > start[0]
    x1, y1 = start[0] + (BOX_WIDTH if forward else 0), start[1] + BOX_HEIGHT // 2
    x2, y2 = end[0] + (0 if forward else BOX_WIDTH), end[1] + BOX_HEIGHT // 2
    if start[0] == end[0]:
        x1 = x2 = start[0] + BOX_WIDTH
    bend = 50 if forward or start[0] == end[0] else -50
    label = ", ".join(map(str, numbers))
    return (
        f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - (bend if start[0] != end[0] else -bend)} {y2} {x2} {y2}" '
        f'fill="none" stroke="#789" marker-end="url(#tip)"/>'
        f'<text x="{(x1 + x2) // 2 + 4}" y="{(y1 + y2) // 2 - 4}" fill="#456" font-size="11">{label}</text>'
    )


def _words(at: Point, text: str) -> str:
    return f'<text x="{at[0]}" y="{at[1]}" font-size="12">{escape(text)}</text>'


def _drawing(width: int, height: int, body: Sequence[str]) -> str:
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    lines = [
        f'{head}font-family="sans-serif" font-size="13">',
        f'<defs>{tip}<path d="M0 0 L8 4 L0 8 z" fill="#789"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
