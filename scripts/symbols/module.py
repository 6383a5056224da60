"""What one module says about its own names: a summary of its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from envsolve.scan.python2 import parse

KEEPS = re.compile(
    r"^(tf_export|keras_export|estimator_export|deprecat|contextmanager|add_arg_scope|dispatch|add_dispatch|doc_|"
    r"add_fallback|RegisterGradient|no_automatic|trackable|abstractmethod|abc|staticmethod|classmethod|weak_script|"
    r"tf_should_use|should_use|do_not_|for_subclass|allowed_positional|tf_doctest|_dispatch|_tf_export|inspect|register_keras|"
    r"keras_serializable|script_if|torch_function|no_grad|total_ordering|add_start_docstrings)"
)
"""Decorators that leave the parameters as they stand, by their last name."""
_DOCUMENTED = re.compile(r"^@@(\w+)", re.MULTILINE)
_LAZY = ("LazyLoader", "_LazyLoader", "KerasLazyLoader")


@dataclass(frozen=True)
class Binding:
    """One name at module level. ``kind``: def, class, from, module, alias, legacy or value."""

    kind: str
    target: str = ""
    level: int = 0
    name: str = ""
    signature: str | None = None
    bases: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    closed: bool = False
    decorators: tuple[str, ...] = ()
    methods: tuple[tuple[str, str | None], ...] = ()


@dataclass
class Module:
    """A module's own names in order, what it takes over by ``*``, and whether more may come at run time."""

    names: dict[str, Binding] = field(default_factory=dict)
    stars: list[tuple[int, str]] = field(default_factory=list)
    exported: list[str] | None = None
    documented: list[str] = field(default_factory=list)
    pruned: list[str] | None = None
    pruned_by: list[str] = field(default_factory=list)
    open: bool = False


def summarize(text: str) -> Module:
    """The summary; a module that cannot be parsed is open and has no names."""
    found = Module()
    parsed = parse(text)
    tree = parsed.tree
    found.open = tree is None or bool(parsed.lost)
    if tree is None:
        return found
    found.documented = _DOCUMENTED.findall(ast.get_docstring(tree, clean=False) or "")
    for statement in _statements(tree.body):
        _take(statement, found)
    return found


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _statements(statement.orelse)
            yield from _statements(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _statements(handler.body)
            yield from _statements([*statement.orelse, *statement.finalbody])
            yield from _statements(statement.body)
        elif isinstance(statement, ast.With):
            yield from _statements(statement.body)
        else:
            yield statement


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an expression; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def _take(statement: ast.stmt, found: Module) -> None:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if statement.name == "__getattr__":
            found.open = True
        found.names[statement.name] = _function(statement)
    elif isinstance(statement, ast.ClassDef):
        found.names[statement.name] = _class(statement)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            if alias.name == "*":
                found.stars.append((statement.level, statement.module or ""))
            else:
                found.names[alias.asname or alias.name] = Binding(
                    "from", statement.module or "", statement.level, alias.name
                )
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.asname or alias.name.partition(".")[0]
            found.names[top] = Binding("module", alias.name if alias.asname else top)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        _assignment(statement, found)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        _call(statement.value, found)
    elif isinstance(statement, (ast.For, ast.While)) and any(
        isinstance(n, ast.Call) and dotted(n.func) in ("globals", "setattr", "vars") for n in ast.walk(statement)
    ):
        found.open = True


def _call(call: ast.Call, found: Module) -> None:
    name = dotted(call.func).rpartition(".")[2]
    if name == "remove_undocumented":
        found.pruned = _strings(call.args[1]) if len(call.args) > 1 else []
        if len(call.args) > 1 and isinstance(call.args[1], ast.Name):
            found.pruned_by.append(f"={call.args[1].id}")
        modules = call.args[2] if len(call.args) > 2 else None
        for keyword in call.keywords:
            if keyword.arg == "doc_string_modules":
                modules = keyword.value
        if isinstance(modules, (ast.List, ast.Tuple)):
            found.pruned_by += [dotted(item) for item in modules.elts]
    elif name == "extend" and dotted(call.func) == "__all__.extend" and call.args:
        found.exported = (found.exported or []) + _strings(call.args[0])
    elif name == "setattr" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        found.names.setdefault(str(call.args[1].value), Binding("value"))
    elif name == "setattr" or dotted(call.func).startswith("globals"):
        found.open = True


def _assignment(statement: ast.Assign | ast.AnnAssign | ast.AugAssign, found: Module) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    value = statement.value
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            for item in target.elts:
                if isinstance(item, ast.Name):
                    found.names[item.id] = Binding("value")
        if isinstance(target, ast.Subscript) and "globals" in ast.dump(target.value):
            found.open = True
        if not isinstance(target, ast.Name) or value is None:
            continue
        if target.id == "__all__":
            _exports(value, isinstance(statement, ast.AugAssign), found)
        elif not isinstance(statement, ast.AugAssign):
            found.names[target.id] = _value(value)


def _exports(value: ast.expr, more: bool, found: Module) -> None:
    """``__all__``; made by anything but a plain list it says nothing."""
    if isinstance(value, (ast.List, ast.Tuple)) and all(isinstance(e, ast.Constant) for e in value.elts):
        found.exported = [*((found.exported or []) if more else []), *_strings(value)]
    elif not more:
        found.exported = None
        names = [dotted(n.func).rpartition(".")[2] for n in ast.walk(value) if isinstance(n, ast.Call)]
        if "make_all" in names:
            call = next(n for n in ast.walk(value) if isinstance(n, ast.Call) and dotted(n.func).endswith("make_all"))
            found.pruned = []
            if len(call.args) > 1 and isinstance(call.args[1], (ast.List, ast.Tuple)):
                found.pruned_by = [dotted(item) for item in call.args[1].elts]


def _strings(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _value(value: ast.expr) -> Binding:
    name = dotted(value)
    if name:
        return Binding("alias", name)
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return Binding("value", extra=tuple(_strings(value)))
    if not isinstance(value, ast.Call):
        return Binding("value")
    called = dotted(value.func).rpartition(".")[2]
    if called in _LAZY:
        texts = _strings(value)
        return Binding("module", texts[-1]) if texts else Binding("value")
    conversions = [k.value for k in value.keywords if k.arg == "conversions"]
    if conversions or called == "generate_legacy_interface":
        pairs = [e for c in conversions if isinstance(c, ast.List) for e in c.elts]
        old = tuple(e.elts[0].value for e in pairs if isinstance(e, ast.Tuple) and isinstance(e.elts[0], ast.Constant))
        helper = next((dotted(k.value) for k in value.keywords if k.arg == "preprocessor"), "")
        return Binding("legacy", helper, extra=tuple(str(o) for o in old))
    if isinstance(value.func, ast.Call) and len(value.args) == 1 and dotted(value.args[0]):
        outer = dotted(value.func.func).rpartition(".")[2]
        if KEEPS.match(outer):
            return Binding("alias", dotted(value.args[0]))
    return Binding("value")


def encode(arguments: ast.arguments, skip: int = 0) -> str:
    """``a,b=,*,-c=,**``: what follows ``=`` has a default, ``*`` takes more, ``-`` goes by keyword only."""
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    words = [a.arg + ("=" if at >= first_default else "") for at, a in enumerate(positional)][skip:]
    if arguments.vararg:
        words.append("*")
    words += [
        f"-{a.arg}" + ("=" if d is not None else "")
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        words.append("**")
    return ",".join(words)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, skip: int = 0) -> Binding:
    names = tuple(dotted(d.func if isinstance(d, ast.Call) else d) or "?" for d in node.decorator_list)
    kept = all(KEEPS.match(n.rpartition(".")[2]) for n in names)
    texts: tuple[str, ...] = ()
    closed = False
    if node.args.kwarg:
        texts, closed = _from_kwargs(node, node.args.kwarg.arg)
    elif "legacy" in node.name or "preprocessor" in node.name:
        texts = tuple(s for s in _strings(node) if s.isidentifier())
    unknown = any("legacy" not in n and not KEEPS.match(n.rpartition(".")[2]) for n in names)
    signature = None if unknown else encode(node.args, skip)
    return Binding("def", signature=signature, extra=texts, closed=closed, decorators=() if kept else names)


def _from_kwargs(node: ast.FunctionDef | ast.AsyncFunctionDef, kwargs: str) -> tuple[tuple[str, ...], bool]:
    """Names that the body looks for in its ``**kwargs``, and whether it refuses all others."""
    names: list[str] = []
    closed = False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Compare) and dotted(inner.comparators[0]) == kwargs:
            names += _strings(inner.left)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if dotted(inner.func.value) == kwargs and inner.args:
                names += _strings(inner.args[0])
        elif isinstance(inner, ast.Assign) and any(dotted(t) == "allowed_kwargs" for t in inner.targets):
            names += _strings(inner.value)
            closed = True
    return tuple(dict.fromkeys(n for n in names if n.isidentifier())), closed


def _class(node: ast.ClassDef) -> Binding:
    init: Binding | None = None
    methods: list[tuple[str, str | None]] = []
    for statement in _statements(node.body):
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if statement.name in ("__init__", "__new__"):
            if init is None or statement.name == "__init__":
                init = _function(statement, 1)
        elif not statement.name.startswith("_"):
            kinds = {dotted(d) for d in statement.decorator_list}
            value = bool(kinds & {"property", "abstractproperty", "cached_property"}) or any("." in k for k in kinds)
            skip = 0 if "staticmethod" in kinds else 1
            methods.append((statement.name, None if value else _function(statement, skip).signature))
    bases = tuple(dotted(base) or "?" for base in node.bases)
    if init is None:
        return Binding("class", bases=bases, methods=tuple(methods))
    return Binding(
        "class", name="own", bases=bases, signature=init.signature, extra=init.extra, closed=init.closed,
        decorators=init.decorators, methods=tuple(methods),
    )  # fmt: skip
