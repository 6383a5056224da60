"""Why a package is in a lock: who requires it, from the request down, and what its version had to fit."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from envsolve.errors import UsageError
from envsolve.lock.pages import canonical
from envsolve.lock.requirement import parse_requirement
from envsolve.models import Lock, LockedPackage

if TYPE_CHECKING:
    from envsolve.facts import Cap
    from envsolve.lock.index import Index
    from envsolve.lock.newer import Newer
    from envsolve.matrices import Facts

SCHEMA = "envsolve/why-package-1"
_OF_OTHERS = re.compile(r"required by |needed to build |and \d+ more$")
"""Parts of a package's reason that its chains say better."""
_MOST_ROWS = 8


@dataclass(frozen=True)
class Demand:
    """A locked package that requires this one. ``chain``: from what was asked for to it, itself last."""

    package: str
    version: str
    text: str
    chain: tuple[str, ...]


@dataclass(frozen=True)
class Limit:
    """A limit of the database on the version, with what it prevents."""

    text: str
    why: str
    source: str
    symptom: str | None


@dataclass(frozen=True)
class Why:
    """All that a lock says about why it has a package, and at this version."""

    package: LockedPackage
    asked: tuple[str, ...]
    required: tuple[Demand, ...]
    builds: tuple[Demand, ...]
    limits: tuple[Limit, ...]
    as_of: str
    as_of_reason: str
    reached: Mapping[str, str]
    newer: Newer | None = None


def why(lock: Lock, name: str, facts: Facts | None = None, index: Index | None = None) -> Why:
    """The reasons for a package of a lock; with ``facts`` also the database's limits on its version.

    With an ``index`` (which should be offline: then nothing is fetched) also why no newer release was taken. Raises
    UsageError (``unknown-package``), which says where the package is otherwise.
    """
    packages = {p.name: p for p in lock.packages}
    wanted = canonical(name)
    if wanted not in packages:
        raise _absent(lock, name, wanted)
    package = packages[wanted]
    chains = _chains(packages, _roots(lock))
    required, builds = [], []
    for other in lock.packages:
        chain = chains.get(other.name, (other.name,))
        required += [
            Demand(other.name, other.version, text, chain) for text in other.requires if _project(text) == wanted
        ]
        if wanted in other.builds_with:
            builds.append(Demand(other.name, other.version, wanted, chain))
    day = lock.upgrades.get(wanted)
    limits = tuple(_limits(lock, package, facts)) if facts is not None else ()
    return Why(
        package=package,
        asked=tuple(part for part in package.reason.split("; ") if not _OF_OTHERS.match(part)),
        required=tuple(required),
        builds=tuple(builds),
        limits=tuple(limit for _, limit in limits),
        as_of=(day or lock.as_of).isoformat(),
        as_of_reason="the day it was upgraded to" if day else lock.as_of_reason,
        reached={n: packages[n].version for text in package.requires if (n := _project(text)) in packages},
        newer=_newer(lock, package, facts, index, [cap for cap, _ in limits]),
    )


def _newer(
    lock: Lock, package: LockedPackage, facts: Facts | None, index: Index | None, limits: list[Cap]
) -> Newer | None:
    if facts is None or index is None:
        return None
    from envsolve.lock.newer import newer

    return newer(lock, package, facts, index, limits)


def _absent(lock: Lock, name: str, wanted: str) -> UsageError:
    """Not among what is installed: perhaps the image's own, perhaps left out, perhaps a typo."""
    facts = [note for note in lock.notes if wanted in note.split()]
    if wanted in lock.image.holds:
        facts.append(f"the image {lock.image.reference} has it, at a version of its vendor's")
    near = get_close_matches(wanted, sorted(p.name for p in lock.packages), n=3)
    return UsageError(
        f"the lock has no package {name}",
        facts=tuple(facts),
        hints=tuple(f"envsolve why DIR --package {other}" for other in near),
        code="unknown-package",
    )


def _project(text: str) -> str:
    requirement = parse_requirement(text)
    return canonical(requirement.name) if requirement is not None else ""


def _roots(lock: Lock) -> list[str]:
    """What was asked for: frameworks first, in the order of the stack, then the rest of the request, then tools."""
    wanted = [canonical(choice.package) for choice in lock.stack.frameworks]
    wanted += [canonical(target.name) for target in lock.request.targets]
    wanted += [p.name for p in lock.packages if p.phase == "build"]
    return list(dict.fromkeys(wanted))


def _chains(packages: Mapping[str, LockedPackage], roots: list[str]) -> dict[str, tuple[str, ...]]:
    """Name -> the shortest way to it from something that was asked for, run-time requirements before others."""
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in roots if name in packages}
    queue = deque(found)
    while queue:
        name = queue.popleft()
        needs = [*(_project(text) for text in packages[name].requires), *packages[name].builds_with]
        for other in needs:
            if other in packages and other not in found:
                found[other] = (*found[name], other)
                queue.append(other)
    return found


def _limits(lock: Lock, package: LockedPackage, facts: Facts) -> Iterator[tuple[Cap, Limit]]:
    from envsolve.lock.capping import companion_limits, holds, in_words
    from envsolve.lock.requirement import admits, parse_specifier

    versions = {p.name: Version(p.version) for p in lock.packages}
    for choice in lock.stack.frameworks:
        versions |= {canonical(n): Version(choice.version) for n in (choice.package, choice.name)}
    python = Version(lock.stack.python)

    def speaks(cap: Cap) -> bool:
        if cap.kind not in ("limit", "needs") or cap.package is None or canonical(cap.package) != package.name:
            return False
        pythons = parse_specifier(cap.pythons) if cap.pythons else None
        here = pythons is None or admits(pythons, python)
        return here and all(
            canonical(w.package) in versions and holds(w.versions, versions[canonical(w.package)]) for w in cap.when
        )

    known = set(facts.framework_names())
    companions = (
        cap
        for c in lock.stack.frameworks
        if c.name in known
        for cap in companion_limits(facts.framework(c.name), c.package, c.version)
    )
    for cap in (*facts.caps, *companions):
        if speaks(cap):
            yield cap, Limit(in_words(cap), cap.why, facts.evidence(cap).source, cap.symptom)


def why_package(lock: Lock, name: str, facts: Facts | None = None, index: Index | None = None) -> str:
    """The reasons as a person reads them. Raises UsageError (``unknown-package``)."""
    found = why(lock, name, facts, index)
    package = found.package
    origin = f", from {package.index}" if "://" in package.index else ""
    lines = [f"{package.name} {package.version}"]
    lines.append(f"  {package.filename}, uploaded {package.upload_time[:10]}{origin}")
    lines += _section("why it is here", (*found.asked, *(_told(d) for d in found.required)))
    lines += _section("needed to build", (_told(d, build=True) for d in found.builds))
    ranges = [f"{d.text}, by {d.package} {d.version}" for d in found.required if d.text != package.name]
    limits = [f"{x.text}: {x.why} ({x.source})" for x in found.limits]
    what = f"it is of what there was on {found.as_of} ({found.as_of_reason})"
    lines += _section("why this version", (what, *ranges, *limits))
    lines += _section("why no newer one", _newer_lines(found))
    if package.yanked is not None:
        lines += _section("withdrawn", (f"its file was yanked later: {package.yanked or 'no reason given'}",))
    lines += _section("it requires", (f"{text}, here {found.reached[_project(text)]}"
                                      for text in package.requires if _project(text) in found.reached))  # fmt: skip
    return "\n".join(lines) + "\n"


def _newer_lines(found: Why) -> tuple[str, ...]:
    if found.newer is None:
        return ()
    if found.newer.unknown:
        return (f"not known: {found.newer.unknown}",)
    rows = [row.line for row in found.newer.rows]
    if not rows:
        return ("there is none on the index",)
    more = (f"and {len(rows) - _MOST_ROWS} more reasons for later ones",) if len(rows) > _MOST_ROWS else ()
    return (*rows[:_MOST_ROWS], *more)


def _section(title: str, lines: Iterator[str] | tuple[str, ...]) -> list[str]:
    shown = [f"    {line}" for line in lines]
    return [f"  {title}", *shown] if shown else []


def _told(demand: Demand, *, build: bool = False) -> str:
    """'h5py 2.7.1 requires numpy>=1.7  (keras > h5py)'."""
    who = f"{demand.package} {demand.version}"
    way = f"   ({' > '.join(demand.chain)})" if len(demand.chain) > 1 else ""
    return f"{who}{way}" if build else f"{who} requires {demand.text}{way}"


def document(lock: Lock, name: str, facts: Facts | None = None, index: Index | None = None) -> dict[str, Any]:
    """The reasons for ``--json``. Raises UsageError (``unknown-package``)."""
    found = why(lock, name, facts, index)

    def told(demand: Demand) -> dict[str, Any]:
        row = {"package": demand.package, "version": demand.version, "requirement": demand.text}
        return {**row, "chain": list(demand.chain)}

    return {
        "schema": SCHEMA,
        "package": found.package.model_dump(mode="json"),
        "as_of": found.as_of,
        "as_of_reason": found.as_of_reason,
        "asked": list(found.asked),
        "required_by": [told(d) for d in found.required],
        "needed_to_build": [told(d) for d in found.builds],
        "limits": [{"text": x.text, "why": x.why, "source": x.source, "symptom": x.symptom} for x in found.limits],
        "newer": [asdict(row) for row in found.newer.rows] if found.newer and not found.newer.unknown else None,
        "newer_unknown": found.newer.unknown if found.newer else "the index was not asked",
    }
