"""``envsolve run`` and ``envsolve shell``: find what a folder was built to, and run a command in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve.errors import NotReadyError, UsageError
from envsolve.quoting import word

if TYPE_CHECKING:
    from envsolve.engine.base import Built, Engine
    from envsolve.engine.overheard import Listener
    from envsolve.models import Lock
    from envsolve.talk import Talk

_NO_GPU = "none"


def run(
    folder: Path,
    lock: Lock,
    command: Sequence[str],
    talk: Talk,
    *,
    backend: str | None = None,
    prefix: Path | None = None,
    gpus: Sequence[str] | None = None,
) -> int:
    """Run a command (none: a shell) in what the folder was built to last, or by ``backend``; its exit code.

    A local environment's command takes the place of this process. Raises NotReadyError (``not-built``,
    ``no-gpu-runtime``, ``no-engine``), UsageError (``cpu-stack``, ``bad-gpu``).
    """
    wanted = gpus_of(lock, gpus)
    engine, built = find(folder, lock, talk, backend=backend, prefix=prefix, need_gpu=wanted is not None)
    return run_in(engine, built, lock, command, talk, gpus=wanted)


def run_in(
    engine: Engine,
    built: Built,
    lock: Lock,
    command: Sequence[str],
    talk: Talk,
    *,
    gpus: tuple[str, ...] | None,
    listener: Listener | None = None,
) -> int:
    """Run a command in what was found; its exit code. With a listener the end of its output is kept, and this
    process stays.
    """
    from envsolve.engine.apptainer import ApptainerEngine
    from envsolve.engine.buildah import BuildahEngine
    from envsolve.engine.docker import DockerEngine
    from envsolve.engine.run import Run, in_container, in_prefix
    from envsolve.repairs import fitting

    wanted = Run(tuple(command), gpus, fitting(lock), listener)
    if isinstance(engine, DockerEngine):
        return in_container(engine, built, lock, wanted, talk)
    if isinstance(engine, BuildahEngine):
        return engine.run_command(built, lock, wanted)
    if isinstance(engine, ApptainerEngine):
        return engine.run_command(built, lock, wanted, talk)
    return in_prefix(built, lock, wanted, talk)


def gpus_of(lock: Lock, typed: Sequence[str] | None) -> tuple[str, ...] | None:
    """Which GPUs: those named, else all for a stack of the GPU; None: none. Raises UsageError (``cpu-stack``)."""
    from envsolve.engine.gpu import chosen

    words = list(typed or ())
    if words == [_NO_GPU]:
        return None
    if lock.stack.device != "gpu":
        if words and words != ["auto"]:
            raise UsageError(
                "this stack was chosen for the CPU: it has no use for a GPU",
                hints=("envsolve why DIR   # why, and what would use the GPU",),
                code="cpu-stack",
            )
        return None
    return chosen(words)


def find(
    folder: Path, lock: Lock, talk: Talk, *, backend: str | None, prefix: Path | None, need_gpu: bool
) -> tuple[Engine, Built]:
    """What the folder was built to: by this engine, else where it was built last, else by the engine that answers.

    Raises NotReadyError (``not-built``) with the command that builds it.
    """
    from envsolve.engine import select
    from envsolve.engine.base import BuildSettings
    from envsolve.engine.last import recall

    last = recall(lock)
    if last and backend in (None, "auto", last[0]) and prefix is None:
        backend, prefix = last
    engine = select(backend or lock.request.backend, need_gpu=need_gpu, talk=talk)
    built = engine.find(folder, lock, BuildSettings(prefix=prefix)) or _labelled(engine, lock)
    if built is None:
        where = f" at {prefix}" if prefix else ""
        options = f" --prefix {word(prefix)}" if prefix else f" --backend {engine.name}" if backend else ""
        raise NotReadyError(
            f"{folder} is not built by {engine.name}{where}, or its lock is another since",
            hints=(f"envsolve build {word(folder)}{options}",),
            code="not-built",
        )
    return engine, built


def _labelled(engine: Engine, lock: Lock) -> Built | None:
    """An image of this lock under another name, as plain ``docker build -t NAME DIR`` makes it."""
    from envsolve.engine.docker import DockerEngine

    return engine.labelled(lock) if isinstance(engine, DockerEngine) else None
