"""A failure and the person's own code -> what was wrong, and what a request must change for it to go away."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from envsolve.attempt.code import Lack, OwnCode
from envsolve.attempt.failure import Failure, Frame
from envsolve.scan.uses import Use

IMPORTS = "matrices/symbols/imports.jsonl"
PYTHONS = "matrices/symbols/python.jsonl"

_MODULE_LACKS = re.compile(r"(?:partially initialized )?module '(?P<owner>[\w.]+)' has no attribute '(?P<name>\w+)'")
_NO_NAME = re.compile(
    r"cannot import name '?(?P<name>\w+)'?(?: from (?:partially initialized module )?'(?P<owner>[\w.]+)')?"
)
_NO_MODULE = re.compile(r"No module named '?(?P<module>[\w.]+)'?")
_NO_METHOD = re.compile(
    r"'\w+' object has no attribute '(?P<name>\w+)'|type object '\w+' has no attribute '(?P<of>\w+)'"
)
_NO_GLOBAL = re.compile(r"name '(?P<name>\w+)' is not defined")
_QUOTED = re.compile(r"['\"](\w+)['\"]")
_SYNTAX = ("SyntaxError", "IndentationError", "TabError")
_MISSING = ("ImportError", "ModuleNotFoundError")


@dataclass(frozen=True)
class Change:
    """What a request needs: releases of packages (PEP 440, all to be met), Pythons, further packages."""

    package: str | None = None
    ranges: tuple[str, ...] = ()
    pythons: tuple[str, ...] | None = None
    """Those that are allowed, oldest first; None: any."""
    add: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is known of a failure. ``hint``: what to do that no request can."""

    why: str
    where: str
    source: str
    change: Change | None = None
    hint: str | None = None
    also: tuple[str, ...] = ()
    """Further names of the same kind, and ``also_is``: what they are."""
    also_is: str = ""


def findings(failure: Failure, code: OwnCode, command: Sequence[str]) -> list[Finding]:
    """What is known of one exception, the surest first; empty: nothing."""
    frame = code.innermost(failure)
    found = [*_lacks(failure, frame, code), *_pythons(failure, frame, code), *_modules(failure, frame, code, command)]
    return found[:3]


def _where(frame: Frame | None) -> str:
    return f"{frame.file}:{frame.line}" if frame else ""


# -- names of packages ---------------------------------------------------------------------------------------------


def _lacks(failure: Failure, frame: Frame | None, code: OwnCode) -> Iterator[Finding]:
    """Names and parameters that the environment's release does not have."""
    where, uses = _where(frame), code.uses_at(frame) if frame else []
    for use, keyword in _refused(failure, uses):
        lack = code.refused(use, keyword, where)
        if lack is not None:
            yield _lack(lack, code)
            return
    for use in [*_named(failure), *uses]:
        lack = code.lack(use, where)
        if lack is not None:
            yield _lack(lack, code)
            return


def _refused(failure: Failure, uses: Sequence[Use]) -> Iterator[tuple[Use, str]]:
    """The calls of a line with the parameter that the message names."""
    if failure.kind == "TypeError":
        quoted = set(_QUOTED.findall(failure.message))
        yield from ((use, word) for use in uses if use.call for word in use.call.keywords if word in quoted)


def _lack(lack: Lack, code: OwnCode) -> Finding:
    have = code.have[lack.package]
    why = f"{lack.why}; the environment has {lack.package} {have}"
    if not lack.allowed:
        return Finding(why, lack.where, lack.source)
    others = [(spec, name) for spec, name in code.all_lacks(lack.package) if spec != lack.allowed]
    more = tuple(dict.fromkeys(n for s, n in others if not SpecifierSet(s).contains(have, prereleases=True)))
    ranges = tuple(dict.fromkeys([lack.allowed, *(spec for spec, _ in others)]))
    return Finding(why, lack.where, lack.source, Change(lack.package, ranges), also=more, also_is="missing too")


def _named(failure: Failure) -> Iterator[Use]:
    """The dotted name that the message itself says is missing."""
    message = failure.message
    if match := _MODULE_LACKS.search(message):
        yield Use(f"{match['owner']}.{match['name']}", 0)
    if failure.kind in _MISSING:
        if (match := _NO_NAME.search(message)) and match["owner"]:
            yield Use(f"{match['owner']}.{match['name']}", 0)
        if (match := _NO_MODULE.search(message)) and "." in match["module"]:
            yield Use(match["module"], 0)


# -- Python --------------------------------------------------------------------------------------------------------


def _pythons(failure: Failure, frame: Frame | None, code: OwnCode) -> Iterator[Finding]:
    """A form or a name that the environment's Python does not have."""
    if frame is None:
        return
    have = code.have["python"]
    allowed = code.pythons()
    for what, row in _python_rows(failure, frame, code):
        if SpecifierSet(row["pythons"]).contains(have):
            continue
        fits = tuple(p for p in allowed if SpecifierSet(row["pythons"]).contains(p))
        fits = fits or tuple(p for p in code.reader.pythons if SpecifierSet(row["pythons"]).contains(p))
        why = f"{what} is Python {row['pythons']}; the environment has Python {have}"
        yield Finding(why, _where(frame), row["source"], Change(pythons=fits))
        return


def _python_rows(failure: Failure, frame: Frame, code: OwnCode) -> Iterator[tuple[str, dict[str, str]]]:
    table = code.library.pythons
    if failure.kind in _SYNTAX:
        path = code.own_path(failure.frames[-1].file)
        own = code.files.get(path) if path else None
        marks = own.source.marks if own else []
        near = sorted(marks, key=lambda mark: abs(mark.line - failure.frames[-1].line))
        keys = [(mark.kind, mark.what) for mark in near if mark.kind == "syntax"]
    else:
        keys = list(_python_names(failure, frame, code))
    yield from ((what, table[kind, what]) for kind, what in keys if (kind, what) in table)


def _python_names(failure: Failure, frame: Frame, code: OwnCode) -> Iterator[tuple[str, str]]:
    message = failure.message
    if failure.kind == "NameError" and (match := _NO_GLOBAL.search(message)):
        yield "name", match["name"]
    if failure.kind == "AttributeError":
        if match := _NO_METHOD.search(message):
            yield "method", match["name"]
        if match := _MODULE_LACKS.search(message):
            yield "import", f"{match['owner']}.{match['name']}"
    if failure.kind in _MISSING:
        if match := _NO_MODULE.search(message):
            yield "import", match["module"]
            if _beside(match["module"], frame, code):
                yield "form", "implicit relative import"
        if match := _NO_NAME.search(message):
            yield from (("import", use.name) for use in code.uses_at(frame) if use.name.endswith(f".{match['name']}"))


def _beside(module: str, frame: Frame, code: OwnCode) -> bool:
    """Whether a module lies beside a file of a package that imports it without a dot."""
    path = code.own_path(frame.file)
    if path is None or not (path.parent / "__init__.py").is_file():
        return False
    top = module.partition(".")[0]
    return (path.parent / f"{top}.py").is_file() or (path.parent / top / "__init__.py").is_file()


# -- modules -------------------------------------------------------------------------------------------------------


def _modules(failure: Failure, frame: Frame | None, code: OwnCode, command: Sequence[str]) -> Iterator[Finding]:
    """A module that is not there: of the person's own, of a project, of a framework, or of nobody known."""
    match = _NO_MODULE.search(failure.message) if failure.kind in _MISSING else None
    if match is None:
        return
    module, top = match["module"], match["module"].partition(".")[0]
    own = code.module_nearby(top, frame)
    if own is not None:
        yield _own_module(module, own, frame, code, command)
        return
    project = _project(module, code)
    if project in code.have:
        return
    if project is None:
        known = top in code.reader.projects
        if known or not (top in sys.stdlib_module_names or ("import", top) in code.library.pythons):
            yield _unknown_module(module, known, frame)
        return
    more = tuple(sorted(p for p in code.reader.code.packages if p not in code.have and p != project))
    limits = _limits((project, *more), code)
    yield Finding(
        f"{module} is a module of {project}, which the environment does not have", _where(frame), IMPORTS,
        Change(add=limits), also=more, also_is="needed by the code too",
    )  # fmt: skip


def _limits(projects: Sequence[str], code: OwnCode) -> tuple[str, ...]:
    """Each project with the releases that the code's use of it leaves."""
    return tuple(
        project + ",".join(dict.fromkeys(spec for spec, _ in code.all_lacks(project) if spec)) for project in projects
    )


def _project(module: str, code: OwnCode) -> str | None:
    """The project that brings a module, or the framework that it is of."""
    top = module.partition(".")[0]
    project = code.reader.projects.get(module) or code.reader.projects.get(top)
    table = code.library.tables.get(top)
    name = table.framework if table else project
    return code.facts.aliases.get(name, name) if name else code.facts.aliases.get(top)


def _own_module(module: str, own: object, frame: Frame | None, code: OwnCode, command: Sequence[str]) -> Finding:
    from pathlib import Path

    path = Path(str(own))
    root = path.parent.parent if path.name == "__init__.py" else path.parent
    for _ in range(module.count(".") if path.name != "__init__.py" else 0):
        root = root.parent if (root / "__init__.py").is_file() else root
    shown = root.relative_to(code.folder) if root.is_relative_to(code.folder) else root
    again = shlex.join(["env", f"PYTHONPATH={shown}", *command])
    relative = path.relative_to(code.folder) if path.is_relative_to(code.folder) else path
    return Finding(
        f"{module} is a module of your own, {relative}, and Python does not look in {shown}/",
        _where(frame), str(relative), hint=again,
    )  # fmt: skip


def _unknown_module(module: str, known: bool, frame: Frame | None) -> Finding:
    top = module.partition(".")[0]
    said = "no project of the package index is that module" if known else f"no package is known to bring {top}"
    return Finding(f"{module} is not in the environment, and {said}", _where(frame), IMPORTS)
