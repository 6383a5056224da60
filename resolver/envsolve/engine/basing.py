"""Another image in place of the lock's base: a mirror's copy of it, or one of the person's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envsolve.errors import UsageError
from envsolve.quoting import checked

if TYPE_CHECKING:
    from envsolve.models import Lock

_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def stand_in(lock: Lock, base: str | None, mirror: str | None) -> str | None:
    """The image to build on, when it is not to be the lock's own; what BASE is set to.

    Raises UsageError (``bad-image``, ``bad-host``, ``contradictory-options``).
    """
    if base and mirror:
        raise UsageError("--base names the image, and --registry-mirror where to find it", code="contradictory-options")
    if base:
        name, at, digest = base.partition("@")
        _shaped("image reference", name, "--base", "bad-image")
        if at:
            _shaped("image digest", digest, "--base", "bad-image")
        return base
    if mirror:
        host = mirror.removeprefix("https://").rstrip("/")
        _shaped("host", host.partition("/")[0], "--registry-mirror", "bad-host")
        return mirrored(lock.image.reference, lock.image.digest, host)
    return None


def python_stand_in(lock: Lock, mirror: str | None) -> str | None:
    """The image to copy the Python from, when it is not the lock's own; of a ``mirror`` that ``stand_in`` took."""
    if mirror is None or lock.image.python_image is None:
        return None
    return mirrored(lock.image.python_image, lock.image.python_digest, mirror.removeprefix("https://").rstrip("/"))


def mirrored(reference: str, digest: str | None, host: str) -> str:
    """The name of a Docker Hub image's copy on a mirror: the same path.

    Raises UsageError (``bad-image``) for an image of another registry.
    """
    registry, slash, path = reference.partition("/")
    named = bool(slash) and ("." in registry or ":" in registry or registry == "localhost")
    if named and registry not in _HUB:
        raise UsageError(
            f"{reference} is not on Docker Hub, which --registry-mirror stands in for",
            hints=("--base HOST/NAME:TAG",),
            code="bad-image",
        )
    name = path if named else reference
    name = name if "/" in name else f"library/{name}"
    found = checked("image reference", f"{host}/{name}")
    return f"{found}@{digest}" if digest else found


def _shaped(kind: str, text: str, option: str, code: str) -> None:
    try:
        checked(kind, text)
    except UsageError:
        raise UsageError(f"{option}: {text[:80]!r} has not the shape of one ({kind})", code=code) from None
