"""Defaults from ``ENVSOLVE_*`` variables and from ``envsolve.toml`` or ``[tool.envsolve]`` in ``pyproject.toml``.

Strongest first: command line, environment, file. Only the current folder is looked at. The same files, given as a
word, are what their targets (or a project's dependencies) ask for.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.errors import UsageError
from envsolve.indexes import read_indexes
from envsolve.lines import Line, Pin, Placed

if TYPE_CHECKING:
    from envsolve.lines import FileWants
    from envsolve.matrices import Facts
    from envsolve.wanted import Found

TABLES = ("indexes",)
LISTS = ("targets", "gpu", "accept", "facts")
FLAGS = ("require-gpu",)
TEXTS = ("driver", "python", "os", "as-of", "backend", "output")
_FILES = ("envsolve.toml", "pyproject.toml")
_LARGEST = 1 << 20


def defaults(folder: Path | None = None) -> dict[str, Any]:
    """The options that environment and file set, by the names of build_request's parameters (and ``output``).

    Raises UsageError ("bad-configuration") naming file and key.
    """
    found = _from_file(folder or Path())
    for key in (*LISTS, *FLAGS, *TEXTS):
        text = os.environ.get(f"ENVSOLVE_{key.replace('-', '_').upper()}", "").strip()
        if text and key != "targets":
            found[key] = _from_text(key, text)
    return {key.replace("-", "_"): value for key, value in found.items()}


def _from_text(key: str, text: str) -> Any:
    if key in LISTS:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if key in FLAGS:
        if text.lower() not in ("0", "1", "false", "true", "no", "yes"):
            raise UsageError(f"ENVSOLVE_{key.replace('-', '_').upper()}={text}: 0 or 1", code="bad-configuration")
        return text.lower() in ("1", "true", "yes")
    return text


def _from_file(folder: Path) -> dict[str, Any]:
    for name in _FILES:
        path = folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}", code="bad-configuration") from error
        if name == "pyproject.toml" and b"envsolve" not in content:
            continue  # somebody else's business
        table: Any = _parse(path, content)
        if name == "pyproject.toml":
            table = _tool(table)
            if table is None:
                continue
        found = _checked(path, table)
        if "targets" in found:
            found["targets"] = _placed(path, content.decode(), found["targets"])
        return found
    return {}


def _tool(table: dict[str, Any]) -> Any:
    tool = table.get("tool", {})
    return tool.get("envsolve") if isinstance(tool, dict) else None


def _placed(path: Path, content: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Targets that know their line; files among them are relative to the file they stand in."""
    from envsolve.request_files import beside

    found = []
    for word, full in zip(words, beside(path.parent, words), strict=True):
        placed = Placed(full)
        placed.origin = f"{path}:{_line_of(content, word)}"
        found.append(placed)
    return tuple(found)


def _line_of(content: str, value: str) -> int:
    """The line on which a string stands in quotes; that of its list, or 1, when it is written with escapes."""
    quoted = re.search(rf"(['\"]){re.escape(value)}\1", content)
    quoted = quoted or re.search(r"(?m)^\s*(targets|dependencies)\b", content)
    return content.count("\n", 0, quoted.start()) + 1 if quoted else 1


def read_toml(path: Path, facts: Facts) -> FileWants:
    """What an envsolve.toml's targets, or a pyproject.toml's dependencies, ask for, and the Python they pin.

    Raises UsageError ("bad-configuration", "unreadable-file", "bad-requirement").
    """
    from envsolve.wanted import Found, content

    found, text = Found(facts), content(path)
    table: Any = _parse(path, text.encode())
    project = table.get("project") if path.name == "pyproject.toml" else None
    if isinstance(project, dict) and "dependencies" in project:
        _take_project(path, text, project, found)
        return found.wants()
    table = table if path.name == "envsolve.toml" else _tool(table)
    if table is None:
        raise UsageError(f"{path} has neither [project] dependencies nor [tool.envsolve]", code="unreadable-file")
    _take_targets(path, text, _checked(path, table), found)
    return found.wants()


def _take_project(path: Path, text: str, project: dict[str, Any], found: Found) -> None:
    from envsolve.requirements_file import take_line

    words = project["dependencies"]
    if not isinstance(words, list) or not _is_words(words):
        raise UsageError(f"{path}: dependencies must be a list of strings", code="bad-configuration")
    for word in words:
        take_line(word.strip(), f"{path}:{_line_of(text, word)}", path.parent, found)
    python = project.get("requires-python")
    if isinstance(python, str) and python.strip():
        origin = f"{path}:{_line_of(text, python)}"
        found.python(python.strip(), origin, f'requires-python = "{python}"')


def _take_targets(path: Path, text: str, table: dict[str, Any], found: Found) -> None:
    from envsolve.request_files import names_file, read_file

    for word in _placed(path, text, table.get("targets", ())):
        origin = word.origin if isinstance(word, Placed) else str(path)
        if not names_file(word):
            found.lines.append(Line(str(word).strip(), origin, series=True))
        elif Path(word).name == "envsolve.toml":
            raise UsageError(f"{origin}: a configuration names no other", code="bad-configuration")
        else:
            found.add(read_file(str(word), facts=found.facts))
    if "python" in table:
        python = table["python"].strip()
        found.pins.append(Pin(python, f"{path}:{_line_of(text, table['python'])}", f'python = "{python}"'))
    unused = sorted(set(table) - {"targets", "python"})
    if unused and path.parent != Path():
        found.notes.append(f"{path}: {', '.join(unused)}: read only from the current folder's configuration")


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is too large to be a configuration", code="bad-configuration")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # among them TOMLDecodeError and UnicodeDecodeError
        raise UsageError(f"{path}: {error}", code="bad-configuration") from error


def _checked(path: Path, table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.envsolve must be a table", code="bad-configuration")
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in LISTS and _is_words(value):
            found[key] = (value,) if isinstance(value, str) else tuple(value)
        elif (key in FLAGS and isinstance(value, bool)) or (key in TEXTS and isinstance(value, str)):
            found[key] = value
        elif key == "as-of" and hasattr(value, "isoformat"):
            found[key] = value.isoformat()[:10]  # TOML has dates of its own
        elif key in TABLES:
            found[key] = read_indexes(value, str(path))
        elif key in (*LISTS, *FLAGS, *TEXTS):
            kind = "a list of strings" if key in LISTS else "true or false" if key in FLAGS else "a string"
            raise UsageError(f"{path}: {key} must be {kind}", code="bad-configuration")
        else:
            known = ", ".join((*LISTS, *FLAGS, *TEXTS, *TABLES))
            raise UsageError(f"{path}: unknown key {key}", facts=(f"known keys: {known}",), code="bad-configuration")
    return found


def _is_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
