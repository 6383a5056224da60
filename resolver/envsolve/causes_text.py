"""Causes of an error -> prose, or the JSON document: what it means, whom it meets, what to pin. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

from envsolve.causes import Cause, Diagnosis, packages_of
from envsolve.commands import command_line
from envsolve.facts import Cap
from envsolve.matrices import Facts
from envsolve.models import Lock, Request, Target
from envsolve.prose import listed

SCHEMA = "envsolve/why-error-1"
MOST = 5
"""Causes told in prose; the document has them all."""

_APPLIED = ("limit", "needs", "drop", "system", "environment", "requires")
_ANY = "TARGET..."
_LINE = 160


def document(diagnosis: Diagnosis, facts: Facts, lock: Lock | None) -> dict[str, Any]:
    """The ``--json`` document."""
    return {
        "schema": SCHEMA,
        "found": [_cause_document(cause, facts, lock) for cause in diagnosis.found],
        "also": [{"id": cap.id, "why": cap.why, "beside": list(cap.beside)} for cap in diagnosis.also],
        "nearest": [{"id": cap.id, "symptom": plain(symptom.text)} for cap, symptom in diagnosis.nearest],
    }


def _cause_document(cause: Cause, facts: Facts, lock: Lock | None) -> dict[str, Any]:
    cap, evidence = cause.cap, facts.evidence(cause.cap)
    return {
        "id": cap.id,
        "kind": cap.kind,
        "why": cap.why,
        "line": cause.seen.line,
        "text": cause.seen.shown,
        "rivals": cause.rivals,
        "harmless": cap.harmless,
        "affects": affects(cap),
        "demand": demand(cap),
        "in_lock": cause.standing,
        "installed": list(cause.installed),
        "kept_by_envsolve": cap.kind in _APPLIED,
        "pin": pin(cap),
        "command": command(cap, facts, lock),
        "fix": cap.fix,
        "source": evidence.source,
        "how": evidence.how,
        "checked": evidence.checked.isoformat(),
    }


def text(diagnosis: Diagnosis, facts: Facts, lock: Lock | None) -> str:
    """What was found, as a person reads it."""
    if not diagnosis.found:
        return _nothing(diagnosis)
    sources: dict[str, int] = {}
    lines: list[str] = []
    for number, cause in enumerate(diagnosis.found[:MOST], 1):
        lines += [*_cause_lines(number, cause, facts, lock, sources), ""]
    if len(diagnosis.found) > MOST:
        lines += [f"and {len(diagnosis.found) - MOST} more: --json has them all", ""]
    lines += _also_lines(diagnosis)
    lines += ["Sources:", *(f"  [{n}] {source}" for source, n in sources.items())]
    return "\n".join(lines) + "\n"


def _cause_lines(number: int, cause: Cause, facts: Facts, lock: Lock | None, sources: dict[str, int]) -> list[str]:
    cap, evidence = cause.cap, facts.evidence(cause.cap)
    cited = sources.setdefault(f"{evidence.how} {evidence.checked}: {evidence.source}", len(sources) + 1)
    harmless = "harmless: " if cap.harmless else ""
    rows = [
        (f"line {cause.seen.line}", cause.seen.shown),
        ("meets", affects(cap)),
        ("needs", demand(cap)),
        ("here", _here(cause)),
        ("fix", cap.fix),
        ("run", command(cap, facts, lock)),
        ("note", _note(cause)),
    ]
    return [f"{number}. {harmless}{cap.why} [{cited}]", *(f"   {name:<9}{value}" for name, value in rows if value)]


def _here(cause: Cause) -> str:
    """How it stands in the lock, in a sentence."""
    has = f"your lock has {listed(cause.installed)}" if cause.installed else ""
    match cause.standing:
        case "broken" if cause.cap.kind == "needs" and len(cause.installed) < len(packages_of(cause.cap)):
            return f"{has}, and no {cause.cap.package}: this is it"
        case "broken" if cause.cap.kind == "api":
            return f"{has}, which is not what it needs"
        case "broken":
            return f"{has}: this is it"
        case "kept":
            return f"{has or f'your lock has no {cause.cap.package}'}, which is as it should be: look further"
        case "elsewhere":
            missing = [
                name for name in packages_of(cause.cap) if not any(h.startswith(f"{name} ") for h in cause.installed)
            ]
            if missing and missing != ["python"]:
                return f"your lock has no {listed(missing)}: it is not this environment, or not this"
            return f"{has}, which this does not speak of"
        case _:
            return has


def _note(cause: Cause) -> str:
    said = []
    if cause.rivals:
        others = "another cause shows" if cause.rivals == 1 else f"{cause.rivals} other causes show"
        said.append(f"{others} the same text: what is installed decides")
    if cause.cap.kind in _APPLIED:
        said.append("envsolve keeps this in every lock")
    return "; ".join(said)


def _also_lines(diagnosis: Diagnosis) -> list[str]:
    """Causes that give the same words in other company."""
    if not diagnosis.also:
        return []
    lines = ["The same words come from this too, where one of the names is near; paste the whole text to tell:"]
    lines += [f"  {', '.join(cap.beside[:4])}: {cap.why} ({cap.id})" for cap in diagnosis.also[:MOST]]
    return [*lines, ""]


def _nothing(diagnosis: Diagnosis) -> str:
    lines = ["Nothing in the database speaks for this text."]
    if diagnosis.also:
        lines += ["", *_also_lines(diagnosis)[:-1]]
    if diagnosis.nearest:
        lines += ["", "Only like it, and not found:"]
        lines += [f"  {plain(symptom.text)}\n    {cap.why} ({cap.id})" for cap, symptom in diagnosis.nearest]
    return "\n".join(lines) + "\n"


def plain(symptom: str) -> str:
    """A symptom without its placeholders, as a person would meet it: of alternatives, the first."""
    shown = symptom.replace("{...}", "...").replace("{}", "...")
    shown = re.sub(r"\{\?([^{}]*)\}", r" \1", shown)
    shown = re.sub(r"\{([^{}|]*)[^{}]*\}", r"\1", shown)
    return shown if len(shown) <= _LINE else f"{shown[: _LINE - 3]}..."


def affects(cap: Cap) -> str:
    """Whom it meets: packages at versions, a Python, code that uses names."""
    parts = [f"{w.package}{w.versions}" for w in cap.when]
    if cap.pythons:
        parts.append(f"Python {cap.pythons}")
    if cap.kind in ("system", "environment", "requires") and cap.package:
        parts.append(f"{cap.package}{cap.versions}")
    if cap.uses:
        parts.append(f"code that uses {listed(cap.uses, 4)}")
    elif cap.module:
        parts.append(f"code that uses {cap.module}")
    return " with ".join(parts)


def demand(cap: Cap) -> str:
    """What it takes."""
    match cap.kind:
        case "drop":
            return f"{cap.package} not installed"
        case "system":
            return f"apt-get install {' '.join((*cap.system, *cap.build_system))}"
        case "environment":
            return " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(cap.environment.items()))
        case "requires":
            return ", ".join(cap.requires)
        case _ if cap.package == "python":
            return f"Python {cap.versions}"
        case _:
            return f"{cap.package}{cap.versions}" if cap.package else ""


def pin(cap: Cap) -> str | None:
    """The requirement to add, where that is what it takes."""
    if cap.kind in ("limit", "needs", "api") and cap.package and cap.package != "python":
        return f"{cap.package}{cap.versions}" if cap.versions or cap.kind == "needs" else None
    return None


def changed(cap: Cap, facts: Facts, lock: Lock) -> Request | None:
    """The lock's own request with what the cap takes; None where no request can say it."""
    wanted, python = pin(cap), _python(cap, facts)
    if wanted is None and python is None:
        return None
    kept = [t for t in lock.request.targets if wanted is None or t.name != cap.package]
    added = (Target(text=wanted, name=cap.package or ""),) if wanted else ()
    return lock.request.model_copy(update={"targets": (*kept, *added), "python": python or lock.request.python})


def command(cap: Cap, facts: Facts, lock: Lock | None) -> str | None:
    """The full command that pins it: of the lock's own request, or of what the cap itself names."""
    if lock is not None:
        request = changed(cap, facts, lock)
        return command_line(request) if request is not None else None
    wanted, python = pin(cap), _python(cap, facts)
    if wanted is None and python is None:
        return None
    words = [f"{w.package}{w.versions}" for w in cap.when] + ([wanted] if wanted else [])
    framework = any(name in facts.aliases for name in packages_of(cap) if name != "python")
    shown = [*([] if framework else [_ANY]), *(shlex.quote(word) for word in words)]
    return " ".join(["envsolve", *shown, *(["--python", python] if python else [])])


def _python(cap: Cap, facts: Facts) -> str | None:
    """The newest Python that it lets, where Python is what it limits."""
    if cap.package != "python" or not cap.versions:
        return None
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    fitting = _fitting(facts.pythons, SpecifierSet(cap.versions))
    return max(fitting, key=Version, default=None)


def _fitting(versions: Iterable[str], wanted: Any) -> list[str]:
    return [version for version in versions if wanted.contains(version)]
