"""A pasted error -> the known causes, the likeliest first, and which of them an environment's lock bears out. Pure.

A cause is found only when the whole of its symptom stands in the text. What is merely like it is named as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envsolve.errors import DatabaseError
from envsolve.facts import Cap
from envsolve.matrices import Facts
from envsolve.models import Lock
from envsolve.symptoms import Seen, Symptom, SymptomBook, Text

Standing = Literal["broken", "kept", "elsewhere", "unknown"]
"""A limit against a lock: it is broken there, kept there, speaks of something else, or nothing can be said."""

_CONTEXT, _COMPANY = 0.75, 4
"""Worth of a word of a cap's own that the text has, and how many count."""

_WORTH: dict[Standing, float] = {"broken": 3.0, "unknown": 0.0, "elsewhere": -6.0, "kept": -8.0}
_MAYBE = 1.0
"""Where a limit is broken that holds only for code of a kind, which no lock tells."""

_NEAR = 1.0
"""Scores that differ by less say nothing about which cause it is."""


@dataclass(frozen=True)
class Cause:
    """A cap whose symptom stands in the text."""

    cap: Cap
    seen: Seen
    standing: Standing
    score: float
    installed: tuple[str, ...] = ()
    """What the lock has of the packages it speaks of: 'h5py 3.1.0'."""
    rivals: int = 0
    """Other causes that the text shows just as well."""


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a text: causes found, the likeliest first; texts that are only like it."""

    found: tuple[Cause, ...]
    nearest: tuple[tuple[Cap, Symptom], ...] = ()
    also: tuple[Cap, ...] = ()
    """Causes that give the same text in other company: nothing in the text speaks for them."""


def diagnose(pasted: str, facts: Facts, lock: Lock | None = None) -> Diagnosis:
    """Look a text up. With a lock, causes that it bears out come first and those that it rules out last.

    Raises DatabaseError for a symptom that cannot be read.
    """
    caps = {cap.id: cap for cap in facts.caps}
    try:
        book = SymptomBook({cap.id: texts for cap in facts.caps if (texts := _texts(cap))})
    except ValueError as error:
        raise DatabaseError(f"a symptom of the database cannot be read: {error}") from error
    text = book.text(pasted)
    shown = book.seen(text)
    if not shown:  # a terminal may have broken lines inside words
        joined = book.text(pasted, join=True)
        shown = book.seen(joined)
        text = joined if shown else text
    seen = {name: hit for name, hit in shown.items() if _spoken_for(caps[name], text)}
    also = tuple(caps[name] for name in shown if name not in seen)
    if not seen:
        return Diagnosis((), tuple((caps[name], symptom) for name, symptom in book.nearest(text)), also)
    have = installed(lock) if lock else None
    causes = [_cause(caps[name], hit, text, have) for name, hit in _undominated(seen).items()]
    causes.sort(key=lambda c: (c.cap.harmless, -c.score, -c.seen.first, c.cap.id))
    return Diagnosis(tuple(_with_rivals(causes)), (), also)


def installed(lock: Lock) -> dict[str, str]:
    """Name -> version of all that a lock holds: packages, frameworks under their own names, and ``python``."""
    have = {package.name: package.version for package in lock.packages}
    for name, _, version in (held.partition("==") for held in lock.image.preinstalled):
        have.setdefault(name, version)
    have |= {choice.name: choice.version for choice in lock.stack.frameworks}
    return have | {"python": lock.stack.python}


def standing(cap: Cap, have: Mapping[str, str]) -> Standing:
    """How a limit stands in an environment."""
    parts = [("python", cap.pythons)] if cap.pythons else []
    parts += [(w.package, w.versions) for w in cap.when]
    if not all(_holds(have.get(name), versions) for name, versions in parts):
        return "elsewhere"
    if cap.package is None or cap.kind not in ("limit", "needs", "drop", "api"):
        return "unknown"
    version = have.get(cap.package)
    if cap.kind == "drop":
        return "broken" if version else "kept"
    if version is None:
        return "broken" if cap.kind == "needs" else "elsewhere"
    if not cap.versions:
        return "kept" if cap.kind == "needs" else "unknown"
    return "kept" if _holds(version, cap.versions) else "broken"


def packages_of(cap: Cap) -> tuple[str, ...]:
    """The packages that a cap speaks of, those that bring it first."""
    names = [w.package for w in cap.when] + ([cap.package] if cap.package else [])
    return tuple(dict.fromkeys(names))


def _texts(cap: Cap) -> tuple[str, ...]:
    return tuple(text for text in (cap.symptom, *cap.symptoms) if text)


def _holds(version: str | None, versions: str) -> bool:
    try:
        return version is not None and SpecifierSet(versions).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False


def _spoken_for(cap: Cap, text: Text) -> bool:
    """Whether what makes a common text telling is there, where a cap asks for that."""
    return not cap.beside or any(word in text.vocabulary for word in cap.beside)


def _undominated(seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """Without those that are only a part of what another one shows."""

    def within(small: Seen, large: Seen) -> bool:
        return large.first <= small.first and small.last <= large.last and small.weight < large.weight - _NEAR

    return {n: hit for n, hit in seen.items() if not any(within(hit, other) for other in seen.values())}


def _cause(cap: Cap, seen: Seen, text: Text, have: Mapping[str, str] | None) -> Cause:
    names = packages_of(cap)
    stands = standing(cap, have) if have is not None else "unknown"
    words = {*names, *(n.replace("-", "_") for n in names), *cap.beside, (cap.module or "").partition(".")[0]}
    worth = _MAYBE if stands == "broken" and cap.kind == "api" else _WORTH[stands]
    score = seen.weight + _CONTEXT * min(len(words & text.vocabulary), _COMPANY) + worth
    here = tuple(f"{'Python' if n == 'python' else n} {have[n]}" for n in names if n in have) if have else ()
    return Cause(cap, seen, stands, round(score, 3), here)


def _with_rivals(causes: list[Cause]) -> list[Cause]:
    """Each with the number of others that the same words show as well."""
    return [
        replace(
            one,
            rivals=sum(
                other is not one
                and other.seen.first <= one.seen.last
                and one.seen.first <= other.seen.last
                and other.score > one.score - _NEAR
                for other in causes
            ),
        )
        for one in causes
    ]
