"""Why there is no closure, in words: one fact a line, and the ways out as commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from packaging.requirements import Requirement
from packaging.version import Version

from envsolve.commands import command_line
from envsolve.errors import NoCombinationError, UsageError
from envsolve.facts import Cap
from envsolve.lock.candidates import Fate, Known, Releases, World
from envsolve.lock.capping import in_words
from envsolve.lock.pages import canonical
from envsolve.lock.provider import base
from envsolve.lock.reasons import Asked, Capped, Needs, Reason, Unreadable
from envsolve.lock.requirement import admits
from envsolve.lock.target import Target
from envsolve.models import Request

_MOST_LINES = 12
_NEWEST_GLIBC = "2.99"
Released = Callable[[str], Mapping[Version, date]]
"""A project -> releases of it that were seen on the index, with their days."""


@dataclass(frozen=True)
class Diagnosis:
    """What the index has for a requirement. ``day``: when waiting would help, the first day that does."""

    text: str
    usable: bool
    day: date | None = None


def diagnose(world: World, requirement: Requirement, known: Released | None = None) -> Diagnosis:
    """Tells apart: there; not there yet; deleted or never there; not for this Python or glibc; withdrawn.

    ``known``: what the index was once seen to have of a project; None: nothing is known of that.
    """
    name = canonical(requirement.name)
    releases = world.releases(name)
    wanted = f"{name}{requirement.specifier}"
    if not releases.known:
        return Diagnosis(
            f"{world.index.called(name)} has no project {name}: it was deleted, or it never had that name", usable=False
        )
    usable = [v for v in releases.order if admits(requirement.specifier, v)]
    if usable:
        return _usable(releases, wanted, usable, world)
    matching = [v for v in releases.versions if admits(requirement.specifier, v)]
    if not matching:
        where = world.index.called(name)
        once = {v: day for v, day in (known(name) if known else {}).items() if admits(requirement.specifier, v)}
        if once:
            newest = max(once)
            text = f"{newest} ({once[newest]}) was deleted from {where}: the database has seen it there"
            return Diagnosis(f"{text}; {_span(releases)}", usable=False)
        return Diagnosis(f"no release that is {wanted} is on {where} (any more): {_span(releases)}", usable=False)
    files = [(v, known) for v in matching for known in releases.versions[v]]
    later = sorted((k.file.day, v, k.file.filename) for v, k in files if k.fate is Fate.LATER)
    if later:
        day, _, filename = later[0]
        text = (
            f"{wanted} was not released yet on {world.as_of.isoformat()}: its first file here, {filename}, is of {day}"
        )
        return Diagnosis(text, usable=False, day=date.fromisoformat(day))
    return Diagnosis(_no_file(wanted, [known for _, known in files], world.target), usable=False)


def _usable(releases: Releases, wanted: str, usable: Sequence[Version], world: World) -> Diagnosis:
    kept = [v for v in usable if releases.candidates[v].yanked is None]
    some = sorted(kept or usable)
    span = str(some[0]) if len(some) == 1 else f"{some[0]} to {some[-1]}"
    text = f"{wanted} is met on {world.as_of.isoformat()} by {span}"
    return Diagnosis(text if kept else f"{text}, all withdrawn (yanked) since", usable=True)


def _span(releases: Releases) -> str:
    """Oldest and newest release of a project, with their days."""
    if not releases.versions:
        return "the project has no files"
    ordered = sorted(releases.versions)
    ends = [ordered[0]] if len(ordered) == 1 else [ordered[0], ordered[-1]]
    days = [min(k.file.day for k in releases.versions[v]) for v in ends]
    return "it has " + " to ".join(f"{version} ({day})" for version, day in zip(ends, days, strict=True))


def _no_file(wanted: str, files: Sequence[Known], target: Target) -> str:
    """Files exist, none for this Python or this glibc."""
    here = f"Python {target.version} ({target.abi}) with glibc {target.glibc}"
    newer = Target(full=target.full, abi=target.abi, glibc=_NEWEST_GLIBC, machine=target.machine)
    fits_newer = sorted(
        known.file.filename
        for known in files
        if known.fate is Fate.NO_TAG and newer.rank("-".join(known.file.filename[:-4].split("-")[-3:])) is not None
    )
    if fits_newer:
        return f"{wanted} has no file for {here}; a newer glibc would do for {fits_newer[0]}"
    required = sorted({k.file.requires_python for k in files if k.fate is Fate.OTHER_PYTHON and k.file.requires_python})
    if required and all(k.fate is Fate.OTHER_PYTHON for k in files if not k.file.is_wheel):
        return f"{wanted} has no file for {here}: it requires Python {' or '.join(required)}"
    tags = sorted({"-".join(k.file.filename[:-4].split("-")[-3:-1]) for k in files if k.file.is_wheel})
    return f"{wanted} has no file for {here}; its files are for {', '.join(tags[:8])}{', ...' if len(tags) > 8 else ''}"


class Teller:
    """Turns the reasons of a refutation into an error. ``source`` names that of a cap; ``known``: see ``diagnose``."""

    def __init__(
        self, world: World, request: Request, source: Callable[[Cap], str], known: Released | None = None
    ) -> None:
        self._world = world
        self._request = request
        self._source = source
        self._known = known
        self._days: list[date] = []

    def error(self, reasons: Iterable[Reason]) -> NoCombinationError:
        """The whole error."""
        listed = list(reasons)
        asked = [r for r in listed if isinstance(r, Asked)]
        lines = [*map(self._asked, asked), *self._needs([r for r in listed if isinstance(r, Needs)])]
        lines += [
            f"{in_words(r.cap)}: {r.cap.why} (cap {r.cap.id}; {self._source(r.cap)})"
            for r in listed
            if isinstance(r, Capped)
        ]
        lines += [f"{r.package} {r.version}: {r.why}" for r in listed if isinstance(r, Unreadable)]
        facts = list(dict.fromkeys(lines))
        if len(facts) > _MOST_LINES:
            facts = [*facts[:_MOST_LINES], f"and {len(facts) - _MOST_LINES} more"]
        targets = " ".join(target.text for target in self._request.targets)
        where = f"Python {self._world.target.version} as of {self._world.as_of.isoformat()}"
        return NoCombinationError(
            f"the packages of '{targets}' cannot be put together for {where}",
            facts=tuple(facts),
            hints=self._hints(),
            code="no-closure",
        )

    def _asked(self, reason: Asked) -> str:
        wanted = reason.text if reason.role in ("tool", "image") else f"you asked for {reason.text}"
        return f"{wanted}: {self._diagnosed(reason.requirement).text}"

    def _diagnosed(self, requirement: Requirement) -> Diagnosis:
        found = diagnose(self._world, requirement, self._known)
        if found.day is not None:
            self._days.append(found.day)
        return found

    def _needs(self, reasons: Sequence[Needs]) -> list[str]:
        """One line for all versions of a package that require the same thing, the dead ends with their cause."""
        groups: dict[tuple[str, str, bool], list[Needs]] = {}
        for reason in reasons:
            groups.setdefault((reason.package, str(reason.requirement), reason.build), []).append(reason)
        dead: list[str] = []
        alive: list[str] = []
        for (package, _, build), group in groups.items():
            requirement = group[0].requirement
            one = len({reason.version for reason in group}) == 1
            verb = ("needs" if build else "requires") if one else ("need" if build else "require")
            wanted = f"{canonical(requirement.name)}{requirement.specifier}{' to be built' if build else ''}"
            line = f"{_versions(package, [reason.version for reason in group])} {verb} {wanted}"
            found = self._diagnosed(requirement)
            (alive if found.usable else dead).append(line if found.usable else f"{line}: {found.text}")
        return dead + alive

    def _hints(self) -> tuple[str, ...]:
        hints: list[str] = []
        if self._days:
            later = max(self._days)
            hints.append(command_line(self._request.model_copy(update={"as_of": later})))
        companions = [target for target in self._request.targets if not target.framework]
        for companion in companions:
            kept = tuple(target for target in self._request.targets if target is not companion)
            if kept and len(companions) <= 2:
                hints.append(command_line(self._request.model_copy(update={"targets": kept})))
        return tuple(hints)


def _versions(package: str, versions: Sequence[Version]) -> str:
    ordered = sorted(set(versions))
    name = base(package)
    if len(ordered) == 1:
        return f"{name} {ordered[0]}"
    return f"{name} {ordered[0]} to {ordered[-1]} ({len(ordered)} releases)"


def check_projects(world: World, asked: Iterable[Asked]) -> None:
    """Raises UsageError when the index has no project of a name that the user typed."""
    unknown = [a for a in asked if a.role != "tool" and not world.releases(canonical(a.requirement.name)).known]
    if unknown:
        names = sorted(canonical(a.requirement.name) for a in unknown)
        index = world.index
        extra = [f"--index {url}={','.join(names)}" for url in index.unscoped]
        raise UsageError(
            f"{index.called(names[0])} has no project {', '.join(names)}, asked for as "
            f"{', '.join(repr(a.text) for a in unknown)}",
            facts=("a project that was deleted from the index looks the same as one that never existed", *index.notes),
            hints=(*extra, f"pip index versions {names[0]}"),
            code="unknown-package",
        )
