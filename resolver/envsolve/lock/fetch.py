"""Download the locked files: in parallel, going on where a cut download ended, each whole and proved before it counts.

A file that is not complete has a name of its own (``.NAME.part``) and gets the real one only after its size and SHA-256
were found right, so a folder never holds a file that is not what the lock says.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from threading import Lock as Mutex
from typing import TYPE_CHECKING, Any

from envsolve.errors import NotReadyError

if TYPE_CHECKING:
    from envsolve.lock.index import Index

PARALLEL = 6
_CHUNK = 1 << 18
_TRIES = 5
"""Tries in a row that bring nothing before a download is given up."""

Progress = Callable[[int, int, int, int], None]
"""Files done, files in all, bytes done, bytes in all."""


@dataclass(frozen=True)
class Wanted:
    """One file to have. ``name`` is its project's."""

    name: str
    filename: str
    sha256: str
    size: int | None = None


@dataclass
class _State:
    """How far all downloads are."""

    files: int
    size: int
    progress: Progress | None
    done: int = 0
    had: int = 0
    stopped: Event = field(default_factory=Event)
    _mutex: Mutex = field(default_factory=Mutex)

    def add(self, size: int, files: int = 0) -> None:
        with self._mutex:
            self.had += size
            self.done += files
            if self.progress is not None:
                self.progress(self.done, self.files, self.had, self.size)


def fetch(index: Index, wanted: Sequence[Wanted], folder: Path, progress: Progress | None = None) -> int:
    """Have all files in the folder; the number of those that had to be fetched.

    What is there and right is left alone. Raises NotReadyError: ``gone-from-index`` (naming every file that the
    index has no more), ``hash-mismatch``, ``no-network``, ``index-error``, ``disk-full``. What was finished stays, and
    what was cut off goes on from there the next time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in wanted if not _there(folder / one.filename, one)]
    if not missing:
        return 0
    addresses = _addresses(index, missing)
    state = _State(len(missing), sum(one.size or 0 for one in missing), progress)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch") as pool:
        jobs = [pool.submit(_fetch, index, addresses[one.filename], folder, one, state) for one in missing]
        _wait(jobs, state)
    return len(missing)


def _wait(jobs: Iterable[Future[None]], state: _State) -> None:
    """Until all are done; the first failure ends the others at their next piece."""
    try:
        for job in as_completed(list(jobs)):
            job.result()
    except BaseException:
        state.stopped.set()
        for job in jobs:
            job.cancel()
        raise


def _there(path: Path, wanted: Wanted) -> bool:
    """Whether the right file is there. A wrong one is no file of the lock: it is replaced."""
    try:
        if path.is_symlink() or (wanted.size is not None and path.stat().st_size != wanted.size):
            return False
        with path.open("rb") as file:
            return _digest(file).hexdigest() == wanted.sha256
    except OSError:
        return False


def _addresses(index: Index, wanted: Iterable[Wanted]) -> dict[str, str]:
    """Where the index has each file now, by its name and hash."""
    listed = list(wanted)
    index.prefetch(one.name for one in listed)
    found: dict[str, str] = {}
    gone: list[str] = []
    for one in listed:
        same = [f for f in index.project(one.name).files if f.filename == one.filename]
        right = next((f for f in same if f.sha256 == one.sha256), None)
        if right is not None:
            found[one.filename] = right.url
        else:
            gone.append(f"{one.filename}: " + ("the index has another file of that name" if same else "deleted"))
    if gone:
        raise NotReadyError(
            f"the index has {len(gone)} of the locked files no more",
            facts=tuple(gone),
            hints=("envsolve lock DIR --check   # what a new lock would have instead",),
            code="gone-from-index",
        )
    return found


def _fetch(index: Index, url: str, folder: Path, wanted: Wanted, state: _State) -> None:
    """One file, to its end."""
    part = folder / f".{wanted.filename}.part"
    best, idle, resumed = _size(part), 0, part.exists()
    state.add(best)
    while not _try(index, url, part, wanted, state):
        if state.stopped.is_set():
            return
        size = _size(part)
        if size < (wanted.size or 0):  # cut off
            best, idle = max(best, size), 0 if size > best else idle + 1
            if idle >= _TRIES:
                raise NotReadyError(
                    f"{wanted.filename} breaks off after {size} of {wanted.size} bytes, again and again",
                    hints=("the same command again   # goes on from there",),
                    code="no-network",
                )
            time.sleep(min(0.2 * 2**idle, 3.0))
            continue
        part.unlink(missing_ok=True)
        if not resumed:  # a part from an earlier day may be of another file: begin anew, once
            raise _other_file(wanted)
        state.add(-size)
        best, resumed = 0, False
    part.replace(folder / wanted.filename)
    state.add(0, files=1)


def _other_file(wanted: Wanted) -> NotReadyError:
    return NotReadyError(
        f"{wanted.filename} is not the file that was locked: its size or its SHA-256 differs",
        hints=("try again; if it stays so, the mirror or a proxy changes files",),
        code="hash-mismatch",
    )


def _try(index: Index, url: str, part: Path, wanted: Wanted, state: _State) -> bool:
    """One request, from where the part ends -> whether the part is now the right file."""
    try:
        with part.open("ab+") as file:
            file.seek(0)
            digest = _digest(file)
            have = file.tell()
            if wanted.size is None or have < wanted.size:
                with suppress(ConnectionAbortedError):
                    _append(index, url, file, have, digest, wanted, state)
            file.flush()
            os.fsync(file.fileno())
            have = file.tell()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise NotReadyError(
                f"the disk is full: {wanted.filename} is not fetched", hints=(f"df -h {part.parent}",), code="disk-full"
            ) from error
        raise NotReadyError(f"{part} cannot be written: {error.strerror or error}", code="cannot-write") from error
    except NotReadyError as error:
        if error.code == "hash-mismatch":
            part.unlink(missing_ok=True)
        raise
    return (wanted.size is None or have == wanted.size) and digest.hexdigest() == wanted.sha256


def _append(index: Index, url: str, file: Any, have: int, digest: _Digest, wanted: Wanted, state: _State) -> None:
    """What the server gives from there on, no more than the file has and a byte; ConnectionAbortedError: cut off."""
    for start, chunk in index.stream(url, wanted.filename, have):
        if state.stopped.is_set():
            return
        if start is None:
            raise _other_file(wanted)
        if start != have:  # the server begins elsewhere: from the start, mostly
            if start != 0:
                raise NotReadyError(f"the index gives another part of {wanted.filename}", code="index-error")
            file.truncate(0)
            digest.restart()
            state.add(-have)
            have = 0
        room = None if wanted.size is None else wanted.size + 1 - have
        file.write(chunk[:room])
        digest.update(chunk[:room])
        have += len(chunk[:room])
        state.add(len(chunk[:room]))
        if room is not None and room <= len(chunk):
            return


class _Digest:
    """A SHA-256 that can begin anew."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def restart(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _digest(file: Any) -> _Digest:
    digest = _Digest()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
