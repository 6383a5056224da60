"""Quoting for Dockerfiles and definitions: whatever a lock says reaches a builder as data, never as an instruction.

A lock is a file that people pass around, so nothing in it is trusted: names and references must look like
what they are, free text is quoted for its place, and what no quoting can carry (control characters) is refused.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable

from envsolve.errors import UsageError

# https://pkg.go.dev/github.com/distribution/reference: [registry[:port]/]path[:tag]
_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?)/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# https://www.debian.org/doc/debian-policy/ch-controlfields.html: Source, Version
_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[0-9][A-Za-z0-9.+:~-]*)?")
_APT_SOURCE = re.compile(
    r"deb (?:\[[A-Za-z0-9=,./ _-]*\] )?https?://[A-Za-z0-9._~:/%+-]+ [A-Za-z0-9._/-]+(?: [A-Za-z0-9._-]+)*"
)
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/%+-]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
_EXECUTABLE = re.compile(r"/?[A-Za-z0-9_][A-Za-z0-9_./-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# PEP 503 canonical names, PEP 440 versions in any spelling that an index has
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CAPABILITY = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_WORDS = re.compile(r"[A-Za-z0-9 .:+_-]*")

_SHAPES = {
    "image reference": _REFERENCE,
    "image digest": _DIGEST,
    "apt package": _APT_PACKAGE,
    "apt source": _APT_SOURCE,
    "address": _ADDRESS,
    "host": _HOST,
    "interpreter": _EXECUTABLE,
    "variable": _VARIABLE,
    "project": _PROJECT,
    "version": _VERSION,
    "sha256": _SHA256,
    "compute capability": _CAPABILITY,
    "file name": _FILE_NAME,
    "plain words": _WORDS,
}


def checked(kind: str, text: str) -> str:
    """The text itself, when it has the shape of its kind.

    Raises UsageError (code ``bad-lock``) otherwise.
    """
    if not _SHAPES[kind].fullmatch(text) or ".." in text.split("/"):
        raise UsageError(f"the lock's {kind} {text[:80]!r} is not one", hints=("envsolve lock",), code="bad-lock")
    return text


def quoted(text: str) -> str:
    """A value of ENV or LABEL in double quotes, with nothing expanded in it.

    Raises UsageError for control characters, which a Dockerfile cannot carry.
    """
    _refuse_control(text, "a Dockerfile")
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def pairs(variables: Iterable[tuple[str, str]]) -> str:
    """The arguments of ENV or LABEL, one to a line. The names must have been checked."""
    return " \\\n    ".join(f"{name}={quoted(value)}" for name, value in variables)


def shell_value(text: str) -> str:
    """A value in a script of an Apptainer definition: one word, and no ``{{ NAME }}``, which that would replace.

    Raises UsageError for control characters: a line of them could begin a section.
    """
    _refuse_control(text, "a definition")
    return shlex.quote(text).replace("{{", "{''{") if "{{" in text else shlex.quote(text)


def label_value(text: str) -> str:
    """A value in ``%labels`` of an Apptainer definition, where nothing can be quoted.

    Raises UsageError for what would not stay as it is: control characters, ``{{``, blanks at the ends.
    """
    _refuse_control(text, "a definition")
    if "{{" in text or text != text.strip():
        raise UsageError(f"the label {text[:80]!r} cannot stand in a definition", code="bad-lock")
    return text


def _refuse_control(text: str, place: str) -> None:
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in text):
        raise UsageError(
            f"the value {text[:80]!r} in the lock has a control character, which {place} cannot carry",
            hints=("envsolve lock",),
            code="bad-lock",
        )


def word(text: object) -> str:
    """One word of a shell command, also of those that a person is told."""
    return shlex.quote(str(text))


def exec_form(words: Iterable[str]) -> str:
    """The exec form of CMD: a JSON array."""
    return json.dumps(list(words))
