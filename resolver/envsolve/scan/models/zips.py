"""Zip files that hold a model: NumPy's npz, PyTorch's, Keras's. Any other zip is nobody's."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from envsolve.scan.models import keras, numpy_files, torch
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source

_MEMBER = 8 << 20
_MANY = 100_000
_WANTED = ("data.pkl", "version", ".data/version")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    ValueError,
    KeyError,
    IndexError,
    struct.error,
    OSError,
)


def read(path: Path, notes: Notes) -> None:
    """A zip file. Raises NotThisFormatError when nothing is known of its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > _MANY:
                raise MalformedError("it has more members than a scan looks at")
            _dispatch(archive, infos, notes)
    except _BROKEN as error:
        raise MalformedError(f"the zip is broken ({type(error).__name__})") from error


def _some(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int = _MEMBER) -> bytes:
    with archive.open(info) as stream:
        return stream.read(limit)


def _dispatch(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], notes: Notes) -> None:
    names = [info.filename for info in infos]
    short = {info.filename.partition("/")[2]: info for info in infos}
    if "metadata.json" in names and "config.json" in names:
        wanted = [info for info in infos if info.filename in ("metadata.json", "config.json")]
        keras.read_keras_members({info.filename: _some(archive, info) for info in wanted}, notes)
    elif "data.pkl" in short or "model.json" in short:
        known = {"version", ".data/version", "constants.pkl", "byteorder", "tensors.json"} & short.keys()
        if not known and not any(name.startswith(("data/", "code/", "tensors/")) for name in short):
            raise NotThisFormatError
        torch.read_members(names, {n: _some(archive, short[n]) for n in _WANTED if n in short}, notes)
    elif names and all(name.endswith(".npy") for name in names):
        numpy_files.say_names(names, notes)
        for info in infos[:8]:
            _object_array(_some(archive, info, 1 << 20), notes)
    else:
        raise NotThisFormatError("a zip without the members of a model")


def _object_array(data: bytes, notes: Notes) -> None:
    if b"O" in data[:128] and data[:6] == numpy_files.MAGIC and b"'descr': '|O'" in data[:256]:
        try:
            numpy_files.read(Source(data), notes, partial=True)
        except (MalformedError, NotThisFormatError):
            notes.mark("npy", "object", "array of objects: a pickle inside")
