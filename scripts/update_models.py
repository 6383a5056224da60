"""Write the releases of matrices/models.json from the released wheels: ``update_models.py [--force] [VERSION ...]``.

One wheel per minor release of TensorFlow is read by HTTP ranges: the graph version of ``version.h``, the names of the
operations that its generated Python wrappers know, and the version that its own Keras states. The markers of the file
are written by hand and kept. Without --force the change is only counted. The index is that of the user's pip
configuration. Exit: 0 nothing to do or written; 3 the file is out of date; 4 the index does not answer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harvest.plan import choose, linux_wheels
from harvest.transport import Remote
from harvest.zipdir import Member, read_directory, read_member
from packaging.version import Version
from update_frameworks import dumps

from envsolve.errors import EnvsolveError, Exit
from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config

PATH = Path(__file__).resolve().parents[1] / "matrices" / "models.json"
PACKAGE = "tensorflow"
KEY = "wheels"
PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.11")
_GENERATED = re.compile(r"(^|/)gen_\w+\.py$")
_HEADER = re.compile(r"include/tensorflow/core/public/version\.h$")
_KERAS = re.compile(r"(^|/)tensorflow(_core)?/(python|contrib/keras/python)/(keras|keras/_impl/keras)/__init__\.py$")
_CONTRIB = "/contrib/"
_METADATA = re.compile(r"^[^/]+\.dist-info/METADATA$")
_OWN_KERAS = re.compile(r"^Requires-Dist: (tf-)?keras(?![\w-])", re.MULTILINE)
_DEFINE = re.compile(r"#define\s+TF_GRAPH_DEF_VERSION(_MIN_PRODUCER|_MIN_CONSUMER|)\s+(\d+)")
_APPLIED = re.compile(r"apply_op(?:_helper)?\(\s*['\"](\w+)['\"]")
_VERSION = re.compile(r"__version__\s*=\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class Seen:
    """What one wheel says."""

    version: str
    filename: str
    numbers: dict[str, int]
    ops: frozenset[str]
    contrib: frozenset[str]
    keras: str | None


def first_of_minors(files: Sequence[File]) -> dict[str, File]:
    """Minor -> a Linux wheel of its first release that the index has."""
    wheels = linux_wheels(files)
    found: dict[str, File] = {}
    for version in sorted(wheels, key=Version):
        parsed = Version(version)
        if not parsed.is_prerelease:
            found.setdefault(
                f"{parsed.major}.{parsed.minor}", choose(wheels[version], ("3.6", "3.7", "3.8", "3.9", "3.11"))
            )
    return found


def read_wheel(index: Index, version: str, file: File) -> Seen:
    """The facts of one wheel."""
    source = Remote(index, file)
    members = read_directory(source)
    ops: dict[bool, set[str]] = {False: set(), True: set()}
    for member in (m for m in members if _GENERATED.search(m.name)):
        ops[_CONTRIB in member.name] |= set(_APPLIED.findall(_texts(source, [member])[0]))
    headers = _texts(source, [m for m in members if _HEADER.search(m.name)][:1])
    numbers = {name.lower().lstrip("_") or "producer": int(value) for name, value in _DEFINE.findall("".join(headers))}
    keras = [v for t in _texts(source, [m for m in members if _KERAS.search(m.name)]) for v in _VERSION.findall(t)]
    if _OWN_KERAS.search("".join(_texts(source, [m for m in members if _METADATA.search(m.name)]))):
        keras = []
    both = frozenset(ops[False] | ops[True])
    return Seen(version, file.filename, numbers, both, frozenset(ops[True]), keras[0] if keras else None)


def _texts(source: Remote, members: Sequence[Member]) -> list[str]:
    return [read_member(source, member).decode("utf-8", "replace") for member in members]


def rows(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """A row per wheel, oldest first: what it added to the one before.

    An operation without a Python wrapper may still be registered, so only those are counted as gone that were
    contrib's in the last release that had a contrib.
    """
    found: list[dict[str, Any]] = []
    before: frozenset[str] = frozenset()
    contrib: frozenset[str] = frozenset()
    for wheel in seen:
        row: dict[str, Any] = {"framework": PACKAGE, "release": wheel.version}
        row |= {name: wheel.numbers.get(name) for name in ("producer", "min_producer", "min_consumer")}
        gone = contrib - wheel.ops if contrib and not wheel.contrib else frozenset()
        row |= {"keras": wheel.keras, "ops_added": sorted(wheel.ops - before), "ops_gone": sorted(gone)}
        found.append(row | {"evidence": {"*": KEY}, "notes": wheel.filename})
        before, contrib = before | wheel.ops, wheel.contrib
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, compare, write with --force."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--force", action="store_true", help="write the file")
    options = parser.parse_args(arguments)
    index = Index(user_config())
    try:
        wanted = first_of_minors(index.project(PACKAGE).files)
        with ThreadPoolExecutor(4) as pool:
            seen = list(pool.map(lambda item: read_wheel(index, *item), wanted.items()))
    except EnvsolveError as error:
        print(f"error: {error.code}: {error.message}", file=sys.stderr)
        return int(error.exit_code)
    finally:
        index.close()
    old = PATH.read_text()
    content = json.loads(old)
    today = datetime.now(timezone.utc).date().isoformat()
    evidence = content["evidence"] | {
        KEY: {
            "source": f"the wheels of {PACKAGE} on the package index, the first release of each minor: version.h, "
            "gen_*_ops.py and keras/__init__.py inside",
            "checked": today,
            "how": "measured",
        }
    }
    kept = [row for row in content["releases"] if row["evidence"] != {"*": KEY}]
    new = kept + rows(seen)
    changed = new != content["releases"]
    operations = sum(len(row.get("ops_added", ())) for row in new)
    print(f"{len(new)} releases, {operations} operations, {'changed' if changed else 'same'}")
    if options.force and changed:
        PATH.write_text(dumps(content | {"evidence": evidence, "releases": new}))
    return int(Exit.OUT_OF_DATE) if changed and not options.force else int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
