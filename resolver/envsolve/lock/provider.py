"""The world of packages, told to the resolver as rules: requirements, extras, caps, backports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.facts import Cap
from envsolve.lock.candidates import Candidate, World
from envsolve.lock.capping import CapBook, holds
from envsolve.lock.metadata import Metadata, MetadataError, read_metadata
from envsolve.lock.pages import File, canonical
from envsolve.lock.pubgrub import Rule, Term
from envsolve.lock.reasons import Asked, Capped, Extra, Needs, Reason, Unreadable
from envsolve.lock.requirement import admits, parse_requirement

_NOTHING = Metadata((), (), "provided", compiled=False)


@dataclass(frozen=True)
class Demand:
    """A requirement that counts on the target. ``build``: only to build the sdist that states it."""

    requirement: Requirement
    build: bool = False

    @property
    def name(self) -> str:
        """The canonical project name it is about."""
        return canonical(self.requirement.name)


def base(package: str) -> str:
    """'name' of 'name[extra]'."""
    return package.partition("[")[0]


def _extra(package: str) -> str:
    return package.partition("[")[2].rstrip("]")


class PackageProvider:
    """Implements ``pubgrub.Provider``. ``provided``: packages that the base image itself brings."""

    def __init__(
        self,
        world: World,
        caps: CapBook,
        *,
        provided: Mapping[str, Version],
        rename: Callable[[str], str],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.world = world
        self.caps = caps
        self.provided = provided
        self.rename = rename
        self.dropped: dict[str, str] = {}
        # Doubts about versions; only those of versions that are taken in the end are worth a note.
        self._said: dict[tuple[str, Version], str] = {}
        self._progress = progress
        self._known: set[str] = set()
        self._pending = list(caps.rules_about())
        self._metadata: dict[str, Future[Metadata]] = {}
        self._demands: dict[tuple[str, Version], tuple[Demand, ...]] = {}

    def notes(self, chosen: Mapping[str, Version]) -> set[str]:
        """What a person should know of the versions that were chosen, and of what was left out."""
        doubts = {text for (name, version), text in self._said.items() if chosen.get(name) == version}
        return doubts | set(self.dropped.values())

    # -- the protocol ---------------------------------------------------------------------------------------

    def versions(self, package: str) -> Sequence[Version]:
        """Versions of a package (or of a package with an extra), best first."""
        name = base(package)
        if name in self.provided:
            return (self.provided[name],)
        return self.world.releases(name).order

    def introduce(self, package: str) -> Iterator[Rule[Version, Reason]]:
        """Caps that can speak once this package is in view."""
        if "[" in package:
            return
        self._known.add(package)
        if self._progress is not None:
            self._progress(len(self._known))
        ready = [cap for cap in self._pending if self._in_view(cap)]
        self._pending = [cap for cap in self._pending if cap not in ready]
        for cap in ready:
            yield from self._cap_rule(cap)

    def rules(self, package: str, version: Version) -> Iterator[Rule[Version, Reason]]:
        """What a version requires."""
        this: Term[Version] = Term(package, frozenset((version,)))
        if _extra(package):
            yield Rule((this, Term(base(package), frozenset((version,)), inside=False)), Extra(package))
        try:
            demands = self.demands(package, version)
        except MetadataError as error:
            yield Rule((this,), Unreadable(package, version, str(error)))
            return
        self.world.index.prefetch(demand.name for demand in demands if demand.name not in self.provided)
        for demand in demands:
            yield from self.demand(
                (this,), demand.requirement, Needs(package, version, demand.requirement, demand.build)
            )

    # -- requirements ---------------------------------------------------------------------------------------

    def demand(
        self, condition: tuple[Term[Version], ...], wanted: Requirement, reason: Reason
    ) -> Iterator[Rule[Version, Reason]]:
        """Under the condition, one of the versions that the requirement admits must be there."""
        name = canonical(wanted.name)
        allowed = frozenset(v for v in self.versions(name) if admits(wanted.specifier, v))
        self._warm(name, allowed)
        unless = [cap for cap in self.caps.drops(name) if cap.when]
        for package in (name, *(f"{name}[{canonical(extra)}]" for extra in sorted(wanted.extras))):
            rule = (*condition, Term(package, allowed, inside=False))
            if not unless:
                yield Rule(rule, reason)
            # The requirement is void where a drop cap's whole condition holds: one rule for each part that fails.
            for cap in unless:
                yield from (Rule((*rule, self._when(w.package, w.versions, inside=False)), reason) for w in cap.when)
        for cap in unless:
            conditions = tuple(self._when(w.package, w.versions) for w in cap.when)
            yield Rule((*conditions, Term(name, frozenset((None,)), inside=False)), Capped(cap))

    def roots(self, asked: Iterable[Asked]) -> Iterator[Rule[Version, Reason]]:
        """The request as rules, and caps that hold always."""
        listed = list(asked)
        self.world.index.prefetch(n for a in listed if (n := canonical(a.requirement.name)) not in self.provided)
        for one in listed:
            yield from self.demand((), one.requirement, one)
        for cap in [c for c in self._pending if c.kind == "needs" and not c.when]:
            self._pending.remove(cap)
            yield from self._cap_rule(cap)

    def demands(self, package: str, version: Version) -> tuple[Demand, ...]:
        """The requirements of a version that count on the target; backports and dropped packages are left out.

        Raises MetadataError when its metadata cannot be read.
        """
        key = (package, version)
        if key not in self._demands:
            self._demands[key] = tuple(self._read_demands(package, version))
        return self._demands[key]

    def _read_demands(self, package: str, version: Version) -> Iterator[Demand]:
        name, extra = base(package), _extra(package)
        if name in self.provided:
            return
        candidate = self.world.releases(name).candidates[version]
        metadata = self._read(candidate.file)
        for requirement in self._requirements(name, candidate, metadata):
            if self._counts(requirement, extra) and self._wanted(requirement, f"{name} {version}"):
                yield Demand(self._renamed(requirement))
        if not candidate.file.is_wheel and not extra:
            yield from self._build_demands(name, version, metadata)

    def _requirements(self, name: str, candidate: Candidate, metadata: Metadata) -> Sequence[Requirement]:
        """From a cap, else the file itself, else a wheel of the same version for another Python."""
        stated = self.caps.requirements(name, candidate.version)
        if stated is not None:
            return stated
        texts = metadata.requires
        if metadata.by_python:
            self._said[name, candidate.version] = (
                f"{candidate.file.filename} chooses its requirements by the Python that builds it; "
                "those of its maker's Python are assumed"
            )
        if texts is None:
            texts = self._sibling(name, candidate.version)
        if texts is None:
            self._said[name, candidate.version] = (
                f"{candidate.file.filename} computes its requirements when it is built; none are assumed"
            )
            texts = ()
        found = [(text, parse_requirement(text)) for text in texts]
        for text, requirement in found:
            if requirement is None or requirement.url:
                raise MetadataError(f"its requirement {text!r} cannot be met from an index")
        return [requirement for _, requirement in found if requirement is not None]

    def _sibling(self, name: str, version: Version) -> tuple[str, ...] | None:
        wheels = sorted(k.file.filename for k in self.world.releases(name).versions[version] if k.file.is_wheel)
        by_name = {k.file.filename: k.file for k in self.world.releases(name).versions[version]}
        return self._read(by_name[wheels[0]]).requires if wheels else None

    def _build_demands(self, name: str, version: Version, metadata: Metadata) -> Iterator[Demand]:
        """What the sdist needs to be built. Exact pins there aim at isolated builds, so only the name counts."""
        if metadata.build_requires is None:
            self._said[name, version] = f"{name} {version} computes its build requirements; none are assumed"
        for text in metadata.build_requires or ():
            requirement = parse_requirement(text)
            if requirement is None or requirement.url or not self._counts(requirement, ""):
                continue
            if not self._wanted(requirement, f"{name} {version}"):
                continue
            kept = SpecifierSet(",".join(str(s) for s in requirement.specifier if not s.operator.startswith("==")))
            loose = self._renamed(requirement)
            loose.specifier = kept
            if any(admits(kept, v) for v in self.versions(canonical(loose.name))):
                yield Demand(loose, build=True)
            else:
                self._said[name, version] = f"{name} {version} wants {text} to be built; the index had none on the day"

    def _counts(self, requirement: Requirement, extra: str) -> bool:
        """Whether its marker holds on the target; for an extra, only what the extra itself adds."""
        if requirement.marker is None:
            return not extra
        try:
            plain = requirement.marker.evaluate({**self.world.target.environment, "extra": ""})
            if not extra:
                return plain
            return not plain and requirement.marker.evaluate({**self.world.target.environment, "extra": extra})
        except (UndefinedComparison, UndefinedEnvironmentName):
            return not extra

    def _wanted(self, requirement: Requirement, by: str) -> bool:
        """False for a backport of a module that this Python has, and for what a cap always drops."""
        name = self.rename(canonical(requirement.name))
        if name in self.caps.backports:
            self.dropped.setdefault(name, f"{name} left out: Python {self.world.target.version} has the module itself")
            return False
        for cap in self.caps.drops(name):
            if not cap.when:
                self.dropped.setdefault(name, f"{name} left out, though {by} asks for it: {cap.why}")
                return False
        return True

    def _renamed(self, requirement: Requirement) -> Requirement:
        """A copy that names the package which stands for the one required."""
        copy = Requirement(str(requirement))
        copy.name = self.rename(canonical(requirement.name))
        if copy.name != canonical(requirement.name):
            self.dropped.setdefault(
                canonical(requirement.name),
                f"{copy.name} stands for {canonical(requirement.name)}, which another package requires",
            )
        return copy

    # -- metadata -------------------------------------------------------------------------------------------

    def _read(self, file: File) -> Metadata:
        future = self._metadata.get(file.sha256)
        return future.result() if future is not None else read_metadata(self.world.index, file)

    def _warm(self, name: str, allowed: frozenset[Version]) -> None:
        """Start reading the metadata of the version that will be tried first."""
        if name in self.provided:
            return
        best = next((v for v in self.versions(name) if v in allowed), None)
        if best is not None:
            file = self.world.releases(name).candidates[best].file
            if file.sha256 not in self._metadata:
                self._metadata[file.sha256] = self.world.index.pool.submit(read_metadata, self.world.index, file)

    # -- caps -----------------------------------------------------------------------------------------------

    def _in_view(self, cap: Cap) -> bool:
        about = {w.package for w in cap.when} | ({cap.package} if cap.kind == "limit" and cap.package else set())
        return bool(about) and about <= self._known

    def _when(self, package: str, versions: str, *, inside: bool = True) -> Term[Version]:
        return Term(package, frozenset(v for v in self.versions(package) if holds(versions, v)), inside)

    def _cap_rule(self, cap: Cap) -> Iterator[Rule[Version, Reason]]:
        if cap.package is None:
            return
        conditions = tuple(self._when(w.package, w.versions) for w in cap.when)
        if not all(term.values for term in conditions):
            return  # it cannot come to hold: do not even look at the package
        allowed: frozenset[Version | None] = frozenset(v for v in self.versions(cap.package) if holds(cap.versions, v))
        if cap.kind == "limit":
            allowed |= {None}
        yield Rule((*conditions, Term(cap.package, allowed, inside=False)), Capped(cap))
