"""Caps as rules of the resolution: limits and needs that package metadata does not declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.facts import Cap, Framework, When
from envsolve.lock.pages import canonical
from envsolve.lock.requirement import admits, parse_requirement, parse_specifier
from envsolve.lock.target import Target


@dataclass(frozen=True)
class CapBook:
    """The caps that can speak for one target. ``rename`` maps a name in a cap to the package that stands for it."""

    caps: tuple[Cap, ...]
    backports: frozenset[str]

    @classmethod
    def of(cls, caps: Iterable[Cap], backports: Iterable[str], target: Target, rename: Callable[[str], str]) -> CapBook:
        """Those for this Python, with canonical names."""
        python = Version(target.version)
        kept = (cap for cap in caps if not cap.pythons or admits(_range(cap.pythons), python))
        return cls(tuple(_renamed(cap, rename) for cap in kept), frozenset(canonical(name) for name in backports))

    def rules_about(self) -> tuple[Cap, ...]:
        """Caps of kind limit and needs: the resolver turns them into rules."""
        return tuple(cap for cap in self.caps if cap.kind in ("limit", "needs") and cap.package)

    def drops(self, package: str) -> tuple[Cap, ...]:
        """Caps that say a package must not be installed."""
        return tuple(cap for cap in self.caps if cap.kind == "drop" and cap.package == package)

    def requirements(self, package: str, version: Version) -> tuple[Requirement, ...] | None:
        """The true requirements of a version where a cap states them without further condition."""
        for cap in self.caps:
            about = [w.versions for w in cap.when if w.package == package]
            if cap.kind != "requires" or cap.package != package or len(about) != len(cap.when):
                continue
            if all(admits(_range(text), version) for text in (cap.versions, *about)):
                parsed = (parse_requirement(text) for text in cap.requires)
                return tuple(requirement for requirement in parsed if requirement is not None)
        return None

    def settled(self, versions: Mapping[str, Version]) -> Iterator[Cap]:
        """Caps of kind system and environment that hold for what is installed."""
        for cap in self.caps:
            if cap.kind not in ("system", "environment"):
                continue
            about = [When(package=cap.package, versions=cap.versions)] if cap.package else []
            if all(
                w.package in versions and admits(_range(w.versions), versions[w.package]) for w in (*about, *cap.when)
            ):
                yield cap


def companion_limits(framework: Framework, package: str, version: str) -> Iterator[Cap]:
    """What the releases of a framework that a build is of are known to work with, as limits on those packages."""
    for pairing in framework.pairings:
        if pairing.kind == "companion" and holds(pairing.versions, Version(version)):
            yield Cap(
                id=f"companion {package}=={version} {pairing.other}",
                kind="limit",
                package=pairing.other,
                versions=pairing.other_versions,
                when=(When(package=package, versions=f"=={version}"),),
                why=pairing.notes or f"{framework.name} {pairing.versions} goes with {pairing.other} of these releases",
                evidence=pairing.evidence,
                symptom=None,
            )


def _range(text: str) -> SpecifierSet:
    """A range of the database; the database's own linter sees to it that it can be read."""
    found = parse_specifier(text)
    return found if found is not None else SpecifierSet()


def holds(text: str, version: Version) -> bool:
    """Whether a range of the database holds a version."""
    return admits(_range(text), version)


def _renamed(cap: Cap, rename: Callable[[str], str]) -> Cap:
    when = tuple(w.model_copy(update={"package": rename(canonical(w.package))}) for w in cap.when)
    package = rename(canonical(cap.package)) if cap.package else None
    return cap.model_copy(update={"when": when, "package": package})


def in_words(cap: Cap) -> str:
    """The condition and the demand of a cap, in a sentence."""
    parts = [f"{w.package}{w.versions}" for w in cap.when]
    who = " with ".join(parts) if parts else "this stack"
    if cap.kind == "drop":
        return f"{who} must not have {cap.package}"
    return f"{who} needs {cap.package}{cap.versions}"
