"""The database beside what others publish: each difference is listed in the table's file, or the test fails.

The tables are copies of facts with their source and day; nothing is fetched here. A difference that is listed and is
none any more fails as well, so that the lists stay true. What the database does not claim to know (a Python without a
row, the variants of a release of which it has the default only, pairs that it does not limit) is no difference.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tables import compare, differ, listed, table, within

from envsolve import facts as schema
from envsolve.matrices import Facts, load

ROOT = Path(__file__).resolve().parents[2]
Place = tuple[str, ...]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return load()


def builds(facts: Facts, framework: str) -> dict[str, schema.Build]:
    return {f"{b.package}=={b.version}": b for b in facts.framework(framework).builds}


def spans(text: str) -> list[str]:
    """'2.7, 3.3-3.6' -> 2.7, 3.3, 3.4, 3.5, 3.6."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        major, minor = first.split(".")
        top = int((last or first).split(".")[1])
        found += [f"{major}.{n}" for n in range(int(minor), top + 1)]
    return found


def test_tensorflow_s_table_of_tested_builds(facts: Facts) -> None:
    content = table("tensorflow.json")
    ours = builds(facts, "tensorflow")
    found: dict[Place, tuple[object, object]] = {}
    for row in content["rows"]:
        at = row["package"], row["version"], row["device"]
        build = ours.get(f"{row['package']}=={row['version']}")
        if build is None:
            found[(*at, "build")] = "there", "absent"
            continue
        if row["device"] not in build.devices:
            found[(*at, "device")] = row["device"], ",".join(build.devices)
        if sides := differ(build.pythons, facts.pythons.keys() & spans(row["pythons"]), Version):
            found[(*at, "pythons")] = sides
        for field in ("cuda", "cudnn"):
            value = getattr(build, field)
            if field in row and value is not None and not within(row[field], value):
                found[(*at, field)] = row[field], value
    assert compare(found, listed(content, ("package", "version", "device"))) == []


def test_pytorch_s_page_of_previous_versions(facts: Facts) -> None:
    content = table("pytorch.json")
    ours = facts.framework("torch")
    found: dict[Place, tuple[object, object]] = {}
    for row in content["rows"]:
        version = row["version"]
        released = [b for b in ours.builds if b.package == "torch" and b.origin != "nvidia"]
        own = [b for b in released if Version(b.version).base_version == version]
        if not own:
            found[version, "build"] = "there", "absent"
            continue
        default = next((b.cuda for b in own if b.version == version), None)
        cuda = {b.cuda for b in own if b.cuda}
        theirs = row["cuda"] if cuda != {default} else cuda & set(row["cuda"])
        if sides := differ(cuda, theirs, Version):
            found[version, "cuda"] = sides
        if row["default"] and default != row["default"]:
            found[version, "default"] = row["default"], default
        for other in ("torchvision", "torchaudio"):
            limits = [p.other_versions for p in ours.pairings if p.other == other and covers(p.versions, version)]
            for wanted in row[other]:
                if not all(covers(limit, wanted) for limit in limits):
                    found[version, other] = wanted, ",".join(limits)
    assert compare(found, listed(content, ("version",))) == []


def covers(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def test_the_wheel_tags_of_the_index(facts: Facts) -> None:
    content = table("index.json")
    snapshot = json.loads((ROOT / "scripts" / "inputs" / "index_versions.json").read_text())
    content["rows"] = [
        {"package": package, "version": version} for package, found in snapshot["wheels"].items() for version in found
    ]
    found: dict[Place, tuple[object, object]] = {}
    for name in facts.framework_names():
        for build in facts.framework(name).builds:
            tags = snapshot["wheels"].get(build.package, {}).get(build.version)
            if build.origin != "index" or tags is None:
                continue
            exact = {python for tag in tags for python in usual_pythons(tag, list(facts.pythons))}
            general = any(tag.startswith("py") for tag in tags)  # serves what Requires-Python says, not its name
            if build.source_only != (not tags):
                found[build.package, build.version, "wheels"] = bool(tags), not build.source_only
            elif tags and not general and (sides := differ(build.pythons, exact, Version)):
                found[build.package, build.version, "pythons"] = sides
    assert compare(found, listed(content, ("package", "version"))) == []


def usual_pythons(tag: str, known: list[str]) -> list[str]:
    """Those of the Pythons known whose usual Linux build takes the wheel: 'cp36-cp36m-manylinux1_x86_64' -> 3.6."""
    interpreter, abi, _ = tag.split("-")
    own = f"{interpreter[2]}.{interpreter[3:]}"
    if abi == "abi3":
        return [python for python in known if python[0] == "3" and Version(python) >= Version(own)]
    usual = "cp27mu" if interpreter == "cp27" else interpreter
    return [own] if own in known and abi in (usual, f"{interpreter}m") and abi != "cp27m" else []


@pytest.mark.parametrize("name", ["tensorflow.json", "pytorch.json"])
def test_a_disagreement_that_nobody_listed_fails_and_so_does_one_that_is_none(name: str) -> None:
    content = table(name)
    keys = ("package", "version", "device") if name == "tensorflow.json" else ("version",)
    known = listed(content, keys)
    place = next(iter(known))
    less = {p: sides for p, sides in known.items() if p != place}
    assert len(compare(known, less)) == 1
    assert len(compare(less, known)) == 1
    assert len(compare({**known, place: ("8", "9")}, known)) == 1
    assert compare(known, dict(known)) == []
