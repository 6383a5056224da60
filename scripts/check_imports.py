"""Hold ``matrices/symbols/imports.jsonl`` against wheels: does a wheel of the project hold the module?

    python scripts/check_imports.py [--force]

Reads the zip directory of a wheel of each project (the newest for any Python or for Linux) over ranges, through the
user's own pip configuration. ``read`` of a row becomes the wheel's name where it holds the module, and null where none
does or the project has no wheel: such a row is what people write, and not proved. Without --force it only prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harvest.errors import UnreadableError
from harvest.transport import Remote
from harvest.zipdir import read_directory

from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config

TABLE = Path(__file__).resolve().parent.parent / "matrices" / "symbols" / "imports.jsonl"
TRIED = 3
"""Wheels of a project that are looked into: modules move between major releases."""


def wheels(files: list[File]) -> list[File]:
    """A wheel for any platform or Linux of the newest, the oldest and the middle day."""
    found = sorted(
        (f for f in files if f.is_wheel and ("any" in f.filename or "linux" in f.filename)), key=lambda f: f.day
    )
    return [found[i] for i in dict.fromkeys((len(found) - 1, 0, len(found) // 2))] if found else []


def holds(names: list[str], module: str) -> bool:
    """Whether a wheel's members make ``import module`` work."""
    path = module.replace(".", "/")
    return any(n.startswith((f"{path}/", f"{path}.py", f"{path}.so", f"{path}.cpython", f"{path}.abi3")) for n in names)


def proof(index: Index, row: dict[str, Any]) -> str | None:
    """The name of a wheel of the row's project that holds its module."""
    for file in wheels(list(index.project(row["project"]).files))[:TRIED]:
        try:
            members = read_directory(Remote(index, file))
        except UnreadableError:
            continue
        if holds([member.name for member in members], row["module"]):
            return file.filename
    return None


def main() -> int:
    """Check every row; print those without proof."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--force", action="store_true", help="write what was read into the table")
    options = parser.parse_args()
    rows = [json.loads(line) for line in TABLE.read_text().splitlines()]
    index = Index(user_config())
    wanted = [row for row in rows if row.get("module") and row.get("project")]
    with ThreadPoolExecutor(8) as pool:
        for row, found in zip(wanted, pool.map(lambda row: proof(index, row), wanted), strict=True):
            row["read"] = found
            if found is None:
                print(f"{row['module']}: no wheel of {row['project']} that was looked into holds it")
    index.close()
    print(f"{sum(bool(r['read']) for r in wanted)} of {len(wanted)} rows are proved by a wheel", file=sys.stderr)
    if options.force:
        TABLE.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
