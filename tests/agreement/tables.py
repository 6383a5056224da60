"""Tables of others, and what the database has differently: listed, each with the side that is measured and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

HERE = Path(__file__).parent

Place = tuple[str, ...]
Sides = tuple[Any, Any]
"""What the table has, what the database has; of sets only what the other side lacks."""


def table(name: str) -> dict[str, Any]:
    """A table of others, copied as facts, with the disagreements that are known."""
    content: dict[str, Any] = json.loads((HERE / name).read_text())
    assert content["source"], name
    for entry in content["disagreements"]:
        assert entry["measured"] in ("database", "table", "neither"), entry
        assert entry["why"].strip(), entry
    return content


def listed(content: Mapping[str, Any], keys: Iterable[str]) -> dict[Place, Sides]:
    """The listed disagreements, one for each row of the table that they speak of; ``keys`` name a row."""
    keys = tuple(keys)
    found: dict[Place, Sides] = {}
    for entry in content["disagreements"]:
        versions = SpecifierSet(entry["versions"])
        rows = [
            row for row in content["rows"]
            if versions.contains(row["version"], prereleases=True)
            and all(entry.get(key, row.get(key)) == row.get(key) for key in keys if key != "version")
        ]  # fmt: skip
        assert rows, f"speaks of no row of the table: {entry}"
        for row in rows:
            place = (*(str(row.get(key, "")) for key in keys), entry["field"])
            assert place not in found, f"listed twice: {place}"
            found[place] = plain(entry["table"]), plain(entry["database"])
    return found


def plain(value: Any) -> Any:
    """Lists as tuples, to be compared."""
    return tuple(value) if isinstance(value, list) else value


def differ(ours: Iterable[str], theirs: Iterable[str], order: Any = None) -> Sides | None:
    """What only the table has, and what only the database has; None when that is nothing."""
    only = tuple(sorted(set(theirs) - set(ours), key=order)), tuple(sorted(set(ours) - set(theirs), key=order))
    return only if any(only) else None


def within(short: str, full: str) -> bool:
    """Whether a version is the one that a table gives with fewer numbers: '8' of '8.0', '7.4' of '7.4.1'."""
    return f"{full}.".startswith(f"{short}.")


def compare(actual: dict[Place, Sides], known: dict[Place, Sides]) -> list[str]:
    """Every difference that is not listed, every one listed that is none (any more), every one listed otherwise."""
    return [
        f"{' '.join(place)}: (table, database) is {actual.get(place)}, listed is {known.get(place)}"
        for place in sorted(actual.keys() | known.keys())
        if actual.get(place) != known.get(place)
    ]
