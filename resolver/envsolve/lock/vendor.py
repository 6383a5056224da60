"""A vendor's image that is a framework: what it holds beside the framework, so that none of it is installed again.

The vendor's build of a release needs what the release itself requires, and its image holds that, at versions that
the vendor chose and tested together. Which packages these are is read from the release of the same version on the
index: the framework's own name, the version without its local part. They take part in the resolution, so that what
is installed beside them fits the versions the release asks for, and then are left to the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from envsolve.lock.metadata import MetadataError, read_metadata
from envsolve.lock.pages import File, canonical
from envsolve.lock.phases import TOOLS, reachable
from envsolve.lock.reasons import Asked
from envsolve.lock.requirement import parse_requirement

if TYPE_CHECKING:
    from envsolve.facts import Cap
    from envsolve.lock.candidates import World
    from envsolve.lock.pinned import Pinned
    from envsolve.models import FrameworkChoice


def upstream_text(choice: FrameworkChoice) -> str:
    """The release that a vendor's build is of: ``tensorflow 1.15.5`` for 1.15.5+nv23.03."""
    return f"{choice.name} {Version(choice.version).public}"


def image_wants(world: World, choice: FrameworkChoice, backports: Iterable[str]) -> tuple[Asked, ...]:
    """The framework, and what its release requires on the target; only the framework where the index cannot say.

    ``world`` must not be bounded by a date. Raises NotReadyError when the index does not answer.
    """
    built = f"{choice.package} {choice.version}"
    asked = [Asked(Requirement(choice.package), f"{built} of the image", role="image")]
    left_out = {canonical(name) for name in backports}
    for text in _stated(world, choice):
        requirement = parse_requirement(text)
        if requirement is None or requirement.url or canonical(requirement.name) in left_out:
            continue
        environment = {**world.target.environment, "extra": ""}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            requirement.marker = None
            why = f"{built} of the image is {upstream_text(choice)}, which requires {requirement}"
            asked.append(Asked(requirement, why, role="image"))
    return tuple(asked)


def _stated(world: World, choice: FrameworkChoice) -> tuple[str, ...]:
    """The requirements of the release, by a wheel for the target, else by its newest one for another Python.

    A vendor builds for Pythons that the release itself has no wheel for; markers tell those apart.
    """
    releases = world.releases(canonical(choice.name))
    version = Version(Version(choice.version).public)
    candidate = releases.candidates.get(version)
    if candidate is not None and candidate.file.is_wheel:
        return _requirements(world, candidate.file)
    wheels = sorted((k.file for k in releases.versions.get(version, ()) if k.file.is_wheel), key=_recent)
    return _requirements(world, wheels[-1]) if wheels else ()


def _requirements(world: World, file: File) -> tuple[str, ...]:
    try:
        return read_metadata(world.index, file).requires or ()
    except MetadataError:
        return ()


def _recent(file: File) -> tuple[bool, str]:
    return "linux" in file.filename, file.filename


def held_by_image(
    packages: Mapping[str, Pinned], asked: Sequence[Asked], caps: Iterable[Cap], provided: Iterable[str]
) -> frozenset[str]:
    """Which packages of a closure are the image's own.

    What the user asked for by version is installed even so, and hides the image's. Of the tools, which work while
    the image is built and do not get into it, pip stays (the image's may not know the tags of today's wheels),
    setuptools and wheel only where something has to be built.
    """
    wanted = {canonical(a.requirement.name) for a in asked if a.role == "image"}
    if not wanted:
        return frozenset()
    needs = [cap for cap in caps if cap.kind == "needs" and cap.package in packages and cap.when]
    held = reachable(packages, wanted, build=False)
    while True:
        has = {*held, *provided}
        more = {cap.package for cap in needs if cap.package and all(w.package in has for w in cap.when)} - held
        if not more:
            break
        held |= reachable(packages, more, build=False)
    held -= named(asked)
    kept = set(packages) - held - set(TOOLS)
    built = any(not packages[name].candidate.file.is_wheel for name in kept)
    idle = set() if built else set(TOOLS[1:]) & set(packages)
    return frozenset((held - set(TOOLS)) | idle)


def named(asked: Iterable[Asked]) -> frozenset[str]:
    """Packages that the user asked for by version."""
    return frozenset(
        canonical(a.requirement.name) for a in asked if a.role in ("request", "framework") and a.requirement.specifier
    )


def speaks_of_image(cap: Cap, held: Iterable[str]) -> bool:
    """Whether a cap is about nothing but what the image holds: its system packages and variables are there."""
    about = {w.package for w in cap.when} | ({cap.package} if cap.package else set())
    return bool(about) and about <= set(held)


def image_notes(choices: Iterable[FrameworkChoice], held: Iterable[str], hidden: Iterable[str]) -> tuple[str, ...]:
    """What a person should know of a lock that leaves packages to the image."""
    count = len(set(held) - set(TOOLS))
    notes = [
        f"what {upstream_text(choice)} requires is the image's own, at its versions: {count} packages (image.holds)"
        if count
        else f"what {choice.package} {choice.version} brings beside itself is not known: the index has no "
        f"{upstream_text(choice)} to ask"
        for choice in choices
    ]
    notes += [f"{name} was asked for by version: it hides the {name} of the image" for name in sorted(hidden)]
    return tuple(notes)
