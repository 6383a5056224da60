"""Bring the builds in ``matrices/frameworks/`` up to what the package index holds: ``update_frameworks.py [NAME ...]``.

Reads the index through the user's own pip configuration, adds what was read out of the binaries
(``inputs/measured_wheels.json``) and what is documented (``inputs/frameworks/NAME.json``), and prints a unified diff.
Nothing is written without ``--force``; a drop in builds that looks like a broken index is refused.

Only builds with origin "index" are made here. Everything else in those files is kept as it stands: evidence,
substitutes, pairings, reports, and the builds of other origins.

Exit: 0 no difference, or written; 3 differences, not written; 4 the index does not answer; 7 refused or invalid.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from envsolve.errors import EnvsolveError, Exit
from envsolve.facts import Build, Framework
from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config
from envsolve.matrices import load

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = ROOT / "matrices" / "frameworks"
INPUTS = ROOT / "scripts" / "inputs"
PLANS = INPUTS / "frameworks"

SAME_BINARY = 0.02
"""Two wheels of one minor series whose sizes differ by less than this share count as built alike."""
LOST_SHARE = 0.02
"""More builds of a project lost than this share: the index is more likely broken than the builds deleted."""

Row = dict[str, Any]
Rule = dict[str, Any]


class RefusedError(EnvsolveError):
    """The new rows look wrong, so they are not written."""

    code = "update-refused"
    exit_code = Exit.BAD_DATABASE


@dataclass(frozen=True)
class Plan:
    """What is wanted of one framework and what is known of its builds beyond the index.

    ``projects``: versions wanted, by project. ``rules``: fields of all matching rules, later over earlier; what was
    read from the binary wins over all; ``source_pythons`` are the Pythons that a source archive, or a wheel for any
    Python of a major version, serves; ``evidence`` is a key of the framework file's evidence table. ``borrow``:
    packages whose shared objects are those of another at the same version. ``skip``: PACKAGE==VERSION -> why not.
    """

    projects: dict[str, str]
    rules: list[Rule]
    borrow: list[Rule]
    pythons: frozenset[str]
    skip: dict[str, str] = field(default_factory=dict)


def read_plan(name: str) -> Plan:
    """The plan of one framework, for the Pythons of the database. Raises KeyError when there is none of that name."""
    path = PLANS / f"{name}.json"
    if not path.exists():
        raise KeyError(name)
    plan = json.loads(path.read_text())
    return Plan(**plan, pythons=frozenset(load(ROOT / "matrices").pythons))


def read_measured() -> list[Row]:
    """What was read out of released wheels, one row a wheel."""
    rows: list[Row] = json.loads((INPUTS / "measured_wheels.json").read_text())["rows"]
    return rows


def covers(specifier: str, version: str) -> bool:
    """Whether a PEP 440 specifier holds for a version."""
    return SpecifierSet(specifier).contains(Version(version), prereleases=True)


@dataclass(frozen=True)
class Artefact:
    """A file of the index as a means to install a version: its Pythons ('X.Y', or 'X' for any of that major)."""

    file: File
    version: str
    pythons: tuple[str, ...]
    wheel: bool


def _tag_python(interpreter: str, abi: str) -> str | None:
    """'cp36', 'cp36m' -> '3.6'; 'py3', 'none' -> '3'; None where a usual Linux Python cannot take it."""
    if interpreter.startswith("py") and abi == "none":
        return interpreter[2:3] if len(interpreter) == len("py3") else f"{interpreter[2]}.{interpreter[3:]}"
    if not interpreter.startswith("cp") or abi in ("cp27m", "abi3") or abi.endswith("t"):
        return None
    return f"{interpreter[2]}.{interpreter[3:]}"


def artefact(file: File) -> Artefact | None:
    """The file as a means to install on Linux x86_64; None when it is none."""
    try:
        if file.is_wheel:
            _, version, _, tags = parse_wheel_filename(file.filename)
            fits = [t for t in tags if t.platform == "any" or ("linux" in t.platform and t.platform.endswith("x86_64"))]
            found = {p for t in fits if (p := _tag_python(t.interpreter, t.abi))}
            return Artefact(file, str(version), tuple(sorted(found)), True) if found else None
        _, version = parse_sdist_filename(file.filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return Artefact(file, str(version), ("2", "3"), False)


def by_version(files: Iterable[File], wanted: str) -> dict[str, list[Artefact]]:
    """The wanted final releases: wheels where there are any, else the source archives."""
    found: dict[str, list[Artefact]] = {}
    for item in filter(None, map(artefact, files)):
        if not Version(item.version).is_prerelease and covers(wanted, item.version):
            found.setdefault(item.version, []).append(item)
    return {
        version: [i for i in items if i.wheel] or items
        for version, items in sorted(found.items(), key=lambda pair: Version(pair[0]))
    }


def _pythons(items: Sequence[Artefact], known: Sequence[str]) -> dict[str, str]:
    """'X.Y' -> upload date of its file; ``known``: the Pythons that a file for any of a major version runs on."""
    found: dict[str, str] = {}
    for item in items:
        for python in item.pythons:
            names = [python] if "." in python else [k for k in known if k.split(".")[0] == python]
            for name in names:
                limit = item.file.requires_python
                if not limit or SpecifierSet(limit).contains(f"{name}.99"):
                    found[name] = min(item.file.day, found.get(name, item.file.day))
    return {name: found[name] for name in sorted(found, key=Version)}


def _documented(package: str, version: str, rules: Iterable[Rule]) -> tuple[Row, dict[str, str]]:
    """The fields that rules give, later rules over earlier, and the evidence key of each."""
    values: Row = {}
    evidence: dict[str, str] = {}
    for rule in rules:
        if package in rule.get("packages", [package]) and covers(rule["versions"], version):
            values |= rule["set"]
            evidence |= dict.fromkeys(rule["set"], rule["evidence"])
    return values, evidence


def nearest(
    package: str, version: str, sizes: Sequence[int], measured: Iterable[Row], borrow: Iterable[Rule]
) -> Row | None:
    """The measured wheel that speaks for a build: itself, one that is the same binary, else a like-sized neighbour.

    A neighbour is another patch release of the same minor series, of the same project, within SAME_BINARY of its size.
    """
    twin = next((r["from"] for r in borrow if r["package"] == package and covers(r["versions"], version)), package)
    candidates = [
        row
        for row in measured
        if row["package"] in (package, twin)
        and Version(row["version"]).release[:2] == Version(version).release[:2]
        and any(abs(size - row["size"]) <= SAME_BINARY * size for size in sizes)
    ]
    wanted = Version(version)

    def distance(row: Row) -> tuple[int, int, bool]:
        patch = Version(row["version"]).micro - wanted.micro
        return (abs(patch), -patch, row["package"] != package)

    return min(candidates, key=distance, default=None)


def build_row(package: str, version: str, items: Sequence[Artefact], plan: Plan, measured: Sequence[Row]) -> Row | None:
    """The database row of one release; None when no Python of the database can install it."""
    values, evidence = _documented(package, version, plan.rules)
    known = values.pop("source_pythons", ())
    if "source_pythons" in evidence:
        evidence["pythons"] = evidence.pop("source_pythons")
    pythons = {name: day for name, day in _pythons(items, known).items() if name in plan.pythons}
    if not pythons:
        return None
    row: Row = {"package": package, "version": version, "released": min(pythons.values()), "pythons": pythons}
    if not any(item.wheel for item in items):
        row["source_only"] = True
    sizes = [item.file.size for item in items if item.wheel]
    found = nearest(package, version, sizes, measured, plan.borrow)
    if found:
        values |= found["facts"]
        evidence |= dict.fromkeys(found["facts"], found["evidence"])
        if found["version"] != version:
            values["measured_from"] = found["version"]
    if sizes:
        values["size"] = max(sizes)
    notes = [values.pop("notes", None), _yanked(items)]
    evidence.pop("notes", None)
    row |= {name: values[name] for name in Build.model_fields if values.get(name) not in (None, [], ())}
    # An empty list is a fact here ("holds no PTX"), not a missing value.
    row |= {name: [] for name in ("sass", "ptx") if values.get(name) == []}
    row["evidence"] = {"*": f"index-{package}"} | {k: evidence[k] for k in row if k in evidence}
    if any(notes):
        row["notes"] = "; ".join(filter(None, notes))
    return row


def _yanked(items: Sequence[Artefact]) -> str | None:
    files = sorted(
        f"{i.file.filename} ({i.file.yanked or 'no reason given'})" for i in items if i.file.yanked is not None
    )
    return f"yanked later: {', '.join(files)}" if files else None


def project_rows(package: str, files: Iterable[File], plan: Plan, measured: Sequence[Row]) -> list[Row]:
    """The rows of one project, oldest release first."""
    releases = by_version(files, plan.projects[package])
    rows = (
        build_row(package, v, items, plan, measured)
        for v, items in releases.items()
        if f"{package}=={v}" not in plan.skip
    )
    return [row for row in rows if row]


def updated(content: Row, rows: dict[str, list[Row]], today: date) -> Row:
    """The file's content with the index builds of these projects replaced; untouched projects keep their date."""
    old = {p: [b for b in content["builds"] if b["package"] == p and b.get("origin", "index") == "index"] for p in rows}
    fresh = {p for p in rows if rows[p] != old[p]}
    evidence = {k: dict(v) for k, v in content["evidence"].items()}
    for package in rows:
        key = f"index-{package}"
        entry = {"source": f"package index, simple API (PEP 691), project {package}", "how": "measured"}
        if package in fresh or key not in evidence:
            entry["checked"] = today.isoformat()
        evidence[key] = evidence.get(key, {}) | entry
    kept = [b for b in content["builds"] if b["package"] not in rows or b.get("origin", "index") != "index"]
    return content | {"evidence": evidence, "builds": [row for p in rows for row in rows[p]] + kept}


def check_drop(content: Row, rows: dict[str, list[Row]]) -> None:
    """Raises RefusedError when more builds vanish than a maintainer is likely to have deleted."""
    for package, new in rows.items():
        old = {b["version"] for b in content["builds"] if b["package"] == package}
        lost = sorted(old - {row["version"] for row in new}, key=Version)
        if lost and len(lost) > LOST_SHARE * len(old):
            raise RefusedError(
                f"{package}: {len(lost)} of {len(old)} builds are gone from the index: {', '.join(lost)}",
                hints=("scripts/update_frameworks.py --allow-drop --force",),
            )


def dumps(content: Row) -> str:
    """The file's text: one build, pairing or source a line, so that a diff reads well."""
    lines: list[str] = []
    for key, value in content.items():
        if isinstance(value, dict):
            inner = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
            lines.append(
                f" {json.dumps(key)}: {{\n  " + ",\n  ".join(inner) + "\n }" if inner else f" {json.dumps(key)}: {{}}"
            )
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            inner = [json.dumps(v, ensure_ascii=False) for v in value]
            lines.append(f" {json.dumps(key)}: [\n  " + ",\n  ".join(inner) + "\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def update(name: str, index: Index, today: date, *, allow_drop: bool = False) -> tuple[str, str]:
    """The old and the new text of one framework's file.

    Raises NotReadyError when the index does not answer, RefusedError on a suspicious drop.
    """
    path = FRAMEWORKS / f"{name}.json"
    plan, measured = read_plan(name), read_measured()
    old = path.read_text()
    content: Row = json.loads(old)
    rows = {package: project_rows(package, index.project(package).files, plan, measured) for package in plan.projects}
    if not allow_drop:
        check_drop(content, rows)
    new = updated(content, rows, today)
    Framework.model_validate(new)
    return old, dumps(new)


def _show(name: str, old: str, new: str) -> None:
    path = f"matrices/frameworks/{name}.json"
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}", n=0)
    sys.stdout.writelines(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, read, compare, print; write with --force."""
    names = sorted(path.stem for path in PLANS.glob("*.json"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default all")
    parser.add_argument("--force", action="store_true", help="write the files")
    parser.add_argument("--allow-drop", action="store_true", help="believe the index when builds vanish")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(names):
        parser.error(f"no framework named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    index = Index(user_config())
    differs = False
    try:
        for name in options.names or names:
            old, new = update(name, index, datetime.now(timezone.utc).date(), allow_drop=options.allow_drop)
            _show(name, old, new)
            differs |= old != new
            if options.force and old != new:
                (FRAMEWORKS / f"{name}.json").write_text(new)
    except EnvsolveError as error:
        print(f"error: {error.code}: {error.message}", *(f"hint: {h}" for h in error.hints), sep="\n", file=sys.stderr)
        return int(error.exit_code)
    finally:
        index.close()
    return int(Exit.OUT_OF_DATE) if differs and not options.force else int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
