"""Which repairs of ``repairs.json`` a lock needs: against what has rotted since its stack was new. Pure but for the
database, which is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from envsolve.facts import Repair, RepairWhen, SystemPython
from envsolve.matrices import Facts, load
from envsolve.models import Lock


@dataclass(frozen=True)
class Repairs:
    """What is to be rendered, set or said for one lock."""

    ids: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    apt_environment: Mapping[str, str] = field(default_factory=dict)
    build_environment: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    run_environment: Mapping[str, str] = field(default_factory=dict)
    caches: tuple[str, ...] = ()
    """Repairs that want a folder that stays."""
    waits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """apt packages that they need in the image."""
    steps: frozenset[str] = frozenset()
    get_pip: str | None = None


def fitting(lock: Lock, facts: Facts | None = None) -> Repairs:
    """The repairs whose condition the lock meets."""
    facts = facts or _facts()
    rows = [row for row in facts.repairs if holds(row.when, lock, facts)]
    compilers = {row.id: _compiler(row, lock, facts) for row in rows if row.compilers}
    rows = [row for row in rows if compilers.get(row.id, "") is not None or row.note]
    return Repairs(
        ids=tuple(row.id for row in rows),
        removes=tuple(name for row in rows for name in row.removes),
        apt_environment=_merged(row.apt_environment for row in rows),
        build_environment=_merged(row.build_environment for row in rows),
        environment=_merged(_with_compiler(row, compilers) for row in rows),
        run_environment=_merged(row.run_environment for row in rows),
        caches=tuple(row.id for row in rows if row.keeps),
        waits=tuple(row.wait for row in rows if row.wait),
        notes=tuple(_said(row) for row in rows if row.note and not compilers.get(row.id)),
        packages=tuple(name for name in compilers.values() if name),
        steps=frozenset(row.step for row in rows if row.step),
        get_pip=next((row.addresses.get(lock.stack.python) for row in rows if row.step == "get-pip"), None),
    )


def of_failed_pull(said: str, facts: Facts | None = None) -> Repair | None:
    """The repair for what an engine says when it cannot pull an image, if the database knows it."""
    rows = (facts or _facts()).repairs
    return next((row for row in rows if row.when.failed_pull and (row.symptom or "\0") in said), None)


@cache
def _facts() -> Facts:
    return load()


def holds(when: RepairWhen, lock: Lock, facts: Facts) -> bool:
    """Whether all that the condition names is so."""
    tests: tuple[tuple[object, Callable[[], bool]], ...] = (
        (when.failed_pull, lambda: False),
        (when.systems, lambda: any(fnmatchcase(lock.stack.os, pattern) for pattern in when.systems)),
        (when.images, lambda: any(fnmatchcase(lock.image.reference, pattern) for pattern in when.images)),
        (when.apt, lambda: uses_apt(lock)),
        (when.archived, lambda: bool(lock.image.archive) and uses_apt(lock)),
        (when.no_pip, lambda: _no_pip(lock)),
        (when.image_pip, lambda: _within(_system_pip(lock, facts), when.image_pip)),
        (when.index_gone, lambda: lock.image.default_index is not None),
        (when.locked_pip, lambda: any(p.name == "pip" for p in lock.packages)),
        (when.glibc, lambda: _within(lock.stack.glibc, when.glibc)),
        (when.packages, lambda: all(_has(lock, w.package, w.versions) for w in when.packages)),
        (when.verdicts, lambda: lock.stack.device == "gpu" and lock.stack.verdict in when.verdicts),
        (when.newer_gcc, lambda: _newer_gcc(lock, facts)),
    )
    return all(test() for given, test in tests if given)


def uses_apt(lock: Lock) -> bool:
    """Whether anything comes from apt, in any stage."""
    image = lock.image
    return bool(
        image.python_packages or image.python_image or image.apt_pins or lock.system_packages or lock.build_packages
    )


def _merged(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in tables:
        found |= table
    return dict(sorted(found.items()))


def _within(version: str | None, range_: str) -> bool:
    """Unknown is not within."""
    return version is not None and SpecifierSet(range_).contains(version, prereleases=True)


def _has(lock: Lock, name: str, versions: str) -> bool:
    return any(p.name == canonicalize_name(name) and _within(p.version, versions) for p in lock.packages)


def _system_python(lock: Lock, facts: Facts) -> SystemPython | None:
    system = facts.systems.get(lock.stack.os)
    if system is None or not lock.image.python_packages:
        return None
    return next((python for python in system.pythons if python.version == lock.stack.python), None)


def _system_pip(lock: Lock, facts: Facts) -> str | None:
    python = _system_python(lock, facts)
    return python.pip if python else None


def _no_pip(lock: Lock) -> bool:
    packages = lock.image.python_packages
    return bool(packages) and not any(name.partition("=")[0].endswith("-pip") for name in packages)


def _newer_gcc(lock: Lock, facts: Facts) -> bool:
    gcc, most = _compilers(lock, facts)
    return gcc is not None and most is not None and gcc > most


def _compilers(lock: Lock, facts: Facts) -> tuple[int | None, int | None]:
    """Major versions: of the OS release's gcc, and the newest that the stack's nvcc takes."""
    system, toolkit = facts.systems.get(lock.stack.os), facts.toolkits.get(lock.stack.cuda or "")
    gcc = Version(system.gcc).major if system and system.gcc else None
    return gcc, Version(toolkit.gcc_max).major if toolkit and toolkit.gcc_max else None


def _compiler(row: Repair, lock: Lock, facts: Facts) -> str | None:
    """The newest g++ that the OS release has and nvcc takes, as an apt package; None: it has none."""
    most = _compilers(lock, facts)[1] or 0
    fit = [int(major) for major in row.compilers.get(lock.stack.os, ()) if int(major) <= most]
    return f"g++-{max(fit)}" if fit else None


def _with_compiler(row: Repair, compilers: Mapping[str, str | None]) -> dict[str, str]:
    if row.id not in compilers:
        return row.environment
    name = compilers[row.id]
    return {key: value.replace("{gcc}", name) for key, value in row.environment.items()} if name else {}


def _said(row: Repair) -> str:
    return f"{row.note} ({row.fix})" if row.fix else str(row.note)
