"""Small pieces of prose that every sentence is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envsolve.facts import Build


def listed(words: Iterable[object], most: int = 8) -> str:
    """'a, b and c'; when there are many, the first and the last with the count between."""
    items = list(dict.fromkeys(str(word) for word in words))
    if len(items) > most:
        return f"{items[0]}, {items[1]}, ... {items[-1]} ({len(items)})"
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def builds_named(builds: Sequence[Build]) -> str:
    """'tensorflow-gpu 1.4.0 and 1.4.1': builds by package, with their versions oldest first."""
    parts = []
    for package, group in groupby(sorted(builds, key=lambda b: b.package), key=lambda b: b.package):
        versions = [b.version for b in reversed(list(group))]
        parts.append(f"{package} {listed(versions, most=4)}")
    return listed(parts)


_PLURAL = {"is": "are", "has": "have"}


def plural(verb: str) -> str:
    """A verb in the singular -> in the plural: 'holds' -> 'hold'."""
    return _PLURAL.get(verb, verb.removesuffix("s"))


def said_of(builds: Sequence[Build], verb: str, rest: str) -> str:
    """A sentence about builds whose verb agrees with how many they are; ``verb`` is in the singular."""
    many = len({(b.package, b.version) for b in builds}) > 1
    return f"{builds_named(builds)} {plural(verb) if many else verb} {rest}"
