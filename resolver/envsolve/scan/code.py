"""From what sources use to evidence: frameworks, the releases their names and calls allow, Pythons, other packages."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from packaging.specifiers import SpecifierSet

from envsolve.scan.evidence import Evidence
from envsolve.scan.stated import Stated, prose
from envsolve.scan.symbols import Library, Symbols
from envsolve.scan.uses import Source, Use, read_source

PYTHON_TABLE = "matrices/symbols/python.jsonl"
IMPORT_TABLE = "matrices/symbols/imports.jsonl"
BEFORE_TABLE = "matrices/symbols/before.jsonl"
_COMMENTS = 400


@dataclass
class Code:
    """What all sources say together."""

    evidence: list[Evidence] = field(default_factory=list)
    frameworks: Counter[str] = field(default_factory=Counter)
    """Module of a framework -> number of files that import it."""
    uses: dict[str, list[tuple[frozenset[int], str]]] = field(default_factory=dict)
    """Framework -> for each use that not all releases allow: the releases that do, and the name."""
    older: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Framework -> (PEP 440 range, name) of each use of a name that was gone when its table begins."""
    packages: dict[str, Evidence] = field(default_factory=dict)
    unknown: dict[str, tuple[str, int]] = field(default_factory=dict)
    stated: list[tuple[str, Stated]] = field(default_factory=list)
    support: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """For each file, the Pythons that can read it."""
    files: int = 0


class CodeReader:
    """Reads sources one after another."""

    def __init__(self, library: Library, pythons: Iterable[str], local: set[str], frameworks: Iterable[str]) -> None:
        self.library = library
        self.pythons = tuple(pythons)
        self.local = local
        self.known = set(frameworks) | set(library.tables)
        self.projects = {r["module"]: r.get("project") for r in library.imports if "module" in r}
        self.needs = [(r["uses"], r["needs"]) for r in library.imports if "uses" in r]
        self.code = Code()
        self._seen: dict[tuple[str, str, frozenset[int]], int] = {}
        self._judged: dict[tuple[str, Any], tuple[frozenset[int], str] | None] = {}

    def read(self, name: str, text: str) -> None:
        """One file."""
        self.code.files += 1
        source = read_source(text)
        if not source.parsed:
            self._say(
                name, None, "a Python source", "no Python of 2 or 3 can parse it: it was left out", "hint", "syntax"
            )
            return
        self._pythons(name, source)
        self._imports(name, source)
        for module, line, guarded in source.imports:
            if "." in module:
                self._use(name, Use(module, line, guarded=guarded))
        for use in source.uses:
            self._use(name, use)
        for number, comment in _comments(text):
            self.code.stated += [(name, s) for s in prose(comment, number)]

    def _say(
        self, file: str, line: int | None, found: str, means: str, strength: Any, source: str, **more: Any
    ) -> Evidence:
        item = Evidence(
            file=file, line=line, offset=None, found=found[:160], means=means, strength=strength, source=source, **more
        )
        self.code.evidence.append(item)
        return item

    # -- Python --------------------------------------------------------------------------------------------------

    def _pythons(self, file: str, source: Source) -> None:
        allowed = set(self.pythons)
        seen: set[str] = set()
        marks = [(m.kind, m.what, m.line) for m in source.marks]
        for module, line, guarded in source.imports:
            if not guarded:
                marks += [("import", module, line)] + [("import", module.partition(".")[0], line)] * ("." in module)
        marks += [("import", use.name, use.line) for use in source.uses if not use.guarded]
        for kind, what, line in marks:
            row = self.library.pythons.get((kind, what))
            if row is None or what in seen or what.partition(".")[0] in self.local:
                continue
            seen.add(what)
            fits = _fitting(row["pythons"], self.pythons)
            self._say(
                file, line, what, f"Python {row['pythons']}", row["strength"], row["source"], pythons=row["pythons"]
            )
            allowed &= fits
        self.code.support.append((file, frozenset(allowed)))

    # -- imports -------------------------------------------------------------------------------------------------

    def _imports(self, file: str, source: Source) -> None:
        tops: dict[str, tuple[str, int, bool]] = {}
        for module, line, guarded in source.imports:
            top = module.partition(".")[0]
            if top and (top not in tops or tops[top][2]):
                tops[top] = (module, line, guarded)
            if module in self.projects and "." in module:
                tops[module] = (module, line, guarded)
        for top, (module, line, guarded) in tops.items():
            if top in self.local or top in sys.stdlib_module_names or self.library.pythons.get(("import", top)):
                continue
            if top in self.known:
                self.code.frameworks[top] += 0 if guarded else 1
                if top in self.library.tables:
                    self._needs(file, module, line)
            if top in self.projects:
                project = self.projects[top]
                if project is None:
                    self.code.unknown.setdefault(top, (file, line))
                elif self._brings(top, project) and not guarded:
                    self.code.packages[project] = self._say(
                        file, line, f"import {module}", f"needs the package {project}", "strong", IMPORT_TABLE
                    )
            elif top not in self.known and not guarded:
                self.code.unknown.setdefault(top, (file, line))

    def _brings(self, module: str, project: str) -> bool:
        """Whether a project is yet to be asked for, as a companion."""
        return project not in self.code.packages and (module not in self.known or self._companion(module))

    def _companion(self, module: str) -> bool:
        """Whether a module with a symbol table is no framework of the database."""
        table = self.library.tables.get(module)
        return table is not None and bool(table.head.get("companion"))

    def _needs(self, file: str, name: str, line: int) -> None:
        for used, needed in self.needs:
            if (name == used or name.startswith(f"{used}.")) and needed not in self.code.packages:
                self.code.packages[needed] = self._say(
                    file, line, name, f"{used} needs the package {needed}", "weak", IMPORT_TABLE
                )

    # -- names ---------------------------------------------------------------------------------------------------

    def _use(self, file: str, use: Use) -> None:
        table = self.library.tables.get(use.name.partition(".")[0])
        if table is None or use.guarded or table.module in self.local:
            return
        self._needs(file, use.name, use.line)
        if use.name in self.library.before:
            self._gone_before(file, use, self.library.before[use.name])
            return
        key = (use.name, use.call)
        if key not in self._judged:
            self._judged[key] = judge(table, use)
        judged = self._judged[key]
        if judged is None:
            return
        allowed, why = judged
        again = (table.framework, use.name, allowed)
        if again in self._seen:
            self._seen[again] += 1
            return
        self._seen[again] = 1
        specifier = table.specifier(set(allowed))
        self.code.uses.setdefault(table.framework, []).append((allowed, use.name))
        self._say(
            file, use.line, _shown(use), f"{table.framework} {specifier}: {why}", "strong", table.source,
            ranges={table.framework: specifier},
        )  # fmt: skip

    def _gone_before(self, file: str, use: Use, row: dict[str, Any]) -> None:
        package, versions = row["package"], row["versions"]
        known = self.code.older.setdefault(package, [])
        if (versions, use.name) not in known:
            known.append((versions, use.name))
            self._say(
                file, use.line, _shown(use), f"{package} {versions}: {row['why']}", "strong", BEFORE_TABLE,
                ranges={package: versions},
            )  # fmt: skip


@cache
def _fitting(specifier: str, pythons: tuple[str, ...]) -> frozenset[str]:
    return frozenset(SpecifierSet(specifier).filter(pythons))


def judge(table: Symbols, use: Use) -> tuple[frozenset[int], str] | None:
    """The numbers of the releases that allow a use, and why others do not.

    None when that says nothing: all do, or none of those read.
    """
    verdicts = table.verdicts(use)
    allowed = frozenset(i for i, v in enumerate(verdicts.each) if v is not False)
    sure = any(v is True for v in verdicts.each)
    if len(allowed) == len(verdicts.each) or not allowed or not sure:
        return None
    return allowed, verdicts.why


def _shown(use: Use) -> str:
    if use.call is None:
        return use.name
    words = ["..."] * min(1, use.call.positional) + [f"{k}=" for k in use.call.keywords]
    return f"{use.name}({', '.join(words)})"


def _comments(text: str) -> list[tuple[int, str]]:
    """Comments, and the lines of the first docstring."""
    found = [(n, line) for n, line in enumerate(text.splitlines()[:_COMMENTS], 1) if "#" in line]
    found = [(n, line.partition("#")[2]) for n, line in found]
    head = re.match(r"\s*(?:#[^\n]*\n|\s*\n)*\s*[uUrR]?(\"\"\"|''')(.*?)\1", text, re.DOTALL)
    if head:
        first = text.count("\n", 0, head.start(2)) + 1
        found += [(first + i, line) for i, line in enumerate(head[2].splitlines()[:100])]
    return found


def notebook_source(text: str) -> str | None:
    """The code cells of a notebook, one below the other; None when it is none."""
    try:
        content = json.loads(text)
        cells = content.get("cells") or [c for w in content.get("worksheets", []) for c in w.get("cells", [])]
        parts = []
        for cell in cells:
            if cell.get("cell_type") == "code":
                source = cell.get("source", cell.get("input", ""))
                parts.append("".join(source) if isinstance(source, list) else str(source))
        return "\n".join(parts)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
