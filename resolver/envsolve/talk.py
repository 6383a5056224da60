"""Everything that is said while working: on stderr, so that stdout holds results alone.

On a terminal a stage is one live line that ends with its time, and a build's log is folded into it; elsewhere
every line is plain and stays. ``NO_COLOR`` is respected.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_TAIL = 30
"""Lines of a folded log that are shown when its stage fails."""

_REFRESH_S = 0.05
"""A live line is redrawn no more often than this."""


def wants_color(stream: TextIO) -> bool:
    """Whether colour belongs on a stream: a terminal that is not dumb, without NO_COLOR."""
    return not os.environ.get("NO_COLOR") and is_live(stream)


def is_live(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which a line can be redrawn."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") != "dumb"
    except ValueError:  # closed
        return False


class Talk:
    """Says things to the person. ``quiet`` leaves only warnings."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream if stream is not None else sys.stderr
        self._live = is_live(self._stream) and not quiet
        self._color = wants_color(self._stream)
        self._steps: list[tuple[str, float]] = []
        self._folded: deque[str] = deque(maxlen=_TAIL)
        self._drawn = 0.0
        self._shown = False

    def say(self, text: str) -> None:
        """One line that stays."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """One line that stays, said even when quiet."""
        self._print(f"{self._paint('warning:', '33')} {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One stage: a line with its time when it is over, live meanwhile on a terminal.

        When the stage fails, the end of the log that was folded away is shown.
        """
        started = time.monotonic()
        self._steps.append((text, started))
        self._folded.clear()
        self._draw("", at_once=True)
        try:
            yield
        except KeyboardInterrupt:
            self._steps.pop()
            self._clear()
            raise
        except BaseException:
            self._steps.pop()
            for line in self._folded:
                self._print(self._paint(line, "2"))
            self._end(f"{text}: failed", started, "31")
            raise
        finally:
            self._folded.clear()
        self._steps.pop()
        self._end(text, started, "32")

    def log(self, line: str) -> None:
        """A line of somebody else's output (a build): folded into the live line on a terminal, plain elsewhere."""
        if self.quiet:
            return
        for text in line.rstrip("\n").split("\n"):
            if self._live and self._steps:
                self._folded.append(text)
                self._draw(text)
            else:
                self._print(text)

    def detail(self, text: str) -> None:
        """How far the stage is: on its live line, and nowhere else."""
        self._draw(text)

    # -- drawing ---------------------------------------------------------------------------------------------

    def _end(self, text: str, started: float, code: str) -> None:
        took = f"{time.monotonic() - started:.1f} s"
        self.say(f"{self._paint(text, code)}  {self._paint(took, '2')}")

    def _draw(self, detail: str, at_once: bool = False) -> None:
        """The live line: the stage, its time so far, the last line of the log."""
        now = time.monotonic()
        if not self._live or not self._steps or (not at_once and now - self._drawn < _REFRESH_S):
            return
        self._drawn = now
        text, started = self._steps[-1]
        visible = "".join(c for c in detail.replace("\t", " ") if c.isprintable())
        line = f"{text}  {now - started:.0f} s  {visible}".rstrip()
        self._write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        self._shown = True

    def _print(self, text: str) -> None:
        self._clear()
        self._write(f"{text}\n")

    def _clear(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
        self._shown = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody listens any more

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text
