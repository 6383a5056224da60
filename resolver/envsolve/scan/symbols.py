"""The names and parameters of released packages (``matrices/symbols/*.jsonl``), and which releases a use allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.version import Version

from envsolve.data import data_dir
from envsolve.scan.uses import Call, Use

_MODULE = "m"
_FIRST = '{"module":"'
_NOT_TABLES = ("python", "imports", "before")


@dataclass
class Verdicts:
    """What each release says to a use: True, False, or None where the table does not know. ``why`` the first no."""

    each: list[bool | None]
    why: str = ""


class Symbols:
    """One package's table."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.never: dict[str, str] = {}
        self._filled: dict[str, set[int]] = {}
        self._parsed: dict[str, dict[str, Any]] = {}

    @cached_property
    def _lines(self) -> dict[str, str]:
        """Module -> its line, not parsed yet: of thousands of modules a scan asks for a few."""
        with self._path.open(encoding="utf-8") as stream:
            next(stream, "")
            return {_module_of(line): line for line in stream}

    def _row(self, module: str) -> dict[str, Any]:
        """What is known of a module or class; empty: nothing."""
        if module not in self._parsed:
            line = self._lines.get(module)
            self._parsed[module] = json.loads(line) if line is not None else {}
        return self._parsed[module]

    @cached_property
    def head(self) -> dict[str, Any]:
        """The first line: framework, module, releases and where they were read."""
        with self._path.open(encoding="utf-8") as stream:
            found: dict[str, Any] = json.loads(stream.readline())
        return found

    @property
    def framework(self) -> str:
        """Whose table it is."""
        return str(self.head["framework"])

    @property
    def module(self) -> str:
        """What code imports."""
        return str(self.head["module"])

    @cached_property
    def releases(self) -> list[str]:
        """The releases that were read, oldest first."""
        return [row[0] for row in self.head["releases"]]

    @cached_property
    def days(self) -> dict[str, str]:
        """Release -> the day it came out."""
        return {row[0]: row[1] for row in self.head["releases"]}

    @cached_property
    def complete(self) -> bool:
        """Whether every release was read, not only the last of each minor series."""
        return bool(self.head.get("every"))

    @property
    def source(self) -> str:
        """Where it comes from."""
        return f"matrices/symbols/{self._path.name}"

    @cached_property
    def _signatures(self) -> list[str]:
        return [str(text) for text in self.head["signatures"]]

    def _names(self, module: str) -> dict[str, str] | None:
        row = self._row(module)
        if not row:
            return None
        names: dict[str, str] = self._row(row["same"])["names"] if "same" in row else row.get("names", {})
        return names

    def _open(self, module: str) -> set[int]:
        row = self._row(module)
        found: set[int] = set()
        for span in str(row.get("open", "")).split():
            first, _, last = span.partition("-")
            found |= set(range(int(first), int(last) + 1))
        return found

    def _empty(self, module: str, count: int) -> set[int]:
        """The releases in which nothing is known of what is inside a module or class, though it may be there."""
        if module not in self._filled:
            names = self._names(module) or {}
            filled = {index for packed in names.values() for index in _runs(packed, count)}
            self._filled[module] = set(range(count)) - filled
        return self._filled[module]

    def verdicts(self, use: Use) -> Verdicts:
        """Which releases have the name, and can be called so."""
        count = len(self.releases)
        each: list[bool | None] = [True] * count
        parts = use.name.split(".")
        module, why = parts[0], ""
        for at, part in enumerate(parts[1:], 1):
            names = self._names(module)
            if names is None:
                return Verdicts(each, why)  # an attribute of something that is no module: nothing is known
            packed = names.get(part)
            if packed is None:
                return Verdicts([None] * count)
            stands = _runs(packed, count)
            is_open = self._open(module) | self._empty(module, count)
            for index in range(count):
                if each[index] and index not in stands:
                    each[index] = None if index in is_open else False
                    why = f"{module}.{part} is in {self._said(stands)}"
            module = f"{module}.{part}"
            if at == len(parts) - 1 and use.call is not None:
                why = self._called(each, stands, use.call, module) or why
        return Verdicts(_gone(each), why)

    def naming(self, name: str, keyword: str) -> frozenset[int]:
        """The releases in which a function or class names a parameter itself: ``**`` takes any, and says nothing."""
        module, _, own = name.rpartition(".")
        packed = (self._names(module) or {}).get(own)
        stands = _runs(packed, len(self.releases)) if packed is not None else {}
        return frozenset(i for i, number in stands.items() if keyword in _parameters(self._signatures[number]))

    def _called(self, each: list[bool | None], stands: dict[int, int], call: Call, name: str) -> str:
        why = ""
        for index, number in stands.items():
            text = self._signatures[number]
            if each[index] and text.startswith("("):
                problem = misfit(text[1:-1], call, self.never)
                if problem:
                    each[index] = False
                    why = why or f"{name} {problem} in {self.releases[index]}"
        return why

    def _said(self, stands: dict[int, int]) -> str:
        indexes = sorted(stands)
        runs = "all of" if len(indexes) == indexes[-1] - indexes[0] + 1 else "some of"
        first, last = self.releases[indexes[0]], self.releases[indexes[-1]]
        return first if first == last else f"{runs} {first} to {last}"

    def specifier(self, allowed: set[int]) -> str:
        """PEP 440 for some of the releases; what lies between two that were read goes with the later."""
        count = len(self.releases)
        if len(allowed) == count or not allowed:
            return ""
        first, last = min(allowed), max(allowed)
        words = [] if first == 0 else [f">={self._start(first)}"]
        if last < count - 1:
            words.append(f"<{self._start(last + 1)}")
        words += [f"!={self._series(i)}" for i in range(first + 1, last) if i not in allowed]
        return ",".join(words)

    def _start(self, index: int) -> str:
        version = Version(self.releases[index])
        return str(version) if self.complete else f"{version.major}.{version.minor}"

    def _series(self, index: int) -> str:
        return self._start(index) + ("" if self.complete else ".*")


def _module_of(line: str) -> str:
    """The module of a line, which is written first in it."""
    if not line.startswith(_FIRST):
        return str(json.loads(line)["module"])
    return line[len(_FIRST) : line.index('"', len(_FIRST))]


def _runs(packed: str, count: int) -> dict[int, int]:
    """Release number -> number of the signature."""
    found: dict[int, int] = {}
    for word in packed.split(" "):
        span, _, signature = word.partition(":")
        first, dash, last = span.partition("-")
        start = int(first) if first else 0
        end = (int(last) if last else count - 1) if dash else start
        for index in range(start, end + 1):
            found[index] = int(signature) if signature else 0
    return found


def _parameters(signature: str) -> set[str]:
    return {word.strip("-=") for word in signature.strip("()").split(",")} if signature.startswith("(") else set()


def _gone(each: list[bool | None]) -> list[bool | None]:
    """What was there, then surely was not, is not back where later releases cannot be told."""
    last = max((i for i, v in enumerate(each) if v), default=None)
    if last is None or False not in each[last:]:
        return each
    first = each.index(False, last)
    return [*each[:first], *(False for _ in each[first:])]


def misfit(signature: str, call: Call, never: Mapping[str, str] | None = None) -> str:
    """Why a call does not fit a signature; empty when it does, or when that cannot be known.

    ``never``: parameter -> kind of a literal that is never meant for it.
    """
    words = [w for w in signature.split(",") if w]
    positional = [w for w in words if not w.startswith(("-", "*", "~"))]
    names = {w.strip("-=") for w in words}
    if positional and positional[0] == "_sentinel=" and call.positional:
        return "takes keyword arguments only"
    if never and positional and call.first and never.get(positional[0].rstrip("=")) == call.first:
        return f"takes {positional[0].rstrip('=')} first, which is no {call.first}"
    if "**" not in words:
        for keyword in call.keywords:
            if keyword not in names:
                return f"has no parameter {keyword}"
    if "*" not in words and "~" not in words and call.positional > len(positional):
        return f"takes {len(positional)} positional arguments"
    if not call.starred and "~" not in words:
        taken = {word.rstrip("=") for word in positional[: call.positional]} & set(call.keywords)
        if taken:
            return f"takes {min(taken)} at an earlier place too"
        for at, word in enumerate(positional):
            if at >= call.positional and not word.endswith("=") and word not in call.keywords:
                return f"needs {word}"
        for word in words:
            if word.startswith("-") and not word.endswith("=") and word[1:] not in call.keywords:
                return f"needs {word[1:]}"
    return ""


@dataclass
class Library:
    """Every table there is, by the module that code imports; read when first asked for."""

    root: Path = field(default_factory=lambda: data_dir("matrices") / "symbols")

    @cached_property
    def tables(self) -> dict[str, Symbols]:
        """Module -> table."""
        found = [Symbols(p) for p in sorted(self.root.glob("*.jsonl")) if p.stem not in _NOT_TABLES]
        never = {row["parameter"]: row["never"] for row in self.imports if "parameter" in row}
        for table in found:
            table.never = never
        return {table.module: table for table in found}

    @cached_property
    def pythons(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(kind, what) -> the releases of Python that a form, name or import means."""
        return {(row["kind"], row["what"]): row for row in self._lines("python")}

    @cached_property
    def imports(self) -> list[dict[str, Any]]:
        """Which project an imported module belongs to, and what a use needs besides."""
        return self._lines("imports")

    @cached_property
    def before(self) -> dict[str, dict[str, Any]]:
        """Dotted name -> the releases that had it, of names that were gone when the tables begin."""
        return {row["uses"]: row for row in self._lines("before") if "uses" in row}

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.root / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
