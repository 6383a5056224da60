"""``envsolve vendor``: what a build of a folder needs, brought into the folder, and what could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.errors import EnvsolveError, NotReadyError
from envsolve.lock import vendoring
from envsolve.lock.pylock import VENDOR
from envsolve.models import Lock

if TYPE_CHECKING:
    from envsolve.facts import Tool
    from envsolve.lock.vendoring import Foundation
    from envsolve.talk import Talk

SCHEMA = "envsolve/vendored-1"


@dataclass(frozen=True)
class Report:
    """What ``vendor`` holds now. ``missing``: what a build still takes from the network, and why no image is there."""

    folder: Path
    files: int
    fetched: int
    size: int
    foundation: Foundation | None = None
    missing: tuple[str, ...] = ()
    why_no_image: str | None = None
    image: str = ""
    packages: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """The report as a person reads it."""
        there = f", {self.fetched} of them fetched now" if self.fetched else ", all there already"
        lines = [f"Files    {self.folder / VENDOR}/: {self.files}, {_megabytes(self.size)}{there}"]
        if self.foundation is not None:
            with_ = f" with {', '.join(self.packages)}" if self.packages else ""
            size = _megabytes(self.foundation.size)
            lines.append(f"Image    {self.folder / VENDOR / vendoring.IMAGE}, {size}: {self.image}{with_}")
            lines.append("Network  none needed")
            lines.append(f"         docker load -i {self.folder / VENDOR / vendoring.IMAGE}")
            lines.append(f"         docker build --network none {self.folder}")
        else:
            lines.append(f"Network  still needed for: {'; '.join(self.missing) or 'nothing'}")
            if self.why_no_image:
                lines.append(f"         {self.why_no_image}")
        return "\n".join(lines) + "\n"

    def document(self) -> dict[str, Any]:
        """The report for ``--json``."""
        image = None
        if self.foundation is not None:
            image = {
                "names": list(self.foundation.names),
                "ids": list(self.foundation.ids),
                "size": self.foundation.size,
            }
        return {
            "schema": SCHEMA, "folder": str(self.folder), "files": self.files, "fetched": self.fetched,
            "size": self.size, "image": image, "still_needs_network_for": list(self.missing),
            "why_no_image": self.why_no_image,
        }  # fmt: skip


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def vendor(folder: Path, lock: Lock, talk: Talk, *, backend: str | None = None, offline: bool = False) -> Report:
    """Bring the locked files into ``vendor``, and with a container engine the image that they are installed on.

    ``backend``: "local" leaves the image out. The folder's Dockerfile is the caller's to render again. Raises
    NotReadyError: a file that cannot be had, an engine that was named and does not answer.
    """
    from envsolve.indexes import scopes_of
    from envsolve.lock.index import Index
    from envsolve.lock.pipconfig import user_config

    index = Index(user_config(), scopes=scopes_of(lock), offline=offline)
    try:
        with talk.step("files"):
            fetched = vendoring.fetch_files(folder, lock, index, _tools(lock), _progress(talk))
    finally:
        index.close()
    found, why = _image(folder, lock, talk, backend or lock.request.backend)
    vendoring.keep_foundation(folder, found)
    apt = (*lock.image.python_packages, *lock.image.apt_pins, *lock.system_packages, *lock.build_packages)
    return Report(
        folder=folder,
        files=len(lock.packages),
        fetched=fetched,
        size=sum(package.size for package in lock.packages),
        foundation=found,
        missing=() if found else _missing(lock, apt),
        why_no_image=why,
        image=lock.image.reference,
        packages=tuple(dict.fromkeys(apt)),
    )


def _missing(lock: Lock, apt: Sequence[str]) -> tuple[str, ...]:
    if lock.request.backend == "local":
        return ()
    names = tuple(dict.fromkeys(apt))
    copied = (f"the image {lock.image.python_image}",) if lock.image.python_image else ()
    packages = (f"apt packages {', '.join(names)}",) if names else ()
    return (f"the base image {lock.image.reference}", *copied, *packages)


def _tools(lock: Lock) -> tuple[Tool, ...]:
    """What makes a local environment of a Python that has no venv of its own."""
    from envsolve.engine import virtual
    from envsolve.matrices import load

    return () if virtual.has_venv(lock.stack.python) else (load().tools[virtual.TOOL],)


def _progress(talk: Talk) -> Any:
    def tell(files: int, of_files: int, size: int, of_size: int) -> None:
        talk.detail(f"{files} of {of_files} files, {_megabytes(size)} of {_megabytes(of_size)}")

    return tell


def _image(folder: Path, lock: Lock, talk: Talk, backend: str) -> tuple[Foundation | None, str | None]:
    """The image archive, or why there is none."""
    from envsolve.engine import select
    from envsolve.engine.base import BuildSettings
    from envsolve.engine.docker import DockerEngine
    from envsolve.engine.foundation import keep
    from envsolve.lock.pipconfig import container_settings, user_config

    if backend == "local":
        return None, None
    engine = select(backend, talk=talk)
    if not isinstance(engine, DockerEngine):
        return None, "no container engine answers here, so that the image is not kept"
    try:
        return keep(engine, folder, lock, BuildSettings(container=container_settings(user_config())), talk), None
    except NotReadyError as error:
        if error.code == "disk-full":
            raise
        return None, f"{engine.name} could not make the image: {error.message}"
    except EnvsolveError as error:
        return None, f"{engine.name} could not make the image: {error.message}"
