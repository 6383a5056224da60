"""Write matrices/symbols/NAME.jsonl from released sources: ``update_symbols.py [--force] [NAME ...]``.

For each framework of inputs/symbols.json the last patch of each minor release is read, never imported: which names a
user can reach, and with which parameters they can be called. What is written says from which release to which each
stands. The index is that of the user's pip configuration. Without --force the change is only counted.

Exit: 0 nothing to do or written; 3 a file is out of date; 4 the index does not answer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harvest.errors import UnreadableError
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from symbols.module import Module
from symbols.reader import sources
from symbols.resolve import Release
from symbols.table import Names, names_of

from envsolve.errors import EnvsolveError, Exit
from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = ROOT / "matrices" / "symbols"
INPUTS = ROOT / "scripts" / "inputs" / "symbols.json"
_PATCH = 2


def releases(files: Sequence[File], versions: str, every: bool) -> list[tuple[str, File, str]]:
    """(version, file to read, first day), oldest first: the last patch of each minor, or each release."""
    allowed = SpecifierSet(versions)
    by_version: dict[Version, list[File]] = {}
    for file in files:
        try:
            if file.is_wheel:
                version = parse_wheel_filename(file.filename)[1]
            else:
                version = parse_sdist_filename(file.filename)[1]
        except (InvalidSdistFilename, InvalidWheelFilename):
            continue
        if not version.is_prerelease and allowed.contains(version):
            by_version.setdefault(version, []).append(file)
    last = {v if every else v.release[:_PATCH]: v for v in sorted(by_version)}
    return [(str(v), min(by_version[v], key=_rank), min(f.day for f in by_version[v])) for v in sorted(last.values())]


def _rank(file: File) -> tuple[int, int, str]:
    """A wheel for Linux or any system first, then a source archive."""
    name = file.filename
    order = 0 if re.search(r"(none-any|manylinux\w*x86_64|linux_x86_64)\.whl$", name) else 1 if not file.is_wheel else 2
    return order, file.size if order else 0, name


class Writer:
    """Runs of releases in which a name stands unchanged."""

    def __init__(self) -> None:
        self.signatures: dict[str, int] = {"": 0, "m": 1}
        self.tables: dict[str, dict[str, list[list[int]]]] = {}
        self.open: dict[str, list[int]] = {}

    def add(self, at: int, names: Names) -> None:
        """The names of release number ``at``; releases come in order."""
        for module in names.open:
            self.open.setdefault(module, []).append(at)
        for module, table in names.modules.items():
            runs = self.tables.setdefault(module, {})
            for name, signature in table.items():
                number = self.signatures.setdefault(signature, len(self.signatures))
                own = runs.setdefault(name, [])
                if own and own[-1][1] == at - 1 and own[-1][2] == number:
                    own[-1][1] = at
                else:
                    own.append([at, at, number])

    def rows(self, count: int) -> list[dict[str, Any]]:
        """One row per module; equal tables are written once and named after."""
        rows: list[dict[str, Any]] = []
        seen: dict[str, str] = {}
        for module in sorted(self.tables):
            table = {name: _packed(runs, count) for name, runs in sorted(self.tables[module].items())}
            row: dict[str, Any] = {"module": module}
            if self.open.get(module):
                row["open"] = _spans(self.open[module])
            text = json.dumps(table)
            if len(table) > 1 and text in seen:
                row["same"] = seen[text]
            else:
                seen[text] = module
                row["names"] = table
            rows.append(row)
        return [row for row in rows if row.get("names") or row.get("same") or row.get("open")]


def _packed(runs: list[list[int]], count: int) -> str:
    """``FIRST-LAST:SIGNATURE`` by spaces; an end that is the table's end, and the signature 0, are left out."""
    words = []
    for first, last, number in runs:
        start, end = ("" if first == 0 else str(first)), ("" if last == count - 1 else str(last))
        span = str(first) if first == last else f"{start}-{end}"
        words.append(span + (f":{number}" if number else ""))
    return " ".join(words)


def _spans(numbers: Sequence[int]) -> str:
    words: list[list[int]] = []
    for number in numbers:
        if words and words[-1][1] == number - 1:
            words[-1][1] = number
        else:
            words.append([number, number])
    return " ".join(f"{a}-{b}" for a, b in words)


def generate(name: str, plan: dict[str, Any], index: Index) -> list[str]:
    """The lines of one framework's file."""
    writer, summaries = Writer(), dict[int, Module]()
    kept: list[list[str]] = []
    for version, file, day in releases(
        index.project(plan["package"]).files, plan["versions"], plan.get("every", False)
    ):
        try:
            files = sources(index, file, plan["roots"])
        except (UnreadableError, OSError) as error:
            print(f"{file.filename}: {error}", file=sys.stderr)
            continue
        if not files:
            print(f"{file.filename}: none of its files is the package's", file=sys.stderr)
            continue
        for old, new in plan.get("rename", {}).items():
            files = _moved(files, old, new)
        release = Release(files, summaries)
        names = names_of(release, plan["roots"], plan.get("walked", False), frozenset(plan.get("classes", ())))
        writer.add(len(kept), names)
        kept.append([version, day, file.filename])
        count = sum(map(len, names.modules.values()))
        print(f"{version}: {len(files)} files, {count} names, {len(names.open)} modules open", file=sys.stderr)
    head = {
        "framework": name,
        "package": plan["package"],
        "module": plan["module"],
        "every": plan.get("every", False),
        "companion": plan.get("companion", False),
        "evidence": {
            "source": f"the .py files of the releases of {plan['package']} on the package index that are named here",
            "checked": datetime.now(timezone.utc).date().isoformat(),
            "how": "measured",
        },
        "releases": kept,
        "signatures": list(writer.signatures),
    }
    return [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in [head, *writer.rows(len(kept))]]


def _moved(files: dict[str, bytes], old: str, new: str) -> dict[str, bytes]:
    """The files of a package that some releases keep in a folder of another name, where it is at home."""
    inside = {path: content for path, content in files.items() if path.startswith(f"{old}/")}
    return {new + path[len(old) :]: content for path, content in inside.items()} if inside else files


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, compare, write with --force."""
    plans = json.loads(INPUTS.read_text())
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of inputs/symbols.json")
    parser.add_argument("--force", action="store_true", help="write the files")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(plans)
    if unknown:
        parser.error(f"not in inputs/symbols.json: {', '.join(sorted(unknown))}")
    index, changed = Index(user_config()), False
    try:
        for name in options.names or plans:
            path = SYMBOLS / f"{name}.jsonl"
            text = "\n".join(generate(name, plans[name], index)) + "\n"
            same = path.exists() and path.read_text().partition("\n")[2] == text.partition("\n")[2]
            print(f"{name}: {len(text)} bytes, {'same' if same else 'changed'}")
            if options.force and not same:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            changed = changed or not same
    except EnvsolveError as error:
        print(f"error: {error.code}: {error.message}", file=sys.stderr)
        return int(error.exit_code)
    finally:
        index.close()
    return int(Exit.OUT_OF_DATE) if changed and not options.force else int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
