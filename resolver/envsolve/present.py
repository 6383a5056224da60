"""How results and errors look: results and JSON documents on stdout, the one error shape on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.errors import EnvsolveError
from envsolve.talk import wants_color

if TYPE_CHECKING:
    from envsolve.models import Lock, SmokeReport
    from envsolve.pipeline import Outcome

_WORTH_SAYING_S = 0.05
ERROR_SCHEMA = "envsolve/error-1"


class ReaderGoneError(Exception):
    """Whoever read stdout has left; there is nobody to tell."""


def emit(text: str) -> None:
    """A result, on stdout, at once. Raises ReaderGoneError when nobody reads it."""
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


def emit_json(document: dict[str, Any]) -> None:
    """One document on stdout; keys in the order given, text as it is."""
    emit(json.dumps(document, indent=2, ensure_ascii=False))


def error_document(error: EnvsolveError) -> dict[str, Any]:
    """An error as ``envsolve/error-1``."""
    return {
        "schema": ERROR_SCHEMA,
        "code": error.code,
        "exit": int(error.exit_code),
        "message": error.message,
        "facts": list(error.facts),
        "hints": list(error.hints),
    }


def error_text(error: EnvsolveError, color: bool = False) -> str:
    """The one shape: code, what happened, the facts behind it, and hints that are commands."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    lines = [f"{paint('error:', '1;31')} {error.code}", "", f"{paint('×', '31')} {_under(error.message, '│ ')}"]
    lines += [f"│   {_under(fact, '│   ')}" for fact in error.facts]
    if error.hints:
        lines += ["", *(f"{paint('hint:', '36')} {hint}" for hint in error.hints)]
    return "\n".join(lines) + "\n"


def _under(text: str, margin: str) -> str:
    """Further lines of a text, set under its first one."""
    return text.rstrip().replace("\n", f"\n{margin}")


def show_error(error: EnvsolveError) -> None:
    """An error, on stderr."""
    show(error_text(error, wants_color(sys.stderr)))


def show(text: str) -> None:
    """What is to be read whatever is asked to be quiet, on stderr."""
    try:
        sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens any more


def built_document(outcome: Outcome) -> dict[str, Any]:
    """What was built and how its smoke test went, for ``--json``."""
    return {
        "engine": outcome.engine,
        "subject": outcome.built.subject,
        "tag": outcome.built.tag,
        "seconds": outcome.built.seconds,
        "smoke": outcome.smoke.model_dump(mode="json"),
    }


def smoke_text(report: SmokeReport, tag: str | None, frameworks: Iterable[str]) -> str:
    """The smoke report as a person reads it."""
    device = f"on the {report.device.upper()}" if report.device else "device unknown"
    versions = [f"{name} {report.versions[name]}" for name in frameworks if name in report.versions]
    lines = [
        f"Smoke    {'passed' if report.ok else 'failed'} in {tag or report.subject}",
        f"         {' · '.join([*versions, f'Python {report.python}', device])}",
    ]
    for check in report.checks:
        took = f"  {check.seconds:.2f} s" if check.seconds and check.seconds >= _WORTH_SAYING_S else ""
        detail = f": {check.detail}" if check.detail else ""
        lines.append(f"  {'ok    ' if check.ok else 'FAILED'} {check.name}{detail}{took}")
    from envsolve.smoke import remarks

    lines += (f"         {line}" for line in remarks(report))
    return "\n".join(lines) + "\n"


def written_text(folder: Path, lock: Lock) -> str:
    """What was just written, and what to do with it."""
    count = len(lock.packages)
    return f"wrote {folder}/: {count} packages locked as of {lock.as_of}; build it with: docker build {folder}"
