"""Read a ``requirements*.txt``: its lines that ask for a package, each with the line it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

from envsolve.errors import UsageError
from envsolve.lines import FileWants, Line
from envsolve.matrices import Facts
from envsolve.wanted import Found, content, unlockable

MOST_FILES = 100
"""Files that one requirements file may bring in, itself included."""
_INCLUDE = re.compile(r"(?:-r|--requirement)[ =]*(.+)")
_PLACE = re.compile(r"-e\b|--editable\b|[./]|[^-].*(?:\w://| @ )")


def read_requirements(path: Path) -> FileWants:
    """The requirements of a file and of those it includes with ``-r``.

    Lines about indexes are left out: where packages come from is pip's configuration. Raises UsageError for what
    cannot be read, and for a URL or path (which cannot be locked as of a date).
    """
    return FileWants(tuple(_read(path, (), [])))


def _read(path: Path, within: tuple[Path, ...], opened: list[Path]) -> Iterator[Line]:
    where = _resolved(path)
    if where in within:
        raise UsageError(f"{path} includes itself", code="unreadable-file")
    opened.append(path)
    if len(opened) > MOST_FILES:
        raise UsageError(f"{opened[0]} brings in more than {MOST_FILES} files", code="unreadable-file")
    for number, text in joined(content(path)):
        origin = f"{path}:{number}"
        include = _INCLUDE.fullmatch(text)
        if include:
            yield from _read(path.parent / include[1].strip(), (*within, where), opened)
        elif _PLACE.match(text):
            raise unlockable(text, origin)
        elif not text.startswith("-"):
            yield requirement(text, origin)


def take_line(text: str, origin: str, folder: Path, found: Found) -> None:
    """One line that pip would read, where addresses of what is no framework are left out with a note."""
    include = _INCLUDE.fullmatch(text)
    if include:
        found.lines += read_requirements(folder / include[1].strip()).lines
    elif _PLACE.match(text):
        found.place(re.sub(r"^(?:-e|--editable)[ =]*", "", text), origin)
    elif text and not text.startswith("-"):
        found.lines.append(requirement(text, origin))


def requirement(text: str, origin: str) -> Line:
    """A line without its options, its condition apart."""
    named, _, condition = re.split(r"\s--", text, maxsplit=1)[0].partition(";")
    return Line(named.strip(), origin, condition.strip())


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot read {path}: {error}", code="unreadable-file") from error


def joined(content: str) -> Iterator[tuple[int, str]]:
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


def holds(line: Line, facts: Facts, python: str | None) -> bool:
    """Whether a line's condition is true. Raises UsageError where that depends on a Python that was not named."""
    if not line.condition:
        return True
    try:
        marker = Marker(line.condition)
        pythons = [".".join(python.split(".")[:2])] if python else list(facts.pythons)
        answers = {marker.evaluate(_environment(version, facts)) for version in pythons}
    except (InvalidMarker, UndefinedEnvironmentName) as error:
        raise UsageError(
            f"{line.origin}: cannot read the condition {line.condition}", code="bad-requirement"
        ) from error
    if len(answers) != 1:
        raise UsageError(
            f"{line.origin}: {line.condition} depends on the Python, and none was named",
            hints=("--python X.Y",),
            code="python-needed",
        )
    return answers.pop()


def _environment(version: str, facts: Facts) -> dict[str, str]:
    return {
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
