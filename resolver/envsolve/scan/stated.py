"""Versions that a project states: requirement files, setup, conda, Docker, CI, and prose."""

from __future__ import annotations

import ast
import configparser
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envsolve.scan.python2 import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Stated:
    """A package (or ``python``) with the versions a file states. ``how``: pin file, setup, docker, prose."""

    name: str
    specifier: str
    line: int
    text: str
    how: str


_NAME = re.compile(
    r"^\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?(?P<spec>(?:[<>=!~^]=?=?\s*[\w.*+!-]+\s*,?\s*)*)\)?"
)
_COMMANDS = re.compile(r"(?:pip[\d.]*|conda)\s+install\s+(?P<rest>[^\n;&|#`]+)")
_FROM = re.compile(r"^\s*FROM\s+(?P<image>\S+)", re.IGNORECASE)
_TAG = re.compile(
    r"(?P<name>tensorflow|pytorch|keras|python|chainer|mxnet|theano)(?:/\w+)?:v?(?P<version>\d+(?:\.\d+)+)"
)
_PROSE = re.compile(
    r"\b(?P<name>tensorflow(?:-gpu)?|keras|pytorch|torch|theano|lasagne|mxnet|chainer|python|numpy|scipy|scikit-learn"
    r"|opencv|h5py|pandas)"
    r"(?:[\s:*_`\"'\])(]|version|ver\.?|v|library|framework|\(GPU\)|\[[^\]]{0,80}\]|\([^)\d]{0,80}\)"
    r"|https?://\S{1,120}){0,8}"
    r"(?P<op>>=|==|<=|=>|>|<|~=|=)?\s?\(?v?(?P<version>\d+\.\d+(?:\.\d+){0,3}|[23](?=\b(?!\.\d)))"
    r"(?P<more>\s?(?:\+|or (?:later|higher|above|newer|greater)|and (?:above|later|up|higher)|x\b|\.x))?",
    re.IGNORECASE,
)
_LINES = 4000
_FAULT = 160
"""Characters of what a parser says."""
_COMPATIBLE = 2
"""Parts from the one that may not grow to the end, where PEP 440 has a word for it."""
_TOOLS = ("dev", "develop", "test", "tests", "docs", "doc", "lint")
"""Groups of poetry that the code itself does without."""


def readers(base: str) -> Callable[[str], Iterator[Stated]] | None:
    """The reader of a file by its name; None when it states nothing that is read."""
    low = base.lower()
    if re.fullmatch(r".*requirements.*\.(txt|in|pip)|constraints.*\.txt", low):
        return _requirements
    exact: dict[str, Callable[[str], Iterator[Stated]]] = {
        "setup.py": _setup_py, "setup.cfg": _setup_cfg, "pyproject.toml": _pyproject, "pipfile": _pipfile,
        "runtime.txt": _runtime, ".python-version": _runtime, "pipfile.lock": _pipfile_lock,
    }  # fmt: skip
    if low in exact:
        return exact[low]
    if re.fullmatch(r"(environment|env|conda|.*environment.*)[\w.-]*\.ya?ml", low):
        return _conda
    if low.startswith("dockerfile") or low.endswith(".dockerfile"):
        return _docker
    if low in (".travis.yml", "tox.ini", "install.sh", "setup.sh", "circle.yml", "appveyor.yml", "makefile"):
        return _commands
    if re.fullmatch(r"(readme|install|installation|requirements|dependencies)(\.\w+)?", low):
        return _prose
    return None


def states(base: str) -> bool:
    """Whether a file of this name is read for what it states."""
    return readers(base) is not None


def read_stated(base: str, text: str) -> list[Stated]:
    """What a file states; of a broken one, what stands before the break. Never raises for any text."""
    return stated_or_fault(base, text)[0]


def stated_or_fault(base: str, text: str) -> tuple[list[Stated], str | None]:
    """What a file states, and in one line why no more of it could be read. Never raises for any text."""
    reader = readers(base)
    found: list[Stated] = []
    if reader is None:
        return found, None
    try:
        found.extend(reader(text))
    except (ValueError, configparser.Error) as error:
        return found, f"cannot be read: {' '.join(str(error).split())[:_FAULT]}"
    except (TypeError, KeyError, AttributeError):
        return found, "cannot be read: its parts are not of the kinds that such a file has"
    except RecursionError:
        return found, "cannot be read: it is nested too deeply"
    return found, None


def _spec(text: str) -> str | None:
    """A specifier as PEP 440 knows it; None when it is none."""
    text = re.sub(r"\s+", "", text).strip(",").replace("=>", ">=").replace("=<", "<=")
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier:
        return None


def _one(text: str, line: int, how: str) -> Iterator[Stated]:
    match = _NAME.match(text)
    if match is None:
        return
    specifier = _spec(match["spec"])
    if specifier is not None:
        yield Stated(canonicalize_name(match["name"]), specifier, line, text.strip()[:120], how)


def _requirements(text: str) -> Iterator[Stated]:
    for number, line in enumerate(text.splitlines()[:_LINES], 1):
        plain = line.split(" #")[0].split(";")[0].strip()
        egg = re.search(r"#egg=([\w.-]+)", line)
        if plain and plain[0] not in "-#./" and "://" not in plain:
            yield from _one(plain, number, "pins")
        elif egg:
            yield Stated(canonicalize_name(egg[1]), "", number, line.strip()[:120], "address")


def _setup_py(text: str) -> Iterator[Stated]:
    """By its syntax tree: what runs in it is not run."""
    tree = parse(text).tree
    if tree is None:
        return
    named: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            named[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            value: ast.expr = keyword.value
            if isinstance(value, ast.Name):
                value = named.get(value.id, value)
            if keyword.arg in ("install_requires", "setup_requires", "requires"):
                for item in ast.walk(value):
                    if isinstance(item, ast.Constant) and isinstance(item.value, str):
                        yield from _one(item.value.split(";")[0], item.lineno, "setup")
            elif keyword.arg == "python_requires" and isinstance(value, ast.Constant):
                yield from _python(str(value.value), value.lineno)
            elif keyword.arg == "classifiers":
                yield from _classifiers(value)


def _classifiers(value: ast.expr) -> Iterator[Stated]:
    items = [n for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    found = [(m[1], n.lineno) for n in items if (m := re.search(r":: Python :: (\d\.\d+)$", str(n.value)))]
    if found:
        yield Stated("python", "", found[0][1], "classifiers: " + ", ".join(v for v, _ in found), "setup")


def _python(specifier: str, line: int) -> Iterator[Stated]:
    spec = _spec(specifier)
    if spec:
        yield Stated("python", spec, line, f"python {specifier}", "setup")


def _setup_cfg(text: str) -> Iterator[Stated]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(text)
    for item in parser.get("options", "install_requires", fallback="").splitlines():
        yield from _one(item, _line(text, item), "setup")
    yield from _python(parser.get("options", "python_requires", fallback=""), _line(text, "python_requires"))


def _line(text: str, part: str) -> int:
    at = text.find(part.strip()) if part.strip() else -1
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def _pyproject(text: str) -> Iterator[Stated]:
    content: dict[str, Any] = tomllib.loads(text)
    project = content.get("project", {})
    for item in project.get("dependencies", []):
        yield from _one(item.split(";")[0], _line(text, item), "setup")
    yield from _python(project.get("requires-python", ""), _line(text, "requires-python"))
    poetry = content.get("tool", {}).get("poetry", {})
    tables = [poetry.get("dependencies", {})]
    tables += [group.get("dependencies", {}) for name, group in poetry.get("group", {}).items() if name not in _TOOLS]
    for table in tables:
        for name, value in table.items():
            yield from _table(name, value, text)


def _pipfile(text: str) -> Iterator[Stated]:
    content: dict[str, Any] = tomllib.loads(text)
    for name, value in content.get("packages", {}).items():
        yield from _table(name, value, text)
    version = content.get("requires", {}).get("python_version")
    spec = _spec(f"=={version}.*") if version else None
    if spec:
        yield Stated("python", spec, _line(text, "python_version"), f"python_version {version}", "pins")


def _pipfile_lock(text: str) -> Iterator[Stated]:
    for name, value in json.loads(text).get("default", {}).items():
        if "version" in value:
            yield from _one(f"{name}{value['version']}", _line(text, f'"{name}"'), "pins")


def _table(name: str, value: Any, text: str) -> Iterator[Stated]:
    """An entry of poetry's or pipenv's table: '*', '==1.4', '^1.4', {version = ...}; of a list only its name."""
    version = value.get("version", "") if isinstance(value, dict) else "" if isinstance(value, list) else value
    if not isinstance(version, str):
        return
    line = _line(text, f"{name} ") if f"{name} " in text else _line(text, name)
    spec = _spec(",".join(_poetry(part.strip()) for part in version.split(",")))
    if spec is not None:
        yield Stated(canonicalize_name(name), spec, line, f"{name} = {version}".rstrip("= "), "setup")


def _poetry(version: str) -> str:
    """PEP 440 for a constraint as poetry writes it: https://python-poetry.org/docs/dependency-specification/."""
    marked = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)", version)
    if marked is None:
        return "" if version == "*" else f"=={version}" if version[:1].isdigit() else version
    parts = [int(part) for part in marked[2].split(".")]
    last = len(parts) - 1
    kept = next((i for i, part in enumerate(parts) if part), last) if marked[1] == "^" else min(1, last)
    if kept == len(parts) - _COMPATIBLE:
        return f"~={marked[2]}"
    above = [*parts[:kept], parts[kept] + 1]
    return f">={marked[2]},<{'.'.join(map(str, above))}"


def _conda(text: str) -> Iterator[Stated]:
    for number, line in enumerate(text.splitlines()[:_LINES], 1):
        match = re.match(r"\s*-\s*[\"']?([\w.:/-]+?)\s*((?:[=<>!~].*?)?)[\"']?\s*(?:#.*)?$", line)
        if match is None or match[1].endswith(":"):
            continue
        name, version = match[1].rpartition("::")[2], match[2].strip()
        single = re.fullmatch(r"=([\w.*+]+)(?:=\S*)?", version)
        if single:
            version = f"=={single[1]}" + ("" if single[1].count(".") > 1 or single[1].endswith("*") else ".*")
        yield from _one(f"{name}{version}", number, "pins")


def _docker(text: str) -> Iterator[Stated]:
    for number, line in enumerate(text.splitlines()[:_LINES], 1):
        match = _FROM.match(line)
        if match and (tag := _TAG.search(match["image"])):
            name = {"pytorch": "torch"}.get(tag["name"], tag["name"])
            yield Stated(name, f"=={tag['version']}.*", number, line.strip()[:120], "docker")
    yield from _commands(text)


def _commands(text: str) -> Iterator[Stated]:
    for number, line in enumerate(text.replace("\\\n", "  ").splitlines()[:_LINES], 1):
        for match in _COMMANDS.finditer(line):
            for word in match["rest"].split():
                word = re.sub(r"^([\w.-]+)=(\d[\w.]*)(=\S+)?$", r"\1==\2.*", word.strip("'\""))
                if re.match(r"[A-Za-z][\w.-]*(\[\w+\])?[=<>!~]=?", word):
                    yield from _one(word, number, "docker")


def _runtime(text: str) -> Iterator[Stated]:
    match = re.match(r"\s*(?:python-)?(\d+\.\d+)", text)
    if match:
        yield Stated("python", f"=={match[1]}.*", 1, text.strip()[:40], "pins")


def _prose(text: str) -> Iterator[Stated]:
    for number, line in enumerate(text.splitlines()[:_LINES], 1):
        yield from prose(line, number)
    yield from _commands(text)


def prose(line: str, number: int) -> Iterator[Stated]:
    """Versions that a line of a README or a comment states."""
    for match in _PROSE.finditer(line[:2000]):
        name, version = match["name"].lower(), match["version"]
        name = {"pytorch": "torch", "tensorflow-gpu": "tensorflow", "opencv": "opencv-python"}.get(name, name)
        if name == "python" and not re.fullmatch(r"[23](\.\d+)*", version):
            continue
        operator = match["op"] or ""
        if (match["more"] and "+" in match["more"]) or (match["more"] and " " in match["more"].strip()):
            operator = ">="
        short = ".".join(version.split(".")[:2]) if name == "python" else version
        operator = {"": "==", "=": "==", "=>": ">="}.get(operator, operator)
        if operator == "~=" and "." not in short:
            operator = ">="
        suffix = ".*" if operator == "==" and short.count(".") < 2 else ""
        spec = _spec(f"{operator}{short}{suffix}")
        if spec:
            yield Stated(name, spec, number, match[0].strip()[:120], "prose")
