"""Which reader reads which file: by its first bytes and its name, cheaply; then one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve.scan.evidence import Evidence
from envsolve.scan.models import (
    caffe,
    hdf5,
    keras,
    lua,
    mxnet,
    numpy_files,
    onnx,
    others,
    pickles,
    tensorflow,
    tf_checkpoint,
    tflite,
    torch,
    zips,
)
from envsolve.scan.models.notes import OWN, Notes
from envsolve.scan.models.source import LimitError, MalformedError, NotThisFormatError, Source

if TYPE_CHECKING:
    from envsolve.matrices import Facts

Reader = Callable[[Source, Notes], None]

ENDINGS = frozenset(
    (
        *(".h5", ".hdf5", ".keras", ".pb", ".pbtxt", ".meta", ".index", ".ckpt", ".tflite", ".lite"),
        *(".pkl", ".pickle", ".p", ".jl", ".joblib", ".npz", ".npy", ".pt", ".pth", ".t7", ".net", ".onnx"),
        *(".params", ".caffemodel", ".prototxt", ".dnn", ".model", ".cntk", ".mlmodel", ".pdmodel", ".save"),
        *(".weights", ".bin", ".tar"),
    )
)
_PICKLED = (".pkl", ".pickle", ".p", ".jl", ".joblib", ".save", ".pt", ".pth", ".gz", ".z", ".model", ".dat")
_MESSAGES = (".pb", ".meta", ".onnx", ".caffemodel", ".binaryproto", ".model", ".cntk", ".dnn", ".mlmodel", ".pdmodel")
_MAGIC = (
    hdf5.SIGNATURE,
    numpy_files.MAGIC,
    torch.MAGIC,
    others.LFS,
    others.CNTK_V1,
    mxnet.LIST_MAGIC,
    b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V ",
)
_JSON = re.compile(rb'^\s*\{.{0,4096}?"(?:nodes|arg_nodes|class_name|layers)"', re.DOTALL)
_CHECKPOINT = re.compile(r"\.ckpt(-\d+)?$|\.(pkl|pickle|p)\.gz$|^checkpoint$|\.data-\d{5}-of-\d{5}$|^__model__$")


def looks_like_model(path: Path) -> bool:
    """Is it worth a reader? By name and by the first bytes; a file that cannot be opened is not."""
    name = path.name.lower()
    if _CHECKPOINT.search(name) or path.suffix.lower() in ENDINGS:
        return path.is_file()
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return False
    return head.startswith(_MAGIC) or head[4:8] == b"TFL3" or (name.endswith(".json") and bool(_JSON.match(head)))


def _candidates(name: str, head: bytes, tail: bytes) -> list[tuple[str, Reader]]:
    """The readers to try, surest first; the name of each is for people."""
    found: list[tuple[str, Reader]] = []
    ending = Path(name).suffix.lower()
    if ending == ".gz" and not name.lower().endswith((".pkl.gz", ".pickle.gz", ".p.gz")):
        return []
    if head.startswith(others.LFS):
        return [("a git-lfs pointer", others.read_lfs)]
    if tf_checkpoint.SHARD.search(name):
        return [("a checkpoint", tf_checkpoint.read_shard)]
    if head.startswith(hdf5.SIGNATURE) or (ending in (".h5", ".hdf5") and hdf5.SIGNATURE not in head):
        found.append(("HDF5", keras.read_hdf5))
    by_magic: tuple[tuple[bool, str, Reader], ...] = (
        (head.startswith(numpy_files.MAGIC), "a NumPy array", numpy_files.read),
        (head.startswith(torch.MAGIC), "a PyTorch file", torch.read_legacy),
        (head[257:262] == b"ustar", "a PyTorch tar", torch.read_tar),
        (head[4:8] == b"TFL3", "a TensorFlow Lite model", tflite.read),
        (tail == tf_checkpoint.MAGIC, "a checkpoint", tf_checkpoint.read_table),
        (head.startswith(mxnet.LIST_MAGIC), "MXNet parameters", mxnet.read_params),
        (head.startswith((b"\x04\0\0\0", b"\x03\0\0\0", b"4\n", b"3\n")), "a Torch7 file", lua.read),
        (head.startswith(others.CNTK_V1), "a CNTK model", others.read_cntk),
        (_is_pickle(ending, head), "a pickle", pickles.read),
    )
    found += [(what, reader) for hit, what, reader in by_magic if hit]
    if found:
        return found
    return _texts(name, ending, head) or _messages(ending)


def _is_pickle(ending: str, head: bytes) -> bool:
    if head[:1] == b"\x80" and head[1:2] <= b"\x05" and not head.startswith(torch.MAGIC):
        return len(head) > 2
    starts = (b"(", b"c", b"]", b"}", b"x") if ending != ".gz" else (b"\x1f",)
    return ending in _PICKLED and head[:1] in starts


def _texts(name: str, ending: str, head: bytes) -> list[tuple[str, Reader]]:
    found: list[tuple[str, Reader]] = []
    if head.lstrip()[:1] == b"{" and ending in (".json", ".symbol", ""):
        found += [("an MXNet symbol", mxnet.read_symbol), ("a Keras architecture", keras.read_json)]
    if ending == ".pbtxt":
        found.append(("a graph as text", tensorflow.read_text))
    if ending in (".prototxt", ".pbtxt", ".pt", ".txt") and b"\0" not in head:
        found.append(("a Caffe network", caffe.read_text))
    if name == "checkpoint" or b"model_checkpoint_path" in head[:64]:
        found.append(("a list of checkpoints", tf_checkpoint.read_text))
    return found


def _messages(ending: str) -> list[tuple[str, Reader]]:
    if ending not in _MESSAGES and ending != "":
        return []
    return [
        ("a SavedModel", tensorflow.read_saved_model),
        ("an ONNX model", onnx.read),
        ("a MetaGraph", tensorflow.read_meta_graph),
        ("a GraphDef", tensorflow.read_graph),
        ("a caffemodel", caffe.read_weights),
        ("a CNTK model", others.read_cntk),
        ("a Core ML model", others.read_coreml),
        ("a Paddle program", others.read_paddle),
    ]


_CERTAIN = {
    ".onnx": "an ONNX model",
    ".caffemodel": "a caffemodel",
    ".meta": "a MetaGraph",
    ".mlmodel": "a Core ML model",
}


def read_model(path: Path, facts: Facts, file: str | None = None) -> list[Evidence]:
    """The evidence in a model file; ``file``: how to call it. Never raises for what is in the file.

    A file that starts like a format and breaks it gives one line that says so; an unknown one gives one that says so.
    """
    notes = Notes(file or path.name, facts)
    try:
        with Source(path) as source:
            _read(path, source, notes)
    except OSError as error:
        notes.found.clear()
        notes.say(f"cannot be read: {error.strerror or type(error).__name__}", "says nothing", "hint", OWN)
    return notes.found


def _read(path: Path, source: Source, notes: Notes) -> None:
    head, tail = source.head(8192), source.tail(8)
    ending = path.suffix.lower()
    if head[:2] == b"PK":
        candidates: list[tuple[str, Reader]] = [("a zip", lambda _, n: zips.read(path, n))]
    else:
        candidates = _candidates(path.name, head, tail)
    guess = head[:2] != b"PK" and candidates[-1:] == _messages("")[-1:]
    broken: tuple[str, MalformedError] | None = None
    why = ""
    for what, reader in candidates:
        try:
            reader(source, notes)
        except NotThisFormatError as error:
            why = str(error) or why
        except LimitError as error:
            if notes.found:
                notes.say(f"not read to its end: {error}", "there may be more to it", "hint", OWN)
                return
            broken = broken or (what, error)
        except MalformedError as error:
            if not guess or what == _CERTAIN.get(ending):
                broken = broken or (what, error)
        else:
            if notes.found:
                return
        notes.reset()
        source.renew()
    if broken:
        text = f"cannot be read as {broken[0]}: {broken[1]}"
        notes.say(text, "says nothing: the file is damaged or not what it seems", "hint", OWN)
    else:
        notes.say(f"unknown: {why or 'no format that envsolve reads'}", "says nothing of a framework", "hint", OWN)
