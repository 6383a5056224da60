"""Make an empty virtual environment of any Python: with its own ``venv``, else with a pinned virtualenv."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from envsolve.engine import pip
from envsolve.errors import BuildError, NotReadyError

if TYPE_CHECKING:
    from envsolve.facts import Tool
    from envsolve.models import Interpreter

Log = Callable[[str], None]

TOOL = "virtualenv"


def has_venv(python: str) -> bool:
    """Whether a Python ('X.Y') has a ``venv`` module at all."""
    return not python.startswith("2.")


def make(interpreter: Interpreter, prefix: Path, tool: Tool, variables: Mapping[str, str], log: Log) -> str:
    """Make the environment at ``prefix``, which is empty but for our marker; gives the name of what made it.

    Raises BuildError, or NotReadyError when virtualenv is needed and cannot be had.
    """
    if has_venv(interpreter.version):
        try:
            pip.run([interpreter.path, "-E", "-s", "-m", "venv", str(prefix)], variables, log, cwd=prefix)
            return "venv"
        except BuildError:
            # Debian and Ubuntu ship pythonX.Y without ensurepip, in a package of its own.
            log(f"{interpreter.path} -m venv does not work; taking {TOOL} {tool.version}")
            _clear(prefix)
    minor = interpreter.version.rpartition(".")[0]
    if minor not in SpecifierSet(tool.pythons):
        raise NotReadyError(
            f"{interpreter.path} cannot make an environment: its venv module does not work",
            hints=(f"sudo apt-get install python{minor}-venv",), code="no-venv",
        )  # fmt: skip
    folder = installed(tool, variables, log)
    command = [sys.executable, "-m", TOOL, "--no-download", "--no-periodic-update"]
    command += ["--app-data", str(folder / "app-data"), "--python", interpreter.path, str(prefix)]
    settings = {"PYTHONPATH": str(folder / "site"), "VIRTUALENV_CONFIG_FILE": str(folder / "none.ini")}
    pip.run(command, {**variables, **settings}, log, cwd=prefix)
    return TOOL


def installed(tool: Tool, variables: Mapping[str, str], log: Log) -> Path:
    """The private folder with the tool, installed there by the pinned hashes when it is not there yet."""
    import platformdirs

    version = f"{tool.version}-{tool.files[0].sha256[:8]}-py{sys.version_info.major}.{sys.version_info.minor}"
    folder = platformdirs.user_data_path("envsolve") / "tools" / f"{tool.name}-{version}"
    if (folder / "site").is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{tool.name}-", dir=folder.parent) as name:
        temporary = Path(name)
        lines = [f"{file.name}=={file.version} --hash=sha256:{file.sha256}" for file in tool.files]
        (temporary / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        command += ["--target", str(temporary / "site"), "-r", str(temporary / "requirements.txt")]
        pip.run(command, variables, log, cwd=temporary)
        whole = temporary / "whole"
        whole.mkdir()
        (temporary / "site").rename(whole / "site")
        try:
            whole.rename(folder)
        except OSError:  # another process was faster
            if not (folder / "site").is_dir():
                raise
    return folder


def _clear(prefix: Path) -> None:
    """Take back what a failed venv left."""
    for name in ("bin", "lib", "lib64", "include", "pyvenv.cfg", "share"):
        path = prefix / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
