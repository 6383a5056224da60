"""What a file asks for, each part with the place it stands at."""

from __future__ import annotations

from typing import NamedTuple


class Placed(str):
    """A word of a configuration, which knows where it stands."""

    __slots__ = ("origin",)
    origin: str


class Line(NamedTuple):
    """One requirement, without comment, options and condition."""

    text: str
    origin: str
    condition: str = ""
    written: str = ""
    series: bool = False
    """``==1.4`` means the series, as it does on the command line."""

    @property
    def shown(self) -> str:
        """The user's own words."""
        return self.written or self.text


class Pin(NamedTuple):
    """A Python that a file names. One that is not ``firm`` only follows from something else, as a wheel's name."""

    version: str
    origin: str
    written: str
    firm: bool = True


class FileWants(NamedTuple):
    """All that a file asks for, and remarks on what was left out of it."""

    lines: tuple[Line, ...]
    pins: tuple[Pin, ...] = ()
    notes: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    """Remarks on a Python that was left open, for when nothing else names one."""
