"""Which name or version was probably meant. Pure; used for hints only, never to change what was asked."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

_SHORTEST = 5
"""Names shorter than this have too many real neighbours to call anything a typo of them."""


def edits(a: str, b: str, most: int) -> int:
    """How many letters to insert, drop, change or swap with a neighbour; ``most`` + 1 when there are more."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row, older = row, [i], before
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = last
    return min(row[-1], most + 1)


def typo_of(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` misspells, or None.

    One edit for names up to seven letters, two for longer ones. A known name with something after it
    (``tensorflowjs``, ``torchx``) is a name of its own, unless only its last letter is repeated.
    """
    typed = name.lower().replace("_", "-")
    best: tuple[int, str] | None = None
    for other in known:
        if len(other) < _SHORTEST or typed == other or _extends(typed, other):
            continue
        most = 1 if len(other) <= 7 else 2
        distance = edits(typed, other, most)
        if distance <= most and (best is None or (distance, other) < best):
            best = (distance, other)
    return best[1] if best else None


def _extends(typed: str, other: str) -> bool:
    """A name of its own: the known one with something after it, or the same stem with another short suffix."""
    if typed.startswith(other):
        return set(typed[len(other) :]) != {other[-1]}
    stem, dash, suffix = other.rpartition("-")
    return bool(dash) and typed.startswith(f"{stem}-") and len(suffix) < _SHORTEST


def nearest_versions(specifier: str, versions: Iterable[str], most: int = 3) -> list[str]:
    """The existing versions nearest to the first version that a specifier names, nearest first."""
    known = sorted({Version(v) for v in versions if not Version(v).is_prerelease})
    named = re.search(r"\d[\w.+!]*", specifier)
    if named is None or not known:
        return [str(v) for v in reversed(known[-most:])]
    try:
        wanted = Version(named[0].rstrip("."))
    except InvalidVersion:
        return [str(v) for v in reversed(known[-most:])]
    at = bisect_left(known, wanted)
    around = known[max(0, at - most) : at + most]
    position = {v: i for i, v in enumerate(known)}

    def farness(version: Version) -> tuple[int, float]:
        same = [a == b for a, b in zip(version.release, wanted.release, strict=False)]
        shared = same.index(False) if False in same else len(wanted.release)
        return -shared, abs(position[version] - at + 0.5)

    return [str(v) for v in sorted(around, key=farness)[:most]]


def can_meet(specifiers: Iterable[str]) -> bool:
    """Whether some version could satisfy all of several specifiers; which versions there are is not known.

    A range is left by its lower bound: the bounds themselves, what lies just above each, and the next series after
    each are enough to try.
    """
    wanted = SpecifierSet(",".join(specifiers))
    bounds = [part.version.removesuffix(".*") for part in wanted if part.operator != "==="]
    if len(bounds) < len(wanted):
        return True  # compared as text: who knows
    tried = {"0"}
    for bound in bounds:
        version = Version(bound)
        release = version.release
        tried |= {bound, f"{version.base_version}.0.0.1", f"{version.epoch}!{'.'.join(map(str, _next(release)))}"}
    return any(wanted.contains(version, prereleases=True) for version in tried)


def _next(release: tuple[int, ...]) -> tuple[int, ...]:
    return (*release[:-1], release[-1] + 1)
