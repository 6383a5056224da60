"""The folder that a solve writes: whole or not at all, and never over what a person edited.

``.envsolve-manifest.json`` records the sha256 of every file as written, which is how an edit is told. While files
are being replaced it also holds the former hashes, so that a write cut off by a power failure leaves no file that
looks edited: writing again heals it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from envsolve.errors import NotReadyError, OutOfDateError, UsageError
from envsolve.lock import document
from envsolve.models import Lock
from envsolve.quoting import word

MANIFEST = ".envsolve-manifest.json"
_SCHEMA = "envsolve/manifest-1"
_STAGE = ".envsolve-stage-"


def write(directory: Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Write the files (relative path -> text), and remove those of an earlier write that are no longer among them.

    Other files in the folder are kept. Raises OutOfDateError (``edited-files``) when a file was edited since it was
    written, UsageError (``foreign-files``) when one of these names holds something envsolve did not write, both
    unless ``force``; UsageError (``cannot-write``) and NotReadyError (``disk-full``) when it cannot be done. In
    every such case the folder is as it was.
    """
    with _explained(directory):
        if not directory.is_dir():
            if directory.exists() or directory.is_symlink():
                raise UsageError(f"{directory} is there and is not a folder", hints=("-o DIR",), code="cannot-write")
            _create(directory, files)
            return
        old = _manifest(directory)
        if not force:
            _refuse_edited(directory, files, old)
        _replace(directory, files, [name for name in old if name not in files])


def read_lock(directory: Path) -> Lock:
    """The lock of a folder. Raises UsageError (``no-lock``, ``bad-lock``)."""
    path = directory / "envsolve.lock"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text", hints=("envsolve TARGET... --force",), code="bad-lock") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            hints=(f"envsolve TARGET... -o {word(directory)}",),
            code="no-lock",
        ) from error
    return document.load(text)


# -- a new folder ----------------------------------------------------------------------------------------------------


def _create(directory: Path, files: Mapping[str, str]) -> None:
    """Lay the folder out beside its place, and rename it there."""
    with _parents(directory.parent):
        stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            _lay_out(stage, {**files, MANIFEST: _manifest_text(files)})
            stage.chmod(0o777 & ~_umask())
            stage.rename(directory)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    _sync(directory.parent)


@contextmanager
def _parents(parent: Path) -> Iterator[None]:
    """Make the missing folders above, and take them away again when what follows fails."""
    made: list[Path] = []
    try:
        for path in reversed((parent, *parent.parents)):
            if not path.exists():
                path.mkdir(exist_ok=True)
                made.append(path)
        yield
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise


# -- a folder that is there ------------------------------------------------------------------------------------------


def _refuse_edited(directory: Path, files: Mapping[str, str], old: Mapping[str, tuple[str, ...]]) -> None:
    edited: list[str] = []
    foreign: list[str] = []
    for name in sorted({*files, *old}):
        now = _hash_of(directory / name)
        if now is None or (name in files and now == _hash(files[name])) or now in old.get(name, ()):
            continue
        (edited if name in old else foreign).append(name)
    again = "the same command with --force   # gives up what is there"
    if edited:
        raise OutOfDateError(
            f"{directory}: {', '.join(edited)} edited since envsolve wrote it",
            hints=(again, "-o DIR"),
            code="edited-files",
        )
    if foreign:
        raise UsageError(
            f"{directory}: {', '.join(foreign)} there already, and not written by envsolve",
            hints=("-o DIR", again),
            code="foreign-files",
        )


def _replace(directory: Path, files: Mapping[str, str], gone: list[str]) -> None:
    """Put every file in place by renaming; when one step fails, take back those before it."""
    for cut_off in directory.glob(f"{_STAGE}*/"):
        shutil.rmtree(cut_off, ignore_errors=True)
    stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=directory))
    try:
        new, kept = stage / "new", stage / "old"
        _lay_out(new, {**files, MANIFEST: _manifest_text(files)})
        both = _manifest_text(files, _manifest(directory))
        (stage / MANIFEST).write_text(both, encoding="utf-8")
        done: list[str] = []
        try:
            _swap(stage / MANIFEST, directory / MANIFEST, kept / MANIFEST)
            done.append(MANIFEST)
            for name in (*files, *gone):
                _swap(new / name if name in files else None, directory / name, kept / name)
                done.append(name)
        except BaseException:
            for name in reversed(done):
                _put_back(directory / name, kept / name)
            _remove_empty(directory, files)
            raise
        (new / MANIFEST).replace(directory / MANIFEST)
        _sync(directory)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    _remove_empty(directory, gone)


def _swap(source: Path | None, target: Path, kept: Path) -> None:
    """Move what is at the target aside, and the source there."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        if source is None:
            target.rename(kept)
            return
        # A link, so that the name is never without a file
        try:
            os.link(target, kept, follow_symlinks=False)
        except OSError:
            shutil.copy2(target, kept, follow_symlinks=False)
    if source is not None:
        source.replace(target)


def _remove_empty(directory: Path, names: Iterable[str]) -> None:
    for parent in {(directory / name).parent for name in names} - {directory}:
        with suppress(OSError):  # not empty
            parent.rmdir()


def _put_back(target: Path, kept: Path) -> None:
    if kept.exists() or kept.is_symlink():
        kept.replace(target)
    else:
        target.unlink(missing_ok=True)


# -- pieces ----------------------------------------------------------------------------------------------------------


def _lay_out(stage: Path, files: Mapping[str, str]) -> None:
    """Write files under a folder nobody else looks at, down to the disk."""
    for name, text in files.items():
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    for folder in {(stage / name).parent for name in files}:
        _sync(folder)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_of(path: Path) -> str | None:
    """The sha256 of a file, "" for what is no file, None for nothing."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return "" if path.is_symlink() else None
    except IsADirectoryError:
        return ""


def _manifest_text(files: Mapping[str, str], former: Mapping[str, tuple[str, ...]] | None = None) -> str:
    hashes = {name: [_hash(text)] for name, text in files.items()}
    for name, old in (former or {}).items():
        hashes[name] = list(dict.fromkeys([*hashes.get(name, []), *old]))
    return json.dumps({"schema": _SCHEMA, "files": hashes}, indent=1, sort_keys=True) + "\n"


def _manifest(directory: Path) -> dict[str, tuple[str, ...]]:
    """Name -> the hashes that mean nobody edited it. A manifest that is missing or damaged vouches for nothing."""
    try:
        value = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        files = value["files"] if value["schema"] == _SCHEMA else {}
        return {
            str(name): tuple(str(h) for h in hashes)
            for name, hashes in files.items()
            if not Path(name).is_absolute() and ".." not in Path(name).parts
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """The operating system's refusals as one error each."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NotReadyError(
                f"the disk is full: {directory} is not written",
                hints=(f"df -h {word(directory.parent)}",),
                code="disk-full",
            ) from error
        where = f": {error.filename}" if error.filename else ""
        raise UsageError(
            f"{directory} cannot be written: {error.strerror or error}{where}", hints=("-o DIR",), code="cannot-write"
        ) from error
