"""Run a probe by a command of an engine, within its time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from envsolve.engine.base import STDERR_TAIL, ProbeRun

if TYPE_CHECKING:
    from envsolve.talk import Talk


def probed(words: Sequence[str], timeout_s: float, talk: Talk, started: float) -> ProbeRun:
    """What the probe said; ``started``: when its container began to be made, by ``time.monotonic``."""
    done, timed_out = ended(words, timeout_s)
    for line in done.stderr.splitlines():
        talk.log(line)
    took = time.monotonic() - started
    return ProbeRun(done.returncode, done.stdout, done.stderr[-STDERR_TAIL:], took, timed_out)


def ended(words: Sequence[str], timeout_s: float) -> tuple[subprocess.CompletedProcess[str], bool]:
    """What a command printed, and whether it ran out of time."""
    with subprocess.Popen(
        list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace",
    ) as process:  # fmt: skip
        try:
            out, error = process.communicate(timeout=timeout_s)
            return subprocess.CompletedProcess(words, process.returncode, out, error), False
        except subprocess.TimeoutExpired:
            process.terminate()  # it ends what it runs
            try:
                out, error = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                out, error = process.communicate()
            return subprocess.CompletedProcess(words, 137, out, error), True
