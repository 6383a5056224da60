"""GPU code in a library: fatbin containers with what each holds, and bare cubins.

A container is ``u32 magic, u16 version, u16 header size, u64 size`` and entries of machine code (SASS) or PTX, each
with its architecture; nothing needs to be unpacked to list them. Containers are kept apart, never merged: static NVIDIA
libraries and kernels for one architecture would make a union that says more than the framework was built for.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harvest.elf import Buffer, Elf, Section

MAGIC = struct.pack("<I", 0xBA55ED50)
_CUBIN_MAGIC = b"\x7fELF\x02\x01\x01"
_CUDA_MACHINE = 190
_PTX, _ELF = 1, 2
_ACCELERATED, _FAMILY = 0x100000, 0x200000
_CHUNK = 32 << 20
_NOT_LOADED = ("__nv_relfatbin",)
"""Inputs of the device linker: in the file, and not loaded at run time."""
_DATA = re.compile(r"\.l?(rodata|data|nv_fatbin)|\.?nv_fatbin")
CAPABILITIES = (
    "3.0",
    "3.5",
    "3.7",
    "5.0",
    "5.2",
    "6.0",
    "6.1",
    "7.0",
    "7.5",
    "8.0",
    "8.6",
    "8.9",
    "9.0",
    "10.0",
    "12.0",
)

Set = tuple[str, ...]


@dataclass
class GpuCode:
    """What libraries hold. ``sets``: containers by what is in them; ``ptx_isa``: PTX entries of these by ISA version.

    ``link_isa``: the same of the device linker's inputs, which tell the compiler and are not loaded.
    ``elsewhere``: containers in other data than nvcc's section; TensorFlow's MLIR kernels lie there.
    """

    sets: Counter[Set] = field(default_factory=Counter)
    elsewhere: Counter[Set] = field(default_factory=Counter)
    ptx_isa: Counter[str] = field(default_factory=Counter)
    cubins: Counter[str] = field(default_factory=Counter)
    link_isa: Counter[str] = field(default_factory=Counter)

    def add(self, other: GpuCode) -> None:
        """Count another library's code too."""
        self.sets.update(other.sets)
        self.elsewhere.update(other.elsewhere)
        self.ptx_isa.update(other.ptx_isa)
        self.cubins.update(other.cubins)
        self.link_isa.update(other.link_isa)


def architecture(name: str) -> tuple[str, int, str]:
    """'sm_90a' -> ('sm', 90, 'a')."""
    found = re.fullmatch(r"(sm|compute)_(\d+)([af]?)", name)
    if not found:
        raise ValueError(f"no architecture: {name}")
    return found[1], int(found[2]), found[3]


def ordered(names: Sequence[str] | set[str]) -> list[str]:
    """PTX first, then by number: one order for all lists."""
    return sorted(names, key=architecture)


def _container(content: Buffer, at: int, limit: int, code: GpuCode) -> int:
    """Read the container at an offset -> its end; 0 when there is none after all."""
    if at + 16 > limit:
        return 0
    version, header, size = struct.unpack_from("<HHQ", content, at + 4)
    end = at + header + size
    if version != 1 or header != 16 or not size or end > limit:
        return 0
    names: set[str] = set()
    isa: Counter[str] = Counter()
    entry = at + header
    while entry + 64 <= end:
        kind, _, header_size, payload = struct.unpack_from("<HHIQ", content, entry)
        if kind not in (_PTX, _ELF) or not 64 <= header_size <= 4096 or entry + header_size + payload > end:
            break
        minor, major, arch = struct.unpack_from("<HHI", content, entry + 24)
        flags = struct.unpack_from("<Q", content, entry + 40)[0]
        suffix = "a" if flags & _ACCELERATED and arch >= 90 else "f" if flags & _FAMILY and arch >= 100 else ""
        names.add(f"{'compute' if kind == _PTX else 'sm'}_{arch}{suffix}")
        if kind == _PTX:
            isa[f"{major}.{minor}"] += 1
        entry += header_size + payload
    if not names or entry != end:
        return 0
    code.sets[tuple(ordered(names))] += 1
    code.ptx_isa.update(isa)
    return int(end)


def find_all(content: Buffer, needle: bytes, start: int, end: int) -> Iterator[int]:
    """Offsets of a needle in a range; slices, because a search in the map itself is a slow loop before Python 3.12."""
    for base in range(start, end, _CHUNK):
        chunk = content[base : min(end, base + _CHUNK + len(needle) - 1)]
        at = chunk.find(needle)
        while at >= 0:
            yield base + at
            at = chunk.find(needle, at + 1)


def _scan(content: Buffer, start: int, end: int, code: GpuCode) -> None:
    """Containers one behind the other are walked; where the chain breaks the magic is looked for."""
    covered = start
    for found in find_all(content, MAGIC, start, end):
        at = found
        if at < covered:
            continue
        while content[at : at + 4] == MAGIC and (stop := _container(content, at, end, code)):
            covered = stop
            at = stop + -stop % 8


def _walk(content: Buffer, section: Section, code: GpuCode) -> None:
    """A section of containers only: from one to the next, searching only where the chain breaks."""
    at, end = section.offset, section.offset + section.size
    while at + 16 <= end:
        if content[at : at + 4] == MAGIC and (stop := _container(content, at, end, code)):
            at = stop + -stop % 8
            continue
        following = next(find_all(content, MAGIC, at + 1, end), None)
        if following is None:
            return
        at = following


def _cubins(content: Buffer, start: int, end: int, code: GpuCode) -> None:
    for at in find_all(content, _CUBIN_MAGIC, start, end):
        if at + 64 > end:
            return
        machine = struct.unpack_from("<H", content, at + 18)[0]
        if machine == _CUDA_MACHINE:
            flags = struct.unpack_from("<I", content, at + 48)[0]
            arch = (flags >> 8 if content[at + 8] >= 8 else flags) & 0xFF
            code.cubins[f"sm_{arch}"] += 1


def read(elf: Elf) -> GpuCode:
    """All GPU code that a library loads."""
    code = GpuCode()
    if not elf.sections:
        _scan(elf.content, 0, len(elf.content), code)
        return code
    for section in elf.sections:
        if section.name in _NOT_LOADED:
            inputs = GpuCode()
            _walk(elf.content, section, inputs)
            code.link_isa.update(inputs.ptx_isa)
        if section.name in _NOT_LOADED or not _DATA.match(section.name):
            continue
        if "nv_fatbin" in section.name:
            _walk(elf.content, section, code)
        else:
            other = GpuCode()
            _scan(elf.content, section.offset, section.offset + section.size, other)
            code.elsewhere.update(other.sets)
            _cubins(elf.content, section.offset, section.offset + section.size, code)
    return code


def _parts(names: Set) -> tuple[Set, Set]:
    return tuple(n for n in names if n.startswith("sm_")), tuple(n for n in names if n.startswith("compute_"))


PTX_SHARE = 0.25
"""PTX in a smaller share of the deciding containers than this is a specialisation, and serves no other GPU."""


def own(sets: Counter[Set], declared: Sequence[str] = ()) -> tuple[list[str], list[str]] | None:
    """SASS and PTX that most code was built for -> the deciding set; None when there are no containers.

    Containers for one architecture only are specialisations and decide where there are no others. ``declared``: the
    list that the library itself states; it picks its set, since linked-in libraries of others may be more.
    """
    many = Counter({k: n for k, n in sets.items() if len(k) > 1}) or sets
    groups: Counter[Set] = Counter()
    ptx: dict[Set, Counter[Set]] = {}
    for names, count in many.items():
        sass, virtual = _parts(names)
        groups[sass] += count
        ptx.setdefault(sass, Counter())[virtual] += count
    if not groups:
        return None
    stated = tuple(n for n in declared if n.startswith("sm_"))
    chosen = stated if stated in groups else min(groups, key=lambda k: (-groups[k], k))
    best = min(((-n, k) for k, n in ptx[chosen].items() if k), default=(0, ()))
    return list(chosen), list(best[1]) if -best[0] >= PTX_SHARE * groups[chosen] else []


def _runs(names: Set, capability: int) -> str:
    """'native', 'jit' or 'none': how code of one container runs on a GPU."""
    jit = False
    for name in names:
        kind, arch, suffix = architecture(name)
        same = arch // 10 == capability // 10
        fits = arch == capability if suffix == "a" else same and arch <= capability
        if kind == "sm" and fits:
            return "native"
        jit = jit or (kind == "compute" and (arch == capability if suffix == "a" else arch <= capability))
    return "jit" if jit else "none"


def coverage(sets: Counter[Set]) -> dict[str, dict[str, int]]:
    """By capability, the share in percent of the containers for several architectures that run there, and how."""
    many = Counter({k: n for k, n in sets.items() if len(k) > 1}) or sets
    total = sum(many.values())
    shares: dict[str, dict[str, int]] = {}
    for capability in CAPABILITIES if total else ():
        counts: Counter[str] = Counter()
        for names, count in many.items():
            counts[_runs(names, int(capability.replace(".", "")))] += count
        order = ("native", "jit", "none")
        shares[capability] = {k: share for k in order if (share := round(100 * counts[k] / total))}
    return shares
