"""The lock as pylock.toml (PEP 751): the record that other tools read.

Every file is named by ``path``, under the folder that ``envsolve vendor`` fills, with its size, hash and upload time.
No address is written but that of an index which was named with its scope: the ordinary index is the user's own affair,
and the address by which one served a file on the day does not last. Old pips cannot read this file, so the installer's
input is ``phases/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from envsolve.lock.pages import canonical
from envsolve.lock.requirement import parse_requirement
from envsolve.models import Lock, LockedPackage

VENDOR = "vendor"
"""The folder of the files, beside the lock."""

_LOCK_VERSION = "1.0"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def pylock(lock: Lock) -> str:
    """The text of pylock.toml; the same lock gives the same bytes."""
    return "\n".join(_lines(lock)) + "\n"


def _lines(lock: Lock) -> Iterator[str]:
    yield "# The record of envsolve.lock; `envsolve vendor` puts the files where it looks."
    yield f"lock-version = {_text(_LOCK_VERSION)}"
    yield f"environments = [{_text(_environment(lock))}]"
    yield f"requires-python = {_text(f'=={lock.stack.python}.*')}"
    yield 'created-by = "envsolve"'
    names = {package.name for package in lock.packages}
    for package in sorted(lock.packages, key=lambda p: p.name):
        yield ""
        yield from _package(package, names)
    yield ""
    yield "[tool.envsolve]"
    yield f"version = {_text(lock.envsolve)}"
    yield f"as-of = {lock.as_of.isoformat()}"
    yield f"as-of-reason = {_text(lock.as_of_reason)}"
    yield f"database = {_text(lock.facts)}"
    if lock.image.holds:
        yield f"held-by-image = [{', '.join(map(_text, lock.image.holds))}]"


def _environment(lock: Lock) -> str:
    """The one platform that the files are for, as a marker. The system by its plain name: Python 2's was ``linux2``."""
    return (
        f"platform_system == 'Linux' and platform_machine == '{lock.host.machine}' and "
        f"platform_python_implementation == 'CPython' and python_version == '{lock.stack.python}'"
    )


def _package(package: LockedPackage, names: set[str]) -> Iterator[str]:
    yield "[[packages]]"
    yield f"name = {_text(package.name)}"
    yield f"version = {_text(package.version)}"
    if "://" in package.index:
        yield f"index = {_text(package.index)}"
    needed = sorted({name for text in package.requires if (name := _name(text)) in names})
    if needed:
        yield f"dependencies = [{', '.join(f'{{ name = {_text(name)} }}' for name in needed)}]"
    table = ", ".join(f"{key} = {value}" for key, value in _file(package))
    if package.filename.endswith(".whl"):
        yield f"wheels = [{{ {table} }}]"
    else:
        yield f"sdist = {{ {table} }}"
    yield "[packages.tool.envsolve]"
    yield f"phase = {_text(package.phase)}"
    if package.phase == "sdist":
        yield f"level = {package.level}"
    if package.yanked is not None:
        yield f"yanked = {_text(package.yanked)}"


def _file(package: LockedPackage) -> Iterator[tuple[str, str]]:
    yield "name", _text(package.filename)
    uploaded = _instant(package.upload_time)
    if uploaded is not None:
        yield "upload-time", uploaded
    yield "path", _text(f"{VENDOR}/{package.filename}")
    yield "size", str(package.size)
    yield "hashes", f"{{ sha256 = {_text(package.sha256)} }}"


def _name(text: str) -> str | None:
    requirement = parse_requirement(text)
    return canonical(requirement.name) if requirement is not None else None


def _instant(text: str) -> str | None:
    """An upload time as TOML writes it, in UTC; None where only a day is known."""
    try:
        instant = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None
    return instant.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def _text(value: str) -> str:
    """A TOML string."""
    escaped = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08X}") for c in value)
    return f'"{"".join(escaped)}"'
