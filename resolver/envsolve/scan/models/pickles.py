"""Pickles, by their opcodes alone: which names they import, which protocol, which Python wrote them.

Nothing is built and nothing imported. The table of opcodes is the standard library's; arguments are skipped, not
decoded, but for names.
"""

from __future__ import annotations

import gzip
import pickletools
import zlib
from dataclasses import dataclass, field

from envsolve.scan.models.notes import Notes
from envsolve.scan.models.source import LimitError, MalformedError, NotThisFormatError, Source, printable

_OPS = {ord(op.code): op for op in pickletools.opcodes}
_WIDTHS = {-2: 1, -3: 4, -4: 4, -5: 8}
_STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_BYTES = frozenset({"SHORT_BINSTRING", "BINSTRING", "STRING"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_QUIET = frozenset({"MARK", "PROTO", "FRAME"})
_NAME = 512
_SURE = 8
"""Opcodes that a cut-off start must have to count as a pickle."""
_NAMES = 4096
_RAW_AFTER = "numpy_pickle.NumpyArrayWrapper"
"""After this object joblib writes the array's bytes into the stream."""


@dataclass
class Scan:
    """What the opcodes of one pickle say. ``end``: the byte after its STOP."""

    protocol: int = 0
    names: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    python2: int | None = None
    not_ascii: int | None = None
    cut: bool = False
    end: int = 0
    ops: int = 0


def scan(source: Source, at: int = 0, *, partial: bool = False) -> Scan:
    """Walk over one pickle, as far as a scan goes. Raises MalformedError when it is none.

    ``partial``: only the start of it is there, so that its end is no fault.
    """
    walk = _Walk(source, at)
    try:
        return walk.run()
    except LimitError:
        walk.seen.cut = True
    except MalformedError:
        if not partial or walk.seen.ops < _SURE:
            raise
        walk.seen.cut = True
    return walk.seen


class _Walk:
    """One walk: where it is, the last texts, and what was put into the memo."""

    def __init__(self, source: Source, at: int) -> None:
        self._source, self._at = source, at
        self._recent: list[str | None] = []
        self._memo: dict[int, str | None] = {}
        self.seen = Scan()

    def run(self) -> Scan:
        """To the STOP, or to the first byte that is no opcode's after joblib's raw arrays."""
        while True:
            self._source.step()
            here = self._at
            op = _OPS.get(self._source.byte(here))
            self._at += 1
            if op is None:
                if any(name.endswith(_RAW_AFTER) for name in self.seen.names):
                    self.seen.end = self._source.size
                    return self.seen
                raise MalformedError(f"byte {here} is no opcode of a pickle")
            self.seen.ops += 1
            value = self._argument(op.arg.n if op.arg else 0)
            self._note(op.name, value, here)
            if op.name == "STOP":
                self.seen.end = self._at
                return self.seen

    def _argument(self, width: int) -> bytes:
        """The argument's first bytes; the place is moved past all of it."""
        if width >= 0:
            value = self._source.part(self._at, width) if width else b""
            self._at += width
            return value
        if width == pickletools.UP_TO_NEWLINE:
            return self._line()
        size = int.from_bytes(self._argument(_WIDTHS[width]), "little")
        if self._at + size > self._source.size:
            raise MalformedError(f"an argument at byte {self._at} is cut off")
        value = self._source.part(self._at, min(size, _NAME))
        self._at += size
        return value

    def _line(self) -> bytes:
        end, line = self._source.line(self._at, _NAME)
        self._at = end + 1
        return line

    def _note(self, name: str, value: bytes, at: int) -> None:
        if name == "PROTO":
            self.seen.protocol = max(self.seen.protocol, value[0])
        elif name in ("GLOBAL", "INST"):
            first = value.decode("utf-8", "replace")
            self._import(f"{first}.{self._line().decode('utf-8', 'replace')}", at)
        elif name == "STACK_GLOBAL":
            texts = [t for t in self._recent[-2:] if t is not None]
            if len(texts) == 2:
                self._import(".".join(texts), at)
        elif name in _PUTS:
            self._put(name, value)
        else:
            self._push(name, value, at)

    def _import(self, name: str, at: int) -> None:
        if len(self.seen.names) < _NAMES:
            self.seen.names.setdefault(printable(name, 200), at)
        self._recent.append(None)

    def _push(self, name: str, value: bytes, at: int) -> None:
        if name in _STRINGS:
            text = value.decode("utf-8", "replace")
            self._recent.append(text)
            if len(self.seen.texts) < _NAMES:
                self.seen.texts.append(text)
        elif name in _GETS:
            self._recent.append(self._memo.get(_index(name, value)))
        elif name in _BYTES:
            self._bytes(name, value, at)
        elif name not in _QUIET:
            self._recent.append(None)
        del self._recent[:-8]

    def _bytes(self, name: str, value: bytes, at: int) -> None:
        """A string of Python 2: Python 3 writes none."""
        seen = self.seen
        seen.python2 = at if seen.python2 is None else seen.python2
        odd = any(byte > 127 for byte in value) or (name == "STRING" and b"\\x" in value)
        if odd and seen.not_ascii is None:
            seen.not_ascii = at
        text = value.decode("latin-1").strip("'\"" if name == "STRING" else "")
        self._recent.append(text)
        if len(seen.texts) < _NAMES:
            seen.texts.append(text)

    def _put(self, name: str, value: bytes) -> None:
        index = len(self._memo) if name == "MEMOIZE" else _index(name, value)
        if len(self._memo) < 1 << 18:
            self._memo[index] = self._recent[-1] if self._recent else None


def _index(name: str, value: bytes) -> int:
    if name in ("PUT", "GET"):
        return int(value) if value.isdigit() and len(value) < 12 else -1
    return int.from_bytes(value, "little")


def say(seen: Scan, notes: Notes) -> None:
    """What the names, the protocol and the strings of a pickle mean."""
    notes.dotted("pickle-global", seen.names)
    if seen.cut:
        notes.partly()
    notes.mark("pickle-protocol", str(seen.protocol), f"pickle protocol {seen.protocol}")
    if seen.not_ascii is not None:
        notes.mark("pickle-string", "bytes", "strings of Python 2 with bytes beyond ASCII", seen.not_ascii)
    elif seen.python2 is not None:
        notes.mark("pickle-string", "ascii", "strings of Python 2", seen.python2)
    elif "_codecs.encode" in seen.names and seen.protocol < 3:
        notes.mark("pickle-string", "encoded", "_codecs.encode in place of bytes", seen.names["_codecs.encode"])


def unpacked(source: Source) -> tuple[Source, bool]:
    """The file itself, or the start of what it holds when joblib or gzip packed it, and whether there is more."""
    head = source.head(2)
    if head not in (b"x\x01", b"x\x9c", b"x\xda", b"x^", b"\x1f\x8b"):
        return source, False
    limit = 16 << 20
    try:
        machine = zlib.decompressobj(47)
        plain = machine.decompress(source.head(limit), limit)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise NotThisFormatError from error
    return Source(plain), not machine.eof


def read(source: Source, notes: Notes) -> None:
    """A pickle, also joblib's. Raises NotThisFormatError when the file starts like none."""
    inner, partial = unpacked(source)
    head = inner.head(2)
    if not head or (not (head[0] == 0x80 and head[1:2] <= b"\x05") and head[:1] not in b"(c]}"):
        raise NotThisFormatError
    seen = scan(inner, partial=partial)
    if seen.ops < 2:
        raise NotThisFormatError
    say(seen, notes)
    if not notes.found:
        raise NotThisFormatError
