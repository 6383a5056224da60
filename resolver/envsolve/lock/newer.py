"""Why newer releases of a locked package were not taken, by what is known here already: nothing is fetched.

The cached page of the index says what there is, the lock what the others require, the database what is limited and
what was there once, and cached metadata what a newer release would have required in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.errors import NotReadyError
from envsolve.lock.candidates import Candidate, Fate, Known, World
from envsolve.lock.capping import in_words
from envsolve.lock.metadata import Metadata, MetadataError, read_metadata
from envsolve.lock.pages import canonical
from envsolve.lock.requirement import admits, parse_requirement, parse_specifier, parse_version
from envsolve.lock.target import Target

if TYPE_CHECKING:
    from envsolve.facts import Cap
    from envsolve.lock.index import Index
    from envsolve.matrices import Facts
    from envsolve.models import Lock, LockedPackage

_NEWEST_GLIBC = "2.99"
_NOT_CACHED = "not known: its requirements are not in the cache"


@dataclass(frozen=True)
class KeptOut:
    """Releases in a row that were not taken, for one and the same reason.

    ``kind``: "deleted", "later", "python", "glibc", "file", "yanked", "requirement", "limit", "pre-release", "requires"
    (what it requires in turn), "source" (no wheel), "tool" (none of the day), "solver", "unknown".
    """

    versions: tuple[str, ...]
    kind: str
    text: str

    @property
    def line(self) -> str:
        """'1.14.0 to 1.16.1 (9 releases): why'."""
        first, last = self.versions[0], self.versions[-1]
        count = len(self.versions)
        named = {1: first, 2: f"{first} and {last}"}.get(count, f"{first} to {last} ({count} releases)")
        return f"{named}: {self.text}"


@dataclass(frozen=True)
class Newer:
    """What there is that is newer, or why that is not known."""

    rows: tuple[KeptOut, ...] = ()
    unknown: str | None = None


def newer(lock: Lock, package: LockedPackage, facts: Facts, index: Index, limits: Iterable[Cap]) -> Newer:
    """Why no newer release of a package is in the lock; ``limits``: the caps that speak of the package here.

    Of an index that is offline nothing is fetched.
    """
    target = _target(lock, facts)
    if target is None:
        return Newer(unknown=f"the database has no Python {lock.stack.python}")
    day = lock.upgrades.get(package.name, lock.as_of)
    world = World(index, target, day)
    try:
        releases = world.releases(package.name)
    except NotReadyError as error:
        if error.code != "offline":
            return Newer(unknown=error.message)
        return Newer(unknown=f"the page of {package.name} is not in the cache; `envsolve lock DIR --check` reads it")
    late = package.upload_time[:10] > day.isoformat()  # a build tool: of the day where there was one, else the next
    judge = _Judge(lock, package, World(index, target, date.max) if late else world, tuple(limits), day, late)
    chosen = Version(package.version)
    known = releases_known(facts, package.name) if package.index == "default" else {}
    gone = {v: d for v, d in known.items() if v > chosen and v not in releases.versions}
    found = [(version, *judge.why(version)) for version in sorted(releases.versions) if version > chosen]
    found += [
        (v, "deleted", f"deleted from the index; the database has it as uploaded on {d}") for v, d in gone.items()
    ]
    rows = []
    for (kind, text), group in groupby(sorted(found), key=lambda row: (row[1], row[2])):
        versions = tuple(str(row[0]) for row in group)
        rows.append(KeptOut(versions, kind, judge.told(kind, text, versions)))
    return Newer(tuple(rows))


def releases_known(facts: Facts, package: str) -> dict[Version, date]:
    """The releases of a package that the database saw on the index, with their days; empty where it keeps none."""
    name = facts.aliases.get(package, package)
    if name not in set(facts.framework_names()):
        return {}
    builds = (b for b in facts.framework(name).builds if b.origin == "index" and canonical(b.package) == package)
    found = ((parse_version(b.version), b.released) for b in builds)
    return {version: day for version, day in found if version is not None and day is not None}


def _target(lock: Lock, facts: Facts) -> Target | None:
    release = facts.pythons.get(lock.stack.python)
    if release is None:
        return None
    return Target(full=lock.python_full, abi=release.abi, glibc=lock.stack.glibc, machine=lock.host.machine)


@dataclass(frozen=True)
class _Judge:
    """Finds the reason for one version, the plainest first."""

    lock: Lock
    package: LockedPackage
    world: World
    limits: tuple[Cap, ...]
    day: date
    late: bool = False

    def why(self, version: Version) -> tuple[str, str]:
        """Kind and text, the same for releases that fare the same."""
        releases = self.world.releases(self.package.name)
        files = releases.versions[version]
        if not self.late and min(known.file.day for known in files) > self.day.isoformat():
            return "later", ""
        candidate = releases.candidates.get(version)
        if candidate is None:
            return _no_file(files, self.world.target)
        return next(self._reasons(version, candidate), ("unknown", "nothing that is known here keeps it out"))

    def told(self, kind: str, text: str, versions: Sequence[str]) -> str:
        """The text for all of them."""
        if kind != "later":
            return text
        files = self.world.releases(self.package.name).versions[Version(versions[0])]
        first = min(known.file.day for known in files)
        which = "" if len(versions) == 1 else f", the first of them {versions[0]}"
        return f"not released yet on {self.day.isoformat()}{which} ({first})"

    def _reasons(self, version: Version, candidate: Candidate) -> Iterator[tuple[str, str]]:
        if candidate.yanked is not None:
            yield "yanked", "withdrawn (yanked) since" + (f": {candidate.yanked}" if candidate.yanked else "")
        yield from self._required(version)
        for cap in self.limits:
            allowed = parse_specifier(cap.versions)
            if allowed is not None and not admits(allowed, version):
                yield "limit", f"{in_words(cap)}: {cap.why}"
        if version.is_prerelease and not Version(self.package.version).is_prerelease:
            yield "pre-release", "a pre-release, and a final release fits"
        if not self.late:
            yield from self._requires(candidate)
        if self.late:
            yield "tool", f"there was none on {self.day.isoformat()}, and the first since is taken"
        if not candidate.file.is_wheel and self.package.filename.endswith(".whl"):
            yield "source", "no wheel of it for this Python, only source, and an older release has one"

    def _required(self, version: Version) -> Iterator[tuple[str, str]]:
        """Requirements of the request and of other packages."""
        name = self.package.name
        for target in self.lock.request.targets:
            if target.name == name and not _admits(target.specifier, version):
                yield "requirement", f"you asked for {target.text}"
        for choice in self.lock.stack.frameworks:
            if canonical(choice.package) == name:
                yield (
                    "solver",
                    f"chosen together with Python, CUDA and the rest: envsolve why DIR {choice.name}",
                )
        for other in self.lock.packages:
            for text in other.requires:
                requirement = parse_requirement(text)
                if requirement is None or canonical(requirement.name) != name or admits(requirement.specifier, version):
                    continue
                yield "requirement", f"{other.name} {other.version} requires {text}"

    def _requires(self, candidate: Candidate) -> Iterator[tuple[str, str]]:
        """What it would require of the others, as far as that is cached."""
        metadata = self._metadata(candidate)
        if metadata is None:
            yield "unknown", _NOT_CACHED
            return
        have = {p.name: Version(p.version) for p in self.lock.packages}
        for choice in self.lock.stack.frameworks:
            have |= {canonical(n): Version(choice.version) for n in (choice.package, choice.name)}
        environment = {**self.world.target.environment, "extra": ""}
        for text in metadata.requires or ():
            requirement = parse_requirement(text)
            if requirement is None or (requirement.marker is not None and not requirement.marker.evaluate(environment)):
                continue
            wanted = canonical(requirement.name)
            if wanted in have and not admits(requirement.specifier, have[wanted]):
                yield "requires", f"it requires {wanted}{requirement.specifier}, and {wanted} is {have[wanted]} here"

    def _metadata(self, candidate: Candidate) -> Metadata | None:
        try:
            return read_metadata(self.world.index, candidate.file)
        except (NotReadyError, MetadataError):
            return None


def _admits(specifier: str, version: Version) -> bool:
    found: SpecifierSet | None = parse_specifier(specifier) if specifier else None
    return found is None or admits(found, version)


def _no_file(files: Sequence[Known], target: Target) -> tuple[str, str]:
    """Why none of a version's files can be used, in words that hold for its neighbours too."""
    wheels = [k.file.filename for k in files if k.fate is Fate.NO_TAG and k.file.is_wheel]
    newer_glibc = Target(full=target.full, abi=target.abi, glibc=_NEWEST_GLIBC, machine=target.machine)
    if any(newer_glibc.rank("-".join(name[:-4].split("-")[-3:])) is not None for name in wheels):
        return "glibc", f"its files for Python {target.version} need a newer glibc than {target.glibc}"
    required = sorted({k.file.requires_python for k in files if k.fate is Fate.OTHER_PYTHON and k.file.requires_python})
    if required:
        return "python", f"requires Python {' or '.join(required)}; here it is {target.full}"
    if any(k.fate is Fate.LATER for k in files):
        return "file", f"no file for Python {target.version} ({target.abi}) on that day"
    return "file", f"no file for Python {target.version} ({target.abi}) with glibc {target.glibc}"
