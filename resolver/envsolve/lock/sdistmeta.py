"""What a source archive says about itself, read without running any of it."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from packaging.version import InvalidVersion, Version

from envsolve.lock.wheelmeta import LARGEST, MetadataError, bounded, requires_dist

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".zip")
_LARGEST = 8_000_000_000
"""Bytes to which a source archive may unpack."""
_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".cu")
_PKG_INFO_TRUE_SINCE = Version("2.2")  # PEP 643: from here on, a sdist's PKG-INFO is what its wheel will say


@dataclass(frozen=True, slots=True)
class SdistMetadata:
    """``requires``: None when it cannot be known without running code. ``compiled``: holds sources to compile.

    ``by_python``: its requirements are those of the Python on which its maker packed it, and may differ here.
    """

    requires: tuple[str, ...] | None
    build_requires: tuple[str, ...] | None
    how: str
    compiled: bool
    by_python: bool = False


class _Archive:
    """The members of a tar or zip archive, by name."""

    def __init__(self, content: bytes, filename: str) -> None:
        self.names: list[str] = []
        self._read: Callable[[str], bytes]
        try:
            if filename.endswith(".zip"):
                archive = zipfile.ZipFile(io.BytesIO(content))
                self.names = archive.namelist()
                self._read = lambda name: _zip_member(archive, name, filename)
            else:
                tar = tarfile.open(fileobj=io.BytesIO(content))  # noqa: SIM115 - lives as long as the archive
                self.names = [member.name for member in _members(tar, filename) if member.isfile()]
                self._read = lambda name: _tar_member(tar, name, filename)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise MetadataError(f"{filename} is not a readable archive") from error

    def text(self, name: str) -> str:
        return self._read(name).decode("utf-8", "replace")

    def top(self, name: str) -> str | None:
        """The text of a file in the archive's one top folder."""
        found = sorted(n for n in self.names if n.removeprefix("./").count("/") == 1 and n.endswith(f"/{name}"))
        return self.text(found[0]) if found else None


def _members(tar: tarfile.TarFile, filename: str) -> Iterator[tarfile.TarInfo]:
    """The members, as long as what they unpack to is no more than a source archive can be."""
    for member in tar:
        if member.offset_data + member.size > _LARGEST:
            raise MetadataError(f"{filename} unpacks to more than {_LARGEST // 1_000_000} MB")
        yield member


def _tar_member(tar: tarfile.TarFile, name: str, filename: str) -> bytes:
    member = tar.extractfile(name)
    return bounded(member.read(LARGEST + 1), filename) if member is not None else b""


def _zip_member(archive: zipfile.ZipFile, name: str, filename: str) -> bytes:
    try:
        with archive.open(name) as member:
            return bounded(member.read(LARGEST + 1), filename)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise MetadataError(f"{filename} is not a readable archive") from error


def read_sdist(content: bytes, filename: str) -> SdistMetadata:
    """Requirements of a source archive. Raises MetadataError when it cannot be opened."""
    archive = _Archive(content, filename)
    requires, how = _requires(archive)
    return SdistMetadata(
        requires=requires,
        build_requires=_build_requires(archive),
        how=how,
        compiled=any(name.endswith(_COMPILED) for name in archive.names),
        by_python=how.startswith("egg-info") and _chooses_by_python(archive.top("setup.py") or ""),
    )


def _requires(archive: _Archive) -> tuple[tuple[str, ...] | None, str]:
    """Requirements and how they are known, the best-attested source first."""
    info = archive.top("PKG-INFO")
    if info is not None and _states_requirements(info):
        return requires_dist(info), "PKG-INFO"
    project = _pyproject(archive).get("project")
    if isinstance(project, dict) and "dependencies" not in (project.get("dynamic") or ()):
        return _project_requires(project), "pyproject.toml"
    tables = [n for n in archive.names if re.search(r"\.egg-info/requires\.txt$", n)]
    if tables:
        text = archive.text(min(tables, key=lambda n: (n.count("/"), n)))
        return tuple(egg_requires(text)), "egg-info/requires.txt"
    if any(".egg-info/" in n for n in archive.names):
        return (), "egg-info without requires.txt"
    setup = archive.top("setup.py")
    if setup is None:
        return None, "no setup.py"
    if "install_requires" not in setup:
        return (), "setup.py without install_requires"
    literal = _literal_argument(setup, "install_requires")
    return literal, "setup.py" if literal is not None else "setup.py computes install_requires"


def _chooses_by_python(setup: str) -> bool:
    """Whether a setup.py both computes its requirements and looks at the Python that runs it."""
    return (
        "sys.version_info" in setup
        and "install_requires" in setup
        and _literal_argument(setup, "install_requires") is None
    )


def _states_requirements(info: str) -> bool:
    headers = HeaderParser().parsestr(info)
    dynamic = {str(value).lower() for value in headers.get_all("Dynamic") or ()}
    try:
        return Version(headers.get("Metadata-Version", "0")) >= _PKG_INFO_TRUE_SINCE and "requires-dist" not in dynamic
    except InvalidVersion:
        return False


def _pyproject(archive: _Archive) -> dict[str, Any]:
    with contextlib.suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(archive.top("pyproject.toml") or "")
    return {}


def _project_requires(project: dict[str, Any]) -> tuple[str, ...]:
    found = [str(text) for text in project.get("dependencies", ())]
    for extra, texts in sorted((project.get("optional-dependencies") or {}).items()):
        found += (_with_marker(str(text), f'extra == "{extra}"') for text in texts)
    return tuple(found)


def _with_marker(text: str, marker: str) -> str:
    requirement, _, own = text.partition(";")
    return f"{requirement.strip()} ; ({own.strip()}) and {marker}" if own.strip() else f"{text} ; {marker}"


def egg_requires(text: str) -> Iterator[str]:
    """The requirements in an egg-info/requires.txt: sections are '[extra]', '[:marker]' or '[extra:marker]'."""
    conditions: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            extra, _, marker = line.strip("[]").partition(":")
            conditions = [f"({marker})"] if marker else []
            conditions += [f'extra == "{extra}"'] if extra else []
        else:
            yield f"{line} ; {' and '.join(conditions)}" if conditions else line


def _literal_argument(source: str, name: str) -> tuple[str, ...] | None:
    """A keyword argument of some call, when it is written as a literal (or the name of one at module level)."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    uses = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    # A name counts when it is assigned once and used once: then nothing was appended to it on the way.
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and uses[target.id] == 2
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == name:
            value = constants.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            try:
                found = ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, RecursionError):
                return None
            lines = found.splitlines() if isinstance(found, str) else found
            return tuple(str(line).strip() for line in lines if str(line).strip())
    return None


def _build_requires(archive: _Archive) -> tuple[str, ...] | None:
    """What must be installed to build it; None when setup.py computes it."""
    system = _pyproject(archive).get("build-system")
    found = [str(text) for text in system.get("requires", ())] if isinstance(system, dict) else []
    setup = archive.top("setup.py") or ""
    if "setup_requires" not in setup:
        return tuple(found)
    literal = _literal_argument(setup, "setup_requires")
    return (*found, *literal) if literal is not None else (tuple(found) or None)
