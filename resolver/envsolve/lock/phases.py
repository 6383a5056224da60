"""The order in which the closure is installed: build tools, then wheels, then sdists as they need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from envsolve.models import Phase

if TYPE_CHECKING:
    from envsolve.lock.pinned import Pinned

TOOLS = ("pip", "setuptools", "wheel")
"""Installed first. setuptools and wheel are of the day where they can be: sdists were written for the setuptools
of their time, and its later releases dropped what they call (2to3, Feature) and what packages import at run time
(pkg_resources)."""


def phases(packages: Mapping[str, Pinned]) -> dict[str, tuple[Phase, int]]:
    """Name -> its phase, and for an sdist its level: it may need only sdists of lower levels to be built.

    An sdist may import at build time whatever it requires (numpy in a setup.py), so both kinds of requirement
    count. Sdists that require each other share a level.
    """
    tools = reachable(packages, [name for name in TOOLS if name in packages])
    found: dict[str, tuple[Phase, int]] = dict.fromkeys(tools, ("build", 0))
    sdists = {n for n, p in packages.items() if n not in tools and not p.candidate.file.is_wheel}
    found |= {name: ("wheel", 0) for name in packages if name not in tools and name not in sdists}
    needs = {name: reachable(packages, [name]) & sdists for name in sdists}
    left = set(sdists)
    level = 0
    while left:
        # Ready: all that it needs is placed already or needs it back (a cycle).
        ready = {n for n in left if all(m not in left or n in needs[m] for m in needs[n])}
        found |= dict.fromkeys(ready, ("sdist", level))
        left -= ready
        level += 1
    return dict(sorted(found.items()))


def reachable(packages: Mapping[str, Pinned], start: Iterable[str], *, build: bool = True) -> set[str]:
    """These and all that they need, at run time or, with ``build``, to be built."""
    seen: set[str] = set()
    stack = list(start)
    while stack:
        name = stack.pop()
        if name in seen or name not in packages:
            continue
        seen.add(name)
        stack += (*packages[name].requires, *(packages[name].builds_with if build else ()))
    return seen
