"""PyTorch's files: the tar of the first releases, the run of pickles after it, and the zip since; TorchScript too."""

from __future__ import annotations

from envsolve.scan.models import pickles
from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import MalformedError, NotThisFormatError, Source, printable

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""The first pickle of a file: the number 0x1950a86a20f9469cfc6c."""
_BLOCK = 512
_MEMBERS = {"sys_info", "pickle", "storages", "tensors"}


def read_legacy(source: Source, notes: Notes) -> None:
    """A run of pickles: magic, protocol version, system, object, storages."""
    if source.head(len(MAGIC)) != MAGIC:
        raise NotThisFormatError
    notes.mark("torch-file", "legacy", "magic number 0x1950a86a20f9469cfc6c", 0)
    at = len(MAGIC)
    for _ in range(2):
        at = pickles.scan(source, at).end
    say(pickles.scan(source, at), notes)


def say(seen: pickles.Scan, notes: Notes) -> None:
    """What the pickle of the object itself tells."""
    pickles.say(seen, notes)
    if any(text.endswith("num_batches_tracked") for text in seen.texts):
        notes.mark("torch-key", "num_batches_tracked", "a key ending in num_batches_tracked")
    elif any(text.endswith("running_var") for text in seen.texts):
        notes.mark("torch-key", "running_var", "running_var without num_batches_tracked")
    place = next((t for t in seen.texts if t.startswith("cuda:") or t == "cuda"), None)
    if place:
        notes.mark("torch-key", "cuda", f"storages on {printable(place, 20)}")


def read_tar(source: Source, notes: Notes) -> None:
    """The tar archive of the first releases."""
    at, found = 0, {}
    for _ in range(64):
        header = source.some(at, _BLOCK)
        if len(header) < _BLOCK or header[257:262] != b"ustar":
            break
        name = header[:100].rstrip(b"\0").decode("utf-8", "replace").removeprefix("./")
        digits = header[124:136].strip(b" \0")
        if not digits.isdigit():
            raise MalformedError("a member of its tar has no size")
        found[name] = at + _BLOCK
        at += _BLOCK + -(-int(digits, 8) // _BLOCK) * _BLOCK
    if not found.keys() >= _MEMBERS:
        raise NotThisFormatError
    notes.mark("torch-file", "tar", "tar of sys_info, pickle, storages, tensors", 0)
    say(pickles.scan(source, found["pickle"]), notes)


def read_members(names: list[str], members: dict[str, bytes], notes: Notes) -> None:
    """The zip of newer releases. ``members``: what was read of it, by name without the first folder."""
    short = {name.partition("/")[2] for name in names}
    version = (members.get("version") or members.get(".data/version") or b"").strip().decode("utf-8", "replace")
    script = any(name.startswith("code/") for name in short)
    if "model.json" in short:
        notes.mark("torch-file", "script-json", "zip with model.json")
    elif script:
        notes.mark("torch-file", "script", "zip with code/ and data.pkl")
        if version.isdigit():
            notes.below("torch-script", int(version[:6]), f"version {printable(version, 12)}")
    else:
        notes.mark("torch-file", "zip", f"zip with data.pkl, version {printable(version or 'not stated', 12)}")
    if "data.pkl" in members:
        say(pickles.scan(Source(members["data.pkl"]), partial=True), notes)
