"""Run pip for a local environment: with the user's index settings, and with nothing else of the user's."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve.errors import BuildError, EnvsolveError, NotReadyError
from envsolve.lock.pylock import VENDOR
from envsolve.lock.vendoring import TOOLS

if TYPE_CHECKING:
    from envsolve.lock.pipconfig import IndexConfig

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "USER", "LOGNAME")
_NETWORK = ("Retrying (", "ProxyError", "SSLError", "ConnectTimeout", "NewConnectionError", "Connection refused")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_FROM_FILE = re.compile(r"(?:#sha256=\w+)? \(from -r .*\)(?=:$)")
_PATTERN = "DO NOT MATCH THE HASHES"


def environment(config: IndexConfig, home: Path) -> dict[str, str]:
    """Variables for pip and for the setup.py files it runs. ``home`` is an empty folder of ours.

    The user's netrc is kept (it may hold the index's password); easy_install is kept from fetching anything,
    because what an old setup.py asks for by ``setup_requires`` would be neither locked nor hashed.
    """
    (home / ".pydistutils.cfg").write_text("[easy_install]\nallow_hosts = None\n", encoding="utf-8")
    netrc = Path(os.environ.get("HOME", "/nonexistent"), ".netrc")
    if netrc.is_file():
        (home / ".netrc").symlink_to(netrc)
    temporary = home / "tmp"  # what pip unpacks is gone with ours, also after a kill
    temporary.mkdir()
    found = {name: os.environ[name] for name in _KEPT if name in os.environ}
    found |= {"HOME": str(home), "TMPDIR": str(temporary), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"}
    found["PYTHONNOUSERSITE"] = "1"
    found |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1", "PIP_INDEX_URL": config.index_url}
    found["PIP_DEFAULT_TIMEOUT"], found["PIP_RETRIES"] = f"{config.timeout:g}", str(config.retries)
    optional = {
        "PIP_TRUSTED_HOST": " ".join(config.trusted_hosts),
        "PIP_CERT": str(config.ca_bundle or ""),
        "PIP_CLIENT_CERT": str(config.client_cert or ""),
        "no_proxy": config.no_proxy or "",
        **{f"{scheme}_proxy": url for scheme, url in config.proxies.items()},
    }
    return found | {name: value for name, value in optional.items() if value}


def vendored(folder: Path) -> dict[str, str]:
    """Variables by which pip takes everything from ``vendor`` and asks no index."""
    places = (folder.absolute() / VENDOR, folder.absolute() / VENDOR / TOOLS)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": " ".join(place.as_uri() for place in places if place.is_dir())}


def run(command: Sequence[str], variables: Mapping[str, str], log: Callable[[str], None], cwd: Path) -> list[str]:
    """Run a command to its end, each line of its output to ``log``; the last lines of it.

    The command and its children end with us: on Ctrl-C too. Raises BuildError or NotReadyError by what it said.
    """
    tail: list[str] = []
    process = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=dict(variables), cwd=cwd, start_new_session=True,
    )  # fmt: skip
    try:
        for line in process.stdout or ():
            text = _CREDENTIALS.sub("****@", line.rstrip("\n"))  # old pips show the index with its password
            log(text)
            tail.append(text)
            del tail[:-400]
        code = process.wait()
    except BaseException:
        end(process)
        raise
    if code != 0:
        raise failure(tail, code)
    return tail


def end(process: subprocess.Popen[str]) -> None:
    """End a process of ours that leads its own session, and its children, by its id."""
    for kind, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    if process.stdout:
        process.stdout.close()


def failure(tail: Sequence[str], code: int) -> EnvsolveError:
    """What a failed pip means: the error to raise."""
    text = "\n".join(tail)
    if _PATTERN in text:
        start = next(i for i, line in enumerate(tail) if _PATTERN in line)
        lines = tuple(_FROM_FILE.sub("", line.strip()) for line in tail[start + 1 : start + 5] if line.strip())
        return BuildError("a downloaded file is not the one that was locked", facts=lines, code="hash-mismatch")
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return NotReadyError("the disk is full", hints=("df -h",), code="disk-full")
    if any(mark in text for mark in _NETWORK):
        return NotReadyError(
            "the package index cannot be reached", facts=_last(tail), hints=("pip config list",), code="no-network"
        )
    return BuildError(f"pip ended with {code}", facts=_last(tail))


def _last(tail: Sequence[str]) -> tuple[str, ...]:
    """What pip itself calls errors, else its last words."""
    errors = [line.strip() for line in tail if line.strip().lower().startswith(("error:", "error "))]
    return tuple(errors[-3:] or [line.strip() for line in tail if line.strip()][-3:])
