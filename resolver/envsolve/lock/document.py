"""The lock as files: ``envsolve.lock`` (JSON) and requirements.txt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from envsolve.errors import UsageError
from envsolve.lock.pages import plain_name
from envsolve.models import Lock, LockedPackage

SCHEMA = "envsolve/lock-1"
_ORDER = {"build": 0, "wheel": 1, "sdist": 2}


def dump(lock: Lock) -> str:
    """The lock as JSON with sorted keys: the same lock gives the same bytes."""
    value: dict[str, Any] = {"schema": SCHEMA, **lock.model_dump(mode="json")}
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load(text: str) -> Lock:
    """The inverse of ``dump``. Raises UsageError ("bad-lock") on anything else."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _bad(f"the lock is not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        found = value.get("schema") if isinstance(value, dict) else None
        raise _bad(f"the lock is of another kind: its schema is {found!r}, not {SCHEMA!r}")
    try:
        lock = Lock.model_validate({key: item for key, item in value.items() if key != "schema"})
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(f"the lock is damaged at {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    try:
        dump(lock).encode()
    except UnicodeEncodeError as error:
        raise _bad("the lock is damaged: it holds half a character") from error
    for package in lock.packages:
        if len(package.sha256) != 64 or not set(package.sha256) <= set("0123456789abcdef"):
            raise _bad(f"the lock is damaged: the SHA-256 of {package.filename} is none")
        if not plain_name(package.filename):
            raise _bad(f"the lock is damaged: {package.filename!r} is not the name of a file")
    return lock


def _bad(message: str) -> UsageError:
    return UsageError(message, hints=("envsolve TARGET...   # makes it anew",), code="bad-lock")


def install_order(lock: Lock) -> tuple[tuple[str, tuple[LockedPackage, ...]], ...]:
    """What to install in turn: ("build", ...), ("wheel", ...), then one ("sdist-LEVEL", ...) for each level.

    Each goes to its own ``pip install --no-deps --require-hashes``; from the second on, without build isolation,
    so that sdists find the build tools and the packages of the phases before.
    """

    def key(package: LockedPackage) -> tuple[int, int, str]:
        return _ORDER[package.phase], package.level, package.name

    def phase(package: LockedPackage) -> str:
        return f"sdist-{package.level}" if package.phase == "sdist" else package.phase

    return tuple((name, tuple(group)) for name, group in groupby(sorted(lock.packages, key=key), phase))


def by_index(packages: Iterable[LockedPackage]) -> tuple[tuple[str | None, tuple[LockedPackage, ...]], ...]:
    """Packages in their order, apart by the address of the index in whose scope they are; None: the ordinary one.

    One pip knows no scopes: each of these needs a run of its own.
    """
    found: dict[str | None, list[LockedPackage]] = {None: []}
    for package in packages:
        found.setdefault(package.index if "://" in package.index else None, []).append(package)
    ordered = sorted(found.items(), key=lambda item: item[0] or "")
    return tuple((url, tuple(group)) for url, group in ordered if group)


def requirement_lines(packages: Iterable[LockedPackage], index: str | None = None) -> str:
    """Pinned and hashed, as every pip since hash checking came reads it.

    ``index``: the only one that pip then asks. In a file of requirements it takes the place of all that the
    configuration names, extra ones too.
    """
    first = f"--index-url {index}\n" if index else ""
    return first + "".join(f"{p.name}=={p.version} \\\n    --hash=sha256:{p.sha256}\n" for p in packages)


def requirements(lock: Lock) -> str:
    """requirements.txt: every package, in the order of the phases, each phase under a comment.

    One file cannot say which package is of which index. Where more than one is needed, pip may look at all of them,
    and the hashes see to it that it installs nothing else.
    """
    urls = sorted({url for url, _ in by_index(lock.packages) if url})
    more = "".join(f"--extra-index-url {url}\n" for url in urls)
    note = "# phases/ asks each index for its own packages only\n" if urls else ""
    return note + more + "".join(f"# {name}\n{requirement_lines(some)}" for name, some in install_order(lock))
