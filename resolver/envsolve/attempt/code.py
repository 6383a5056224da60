"""The person's own files behind a failure: what they use, and which of the names the environment lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.specifiers import SpecifierSet

from envsolve.attempt.failure import Failure, Frame
from envsolve.causes import installed
from envsolve.matrices import Facts
from envsolve.models import Lock
from envsolve.scan.code import BEFORE_TABLE, CodeReader, judge
from envsolve.scan.folder import Entry, listing, read_text
from envsolve.scan.project import known_pythons
from envsolve.scan.python2 import parse
from envsolve.scan.symbols import Library, Symbols
from envsolve.scan.uses import Source, Use, read_source

_FOREIGN = ("site-packages", "dist-packages")
_MOST_FILES = 50
_NEARBY = 2000


@dataclass
class OwnFile:
    """A source of the person's: its text's uses, and the frames that stand in it."""

    path: Path
    name: str
    source: Source
    calls: list[tuple[int, int]]
    """First and last line of each call."""


@dataclass
class Lack:
    """A name that the environment's release of a package does not have. ``allowed``: PEP 440, what has it."""

    package: str
    allowed: str
    why: str
    where: str
    source: str


@dataclass
class OwnCode:
    """Everything that is read of the person's sources for one failed command."""

    lock: Lock
    facts: Facts
    folder: Path
    prefix: Path | None
    library: Library = field(default_factory=Library)
    files: dict[Path, OwnFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.have = installed(self.lock)
        self.reader = CodeReader(
            self.library, known_pythons(self.facts), self._local_names(), self.facts.framework_names()
        )

    def _local_names(self) -> set[str]:
        """Top-level modules that lie in the folder where the command ran."""
        try:
            entries = [p for p in self.folder.iterdir() if not p.is_symlink()][:_NEARBY]
        except OSError:
            return set()
        sources = {p.stem for p in entries if p.suffix in (".py", ".so")}
        return sources | {p.name for p in entries if p.is_dir() and (p / "__init__.py").is_file()}

    def read(self, failures: Iterable[Failure], command: Sequence[str]) -> None:
        """The script of the command, and every own file in the tracebacks."""
        words = [word for word in command[1:] if word.endswith(".py")][:1]
        frames = [frame for failure in failures for frame in failure.frames]
        for name in [*words, *(frame.file for frame in frames)]:
            path = self.own_path(name)
            if path is None or path in self.files or len(self.files) >= _MOST_FILES:
                continue
            text = read_text(Entry(path, path.name, path.stat().st_size))
            if text is not None:
                self.files[path] = OwnFile(path, name, read_source(text), _calls(text))
                self.reader.read(name, text)

    def own_path(self, name: str) -> Path | None:
        """The file, if it is one of the person's: not of the environment's packages, nor of Python."""
        if name.startswith("<") or any(part in name for part in _FOREIGN):
            return None
        try:
            path = (self.folder / name).resolve()
            if not path.is_file() or (self.prefix and path.is_relative_to(self.prefix.resolve())):
                return None
        except (OSError, ValueError):
            return None
        return None if any(part.startswith("python") and part[6:7].isdigit() for part in path.parts[:-1]) else path

    def innermost(self, failure: Failure) -> Frame | None:
        """The last frame that stands in an own file."""
        return next((f for f in reversed(failure.frames) if self.own_path(f.file) is not None), None)

    def uses_at(self, frame: Frame) -> list[Use]:
        """What the line of a frame uses; then what the calls over several lines use that the line is within."""
        path = self.own_path(frame.file)
        own = self.files.get(path) if path else None
        if own is None:
            return []
        within = sorted((last - first, first, last) for first, last in own.calls if first <= frame.line <= last)
        spans = [(frame.line, frame.line), *((first, last) for _, first, last in within)]
        found = (use for first, last in spans for use in own.source.uses if first <= use.line <= last)
        return list(dict.fromkeys(found))

    # -- names against the environment ---------------------------------------------------------------------------

    def lack(self, use: Use, where: str) -> Lack | None:
        """What a use asks of a package that the environment's release does not have; None when it has it."""
        table = self.library.tables.get(use.name.partition(".")[0])
        version = self.version_of(table) if table else None
        row = self.library.before.get(use.name)
        if row and version and not SpecifierSet(row["versions"]).contains(version, prereleases=True):
            return Lack(row["package"], row["versions"], f"{use.name} is gone: {row['why']}", where, BEFORE_TABLE)
        judged = judge(table, use) if table and version else None
        if table is None or version is None or judged is None:
            return None
        specifier = table.specifier(set(judged[0]))
        if SpecifierSet(specifier).contains(version, prereleases=True):
            return None
        return Lack(table.framework, specifier, judged[1], where, table.source)

    def refused(self, use: Use, keyword: str, where: str) -> Lack | None:
        """A parameter that a call was refused for: only releases that name it themselves will do (``allowed`` is
        empty when none does).
        """
        table = self.library.tables.get(use.name.partition(".")[0])
        if table is None or self.version_of(table) is None:
            return None
        named = table.naming(use.name, keyword)
        if not named:
            why = f"no release of {table.framework} that was read has a parameter {keyword} of {use.name}"
            return Lack(table.framework, "", why, where, table.source)
        first, last = table.releases[min(named)], table.releases[max(named)]
        why = f"{use.name} has a parameter {keyword} in {first} to {last}"
        return Lack(table.framework, table.specifier(set(named)), why, where, table.source)

    def version_of(self, table: Symbols) -> str | None:
        """The release that the environment has of a table's package."""
        return self.have.get(table.framework)

    def all_lacks(self, package: str) -> list[tuple[str, str]]:
        """(range, name) of every use of a package, in all own files, that not all releases allow."""
        table = next((t for t in self.library.tables.values() if t.framework == package), None)
        if table is None:
            return []
        code = self.reader.code
        return [(table.specifier(set(some)), name) for some, name in code.uses.get(package, [])] + [
            *code.older.get(package, [])
        ]

    def pythons(self) -> list[str]:
        """The Pythons that can read all own files, oldest first."""
        found = set(self.reader.pythons)
        for _, support in self.reader.code.support:
            found &= support
        return [p for p in self.reader.pythons if p in found]

    def module_nearby(self, module: str, frame: Frame | None) -> Path | None:
        """Where a module of the person's own lies that Python did not find: its file or package, nearest first."""
        start = self.own_path(frame.file) if frame else None
        roots = [start.parent] if start else []
        roots += [r for r in (self.folder,) if r not in roots]
        for root in roots:
            for base in (root / f"{module}.py", root / module / "__init__.py"):
                if base.is_file() and not base.is_symlink():
                    return base
        if len(self.folder.parts) < 2 or self.folder == Path.home():
            return None
        for entry in sorted(listing(self.folder, _NEARBY).files, key=lambda e: (e.name.count("/"), e.name)):
            if entry.base == f"{module}.py" or entry.name.endswith(f"/{module}/__init__.py"):
                return entry.path
        return None


def _calls(text: str) -> list[tuple[int, int]]:
    tree = parse(text).tree
    if tree is None:
        return []
    try:
        return [(n.lineno, n.end_lineno or n.lineno) for n in ast.walk(tree) if isinstance(n, ast.Call)]
    except RecursionError:
        return []
