"""The native code of a wheel: each library in turn, inflated, asked, and thrown away."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harvest import constants, cpu, elf, fatbin, strings
from harvest.elf import Elf
from harvest.errors import UnreadableError
from harvest.fatbin import GpuCode
from harvest.inflate import as_file
from harvest.transport import Pieces, Source
from harvest.zipdir import Member

_LIBRARY = re.compile(r"\.so(\.[0-9A-Za-z_.]+)?$|\.so-[^/]*$")
_HELPER = re.compile(r"lib(mkl|iomp|opencv|dnnl|openblas|gfortran|triton)")
_PROGRAM_SIZE = 64 << 10
_EXECUTABLE = 2
_PREFIXES = ("GLIBC", "GLIBCXX", "CXXABI")

Note = Callable[[int], None]


@dataclass
class Native:
    """What was found, over all libraries. ``floors``: prefix -> highest version and the member that wants it."""

    floors: dict[str, tuple[str, str]] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    dlopened: set[str] = field(default_factory=set)
    stated: set[str] = field(default_factory=set)
    compilers: set[str] = field(default_factory=set)
    exec_stack: dict[str, str] = field(default_factory=dict)
    gpu: dict[str, GpuCode] = field(default_factory=dict)
    bundled: dict[str, GpuCode] = field(default_factory=dict)
    bundled_cudnn: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    cpu: dict[str, int | bool | str] | None = None
    unreadable: list[str] = field(default_factory=list)
    libraries: int = 0


def candidates(members: Sequence[Member]) -> list[Member]:
    """Members that can be libraries or programs, in the order of the file."""
    return [m for m in members if _LIBRARY.search(m.name) or ("." not in m.base and m.size >= _PROGRAM_SIZE)]


def main_member(members: Sequence[Member]) -> Member | None:
    """The largest library that is not NVIDIA's, nor a helper that picks its code at run time."""
    own = [m for m in members if _LIBRARY.search(m.name) and not strings.is_cuda(m.base) and not _HELPER.match(m.base)]
    return max(own, key=lambda m: (m.size, m.name), default=None)


def version_key(version: str) -> tuple[int, ...]:
    """'3.4.19' -> (3, 4, 19)."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def read_native(
    source: Source, members: Sequence[Member], *, count_cpu: bool, note: Note | None = None, folder: Path | None = None
) -> Native:
    """Read every library of a wheel. Raises UnreadableError when one cannot be unpacked or fails its CRC."""
    found = Native()
    chosen = candidates(members)
    main = main_member(chosen) if count_cpu else None
    with Pieces(source, [(m.start, m.end) for m in chosen]) as pieces:
        for member in chosen:
            with as_file(pieces, member, elf.MAGIC, folder) as content:
                if content is not None:
                    _library(content, member, found, counted=member == main)
            if note:
                note(member.packed)
    return found


def _library(content: mmap.mmap, member: Member, found: Native, *, counted: bool) -> None:
    found.libraries += 1
    found.names.add(member.base)
    try:
        library = elf.parse(content)
        _linking(library, member, found)
        _gpu(library, member, found)
        _evidence(library, found)
        counts = cpu.count(library) if counted else None
        if counts:
            found.cpu = counts | {"member": member.base}
    except UnreadableError as error:
        found.unreadable.append(f"{member.base}: {error}")


def _linking(library: Elf, member: Member, found: Native) -> None:
    found.needed.update(library.needed)
    if library.soname:
        found.names.add(library.soname)
    for prefix in _PREFIXES:
        for version in library.versions.get(prefix, ()):
            if version_key(version) > version_key(found.floors.get(prefix, ("", ""))[0]):
                found.floors[prefix] = (version, member.base)
    if library.stack and library.kind != _EXECUTABLE:
        found.exec_stack[member.base] = library.stack
    found.compilers |= strings.compilers(library)


def _gpu(library: Elf, member: Member, found: Native) -> None:
    code = fatbin.read(library)
    if not strings.is_cuda(member.base):
        if code.sets or code.cubins or code.elsewhere or code.link_isa:
            found.gpu.setdefault(member.base, GpuCode()).add(code)
        return
    if code.sets or code.cubins:
        found.bundled[member.base] = code
    number = constants.cudnn_linked(library)
    if number:
        found.bundled_cudnn[member.base] = number


def _evidence(library: Elf, found: Native) -> None:
    found.dlopened |= strings.dlopened(library)
    found.stated |= strings.stated_architectures(library)
    linked_cudnn, linked_nccl = constants.cudnn_linked(library), constants.nccl_linked(library)
    values = {
        "cudnn_built": constants.cudnn_compiled(library),
        "cudnn_imm": constants.version_of(linked_cudnn) if linked_cudnn else None,
        "nccl_imm": constants.version_of(linked_nccl) if linked_nccl else None,
        "nvcc": strings.nvcc(library),
        "cudnn_path": strings.cudnn_path(library),
    }
    for name, value in values.items():
        if value:
            found.evidence.setdefault(name, value)
