"""When the code was last worked on: git's own record, asked so that nothing of the repository can run."""

from __future__ import annotations

import os
import subprocess
from datetime import date
from pathlib import Path

from envsolve.scan.evidence import Evidence

_SECONDS = 20
_HARMLESS = (
    *("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never", "-c", "core.sshCommand=false", "-c", "core.pager=cat", "-c", "safe.directory=*"),
)
"""What a hostile ``.git/config`` could make git run is switched off: monitors, hooks, gpg, transports, pagers."""


def last_change(root: Path) -> Evidence | None:
    """The last commit that touched a Python source in a folder; None without git or a repository there."""
    folder = root if root.is_dir() else root.parent
    if not (folder / ".git").exists():
        return None
    what = ["*.py", "*.ipynb"] if root.is_dir() else [root.name]
    for paths, means in ((what, "a source was last changed"), ([], "the last commit was made")):
        line = _git(folder, "log", "-1", "--format=%as %h", "--", *paths)
        day, _, commit = line.partition(" ")
        try:
            when = date.fromisoformat(day)
        except ValueError:
            continue
        return Evidence(
            file=".git", line=None, offset=None, found=f"commit {commit} of {day}", means=f"{means} on {day}",
            strength="weak", source="git log", date=when,
        )  # fmt: skip
    return None


def _git(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, "--no-pager", *arguments],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
