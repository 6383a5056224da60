"""A conda ``environment.yml`` as requirements of the package index, each with its line; conda's own are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.utils import canonicalize_name

from envsolve.errors import UsageError
from envsolve.lines import FileWants, Line
from envsolve.prose import listed
from envsolve.requirements_file import take_line
from envsolve.wanted import Found, content

if TYPE_CHECKING:
    import yaml

    from envsolve.matrices import Facts

_LARGEST = 1 << 18
"""Bytes; reading YAML is slow, and no environment is ever this long."""
_NAME = re.compile(r"(?:[^\s:\[]*::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<rest>[^\[]*?)\s*(?:\[(?P<keys>.*)\])?")
_PART = re.compile(r"(?P<sign>===|==|=|>=|<=|!=|~=|>|<)?(?P<version>\d[\w.*+!]*)")
_PLAIN = re.compile(r"\d+(\.\d+)*")
_BROUGHT = {"cuda": "CUDA", "cudnn": "cuDNN"}


def read_environment(path: Path, facts: Facts) -> FileWants:
    """The frameworks, packages and Python of an environment file.

    conda's ``numpy=1.14`` is the series 1.14, ``==`` exact; builds and channels are left out, as are packages that
    the package index does not have (``conda.json`` of the database says which). Raises UsageError
    ("unreadable-file", "bad-requirement") naming file and line.
    """
    found, left = Found(facts), list[str]()
    for text, line, of_pip in _entries(path):
        if of_pip:
            take_line(text, f"{path}:{line}", path.parent, found)
        else:
            take_conda(text, f"{path}:{line}", found, left)
    if left:
        found.notes.append(left_out(path, left))
    return found.wants()


def left_out(path: Path, names: list[str]) -> str:
    """The remark on packages that are none of the index."""
    return f"{path}: left out, being conda's own: {listed(sorted(set(names)))}"


def take_conda(text: str, origin: str, found: Found, left: list[str]) -> None:
    """One conda match specification; ``left`` collects names of what is no package of the index."""
    name, specifier, build = _match(text, origin)
    if name == "python":
        found.python(specifier, origin, text)
        return
    row = None if name in found.facts.aliases else found.facts.conda.get(name)
    if row and row.brings:
        what = f"{_BROUGHT[row.brings]} {_version(specifier)}".strip()
        found.notes.append(f"{origin}: {text}: {what} is not asked for; the framework's build decides which it needs")
    elif row and row.project is None:
        left.append(name)
    elif not row and not found.framework(name) and build and "py" not in build:
        found.notes.append(f"{origin}: {text} is left out: its build is for no Python")
    else:
        known = (row and row.project) or (name if name in found.facts.aliases else canonicalize_name(name))
        found.lines.append(Line(f"{known}{specifier}", origin, written=text))


def _version(specifier: str) -> str:
    named = re.search(r"\d+(\.\d+)*", specifier)
    return named[0] if named else ""


def _entries(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Each entry of ``dependencies``: its text, its line, and whether pip is meant to install it."""
    import yaml

    try:
        root = yaml.compose(content(path, _LARGEST), Loader=yaml.SafeLoader)
    except RecursionError:
        raise UsageError(f"cannot read {path}: it is nested too deeply", code="unreadable-file") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"cannot read {path}{_where(error)}", code="unreadable-file") from error
    entries = _child(root, "dependencies")
    if not isinstance(entries, yaml.SequenceNode):
        raise UsageError(
            f"{path} has no list of dependencies",
            facts=("of YAML files, conda's environment files are read",),
            code="unreadable-file",
        )
    for node in entries.value:
        if isinstance(node, yaml.ScalarNode):
            yield node.value.strip(), node.start_mark.line + 1, False
            continue
        below = _child(node, "pip")
        for inner in below.value if isinstance(below, yaml.SequenceNode) else ():
            if isinstance(inner, yaml.ScalarNode):
                yield re.sub(r"\s#.*", "", inner.value).strip(), inner.start_mark.line + 1, True


def _child(node: yaml.Node | None, key: str) -> Any:
    import yaml

    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if getattr(name, "value", None) == key), None)


def _where(error: Exception) -> str:
    """':LINE: what is wrong there'."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
    return f"{f':{mark.line + 1}' if mark else ''}: {' '.join(str(problem).split())[:200]}"


def _match(text: str, origin: str) -> tuple[str, str, str]:
    """'numpy=1.14.2=py36_0' -> ('numpy', '==1.14.2.*', 'py36_0'): a conda match specification in PEP 440."""
    match = _NAME.fullmatch(text.partition(" #")[0].strip())
    if match is None:
        raise _unreadable(text, origin)
    keys = dict(re.findall(r"(\w+)\s*=\s*['\"]?([^'\"\]]+)", match["keys"] or ""))
    written = re.sub(r"\s*,\s*", ",", re.sub(r"([<>=!~])\s+(?=[\d*])", r"\1", match["rest"] or keys.get("version", "")))
    version, _, build = written.partition(" ")
    exact = re.fullmatch(r"(==?[^=<>!~]+)=([^=]+)", version)
    version, build = (exact[1], exact[2]) if exact else (version, build or keys.get("build", ""))
    parts = [_pep440(part, text, origin) for part in version.split(",") if part.strip("=") not in ("", "*")]
    return match["name"].lower(), ",".join(parts), build.strip()


def _pep440(part: str, text: str, origin: str) -> str:
    """One comparison. ``=`` and a star are the series; a bare version is that one."""
    found = _PART.fullmatch(part)
    if found is None:
        raise _unreadable(text, origin)
    sign, version = found["sign"] or "==", found["version"].rstrip(".*")
    series = _PLAIN.fullmatch(version) and sign in ("=", "==", "!=") and (sign == "=" or version != found["version"])
    specifier = f"{'==' if sign == '=' else sign}{version}{'.*' if series else ''}"
    try:
        return str(Specifier(specifier))
    except InvalidSpecifier:
        raise _unreadable(text, origin) from None


def _unreadable(text: str, origin: str) -> UsageError:
    return UsageError(
        f"{text} ({origin}) is not a conda package that can be read",
        hints=(f"write NAME=VERSION or NAME>=A,<B in {origin.rpartition(':')[0]}",),
        code="bad-requirement",
    )
