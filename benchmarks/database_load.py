"""What a cold process spends on the database: as it is, and with ten and fifty times the rows.

    python benchmarks/database_load.py [--runs 9]

Run it with envsolve installed as users install it (pip install ., bytecode written). Each measurement is a process of
its own that asks the database for what `envsolve tensorflow==...` asks: the names, one framework, the platform tables,
and the version that a lock names. Three shapes of growth: "wide" has more frameworks and more files of caps, "deep"
has more rows in every table and file.

first: no process of this user has read this database before. then: one has (the catalogue is remembered).
The peers, in the same run: json.loads of all files, which is what reading it all would cost at the least, and a bare
`python -c pass`. All is processor time, which other work on the machine disturbs least; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TABLES = ("builds", "caps", "images", "products", "reports", "pairings")
PROBE = """
import sys, time
import pydantic, envsolve.models, packaging.version, platformdirs, hashlib, tempfile
t0 = time.process_time()
import envsolve.facts, envsolve.facts.rows, envsolve.facts.platform, envsolve.facts.frameworks, envsolve.facts.limits
t1 = time.process_time()
from pathlib import Path
from envsolve.matrices import load
facts = load(Path(sys.argv[1]))
facts.aliases
facts.framework("tensorflow")
facts.architectures, facts.toolkits, facts.cudnns, facts.images, facts.systems, facts.pythons
t2 = time.process_time()
facts.version
facts.caps
t3 = time.process_time()
print(t1 - t0, t2 - t1, t3 - t2)
"""
READ_ALL = """
import json, sys, time
from pathlib import Path
t0 = time.process_time()
for path in Path(sys.argv[1]).rglob("*.json"):
    json.loads(path.read_bytes())
print(time.process_time() - t0)
"""


def dumped(content: dict[str, Any]) -> str:
    """As the files of the database are written, but for the lines."""
    return json.dumps(content, separators=(",", ":"))


def wide(source: Path, target: Path, times: int) -> None:
    """The same platform, and that many times the frameworks and the files of caps."""
    shutil.copytree(source, target)
    for folder in ("frameworks", "caps"):
        for path in sorted((source / folder).glob("*.json")):
            for i in range(1, times):
                content = json.loads(path.read_text())
                if folder == "frameworks":
                    content["name"] = f"{content['name']}{i}"
                    content["aliases"] = [f"{alias}{i}" for alias in content.get("aliases", ())]
                    for build in content["builds"]:
                        build["package"] = f"{build['package']}{i}"
                (target / folder / f"{path.stem}{i}.json").write_text(dumped(content))


def deep(source: Path, target: Path, times: int) -> None:
    """That many times the rows in every table that grows with what people add."""
    shutil.copytree(source, target)
    for path in target.rglob("*.json"):
        if path.parent.name in ("schema", "verified"):
            continue
        content = json.loads(path.read_text())
        for table in set(TABLES) & set(content):
            content[table] = [renamed(row, i) for i in range(times) for row in content[table]]
        path.write_text(dumped(content))


def renamed(row: dict[str, Any], i: int) -> dict[str, Any]:
    """A row with another id."""
    if i == 0:
        return row
    key = next(k for k in ("id", "version", "name", "versions") if k in row)
    return {**row, key: f"{row[key]}.{i}" if key == "version" else f"{row[key]}" + f"-{i}" * (key != "versions")}


def run(code: str, root: Path, cache: Path) -> list[float]:
    """The figures that a process of its own prints, in milliseconds."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [float(word) * 1000 for word in done.stdout.split()]


def median(code: str, root: Path, cache: Path, runs: int, *, forget: bool = False) -> list[float]:
    """The median of each figure; ``forget``: each process is the first one of its user."""
    found = []
    for _ in range(runs):
        if forget:
            shutil.rmtree(cache, ignore_errors=True)
        found.append(run(code, root, cache))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def bare(runs: int) -> float:
    """Milliseconds of processor time of an empty process."""
    taken = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    from envsolve.data import data_dir

    empty = bare(options.runs)
    print(f"bare python: {empty:.0f} ms\n")
    print(f"{'':10}{'MB':>7}{'schema':>9}{'first':>9}{'then':>9}{'+ lock':>9}{'read all':>10}   then, of read all")
    with tempfile.TemporaryDirectory() as folder:
        shapes = [("as it is", wide, 1), ("wide x10", wide, 10), ("wide x50", wide, 50), ("deep x10", deep, 10),
                  ("deep x50", deep, 50)]  # fmt: skip
        for label, grow, times in shapes:
            root, cache = Path(folder) / label.replace(" ", "-"), Path(folder) / "cache"
            grow(data_dir("matrices"), root, times)
            size = sum(path.stat().st_size for path in root.rglob("*.json")) / 1e6
            first = median(PROBE, root, cache, 3, forget=True)
            time.sleep(2.1)  # files that changed this moment are not remembered
            run(PROBE, root, cache)
            schema, then, lock = median(PROBE, root, cache, options.runs)
            (everything,) = median(READ_ALL, root, cache, options.runs)
            cells = (schema, first[1], then, lock, everything)
            print(f"{label:10}{size:>7.2f}" + "".join(f"{c:>6.1f} ms" for c in cells) + f"{then / everything:>9.2f} x")
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
