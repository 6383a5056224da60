"""A folder that holds one environment: who owns it, whether it is whole, and how it is made and taken back.

Environments cannot be moved once made, so one is made where it stays. A marker inside says of which lock it is
and whether it is complete; while it is being made the marker is locked, so that an environment left half-made by
a killed process is told apart from one that another process is making.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from envsolve.errors import NotReadyError, UsageError
from envsolve.quoting import word

SCHEMA = "envsolve/prefix-1"
MARKER = "envsolve-prefix.json"

State = Literal["absent", "complete", "incomplete", "foreign"]


@dataclass(frozen=True)
class Found:
    """What stands at a prefix: ``lock`` is the digest of the lock it was made of."""

    state: State
    lock: str | None = None


def inspect(prefix: Path) -> Found:
    """What is there. Raises UsageError when it is no folder, OSError when it cannot be looked into."""
    try:
        names = {entry.name for entry in prefix.iterdir()}
    except FileNotFoundError:
        return Found("absent")
    except NotADirectoryError as error:
        raise UsageError(f"{prefix} is a file, not a folder for an environment", code="bad-prefix") from error
    if not names:
        return Found("absent")
    try:
        value = json.loads((prefix / MARKER).read_bytes())
    except (OSError, ValueError):
        # An empty marker is what a process leaves that was killed at once.
        ours = MARKER in names and not (prefix / MARKER).read_bytes()
        return Found("incomplete" if ours else "foreign")
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        return Found("foreign")
    lock = value.get("lock")
    state: State = (
        "complete" if value.get("complete") is True and (prefix / "bin" / "python").exists() else "incomplete"
    )
    return Found(state, lock if isinstance(lock, str) else None)


def refuse(prefix: Path, found: Found) -> UsageError:
    """The error for a folder that is not ours to change."""
    what = "an environment of another lock" if found.state == "complete" else "files that envsolve did not put there"
    return UsageError(
        f"{prefix} holds {what}",
        hints=(
            "envsolve build DIR --backend local --prefix ANOTHER",
            f"rm -r {word(prefix)}   # when nothing in it is wanted",
        ),
        code="prefix-taken",
    )


@contextmanager
def making(prefix: Path, digest: str) -> Iterator[None]:
    """Hold the empty or half-made folder while an environment is made in it; complete it, or take all back.

    Raises NotReadyError when another process is making one there.
    """
    existed = prefix.is_dir()
    prefix.mkdir(parents=True, exist_ok=True)
    with (prefix / MARKER).open("a+", encoding="utf-8") as marker:
        _hold(marker, prefix)
        try:
            _empty(prefix)
            _write(marker, digest)
            yield
            _complete(prefix, digest)
        except BaseException:
            _empty(prefix)
            (prefix / MARKER).unlink(missing_ok=True)
            if not existed:
                shutil.rmtree(prefix, ignore_errors=True)
            raise


def _hold(marker: TextIO, prefix: Path) -> None:
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise NotReadyError(
            f"another envsolve is making the environment at {prefix}", hints=("try again when it has ended",),
            code="prefix-busy",
        ) from error  # fmt: skip


def _document(digest: str, complete: bool) -> str:
    return json.dumps({"schema": SCHEMA, "lock": digest, "complete": complete}, sort_keys=True) + "\n"


def _write(marker: TextIO, digest: str) -> None:
    marker.seek(0)
    marker.truncate()
    marker.write(_document(digest, complete=False))
    marker.flush()


def _complete(prefix: Path, digest: str) -> None:
    temporary = prefix / f".{MARKER}"
    temporary.write_text(_document(digest, complete=True), encoding="utf-8")
    temporary.replace(prefix / MARKER)


def _empty(prefix: Path) -> None:
    """Remove all but the marker."""
    for entry in os.scandir(prefix):
        if entry.name != MARKER:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)
