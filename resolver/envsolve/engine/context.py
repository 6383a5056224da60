"""What a container build is given beyond the folder (index, certificates, proxies), and where its log goes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import unquote, urlsplit

from envsolve import scratch
from envsolve.engine.base import BuildSettings
from envsolve.errors import NotReadyError, UsageError
from envsolve.extras import BUILDKIT
from envsolve.lock.pipconfig import ContainerSettings
from envsolve.lock.pylock import VENDOR
from envsolve.lock.vendoring import IMAGE, RECORD
from envsolve.quoting import word
from envsolve.repairs import fitting

if TYPE_CHECKING:
    from envsolve.models import Lock
    from envsolve.talk import Talk

_FILES = ("Dockerfile", ".dockerignore", "requirements.txt", "envsolve.lock", "smoke.py")
_MADE_OF = "dev.envsolve.made-of"
"""Label of an image: the digest of the files that it was built from."""
_TAIL = 400
"""Lines of a log kept in memory, to say what failed."""


@contextmanager
def staged(folder: Path, settings: BuildSettings) -> Iterator[Path]:
    """A temporary folder that holds what the Dockerfile copies, and the certificate bundle as ``ca.crt``.

    The rendered folder itself never gets the certificates. Raises UsageError when files of it are missing,
    NotReadyError (``disk-full``) when there is no room.
    """
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} is not a folder that envsolve wrote: {', '.join(missing)} missing",
            hints=(f"envsolve render {word(folder)}",),
            code="incomplete-folder",
        )
    with ExitStack() as stack:
        try:
            stage = stack.enter_context(scratch.folder("build"))
            _lay_out(folder, stage, settings.container.ca_bundle)
        except OSError as error:
            raise _no_room(error) from error
        yield stage


def _lay_out(folder: Path, stage: Path, bundle: Path | None) -> None:
    for file in _FILES:
        shutil.copyfile(folder / file, stage / file)
    (stage / "phases").mkdir()
    for path in sorted((folder / "phases").glob("*.txt")):
        shutil.copyfile(path, stage / "phases" / path.name)
    if f"!{VENDOR}" in (stage / ".dockerignore").read_text(encoding="utf-8").splitlines():
        _link_vendored(folder / VENDOR, stage / VENDOR)
    if (folder / BUILDKIT).is_file():
        shutil.copyfile(folder / BUILDKIT, stage / BUILDKIT)
    source = bundle or folder / "ca.crt"
    if source.is_file():
        shutil.copyfile(source, stage / "ca.crt")


def _link_vendored(source: Path, target: Path) -> None:
    """The locked files, which may be gigabytes: as links where that can be."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in (IMAGE, RECORD) and not path.name.startswith("."):
            try:
                os.link(path, target / path.name)
            except OSError:
                shutil.copyfile(path, target / path.name)


def fingerprint(stage: Path) -> str:
    """A digest of what a build is made of: every staged file but the certificates, which leave no trace in it, and
    vendored files, whose hashes are in ``phases/``.
    """
    digest = hashlib.sha256()
    staged_files = (p for p in stage.rglob("*") if p.is_file() and p.name != "ca.crt" and p.parent.name != VENDOR)
    for path in sorted(staged_files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(stage)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@contextmanager
def building_alone(engine: str, tag: str) -> Iterator[None]:
    """Keep a second build of an image out: the first to end would remove the stages that the other stands on.

    Raises NotReadyError (``build-busy``).
    """
    import platformdirs

    path = platformdirs.user_state_path("envsolve") / "building" / f"{engine}-{tag.rpartition(':')[2]}.lock"
    with scratch.alone(path) as ours:
        if not ours:
            hints = ("the same command when that has ended",)
            raise NotReadyError(f"another envsolve is building {tag}", hints=hints, code="build-busy")
        yield


def _no_room(error: OSError) -> NotReadyError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return NotReadyError(
        f"the build's files cannot be laid out: {error.strerror or error}"
        + (f": {error.filename}" if error.filename else ""),
        hints=(f"df -h {tempfile.gettempdir()}",),
        code="disk-full" if full else "not-ready",
    )


def labels_of(made_of: str, settings: BuildSettings) -> dict[str, str]:
    """What the image is made of. Another base than the lock's takes the place of what the Dockerfile says of that."""
    given = images_given(settings)
    if not given:
        return {_MADE_OF: made_of}
    name, _, digest = (settings.base or "").partition("@")
    known = {"org.opencontainers.image.base.name": name, "org.opencontainers.image.base.digest": digest}
    return {_MADE_OF: f"{made_of} on {' with the Python of '.join(given.values())}", **(known if name else {})}


def say_notes(lock: Lock, settings: BuildSettings, talk: Talk) -> None:
    """What is to be known before a build: of the user's settings, and of what has rotted and cannot be repaired."""
    for note in settings.container.notes:
        talk.say(f"note: {note}")
    for note in fitting(lock).notes:
        talk.warn(note)


def pip_configuration(arguments: Mapping[str, str]) -> str:
    """What pip reads of the build arguments, as the file that is the secret ``pip.conf``."""
    names = {"PIP_INDEX_URL": "index-url", "PIP_EXTRA_INDEX_URL": "extra-index-url", "PIP_TRUSTED_HOST": "trusted-host"}
    lines = (f"{names[name]} = {value}\n" for name, value in sorted(arguments.items()) if name in names)
    return "[global]\n" + "".join(lines)


def build_arguments(settings: ContainerSettings) -> dict[str, str]:
    """Build arguments: where pip looks, and the proxies (whose names builders know and keep out of the history)."""
    arguments = {
        # Said even when it is pip's own default: the default of a pip before 10 is an address that is gone
        "PIP_INDEX_URL": settings.index_url or _default_index(),
        "PIP_TRUSTED_HOST": " ".join(settings.trusted_hosts),
    }
    both = settings.proxies.get("all")
    for scheme in ("http", "https"):
        proxy = settings.proxies.get(scheme) or both
        if proxy:
            arguments[f"{scheme}_proxy"] = arguments[f"{scheme.upper()}_PROXY"] = proxy
    if settings.no_proxy:
        arguments["no_proxy"] = arguments["NO_PROXY"] = settings.no_proxy
    return {name: value for name, value in arguments.items() if value}


def images_given(settings: BuildSettings) -> dict[str, str]:
    """Build arguments: the images to take in place of the lock's."""
    given = {"BASE": settings.base, "PYTHON_IMAGE": settings.python_image}
    return {name: reference for name, reference in given.items() if reference}


def _default_index() -> str:
    from pip._internal.models.index import PyPI

    return str(PyPI.simple_url)


def secrets(values: Mapping[str, str]) -> tuple[str, ...]:
    """User names with passwords, and passwords, in addresses among build arguments: for redaction."""
    found: set[str] = set()
    for value in values.values():
        for url in value.split():
            try:
                parts = urlsplit(url)
                user, password = parts.netloc.rpartition("@")[0], parts.password
            except ValueError:
                continue
            found |= {text for text in (user, password, unquote(password or "")) if text}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


class BuildLog:
    """A build's output: whole in a file, the tail in memory, each line to the person; without credentials."""

    def __init__(self, name: str, talk: Talk, hidden: tuple[str, ...] = ()) -> None:
        self.path, self._file = _open_log(name)
        self.tail: list[str] = []
        self._talk, self._hidden, self._rest = talk, hidden, ""

    def write(self, text: str) -> None:
        """Text as it comes, in pieces of any size."""
        *lines, self._rest = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self._line(line)

    def close(self) -> None:
        """Flush a last line without an end, and close the file."""
        if self._rest:
            self._line(self._rest)
            self._rest = ""
        self._file.close()

    def clean(self, text: str) -> str:
        """The text without credentials and terminal codes."""
        for secret in self._hidden:
            text = text.replace(secret, "****")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    def _line(self, line: str) -> None:
        line = self.clean(line).rstrip()
        self._file.write(line + "\n")
        if line:
            self.tail = [*self.tail[-_TAIL:], line]
            self._talk.log(line)


def _open_log(name: str) -> tuple[Path, TextIO]:
    """The log file in the user's own folder for logs, or a temporary one where that cannot be written."""
    from platformdirs import user_log_path

    try:
        folder = user_log_path("envsolve")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"build-{name}.log"
        return path, path.open("w", encoding="utf-8")
    except OSError:
        handle, temporary = tempfile.mkstemp(prefix=f"envsolve-build-{name}-", suffix=".log")
        return Path(temporary), os.fdopen(handle, "w", encoding="utf-8")
