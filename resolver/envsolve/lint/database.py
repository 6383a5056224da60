"""The database as the linter sees it: every row with its file, duplicates and all, and what breaks the schema.

``matrices.Facts`` keeps one row per id and stops at the first error; a linter must see them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from envsolve import facts as schema
from envsolve.matrices import TABLES

FRAMEWORK_ROWS = ("builds", "substitutes", "pairings", "reports")
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
        if parts[0] in ("schema", "verified"):
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
    elif len(parts) == 1 and path.stem in TABLES:
        _read_tables(database, file, content, dict(TABLES[path.stem]))
    elif parts[0] == "caps" and len(parts) == 2:
        _read_tables(database, file, content, {"caps": schema.Cap})
    elif parts[0] == "frameworks" and len(parts) == 2:
        _read_framework(database, file, content)
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
                database.entries.append(Entry(file, _label(key, row), row))


def _read_framework(database: Database, file: str, content: dict[str, Any]) -> None:
    framework = _check(database, schema.Framework, content, file, "")
    if framework is None:
        return
    database.frameworks[framework.name] = framework
    database.evidence[file] = dict(framework.evidence)
    for key in FRAMEWORK_ROWS:
        database.entries += (Entry(file, _label(key, row), row) for row in getattr(framework, key))


def _check(database: Database, model: type[M], value: object, file: str, label: str) -> M | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for problem in error.errors():
            at = ".".join(str(part) for part in problem["loc"])
            database.findings.append(Finding("schema", file, label, f"{at}: {problem['msg']}"))
        return None


def _label(table: str, row: schema.Row) -> str:
    if isinstance(row, schema.Build):
        return f"{row.package}=={row.version}"
    return next((str(getattr(row, name)) for name in NAMES if getattr(row, name, None)), table)
