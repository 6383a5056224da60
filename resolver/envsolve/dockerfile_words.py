"""What a Dockerfile installs with pip or conda, and what its base image says. Nothing in it is run."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from envsolve.environment_file import left_out, read_environment, take_conda
from envsolve.errors import UsageError
from envsolve.lines import FileWants, Line, Pin
from envsolve.matrices import Facts
from envsolve.requirements_file import read_requirements, take_line
from envsolve.wanted import Found, content

_LARGEST = 1 << 17
_MOST_STAGES = 100
_LONGEST_VALUE = 200
"""Of a variable: a file that doubles one line by line must not grow without bound."""
_TOKEN = re.compile(
    r"&&|\|\||[;|&()\n]|(?:\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`|'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s;|&()'\"`\\])+",
    re.DOTALL,
)
_BREAKS = frozenset({"&&", "||", ";", "|", "&", "(", ")", "\n"})
_BEFORE = frozenset(
    {"sudo", "-H", "-E", "time", "exec", "then", "do", "else", "if", "!", "{", "env", "nohup", "command"}
)
_JOINED = re.compile(r"\d?>&\d|&(?=>)")
"""Redirections that are no separators of commands."""
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)", re.DOTALL)
_PIP = re.compile(r"pip(\d(?:\.\d+)?)?")
_PYTHON = re.compile(r"python(\d(?:\.\d+)?)?")
_SHELL = re.compile(r"(ba|da|z)?sh")
_CONDA = frozenset({"conda", "mamba", "micromamba"})
_TOOLS = frozenset({"pip", "setuptools", "wheel"})
"""What brings packages in: asked for without a version, it says nothing of the environment."""

_PIP_VALUES = frozenset(
    {
        "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target",
        "--prefix", "--root", "--src", "--cache-dir", "--timeout", "--trusted-host", "--proxy", "--retries", "-b",
        "--build",
        "--no-binary", "--only-binary", "--global-option", "--install-option", "--upgrade-strategy", "--python-version",
        "--platform", "--abi", "--implementation", "--progress-bar", "--log", "--exists-action", "--cert",
        "--client-cert", "-d",
    }
)  # fmt: skip
_CONDA_VALUES = frozenset({"-n", "--name", "-p", "--prefix", "-c", "--channel", "--solver", "--experimental-solver"})


class Word(NamedTuple):
    """A word of a command and the line it stands on."""

    text: str
    line: int


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    line: int
    name: str | None
    commands: list[list[Word]] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    """Sources of COPY and ADD, as the build's context has them."""
    taken_from: list[str] = field(default_factory=list)


def read_dockerfile(path: Path, facts: Facts) -> FileWants:
    """The frameworks, packages and Python of a Dockerfile: of its last stage, and of the stages that one is made of."""
    found = Found(facts)
    stages = _stages(content(path, _LARGEST))
    if not stages:
        raise UsageError(f"cannot read {path}: it has no FROM", code="unreadable-file")
    if len(stages) > _MOST_STAGES:
        raise UsageError(f"cannot read {path}: it has more than {_MOST_STAGES} stages", code="unreadable-file")
    reader = _Commands(path, found)
    for stage, is_base in _made_of(stages):
        reader.copied = stage.copied
        if is_base and not _earlier(stages, stage, stage.base):
            _image(stage, f"{path}:{stage.line}", found)
        for command in stage.commands:
            reader.take(command)
    if reader.left:
        found.notes.append(left_out(path, reader.left))
    return found.wants()


# -- instructions and stages ---------------------------------------------------------------------------------


def _instructions(text: str) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Keyword, the rest as one text, and where its lines start: (offset, line)."""
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pieces = [(number, line)]
        while pieces[-1][1].rstrip().endswith("\\"):
            number, more = next(((n, m) for n, m in lines if m.strip() and not m.lstrip().startswith("#")), (0, ""))
            pieces[-1] = (pieces[-1][0], pieces[-1][1].rstrip()[:-1])
            if not number:
                break
            pieces.append((number, more))
        for ending in [mark[2] for _, piece in pieces for mark in _HEREDOC.finditer(piece)]:
            for number, more in lines:
                if more.strip() == ending:
                    break
                pieces.append((number, f"\n{more}"))
        joined, starts = "", []
        for number, piece in pieces:
            starts.append((len(joined), number))
            joined += f"{piece} "
        keyword = re.match(r"\s*(?:ONBUILD\s+)?([A-Za-z]+)\s", joined, re.IGNORECASE)
        if keyword:
            yield keyword[1].upper(), " " * keyword.end() + joined[keyword.end() :], starts


def _stages(text: str) -> list[Stage]:
    stages: list[Stage] = []
    values: dict[str, str] = {}
    for keyword, rest, starts in _instructions(text):
        line = starts[0][1]
        if keyword in ("ARG", "ENV"):
            values |= _assigned(keyword, _expand(rest.strip(), values))
        elif keyword == "FROM":
            image = [word for word in _expand(rest, values).split() if not word.startswith("--")]
            name = image[2].lower() if len(image) > 2 and image[1].lower() == "as" else None
            stages.append(Stage(image[0] if image else "", line, name))
        elif stages and keyword in ("COPY", "ADD"):
            words = _listed(rest) or _expand(rest, values).split()
            stages[-1].copied += [word for word in words[:-1] if not word.startswith("--")]
            stages[-1].taken_from += [word[7:].lower() for word in words if word.startswith("--from=")]
        elif stages and keyword == "RUN":
            listed = _listed(rest)
            exact = [[Word(word, line) for word in listed]] if listed else _commands(rest, starts)
            stages[-1].commands += [[Word(_expand(w.text, values), w.line) for w in command] for command in exact]
    return stages


def _made_of(stages: list[Stage]) -> list[tuple[Stage, bool]]:
    """The stages that the last one is built on or takes files from, in the file's order; whether on."""
    wanted = {len(stages) - 1: True}
    for at in range(len(stages) - 1, -1, -1):
        if at not in wanted:
            continue
        stage = stages[at]
        on = _earlier(stages, stage, stage.base)
        if on is not None:
            wanted[on] = wanted[at]
        for source in stage.taken_from:
            other = _earlier(stages, stage, source)
            if other is not None:
                wanted.setdefault(other, False)
    return [(stages[at], on) for at, on in sorted(wanted.items())]


def _earlier(stages: list[Stage], stage: Stage, name: str) -> int | None:
    """The stage before this one that goes by a name or number."""
    before = stages[: next(at for at, other in enumerate(stages) if other is stage)]
    if name.isascii() and name.isdigit() and len(name) < 9:
        return int(name) if int(name) < len(before) else None
    return next((at for at in range(len(before) - 1, -1, -1) if before[at].name == name.lower()), None)


def _listed(rest: str) -> list[str]:
    """The words of the JSON form; empty for the shell form."""
    if not rest.lstrip().startswith("["):
        return []
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        return []
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []


def _assigned(keyword: str, text: str) -> dict[str, str]:
    """The variables that an ARG or ENV sets."""
    if keyword == "ENV" and not re.match(r"\w+=", text):
        name, _, value = text.partition(" ")
        return {name: value.strip()[:_LONGEST_VALUE]} if name else {}
    pairs = (token[0].partition("=") for token in _TOKEN.finditer(text))
    return {name: _bare(value)[:_LONGEST_VALUE] for name, sign, value in pairs if sign}


def _expand(text: str, values: dict[str, str]) -> str:
    """Variables that the file sets, replaced; others stay, and mark a word that cannot be read."""
    return _VARIABLE.sub(lambda m: values.get(m[1] or m[3], m[2] if m[2] is not None else m[0]), text)


def _bare(token: str) -> str:
    """A word without its quotes and backslashes."""
    return _QUOTED.sub(lambda m: m[1] or m[2] or m[3] or "", token)


def _commands(text: str, starts: Sequence[tuple[int, int]] = ((0, 0),)) -> list[list[Word]]:
    """A shell's commands, each as its words; redirections are left out."""
    offsets = [offset for offset, _ in starts]
    text = _JOINED.sub(lambda m: " " * len(m[0]), text)
    commands: list[list[Word]] = [[]]
    tokens = _TOKEN.finditer(text)
    for token in tokens:
        if token[0] in _BREAKS:
            commands.append([])
        elif re.fullmatch(r"\d*(>>?|<)", token[0]):
            next(tokens, None)
        elif not re.match(r"\d*[<>]", token[0]):  # numpy>=1.13 without quotes is meant as a requirement
            commands[-1].append(Word(_bare(token[0]), starts[bisect_right(offsets, token.start()) - 1][1]))
    return [command for command in commands if command]


# -- what is installed ---------------------------------------------------------------------------------------


class _Commands:
    """Reads the commands of RUN lines."""

    def __init__(self, path: Path, found: Found) -> None:
        self.path, self.found = path, found
        self.copied: list[str] = []
        self.left: list[str] = []

    def take(self, command: list[Word], depth: int = 0) -> None:
        """One command: of interest are pip, conda, and a shell that is given them."""
        while command and (command[0].text in _BEFORE or re.match(r"\w+=", command[0].text)):
            command = command[1:]
        if not command:
            return
        program, arguments = PurePosixPath(command[0].text).name, command[1:]
        python, pip = _PYTHON.fullmatch(program), _PIP.fullmatch(program)
        if python and [word.text for word in arguments[:2]] == ["-m", "pip"]:
            self._pip(arguments[2:], python[1], f"{program} -m pip")
        elif pip:
            self._pip(arguments, pip[1], program)
        elif program in _CONDA:
            self._conda(arguments, depth)
        elif _SHELL.fullmatch(program) and depth < 2:
            at = next((i for i, word in enumerate(arguments) if re.fullmatch(r"-\w*c", word.text)), len(arguments))
            for script in arguments[at + 1 : at + 2]:
                for inner in _commands(script.text):
                    self.take([Word(word.text, script.line) for word in inner], depth + 1)

    def _pip(self, arguments: list[Word], version: str | None, program: str) -> None:
        verbs = [i for i, word in enumerate(arguments) if not word.text.startswith("-")]
        if not verbs or arguments[verbs[0]].text != "install":
            return
        if version and "." in version:
            first = arguments[verbs[0]]
            self.found.pins.append(Pin(version, f"{self.path}:{first.line}", program, firm=False))
        words = iter(arguments[verbs[0] + 1 :])
        for word in words:
            option, _, value = word.text.partition("=")
            if word.text in _PIP_VALUES:
                next(words, None)
            elif option in ("-r", "--requirement", "-e", "--editable"):
                self._pip_file(option, Word(value, word.line) if value else next(words, None))
            elif re.match(r"-r[^=]", word.text):
                self._pip_file("-r", Word(word.text[2:], word.line))
            elif not word.text.startswith("-"):
                self._pip_word(word)

    def _pip_word(self, word: Word) -> None:
        origin = f"{self.path}:{word.line}"
        if word.text in _TOOLS:
            return
        if re.search(r"[$`]", word.text):
            named = re.match(r"[\w.-]+", word.text)
            if named and self.found.framework(named[0]):
                raise UsageError(
                    f"{origin}: {word.text}: the file does not say what stands there",
                    hints=(f"write the version in {origin}, or name it: envsolve {named[0]}==VERSION",),
                    code="bad-requirement",
                )
            self.found.notes.append(f"{origin}: {word.text} cannot be read without a shell, and is left out")
            return
        take_line(word.text, origin, self.path.parent, self.found)

    def _pip_file(self, option: str, word: Word | None) -> None:
        if word is None:
            return
        origin = f"{self.path}:{word.line}"
        if option in ("-e", "--editable"):
            self.found.place(word.text, origin)
            return
        path = self._beside(word.text)
        if path is None:
            self.found.notes.append(f"{origin}: {word.text} is not here, so what it asks for is not known")
        else:
            self.found.lines += read_requirements(path).lines

    def _conda(self, arguments: list[Word], depth: int) -> None:
        words = [word for word in arguments if word.text not in ("-y", "--yes", "-q", "--quiet")]
        verbs = [word.text for word in words[:2]]
        if verbs == ["env", "create"] or verbs == ["env", "update"]:
            self._conda_file(words[2:])
        elif verbs[:1] == ["run"] and depth < 2:
            rest = _operands(words[1:], _CONDA_VALUES)
            self.take(rest, depth + 1)
        elif verbs[:1] in (["install"], ["create"]):
            for word in _operands(words[1:], _CONDA_VALUES | {"--file", "-f"}, all_of_them=True):
                if re.search(r"[$`]", word.text):
                    self._pip_word(word)
                elif not word.text.endswith((".tar.bz2", ".conda")):
                    take_conda(word.text, f"{self.path}:{word.line}", self.found, self.left)

    def _conda_file(self, words: list[Word]) -> None:
        texts = [word.text for word in words]
        named = [re.sub(r"^(--file|-f)=", "", text) for text in texts if re.match(r"(--file|-f)=", text)]
        named += [texts[at + 1] for at, text in enumerate(texts[:-1]) if text in ("-f", "--file")]
        for text in named or ["environment.yml"]:
            path = self._beside(text)
            if path is None:
                where = f"{self.path}:{words[0].line if words else 1}"
                self.found.notes.append(f"{where}: {text} is not here, so what it asks for is not known")
                continue
            wants = read_environment(path, self.found.facts)
            self.found.add(wants)

    def _beside(self, name: str) -> Path | None:
        """The file of the build's context that a path in the image was copied from; never one of this machine's own."""
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
        tails = [PurePosixPath(*parts[at:]) for at in range(len(parts))]
        sources = [s.lstrip("/") for s in self.copied if parts and PurePosixPath(s).name == parts[-1] and ".." not in s]
        folder = self.path.parent
        # docker build -f docker/Dockerfile . is common; above an absolute path or this folder nothing is looked at.
        for context in (folder, folder.parent) if folder.name and not folder.is_absolute() else (folder,):
            for tail in (*sources, *map(str, tails)):
                path = context / tail
                try:
                    if path.is_file():
                        return path
                except (OSError, ValueError):
                    continue
        return None


def _operands(words: list[Word], with_value: frozenset[str], all_of_them: bool = False) -> list[Word]:
    """The words that are no options: from the first on, or all of them."""
    found: list[Word] = []
    rest = iter(words)
    for word in rest:
        if word.text in with_value:
            next(rest, None)
        elif not word.text.startswith("-"):
            if not all_of_them:
                return [word, *rest]
            found.append(word)
    return found


def _image(stage: Stage, origin: str, found: Found) -> None:
    """What a base image's name says: a framework's release, or a Python."""
    repository, _, tag = stage.base.partition("@")[0].rpartition(":")
    if not repository or "/" in tag:
        repository, tag = stage.base.partition("@")[0], ""
    names = found.facts.repositories
    row = names.get(re.sub(r"^(docker\.io/|index\.docker\.io/)?(library/)?", "", repository))
    if row is None:
        return
    version = re.match(r"v?(\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?)(?![\w.])", tag)
    written = f"FROM {stage.base}"
    if row.holds == "python":
        minor = re.match(r"\d+\.\d+", version[1]) if version else None
        if minor:
            found.pins.append(Pin(minor[0], origin, written))
        else:
            found.unsaid.append(f"{origin}: {written} leaves the Python open; --python X.Y names one")
        return
    found.lines.append(Line(f"{row.holds}=={version[1]}" if version else row.holds, origin, "", written, series=True))
    if version is None:
        found.notes.append(f"{origin}: {written} says no release of {row.holds}; {row.holds}==VERSION names one")
    found.unsaid.append(f"{origin}: {written} does not say its Python; --python X.Y names one")
