"""As much of ELF (64 bit, little endian) as says what a library needs and where its code and data lie."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field

from harvest.errors import UnreadableError

Buffer = mmap.mmap | bytes
MAGIC = b"\x7fELF"
_SEGMENT_LOAD, _SEGMENT_DYNAMIC, _SEGMENT_STACK = 1, 2, 0x6474E551
_NEEDED, _STRTAB, _SYMTAB, _SONAME, _STRSZ = 1, 5, 6, 14, 10
_GNU_HASH, _VERNEED, _VERNEEDNUM = 0x6FFFFEF5, 0x6FFFFFFE, 0x6FFFFFFF
_EXECUTE = 1
_NOBITS = 8
_STRING_LIMIT = 4096


@dataclass(frozen=True)
class Section:
    """A section that has bytes in the file."""

    name: str
    address: int
    offset: int
    size: int


@dataclass(frozen=True)
class Segment:
    """A program header."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


@dataclass
class Elf:
    """A parsed library. ``versions``: symbol versions it wants, by prefix ('GLIBC' -> {'2.4'})."""

    content: Buffer
    kind: int
    machine: int
    segments: list[Segment]
    sections: list[Section]
    soname: str | None = None
    needed: list[str] = field(default_factory=list)
    versions: dict[str, set[str]] = field(default_factory=dict)
    dynamic: dict[int, int] = field(default_factory=dict)

    @property
    def stack(self) -> str | None:
        """Why its stack is executable: 'flag', or 'absent' (no header, which x86-64 reads as yes); None: it is not."""
        if not self.segments:
            return None
        found = [s for s in self.segments if s.kind == _SEGMENT_STACK]
        if not found:
            return "absent"
        return "flag" if any(s.flags & _EXECUTE for s in found) else None

    def section(self, name: str) -> Section | None:
        """The first section of a name."""
        return next((s for s in self.sections if s.name == name), None)

    def offset(self, address: int) -> int:
        """Where an address lies in the file. Raises UnreadableError when nowhere."""
        for segment in self.segments:
            if segment.kind == _SEGMENT_LOAD and segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        raise UnreadableError(f"address {address:#x} lies outside its segments")

    def text(self, at: int) -> str:
        """The string at an offset."""
        end = self.content.find(b"\0", at, at + _STRING_LIMIT)
        if end < 0:
            raise UnreadableError("a string of it has no end")
        return self.content[at:end].decode("utf-8", "replace")


def parse(content: Buffer) -> Elf:
    """Read headers and the dynamic section. Raises UnreadableError on anything that is not a readable 64-bit ELF."""
    if content[:4] != MAGIC or len(content) < 64 or content[4:6] != b"\x02\x01":
        raise UnreadableError("it is no 64-bit little-endian ELF file")
    try:
        kind, machine = struct.unpack_from("<HH", content, 16)
        elf = Elf(content, kind, machine, _segments(content), _sections(content))
        _read_dynamic(elf)
    except (struct.error, OverflowError) as error:
        raise UnreadableError(f"its ELF headers point outside the file ({error})") from error
    return elf


def _segments(content: Buffer) -> list[Segment]:
    start = struct.unpack_from("<Q", content, 32)[0]
    size, count = struct.unpack_from("<HH", content, 54)
    found = []
    for number in range(count if start else 0):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, start + number * size)
        found.append(Segment(kind, flags, offset, address, length))
    return found


def _sections(content: Buffer) -> list[Section]:
    """Sections; none where the table is broken or stripped, which is no reason not to read the rest."""
    start = struct.unpack_from("<Q", content, 40)[0]
    size, count, names = struct.unpack_from("<HHH", content, 58)
    if not start or start + size * count > len(content) or names >= count:
        return []
    raw = [struct.unpack_from("<IIQQQQ", content, start + number * size) for number in range(count)]
    table = raw[names][4]
    found = []
    for name, kind, _, address, offset, length in raw:
        end = content.find(b"\0", table + name, table + name + _STRING_LIMIT)
        if end >= 0 and kind != _NOBITS and offset + length <= len(content) and length:
            found.append(Section(content[table + name : end].decode("utf-8", "replace"), address, offset, length))
    return found


def _read_dynamic(elf: Elf) -> None:
    segment = next((s for s in elf.segments if s.kind == _SEGMENT_DYNAMIC), None)
    if segment is None or segment.size == 0:
        return
    needed, soname = [], None
    for at in range(segment.offset, segment.offset + segment.size, 16):
        tag, value = struct.unpack_from("<QQ", elf.content, at)
        if tag == 0:
            break
        if tag == _NEEDED:
            needed.append(value)
        elif tag == _SONAME:
            soname = value
        else:
            elf.dynamic.setdefault(tag, value)
    if _STRTAB not in elf.dynamic:
        return
    strings = elf.offset(elf.dynamic[_STRTAB])
    elf.needed = [elf.text(strings + value) for value in needed]
    elf.soname = elf.text(strings + soname) if soname is not None else None
    if _VERNEED in elf.dynamic:
        _read_versions(elf, strings)


def _read_versions(elf: Elf, strings: int) -> None:
    at = elf.offset(elf.dynamic[_VERNEED])
    for _ in range(elf.dynamic.get(_VERNEEDNUM, 0)):
        count, _, first, following = struct.unpack_from("<HIII", elf.content, at + 2)
        entry = at + first
        for _ in range(count):
            name, step = struct.unpack_from("<II", elf.content, entry + 8)
            prefix, _, version = elf.text(strings + name).partition("_")
            if version[:1].isdigit():
                elf.versions.setdefault(prefix, set()).add(version)
            if not step:
                break
            entry += step
        if not following:
            return
        at += following


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def function(elf: Elf, name: str) -> bytes | None:
    """The machine code of an exported function, looked up by GNU hash; None when it exports none of that name."""
    if not {_GNU_HASH, _SYMTAB, _STRTAB} <= elf.dynamic.keys():
        return None
    try:
        return _lookup(elf, name.encode())
    except (struct.error, UnreadableError):
        return None


def _lookup(elf: Elf, name: bytes) -> bytes | None:
    content = elf.content
    table, symbols, strings = (elf.offset(elf.dynamic[tag]) for tag in (_GNU_HASH, _SYMTAB, _STRTAB))
    buckets, first, bloom, _ = struct.unpack_from("<IIII", content, table)
    if not buckets:
        return None
    wanted = _gnu_hash(name)
    bucket_at = table + 16 + 8 * bloom
    index = struct.unpack_from("<I", content, bucket_at + 4 * (wanted % buckets))[0]
    chain = bucket_at + 4 * buckets
    while index >= first:
        value = struct.unpack_from("<I", content, chain + 4 * (index - first))[0]
        if value | 1 == wanted | 1:
            at, _, _, _, address, size = struct.unpack_from("<IBBHQQ", content, symbols + 24 * index)
            if content[strings + at : strings + at + len(name) + 1] == name + b"\0" and address:
                start = elf.offset(address)
                return content[start : start + size]
        if value & 1:
            return None
        index += 1
    return None
