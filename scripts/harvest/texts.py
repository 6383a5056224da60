"""Facts that a wheel states in words: its METADATA, and the text members named in ``inputs/harvest.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from envsolve.lock.wheelmeta import requires_dist
from harvest.errors import UnreadableError
from harvest.transport import Source
from harvest.zipdir import Member, read_member

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA$")
_PIN = re.compile(
    r"(?:nvidia-)?(cudnn|nccl|cuda-runtime|cuda-toolkit)(?:-cu\d+)?(?:\[[^\]]*\])? ?\(?==([0-9.]+)(?![0-9.*])"
)


@dataclass(frozen=True)
class TextRule:
    """Members whose path matches, and what to find in them: evidence name -> pattern with one group."""

    path: re.Pattern[str]
    facts: dict[str, re.Pattern[str]]


@dataclass(frozen=True)
class Stated:
    """What the texts of a wheel say."""

    requires_dist: list[str]
    evidence: dict[str, str]
    troubles: list[str]


def read_texts(source: Source, members: Sequence[Member], rules: Sequence[TextRule]) -> Stated:
    """Read METADATA and the members that rules name; what cannot be read is told and left out."""
    requires: list[str] = []
    evidence: dict[str, str] = {}
    troubles: list[str] = []
    for member in members:
        matching = [rule for rule in rules if rule.path.search(member.name)]
        metadata = _METADATA.fullmatch(member.name) is not None
        if not matching and not metadata:
            continue
        try:
            text = read_member(source, member).decode("utf-8", "replace")
        except UnreadableError as error:
            troubles.append(str(error))
            continue
        if metadata:
            requires = list(requires_dist(text))
        for rule in matching:
            evidence |= {name: found[1] for name, pattern in rule.facts.items() if (found := pattern.search(text))}
    return Stated(requires, evidence | pins(requires), troubles)


def pins(requires: Sequence[str]) -> dict[str, str]:
    """Exact pins of NVIDIA's packages: {'dep_cudnn': '8.9.2.26'}."""
    found: dict[str, str] = {}
    for requirement in requires:
        if match := _PIN.match(requirement):
            found.setdefault(f"dep_{match[1]}", match[2])
    return found
