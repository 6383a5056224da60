"""Walking syntax trees: which children a node has, which statements it holds, and which of them code does without."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_GUARDS = {
    "ImportError",
    "ModuleNotFoundError",
    "AttributeError",
    "Exception",
    "NameError",
    "BaseException",
    "TypeError",
    "",
}

LEAVES = frozenset({ast.Constant, ast.alias, ast.Pass, ast.Break, ast.Continue, ast.Global})
"""What holds no node and says nothing itself."""

GUARDING = frozenset({ast.Try, ast.If, ast.IfExp})
_WORDS = frozenset({"ctx", "op", "ops", "id", "attr", "arg", "type_comment", "kind", "asname", "level", "type_ignores"})
"""Fields that hold no node, or only the name of an operator."""


class _Fields(dict[type, tuple[str, ...]]):
    """Kind of node -> its fields that may hold nodes. Most of a scan is spent in walking trees."""

    def __missing__(self, kind: type) -> tuple[str, ...]:
        names: tuple[str, ...] = getattr(kind, "_fields", ())
        found = self[kind] = tuple(name for name in names if name not in _WORDS)
        return found


FIELDS = _Fields()

SIMPLE = frozenset(
    {
        *(ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Import, ast.ImportFrom, ast.Raise),
        *(ast.Delete, ast.Assert, ast.Nonlocal, ast.withitem, *LEAVES),
    }
)
"""What holds no statement."""


def blocks(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The statements (and what holds statements) right inside a node, and whether the code does without each."""
    caught = isinstance(node, ast.Try) and _catches(node)
    asks = isinstance(node, ast.If) and _asks_version(node)
    for name in ("body", "handlers", "orelse", "finalbody", "cases", "items"):
        value = getattr(node, name, None)
        if isinstance(value, list):
            for child in value:
                yield child, asks or (caught and name == "body") or name == "handlers"


def all_blocks(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node, and what holds statements."""
    for child, _ in blocks(node):
        yield child
        if type(child) not in SIMPLE:
            yield from all_blocks(child)


def children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The children of a node, and whether the code does without each."""
    if isinstance(node, ast.Try):
        caught = _catches(node)
        for child in node.body:
            yield child, caught
        for handler in node.handlers:
            yield handler, True
        for child in [*node.orelse, *node.finalbody]:
            yield child, False
        return
    asks = isinstance(node, (ast.If, ast.IfExp)) and _asks_version(node)
    for name in FIELDS[type(node)]:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for child in value:
                if isinstance(child, ast.AST):
                    yield child, asks
        elif isinstance(value, ast.AST):
            yield value, asks


def _catches(node: ast.Try) -> bool:
    """Whether a missing name ends in one of the handlers."""
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any((plain(k) if k is not None else "") in _GUARDS for k in kinds):
            return True
    return False


def _asks_version(node: ast.If | ast.IfExp) -> bool:
    """Whether a condition asks for a version, or whether a name is there. Asked several times of the same node."""
    answer: bool | None = getattr(node, "_asks_version", None)
    if answer is None:
        answer = any(map(_of_version, _under(node.test)))
        node._asks_version = answer  # type: ignore[union-attr]
    return answer


def _of_version(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return "version" in node.attr.lower() or node.attr in ("PY2", "PY3")
    return isinstance(node, ast.Call) and plain(node.func) == "hasattr"


def _under(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        if type(node) is ast.Name or type(node) in LEAVES:
            continue
        for name in FIELDS[type(node)]:
            value = getattr(node, name, None)
            if value.__class__ is list:
                stack += [child for child in value if isinstance(child, ast.AST)]
            elif isinstance(value, ast.AST):
                stack.append(value)


def plain(node: ast.AST | None) -> str:
    """``a.b`` as written; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
