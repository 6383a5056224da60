"""The end of a command's output -> the Python exceptions in it, the last one first. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_FRAME = re.compile(r'\s+File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_RAISED = re.compile(
    r"(?:[\w]+\.)*(?P<kind>[A-Z]\w*(?:Error|Exception|Warning|Failure|Exit|Interrupt|Fault)|[A-Z]\w+)"
    r"(?:: ?(?P<message>.*))?$"
)
_MOST_LINES, _MOST_FRAMES = 20_000, 200
_LONGEST = 2000
_MESSAGE_LINES = 20


@dataclass(frozen=True)
class Frame:
    """One line of a traceback."""

    file: str
    line: int


@dataclass(frozen=True)
class Failure:
    """An exception: its class without the module, its message, and where it was raised, outermost frame first."""

    kind: str
    message: str
    frames: tuple[Frame, ...]

    @property
    def shown(self) -> str:
        """As Python prints it, on one line."""
        first = self.message.partition("\n")[0]
        return f"{self.kind}: {first}"[:300] if first else self.kind


def failures(text: str) -> list[Failure]:
    """Every exception that a text shows with the place it was raised at, the last one first."""
    lines = [line.rstrip()[:_LONGEST] for line in _ANSI.sub("", text).splitlines()[-_MOST_LINES:]]
    found: list[Failure] = []
    frames: list[Frame] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.lstrip().startswith("Traceback (most recent call last)"):
            frames = []
        elif match := _FRAME.match(line):
            frames = [*frames[-_MOST_FRAMES:], Frame(match["file"], int(match["line"]))]
        elif frames and line[:1] not in ("", " ", "\t") and (raised := _RAISED.match(line)):
            more = _continued(lines, at)
            found.append(Failure(raised["kind"], "\n".join([raised["message"] or "", *more]).strip(), tuple(frames)))
            frames, at = [], at + len(more)
    return found[::-1]


def _continued(lines: list[str], at: int) -> list[str]:
    """The further lines of a message: up to an empty one, or the next traceback."""
    found: list[str] = []
    for line in lines[at : at + _MESSAGE_LINES]:
        if not line or line.lstrip().startswith("Traceback (most") or _FRAME.match(line):
            break
        found.append(line)
    return found
