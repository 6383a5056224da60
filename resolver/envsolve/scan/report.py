"""A scan as a person reads it: the conclusion first, then what it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from envsolve.scan.evidence import Evidence
from envsolve.scan.project import Scan

_SHOWN = 30
_ORDER = {"proof": 0, "strong": 1, "weak": 2, "hint": 3}


def text(scan: Scan, color: bool = False) -> str:
    """The whole report; what files hold reaches a terminal without its control characters."""
    lines = [*_conclusion(scan), "", "Evidence"]
    ordered = sorted(_telling(scan.evidence), key=lambda e: (_ORDER[e.strength], e.file, e.line or 0))
    lines += [_line(e) for e in ordered[:_SHOWN]] or ["  none"]
    if len(ordered) > _SHOWN:
        lines.append(f"  and {len(ordered) - _SHOWN} more: envsolve scan {scan.path} --json")
    lines += [f"Unknown  {name}: no package is known to bring this module" for name in scan.unknown]
    lines += [f"Note     {note}" for note in scan.notes]
    plain = [_plain(line) for line in lines]
    if color and scan.targets:
        plain[0] = plain[0].replace("envsolve", "\x1b[1menvsolve", 1) + "\x1b[0m"
    return "\n".join(plain)


def _plain(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in line)


def _conclusion(scan: Scan) -> list[str]:
    if not scan.targets:
        lines = ["Request  none: no framework that the database knows was found"]
    else:
        lines = [f"Request  {command(scan)}"]
    for name, range_ in scan.ranges.items():
        lines.append(f"         {name} {range_ or 'any release'}: {scan.reasons.get(name, '')}")
    lines.append(f"Python   {_spans(scan.pythons)}")
    if scan.as_of:
        lines.append(f"Date     {scan.as_of}")
    lines.append(f"Sure     {scan.confidence}")
    return lines + [f"Conflict {text}" for text in scan.conflicts]


def command(scan: Scan) -> str:
    """The request as a command line."""
    words = ["envsolve", *scan.targets]
    words += ["--python", scan.python] if scan.python else []
    words += ["--as-of", scan.as_of.isoformat()] if scan.as_of else []
    return shlex.join(words)


def _telling(evidence: Iterable[Evidence]) -> list[Evidence]:
    """What bounds something; of equal statements the first."""
    seen: set[tuple[str, str]] = set()
    found = []
    for item in evidence:
        key = (item.means, item.found) if not item.ranges else (str(item.ranges), item.strength)
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found


def _line(item: Evidence) -> str:
    where = f"{item.file}:{item.line}" if item.line else item.file
    return f"  {where}  {item.found}\n      {item.means} ({item.strength})"


def _spans(pythons: list[str]) -> str:
    return ", ".join(pythons) if len(pythons) < 6 else f"{pythons[0]} to {pythons[-1]}"
