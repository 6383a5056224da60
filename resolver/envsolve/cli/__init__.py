"""The command line: parse, call, print. What the commands do lives in pipeline.py and beyond."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from envsolve import __version__
from envsolve.cli.building import build, run_command, shell, smoke, try_command
from envsolve.cli.explaining import doctor, why
from envsolve.cli.locking import lock, render, vendor
from envsolve.cli.matrix import matrix_lint, matrix_list, matrix_show, matrix_stats
from envsolve.cli.solving import scan, solve

COMMANDS: dict[str, Callable[..., None]] = {
    "solve": solve, "build": build, "smoke": smoke, "run": run_command, "try": try_command, "shell": shell,
    "why": why, "lock": lock, "vendor": vendor, "render": render, "doctor": doctor, "scan": scan,
    "matrix show": matrix_show, "matrix list": matrix_list, "matrix lint": matrix_lint,
    "matrix stats": matrix_stats,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code. No input ends in a traceback."""
    from envsolve.dispatch import LEAVE_AT_ONCE, run

    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins costs a tenth of an answer
    code = run(list(sys.argv[1:] if arguments is None else arguments), COMMANDS, __version__)
    if code in LEAVE_AT_ONCE:
        sys.stderr.flush()
        os._exit(code)  # threads that wait for an index would hold the process until their time is out
    sys.exit(code)
