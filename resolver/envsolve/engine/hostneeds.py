"""What an environment without a container needs of this machine, and what of it is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envsolve.models import Interpreter, Lock

_LINK = re.compile(r"-l(\w\S*)")
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Needs:
    """System packages that seem to be missing: programs (nothing works without) and libraries."""

    programs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """The command that installs them on the kind of system the names are from."""
        return f"sudo apt-get install {' '.join((*self.programs, *self.libraries))}"


def missing(packages: tuple[str, ...], known_libraries: str | None = None) -> Needs:
    """Which of these apt packages are not here, under their own or another name.

    A package counts as present when dpkg has it, when a program of its name is on PATH, or when the loader knows
    a library of its name (libgfortran3: libgfortran.so.3; libopenblas-dev: libopenblas.so).
    """
    absent = [name for name in packages if not shutil.which(name) and not _dpkg_has(name)]
    cache = loader_cache() if known_libraries is None and absent else known_libraries or ""
    libraries = [name for name in absent if name.startswith("lib")]
    return Needs(
        programs=tuple(name for name in absent if not name.startswith("lib")),
        libraries=tuple(name for name in libraries if not _library_known(name, cache)),
    )


def loader_cache() -> str:
    """What ``ldconfig -p`` prints; empty when it cannot be asked."""
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    return _output([program, "-p"])


def linkable(name: str, cache: str) -> bool:
    """Whether ``-lNAME`` finds a library: lib/libNAME.so, without a version."""
    return bool(re.search(rf"^\s*lib{re.escape(name)}\.so \(", cache, re.MULTILINE))


def fitted(environment: Mapping[str, str], cache: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The lock's variables for this machine: Theano is not told to link a BLAS that is not here.

    Gives also what was changed, in words.
    """
    found, said = dict(environment), []
    flags = found.get("THEANO_FLAGS")
    if flags is not None:
        lost = [name for name in _LINK.findall(flags.replace(",", " ")) if not linkable(name, cache)]
        if lost:
            kept = [flag for flag in flags.split(",") if not flag.strip().startswith("blas.ldflags")]
            found["THEANO_FLAGS"] = ",".join([*kept, "blas.ldflags="])
            said.append(f"no lib{lost[0]}.so to link against: Theano multiplies matrices by NumPy, which is slower")
    return found, tuple(said)


def unfit_wheels(lock: Lock, platforms: frozenset[str]) -> tuple[str, ...]:
    """Wheels whose platform tags this machine does not have (its glibc is older, or it is of another kind)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    unfit = []
    for package in lock.packages:
        if package.filename.endswith(".whl"):
            try:
                tags = {tag.platform for tag in parse_wheel_filename(package.filename)[3]}
            except InvalidWheelFilename:
                tags = set(package.filename.removesuffix(".whl").rpartition("-")[2].split("."))
            if not tags & platforms:
                unfit.append(package.filename)
    return tuple(unfit)


def platforms() -> frozenset[str]:
    """The platform tags of this machine, by its kernel and its glibc."""
    from packaging.tags import platform_tags

    return frozenset((*platform_tags(), "any"))


def choose(interpreters: tuple[Interpreter, ...], python: str, abi: str | None, full: str) -> Interpreter | None:
    """The interpreter of this minor version and ABI: the release assumed by the lock, else the newest patch."""
    fit = [i for i in interpreters if i.version.rpartition(".")[0] == python and abi in (None, i.abi)]
    return max(fit, key=lambda i: (i.version == full, int(i.version.rpartition(".")[2])), default=None)


def _dpkg_has(name: str) -> bool:
    return _output(["dpkg-query", "-W", "-f", "${Status}", name]).startswith("install ok installed")


def _library_known(package: str, cache: str) -> bool:
    """libopenblas-dev, libgomp1, libgl1: by the name before the version, without regard to case."""
    stem = package.removesuffix("-dev").partition("-")[0].lower()
    version = re.search(r"\d+$", stem)
    names = {f"{stem}.so"}
    if version:
        names = {f"{stem[: version.start()]}.so.{version[0]}", f"{stem}.so"}
    known = cache.lower()
    return any(f"\t{name}" in known for name in names)


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, cwd=Path("/"))
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout
