"""Bring the builds in ``matrices/frameworks/`` up to what the package index holds: ``update_frameworks.py [NAME ...]``.

Reads the index through the user's own pip configuration, adds what was read out of the binaries (``inputs/records``
and ``inputs/measured_wheels.json``, see ``wheel_facts.py``) and what is documented (``inputs/frameworks/NAME.json``),
and prints a unified diff. Nothing is written without ``--force``; a drop in builds that looks like a broken index is
refused. To run it again is always safe: what the index, the records and the plan say has not changed stays as it is.

Only builds with origin "index" are made here, and the evidence of what was read out of wheels. Everything else in those
files is kept as it stands: evidence, substitutes, pairings, reports, and the builds of other origins. A new framework
begins with a plan and a ``matrices/frameworks/NAME.json`` that has its name, module, evidence and no builds.

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
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from wheel_facts import INPUTS, WHEEL, Measured, covers, merged, read_measured, spoken_for, wheel_evidence

from envsolve.errors import EnvsolveError, Exit
from envsolve.facts import Build, Framework
from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config
from envsolve.lock.requirement import parse_specifier
from envsolve.matrices import load

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = ROOT / "matrices" / "frameworks"
PLANS = INPUTS / "frameworks"

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
    read from the binary wins over all; ``packages`` may hold patterns ("mxnet-cu*"); ``source_pythons`` are the Pythons
    that a source archive, or a wheel for any Python of a major version, serves; ``evidence`` is a key of the framework
    file's evidence table. ``borrow``: packages whose shared objects are those of another at the same version.
    ``skip``: PACKAGE==VERSION -> why not. ``prereleases``: projects whose pre-releases are wanted too, for their last
    releases are called that.
    """

    projects: dict[str, str]
    rules: list[Rule]
    borrow: list[Rule]
    pythons: frozenset[str]
    skip: dict[str, str] = field(default_factory=dict)
    prereleases: tuple[str, ...] = ()


def read_plan(name: str) -> Plan:
    """The plan of one framework, for the Pythons of the database. Raises KeyError when there is none of that name."""
    path = PLANS / f"{name}.json"
    if not path.exists():
        raise KeyError(name)
    plan = json.loads(path.read_text())
    return Plan(**plan, pythons=frozenset(load(ROOT / "matrices").pythons))


@dataclass(frozen=True)
class Artefact:
    """A file of the index as a means to install a version.

    ``pythons``: 'X.Y'; 'X.Y+' for that and later ones; 'X' for any of a major version, as far as it is known to run.
    """

    file: File
    version: str
    pythons: tuple[str, ...]
    wheel: bool


def _tag_python(interpreter: str, abi: str) -> str | None:
    """'cp36', 'cp36m' -> '3.6'; 'cp37', 'abi3' -> '3.7+'; 'py3', 'none' -> '3'; None where no usual Python takes it."""
    if interpreter.startswith("py") and abi == "none":
        return interpreter[2:3] if len(interpreter) == len("py3") else f"{interpreter[2]}.{interpreter[3:]}"
    if not interpreter.startswith("cp") or abi == "cp27m" or abi.endswith("t"):
        return None
    return f"{interpreter[2]}.{interpreter[3:]}{'+' * (abi == 'abi3')}"


def _fits(platform: str) -> bool:
    """Whether a platform tag is of the Linux that envsolve builds for: x86_64 with glibc."""
    return platform == "any" or (platform.endswith("x86_64") and platform.startswith(("linux", "manylinux")))


def artefact(file: File) -> Artefact | None:
    """The file as a means to install on Linux x86_64; None when it is none."""
    try:
        if file.is_wheel:
            _, version, _, tags = parse_wheel_filename(file.filename)
            found = {p for t in tags if _fits(t.platform) and (p := _tag_python(t.interpreter, t.abi))}
            return Artefact(file, str(version), tuple(sorted(found)), True) if found else None
        _, version = parse_sdist_filename(file.filename.replace(".tar.bz2", ".tar.gz"))
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return Artefact(file, str(version), ("2", "3"), False)


def by_version(files: Iterable[File], wanted: str, *, prereleases: bool = False) -> dict[str, list[Artefact]]:
    """The wanted releases: wheels where there are any, else the source archives."""
    found: dict[str, list[Artefact]] = {}
    for item in filter(None, map(artefact, files)):
        if (prereleases or not Version(item.version).is_prerelease) and covers(wanted, item.version):
            found.setdefault(item.version, []).append(item)
    return {
        version: [i for i in items if i.wheel] or items
        for version, items in sorted(found.items(), key=lambda pair: Version(pair[0]))
    }


def _pythons(items: Sequence[Artefact], known: Sequence[str], every: Iterable[str]) -> dict[str, str]:
    """'X.Y' -> upload date of its file.

    ``known``: the Pythons that a file for any of a major version runs on; ``every``: those of the database.
    """
    found: dict[str, str] = {}
    for item in items:
        limit = parse_specifier(item.file.requires_python or "")
        for name in (name for python in item.pythons for name in _named(python, known, every)):
            if limit is None or limit.contains(f"{name}.99"):
                found[name] = min(item.file.day, found.get(name, item.file.day))
    return {name: found[name] for name in sorted(found, key=Version)}


def _named(python: str, known: Iterable[str], every: Iterable[str]) -> list[str]:
    """The 'X.Y' that an artefact's Python stands for."""
    if python.endswith("+"):
        first = Version(python[:-1])
        return [name for name in every if Version(name) >= first and Version(name).major == first.major]
    return [python] if "." in python else [name for name in known if name.split(".")[0] == python]


def _documented(package: str, version: str, rules: Iterable[Rule]) -> tuple[Row, dict[str, str]]:
    """The fields that rules give, later rules over earlier, and the evidence key of each."""
    values: Row = {}
    evidence: dict[str, str] = {}
    for rule in rules:
        named = any(fnmatchcase(package, pattern) for pattern in rule.get("packages", ["*"]))
        if named and covers(rule["versions"], version):
            values |= rule["set"]
            evidence |= dict.fromkeys(rule["set"], rule["evidence"])
    return values, evidence


def build_row(
    package: str, version: str, items: Sequence[Artefact], plan: Plan, measured: Sequence[Measured]
) -> Row | None:
    """The database row of one release; None when no Python of the database can install it."""
    values, evidence = _documented(package, version, plan.rules)
    known = values.pop("source_pythons", ())
    if "source_pythons" in evidence:
        evidence["pythons"] = evidence.pop("source_pythons")
    found = _pythons(items, known, plan.pythons)
    pythons = {name: day for name, day in found.items() if name in plan.pythons}
    if not pythons:
        return None
    row: Row = {"package": package, "version": version, "released": min(pythons.values()), "pythons": pythons}
    if not any(item.wheel for item in items):
        row["source_only"] = True
    sizes = [item.file.size for item in items if item.wheel]
    wheels = spoken_for(package, version, sizes, measured, plan.borrow)
    facts, keys, read = merged(wheels, values.get("devices", ()))
    values |= facts
    evidence |= keys
    if read and read != version:
        values["measured_from"] = read
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


def project_rows(package: str, files: Iterable[File], plan: Plan, measured: Sequence[Measured]) -> list[Row]:
    """The rows of one project, oldest release first."""
    releases = by_version(files, plan.projects[package], prereleases=package in plan.prereleases)
    rows = (
        build_row(package, v, items, plan, measured)
        for v, items in releases.items()
        if f"{package}=={v}" not in plan.skip
    )
    return [row for row in rows if row]


def updated(content: Row, rows: dict[str, list[Row]], today: date, measured: Sequence[Measured] = ()) -> Row:
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
    new = content | {"builds": [row for p in rows for row in rows[p]] + kept}
    return new | {"evidence": _swept(evidence, new, measured, today)}


def _swept(evidence: dict[str, Row], content: Row, measured: Sequence[Measured], today: date) -> dict[str, Row]:
    """The evidence table with what this run measures by, and without what measurements no longer rest on."""
    tables = ("builds", "substitutes", "pairings", "reports")
    used = {key for table in tables for row in content.get(table, ()) for key in row["evidence"].values()}
    known = {wheel.key for wheel in measured}
    kept = {k: v for k, v in evidence.items() if k in used or not (k in known or k.startswith(WHEEL))}
    return kept | wheel_evidence(used, measured, evidence, today.isoformat())


def check_drop(content: Row, rows: dict[str, list[Row]]) -> None:
    """Raises RefusedError when more builds vanish than a maintainer is likely to have deleted."""
    for package, new in rows.items():
        mine = [b for b in content["builds"] if b["package"] == package]
        old = {b["version"] for b in mine if b.get("origin", "index") == "index"}
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
    if not path.exists():
        raise RefusedError(
            f"there is no {path.relative_to(ROOT)}", hints=("write it: name, module, evidence and 'builds': []",)
        )
    old = path.read_text()
    content: Row = json.loads(old)
    projects = {package: index.project(package) for package in plan.projects}
    if missing := [package for package, project in projects.items() if not project.known]:
        raise RefusedError(f"the index has no project {', '.join(missing)}")
    rows = {package: project_rows(package, project.files, plan, measured) for package, project in projects.items()}
    if not allow_drop:
        check_drop(content, rows)
    new = updated(content, rows, today, measured)
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
