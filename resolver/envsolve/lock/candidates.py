"""Which versions of a project there are for a target, as of a date, in the order in which to try them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import lru_cache

from packaging.version import Version

from envsolve.lock.index import Index
from envsolve.lock.pages import File, Project, canonical
from envsolve.lock.requirement import parse_version
from envsolve.lock.sdistmeta import SUFFIXES
from envsolve.lock.target import Target

_SDIST_RANK = 1_000_000
_FOREVER = "9999-12-31"


class Fate(Enum):
    """Why a file is no candidate."""

    USABLE = "usable"
    LATER = "uploaded after the date"
    OTHER_PYTHON = "requires another Python"
    NO_TAG = "made for another Python, system or glibc"


@dataclass(frozen=True, slots=True)
class Known:
    """One file of a version, and what became of it. ``rank``: lower is better."""

    file: File
    fate: Fate
    rank: int = _SDIST_RANK


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version with its usable files, best first."""

    version: Version
    files: tuple[File, ...]

    @property
    def file(self) -> File:
        """The file to install."""
        return self.files[0]

    @property
    def yanked(self) -> str | None:
        """The index's text when it was withdrawn later; None when it was not."""
        return self.file.yanked


@dataclass
class Releases:
    """All files of a project by version, and the candidates among them. ``known``: some index has the project."""

    name: str
    known: bool
    versions: dict[Version, list[Known]] = field(default_factory=dict)
    candidates: dict[Version, Candidate] = field(default_factory=dict)
    order: tuple[Version, ...] = ()


@lru_cache(maxsize=65536)
def _split(filename: str, name: str) -> tuple[str, str | None] | None:
    """A file name -> its version and a wheel's compressed tags (None: a source archive)."""
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6):
            return None
        return parts[1], "-".join(parts[-3:])
    for suffix in SUFFIXES:
        if filename.endswith(suffix):
            stem = filename[: -len(suffix)]
            for cut in (i for i, letter in enumerate(stem) if letter == "-"):
                if canonical(stem[:cut]) == name and parse_version(stem[cut + 1 :]) is not None:
                    return stem[cut + 1 :], None
    return None


class World:
    """The index as of a day, seen from one target.

    ``undated``: projects exempt from the day. Of them, too, what was there on the day comes first.
    ``exact``: projects of which the builds of a release are told apart by label: of that release, only this version
    counts (``==1.7.1`` admits 1.7.1+cu101 too).
    ``upgrades``: projects as of days of their own; the others may follow them to the last of these days, but what
    was there on their own day comes first. ``prefer``: versions that come before all others.
    """

    def __init__(
        self,
        index: Index,
        target: Target,
        as_of: date,
        *,
        undated: Iterable[str] = (),
        upgrades: Mapping[str, date] | None = None,
        prefer: Mapping[str, Version] | None = None,
        exact: Mapping[str, Version] | None = None,
    ) -> None:
        self.index = index
        self.target = target
        self.as_of = as_of
        self._day = as_of.isoformat()
        self._undated = frozenset(undated)
        self._upgrades = {name: day.isoformat() for name, day in (upgrades or {}).items()}
        self._last = max((self._day, *self._upgrades.values()))
        self._prefer = dict(prefer or {})
        self._exact = dict(exact or {})
        self._releases: dict[str, Releases] = {}

    def releases(self, name: str) -> Releases:
        """The project's releases. Raises NotReadyError when the index does not answer."""
        if name not in self._releases:
            self._releases[name] = self._sort(self.index.project(name))
        return self._releases[name]

    def _sort(self, project: Project) -> Releases:
        name = project.name
        if name in self._undated:
            releases = self._as_of(project, _FOREVER)
            early = [v for v in releases.order if releases.candidates[v].file.day <= self._day]
            releases.order = (*early, *sorted(set(releases.order) - set(early)))
        elif name in self._upgrades:
            releases = self._as_of(project, self._upgrades[name])
        else:
            releases = self._as_of(project, self._day)
            if self._last > self._day:
                later = self._as_of(project, self._last)
                releases.versions = later.versions
                releases.order = (*releases.order, *sorted(later.candidates.keys() - releases.candidates.keys()))
                releases.candidates = {**later.candidates, **releases.candidates}
        kept = self._prefer.get(name)
        if kept in releases.candidates:
            releases.order = (kept, *(v for v in releases.order if v != kept))
        return releases

    def _as_of(self, project: Project, day: str) -> Releases:
        """The project on a day."""
        releases = Releases(project.name, project.known)
        for file in project.files:
            found = _split(file.filename, project.name)
            version = parse_version(found[0]) if found else None
            if found and version is not None and not self._other_label(project.name, version):
                releases.versions.setdefault(version, []).append(self._judge(file, found[1], day))
        for version, known in releases.versions.items():
            usable = sorted(
                (k for k in known if k.fate is Fate.USABLE),
                key=lambda k: (k.file.yanked is not None, k.rank, _suffix_rank(k.file), k.file.filename),
            )
            if usable:
                releases.candidates[version] = Candidate(version, tuple(k.file for k in usable))
        releases.order = _order(releases, day)
        return releases

    def _other_label(self, name: str, version: Version) -> bool:
        exact = self._exact.get(name)
        return exact is not None and version != exact and version.public == exact.public

    def _judge(self, file: File, tags: str | None, day: str) -> Known:
        rank = _SDIST_RANK if tags is None else self.target.rank(tags)
        if rank is None:
            return Known(file, Fate.NO_TAG)
        if not self.target.supports(file.requires_python):
            return Known(file, Fate.OTHER_PYTHON)
        return Known(file, Fate.LATER if file.day > day else Fate.USABLE, rank)


def _suffix_rank(file: File) -> int:
    return next((i for i, suffix in enumerate(SUFFIXES) if file.filename.endswith(suffix)), 0)


def _order(releases: Releases, day: str) -> tuple[Version, ...]:
    """Newest first, but last come in turn: compiled code without a wheel here, pre-releases, withdrawn ones.

    pip leaves pre-releases and withdrawn (yanked) releases out unless nothing else fits, which is what their
    place at the end comes to. A version with Linux wheels, none of them for this target, is compiled code whose
    makers did not build it for this Python: an older one with a wheel installs where its sdist needs a toolchain.
    """
    wheels = any(candidate.file.is_wheel for candidate in releases.candidates.values())

    def key(version: Version) -> tuple[bool, bool, bool]:
        candidate = releases.candidates[version]
        unbuilt = wheels and not candidate.file.is_wheel and _has_linux_wheels(releases.versions[version], day)
        return candidate.yanked is not None, version.is_prerelease, unbuilt

    newest = sorted(releases.candidates, reverse=True)
    return tuple(sorted(newest, key=key))


def _has_linux_wheels(known: Iterable[Known], day: str) -> bool:
    return any(k.file.is_wheel and "linux" in k.file.filename and k.file.day <= day for k in known)
