"""Measure ``envsolve scan`` against a corpus: ``measure_scan.py --corpus DIR [--repos DIR] [--scripts DIR]``.

The corpus holds ``repos_*.json`` (repositories at a commit, with the ranges in which their code works) and
``gists_*.json`` (scripts by id). ``--repos`` has a checkout per repository id, ``--scripts`` a file ID.py per script;
what is not there is counted as absent. Nothing is looked up by id or content: each is scanned as any stranger's would
be. How the scripts then run is measured by ``measure_runs.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from envsolve.errors import EnvsolveError
from envsolve.matrices import load
from envsolve.scan.project import Scan, scan_path


def rows(corpus: Path, pattern: str, key: str) -> list[dict[str, Any]]:
    """The entries of every file of a kind."""
    found: list[dict[str, Any]] = []
    for path in sorted(corpus.glob(pattern)):
        found += json.loads(path.read_text())[key]
    return found


def inside(version: str, low: str | None, high: str | None) -> bool | None:
    """Whether a version lies between two; None when the truth is no version."""
    try:
        return (not low or Version(low) <= Version(version)) and (not high or Version(version) <= Version(high))
    except InvalidVersion:
        return None


def repositories(corpus: Path, folder: Path) -> None:
    """One line per repository, and the sums."""
    facts = load()
    sums: Counter[str] = Counter()
    for row in rows(corpus, "repos_*.json", "repositories"):
        path = folder / row["id"]
        if not path.is_dir():
            sums["absent"] += 1
            continue
        started = time.perf_counter()
        try:
            scan = scan_path(path, facts)
        except EnvsolveError as error:
            print(f"{row['id']}: {error.message}")
            sums["error"] += 1
            continue
        took = time.perf_counter() - started
        sums["seconds"] += round(took * 1000)
        print(f"{row['id']:<16} {_judge(row, scan, sums)}  {took:.1f} s")
    _print(sums)


def _judge(row: dict[str, Any], scan: Scan, sums: Counter[str]) -> str:
    sums["repositories"] += 1
    truth, found = set(row["frameworks"]), set(scan.ranges)
    sums["framework found"] += len(truth & found)
    sums["framework true"] += len(truth)
    sums["framework said"] += len(found)
    words = [f"also said: {'+'.join(sorted(found - truth))}"] if found - truth else []
    picked = dict(t.split("==") for t in scan.targets if "==" in t)
    for name, limits in row["true_range"].items():
        if name not in picked and name not in scan.starts:
            words.append(f"{name} -")
            continue
        version = picked.get(name) or scan.starts[name]
        fits = inside(version, limits["min"], limits["max"])
        if fits is None:
            continue
        sums["version said"] += 1
        sums["version inside"] += fits
        words.append(f"{name} {version} {'in' if fits else 'NOT IN'} {limits['min']}..{limits['max']}")
    pythons = set(row["python"]["code_supports"])
    if scan.pythons:
        said = {p for p in scan.pythons if "2.7" <= p <= "2.7" or Version(p) <= Version("3.8")}
        sums["pythons said"] += len(said)
        sums["pythons right"] += len(said & pythons)
        sums["pythons true"] += len(pythons)
        python = scan.python or scan.pythons[-1]
        major = {p[0] for p in pythons}
        sums["python major right"] += python[0] in major
        if python[0] not in major:
            words.append(f"Python {python} NOT {sorted(pythons)}")
    return "; ".join(words)


def _print(sums: Counter[str]) -> None:
    print()
    for key, value in sorted(sums.items()):
        print(f"{key}: {value}")


def scripts(corpus: Path, folder: Path) -> None:
    """What is concluded of each script."""
    facts = load()
    sums: Counter[str] = Counter()
    for row in rows(corpus, "gists_*.json", "scripts"):
        path = folder / f"{row['id']}.py"
        if not path.is_file():
            sums["absent"] += 1
            continue
        scan = scan_path(path, facts)
        sums["scripts"] += 1
        known = {f for f in row["frameworks"] if f in scan.ranges}
        sums["framework found"] += bool(known)
        sums["range"] += any(scan.ranges[f] for f in known)
        sums["request"] += bool(scan.targets)
        line = f"{row['id'][:8]} {'+'.join(row['frameworks'])}: {' '.join(scan.targets)} py {scan.python}"
        print(f"{line}  {scan.ranges} {scan.conflicts[:1]} {scan.unknown}")
    _print(sums)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repos", type=Path, metavar="DIR", help="checkouts by id")
    parser.add_argument("--scripts", type=Path, metavar="DIR", help="scripts by id")
    options = parser.parse_args(arguments)
    if options.repos:
        repositories(options.corpus, options.repos)
    if options.scripts:
        scripts(options.corpus, options.scripts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
