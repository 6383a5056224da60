"""``DIR/vendor``: the locked files beside the lock, and the base image, so that a build needs no network.

``vendor/vendored.json`` says what is there. It is written last: a folder counts as vendored for a lock when that record
names every file of the lock and every file is there in its size. The hashes are pip's to check when it installs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.lock.pages import plain_name
from envsolve.lock.pylock import VENDOR

if TYPE_CHECKING:
    from envsolve.facts import Tool
    from envsolve.lock.fetch import Progress
    from envsolve.lock.index import Index
    from envsolve.models import Lock

SCHEMA = "envsolve/vendor-1"
RECORD = "vendored.json"
IMAGE = "image.tar"
TOOLS = "tools"
"""The folder, within ``vendor``, of what envsolve itself needs to make a local environment."""


@dataclass(frozen=True)
class Foundation:
    """What an image archive holds: the base image with the system's packages, under names of our own.

    ``base``: for the image; ``build``: the same with what only building needs, or ``base`` where that is nothing.
    """

    base: str
    build: str
    ids: tuple[str, ...]
    size: int
    """Bytes of the archive."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its images, each once."""
        return tuple(dict.fromkeys((self.base, self.build)))


@dataclass(frozen=True)
class Vendored:
    """What a folder has of its lock. ``foundation``: None while the image still comes from its registry."""

    foundation: Foundation | None = None


def state(folder: Path, lock: Lock) -> Vendored | None:
    """What the folder has for this very lock; None: not every file of it."""
    record = _record(folder)
    files = record.get("files")
    if not isinstance(files, dict) or any(files.get(p.filename) != p.sha256 for p in lock.packages):
        return None
    if any(_size(folder / VENDOR / p.filename) != p.size for p in lock.packages):
        return None
    from envsolve.render import foundation_name

    return Vendored(foundation(folder, foundation_name(lock)) if record.get("image") else None)


def foundation(folder: Path, name: str) -> Foundation | None:
    """The image archive of a folder, if it holds the images that ``render.foundation_name`` names."""
    value: Any = _record(folder).get("image")
    try:
        base, build, size = str(value["base"]), str(value["build"]), int(value["size"])
        found = Foundation(base, build, tuple(map(str, value["ids"])), size)
    except (TypeError, KeyError, ValueError):
        return None
    right = " ".join(found.names) == name and _size(folder / VENDOR / IMAGE) == size
    return found if right else None


def fetch_files(folder: Path, lock: Lock, index: Index, tools: tuple[Tool, ...], progress: Progress | None) -> int:
    """Have every file of the lock, and of the tools, in ``vendor``; how many had to be fetched.

    Files that an earlier lock had and this one has not are removed. Raises NotReadyError as ``fetch`` does.
    """
    from envsolve.lock.fetch import Wanted, fetch

    place = folder / VENDOR
    fetched = fetch(index, [Wanted(p.name, p.filename, p.sha256, p.size) for p in lock.packages], place, progress)
    extra = [Wanted(f.name, f.filename, f.sha256) for tool in tools for f in tool.files]
    if extra:
        fetched += fetch(index, extra, place / TOOLS, None)
    former = _record(folder)
    files = {p.filename: p.sha256 for p in lock.packages}
    for name in former.get("files") or {}:
        if name not in files and plain_name(str(name)):
            (place / str(name)).unlink(missing_ok=True)
    _write_record(folder, files, former.get("image"))
    return fetched


def keep_foundation(folder: Path, found: Foundation | None) -> None:
    """Say which image archive the folder has; an archive that is none of this lock is removed."""
    if found is None:
        (folder / VENDOR / IMAGE).unlink(missing_ok=True)
    _write_record(folder, _record(folder).get("files") or {}, asdict(found) if found else None)


def _record(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        value = json.loads((folder / VENDOR / RECORD).read_text(encoding="utf-8"))
        if isinstance(value, dict) and value.get("schema") == SCHEMA:
            return value
    return {}


def _write_record(folder: Path, files: Mapping[str, str], image: Any) -> None:
    place = folder / VENDOR / RECORD
    temporary = place.with_name(f".{RECORD}.part")
    text = json.dumps({"schema": SCHEMA, "files": dict(files), "image": image}, indent=1, sort_keys=True) + "\n"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(place)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
