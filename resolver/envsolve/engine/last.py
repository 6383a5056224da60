"""Where a lock was built last: so that what runs is what was built, without naming it again."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envsolve.models import Lock

_SCHEMA = "envsolve/built-1"


def remember(lock: Lock, engine: str, prefix: Path | None) -> None:
    """Say that this lock now stands there. A state folder that cannot be written is no trouble of the build's."""
    path = _path(lock)
    value = {"schema": _SCHEMA, "engine": engine, "prefix": str(prefix.expanduser().absolute()) if prefix else None}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(value, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(path)


def recall(lock: Lock) -> tuple[str, Path | None] | None:
    """The engine that built this lock last, and the local one's prefix; None: nobody knows."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        value = json.loads(_path(lock).read_text(encoding="utf-8"))
        if value["schema"] == _SCHEMA and value["engine"] in ("docker", "podman", "buildah", "apptainer", "local"):
            return str(value["engine"]), Path(value["prefix"]) if value["prefix"] else None
    return None


def _path(lock: Lock) -> Path:
    import platformdirs

    from envsolve.render import lock_hash

    return platformdirs.user_state_path("envsolve") / "built" / f"{lock_hash(lock)}.json"
