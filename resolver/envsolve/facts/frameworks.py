"""Frameworks, their released builds, and what these go with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal

from pydantic import Field

from envsolve.facts.rows import Evidence, Row, Way
from envsolve.models import Frozen


class BuildFile(Frozen):
    """One file of a build that the package index does not have."""

    url: str = Field(description="as its source lists it, never put together")
    python: str = Field(description="'X.Y'")
    device: Literal["cpu", "gpu"] | None = Field(
        None, description="what it is for, where a release has a file for each"
    )
    sha256: str | None = Field(None, description="null: its source states none")
    size: int | None = Field(None, description="bytes; null: unknown")


LOCKABLE = frozenset({"index", "nvidia"})
"""Origins that a lock can be made of as they are; see ``lockable`` for the others."""


class Build(Row):
    """One released build of a framework: a package at a version, in one variant."""

    package: str = Field(description="project name on the index: 'tensorflow-gpu'")
    version: str
    released: date | None = Field(description="upload date of its first Linux file; null: nobody states the day")
    pythons: dict[str, date | None] = Field(
        description="'X.Y' -> upload date of the Linux file for it, as found on the index"
    )
    source_only: bool = Field(False, description="no wheel: the sdist is built at install time")
    devices: tuple[Literal["cpu", "gpu"], ...]
    cuda: str | None = None
    cudnn: str | None = None
    cudnn_rule: Literal["same-minor", "at-least-minor"] | None = None
    cuda_source: Literal["system", "wheel", "image"] | None = Field(
        None,
        description="who brings CUDA: the base image, the wheel itself, or a vendor image that is the framework",
    )
    cuda_extra: str | None = Field(
        None, description="extra of the package that brings CUDA ('and-cuda'), installed with it on a GPU"
    )
    sass: tuple[str, ...] | None = Field(None, description="null: unknown; (): none")
    ptx: tuple[str, ...] | None = None
    glibc: str | None = Field(None, description="floor read from the binary")
    glibcxx: str | None = None
    glibc_below: str | None = Field(None, description="first glibc that refuses it, e.g. for an executable stack")
    systems: tuple[str, ...] = Field((), description="OS releases whose libraries it needs, by name; empty: any")
    cpu: tuple[str, ...] = Field((), description="/proc/cpuinfo flags it needs, e.g. ('avx',)")
    size: int | None = Field(None, description="bytes of a Linux wheel")
    origin: str = Field(
        "index",
        description="'index'; 'nvidia' (its images); 'pytorch', 'nvidia-index', ... (an index of its own); 'url'; "
        "'conda'; 'distribution'; 'repository' (source code only, ``index`` is its address)",
    )
    index: str | None = Field(None, description="address of the index of its own")
    index_dates: bool = Field(
        False,
        description="whether that index serves JSON pages with upload times and SHA-256 (PEP 691, PEP 700), "
        "so that a lock can be made of it",
    )
    files: tuple[BuildFile, ...] = Field((), description="where the origin is 'url'")
    ways: tuple[Way, ...] = Field((), description="how else it can be had, besides what its origin says")
    measured_from: str | None = Field(
        None, description="version whose binary was read, when another of the same minor series"
    )

    def released_by(self, day: date) -> bool:
        """Whether it is known to have been released by a day: a build of an unknown day is not."""
        return self.released is not None and self.released <= day


def lockable(build: Build, scoped: Collection[str] = ()) -> bool:
    """Whether a lock can be made of a build; others are known, and not offered.

    ``scoped``: packages for which the user named an index that gives upload times, a mirror of the build's own.
    """
    if build.origin in LOCKABLE:
        return True
    return build.index is not None and build.origin != "repository" and (build.index_dates or build.package in scoped)


class Substitute(Row):
    """A build that stands in for a range of releases, declared, never silent."""

    build: str = Field(description="id of the build: 'PACKAGE==VERSION'")
    versions: str = Field(description="releases it stands in for")
    differs: str = Field(description="what differs, in a sentence")


class Pairing(Row):
    """Releases of this framework that work with releases of another.

    ``backend``: one of those that are there must fit. ``companion``: a limit on the other where both are there; the
    other is a package, by its name on the index, and need not be a framework.
    """

    versions: str
    other: str
    other_versions: str
    kind: Literal["backend", "companion"] = "backend"


class Report(Row):
    """A known wrong or broken behaviour of builds on GPUs, as reported or verified."""

    id: str
    packages: tuple[str, ...]
    versions: str
    compute_capabilities: str = Field(description="PEP 440 specifier over 'X.Y'")
    verdict: Literal["wrong", "no", "unknown"]
    text: str


class Framework(Frozen):
    """A framework (``frameworks/NAME.json``)."""

    name: str
    aliases: tuple[str, ...] = ()
    module: str = Field(description="what Python code imports")
    evidence: dict[str, Evidence]
    builds: tuple[Build, ...]
    substitutes: tuple[Substitute, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    reports: tuple[Report, ...] = ()
    default_backends: dict[str, str] = Field(
        {}, description="version range -> framework brought in when none is asked for"
    )
    gpu_backends: dict[str, str] = Field(
        {}, description="version range -> framework that it needs on a GPU, and not on the CPU"
    )
