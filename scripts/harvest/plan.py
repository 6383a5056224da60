"""What to read, in which order: from ``inputs/harvest.json`` and the index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from envsolve.lock.pages import File
from harvest.errors import UnreadableError
from harvest.texts import TextRule


@dataclass(frozen=True)
class Project:
    """A project: versions wanted, interpreter tags in order of preference, how many numbers make a minor series."""

    package: str
    versions: SpecifierSet
    pythons: tuple[str, ...]
    series: int
    twins: tuple[str, ...]
    count_cpu: bool


@dataclass(frozen=True)
class Stage:
    """A step of a run: packages by pattern; ``which``: 'last' of each series, or 'all'; or the versions named."""

    packages: tuple[str, ...]
    which: str = "all"
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """``inputs/harvest.json``."""

    all_before: str
    anomaly: float
    ptx_isa: dict[str, str]
    texts: tuple[TextRule, ...]
    projects: dict[str, Project]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Release:
    """A release with Linux wheels, and which of them is read. ``full``: why it is read whole; None: a cheap pass."""

    project: Project
    version: str
    chosen: File
    files: tuple[File, ...]
    full: str | None
    last: bool


def read_settings(path: Path) -> Settings:
    """The plan. Raises UnreadableError when it is not there or not as it should be."""
    try:
        raw = json.loads(path.read_text())
        defaults = raw["defaults"]
        projects = {name: _project(name, defaults | entry) for name, entry in raw["projects"].items()}
        texts = tuple(
            TextRule(re.compile(t["path"]), {k: re.compile(p, re.MULTILINE) for k, p in t["facts"].items()})
            for t in raw["texts"]
        )
        stages = tuple(
            Stage(tuple(s["packages"]), s.get("which", "all"), tuple(s.get("versions", ()))) for s in raw["stages"]
        )
        return Settings(raw["all_before"], raw["anomaly"], raw["ptx_isa"], texts, projects, stages)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error, InvalidSpecifier) as error:
        raise UnreadableError(f"{path.name} cannot be read: {type(error).__name__} {error}") from error


def _project(name: str, entry: dict[str, Any]) -> Project:
    return Project(
        name,
        SpecifierSet(entry["versions"]),
        tuple(entry["pythons"]),
        int(entry["series"]),
        tuple(entry["twins"]),
        bool(entry["count_cpu"]),
    )


def linux_wheels(files: Iterable[File]) -> dict[str, list[File]]:
    """Wheels for Linux x86_64 of final releases, by version."""
    found: dict[str, list[File]] = {}
    for file in files:
        try:
            _, version, _, tags = parse_wheel_filename(file.filename)
        except InvalidWheelFilename:
            continue
        if not version.is_prerelease and any("linux" in t.platform and t.platform.endswith("x86_64") for t in tags):
            found.setdefault(str(version), []).append(file)
    return found


def choose(files: Sequence[File], pythons: Sequence[str]) -> File:
    """The file to read: not yanked, of the most wanted interpreter, then by name, so that every run takes the same."""

    def rank(file: File) -> tuple[bool, int, str]:
        tag = file.filename.split("-")[-3]
        return (file.yanked is not None, pythons.index(tag) if tag in pythons else len(pythons), file.filename)

    return min(files, key=rank)


def _series(version: str, length: int) -> tuple[int, ...]:
    release = Version(version).release
    return (release + (0,) * length)[:length]


def releases(project: Project, files: Iterable[File], settings: Settings) -> list[Release]:
    """The releases of a project, oldest first, each with whether and why it is read whole."""
    wheels = {v: fs for v, fs in linux_wheels(files).items() if project.versions.contains(v, prereleases=True)}
    versions = sorted(wheels, key=Version)
    last = {_series(v, project.series): v for v in versions}
    chosen = {v: choose(wheels[v], project.pythons) for v in versions}
    found = []
    for version in versions:
        newest = last[_series(version, project.series)]
        why = _why(version, newest, wheels, chosen, settings)
        ordered = tuple(sorted(wheels[version], key=lambda f: f.filename))
        found.append(Release(project, version, chosen[version], ordered, why, version == newest))
    return found


def _why(
    version: str, newest: str, wheels: dict[str, list[File]], chosen: dict[str, File], settings: Settings
) -> str | None:
    if version == newest:
        return "last of its series"
    if min(file.day for file in wheels[version]) < settings.all_before:
        return f"released before {settings.all_before}"
    size, other = chosen[version].size, chosen[newest].size
    if abs(size - other) > settings.anomaly * other:
        return f"{size} bytes where {newest} has {other}"
    return None


def selected(stage: Stage, projects: Iterable[str]) -> list[str]:
    """The projects of a stage, in the order of its patterns."""
    names = list(projects)
    return list(dict.fromkeys(n for pattern in stage.packages for n in names if fnmatch(n, pattern)))
