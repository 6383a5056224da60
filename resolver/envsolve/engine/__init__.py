"""Build and run what was rendered: a container engine, or a local prefix without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envsolve.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    from envsolve.engine.base import Engine
    from envsolve.engine.detect import Kind, Search
    from envsolve.talk import Talk

__all__ = ["JOIN", "select", "warn_refused"]

_START = {
    "docker": ("sudo apt-get install docker.io", "sudo systemctl start docker"),
    "podman": ("sudo apt-get install podman", "systemctl --user start podman.socket"),
}


JOIN = 'sudo usermod -aG docker "$USER" && newgrp docker'
"""What lets a user of this machine use its engine."""


def select(backend: str, *, need_gpu: bool = False, talk: Talk | None = None) -> Engine:
    """The engine of that name; ``auto``: the container engine that answers, else a local prefix.

    ``talk`` is told when ``auto`` passes over an engine that is there but refuses this user.
    Raises NotReadyError (``no-engine``, ``engine-permission``) when the named one does not answer, and for a
    GPU stack where podman is too old to hand a GPU on.
    """
    if backend == "local":
        return _local()
    if backend == "buildah":
        from envsolve.engine.buildah import BuildahEngine

        return BuildahEngine()
    if backend == "apptainer":
        from envsolve.engine.apptainer import ApptainerEngine

        return ApptainerEngine()
    if backend not in ("auto", "docker", "podman"):
        raise UsageError(
            f"there is no backend {backend!r}",
            hints=("--backend auto|docker|podman|buildah|apptainer|local",),
            code="bad-option",
        )
    from envsolve.engine.detect import search

    found = search(_kind(backend))
    if found.endpoint is None:
        if backend == "auto":
            _warn(found, talk)
            return _local()
        raise _silent(backend, found)
    from envsolve.engine.docker import DockerEngine

    return DockerEngine(found.endpoint, need_gpu=need_gpu)


def _kind(backend: str) -> Kind | None:
    kinds: dict[str, Kind] = {"docker": "docker", "podman": "podman"}
    return kinds.get(backend)


def warn_refused(talk: Talk) -> None:
    """Say when a container engine is there but refuses this user, so that it is passed over."""
    from envsolve.engine.detect import search

    found = search()
    if found.endpoint is None:
        _warn(found, talk)


def _warn(found: Search, talk: Talk | None) -> None:
    refused = _refused(found)
    if refused and talk is not None:
        talk.warn(f"passing over the container engine at {refused[0]}: this user may not use it ({JOIN})")


def _refused(found: Search) -> list[str]:
    return [address for address, trouble in found.troubles if trouble == "permission"]


def _local() -> Engine:
    from envsolve.engine.local import LocalEngine

    return LocalEngine()


def _silent(backend: str, found: Search) -> NotReadyError:
    """Why a named engine cannot be used, and the commands that change it."""
    local = "envsolve build DIR --backend local   # no engine needed"
    refused = _refused(found)
    if refused:
        return NotReadyError(
            f"{backend} runs at {refused[0]}, and this user may not use it",
            hints=(JOIN, local),
            code="engine-permission",
        )
    facts = tuple(f"{address}: {_WORDS[trouble]}" for address, trouble in found.troubles)
    return NotReadyError(
        f"{backend} does not answer on this machine", facts=facts, hints=(*_START[backend], local), code="no-engine"
    )


_WORDS = {"silent": "gave no answer in time", "unreadable": "answered, but not as an engine does"}
