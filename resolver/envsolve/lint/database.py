"""The database as the linter sees it: every row with its file, duplicates and all, and what breaks the schema.

``matrices.Facts`` keeps one row per id and stops at the first error; a linter must see them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from envsolve import facts as schema
from envsolve.errors import DatabaseError
from envsolve.facts.tables import FILES, FRAMEWORK_TABLES, row_types
from envsolve.overlay import TABLES as OVERLAY_TABLES
from envsolve.overlay import Overlay

NAMES = ("id", "name", "version", "build", "versions", "compute_capability")

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound=schema.Row)


class Finding(NamedTuple):
    """One thing wrong: which rule says so, where, and what to do about it."""

    rule: str
    file: str
    row: str
    text: str


@dataclass(frozen=True)
class Entry:
    """A row and where it stands."""

    file: str
    label: str
    row: schema.Row
    framework: str = ""
    """Whose row it is, where it is a framework's."""

    def finding(self, rule: str, text: str) -> Finding:
        """A finding about this row."""
        return Finding(rule, self.file, self.label, text)


@dataclass
class Database:
    """Every file under ``root``, read; ``findings`` holds what could not be."""

    root: Path
    entries: list[Entry] = field(default_factory=list)
    evidence: dict[str, dict[str, schema.Evidence]] = field(default_factory=dict)
    frameworks: dict[str, schema.Framework] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    """Framework -> the file that says what is not in its rows."""
    verified: dict[str, schema.Verified] = field(default_factory=dict)
    """What smoke tests proved, by file."""
    findings: list[Finding] = field(default_factory=list)

    def rows(self, kind: type[R]) -> Iterator[tuple[Entry, R]]:
        """The rows of one kind, with where they stand."""
        for entry in self.entries:
            if type(entry.row) is kind:
                yield entry, entry.row

    def names(self, kind: type[R], attribute: str) -> set[str]:
        """The values of one field over the rows of one kind."""
        return {str(getattr(row, attribute)) for _, row in self.rows(kind)}

    def builds_of(self, framework: str) -> tuple[schema.Build, ...]:
        """The builds of a framework; none when the database does not know it."""
        found = self.frameworks.get(framework)
        return found.builds if found else ()


def read_database(root: Path) -> Database:
    """Read every file of the database; nothing is raised for what is in them."""
    database = Database(root)
    for path in sorted(root.rglob("*.json")):
        parts = path.relative_to(root).parts
        if parts[0] == "schema":
            continue
        _read_file(database, path, parts)
    return database


def _read_file(database: Database, path: Path, parts: tuple[str, ...]) -> None:
    file = "/".join(parts)
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        database.findings.append(Finding("schema", file, "", f"cannot be read: {error}"))
        return
    if not isinstance(content, dict):
        database.findings.append(Finding("schema", file, "", "the top level must be an object"))
    elif len(parts) == 1 and path.stem in FILES:
        _read_tables(database, file, content, row_types(FILES[path.stem]))
    elif parts[0] == "caps" and len(parts) == 2:
        _read_tables(database, file, content, {"caps": schema.Cap})
    elif parts[0] == "frameworks" and len(parts) == 2:
        _read_framework(database, file, content)
    elif parts[0] == "verified" and len(parts) == 2:
        if (fact := _check(database, schema.Verified, content, file, "")) is not None:
            database.verified[file] = fact
    else:
        database.findings.append(Finding("schema", file, "", "no table of the database has this name"))


def _read_tables(database: Database, file: str, content: dict[str, Any], models: dict[str, type[schema.Row]]) -> None:
    for key in sorted(set(content) - set(models) - {"evidence"}):
        database.findings.append(Finding("schema", file, key, "no table of this file has this name"))
    found = content.get("evidence", {})
    checked = {key: _check(database, schema.Evidence, value, file, key) for key, value in found.items()}
    database.evidence[file] = {key: value for key, value in checked.items() if value is not None}
    for key, model in models.items():
        for i, value in enumerate(content.get(key, ())):
            row = _check(database, model, value, file, f"{key}[{i}]")
            if row is not None:
                database.entries.append(Entry(file, label(key, row), row))


def _read_framework(database: Database, file: str, content: dict[str, Any]) -> None:
    framework = _check(database, schema.Framework, content, file, "")
    if framework is None:
        return
    database.frameworks[framework.name] = framework
    database.homes[framework.name] = file
    database.evidence[file] = dict(framework.evidence)
    for key in FRAMEWORK_TABLES:
        database.entries += (Entry(file, label(key, row), row, framework.name) for row in getattr(framework, key))


def _check(database: Database, model: type[M], value: object, file: str, row: str) -> M | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for problem in error.errors():
            at = ".".join(str(part) for part in problem["loc"])
            database.findings.append(Finding("schema", file, row, f"{at}: {problem['msg']}"))
        return None


def label(table: str, row: schema.Row) -> str:
    """What a row is called: its id, or the table when it has none."""
    if isinstance(row, schema.Build):
        return f"{row.package}=={row.version}"
    return next((str(getattr(row, name)) for name in NAMES if getattr(row, name, None)), table)


def keys(row: schema.Row) -> Iterator[str]:
    """What a row rests on: its fields, and each way by which it can be had."""
    yield from row.evidence.values()
    yield from (way.evidence for way in getattr(row, "ways", ()))


# -- the user's own facts ------------------------------------------------------------------------------------


def add_overlay(database: Database, overlay: Overlay) -> None:
    """Put the rows of an overlay over those of the database; what cannot be is a finding under its name."""
    database.evidence[overlay.name] = overlay.scoped_evidence()
    try:
        for table, model in OVERLAY_TABLES.items():
            _overlay_rows(database, overlay, table, model)
        for name, said in overlay.frameworks.items():
            framework = overlay.apply_framework(name, database.frameworks.get(name))
            if framework is None:
                continue
            for table, model in row_types(FRAMEWORK_TABLES).items():
                _overlay_rows(database, overlay, table, model, name, said.get(table, ()))
            rows = {t: tuple(e.row for e in database.entries if e.framework == name and type(e.row) is m)
                    for t, m in row_types(FRAMEWORK_TABLES).items()}  # fmt: skip
            database.frameworks[name] = framework.model_copy(update=rows)
            if name not in database.homes or {"default_backends", "gpu_backends"} & set(said):
                database.homes[name] = overlay.name
    except DatabaseError as error:
        database.findings.append(Finding("schema", overlay.name, "", error.message))


def _overlay_rows(
    database: Database, overlay: Overlay, table: str, model: type[schema.Row], framework: str = "",
    raws: Sequence[Any] | None = None,
) -> None:  # fmt: skip
    """The rows of one table: those that the overlay changes stand under its name, and so do the new ones."""
    old = {}
    for entry in database.entries:
        if type(entry.row) is model and entry.framework == framework:
            row = _scoped(entry)
            old[id(row)] = entry, row
    rows = overlay.apply(table, [row for _, row in old.values()], raws)
    new = [row for row in rows if id(row) not in old]
    kept = {id(row) for row in rows}
    gone = {id(entry) for key, (entry, _) in old.items() if key not in kept}
    if not new:
        return
    database.entries = [entry for entry in database.entries if id(entry) not in gone]
    database.entries += (Entry(overlay.name, label(table, row), row, framework) for row in new)
    evidence = database.evidence[overlay.name]
    for key in (key for row in new for key in keys(row) if key not in evidence):
        file, _, own = key.partition(":")
        if own in database.evidence.get(file, {}):
            evidence[key] = database.evidence[file][own]


def _scoped(entry: Entry) -> schema.Row:
    """A copy with evidence keys that say whose they are."""
    scoped = {field: key if key.startswith("facts/") else f"{entry.file}:{key}" for field, key in
              entry.row.evidence.items()}  # fmt: skip
    update: dict[str, Any] = {"evidence": scoped}
    if ways := getattr(entry.row, "ways", ()):
        update["ways"] = tuple(
            way
            if way.evidence.startswith("facts/")
            else way.model_copy(update={"evidence": f"{entry.file}:{way.evidence}"})
            for way in ways
        )
    return entry.row.model_copy(update=update)
