"""Lint rules that need what the database does not ship: the index's versions and the lists of image tags.

Both are committed with the day they were seen (inputs/index_versions.json, inputs/listed_tags.json), so that the
rules run offline; ``lint_matrices.py`` adds them to those of ``envsolve matrix lint``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envsolve import facts as schema
from envsolve.lint.database import Database, Finding

INPUTS = Path(__file__).resolve().parent / "inputs"


@dataclass(frozen=True)
class Snapshot:
    """What the index and the registries were seen to list."""

    day: date
    versions: dict[str, set[str]]
    tags: dict[str, set[str]]


def read_snapshot(index: Path = INPUTS / "index_versions.json", tags: Path = INPUTS / "listed_tags.json") -> Snapshot:
    """The committed lists."""
    content: dict[str, Any] = json.loads(index.read_text())
    versions = {name: set(found) for part in ("wheels", "versions") for name, found in content[part].items()}
    listed: dict[str, set[str]] = {}
    for row in json.loads(tags.read_text())["lists"]:
        listed.setdefault(row["repository"], set()).update(row["tags"])
    return Snapshot(date.fromisoformat(content["checked"]), versions, listed)


def index_versions(database: Database, snapshot: Snapshot) -> Iterator[Finding]:
    """A build from the index at a version that the index never had."""
    for entry, build in database.rows(schema.Build):
        known = snapshot.versions.get(build.package, {build.version})
        if build.origin == "index" and build.version not in known and build.released_by(snapshot.day):
            yield entry.finding("index-version", f"the index had no {build.package} {build.version}")


def index_ranges(database: Database, snapshot: Snapshot) -> Iterator[Finding]:
    """A cap or a pairing that leaves no version of a package that the index has."""
    for entry, cap in database.rows(schema.Cap):
        if cap.package and cap.versions and cap.kind != "api" and _empty(cap.versions, snapshot, cap.package):
            yield entry.finding("index-range", f"no version of {cap.package} on the index is {cap.versions}")
    for entry, pairing in database.rows(schema.Pairing):
        own = {b.version for b in database.builds_of(pairing.other)}
        if not own and _empty(pairing.other_versions, snapshot, pairing.other):
            text = f"no version of {pairing.other} on the index is {pairing.other_versions}"
            yield entry.finding("index-range", text)


def _empty(versions: str, snapshot: Snapshot, package: str) -> bool:
    known = snapshot.versions.get(package)
    if not known:
        return False
    try:
        wanted = SpecifierSet(versions)
    except InvalidSpecifier:
        return False  # another rule's business
    return not any(wanted.contains(version, prereleases=True) for version in known)


def listed_tags(database: Database, snapshot: Snapshot) -> Iterator[Finding]:
    """An image whose tag no list has: put together, perhaps, from parts that fit."""
    for entry in database.entries:
        references = [way.reference for way in getattr(entry.row, "ways", ()) if way.kind == "image"]
        if isinstance(entry.row, schema.Image):
            references.append(entry.row.reference)
        for reference in references:
            repository, _, tag = reference.partition(":")
            repository = repository.removeprefix("nvcr.io/").removeprefix("docker.io/")
            if repository in snapshot.tags and tag not in snapshot.tags[repository]:
                yield entry.finding("unlisted-tag", f"no list of {repository} has the tag {tag}")


RULES = (index_versions, index_ranges, listed_tags)
"""Every rule that needs a snapshot."""
