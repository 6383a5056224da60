"""``scan``: a script or a folder -> evidence, conclusion, request."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.errors import UsageError
from envsolve.matrices import Facts, many_objects
from envsolve.scan.code import Code, CodeReader, notebook_source
from envsolve.scan.conclude import Chosen, Claim, Release, choose, python_for, pythons_of
from envsolve.scan.dates import last_change
from envsolve.scan.evidence import Evidence
from envsolve.scan.folder import LARGEST_TEXT, Entry, listing, read_text
from envsolve.scan.stated import Stated, stated_or_fault, states
from envsolve.scan.symbols import Library, Symbols

if TYPE_CHECKING:
    from envsolve.facts import Pairing
    from envsolve.matrices import Facts
    from envsolve.talk import Talk

_SOURCES = (".py", ".pyw", ".ipynb")
_MOST_MODELS = 20
_DATA = (".pkl", ".pickle", ".p", ".npy", ".npz", ".save", ".bin")
_LARGEST_DATA = 256 << 10
"""Bytes; of these kinds a larger file in a folder is data far more often than a model."""
_FEW = 0.1
"""A framework that fewer files than this share of the most used one's import is left to a part of the project."""


@dataclass
class Scan:
    """What was found and what follows from it."""

    path: str
    evidence: list[Evidence] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    python: str | None = None
    as_of: date | None = None
    ranges: dict[str, str] = field(default_factory=dict)
    pythons: list[str] = field(default_factory=list)
    confidence: str = "low"
    conflicts: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    starts: dict[str, str] = field(default_factory=dict)
    models: int = 0
    folder: bool = False

    def solvable(self) -> list[str]:
        """The targets, for solve. Raises UsageError when there is none to solve."""
        if not self.targets:
            raise UsageError(
                f"{self.path}: no framework that the database knows was found there",
                hints=(f"envsolve scan {self.path}   # says what was found", "envsolve NAME==VERSION ..."),
                code="nothing-found",
            )
        return list(self.targets)


def scan_path(path: Path, facts: Facts, as_of: date | str | None = None, talk: Talk | None = None) -> Scan:
    """Scan a Python source, a notebook, a model file or a folder of them. Nothing in it runs.

    ``as_of``: the day the code is from, over what git says. Raises UsageError when it is not there, or no such day.
    """
    as_of = _day(as_of)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder", code="no-such-file")
    found = listing(path)
    result = Scan(str(path), notes=found.notes, folder=path.is_dir())
    library = Library()
    reader = CodeReader(library, known_pythons(facts), _local(found.files), facts.framework_names())
    stated: list[tuple[str, Stated]] = []
    with talk.step(f"scan {path}") if talk and len(found.files) > 1 else nullcontext(), many_objects():
        for number, entry in enumerate(found.files, 1):
            if talk:
                talk.detail(f"{number} of {len(found.files)} files: {entry.name}")
            stated += [(entry.name, s) for s in _read(entry, reader, result, facts)]
    dated = last_change(path)
    result.evidence += [dated] if dated else []
    Conclusion(result, facts, library, reader.code, stated, as_of or (dated.date if dated else None)).draw()
    return result


def _day(text: date | str | None) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if isinstance(text, str) else text
    except ValueError:
        raise UsageError(
            f"--as-of {text}: not a date of the form YYYY-MM-DD", hints=("--as-of YYYY-MM-DD",), code="bad-date"
        ) from None


def known_pythons(facts: Facts) -> list[str]:
    """'X.Y' of every Python that the database knows, oldest first."""
    return sorted(facts.pythons, key=lambda v: tuple(map(int, v.split(".")[:2])))


def _read(entry: Entry, reader: CodeReader, result: Scan, facts: Facts) -> list[Stated]:
    """Read one file: as a source, as a file that states versions, or as a model."""
    low = entry.name.lower()
    source = low.endswith(_SOURCES)
    if not source and not states(entry.base):
        _read_model(entry, result, facts)
        return []
    text = read_text(entry)
    if text is None:
        why = f"larger than {LARGEST_TEXT >> 20} MB" if entry.size > LARGEST_TEXT else "no file that can be read"
        result.notes.append(f"{entry.name}: {why}: not looked at")
        return []
    if low.endswith(".ipynb"):
        text = notebook_source(text)
        if text is None:
            result.notes.append(f"{entry.name}: cannot be read as a notebook")
    if text and source:
        reader.read(entry.name, text)
    if not text:
        return []
    found, fault = stated_or_fault(entry.base, text)
    if fault:
        result.notes.append(f"{entry.name}: {fault}")
    return found


def _read_model(entry: Entry, result: Scan, facts: Facts) -> None:
    from envsolve.scan.models import looks_like_model, read_model

    if result.folder and entry.path.suffix.lower() in _DATA and entry.size > _LARGEST_DATA:
        return
    if result.models < _MOST_MODELS and entry.size and looks_like_model(entry.path):
        result.models += 1
        result.evidence += read_model(entry.path, facts, entry.name)


def _local(files: list[Entry]) -> set[str]:
    """Top-level names that the project has itself: its modules, and its folders that hold sources."""
    if len(files) < 2:
        return set()
    found: set[str] = set()
    for entry in files:
        if entry.name.endswith((".py", ".pyx", ".so")):
            parts = entry.name.split("/")
            found.add(parts[-1].partition(".")[0])
            found |= set(parts[:-1])
    return found - {"__init__", "setup"}


@dataclass
class Conclusion:
    """Draws the conclusion of one scan into its result."""

    result: Scan
    facts: Facts
    library: Library
    code: Code
    stated: list[tuple[str, Stated]]
    day: date | None

    def draw(self) -> None:
        """Everything, in order: Pythons, frameworks, companions, confidence."""
        claims = self._claims()
        r = self.result
        r.evidence += self.code.evidence
        known = known_pythons(self.facts)
        r.pythons = pythons_of([s for _, s in self.code.support], known, claims.get("python", []))
        readers = r.pythons if len(r.pythons) < len(known) else []
        chosen: list[tuple[Chosen, list[Release]]] = []
        names = self._ordered(self._frameworks(claims))
        for number, name in enumerate(names):
            releases = self._releases(name)
            if releases:
                limits = [*self._api(name), *self._models(name)]
                works = [
                    *self._paired(name, [c for c, _ in chosen]),
                    *self._works_on(name, names[number + 1 :], readers),
                ]
                picked = choose(name, releases, limits, claims.get(name, []), self.day, readers, works)
                chosen.append((picked, releases))
                r.conflicts += [f"{name}: {text}" for text in picked.conflicts]
                r.reasons[name] = picked.basis
        self._targets(chosen)
        r.as_of = self.day
        r.unknown = sorted(f"{n} ({f}:{line})" for n, (f, line) in self.code.unknown.items())
        r.confidence = _confidence(chosen, self.day, r.conflicts)

    def _claims(self) -> dict[str, list[Claim]]:
        found: dict[str, list[Claim]] = {}
        for file, item in [*self.stated, *self.code.stated]:
            name = self.facts.aliases.get(item.name, item.name)
            means = f"states {name} {item.specifier}" if item.specifier else f"names {name}"
            evidence = Evidence(
                file=file, line=item.line, offset=None, found=item.text, means=means,
                strength="weak" if item.how == "prose" else "strong", source=f"{file}, as its author wrote it",
                ranges={name: item.specifier} if item.specifier and name != "python" else {},
                pythons=item.specifier if name == "python" else "",
            )  # fmt: skip
            self.result.evidence.append(evidence)
            found.setdefault(name, []).append(Claim(item.specifier, item.how, evidence))
        return found

    def _frameworks(self, claims: dict[str, list[Claim]]) -> list[str]:
        """What the code imports, most used first; without code, what files state."""
        counts = {self._named(m): n for m, n in self.code.frameworks.most_common() if n and not self._is_companion(m)}
        if counts:
            most = max(counts.values())
            return [name for name, n in counts.items() if n >= _FEW * most or claims.get(name)]
        names = [n for n in self.facts.framework_names() if any(c.how != "prose" for c in claims.get(n, []))]
        return names or [n for n in self.facts.framework_names() if n in claims]

    def _stands_on(self, name: str) -> list[Pairing]:
        """The database's rows of what a framework has as its back end."""
        if name not in self.facts.framework_names():
            return []
        return [p for p in self.facts.framework(name).pairings if p.kind == "backend"]

    def _ordered(self, names: list[str]) -> list[str]:
        """Each framework before what it stands on: the choice of the one bounds the other, not the other way."""
        below = {name: {p.other for p in self._stands_on(name)} for name in names}
        return sorted(names, key=lambda n: -len(below[n] & set(names)))

    def _works_on(self, name: str, others: list[str], readers: list[str]) -> list[set[str]]:
        """For each of the others that this framework stands on: the releases that work on one that the code allows."""
        found = []
        for other in others:
            rows = [p for p in self._stands_on(name) if p.other == other]
            if rows:
                left = choose(other, self._releases(other), self._api(other), [], None, readers).allowed
                good = [p for p in rows if any(_in(p.other_versions, v) for v in left)]
                found.append({r.version for r in self._releases(name) if any(_in(p.versions, r.version) for p in good)})
        return found

    def _named(self, module: str) -> str:
        table = self.library.tables.get(module)
        return table.framework if table else self.facts.aliases.get(module, module)

    def _is_companion(self, module: str) -> bool:
        table = self.library.tables.get(module)
        return bool(table and table.head.get("companion"))

    def _releases(self, name: str) -> list[Release]:
        """The releases of a framework: the database's, else those whose sources were read."""
        known = known_pythons(self.facts)
        if name not in self.facts.framework_names():
            table = self._table(name)
            return [Release(v, date.fromisoformat(d), tuple(known)) for v, d in table.days.items()] if table else []
        rows: dict[str, Release] = {}
        for build in self.facts.framework(name).builds:
            version = build.version.partition("+")[0]
            if build.origin == "nvidia" and Version(version).is_prerelease:
                continue  # a vendor's snapshot between releases dates no code
            old = rows.get(version)
            pythons = tuple(p for p in known if p in build.pythons or (old and p in old.pythons))
            days = [d for d in (build.released, old.day if old else None) if d is not None]
            day = min(days, default=None)
            offered = build.origin == "index" or bool(old and old.offered)
            rows[version] = Release(version, day, pythons, offered)
        return list(rows.values())

    def _table(self, name: str) -> Symbols | None:
        return next((t for t in self.library.tables.values() if t.framework == name), None)

    def _api(self, name: str) -> list[tuple[str, str]]:
        table = self._table(name)
        if table is None:
            return []
        found = [(table.specifier(set(allowed)), used) for allowed, used in self.code.uses.get(name, [])]
        return found + self.code.older.get(name, [])

    def _models(self, name: str) -> list[tuple[str, str]]:
        """What model files leave of a framework's releases."""
        own = {file for file, _ in self.stated}
        return [
            (e.ranges[name], f"{e.file} ({e.found})")
            for e in self.result.evidence
            if e.strength in ("proof", "strong") and name in e.ranges and e.offset is not None and e.file not in own
        ]

    def _paired(self, name: str, before: list[Chosen]) -> list[set[str]]:
        """For each release chosen before: the releases of this framework that the database pairs with it."""
        found = []
        for other in before:
            if other.version is None or other.name not in self.facts.framework_names():
                continue
            rows = [p for p in self.facts.framework(other.name).pairings if p.other == name]
            fit = [p for p in rows if _in(p.versions, other.version)]
            if fit:
                found.append(
                    {r.version for r in self._releases(name) if any(_in(p.other_versions, r.version) for p in fit)}
                )
        return found

    def _targets(self, chosen: list[tuple[Chosen, list[Release]]]) -> None:
        r = self.result
        release: Release | None = None
        for number, (picked, releases) in enumerate(chosen):
            r.ranges[picked.name] = picked.specifier
            if picked.version:
                r.starts[picked.name] = picked.version
            if picked.version is None or picked.name not in self.facts.framework_names():
                continue
            if number == 0 or picked.sure:
                r.targets.append(f"{picked.name}=={picked.version}")
            else:
                r.targets.append(f"{picked.name}{picked.specifier}")
            if release is None:
                release = next(x for x in releases if x.version == picked.version)
        bounded = len(r.pythons) < len(known_pythons(self.facts))
        if chosen:
            first, releases = chosen[0]
            possible = {p for x in releases if x.version == first.version for p in x.pythons}
            r.pythons = [p for p in r.pythons if p in possible] or r.pythons
        r.python = python_for(r.pythons, release) if bounded else None
        have = {c.name for c, _ in chosen}
        for project in sorted(self.code.packages):
            if project not in have and self.facts.aliases.get(project, project) not in have:
                r.targets.append(f"{project}{self._limits(project)}")

    def _limits(self, project: str) -> str:
        """What the code's use of a companion says of its releases."""
        table = self._table(project)
        uses = self.code.uses.get(project, [])
        if table is None or not uses:
            return ""
        allowed = set(range(len(table.releases)))
        for some, _ in uses:
            allowed &= some
        return table.specifier(allowed)


def _in(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def _confidence(chosen: list[tuple[Chosen, list[Release]]], day: date | None, conflicts: list[str]) -> str:
    if not chosen:
        return "low"
    first = chosen[0][0]
    if first.sure and not conflicts:
        return "high"
    return "medium" if first.sure or day is not None or first.specifier else "low"


def document(scan: Scan) -> dict[str, Any]:
    """``envsolve/evidence-1``."""
    return {
        "schema": "envsolve/evidence-1",
        "path": scan.path,
        "request": {
            "targets": scan.targets,
            "python": scan.python,
            "as_of": scan.as_of.isoformat() if scan.as_of else None,
        },
        "ranges": scan.ranges,
        "pythons": scan.pythons,
        "confidence": scan.confidence,
        "reasons": scan.reasons,
        "unknown": scan.unknown,
        "evidence": [item.model_dump(mode="json") for item in scan.evidence],
        "conflicts": scan.conflicts,
        "notes": scan.notes,
    }
