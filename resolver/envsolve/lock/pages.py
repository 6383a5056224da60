"""A project's page of the simple index (PEP 691 JSON with PEP 700's upload times), as plain values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a project, as the index describes it."""

    filename: str
    url: str
    sha256: str
    size: int
    upload_time: str
    requires_python: str | None = None
    yanked: str | None = None
    metadata_sha256: str | None = None
    index: str = "default"

    @property
    def day(self) -> str:
        """The day it was uploaded (UTC), ISO 8601."""
        return self.upload_time[:10]

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel; the others are source archives."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True)
class Project:
    """Every file of a project that can be dated and hashed. ``known``: some index has the project at all."""

    name: str
    files: tuple[File, ...] = ()
    known: bool = True


class PageError(ValueError):
    """The page cannot serve as a source for a dated lock; the text says why."""


def plain_name(filename: str) -> bool:
    """Whether it is nothing but a name: by what a page calls a file, it is written to the disk."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]*", filename) is not None


def canonical(name: str) -> str:
    """The project name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _metadata_digest(entry: dict[str, Any]) -> str | None:
    """The digest of the separate metadata file (PEP 658, PEP 714); "" when it is there without one."""
    value = entry.get("core-metadata", entry.get("dist-info-metadata", entry.get("data-dist-info-metadata")))
    if isinstance(value, dict):
        return str(value.get("sha256", ""))
    return "" if value else None


def _file(entry: dict[str, Any], base: str, index: str) -> File | None:
    sha256 = (entry.get("hashes") or {}).get("sha256")
    upload_time, size = entry.get("upload-time"), entry.get("size")
    if not sha256 or not upload_time or not isinstance(size, int) or not plain_name(str(entry["filename"])):
        return None
    yanked = entry.get("yanked") or None
    return File(
        filename=str(entry["filename"]),
        url=urljoin(base, str(entry["url"])),
        sha256=str(sha256),
        size=size,
        upload_time=str(upload_time),
        requires_python=entry.get("requires-python") or None,
        yanked=(yanked if isinstance(yanked, str) else "") if yanked else None,
        metadata_sha256=_metadata_digest(entry),
        index=index,
    )


def parse_page(content: bytes, base: str, index: str) -> tuple[File, ...]:
    """The files of a page served as JSON from the address ``base``.

    Raises PageError when it is no such page, or none of its files has an upload time, size and SHA-256.
    """
    try:
        page = json.loads(content)
        entries = page["files"]
        files = [_file(entry, base, index) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PageError("it serves no JSON pages (PEP 691)") from error
    usable = tuple(file for file in files if file is not None)
    if entries and not usable:
        raise PageError("its pages give no upload times (PEP 700), so it cannot be read as of a date")
    return usable


def pack(files: tuple[File, ...]) -> bytes:
    """The files as compact JSON for the cache: a tenth of an index page does not matter here."""
    rows = [
        [f.filename, f.url, f.sha256, f.size, f.upload_time, f.requires_python, f.yanked, f.metadata_sha256, f.index]
        for f in files
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def unpack(content: bytes) -> tuple[File, ...]:
    """The inverse of ``pack``. Raises ValueError or TypeError on anything else."""
    return tuple(File(*row) for row in json.loads(content))
