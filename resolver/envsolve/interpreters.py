"""Find the Pythons on this machine, old ones first of all: pyenv, uv, conda, asdf, mise, the system, PATH.

Each is run once to say what it is. What does not answer in time, is no CPython of its own (a shim, a virtual
environment, another architecture) or is not a final release is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from envsolve.models import Interpreter

ONE_TIMEOUT_S = 5.0
"""A Python that needs longer to say its version is taken for broken."""

ALL_TIMEOUT_S = 12.0
"""After this no further Python is started."""

_MOST = 64
_NAME = re.compile(r"python\d?(\.\d+)?")
_MANAGED = (
    ("PYENV_ROOT", "~/.pyenv", "versions/*/bin"),
    ("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python", "*/bin"),
    ("ASDF_DATA_DIR", "~/.asdf", "installs/python/*/bin"),
    ("MISE_DATA_DIR", "~/.local/share/mise", "installs/python/*/bin"),
)
_CONDAS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")
_SYSTEM = ("/usr/bin", "/usr/local/bin")

# Runs on every Python since 2.7. Without ``site``, so that nothing of the user's is read.
_ASK = """
import struct, sys, sysconfig
names = getattr(sys, 'implementation', None)
name = names.name if names else ('pypy' if hasattr(sys, 'pypy_version_info') else 'cpython')
version = sys.version_info
if version[0] == 2:
    abi = 'cp%d%d' % version[:2] + ('m' if sysconfig.get_config_var('WITH_PYMALLOC') else '')
    abi += 'u' if sys.maxunicode > 65535 else ''
else:
    abi = 'cp' + (sysconfig.get_config_var('SOABI') or '-').split('-')[1]
print('envsolve %s %d.%d.%d %s %s %d' % ((name,) + version[:4] + (abi, struct.calcsize('P') * 8)))
"""
_ANSWER = re.compile(r"^envsolve cpython (\d+\.\d+\.\d+) final (cp\d+\w*) 64$", re.MULTILINE)


def find_interpreters(environ: Mapping[str, str] | None = None) -> tuple[Interpreter, ...]:
    """Every usable CPython here, oldest first; each file once, under its real path."""
    started = time.monotonic()
    paths = list(_candidates(os.environ if environ is None else environ))[:_MOST]

    def ask(path: Path) -> Interpreter | None:
        left = ALL_TIMEOUT_S - (time.monotonic() - started)
        return identify(path, min(ONE_TIMEOUT_S, left)) if left > 0 else None

    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [interpreter for interpreter in pool.map(ask, paths) if interpreter]
    return tuple(sorted(found, key=lambda i: ([int(part) for part in i.version.split(".")], i.path)))


def identify(path: Path, timeout_s: float = ONE_TIMEOUT_S) -> Interpreter | None:
    """What one interpreter says it is; None when it says nothing usable in time."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "__PYVENV"))}
    try:
        run = subprocess.run(
            [str(path), "-E", "-s", "-S", "-c", _ASK],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, env=environment, cwd="/", check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer = _ANSWER.search(run.stdout.decode("ascii", "replace"))
    if run.returncode != 0 or answer is None:
        return None
    return Interpreter(version=answer[1], path=str(path), abi=answer[2])


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Real paths of what may be a base interpreter, each once, in a fixed order."""
    seen: set[Path] = set()
    for folder in _folders(environ):
        for entry in _pythons_in(folder):
            try:
                path = entry.resolve()
            except (OSError, RuntimeError):  # a link to itself
                continue
            if path not in seen:
                seen.add(path)
                if _is_program(path) and not _in_virtual_environment(path):
                    yield path


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 (Path.home raises without one)

    def at_home(text: str) -> Path:
        return home / text[2:] if text.startswith("~/") else Path(text)

    for variable, default, pattern in _MANAGED:
        root = at_home(environ.get(variable) or default)
        yield from _glob(root, pattern)
    for root in [*(home / name for name in _CONDAS), Path("/opt/conda"), *_named_condas(home, environ)]:
        yield root / "bin"
        yield from _glob(root, "envs/*/bin")
    yield from _glob(Path("/opt/python"), "*/bin")
    yield from map(Path, _SYSTEM)
    yield Path(getattr(sys, "_base_executable", "") or sys.executable).parent
    yield from (Path(part) for part in environ.get("PATH", "").split(os.pathsep) if part.startswith("/"))


def _named_condas(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Conda's own list of environments, and the installation that is active."""
    executable = environ.get("CONDA_EXE", "")
    if executable.startswith("/"):
        yield Path(executable).parent.parent
    try:
        lines = (home / ".conda" / "environments.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    yield from (Path(line) for line in lines if line.startswith("/"))


def _glob(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []


def _pythons_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if _NAME.fullmatch(entry.name))
    except OSError:
        return []


def _is_program(path: Path) -> bool:
    """A program of this kind of machine, not a shim (pyenv's and asdf's are shell scripts)."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False


def _in_virtual_environment(path: Path) -> bool:
    """A copied interpreter of venv or virtualenv; links lead to the base interpreter, which is wanted."""
    root = path.parent.parent
    return (root / "pyvenv.cfg").exists() or any(_glob(root, "lib/python*/orig-prefix.txt"))
