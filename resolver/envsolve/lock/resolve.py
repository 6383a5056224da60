"""The package closure: which version of everything, which file, and who wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement
from packaging.version import Version

from envsolve.facts import Cap
from envsolve.lock.candidates import Candidate, World
from envsolve.lock.capping import CapBook, holds, in_words
from envsolve.lock.metadata import Metadata, read_metadata
from envsolve.lock.pages import canonical
from envsolve.lock.phases import reachable
from envsolve.lock.pinned import Pinned
from envsolve.lock.provider import PackageProvider, base
from envsolve.lock.pubgrub import Resolver
from envsolve.lock.reasons import Asked, Reason
from envsolve.lock.vendor import held_by_image, named, speaks_of_image

# How many of those who want a package its reason names.
_NAMED = 4


@dataclass(frozen=True)
class Resolution:
    """The closure. ``settled``: caps of kind system and environment that hold for it.

    ``held``: packages of the closure that a vendor's image has and that are not installed. ``hidden``: those that
    it has too, and that are installed all the same.
    """

    packages: dict[str, Pinned]
    settled: tuple[Cap, ...]
    notes: tuple[str, ...]
    conflicts: int
    versions: Mapping[str, Version] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    @property
    def has_sdists(self) -> bool:
        """Whether anything has to be built."""
        return any(not pinned.candidate.file.is_wheel for pinned in self.packages.values())


def resolve(
    world: World,
    caps: CapBook,
    asked: Sequence[Asked],
    *,
    provided: Mapping[str, Version],
    rename: Callable[[str], str],
    progress: Callable[[int], None] | None = None,
) -> Resolution:
    """The closure of what is asked for.

    Raises pubgrub.UnsatisfiableError with the reasons when there is none, NotReadyError when the index does not
    answer.
    """
    provider = PackageProvider(world, caps, provided=provided, rename=rename, progress=progress)
    resolver: Resolver[Version, Reason] = Resolver(provider)
    found = resolver.solve(provider.roots(asked))
    versions = {base(package): version for package, version in found.items()}
    packages = {
        name: _pin(provider, name, sorted(p for p in found if base(p) == name), versions)
        for name in sorted(versions)
        if name not in provided
    }
    packages = _wanted_by(packages, asked, provider.caps, versions)
    held = held_by_image(packages, asked, provider.caps.caps, provided)
    wanted = {canonical(a.requirement.name) for a in asked if a.role == "image"}
    hidden = named(asked) & reachable(packages, wanted, build=False)
    packages = {name: pinned for name, pinned in packages.items() if name not in held}
    notes = provider.notes({name: versions[name] for name in packages}) | _rank_notes(packages)
    return Resolution(
        packages=packages,
        settled=tuple(c for c in caps.settled(versions) if not speaks_of_image(c, {*held, *provided})),
        notes=tuple(sorted(notes)),
        conflicts=resolver.conflicts,
        versions=versions,
        held=held,
        hidden=hidden,
    )


def _metadata(world: World, candidate: Candidate) -> Metadata:
    return read_metadata(world.index, candidate.file)


def _pin(
    provider: PackageProvider,
    name: str,
    faces: Sequence[str],
    versions: Mapping[str, Version],
) -> Pinned:
    """A package with the requirements of it and of its extras; self-references are left out."""
    demands = [demand for face in faces for demand in provider.demands(face, versions[name])]
    runtime = sorted({d.name for d in demands if not d.build} - {name})
    candidate = provider.world.releases(name).candidates[versions[name]]
    return Pinned(
        name=name,
        candidate=candidate,
        compiled=not candidate.file.is_wheel and _metadata(provider.world, candidate).compiled,
        requires=tuple(n for n in runtime if n in versions),
        builds_with=tuple(sorted({d.name for d in demands if d.build and d.name in versions} - {name})),
        texts=tuple(sorted({_text(d.requirement) for d in demands if not d.build and d.name != name})),
        why="",
    )


def _text(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonical(requirement.name)}{extras}{requirement.specifier}"


def _wanted_by(
    packages: Mapping[str, Pinned], asked: Sequence[Asked], caps: CapBook, versions: Mapping[str, Version]
) -> dict[str, Pinned]:
    """The packages, each with the sentence that says who asked for it."""
    told: dict[str, list[str]] = {name: [] for name in packages}
    for one in asked:
        name = canonical(one.requirement.name)
        if name in told:
            told[name].append(one.text if one.role in ("tool", "image") else f"you asked for {one.text}")
    for pinned in packages.values():
        who = f"{pinned.name} {pinned.candidate.version}"
        for verb, names in (("required by", pinned.requires), ("needed to build", pinned.builds_with)):
            for name in names:
                if name in told:
                    told[name].append(f"{verb} {who}")
    for cap in caps.caps:
        if cap.kind != "needs" or cap.package not in told or told[cap.package]:
            continue
        if all(w.package in versions and holds(w.versions, versions[w.package]) for w in cap.when):
            told[cap.package].append(f"{in_words(cap)}: {cap.why}")
    return {name: replace(pinned, why=_sentence(told[name])) for name, pinned in packages.items()}


def _sentence(told: Sequence[str]) -> str:
    more = [f"and {len(told) - _NAMED} more"] if len(told) > _NAMED else []
    return "; ".join([*told[:_NAMED], *more])


def _rank_notes(packages: Mapping[str, Pinned]) -> set[str]:
    """What a person should know of last choices: withdrawn releases and pre-releases."""
    notes: set[str] = set()
    for pinned in packages.values():
        what = f"{pinned.name} {pinned.candidate.version}"
        if pinned.candidate.yanked is not None:
            text = f": {pinned.candidate.yanked}" if pinned.candidate.yanked else ""
            notes.add(f"{what} was withdrawn (yanked) after the date; nothing else fits{text}")
        if pinned.candidate.version.is_prerelease:
            notes.add(f"{what} is a pre-release; no final release of the day fits")
    return notes
