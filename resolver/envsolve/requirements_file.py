"""Read a ``requirements*.txt``: its lines that ask for a package, each with the line it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

from envsolve.errors import UsageError
from envsolve.matrices import Facts

_LARGEST = 1 << 20
"""Bytes; a requirements file is never this large."""
_PLACE = re.compile(r"-e\b|--editable\b|[./]|[^-].*(?:\w://| @ )")


@dataclass(frozen=True)
class Line:
    """One requirement as written, without comment, options and marker."""

    text: str
    origin: str


def read_requirements(path: Path, facts: Facts, python: str | None) -> list[Line]:
    """The requirements of a file and of those it includes with ``-r``.

    Lines about indexes are left out: where packages come from is pip's configuration. Raises UsageError for what
    cannot be read, a URL or path (which cannot be locked as of a date), and a marker whose answer depends on the
    Python when none was named.
    """
    return list(_read(path, facts, python, ()))


def _read(path: Path, facts: Facts, python: str | None, within: tuple[Path, ...]) -> Iterator[Line]:
    if path.resolve() in within:
        raise UsageError(f"{path} includes itself", code="unreadable-file")
    for number, text in _joined(_content(path)):
        origin = f"{path}:{number}"
        include = re.fullmatch(r"(?:-r|--requirement)[ =]*(.+)", text)
        if include:
            yield from _read(path.parent / include[1].strip(), facts, python, (*within, path.resolve()))
        elif _PLACE.match(text):
            raise UsageError(
                f"{origin}: {text} is an address or a path, which cannot be locked as of a date",
                hints=(f"replace it in {path} by NAME==VERSION, or take it out",),
                code="bad-requirement",
            )
        elif not text.startswith("-"):
            yield from _wanted(text, origin, facts, python)


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is too large to be a requirements file", code="unreadable-file")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}", code="unreadable-file") from error


def _joined(content: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end in a backslash joined, each with the number it starts on."""
    start, held = 0, ""
    for number, line in enumerate(content.splitlines(), 1):
        start = start or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        text = re.sub(r"(^|\s)#.*", "", held + line).strip()
        if text:
            yield start, text
        start, held = 0, ""


def _wanted(text: str, origin: str, facts: Facts, python: str | None) -> Iterator[Line]:
    text = re.split(r"\s--", text)[0]
    requirement, _, condition = text.partition(";")
    if not condition.strip() or _holds(condition, origin, facts, python):
        yield Line(requirement.strip(), origin)


def _holds(condition: str, origin: str, facts: Facts, python: str | None) -> bool:
    try:
        marker = Marker(condition)
        pythons = [".".join(python.split(".")[:2])] if python else list(facts.pythons)
        answers = {
            marker.evaluate(
                {
                    "python_version": version,
                    "python_full_version": facts.pythons[version].full if version in facts.pythons else version,
                    "sys_platform": "linux",
                    "platform_system": "Linux",
                    "platform_machine": "x86_64",
                    "os_name": "posix",
                    "implementation_name": "cpython",
                    "platform_python_implementation": "CPython",
                    "extra": "",
                }
            )
            for version in pythons
        }
    except (InvalidMarker, UndefinedEnvironmentName) as error:
        raise UsageError(f"{origin}: cannot read the condition {condition.strip()}", code="bad-requirement") from error
    if len(answers) != 1:
        raise UsageError(
            f"{origin}: {condition.strip()} depends on the Python, and none was named",
            hints=("--python X.Y",),
            code="python-needed",
        )
    return answers.pop()
