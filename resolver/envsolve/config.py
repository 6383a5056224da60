"""Defaults from ``ENVSOLVE_*`` variables and from ``envsolve.toml`` or ``[tool.envsolve]`` in ``pyproject.toml``.

Strongest first: command line, environment, file. Only the current folder is looked at.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from envsolve.errors import UsageError

LISTS = ("targets", "gpu", "accept", "facts")
FLAGS = ("require-gpu",)
TEXTS = ("driver", "python", "os", "as-of", "backend", "output")
_FILES = ("envsolve.toml", "pyproject.toml")


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
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}", code="bad-configuration") from error
        if name == "pyproject.toml" and b"envsolve" not in content:
            continue  # somebody else's business
        table: Any = _parse(path, content)
        if name == "pyproject.toml":
            tool = table.get("tool", {})
            table = tool.get("envsolve") if isinstance(tool, dict) else None
            if table is None:
                continue
        return _checked(path, table)
    return {}


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
        elif key in (*LISTS, *FLAGS, *TEXTS):
            kind = "a list of strings" if key in LISTS else "true or false" if key in FLAGS else "a string"
            raise UsageError(f"{path}: {key} must be {kind}", code="bad-configuration")
        else:
            known = ", ".join((*LISTS, *FLAGS, *TEXTS))
            raise UsageError(f"{path}: unknown key {key}", facts=(f"known keys: {known}",), code="bad-configuration")
    return found


def _is_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
