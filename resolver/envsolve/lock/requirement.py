"""Requirements and version ranges as old packages wrote them, read by today's rules where they can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_Repair = Callable[[str], str]


def _sub(pattern: str, replacement: str) -> _Repair:
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(replacement, text)


# Each undoes one habit from before PEP 440 was enforced; the first that makes the text readable wins.
_REPAIRS: tuple[_Repair, ...] = (
    lambda text: text,
    _sub(r"([<>]=?|~=)(\s*)(\d[\d.]*)\.\*", r"\1\2\3"),  # >=2.7.*
    _sub(r"(==|!=)(\s*)([\w.]+?)\.?dev\b", r"\1\2\3.dev0"),  # !=1.0dev
    _sub(r",(\s*)(\)|;|$)", r"\1\2"),  # (>=1.0,)
    _sub(r"([<>=!~]=?\s*\d[\d.]*)[a-z]\b", r"\1"),  # >=2011k
    _sub(r"(?<![<>=!~])=(?=\s*\d)(?<!==)", r"=="),  # (=1.0)
)
_LAST_RESORT = _sub(r"\([^)]*\)", "")


@lru_cache(maxsize=8192)
def parse_requirement(text: str) -> Requirement | None:
    """The requirement, or None when no reading of it is possible."""
    for repair in (*_REPAIRS, _LAST_RESORT):
        with suppress(InvalidRequirement):
            return Requirement(repair(text))
    return None


@lru_cache(maxsize=8192)
def parse_specifier(text: str) -> SpecifierSet | None:
    """The version range, or None when no reading of it is possible."""
    for repair in _REPAIRS:
        with suppress(InvalidSpecifier):
            return SpecifierSet(repair(text))
    return None


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version | None:
    """The version, or None when it is none by PEP 440 (such releases cannot be asked for)."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def admits(specifier: SpecifierSet, version: Version) -> bool:
    """Whether the range holds the version, pre-releases included: their rank is decided elsewhere."""
    return specifier.contains(version, prereleases=True)
