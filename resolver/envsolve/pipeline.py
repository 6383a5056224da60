"""The whole way as a library: words -> Solution -> lock and files -> build -> smoke report. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve.errors import EnvsolveError, NoCombinationError, NotReadyError, OutOfDateError, UsageError
from envsolve.host import probe
from envsolve.matrices import Facts, load
from envsolve.models import Host, Lock, Request, ScopedIndex, SmokeReport, Solution, Stack
from envsolve.quoting import word
from envsolve.request import build_request
from envsolve.solver import solve
from envsolve.solver.world import version_key

if TYPE_CHECKING:
    from envsolve.engine.base import BuildSettings, Built, Engine
    from envsolve.lock.changes import Change
    from envsolve.talk import Talk

_PYTHONS_TRIED = 4
"""Other Pythons to try where the packages of the chosen one cannot be put together: each reads the index again."""


def answer(
    words: Sequence[str],
    *,
    facts: Facts | Sequence[Path | str] | None = None,
    gpu: Sequence[str] = ("auto",),
    require_gpu: bool = False,
    driver: str | None = None,
    python: str | None = None,
    os: str | None = None,
    accept: Sequence[str] = (),
    as_of: date | str | None = None,
    backend: str = "auto",
    indexes: Sequence[ScopedIndex | str] = (),
    to_build: bool = False,
    talk: Talk | None = None,
) -> Solution:
    """What works on this machine, or on the one described by ``gpu`` and ``driver``.

    ``facts``: the database, or files of the user's own facts to lay over it. ``to_build``: it will be built here, so
    that without a container engine the interpreters present decide, as with ``backend="local"``; ``talk`` is told of
    an engine that is passed over and of what was left out of files. Raises UsageError for what cannot be understood,
    NotReadyError when it is to be built and neither an engine nor a Python here can.
    """
    if not isinstance(facts, Facts):
        facts = load(overlays=facts or ())
    request = build_request(
        words, facts, gpu=gpu, require_gpu=require_gpu, driver=driver, python=python, os=os, accept=accept,
        as_of=as_of, backend=backend, indexes=indexes, tell=talk.warn if talk else None,
    )  # fmt: skip
    host = probe(request, facts, interpreters=request.backend == "local")
    if to_build and request.backend == "auto" and host.engine is None:
        if talk is not None:
            from envsolve.engine import warn_refused

            warn_refused(talk)
        return _answer_for_local(request, host, facts)
    return solve(request, host, facts)


def _answer_for_local(request: Request, host: Host, facts: Facts) -> Solution:
    """Without a container engine: the answer for a local prefix, when this machine can make it.

    Raises NotReadyError when a container could hold a stack and no interpreter here can.
    """
    from envsolve.interpreters import find_interpreters

    local = request.model_copy(update={"backend": "local"})
    here = host.model_copy(update={"interpreters": find_interpreters()})
    solution = solve(local, here, facts)
    if solution.chosen is None:
        elsewhere = solve(request, host, facts)
        if elsewhere.chosen is not None:
            raise _neither_serves(elsewhere.chosen, here)
    return solution


def _neither_serves(stack: Stack, host: Host) -> NotReadyError:
    have = ", ".join(i.version for i in host.interpreters) or "none"
    return NotReadyError(
        f"no container engine answers, and no Python here can run {' with '.join(f.package for f in stack.frameworks)}",
        code="no-engine",
        facts=(f"it would be Python {stack.python} on {stack.os}; found on this machine: {have}",),
        hints=(
            "sudo apt-get install docker.io && sudo systemctl start docker",
            f"pyenv install {stack.python}   # then the same command again",
            stack.command + "   # without --build: writes a folder that docker build takes elsewhere",
        ),
    )


@dataclass(frozen=True)
class Prepared:
    """A lock, and the text of every file of its folder by relative path."""

    lock: Lock
    files: dict[str, str]


def prepare(
    solution: Solution,
    *,
    facts: Facts | None = None,
    offline: bool = False,
    as_of: date | None = None,
    talk: Talk | None = None,
) -> Prepared:
    """Lock a solution as of a date (default: the request's, else one from the framework's era), and render it.

    Where the packages cannot be put together for the chosen Python and nobody asked for it, another is taken, and
    ``talk`` told. Raises NoCombinationError when nothing was chosen or can be locked, NotReadyError when the index
    cannot be read.
    """
    if solution.chosen is None:
        raise NoCombinationError("nothing satisfies the request, so there is nothing to lock")
    facts, day = facts or load(overlays=solution.request.facts), as_of or solution.request.as_of
    try:
        lock = _locked(solution, facts, offline, day, talk)
    except NoCombinationError as error:
        if error.code != "no-closure" or solution.request.python:
            raise
        found = _on_another_python(solution, facts, offline, day, talk)
        if found is None:
            raise
        lock = found
        if talk is not None:
            taken = f"Python {lock.request.python} is taken instead, as with --python {lock.request.python}"
            talk.warn("\n         ".join((error.message, *error.facts, taken)))
    lock = _pinned(lock)
    return Prepared(lock, rendered(lock))


def _on_another_python(
    solution: Solution, facts: Facts, offline: bool, as_of: date | None, talk: Talk | None
) -> Lock | None:
    """A lock of the same releases on the same device with another Python than the one chosen, the next older first.

    Nobody asked for the Python that was chosen, and the packages that go with it at a date are known only to the index.
    """
    chosen, tried = solution.chosen, 0
    if chosen is None:
        return None
    newest_first = sorted(facts.pythons, key=version_key, reverse=True)
    older = [python for python in newest_first if version_key(python) < version_key(chosen.python)]
    newer = [python for python in newest_first if version_key(python) > version_key(chosen.python)]
    for python in (*older, *reversed(newer)):
        request = solution.request.model_copy(update={"python": python})
        other = solve(request, solution.host, facts)
        if other.chosen is None or _essence(other.chosen) != _essence(chosen):
            continue
        tried += 1
        if tried > _PYTHONS_TRIED:
            return None
        with suppress(NoCombinationError):
            return _locked(other, facts, offline, as_of, talk)
    return None


def _essence(stack: Stack) -> tuple[object, ...]:
    return stack.device, stack.verdict, stack.fidelity, tuple((f.package, f.version) for f in stack.frameworks)


def _pinned(lock: Lock) -> Lock:
    """The lock with the digests of its images, when a container engine answers that has them."""
    image = lock.image
    known = image.digest is not None and (image.python_image is None or image.python_digest is not None)
    if lock.host.engine is None or known or lock.request.backend == "local":
        return lock
    from envsolve.engine import select
    from envsolve.engine.docker import DockerEngine

    with suppress(EnvsolveError):  # an engine in trouble is no trouble of the lock's
        engine = select(lock.request.backend)
        if isinstance(engine, DockerEngine):
            digest = image.digest or engine.base_digest(image.reference)
            copied = image.python_digest or (image.python_image and engine.base_digest(image.python_image))
            return _with_digests(lock, digest, copied)
    return lock


def _with_digests(lock: Lock, digest: str | None, python_digest: str | None) -> Lock:
    update = {"digest": digest, "python_digest": python_digest}
    return lock.model_copy(update={"image": lock.image.model_copy(update=update)})


def _locked(
    solution: Solution,
    facts: Facts,
    offline: bool,
    as_of: date | None,
    talk: Talk | None,
    upgrades: Mapping[str, date] | None = None,
    prefer: Mapping[str, str] | None = None,
) -> Lock:
    from envsolve.indexes import scopes
    from envsolve.lock import make_lock
    from envsolve.lock.index import Index
    from envsolve.lock.pipconfig import user_config

    if solution.chosen is None:
        raise AssertionError("checked by the callers")
    named = scopes(solution.request, solution.chosen, facts)
    index = Index(user_config(), scopes=named, offline=offline)
    try:
        return make_lock(
            solution.chosen, solution.request, solution.host, facts,
            index=index, as_of=as_of, upgrades=upgrades, prefer=prefer, say=talk.log if talk else None,
            progress=partial(_progress, talk) if talk else None,
        )  # fmt: skip
    finally:
        index.close()


def _progress(talk: Talk, packages: int, requests: int, size: int) -> None:
    talk.detail(f"{packages} packages in view, {requests} requests, {size / 1e6:.1f} MB")


def rendered(lock: Lock, folder: Path | None = None, more: Sequence[str] = ()) -> dict[str, str]:
    """Every file of a lock's folder; ``folder``: where they are to stand, which may hold vendored files of it, and
    files that were asked for earlier, as ``more`` are now.
    """
    from envsolve import extras
    from envsolve.lock.vendoring import state
    from envsolve.render import render

    if folder is None:
        return render(lock) | extras.render(lock, more)
    vendored = state(folder, lock)
    return render(lock, vendored) | extras.render(lock, (*extras.present(folder), *more), vendored)


def relock(
    lock: Lock,
    *,
    facts: Facts | None = None,
    offline: bool = False,
    upgrade: Sequence[str] = (),
    as_of: date | None = None,
    talk: Talk | None = None,
) -> Lock:
    """The lock that the same request on the same host, as of the same date, gives today.

    ``upgrade``: these packages may move, to what there was on ``as_of`` (default: the lock's date); others move only
    where that makes them. Without ``facts``, the user's own are read again from the files that the request names, if
    any. Raises NoCombinationError when the database now says that nothing does, UsageError for a package that the
    lock has not.
    """
    from envsolve.lock.changes import upgrade_plan

    upgrades, prefer = upgrade_plan(lock, upgrade, as_of)
    facts = facts or load(overlays=lock.request.facts)
    given = tuple(overlay.name for overlay in facts.overlays)
    same = [Path(name).name for name in given] == [Path(name).name for name in lock.request.facts]
    request = lock.request if same else lock.request.model_copy(update={"facts": given})
    solution = solve(request, lock.host, facts)
    if solution.chosen is None:
        raise NoCombinationError("the database now knows no combination for the request of this lock")
    again = _locked(solution, facts, offline, lock.as_of, talk, upgrades, prefer)
    # What was pinned stays pinned, and an image that has come since makes no lock stale.
    old, new = lock.image, again.image
    return _with_digests(
        again,
        old.digest if new.reference == old.reference else new.digest,
        old.python_digest if new.python_image == old.python_image else new.python_digest,
    )


def check_lock(lock: Lock, again: Lock, fates: Sequence[Change] = ()) -> None:
    """Raises OutOfDateError, naming what moved, unless two locks give the same environment.

    ``fates``: what became of the lock's files on the index, from ``index_fates``; it counts too.
    """
    from envsolve.lock.changes import changes, lines

    moved = (*fates, *changes(lock, again))
    if moved:
        raise OutOfDateError("the lock is not what its request gives today", facts=lines(moved))


def index_fates(lock: Lock, *, offline: bool = False) -> tuple[Change, ...]:
    """Files of a lock that were withdrawn, deleted or replaced on the index since; offline, as of the cached pages."""
    from envsolve.indexes import scopes_of
    from envsolve.lock.changes import fates
    from envsolve.lock.index import Index
    from envsolve.lock.pipconfig import user_config

    index = Index(user_config(), scopes=scopes_of(lock), offline=offline)
    try:
        return fates(lock, index)
    finally:
        index.close()


def check_files(folder: Path, files: dict[str, str]) -> None:
    """Raises OutOfDateError, naming them, unless every rendered file stands in the folder as rendered."""
    stale = []
    for name, text in sorted(files.items()):
        try:
            same = (folder / name).read_text("utf-8") == text
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            stale.append(name)
    if stale:
        raise OutOfDateError(
            f"{folder}: {', '.join(stale)} not as the lock renders",
            hints=(
                f"envsolve render {word(folder)}",
                f"envsolve render {word(folder)} --force   # gives up edits by hand",
            ),
        )


@dataclass(frozen=True)
class Outcome:
    """What was built, by which engine, and what the smoke test found."""

    engine: str
    built: Built
    smoke: SmokeReport
    frameworks: tuple[str, ...]
    """Names of the packages that the stack is about."""


def build(
    folder: Path, lock: Lock, talk: Talk, *, backend: str | None = None, prefix: Path | None = None,
    base: str | None = None, python_image: str | None = None, platform: str | None = None, attest: bool = False,
) -> tuple[Engine, Built]:  # fmt: skip
    """Build a folder with the engine that the lock's request names, or ``backend``, or the one that answers.

    ``base``: the image to build on in place of the lock's; ``python_image``: the one to copy the Python from in place
    of the lock's. Raises NotReadyError (no engine), BuildError or UsageError.
    """
    from envsolve.engine import select
    from envsolve.engine.last import remember

    engine = select(backend or lock.request.backend, need_gpu=lock.stack.device == "gpu", talk=talk)
    talk.say(f"engine: {engine.name}")
    if base and engine.name == "local":
        hints = (f"envsolve build {word(folder)} --backend docker",)
        raise UsageError("a local environment has no base image", hints=hints, code="contradictory-options")
    if engine.name == "local" and (platform or attest):
        option = "--platform" if platform else "--attest"
        raise UsageError(f"{option} is about an image, and a local environment is none", code="contradictory-options")
    settings = replace(_settings(prefix), base=base, python_image=python_image, platform=platform, attest=attest)
    built = engine.build(folder, lock, settings, talk)
    remember(lock, engine.name, prefix)
    return engine, built


def smoke(
    folder: Path,
    lock: Lock,
    talk: Talk,
    *,
    backend: str | None = None,
    prefix: Path | None = None,
    own: Path | None = None,
) -> Outcome:
    """Build when an earlier build of this lock is not there, and run the probe inside, and ``own`` beside it.

    Raises NotReadyError, BuildError, UsageError when ``own`` cannot be read; a probe that fails is a report.
    """
    from envsolve.engine import select
    from envsolve.engine.last import remember
    from envsolve.smoke import packed

    if own is not None:
        packed(own)  # before a build that may take long
    engine = select(backend or lock.request.backend, need_gpu=lock.stack.device == "gpu", talk=talk)
    built = engine.find(folder, lock, _settings(prefix))
    if built is None:
        built = engine.build(folder, lock, _settings(prefix), talk)
        remember(lock, engine.name, prefix)
    return run_smoke(engine, built, lock, folder, talk, own)


def run_smoke(engine: Engine, built: Built, lock: Lock, folder: Path, talk: Talk, own: Path | None = None) -> Outcome:
    """Prove what was built; ``own``: a check of the user's beside it."""
    from envsolve.smoke import smoke as prove

    report = prove(engine, built, lock, folder, talk, own)
    return Outcome(engine.name, built, report, tuple(f.name for f in lock.stack.frameworks))


def _settings(prefix: Path | None) -> BuildSettings:
    """The user's index, certificates and proxies for the build; they stay out of what is built."""
    from envsolve.engine.base import BuildSettings
    from envsolve.lock.pipconfig import container_settings, user_config

    return BuildSettings(prefix=prefix, container=container_settings(user_config()))
