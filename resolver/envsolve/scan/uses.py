"""What one Python source uses: dotted names of imported packages, how they are called, and the Python it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from envsolve.scan.python2 import Mark, parse
from envsolve.scan.trees import FIELDS, GUARDING, LEAVES, SIMPLE, all_blocks, blocks, children, plain

_NODES = 300_000
"""Syntax nodes of one file that are looked at."""


@dataclass(frozen=True)
class Call:
    """How something is called: positional arguments, keywords, and whether ``*`` or ``**`` hide some."""

    positional: int
    keywords: tuple[str, ...]
    starred: bool
    first: str = ""
    """Kind of the first argument: int, str, list or nothing known."""


@dataclass(frozen=True)
class Use:
    """A dotted name of an imported package. ``guarded``: the code does without it."""

    name: str
    line: int
    call: Call | None = None
    guarded: bool = False


@dataclass
class Source:
    """What a file uses. ``imports``: (dotted module, line, guarded); ``lost``: lines that no Python reads."""

    imports: list[tuple[str, int, bool]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    relative: bool = False
    lost: list[int] = field(default_factory=list)
    parsed: bool = True


def read_source(text: str) -> Source:
    """Read a source of either Python; whatever cannot be read is left out and said."""
    parsed = parse(text)
    found = Source(lost=parsed.lost)
    for mark in parsed.marks:
        found.marks.append(mark)
    if parsed.tree is None:
        found.parsed = False
        return found
    try:
        _Reader(found, parsed.tree).run()
    except RecursionError:
        found.parsed = False
    return found


class _Reader:
    """One walk over a tree: imports first, then every use with the names that hide them."""

    def __init__(self, found: Source, tree: ast.Module) -> None:
        self.found = found
        self.tree = tree
        self.alias: dict[str, str] = {}
        self.instances: dict[str, str] = {}
        self.defined: set[str] = set()
        self.quotients: set[str] | None = None
        """Variables that hold nothing but quotients; None when the code asks for true division."""
        self.known: frozenset[str] = frozenset()
        self.budget = _NODES

    def run(self) -> None:
        """Everything."""
        self._imports(self.tree, guarded=False)
        self._assignments()
        self.known = frozenset(self.defined | set(self.alias))
        self._visit(self.tree, frozenset(), guarded=False)

    # -- names ---------------------------------------------------------------------------------------------------

    def _imports(self, node: ast.AST, guarded: bool) -> None:
        for child, inner in blocks(node):
            if isinstance(child, ast.Import):
                for a in child.names:
                    self.found.imports.append((a.name, child.lineno, guarded or inner))
                    top = a.name.partition(".")[0]
                    self.alias.setdefault(a.asname or top, a.name if a.asname else top)
            elif isinstance(child, ast.ImportFrom):
                self._from(child, guarded or inner)
            elif type(child) not in SIMPLE:
                self._imports(child, guarded or inner)

    def _from(self, node: ast.ImportFrom, guarded: bool) -> None:
        if node.level:
            self.found.relative = True
            return
        module = node.module or ""
        self.found.imports.append((module, node.lineno, guarded))
        for a in node.names:
            if a.name != "*":
                self.alias.setdefault(a.asname or a.name, f"{module}.{a.name}")
                self.found.uses.append(Use(f"{module}.{a.name}", node.lineno, guarded=guarded))

    def _assignments(self) -> None:
        """``slim = tf.contrib.slim`` makes an alias, ``m = Sequential()`` an instance, if nothing else is assigned."""
        values: dict[str, list[ast.expr | None]] = {}
        for node in all_blocks(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.defined.add(node.name)
                values.setdefault(node.name, []).append(None)
            for target, value in _assigned(node):
                values.setdefault(target, []).append(value)
        self.defined |= {n for n in values if "." not in n}
        if all(use.name != "__future__.division" for use in self.found.uses):
            self.quotients = {n for n, given in values.items() if all(map(_divides, given))}
        for name, given in values.items():
            dotted = {self._dotted(v) if v is not None else "" for v in given}
            if name in self.alias:
                again = dotted - {self.alias[name]}  # what an import bound is bound again by something else
                if again and not all(v is not None and self._same_base(name, v) for v in given):
                    del self.alias[name]
            elif len(dotted) == 1 and "" not in dotted and "." not in name:
                self.alias[name] = dotted.pop()
            elif all(isinstance(v, ast.Call) for v in given):
                made = {self._dotted(v.func) for v in given if isinstance(v, ast.Call)}
                if len(made) == 1 and (only := made.pop()) and only.rpartition(".")[2][:1].isupper():
                    self.instances[name] = only

    def _same_base(self, name: str, value: ast.expr) -> bool:
        dotted = self._dotted(value)
        return dotted.startswith(f"{self.alias[name]}.compat.") or dotted == self.alias[name]

    def _dotted(self, node: ast.AST, hidden: frozenset[str] = frozenset()) -> str:
        """The full name that an expression has through the aliases; empty when it has none."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in hidden or node.id not in self.alias:
            return ""
        return ".".join([self.alias[node.id], *reversed(parts)])

    def _method(self, node: ast.AST) -> str:
        """``CLASS.method`` of an attribute of a variable that holds an instance."""
        if not isinstance(node, ast.Attribute):
            return ""
        owner = plain(node.value)
        made = self.instances.get(owner) if owner else None
        if made is None and isinstance(node.value, ast.Call):
            made = self._dotted(node.value.func)
            made = made if made.rpartition(".")[2][:1].isupper() else None
        return f"{made}.{node.attr}" if made else ""

    # -- uses ----------------------------------------------------------------------------------------------------

    def _visit(self, node: ast.AST, hidden: frozenset[str], guarded: bool) -> None:
        self.budget -= 1
        if self.budget < 0:
            return
        kind = type(node)
        if kind in LEAVES:
            return
        _python_of(node, self.found.marks, self.known, guarded)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            a = node.args
            names = [x.arg for x in [*a.posonlyargs, *a.args, *a.kwonlyargs]]
            names += [x.arg for x in (a.vararg, a.kwarg) if x]
            hidden = hidden | frozenset(names)
        if kind in _COUNTING and self.quotients is not None and _counts(node, self.quotients - hidden):
            self.found.marks.append(Mark(getattr(node, "lineno", 0), "quotient as a whole number", "syntax"))
        if isinstance(node, ast.Call):
            name = self._dotted(node.func, hidden) or self._method(node.func)
            if name:
                self.found.uses.append(Use(name, node.lineno, _call(node), guarded))
                for argument in [*node.args, *(k.value for k in node.keywords)]:
                    self._visit(argument, hidden, guarded)
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
                    self._visit(node.func.value, hidden, guarded)
                return
        elif isinstance(node, ast.Attribute):
            name = self._dotted(node, hidden)
            if name:
                self.found.uses.append(Use(name, node.lineno, None, guarded))
                return
        if kind in GUARDING:
            for child, inner in children(node):
                self._visit(child, hidden, guarded or inner)
            return
        for field_name in FIELDS[kind]:
            value = getattr(node, field_name)
            if value.__class__ is list:
                for child in value:
                    if isinstance(child, ast.AST):
                        self._visit(child, hidden, guarded)
            elif isinstance(value, ast.AST):
                self._visit(value, hidden, guarded)


def _divides(node: ast.expr | None) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)


_COUNTING = frozenset({ast.Call, ast.Slice})


def _counts(node: ast.AST, quotients: set[str]) -> bool:
    """Whether a quotient says how many times or where: only Python 2 divides whole numbers to one."""
    where: list[ast.expr | None] = []
    if isinstance(node, ast.Call) and plain(node.func) in ("range", "xrange"):
        where = [*node.args]
    elif isinstance(node, ast.Slice):
        where = [node.lower, node.upper]
    return any(_divides(part) or (isinstance(part, ast.Name) and part.id in quotients) for part in where)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Names (``x``, ``self.x``) that a node binds, with the value where there is one value."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from ((n, node.value if n == plain(target) else None) for n in _names(target))
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        yield from ((n, node.value) for n in _names(node.target))
    elif isinstance(node, (ast.AugAssign, ast.For, ast.AsyncFor)):
        yield from ((n, None) for n in _names(node.target))
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from ((n, node.context_expr) for n in _names(node.optional_vars))
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name, None


def _names(target: ast.AST) -> Iterator[str]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _names(item)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)
    elif name := plain(target):
        yield name


def _call(node: ast.Call) -> Call:
    starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
    return Call(len(node.args), tuple(k.arg for k in node.keywords if k.arg), starred, _kind(node.args))


def _kind(arguments: Sequence[ast.expr]) -> str:
    if not arguments:
        return ""
    first = arguments[0]
    if isinstance(first, ast.UnaryOp):
        first = first.operand
    if isinstance(first, ast.Constant):
        return type(first.value).__name__
    return "list" if isinstance(first, (ast.List, ast.ListComp)) else ""


# -- which Python ------------------------------------------------------------------------------------------------


def _python_of(node: ast.AST, marks: list[Mark], known: frozenset[str], guarded: bool) -> None:
    """Add what a node says about the Python; the database says which releases each means."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in known and not guarded:
            marks.append(Mark(node.lineno, node.id, "name"))
    elif isinstance(node, ast.Attribute):
        if not guarded:
            marks.append(Mark(node.lineno, node.attr, "method"))
    elif type(node).__name__ in _TELLING:
        for what, kind in _forms(node):
            marks.append(Mark(getattr(node, "lineno", 0), what, kind))


def _forms(node: ast.AST) -> Iterable[tuple[str, str]]:
    name = _FORMS.get(type(node).__name__)
    if name:
        yield name, "syntax"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if node.returns or any(a.annotation for a in arguments):
            yield "annotation", "syntax"
        if node.args.kwonlyargs:
            yield "keyword-only argument", "syntax"
        if node.args.posonlyargs:
            yield "positional-only argument", "syntax"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield "matrix product", "syntax"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift) and plain(node.left) == "print":
        yield "print statement", "syntax"
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            yield "super() without arguments", "syntax"
        if sum(isinstance(a, ast.Starred) for a in node.args) > 1:
            yield "unpacking in a call or display", "syntax"
    elif isinstance(node, ast.Assign) and any(
        isinstance(e, ast.Starred) for t in node.targets if isinstance(t, (ast.Tuple, ast.List)) for e in t.elts
    ):
        yield "starred assignment", "syntax"
    elif isinstance(node, ast.Raise) and node.cause is not None:
        yield "raise from", "syntax"
    elif isinstance(node, ast.ClassDef) and node.keywords:
        yield "class keyword", "syntax"
    elif isinstance(node, ast.Dict) and any(k is None for k in node.keys):
        yield "unpacking in a call or display", "syntax"


_FORMS = {
    "JoinedStr": "f-string",
    "NamedExpr": "assignment expression",
    "AsyncFunctionDef": "async def",
    "Nonlocal": "nonlocal",
    "AnnAssign": "variable annotation",
    "YieldFrom": "yield from",
    "Match": "match statement",
    "TryStar": "except*",
}
_TELLING = frozenset({*_FORMS, "FunctionDef", "BinOp", "Call", "Assign", "Raise", "ClassDef", "Dict"})
"""Kinds of nodes that ``_forms`` may say something of."""
