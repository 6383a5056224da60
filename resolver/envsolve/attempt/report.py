"""A failed command as a person reads it, and the ``--json`` document ``envsolve/try-1``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envsolve.attempt.failure import Failure
from envsolve.attempt.findings import Finding
from envsolve.attempt.propose import Proposal
from envsolve.prose import listed

SCHEMA = "envsolve/try-1"
_NAMES = 6


@dataclass
class Attempt:
    """One command that was run, and what is known of its end. ``failure`` None: no Python error was seen."""

    folder: Path
    command: tuple[str, ...]
    code: int
    failure: Failure | None = None
    where: str = ""
    findings: list[tuple[Finding, Proposal | None]] = field(default_factory=list)
    like: tuple[str, ...] = ()
    """Ids of caps whose texts are only like this one."""
    options: tuple[str, ...] = ()
    """Options of ``try`` that are to be typed again."""

    def again(self, command: Sequence[str] | None = None) -> str:
        """The command line that tries again."""
        words = ["envsolve", "try", str(self.folder), *self.options, "--"]
        return f"{shlex.join(words)} {shlex.join(command or self.command)}"


def document(attempt: Attempt) -> dict[str, Any]:
    """``envsolve/try-1``."""
    failure = attempt.failure
    file, _, line = attempt.where.rpartition(":")
    return {
        "schema": SCHEMA,
        "folder": str(attempt.folder),
        "command": list(attempt.command),
        "exit": attempt.code,
        "error": {
            "kind": failure.kind, "message": failure.message, "file": file or None, "line": int(line) if line else None,
        } if failure else None,
        "findings": [_finding(finding, proposal, attempt) for finding, proposal in attempt.findings],
        "like": list(attempt.like),
    }  # fmt: skip


def _finding(finding: Finding, proposal: Proposal | None, attempt: Attempt) -> dict[str, Any]:
    return {
        "why": finding.why,
        "where": finding.where or None,
        "source": finding.source,
        "also": list(finding.also),
        "command": proposal.command if proposal else None,
        "again": _again(finding, proposal, attempt),
        "gives": proposal.gives if proposal else None,
        "checked": proposal.checked if proposal else None,
        "from_source": list(proposal.from_source) if proposal else [],
        "gives_up": list(proposal.gives_up) if proposal else [],
    }


def _again(finding: Finding, proposal: Proposal | None, attempt: Attempt) -> str | None:
    if finding.hint:
        return finding.hint
    return attempt.again() if proposal else None


def text(attempt: Attempt) -> str:
    """What to print when a command failed."""
    ended = f"exit {attempt.code}"
    if attempt.failure is None:
        return (
            f"Tried    {shlex.join(attempt.command)}: {ended}, and its output shows no Python error: nothing is known"
        )
    place = f" ({attempt.where})" if attempt.where else ""
    lines = [f"Tried    {shlex.join(attempt.command)}: {ended}", f"Error    {attempt.failure.shown}{place}"]
    for finding, proposal in attempt.findings:
        lines += _lines(finding, proposal, attempt)
    if not attempt.findings:
        lines.append("Known    nothing: neither the table of names nor the database of causes speaks for this error")
        lines += [f"         only like it: {name}" for name in attempt.like]
    return "\n".join(lines)


def _lines(finding: Finding, proposal: Proposal | None, attempt: Attempt) -> list[str]:
    known = finding.change is not None or finding.hint
    lines = ["", f"{'Because' if known else 'Known  '}  {finding.why}", f"         [{finding.source}]"]
    if finding.also:
        lines.append(f"Also     {listed(finding.also, _NAMES)}: {finding.also_is}")
    if finding.hint:
        lines.append(f"Do       {finding.hint}")
    elif proposal is not None:
        lines.append(f"Run      {proposal.command}")
        if proposal.gives_up:
            lines.append(f"         in place of {', '.join(proposal.gives_up)}")
        how = "solved and locked" if proposal.checked == "locked" else "solved; not locked: the index does not answer"
        source = f"; to be built from source: {listed(proposal.from_source, _NAMES)}" if proposal.from_source else ""
        lines += [f"         gives {proposal.gives} ({how}{source})", f"Then     {attempt.again()}"]
    elif finding.change is not None:
        lines.append("Do       no request near this one that meets it was found to solve")
    return lines
