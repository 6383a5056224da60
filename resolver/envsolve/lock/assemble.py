"""A resolution as a Lock: packages in phases, the image, the system's packages, variables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import PurePath
from shlex import quote

from packaging.version import Version

from envsolve import __version__
from envsolve.facts import Cap
from envsolve.lock.image import lock_image
from envsolve.lock.pages import canonical
from envsolve.lock.phases import phases
from envsolve.lock.pinned import Pinned
from envsolve.lock.resolve import Resolution
from envsolve.lock.target import Target
from envsolve.matrices import Facts
from envsolve.models import Host, Lock, LockedPackage, Phase, Request, Stack

_KERAS = "keras"


def assemble(
    *,
    stack: Stack,
    request: Request,
    host: Host,
    facts: Facts,
    target: Target,
    provided: Mapping[str, Version],
    resolution: Resolution,
    as_of: date,
    as_of_reason: str,
    upgrades: Mapping[str, date] | None = None,
    notes: tuple[str, ...] = (),
    default_index: str | None = None,
) -> Lock:
    """The lock; nothing of this machine but what the Host says of its hardware gets into it."""
    brought = tuple(f"{c.package}=={c.version}" for c in stack.frameworks if canonical(c.package) in provided)
    place = phases(resolution.packages)
    interpreters = tuple(i.model_copy(update={"path": ""}) for i in host.interpreters)
    return Lock(
        envsolve=__version__,
        facts=facts.version,
        request=_without_paths(request),
        host=host.model_copy(update={"interpreters": interpreters}),
        stack=stack.model_copy(update={"command": _without_folders(stack.command, request)}),
        as_of=as_of,
        as_of_reason=as_of_reason,
        python_full=target.full,
        image=lock_image(stack, facts, brought).model_copy(
            update={"holds": tuple(sorted(resolution.held)), "default_index": default_index}
        ),
        packages=tuple(_locked(pinned, *place[name]) for name, pinned in sorted(resolution.packages.items())),
        system_packages=_merged(_system(cap, resolution.packages) for cap in resolution.settled),
        build_packages=_merged(_build_system(cap, resolution.packages) for cap in resolution.settled),
        environment=_environment(stack, facts, resolution.settled),
        upgrades=dict(sorted((upgrades or {}).items())),
        notes=tuple(sorted((*resolution.notes, *notes))),
    )


def _locked(pinned: Pinned, phase: Phase, level: int) -> LockedPackage:
    file = pinned.candidate.file
    return LockedPackage(
        name=pinned.name,
        version=str(pinned.candidate.version),
        filename=file.filename,
        sha256=file.sha256,
        size=file.size,
        upload_time=file.upload_time,
        phase=phase,
        level=level,
        index=file.index,
        requires=pinned.texts,
        builds_with=pinned.builds_with,
        reason=pinned.why,
        yanked=file.yanked,
    )


def _merged(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))


def _system(cap: Cap, packages: Mapping[str, Pinned]) -> tuple[str, ...]:
    """What a cap needs at run time; of one that says what a package is built with, only where it is built."""
    return cap.system if not cap.build_system or _build_system(cap, packages) else ()


def _build_system(cap: Cap, packages: Mapping[str, Pinned]) -> tuple[str, ...]:
    """What a cap needs at build time: only where the package is built here, or, for a cap about none, anything is."""
    about = {w.package for w in cap.when} | ({cap.package} if cap.package else set())
    built = {name for name, pinned in packages.items() if not pinned.candidate.file.is_wheel}
    compiled = {name for name in built if packages[name].compiled}
    return cap.build_system if (about & built if about else compiled) else ()


def _environment(stack: Stack, facts: Facts, settled: Iterable[Cap]) -> dict[str, str]:
    found: dict[str, str] = {}
    backend = _keras_backend(stack, facts)
    if backend is not None:
        found["KERAS_BACKEND"] = backend
    for cap in settled:
        found |= cap.environment
    return dict(sorted(found.items()))


def _keras_backend(stack: Stack, facts: Facts) -> str | None:
    """The backend that standalone Keras must use: the stack lists the one that is used before any other."""
    names = [choice.name for choice in stack.frameworks]
    if _KERAS not in names or _KERAS not in set(facts.framework_names()):
        return None
    keras = facts.framework(_KERAS)
    backends = {row.other for row in keras.pairings if row.kind == "backend"} | set(keras.default_backends.values())
    return next((name for name in names if name in backends), None)


def _without_folders(command: str, request: Request) -> str:
    for name in request.facts:
        if PurePath(name).is_absolute():
            command = command.replace(quote(name), quote(PurePath(name).name))
    return command


def _without_paths(request: Request) -> Request:
    """The request without folders of this machine: of targets read and of facts, the file's name remains."""

    def short(origin: str | None) -> str | None:
        return PurePath(origin).name if origin and PurePath(origin).is_absolute() else origin

    targets = tuple(t.model_copy(update={"origin": short(t.origin)}) for t in request.targets)
    return request.model_copy(update={"targets": targets, "facts": tuple(short(f) or f for f in request.facts)})
