"""A package of the closure, settled."""

from __future__ import annotations

from dataclasses import dataclass

from envsolve.lock.candidates import Candidate


@dataclass(frozen=True)
class Pinned:
    """One package of the closure. ``requires``/``builds_with``: canonical names of other packages in it."""

    name: str
    candidate: Candidate
    compiled: bool
    requires: tuple[str, ...]
    builds_with: tuple[str, ...]
    texts: tuple[str, ...]
    why: str
