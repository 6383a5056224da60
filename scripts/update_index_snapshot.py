"""Write scripts/inputs/index_versions.json: the versions and wheel tags that the package index has, with the day.

    python scripts/update_index_snapshot.py [--force]

Asked for are the projects that the database names: packages of builds with origin "index" (their Linux wheels too),
others of its pairings, and packages that caps limit. The linter of scripts/lint_matrices.py and the tests of
agreement read the snapshot, so that both run offline. The index is the user's own, by pip's configuration.

Exit: 0 no difference, or written; 3 differences, not written; 4 the index does not answer; 7 a project got lost.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from envsolve.errors import EnvsolveError, Exit
from envsolve.lock.index import Index
from envsolve.lock.pages import Project
from envsolve.lock.pipconfig import user_config
from envsolve.matrices import Facts, load

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOT = ROOT / "scripts" / "inputs" / "index_versions.json"
SOURCE = "package index, simple API (PEP 691)"


def wanted(facts: Facts) -> tuple[set[str], set[str]]:
    """The projects whose wheels matter, and those of which versions do."""
    frameworks = [facts.framework(name) for name in facts.framework_names()]
    builds = {b.package for f in frameworks for b in f.builds if b.origin == "index"}
    others = {p.other for f in frameworks for p in f.pairings}
    limited = {c.package for c in facts.caps if c.package and c.versions and c.kind != "api"}
    return builds, (others | limited) - builds - set(facts.framework_names()) - {"python"}


def released(project: Project) -> dict[str, list[str]]:
    """Version -> tags of its wheels for Linux on x86_64 or for any system, as their names say them."""
    found: dict[str, list[str]] = {}
    for file in project.files:
        try:
            if file.is_wheel:
                _, version, _, _ = parse_wheel_filename(file.filename)
            else:
                _, version = parse_sdist_filename(file.filename)
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        tags = found.setdefault(str(version), [])
        tag = file.filename.removesuffix(".whl").split("-", 2)[2] if file.is_wheel else ""
        tag = "-".join(tag.split("-")[-3:])
        if tag.endswith("any") or ("linux" in tag and "x86_64" in tag):
            tags.append(tag)
    return {version: sorted(set(found[version])) for version in sorted(found, key=Version)}


def _final(versions: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without the releases of every night: development releases, and betas numbered by the day."""
    by_day = 20_000_000
    read = {version: Version(version) for version in versions}
    return {
        version: tags
        for version, tags in versions.items()
        if not read[version].is_devrelease and (read[version].pre or ("", 0))[1] < by_day
    }


def snapshot(facts: Facts, index: Index) -> dict[str, Any]:
    """What the index has of the projects that the database names."""
    builds, others = wanted(facts)
    index.prefetch(sorted(builds | others))
    pages = {name: released(index.project(name)) for name in sorted(builds | others)}
    return {
        "source": SOURCE,
        "checked": datetime.now(timezone.utc).date().isoformat(),
        "wheels": {name: _final(pages[name]) for name in sorted(builds)},
        "versions": {name: list(pages[name]) for name in sorted(others)},
    }


def dumps(content: dict[str, Any]) -> str:
    """One project a line, one version a line where it has wheels."""
    lines = [f' "source": {json.dumps(content["source"])},', f' "checked": {json.dumps(content["checked"])},']
    lines.append(' "wheels": {')
    for name, versions in content["wheels"].items():
        rows = ",\n".join(f"   {json.dumps(v)}: {json.dumps(tags)}" for v, tags in versions.items())
        lines.append(f"  {json.dumps(name)}: {{\n{rows}\n  }}{'' if name == list(content['wheels'])[-1] else ','}")
    lines.append(' },\n "versions": {')
    lines.append(",\n".join(f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in content["versions"].items()))
    return "{\n" + "\n".join(lines) + "\n }\n}\n"


def main() -> int:
    """Compare, and write with --force."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="write the snapshot")
    options = parser.parse_args()
    index = Index(user_config())
    try:
        new = snapshot(load(ROOT / "matrices"), index)
    except EnvsolveError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    finally:
        index.close()
    old = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.is_file() else {"wheels": {}, "versions": {}}
    lost = [n for part in ("wheels", "versions") for n, v in new[part].items() if not v and old[part].get(n)]
    if lost:
        print(f"the index has lost {', '.join(lost)}: refused", file=sys.stderr)
        return Exit.BAD_DATABASE
    same = all(old[part] == new[part] for part in ("wheels", "versions"))
    for part in ("wheels", "versions"):
        for name in sorted(set(old[part]) | set(new[part])):
            before, after = set(old[part].get(name, ())), set(new[part].get(name, ()))
            if before != after:
                print(f"{name}: {len(after - before)} versions more, {len(before - after)} fewer")
    if same or not options.force:
        return Exit.DONE if same else Exit.OUT_OF_DATE
    SNAPSHOT.write_text(dumps(new))
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
