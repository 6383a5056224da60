"""The files of what is scanned, within bounds: no link is followed, nothing special is opened, sizes are limited."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 16
MOST_FILES = 20_000
LARGEST_TEXT = 2 << 20
"""Bytes; a source or a text beyond this size is data."""
_SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".tox", ".nox", ".eggs", ".venv", "venv", "env", "virtualenv", "__pycache__"),
        *("node_modules", "site-packages", "dist-packages", ".mypy_cache", ".ipynb_checkpoints", ".pytest_cache"),
    }
)


@dataclass(frozen=True)
class Entry:
    """A file: where it is, and its path below what was scanned, '/' between folders."""

    path: Path
    name: str
    size: int

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]


@dataclass
class Listing:
    """The files in a fixed order, and what was left out and why."""

    files: list[Entry]
    notes: list[str]


def listing(root: Path, most: int = MOST_FILES) -> Listing:
    """Every regular file below a folder (so many of them at most), or the one file that was named."""
    if not root.is_dir():
        return Listing([Entry(root, root.name, root.stat().st_size)], [])
    found = Listing([], [])
    for entry in _walk(root, "", 0, found.notes):
        if len(found.files) >= most:
            found.notes.append(f"more than {most} files: the rest was not looked at")
            break
        found.files.append(entry)
    return found


def _walk(folder: Path, below: str, depth: int, notes: list[str]) -> Iterator[Entry]:
    if depth > DEEPEST:
        notes.append(f"{below}: deeper than {DEEPEST} folders: not looked at")
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        notes.append(f"{below or '.'}: {error.strerror}")
        return
    for entry in found:
        name = f"{below}{entry.name}"
        try:
            if entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED:
                    yield from _walk(Path(entry.path), f"{name}/", depth + 1, notes)
            elif entry.is_file(follow_symlinks=False):
                yield Entry(Path(entry.path), name, entry.stat(follow_symlinks=False).st_size)
        except OSError as error:
            notes.append(f"{name}: {error.strerror}")


def read_text(entry: Entry, limit: int = LARGEST_TEXT) -> str | None:
    """The text of a file; None when it is no regular file, too large, or cannot be read."""
    if entry.size > limit:
        return None
    try:
        handle = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with os.fdopen(handle, "rb") as stream:
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            content = stream.read(limit)
        except OSError:
            return None
    return decoded(content)


def decoded(content: bytes) -> str:
    """Bytes as text, whatever they are."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
