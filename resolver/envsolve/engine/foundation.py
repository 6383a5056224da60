"""The images that a vendored folder stands on: made from its lock, kept in ``vendor/image.tar``, taken from there."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve import scratch
from envsolve.engine.base import BuildSettings
from envsolve.engine.context import BuildLog, build_arguments, secrets
from envsolve.engine.failures import build_failure
from envsolve.errors import BuildError, NotReadyError
from envsolve.lock.pylock import VENDOR
from envsolve.lock.vendoring import IMAGE, Foundation, foundation
from envsolve.models import Lock
from envsolve.render import foundation_files, foundation_name

if TYPE_CHECKING:
    from envsolve.engine.docker import DockerEngine
    from envsolve.talk import Talk

_PIECE = 1 << 20


def keep(engine: DockerEngine, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Foundation:
    """Have the lock's images in ``vendor/image.tar``: made where the engine has them not, saved where it holds others.

    The former archive stays until the new one is whole. Raises BuildError, NotReadyError (``no-base-image``,
    ``disk-full``, ``engine-lost``).
    """
    files = foundation_files(lock)
    for name, dockerfile in files.items():
        if engine.image_id(name) is None:
            _make(engine, lock, name, dockerfile, settings, talk)
    names = list(files)
    ids = tuple(str(engine.image_id(name)) for name in names)
    kept = foundation(folder, foundation_name(lock))
    if kept is not None and kept.ids == ids:
        return kept
    with talk.step(f"{engine.name}: saving the image"):
        size = _save(engine, names, folder / VENDOR / IMAGE)
    return Foundation(base=names[0], build=names[-1], ids=ids, size=size)


def have(engine: DockerEngine, folder: Path, lock: Lock, talk: Talk) -> bool:
    """Load the images of a vendored folder where the engine has them not; whether the folder brings them at all."""
    kept = foundation(folder, foundation_name(lock))
    if kept is None:
        return False
    if any(engine.image_id(name) is None for name in kept.names):
        with talk.step(f"{engine.name}: loading {folder / VENDOR / IMAGE}"):
            engine.load(folder / VENDOR / IMAGE)
    return True


def _make(engine: DockerEngine, lock: Lock, name: str, dockerfile: str, settings: BuildSettings, talk: Talk) -> None:
    arguments = build_arguments(settings.container)
    log = BuildLog(name.rpartition(":")[2], talk, secrets(arguments))
    try:
        with scratch.folder("build") as context, talk.step(f"{engine.name}: {name}"):
            _lay_out(context, dockerfile, settings)
            failure = engine.make(context, name, arguments, settings, log)
            if failure is not None:
                raise build_failure(log.tail, log.clean(failure), lock, log.path, engine.name)
    finally:
        log.close()
    if engine.image_id(name) is None:
        raise BuildError(f"{engine.name} made {name} and does not have it")


def _lay_out(context: Path, dockerfile: str, settings: BuildSettings) -> None:
    (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    (context / "requirements.txt").write_text("", encoding="utf-8")  # a copy must find something
    bundle = settings.container.ca_bundle
    if bundle is not None and bundle.is_file():
        (context / "ca.crt").write_bytes(bundle.read_bytes())


def _save(engine: DockerEngine, names: list[str], target: Path) -> int:
    """Write the archive; its size."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            for piece in engine.saved(names, _PIECE):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NotReadyError(
                "the disk is full: the image is not saved", hints=(f"df -h {target.parent}",), code="disk-full"
            ) from error
        raise
    return target.stat().st_size
