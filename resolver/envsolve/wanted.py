"""Collect what a file asks for: its text within bounds, its lines, and what its addresses and Pythons mean."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envsolve.errors import UsageError
from envsolve.lines import FileWants, Line, Pin
from envsolve.matrices import Facts

LARGEST: Final = 1 << 20
"""Bytes; no file that asks for packages is ever this large."""

_WHEEL = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-(?P<tag>[^-]+)-[^-]+-[^-]+\.whl")
_EGG = re.compile(r"[#&]egg=([\w.-]+)")
_AT = re.compile(r"\s+@\s+|@(?=\w+(?:\+\w+)?://)")
_ADDRESS = re.compile(r"\w+(?:\+\w+)?://|git@|[\w-]+\+(?=\w+://)")


@dataclass
class Found:
    """What was found so far in a file."""

    facts: Facts
    lines: list[Line] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)

    def add(self, wants: FileWants) -> None:
        """What another file, that this one names, asks for."""
        self.lines += wants.lines
        self.pins += wants.pins
        self.notes += wants.notes
        self.unsaid += wants.unsaid

    def wants(self) -> FileWants:
        """All of it; a repeated remark once."""
        notes, unsaid = (tuple(dict.fromkeys(texts)) for texts in (self.notes, self.unsaid))
        return FileWants(tuple(self.lines), tuple(self.pins), notes, unsaid)

    def framework(self, name: str) -> str | None:
        """The framework that goes by a name, or None."""
        return self.facts.aliases.get(name.lower()) or self.facts.aliases.get(canonicalize_name(name))

    def python(self, specifier: str, origin: str, written: str) -> None:
        """A pin where one minor version is meant; a remark where several are."""
        pin = re.fullmatch(r"={2,3}\s*(\d+\.\d+)(\.[\d.]+)?(\.\*)?", specifier)
        try:
            wanted = SpecifierSet(specifier)
        except InvalidSpecifier:
            raise UsageError(f"{origin}: {written} is not a Python that can be read", code="bad-python") from None
        fit = [minor for minor in self.facts.pythons if any(wanted.contains(f"{minor}.{n}") for n in (0, 9, 99))]
        if pin or len(fit) == 1:
            self.pins.append(Pin(pin[1] if pin else fit[0], origin, written))
        elif specifier:
            self.unsaid.append(f"{origin}: {written} leaves the Python open, and is not used; --python X.Y names one")

    def place(self, text: str, origin: str) -> None:
        """An address or a path: a framework's wheel says its release, what is no framework is left out with a note.

        Raises UsageError ("bad-requirement") for a framework that cannot be had as of a date.
        """
        wheel = _WHEEL.fullmatch(_last(text))
        if wheel and self.framework(wheel["name"]):
            self.lines.append(Line(f"{wheel['name']}=={wheel['version']}", origin, written=wheel[0]))
            tag = re.match(r"cp(\d)(\d+)", wheel["tag"])
            if tag:
                self.pins.append(Pin(f"{tag[1]}.{tag[2]}", origin, wheel[0], firm=False))
        elif any(self.framework(name) for name in _names(text)):
            raise unlockable(text, origin)
        else:
            self.notes.append(f"{origin}: {text} is no release of a package, and is left out")


def unlockable(text: str, origin: str) -> UsageError:
    """The error for an address or path where a release is needed."""
    return UsageError(
        f"{origin}: {text} is an address or a path, which cannot be locked as of a date",
        hints=(f"replace it in {origin.rpartition(':')[0]} by NAME==VERSION, or take it out",),
        code="bad-requirement",
    )


def _last(text: str) -> str:
    """The last part of an address's path, percent signs read."""
    return unquote(re.split(r"[#?]", _AT.split(text, maxsplit=1)[-1])[0].rstrip("/").rpartition("/")[2])


def _names(text: str) -> list[str]:
    """What an address may be named after: the name before ``@``, its egg, its repository; never its owner."""
    name, *address = _AT.split(text, maxsplit=1)
    found = [name.split("[")[0].strip()] if address else []
    found += _EGG.findall(text)
    path = re.split(r"[#?]", (address or [name])[0])[0]
    parts = [part for part in re.split(r"[/:]", _ADDRESS.sub("", path, count=1)) if part]
    parts = parts[2:] if _ADDRESS.match(path) else parts[-1:]
    found += (re.sub(r"(\.git)?(@.*)?$", "", unquote(part)) for part in parts)
    wheel = re.match(r"([A-Za-z][A-Za-z0-9_]*)-\d", _last(text))
    return found + ([wheel[1]] if wheel else [])


def content(path: Path, largest: int = LARGEST) -> str:
    """The text of a regular file of bounded size. Raises UsageError ("unreadable-file")."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"cannot read {path}: it is no file", code="unreadable-file")
        with path.open("rb") as file:
            data = file.read(largest + 1)
        if len(data) > largest:
            raise UsageError(f"{path} is too large to be a list of packages", code="unreadable-file")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}", code="unreadable-file") from error
