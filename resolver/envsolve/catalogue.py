"""What the database consists of: each file with its digest, and the names by which a framework goes.

Finding that out means reading every file, so it is remembered between processes: a file that the file system says is
the same (size, times, inode) is not read again. Facts themselves are never remembered: rows are read from the
database and checked each time they are asked for, so nothing that stands in the cache can become a fact.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from envsolve.errors import DatabaseError

FORMAT = "envsolve/catalogue-1"
SETTLED_S = 2.0
"""A file changed less than this ago may change again without its times showing it: it is not remembered."""
_NOT_DATA = frozenset({"schema", "verified"})
"""The generated schemas; and what smoke tests proved, which answers nothing yet: to record it makes no lock stale."""

Stamp = list[int]


class File(NamedTuple):
    """One file of the database."""

    digest: str
    names: list[str] | None
    """Of a framework: its aliases and packages, in lower case."""


def catalogue(root: Path) -> dict[str, File]:
    """Every data file by its path below ``root``, in a fixed order.

    Framework files are looked into for their names, of others only the digest is taken. Raises DatabaseError for a
    file that cannot be read.
    """
    found = dict(sorted(_stamps(root, "")))
    kept = _kept(root)
    files, again, settled = {}, {}, time.time() - SETTLED_S
    for path, stamp in found.items():
        old = kept.get(path)
        file = File(*old[1]) if old is not None and old[0] == stamp else _look(root, path)
        files[path] = file
        if max(stamp[1:3]) < settled * 1e9:
            again[path] = [stamp, list(file)]
    if again != kept:
        _keep(root, again)
    return files


def _stamps(folder: Path | str, below: str) -> Iterator[tuple[str, Stamp]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if below or entry.name not in _NOT_DATA:
                        yield from _stamps(entry.path, f"{below}{entry.name}/")
                elif entry.name.endswith(".json"):
                    at = entry.stat()
                    yield f"{below}{entry.name}", [at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino]
    except OSError as error:
        raise DatabaseError(f"cannot read {error.filename}: {error.strerror}") from error


def _look(root: Path, path: str) -> File:
    try:
        content = (root / path).read_bytes()
    except OSError as error:
        raise DatabaseError(f"cannot read {root / path}: {error.strerror}") from error
    names = _names(content, path) if path.startswith("frameworks/") else None
    return File(hashlib.sha256(content).hexdigest(), names)


def _names(content: bytes, path: str) -> list[str]:
    """The aliases and packages of a framework; what breaks the schema is found when the framework is asked for."""
    value = parsed(content, path)
    aliases, builds = value.get("aliases"), value.get("builds")
    words = aliases if isinstance(aliases, list) else []
    rows = builds if isinstance(builds, list) else []
    words = [*words, *(row["package"] for row in rows if isinstance(row, dict) and "package" in row)]
    return sorted({word.lower() for word in words if isinstance(word, str)})


def parsed(content: bytes | str, where: object) -> dict[str, Any]:
    """A JSON object. Raises DatabaseError when it is none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DatabaseError(f"cannot read {where}: {error}") from error
    if not isinstance(value, dict):
        raise DatabaseError(f"{where}: the top level must be an object")
    return value


# -- what is kept --------------------------------------------------------------------------------------------


def _cache() -> Any:
    import platformdirs

    from envsolve.lock.cache import Cache

    return Cache(Path(platformdirs.user_cache_dir("envsolve", appauthor=False)) / "database")


def remembered(key: str) -> bytes | None:
    """What was kept under a key by this user; None when it is not there, broken, or may be another user's."""
    cache = _cache()
    if not _own(cache.directory):
        return None
    digest, _, content = (cache.get(key) or b"").partition(b"\n")
    return content if digest.decode("ascii", "replace") == hashlib.sha256(content).hexdigest() else None


def remember(key: str, content: bytes) -> None:
    """Keep it under a key, with a digest that shows a broken file. A cache that cannot be written is no error."""
    _cache().put(key, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def _own(folder: Path) -> bool:
    """Whether nobody else can write there (where the system tells)."""
    try:
        at = folder.stat()
    except OSError:
        return False
    return not hasattr(os, "geteuid") or (at.st_uid == os.geteuid() and not at.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _key(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16] + ".json"


def _kept(root: Path) -> dict[str, Any]:
    """Path -> [stamp, [digest, names]] as kept for this folder; empty when there is nothing to rely on."""
    content = remembered(_key(root))
    try:
        value = json.loads(content or b"{}")
        known = value.get("files", {}) if value.get("format") == FORMAT and value.get("root") == str(root) else {}
        return known if all(map(_sound, known.values())) else {}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _sound(entry: Any) -> bool:
    try:
        stamp, (digest, names) = entry
    except (TypeError, ValueError):
        return False
    return isinstance(stamp, list) and isinstance(digest, str) and (names is None or isinstance(names, list))


def _keep(root: Path, files: dict[str, Any]) -> None:
    document = {"format": FORMAT, "root": str(root), "files": files}
    remember(_key(root), json.dumps(document, separators=(",", ":")).encode())
