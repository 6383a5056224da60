"""What a library's read-only data say in words: libraries it opens by name, architectures it states, its compilers."""

from __future__ import annotations

import re

from harvest.elf import Buffer, Elf, Section
from harvest.fatbin import find_all

_CUDA_NAME = re.compile(
    r"lib(cuda|cudart|cublas|cublasLt|cudnn|cufft|cufftw|curand|cusolver|cusolverMg|cusparse|cusparseLt|cupti|"
    r"nvrtc|nvrtc-builtins|nvToolsExt|nvidia-ml|nccl|nvinfer|nvinfer_plugin|nvonnxparser|nvparsers|nvJitLink|nvjpeg|"
    r"nppc|nvblas|cufile|cutensor|nvshmem|nvptxcompiler|nvvm)(_[a-z_0-9]+)?(-[0-9a-f]{8})?\.so((?:\.[0-9]+)*)"
)
_ARCHES = re.compile(rb"(?:(?:sm|compute)_\d+[af]? )+(?:sm|compute)_\d+[af]?")
_NVCC = re.compile(rb"release (\d+\.\d+), (V\d+\.\d+\.\d+)")
_CUDNN_PATH = re.compile(rb"cudnn[-_]v?(\d)\.(\d)")
_WORD = 400
_PRINTABLE = (0x20, 0x7E)
_RODATA = (".rodata", ".lrodata")


def is_cuda(name: str) -> bool:
    """Whether a file name is that of one of NVIDIA's libraries."""
    return _CUDA_NAME.fullmatch(name) is not None


def soname_versions(names: list[str]) -> dict[str, str]:
    """'libcudart.so.10.0' -> {'cudart': '10.0'}: what the names of libraries state, the longest of each."""
    found: dict[str, str] = {}
    for name in names:
        match = _CUDA_NAME.fullmatch(name)
        version = match[4].strip(".") if match else ""
        if match and version and len(version) >= len(found.get(match[1] + (match[2] or ""), "")):
            found[match[1] + (match[2] or "")] = version
    return found


def _read_only(elf: Elf) -> list[Section]:
    return [s for s in elf.sections if s.name.startswith(_RODATA)]


def word_at(content: Buffer, at: int) -> bytes:
    """The string, between two NULs, around an offset; empty when it is longer than a name."""
    start = content.rfind(b"\0", max(0, at - _WORD), at) + 1
    end = content.find(b"\0", at, at + _WORD)
    return content[start:end] if start and end >= 0 else b""


def _name_at(content: Buffer, at: int) -> str:
    """The file name around an offset, as a string of its own: what stands before it may be data, but no other text."""
    start, end = content.rfind(b"lib", max(0, at - _WORD), at), content.find(b"\0", at, at + _WORD)
    if start < 1 or end < 0 or _PRINTABLE[0] <= content[start - 1] <= _PRINTABLE[1]:
        return ""
    return content[start:end].decode("latin-1")


def dlopened(elf: Elf) -> set[str]:
    """NVIDIA libraries named in read-only data."""
    found = set()
    for section in _read_only(elf):
        for at in find_all(elf.content, b".so", section.offset, section.offset + section.size):
            name = _name_at(elf.content, at)
            if is_cuda(name):
                found.add(name)
    return found


def stated_architectures(elf: Elf) -> set[str]:
    """Lists such as 'sm_37 sm_50 compute_50' that the library tells its user."""
    found = set()
    for section in _read_only(elf):
        for at in find_all(elf.content, b" sm_", section.offset, section.offset + section.size):
            word = word_at(elf.content, at)
            if _ARCHES.fullmatch(word):
                found.add(word.decode())
    return found


def nvcc(elf: Elf) -> str | None:
    """The release of nvcc that the first machine code names, e.g. 'V9.0.176'; None where all is packed."""
    for section in elf.sections:
        if "nv_fatbin" in section.name or section.name.startswith(_RODATA):
            head = elf.content[section.offset : section.offset + min(section.size, 8 << 20)]
            at = head.find(b"Cuda compilation tools, release ")
            match = _NVCC.search(head, at, at + 120) if at >= 0 else None
            if match:
                return match[2].decode()
    return None


def cudnn_path(elf: Elf) -> str | None:
    """'7.6' where a source path of a linked-in cuDNN says so; None where none does, or several differ."""
    found = set()
    for section in _read_only(elf):
        for at in find_all(elf.content, b"cudnn_v", section.offset, section.offset + section.size):
            if match := _CUDNN_PATH.match(elf.content[at : at + 16]):
                found.add(f"{match[1].decode()}.{match[2].decode()}")
    return found.pop() if len(found) == 1 else None


def compilers(elf: Elf) -> set[str]:
    """The lines of ``.comment``."""
    section = elf.section(".comment")
    if section is None or section.size > 1 << 20:
        return set()
    raw = elf.content[section.offset : section.offset + section.size]
    lines = (line.decode("utf-8", "replace").strip() for line in raw.split(b"\0"))
    # Intel's compiler writes its whole command line for each source file.
    return {line.removeprefix("-?comment:").partition("  : ")[0] for line in lines if line}
