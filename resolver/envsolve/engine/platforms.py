"""What a lock's wheels run on, and whether an engine is of that kind, in the words of container engines."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, time, timezone
from typing import TYPE_CHECKING

from envsolve.errors import UsageError

if TYPE_CHECKING:
    from envsolve.engine.base import BuildSettings
    from envsolve.models import Lock
    from envsolve.talk import Talk

# Wheel platform tags, ``uname -m`` and Go's names for the same processors
_NAMES = {
    "x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i686": "386", "i386": "386",
    "386": "386", "ppc64le": "ppc64le", "s390x": "s390x", "armv7l": "arm/v7",
}  # fmt: skip
_TAG = re.compile(r"[-.](?:many|musl)?linux(?:\d+|_\d+_\d+)?_(\w+?)(?=\.(?:many|musl)?linux|\.whl)")
_SHAPE = re.compile(r"linux/[a-z0-9]+(?:/[a-z0-9]+)?")


def of_lock(lock: Lock) -> str | None:
    """``linux/amd64``, as the locked wheels say; None where all of them run anywhere."""
    found = (_TAG.search(package.filename) for package in lock.packages)
    return next((f"linux/{_NAMES[m[1]]}" for m in found if m and m[1] in _NAMES), None)


def of_machine(name: str) -> str:
    """``linux/amd64`` for what an engine or ``uname`` calls its processor."""
    return f"linux/{_NAMES.get(name.lower(), name.lower())}"


def fitted(lock: Lock, settings: BuildSettings, machine: str, engine: str, talk: Talk) -> BuildSettings:
    """The settings with the platform to tell the builder, if any, and the lock's as-of date as the image's.

    ``machine``: what the engine calls its processor. Raises UsageError (``bad-platform``, ``contradictory-options``).
    """
    day = datetime.combine(lock.as_of, time(), timezone.utc)
    platform = to_build(lock, settings.platform, machine, engine, talk)
    return replace(settings, platform=platform, epoch=int(day.timestamp()))


def to_build(lock: Lock, asked: str | None, machine: str, engine: str, talk: Talk) -> str | None:
    """What the builder is told; None: nothing, because engine and wheels are of one kind. Says when they are not.

    Raises UsageError (``bad-platform``, ``contradictory-options``).
    """
    locked, here = of_lock(lock), of_machine(machine)
    if asked is not None:
        if not _SHAPE.fullmatch(asked):
            raise UsageError(f"--platform {asked[:80]}: not like linux/amd64", code="bad-platform")
        if locked is not None and asked != locked:
            raise UsageError(
                f"--platform {asked}: the locked wheels are for {locked}",
                hints=(f"--platform {locked}",),
                code="contradictory-options",
            )
    wanted = asked or locked
    if wanted is not None and wanted != here:
        talk.warn(
            f"{engine} is of {here}, and what is built is for {wanted}: each step is emulated, if at all"
            f" (docker run --privileged --rm tonistiigi/binfmt --install {wanted.partition('/')[2].partition('/')[0]})"
        )
        return wanted
    return asked
