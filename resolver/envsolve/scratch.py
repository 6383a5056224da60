"""Temporary folders that do not outlive their process, and locks that two processes cannot both hold.

A process that is killed cannot tidy up, so whoever makes the next folder does: a folder whose maker lives is locked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ABANDONED_S = 3600.0
"""A folder nobody holds is left alone for so long: what its maker started may still be at work in it."""


@contextmanager
def folder(kind: str) -> Iterator[Path]:
    """An empty folder ``envsolve-KIND-*`` of ours alone, gone afterwards. Raises OSError where none can be made."""
    _sweep(f"envsolve-{kind}-")
    with tempfile.TemporaryDirectory(prefix=f"envsolve-{kind}-", ignore_cleanup_errors=True) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            _hold(handle)
            yield Path(name)
        finally:
            os.close(handle)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether we hold the lock file ``path`` now, and alone. Where none can be made, nobody is kept out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield True
        return
    try:
        yield _hold(handle)
    finally:
        os.close(handle)


def _hold(handle: int) -> bool:
    """Lock an open file or folder until it is closed; False when another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _sweep(prefix: str) -> None:
    """Remove this user's folders of that prefix whose makers are gone."""
    with suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            if entry.name.startswith(prefix):
                with suppress(OSError):
                    _remove_abandoned(Path(entry.path))


def _remove_abandoned(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        state = os.fstat(handle)
        if state.st_uid != os.getuid() or time.time() - state.st_mtime < _ABANDONED_S:
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)
