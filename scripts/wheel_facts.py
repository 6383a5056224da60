"""What was read out of released wheels, as facts that speak for builds: for ``update_frameworks.py``.

Two sources, beside each other: the records that ``harvest_wheels.py`` keeps (``inputs/records/*.jsonl``, a record a
wheel) and what was read by hand before there were any (``inputs/measured_wheels.json``). Of one release a record wins.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harvest.facts import facts_of
from packaging.specifiers import SpecifierSet
from packaging.version import Version

INPUTS = Path(__file__).resolve().parent / "inputs"

SAME_BINARY = 0.02
"""Two wheels of one minor series whose sizes differ by less than this share count as built alike."""
WHEEL = "wheels-"
"""How the evidence keys begin that this module makes: one for all records of a package.

A key for each wheel would be nearer to the source, but what an answer says of several releases at once it says of
those with one source: it would repeat itself for every patch release. The record has each wheel's name and hash."""
GPU_FACTS = ("cuda", "cudnn", "sass", "ptx")
"""Facts that say nothing of a build without a GPU."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One wheel that was read. ``key``: its evidence; ``source``: that evidence's, where it is made here.

    ``checked``: the day it was read, where that is known.
    """

    package: str
    version: str
    size: int
    key: str
    facts: Row
    source: str | None = None
    checked: str | None = None


def covers(specifier: str, version: str) -> bool:
    """Whether a PEP 440 specifier holds for a version."""
    return SpecifierSet(specifier).contains(Version(version), prereleases=True)


def by_hand(row: Row) -> Measured:
    """A row of ``measured_wheels.json``."""
    return Measured(row["package"], row["version"], row["size"], row["evidence"], row["facts"])


def by_record(record: Row) -> Measured:
    """A line of ``records/PACKAGE.jsonl``; what it does not know is left out."""
    package, version = record["package"], record["version"]
    facts = {key: value for key, value in facts_of(record).items() if value is not None and key != "size"}
    source = f"released wheels of {package}, read over HTTP ranges: scripts/inputs/records/{package}.jsonl"
    return Measured(package, version, record["size"], f"{WHEEL}{package}", facts, source, record.get("checked"))


def read_measured(inputs: Path = INPUTS) -> list[Measured]:
    """Everything that was read, by hand first, then the records: the cheap ones first, for the full ones to win."""
    rows = json.loads((inputs / "measured_wheels.json").read_text())["rows"]
    records: list[Row] = []
    for path in sorted((inputs / "records").glob("*.jsonl")):
        records += (json.loads(line) for line in path.read_text().splitlines() if line.strip())
    records.sort(key=lambda r: (r.get("read") != "cheap", r["filename"]))
    return [*map(by_hand, rows), *(found for found in map(by_record, records) if found.facts)]


def spoken_for(
    package: str, version: str, sizes: Sequence[int], measured: Iterable[Measured], borrow: Iterable[Row]
) -> list[Measured]:
    """The wheels whose facts hold for a build, the nearest last: it is asked first, and the others where it is silent.

    Nearest is the build's own release, then the same release of a package with the same binary, then the patch
    releases of the same minor series; each with a wheel within SAME_BINARY of the build's size.
    """
    twin = next((r["from"] for r in borrow if r["package"] == package and covers(r["versions"], version)), package)
    wanted = Version(version)
    candidates = [
        wheel
        for wheel in measured
        if wheel.package in (package, twin)
        and Version(wheel.version).release[:2] == wanted.release[:2]
        and any(abs(size - wheel.size) <= SAME_BINARY * size for size in sizes)
    ]

    def distance(wheel: Measured) -> tuple[int, int, bool, bool, str]:
        found = Version(wheel.version)
        patch = found.micro - wanted.micro
        return (abs(patch), -patch, found != wanted, wheel.package != package, wheel.version)

    return sorted(candidates, key=distance, reverse=True)


def merged(wheels: Iterable[Measured], devices: Iterable[str]) -> tuple[Row, dict[str, str], str | None]:
    """The facts of wheels, later over earlier; the evidence key of each; and the release that gave most of them."""
    facts: Row = {}
    given: dict[str, Measured] = {}
    for wheel in wheels:
        kept = {k: v for k, v in wheel.facts.items() if k not in GPU_FACTS or "gpu" in devices}
        facts |= kept
        given |= dict.fromkeys(kept, wheel)
    most = Counter(wheel.version for wheel in given.values()).most_common(1)
    return facts, {name: wheel.key for name, wheel in given.items()}, most[0][0] if most else None


def wheel_evidence(keys: Iterable[str], measured: Iterable[Measured], old: Row, today: str) -> dict[str, Row]:
    """The entries of a file's evidence table for these keys; where no record knows its day, the first run's stays."""
    entries: dict[str, Row] = {}
    for key in sorted(set(keys)):
        wheels = [wheel for wheel in measured if wheel.key == key and wheel.source]
        if wheels:
            first = old[key]["checked"] if key in old else today
            seen = max((wheel.checked for wheel in wheels if wheel.checked), default=first)
            notes = "each record names its wheel and the wheel's sha256"
            entries[key] = {"source": wheels[0].source, "checked": seen, "how": "measured", "notes": notes}
    return entries
