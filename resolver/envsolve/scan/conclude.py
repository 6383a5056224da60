"""From evidence to a request: for each framework the era first, within what all evidence allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envsolve.scan.evidence import Evidence

_AGREE = 0.85
"""Share of the files that a Python must be able to read, of those that the best can."""
_SOON = timedelta(days=3 * 365)
_ANCHORS = {"pins": 3, "docker": 2, "setup": 2, "prose": 1}


@dataclass(frozen=True)
class Release:
    """A release of a framework: its day (None: unknown), and the Pythons that it has files for."""

    version: str
    day: date | None
    pythons: tuple[str, ...] = ()
    offered: bool = True


@dataclass(frozen=True)
class Claim:
    """A specifier that a file states, and how."""

    specifier: str
    how: str
    evidence: Evidence


@dataclass
class Chosen:
    """The conclusion for one framework. ``allowed``: versions that the evidence leaves, oldest first."""

    name: str
    version: str | None
    allowed: list[str]
    specifier: str
    basis: str
    conflicts: list[str] = field(default_factory=list)
    sure: bool = False


def choose(
    name: str, releases: Sequence[Release], api: Sequence[tuple[str, str]], claims: Sequence[Claim], day: date | None,
    pythons: Sequence[str] = (), paired: Iterable[Collection[str]] = (),
) -> Chosen:  # fmt: skip
    """The release to start with.

    ``api``: (specifier, name used) of what the code uses. ``pythons``: those that can read it; empty for any.
    ``paired``: for each thing else that the code uses, the releases that work with that.
    """
    versions = sorted(releases, key=lambda r: Version(r.version))
    conflicts: list[str] = []
    allowed = _by_python(_by_api(versions, api, conflicts), pythons, conflicts)
    for some in paired:
        allowed = [r for r in allowed if r.version in some] or allowed
    narrowed, anchor = _by_claims(allowed, claims, conflicts)
    had = _to_be_had(narrowed, allowed, anchor, conflicts)
    final = [r for r in had if not Version(r.version).is_prerelease] or had
    picked, basis = _pick(final, anchor, day)
    if had != narrowed:
        basis = f"the index's nearest to what is {basis}"
    shown = _hull([r.version for r in allowed if _within(r, had)], [r.version for r in versions])
    sure = bool(anchor) or (day is not None and bool(api))
    return Chosen(name, picked.version if picked else None, [r.version for r in final], shown, basis, conflicts, sure)


def _within(release: Release, some: Sequence[Release]) -> bool:
    return release in some


def _fits(release: Release, specifier: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(release.version, prereleases=True)
    except InvalidSpecifier:
        return True


def _by_api(versions: list[Release], api: Sequence[tuple[str, str]], conflicts: list[str]) -> list[Release]:
    """The releases that allow every use; when there is none, those that allow most."""
    if not api or not versions:
        return versions
    fits = {s: {r.version for r in versions if _fits(r, s)} for s in {s for s, _ in api}}
    misses = {r.version: [n for s, n in api if r.version not in fits[s]] for r in versions}
    least = min(map(len, misses.values()))
    best = [r for r in versions if len(misses[r.version]) == least]
    if least:
        names = ", ".join(dict.fromkeys(misses[best[-1].version]))
        conflicts.append(f"no release has all the names that the code uses; {best[-1].version} lacks {names[:300]}")
    return best


def _by_python(allowed: list[Release], pythons: Sequence[str], conflicts: list[str]) -> list[Release]:
    """The releases that have files for a Python that can read the code."""
    if not pythons or not allowed:
        return allowed
    left = [r for r in allowed if set(r.pythons) & set(pythons)]
    if not left:
        span = pythons[0] if len(pythons) == 1 else f"{pythons[0]} to {pythons[-1]}"
        conflicts.append(f"the code is for Python {span}, for which no release that has its names was made")
    return left or allowed


def _by_claims(allowed: list[Release], claims: Sequence[Claim], conflicts: list[str]) -> tuple[list[Release], str]:
    """Narrow by what files state, the strongest first; what contradicts the code is shown and left out."""
    anchor = ""
    current = allowed
    for claim in sorted(claims, key=lambda c: -_ANCHORS.get(c.how, 0)):
        if not claim.specifier:
            continue
        left = [r for r in current if _fits(r, claim.specifier)]
        where = f"{claim.evidence.file}:{claim.evidence.line}"
        if not left:
            conflicts.append(f"{where} states {claim.specifier}, which the code or a stronger statement rules out")
            continue
        if claim.how == "prose" and "==" not in claim.specifier and len(left) == len(current):
            continue
        current = left
        if "==" in claim.specifier or "~=" in claim.specifier:
            anchor = anchor or where
    return current, anchor


def _to_be_had(narrowed: list[Release], allowed: list[Release], anchor: str, conflicts: list[str]) -> list[Release]:
    """What is left; when the index has none of it any more, the nearest release of those the code allows."""
    offered = [r for r in allowed if r.offered]
    if not anchor or not narrowed or not offered or any(r.offered for r in narrowed):
        return narrowed
    last = Version(narrowed[-1].version)
    nearest = next((r for r in offered if Version(r.version) > last), offered[-1])
    conflicts.append(f"{anchor} states {last}, which the index does not have; {nearest.version} is the nearest it has")
    return [nearest]


def _pick(final: list[Release], anchor: str, day: date | None) -> tuple[Release | None, str]:
    offered = [r for r in final if r.offered] or final
    if not offered:
        return None, "no release is known"
    if anchor:
        return _newest(offered, day) or offered[-1], f"stated in {anchor}"
    if day is not None:
        newest = _newest(offered, day)
        if newest:
            return newest, f"the newest release on {day} that the code allows"
        return offered[0], f"the oldest release that the code allows; none of them was out on {day}"
    return _undated(offered)


def _undated(offered: list[Release]) -> tuple[Release, str]:
    """Without a date: the series in which all that the code uses was there first, or the first stable one.

    Of that no release much younger than the first: what code uses is mostly new when it is written, and a long series
    ends as something else than it began (Keras 2 as a part of TensorFlow, on Pythons that nothing else was made for).
    """
    major = max(Version(offered[0].version).major, 1)
    series = [r for r in offered if Version(r.version).major == major]
    days = [r.day for r in series if r.day is not None]
    if days:
        soon = [r for r in series if r.day is not None and r.day - min(days) <= _SOON][-1]
        last = [r for r in series if Version(r.version).release[:2] == Version(soon.version).release[:2]][-1]
        since = f"the {major}.x series, the first stable one that allows it"
        return last, f"nothing dates the code: the newest of the first three years of {since}"
    return offered[-1], "nothing dates the code: the newest release that it allows"


def _newest(releases: list[Release], day: date | None) -> Release | None:
    before = [r for r in releases if day is None or (r.day is not None and r.day <= day)]
    return before[-1] if before else None


def _hull(allowed: list[str], known: list[str]) -> str:
    """``>=A,<B`` around the versions allowed; empty when that is all that are known."""
    if not allowed or len(allowed) == len(known):
        return ""
    first, last = known.index(allowed[0]), known.index(allowed[-1])
    words = [] if first == 0 else [f">={known[first]}"]
    if last < len(known) - 1:
        words.append(f"<={known[last]}" if first == last else f"<{known[last + 1]}")
    return ",".join(words)


def pythons_of(support: Iterable[frozenset[str]], known: Sequence[str], claims: Sequence[Claim]) -> list[str]:
    """The Pythons that can read nearly all files, narrowed by what is stated where the two agree."""
    files = list(support)
    counts = {p: sum(p in f for f in files) for p in known}
    most = max(counts.values(), default=0)
    found = [p for p in known if counts[p] >= _AGREE * most] if most else list(known)
    for claim in claims:
        if not claim.specifier:
            continue
        left = [p for p in found if SpecifierSet(claim.specifier).contains(p)]
        found = left or found
    return found


def python_for(allowed: Sequence[str], release: Release | None) -> str | None:
    """The newest Python that both the code and the chosen release allow."""
    if release is None:
        return allowed[-1] if allowed else None
    both = [p for p in allowed if p in release.pythons]
    return both[-1] if both else None


def parsed(version: str) -> Version | None:
    """A version, if it is one."""
    try:
        return Version(version)
    except InvalidVersion:
        return None
