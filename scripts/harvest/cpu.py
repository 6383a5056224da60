"""Which vector instructions a library's code is made of, by counts of opcodes: no disassembly, hence shares, not facts.

Byte patterns also match inside of other instructions and data. So one count says nothing, and the ratio does: a library
built for AVX loads its scalars by VEX instructions everywhere, one that picks code at run time only here and there.
Only the head of the code is counted: a linker puts the library's own objects first and static archives (OpenBLAS, MKL,
OpenCV, each with its own choice) behind them. MXNet 1.2.1 has 15 SSE loads in its first 64 MB and 187 762 behind.
"""

from __future__ import annotations

import re

from harvest.elf import Buffer, Elf

# Loads of a scalar float or double into a register: ``movss``/``movsd`` and their VEX forms.
_SSE = (b"\xf3\x0f\x10", b"\xf2\x0f\x10")
_VEX = (b"\xc5\xfa\x10", b"\xc5\xfb\x10")
_FMA = re.compile(rb"\xc4[\xe2\xc2\x62\x42][\x01-\xfd][\x98-\x9f\xa8-\xaf\xb8-\xbf]")
# The first byte of an EVEX instruction, its two zero bits, its one bit.
_EVEX = re.compile(rb"\x62[\xf1\xf2\xf3][\x05-\xfd][\x08\x28\x48]\x10")
_CHUNK = 32 << 20
HEAD = 64 << 20
"""Bytes of code that count as the library's own."""


def count(elf: Elf) -> dict[str, int | bool] | None:
    """Counts in the head of ``.text``, its bytes, and whether the library needs AVX; None without such a section."""
    section = elf.section(".text")
    if section is None:
        return None
    found = dict.fromkeys(("sse", "vex", "fma", "evex"), 0)
    end = section.offset + min(section.size, HEAD)
    for at in range(section.offset, end, _CHUNK):
        _add(found, elf.content, at, min(at + _CHUNK, end))
    return found | {"counted": end - section.offset, "avx": found["vex"] > found["sse"]}


def _add(found: dict[str, int], content: Buffer, start: int, end: int) -> None:
    chunk = content[start:end]
    found["sse"] += sum(chunk.count(pattern) for pattern in _SSE)
    found["vex"] += sum(chunk.count(pattern) for pattern in _VEX)
    found["fma"] += sum(1 for _ in _FMA.finditer(chunk))
    found["evex"] += sum(1 for _ in _EVEX.finditer(chunk))
