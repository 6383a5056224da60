"""Why a rule of the resolution holds: what a refutation is told in."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import Version

from envsolve.facts import Cap


@dataclass(frozen=True)
class Asked:
    """The request wants it; ``text`` is the user's own word for it, ``role`` who put it there.

    Roles: "request", "framework", "tool" (builds packages), "image" (a vendor's image holds it).
    """

    requirement: Requirement
    text: str
    role: str = "request"


@dataclass(frozen=True)
class Needs:
    """A version of a package requires another (``build``: only to be built)."""

    package: str
    version: Version
    requirement: Requirement
    build: bool = False


@dataclass(frozen=True)
class Capped:
    """A cap of the database."""

    cap: Cap


@dataclass(frozen=True)
class Unreadable:
    """A version whose metadata cannot be used."""

    package: str
    version: Version
    why: str


@dataclass(frozen=True)
class Extra:
    """A package with an extra is that package, at the same version."""

    package: str


Reason = Asked | Needs | Capped | Unreadable | Extra
