"""A user's own facts: a JSON file that adds rows to the database, or corrects rows of it.

The file has the tables of ``matrices/`` under their own names (``images``, ``toolkits``, ``caps``, ...), ``frameworks``
as a list, and one ``evidence`` table; or it looks like one file of ``matrices/frameworks/``. A row whose id the
database has changes the fields that it gives; any other row is new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from packaging.version import InvalidVersion, Version

from envsolve import facts as schema
from envsolve.catalogue import parsed
from envsolve.errors import DatabaseError, UsageError
from envsolve.facts.tables import FRAMEWORK_TABLES, checked, row_type

R = TypeVar("R", bound=schema.Row)

IDENTITY: dict[type[schema.Row], tuple[str, ...]] = {
    schema.Architecture: ("compute_capability",),
    schema.Product: ("name",),
    schema.Toolkit: ("version",),
    schema.Cudnn: ("version",),
    schema.System: ("name",),
    schema.Image: ("id",),
    schema.PythonRelease: ("version",),
    schema.Tool: ("name",),
    schema.Build: ("package", "version"),
    schema.Substitute: ("build", "versions"),
    schema.Pairing: ("versions", "other", "kind"),
    schema.Report: ("id",),
    schema.Cap: ("id",),
}
"""The fields that make two rows of a kind the same row."""

TABLES: dict[str, type[schema.Row]] = {
    "architectures": schema.Architecture,
    "products": schema.Product,
    "toolkits": schema.Toolkit,
    "releases": schema.Cudnn,
    "systems": schema.System,
    "images": schema.Image,
    "pythons": schema.PythonRelease,
    "tools": schema.Tool,
    "caps": schema.Cap,
}
_LATEST_FIRST = (schema.Image,)
"""Kinds of which the earlier row wins where rows are equal otherwise: the user's own go first."""


@dataclass(frozen=True)
class Overlay:
    """One file of the user's own facts, read."""

    name: str
    """As it was typed."""
    digest: str
    evidence: Mapping[str, schema.Evidence]
    tables: Mapping[str, Sequence[Any]]
    frameworks: Mapping[str, Mapping[str, Any]]

    @property
    def scope(self) -> str:
        """What its evidence keys begin with, so that they are no other file's."""
        return f"facts/{Path(self.name).name.replace(':', '_')}#{self.digest[:8]}"

    def scoped_evidence(self) -> dict[str, schema.Evidence]:
        """Its evidence by scoped key; the source says that it comes from this file."""
        own = f" (in {Path(self.name).name}, facts of your own)"
        return {
            f"{self.scope}:{key}": row.model_copy(update={"source": row.source + own if row.source.strip() else ""})
            for key, row in self.evidence.items()
        }

    def apply(self, table: str, rows: Iterable[R], raws: Sequence[Any] | None = None) -> list[R]:
        """The rows of a table with this file's: a row that is changed is another object, the rest are the same.

        Raises DatabaseError, naming file and row, for a row that breaks the schema or says not what it rests on.
        """
        model: Any = TABLES.get(table) or row_type(FRAMEWORK_TABLES[table])
        found = {_identity(model, row.__dict__): row for row in rows}
        before = set(found)
        for i, raw in enumerate(self.tables.get(table, ()) if raws is None else raws):
            where = f"{self.name}: {table}[{i}]"
            if not isinstance(raw, dict):
                raise DatabaseError(f"{where}: a row must be an object")
            identity = _identity(model, raw)
            where += f" {' '.join(map(str, identity))}"
            found[identity] = checked(model, self._merged(model, raw, found.get(identity), where), where)
        return _ordered(model, found, before)

    def _merged(self, model: type[schema.Row], raw: dict[str, Any], old: schema.Row | None, where: str) -> Any:
        given = raw.get("evidence")
        if not isinstance(given, dict) or not given or not all(isinstance(v, str) for v in given.values()):
            raise DatabaseError(f'{where}: evidence: say what it rests on, e.g. {{"*": KEY}}')
        evidence = {field: f"{self.scope}:{key}" for field, key in given.items()}
        for key in sorted({*given.values(), *_way_keys(raw)} - set(self.evidence)):
            raise DatabaseError(f"{where}: evidence: no evidence of this file is called {key!r}")
        raw = {**raw, **self._scoped_ways(raw)}
        if old is None:
            return {**raw, "evidence": evidence}
        fields = set(raw) - {*IDENTITY[model], "evidence", "notes"}
        rest = evidence.pop("*", None)
        if rest is not None:
            evidence |= dict.fromkeys(fields - set(evidence), rest)
        if silent := fields - set(evidence):
            raise DatabaseError(f"{where}: evidence: nothing is said for {', '.join(sorted(silent))}")
        return {**old.model_dump(mode="json", exclude_unset=True), **raw, "evidence": {**old.evidence, **evidence}}

    def _scoped_ways(self, raw: dict[str, Any]) -> dict[str, Any]:
        if not _way_keys(raw):
            return {}
        ways = (way if not isinstance(way, dict) else {**way, "evidence": f"{self.scope}:{way.get('evidence')}"}
                for way in raw["ways"])  # fmt: skip
        return {"ways": list(ways)}

    def apply_framework(self, name: str, old: schema.Framework | None) -> schema.Framework | None:
        """A framework with what this file says of it; the same object when it says nothing."""
        raw = self.frameworks.get(name)
        if raw is None:
            return old
        where = f"{self.name}: framework {name}"
        lists = {key: raw.get(key, ()) for key in FRAMEWORK_TABLES}
        for key, rows in lists.items():
            if not isinstance(rows, list | tuple):
                raise DatabaseError(f"{where}: {key} must be a list")
        plain = {key: value for key, value in raw.items() if key not in FRAMEWORK_TABLES}
        plain["evidence"] = {}
        base = {} if old is None else old.model_dump(mode="json", exclude={*FRAMEWORK_TABLES, "evidence"})
        for key in ("aliases", "default_backends", "gpu_backends"):
            if isinstance(plain.get(key), dict):
                plain[key] = {**base.get(key, {}), **plain[key]}
            elif isinstance(plain.get(key), list):
                plain[key] = list(dict.fromkeys([*base.get(key, []), *plain[key]]))
        framework = checked(schema.Framework, {**base, **plain, "builds": []}, where)
        rows_of = {
            key: tuple(self.apply(key, getattr(old, key) if old else (), lists[key])) for key in FRAMEWORK_TABLES
        }
        return framework.model_copy(update={**rows_of, "evidence": old.evidence if old else {}})


def _identity(model: type[schema.Row], values: Mapping[str, Any]) -> tuple[Any, ...]:
    fields = model.model_fields
    return tuple(str(values.get(name, fields[name].default)) for name in IDENTITY[model])


def _way_keys(raw: dict[str, Any]) -> set[str]:
    ways = raw.get("ways")
    found = (way.get("evidence") for way in ways if isinstance(way, dict)) if isinstance(ways, list) else ()
    return {key for key in found if isinstance(key, str)}


def _ordered(model: Any, found: dict[tuple[Any, ...], R], before: set[tuple[Any, ...]]) -> list[R]:
    new = [row for identity, row in found.items() if identity not in before]
    old = [row for identity, row in found.items() if identity in before]
    if model in _LATEST_FIRST:
        return new + old
    if model is schema.Architecture:
        return sorted(old + new, key=lambda row: _version(getattr(row, "compute_capability", "0")))
    return old + new


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


# -- read ----------------------------------------------------------------------------------------------------


def read_overlay(path: Path | str) -> Overlay:
    """Raises UsageError for a file that cannot be read, DatabaseError for one that has not the shape."""
    name = str(path)
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UsageError(
            f"--facts {name}: {error.strerror or error}", code="unreadable-facts", hints=("--facts FILE",)
        ) from error
    value = parsed(content, name)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DatabaseError(f"{name}: it holds half a character (\\ud800 to \\udfff alone)") from error
    if "builds" in value or "module" in value:  # one file of matrices/frameworks/
        value = {"evidence": value.get("evidence", {}), "frameworks": [value]}
    for key in sorted(set(value) - {*TABLES, "evidence", "frameworks"}):
        known = ", ".join((*TABLES, "frameworks", "evidence"))
        raise DatabaseError(f"{name}: there is no table {key!r}", facts=(f"tables: {known}",))
    table = value.get("evidence", {})
    if not isinstance(table, dict):
        raise DatabaseError(f"{name}: evidence must be an object: KEY -> source, checked, how")
    for key in TABLES:
        if not isinstance(value.get(key, []), list):
            raise DatabaseError(f"{name}: {key} must be a list of rows")
    evidence = {key: checked(schema.Evidence, row, f"{name}: evidence {key}") for key, row in table.items()}
    return Overlay(
        name,
        hashlib.sha256(content).hexdigest(),
        evidence,
        {key: value[key] for key in TABLES if key in value},
        _frameworks(value.get("frameworks", []), name),
    )


def _frameworks(value: Any, name: str) -> dict[str, dict[str, Any]]:
    if not isinstance(value, list):
        raise DatabaseError(f"{name}: frameworks must be a list")
    found: dict[str, dict[str, Any]] = {}
    for i, row in enumerate(value):
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise DatabaseError(f"{name}: frameworks[{i}]: a framework must be an object with a name")
        if row["name"] in found:
            raise DatabaseError(f"{name}: frameworks[{i}]: {row['name']} is there twice")
        found[row["name"]] = row
    return found
