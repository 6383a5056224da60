"""A disk cache of small files: written whole or not at all, safe for several processes at once."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

import platformdirs


class Cache:
    """Bytes by key, with their age. A cache that cannot be written is no error: it just remembers nothing."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or Path(platformdirs.user_cache_dir("envsolve", appauthor=False)) / "index"

    def get(self, key: str) -> bytes | None:
        """What was kept under the key."""
        try:
            return (self.directory / key).read_bytes()
        except OSError:
            return None

    def age(self, key: str) -> float | None:
        """Seconds since it was kept or found fresh."""
        try:
            return max(0.0, time.time() - (self.directory / key).stat().st_mtime)
        except OSError:
            return None

    def put(self, key: str, content: bytes) -> None:
        """Keep it: a reader sees the old content or the new one, never a part."""
        path = self.directory / key
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).replace(path)
        except OSError:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()

    def touch(self, key: str) -> None:
        """Say that it is fresh again."""
        with contextlib.suppress(OSError):
            os.utime(self.directory / key)
