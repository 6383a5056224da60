"""What a file needs, from the index, through the cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.sdistmeta import read_sdist
from envsolve.lock.wheelmeta import MetadataError, read_wheel

__all__ = ["Metadata", "MetadataError", "read_metadata"]

_KIND = "metadata-3"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Requirements as written. ``requires``: None when only running the package's code would tell."""

    requires: tuple[str, ...] | None
    build_requires: tuple[str, ...] | None
    how: str
    compiled: bool
    by_python: bool = False


def read_metadata(index: Index, file: File) -> Metadata:
    """What the file states about itself; no code of it is run.

    Raises MetadataError when it cannot be read, NotReadyError when the index does not answer.
    """
    kept = index.kept_by_hash(_KIND, file.sha256)
    if kept is not None:
        try:
            return _load(kept)
        except (ValueError, TypeError, KeyError):
            pass  # a cache from another version, or a broken one: read it again
    if file.is_wheel:
        found = Metadata(read_wheel(index, file), (), "wheel", compiled=False)
    else:
        sdist = read_sdist(index.download(file.url, file.filename, file.sha256), file.filename)
        found = Metadata(sdist.requires, sdist.build_requires, sdist.how, sdist.compiled, sdist.by_python)
    index.keep_by_hash(_KIND, file.sha256, json.dumps(asdict(found)).encode())
    return found


def _load(content: bytes) -> Metadata:
    value = json.loads(content)
    return Metadata(
        requires=None if value["requires"] is None else tuple(value["requires"]),
        build_requires=None if value["build_requires"] is None else tuple(value["build_requires"]),
        how=str(value["how"]),
        compiled=bool(value["compiled"]),
        by_python=bool(value["by_python"]),
    )
