"""Which words are files, what each kind of file asks for, and the one Python that all of them agree on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from envsolve.errors import UsageError
from envsolve.lines import FileWants, Pin
from envsolve.matrices import Facts

READ = "requirements*.txt, a conda environment.yml, a Dockerfile, pyproject.toml and envsolve.toml"
_SUFFIXES = (".txt", ".yml", ".yaml", ".toml")


def names_file(word: str) -> bool:
    """Whether a word is the path of a file, by its name alone."""
    name = word.rpartition("/")[2]
    return "/" in word or word.startswith(".") or name.endswith(_SUFFIXES) or _is_dockerfile(name)


def _is_dockerfile(name: str) -> bool:
    kinds = ("Dockerfile", "Containerfile")
    return name.partition(".")[0] in kinds or name.lower().endswith((".dockerfile", ".containerfile"))


def read_file(word: str, facts: Facts) -> FileWants:
    """What a file asks for. Raises UsageError for a folder, a kind that is not read, and what cannot be read."""
    path = _existing(word)
    if path.suffix == ".txt" and (path.name.startswith("requirements") or path.stem.endswith("requirements")):
        from envsolve.requirements_file import read_requirements

        return read_requirements(path)
    if path.suffix in (".yml", ".yaml"):
        from envsolve.environment_file import read_environment

        return read_environment(path, facts)
    if _is_dockerfile(path.name):
        from envsolve.dockerfile_words import read_dockerfile

        return read_dockerfile(path, facts)
    if path.name in ("pyproject.toml", "envsolve.toml"):
        from envsolve.config import read_toml

        return read_toml(path, facts)
    raise UsageError(f"{word}: only these files are read: {READ}", code="unknown-file")


def _existing(word: str) -> Path:
    path = Path(word)
    try:
        if path.is_dir():
            raise UsageError(
                f"{word} is a folder",
                hints=(f"envsolve scan {shlex.quote(word)} --solve",),
                code="is-a-folder",
            )
        if path.is_file():
            return path
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {word}: {reason}", code="unreadable-file") from error
    raise UsageError(f"{word}: there is no such file", code="no-such-file")


def agreed_python(typed: str | None, files: Iterable[FileWants]) -> tuple[str | None, list[str]]:
    """The Python of the request, and remarks. What only follows from a name gives way to what is said.

    Raises UsageError ("contradictory-python") naming both places.
    """
    pins = [pin for wants in files for pin in wants.pins]
    firm = [Pin(typed, "", f"--python {typed}")] if typed else []
    firm += [pin for pin in pins if pin.firm]
    for other in firm[1:]:
        if _minor(other) != _minor(firm[0]):
            raise _two_pythons(firm[0], other)
    if firm:
        return firm[0].version, []
    if not pins:
        return None, []
    different = next((pin for pin in pins if _minor(pin) != _minor(pins[0])), None)
    if different is None:
        return pins[0].version, []
    return None, [f"{_at(pins[0])} and {_at(different)} are for different Pythons; --python X.Y names one"]


def _minor(pin: Pin) -> str:
    return ".".join(pin.version.split(".")[:2])


def _at(pin: Pin) -> str:
    return f"{pin.written} ({pin.origin})" if pin.origin else pin.written


def _two_pythons(one: Pin, other: Pin) -> UsageError:
    return UsageError(
        f"{_at(one)} and {_at(other)} contradict each other: an environment has one Python",
        hints=tuple(f"correct it in {pin.origin}" for pin in (one, other) if pin.origin),
        code="contradictory-python",
    )


def beside(folder: Path, words: Sequence[str]) -> list[str]:
    """Words of a file in ``folder``, those that are files made relative to it."""
    return [str(folder / word) if names_file(word) else word for word in words]
