"""``make_lock``: a solved stack, and everything that a build of it installs, as of a date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from envsolve.errors import UsageError
from envsolve.lock.assemble import assemble
from envsolve.lock.candidates import World
from envsolve.lock.capping import CapBook, companion_limits
from envsolve.lock.era import Appearance, check_day, default_day, first_appearance
from envsolve.lock.failure import Teller, check_projects
from envsolve.lock.image import find_image, make_target, python_release, stale_pip
from envsolve.lock.index import Index
from envsolve.lock.newer import releases_known
from envsolve.lock.pages import canonical
from envsolve.lock.phases import TOOLS
from envsolve.lock.pubgrub import UnsatisfiableError
from envsolve.lock.reasons import Asked
from envsolve.lock.resolve import Resolution, resolve
from envsolve.lock.target import Target
from envsolve.lock.vendor import image_notes, image_wants
from envsolve.matrices import Facts
from envsolve.models import FrameworkChoice, Host, Lock, Request, Stack

if TYPE_CHECKING:
    from envsolve.facts import Cap

Say = Callable[[str], None]
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class _Job:
    """What the steps share. ``provided``: packages that the base image brings, by canonical name."""

    stack: Stack
    request: Request
    facts: Facts
    index: Index
    target: Target
    provided: Mapping[str, Version]
    same: Mapping[str, str]
    progress: Progress | None
    upgrades: Mapping[str, date]
    prefer: Mapping[str, Version]

    def rename(self, name: str) -> str:
        """The package of the stack that stands for another package of the same framework."""
        return self.same.get(name, name)

    @property
    def exact(self) -> dict[str, Version]:
        """The releases of the frameworks, label and all."""
        return {canonical(c.package): Version(c.version) for c in self.stack.frameworks}

    @property
    def vendors(self) -> tuple[FrameworkChoice, ...]:
        """The frameworks that the base image is."""
        return tuple(c for c in self.stack.frameworks if canonical(c.package) in self.provided)

    def count(self, packages: int) -> None:
        """Tell how far it is: packages in view, requests made, bytes read."""
        if self.progress is not None:
            counts = self.index.counts
            self.progress(packages, counts.requests, counts.bytes)


def make_lock(
    stack: Stack,
    request: Request,
    host: Host,
    facts: Facts,
    *,
    index: Index,
    as_of: date | None = None,
    upgrades: Mapping[str, date] | None = None,
    prefer: Mapping[str, str] | None = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Lock:
    """The lock of a stack. ``progress`` gets packages in view, requests made and bytes read, every so often.

    ``upgrades``: packages as of days of their own, by canonical name. ``prefer``: versions to take where they can be.

    Raises NoCombinationError ("no-closure") when no set of packages fits, UsageError for a date before the
    framework or a name that the index does not have, NotReadyError when the index does not answer, DatabaseError.
    """
    say = say or (lambda _: None)
    provided = _provided(stack, facts)
    job = _Job(
        stack=stack,
        request=request,
        facts=facts,
        index=index,
        target=make_target(stack, facts, host.machine),
        provided=provided,
        same=_same_framework(stack, facts),
        progress=progress,
        upgrades=upgrades or {},
        prefer={name: Version(text) for name, text in (prefer or {}).items()},
    )
    asked = _asked(job)
    day, reason = _day(job, asked, as_of or request.as_of)
    say(f"resolving for Python {job.target.version} as of {day.isoformat()} ({reason})")
    resolution = _resolve(job, asked, day)
    _tell(say, resolution, index)
    for url in index.idle((*resolution.packages, *resolution.held)):
        say(f"note: nothing in the lock is of {url}: none of its scope is needed")
    return assemble(
        stack=stack,
        request=request,
        host=host,
        facts=facts,
        target=job.target,
        provided=provided,
        resolution=resolution,
        as_of=day,
        as_of_reason=reason,
        upgrades=job.upgrades,
        notes=image_notes(job.vendors, resolution.held, resolution.hidden),
        # An address of the user's own (a company's, perhaps with credentials) never gets into a lock
        default_index=index.config.default_index if stale_pip(stack, facts) else None,
    )


def _tell(say: Say, resolution: Resolution, index: Index) -> None:
    for note in index.notes:  # they speak of this machine's settings, so they are said and not locked
        say(f"note: {note}")
    sdists = sum(not p.candidate.file.is_wheel for p in resolution.packages.values())
    counts = index.counts
    say(
        f"{len(resolution.packages)} packages, {sdists} of them to be built from source; "
        f"{counts.requests} requests, {counts.bytes / 1e6:.1f} MB, {counts.cached} from the cache"
    )


# -- what is wanted -------------------------------------------------------------------------------------------


def _provided(stack: Stack, facts: Facts) -> dict[str, Version]:
    """Frameworks that the base image itself is, under their package's and their own name."""
    brought: dict[str, Version] = {}
    image = find_image(stack, facts)
    for choice in stack.frameworks:
        if choice.origin == "nvidia" or (image.framework is not None and image.framework == choice.build):
            for name in (choice.package, choice.name):
                brought[canonical(name)] = Version(choice.version)
    return brought


def _same_framework(stack: Stack, facts: Facts) -> dict[str, str]:
    """Other packages of a chosen framework -> the one that is installed: there must not be two of them."""
    same: dict[str, str] = {}
    known = set(facts.framework_names())
    for choice in stack.frameworks:
        packages = {b.package for b in facts.framework(choice.name).builds} if choice.name in known else set()
        chosen = canonical(choice.package)
        same |= {canonical(p): chosen for p in (*packages, choice.name) if canonical(p) != chosen}
    return same


def _asked(job: _Job) -> list[Asked]:
    """Frameworks as solved, companions as typed, and the build tools."""
    asked: list[Asked] = []
    targets = {target.name: target for target in job.request.targets if target.framework}
    for choice in job.stack.frameworks:
        if canonical(choice.package) in job.provided:
            backports = python_release(job.stack, job.facts).backports
            asked += image_wants(World(job.index, job.target, date.max), choice, backports)
            continue
        target = targets.get(choice.name)
        text = target.text if target else f"a backend for it, {choice.package}=={choice.version}"
        extras = {*(target.extras if target else ()), *_cuda_extra(choice, job)}
        pinned = _wanted(choice.package, sorted(extras), f"=={choice.version}", text)
        asked.append(Asked(pinned, text, role="framework"))
    asked += (
        Asked(_wanted(target.name, target.extras, target.specifier, target.text), target.text)
        for target in job.request.targets
        if not target.framework
    )
    release = python_release(job.stack, job.facts)
    why = f"the last pip that supports Python {release.version}"
    asked.append(Asked(Requirement(f"pip=={release.pip}"), why, role="tool"))
    asked += (Asked(Requirement(tool), "builds packages", role="tool") for tool in TOOLS[1:])
    return asked


def _cuda_extra(choice: FrameworkChoice, job: _Job) -> tuple[str, ...]:
    """The extra by which the build's package brings CUDA, on a GPU."""
    if job.stack.device != "gpu" or choice.name not in set(job.facts.framework_names()):
        return ()
    builds = job.facts.framework(choice.name).builds
    same = (b for b in builds if (b.package, b.version) == (choice.package, choice.version))
    return tuple(b.cuda_extra for b in same if b.cuda_extra)


def _wanted(name: str, extras: Sequence[str], specifier: str, text: str) -> Requirement:
    try:
        return Requirement(f"{name}[{','.join(extras)}]{specifier}" if extras else f"{name}{specifier}")
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is not a requirement: {error}", code="bad-requirement") from error


# -- as of when -----------------------------------------------------------------------------------------------


def _day(job: _Job, asked: Sequence[Asked], given: date | None) -> tuple[date, str]:
    world = World(job.index, job.target, date.max, exact=job.exact)
    wanted = [one for one in asked if one.role in ("request", "framework")]
    job.index.prefetch(name for one in asked if (name := canonical(one.requirement.name)) not in job.provided)
    check_projects(world, wanted)
    found = [a for choice in job.vendors for a in _vendor_release(choice, job.facts)]
    for one in wanted:
        framework = one.role == "framework"
        text = str(one.requirement) if framework else one.text
        appearance = first_appearance(world, one.requirement, text, framework=framework)
        if appearance is not None:
            found.append(appearance)
    release = python_release(job.stack, job.facts)
    found.append(Appearance(f"Python {release.version}", release.released, framework=False))
    today = datetime.now(tz=timezone.utc).date()
    default, reason = default_day(found, today)
    if given is None or (given == default and job.request.as_of is None):
        return default, reason
    if given > today:
        raise UsageError(f"{given.isoformat()} is in the future", hints=("--as-of YYYY-MM-DD",), code="as-of-in-future")
    check_day(given, found)
    return given, "the date that was asked for"


def _vendor_release(choice: FrameworkChoice, facts: Facts) -> list[Appearance]:
    if choice.name not in set(facts.framework_names()):
        return []
    builds = facts.framework(choice.name).builds
    own = [b for b in builds if (b.package, b.version) == (choice.package, choice.version)]
    days = [b.released for b in own if b.released is not None]
    return [Appearance(f"{choice.package} {choice.version}", min(days), framework=True)] if days else []


# -- the closure ----------------------------------------------------------------------------------------------


def _resolve(job: _Job, asked: Sequence[Asked], day: date) -> Resolution:
    world = World(job.index, job.target, day, undated=TOOLS, upgrades=job.upgrades, prefer=job.prefer, exact=job.exact)
    release = python_release(job.stack, job.facts)
    caps = CapBook.of([*job.facts.caps, *_companions(job)], release.backports, job.target, job.rename)
    try:
        return resolve(world, caps, asked, provided=job.provided, rename=job.rename, progress=job.count)
    except UnsatisfiableError as error:
        teller = Teller(world, job.request, lambda cap: job.facts.evidence(cap).source, partial(_once, job))
        raise teller.error(error.reasons) from error


def _once(job: _Job, name: str) -> Mapping[Version, date]:
    """What the database saw of a project on the ordinary index."""
    return {} if name in job.index.scopes else releases_known(job.facts, name)


def _companions(job: _Job) -> Iterator[Cap]:
    known = set(job.facts.framework_names())
    for choice in job.stack.frameworks:
        if choice.name in known:
            yield from companion_limits(job.facts.framework(choice.name), choice.package, choice.version)
