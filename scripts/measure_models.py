"""Measure the model-file reader against a corpus: ``measure_models.py CORPUS [--verbose]``.

CORPUS holds ``models_dev.json`` and ``models/``. For each file the reader's framework, the release that wrote it and
the releases that load it are compared with what is true of it, and the table is printed. Exit: 0; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from envsolve.matrices import load
from envsolve.scan.evidence import Evidence
from envsolve.scan.models import read_model

_ALIASES = {"lua torch7": "torch7", "sonnet 2 / TF2": "tensorflow"}
_UNKNOWN = "unknown"


def frameworks(found: Sequence[Evidence]) -> set[str]:
    """What the evidence names."""
    names = {name for item in found if item.strength != "hint" for name in (*item.ranges, *item.made_with)}
    names |= {name for item in found for name in item.ranges} if not names else set()
    return names | ({"python"} if any("pickle" in item.found or item.pythons for item in found) else set())


def wanted(truth: dict[str, Any]) -> set[str]:
    """What the corpus says it is: the framework and the packages of its load range."""
    text = truth["framework"] or ""
    text = _ALIASES.get(text, re.split(r"[ (+]", text)[0])
    ranges = {name for name in truth["load_range"] if name in (text, "scikit-learn", "pygpu")}
    return ranges or ({text} if text else set())


def combined(found: Sequence[Evidence], attribute: str) -> dict[str, SpecifierSet]:
    """The ranges of all evidence together, by framework."""
    total: dict[str, SpecifierSet] = {}
    for item in found:
        for name, text in getattr(item, attribute).items():
            total[name] = total.get(name, SpecifierSet()) & SpecifierSet(text)
    return total


def contains(allowed: SpecifierSet, bounds: Sequence[str]) -> bool:
    """Are both ends of a true range allowed? 'any' and '2.x' are open."""
    versions = []
    for bound in bounds:
        text = bound.split(" ")[0].replace(".x", "").rstrip("+")
        try:
            versions.append(Version(text))
        except InvalidVersion:
            continue
    return all(allowed.contains(version, prereleases=True) for version in versions)


def writer(truth: dict[str, Any]) -> str | None:
    """The version that the corpus says wrote it, where it is a plain one."""
    text = truth["saved_with"]
    match = re.match(r"(?:Keras |pytorch |TF |torch |mxnet )?(\d+(?:\.\d+)+(?:-rc\d+)?)", text)
    return match[1] if match else None


def measure(corpus: Path) -> list[dict[str, Any]]:
    """A row per file."""
    facts = load()
    rows = []
    for entry in json.loads((corpus / "models_dev.json").read_text())["models"]:
        start = time.perf_counter()
        found = read_model(corpus / "models" / entry["file"], facts)
        seconds = time.perf_counter() - start
        rows.append(_row(entry, found) | {"seconds": seconds, "found": found})
    return rows


def _row(entry: dict[str, Any], found: list[Evidence]) -> dict[str, Any]:
    truth = entry["truth"]
    names, ranges, made = frameworks(found), combined(found, "ranges"), combined(found, "made_with")
    want = wanted(truth)
    right = bool(want & names) if want else not names
    loads = {n: b for n, b in truth["load_range"].items() if n in ranges}
    version = writer(truth)
    wrote = None
    if version and want and (both := {**ranges, **made}):
        wrote = any(both[n].contains(Version(version), prereleases=True) for n in both)
    load = all(contains(ranges[n], bounds) for n, bounds in loads.items()) if loads else None
    shown = ", ".join(f"{n} {r or 'any'}" for n, r in sorted(ranges.items()))
    writers = ", ".join(f"{n} {r or 'any'}" for n, r in sorted(made.items()))
    return {"file": entry["file"], "right": right, "wrote": wrote, "load": load, "ranges": shown, "made": writers}


def _mark(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "NO"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--verbose", action="store_true", help="print the evidence too")
    options = parser.parse_args(arguments)
    if not (options.corpus / "models_dev.json").is_file():
        parser.error(f"there is no models_dev.json in {options.corpus}")
    rows = measure(options.corpus)
    print("| file | framework right | writer inside | load range inside | reads | written by |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        marks = " | ".join(_mark(row[key]) for key in ("right", "wrote", "load"))
        print(f"| {row['file']} | {marks} | {row['ranges']} | {row['made']} |")
        if options.verbose:
            for item in row["found"]:
                pythons = f" [Python {item.pythons}]" if item.pythons else ""
                print(f"    {item.strength:6} @{item.offset} {item.found} => {item.means}{pythons}")
    for key in ("right", "wrote", "load"):
        told = [row[key] for row in rows if row[key] is not None]
        print(f"{key}: {sum(told)} of {len(told)}")
    print(f"slowest: {max(row['seconds'] for row in rows):.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
