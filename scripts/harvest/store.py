"""The records of a package: a file of one JSON object a line, sorted by version, replaced as a whole and at once."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from packaging.version import InvalidVersion, Version

from harvest.errors import UnreadableError

Record = dict[str, Any]


class Store:
    """Records by package and version. Safe for several threads, and for several processes on one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = Lock()
        self._records: dict[str, dict[str, Record]] = {}

    def path(self, package: str) -> Path:
        """The file of a package."""
        return self.folder / f"{package}.jsonl"

    def of(self, package: str) -> dict[str, Record]:
        """Records of a package by version. Raises UnreadableError when a line of its file is none."""
        if package not in self._records:
            self._records[package] = _read(self.path(package))
        return self._records[package]

    def put(self, record: Record) -> None:
        """Add or replace a record, on disk before this returns."""
        with self._mutex, _alone(self.folder):
            records = self._records[record["package"]] = _read(self.path(record["package"]))
            records[record["version"]] = record
            lines = [json.dumps(records[v], ensure_ascii=False) for v in sorted(records, key=Version)]
            _replace(self.path(record["package"]), "\n".join(lines) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process writes into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Record]:
    if not path.exists():
        return {}
    records = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        record = _parse(line)
        if record is None:
            raise UnreadableError(f"{path.name}, line {number} is no record")
        records[record["version"]] = record
    return records


def _parse(line: str) -> Record | None:
    try:
        record: Record = json.loads(line)
        Version(record["version"])
        return record if {"package", "sha256", "read"} <= record.keys() else None
    except (ValueError, KeyError, TypeError, AttributeError, InvalidVersion):
        return None


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
