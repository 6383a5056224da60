"""Versions that a library was compiled with, from the constants in its machine code.

``cudnnGetVersion`` of a linked-in cuDNN returns a constant; ``ncclGetVersion`` stores one. TensorFlow's
``CudnnSupport::Init`` compares the cuDNN that it finds with the one it was compiled against.
"""

from __future__ import annotations

import re
import struct

from harvest.elf import Elf, function

_CUDNN_INIT = (
    "_ZN9perftools8gputools4cuda12CudnnSupport4InitEv",
    "_ZN15stream_executor4cuda12CudnnSupport4InitEv",
    "_ZN15stream_executor3gpu12CudnnSupport4InitEv",
)
_RETURN = re.compile(rb"\xb8(....)[^\xc3]{0,2}\xc3", re.DOTALL)
# mov dword or qword [register (+ displacement)], 32-bit constant
_STORE = re.compile(
    rb"(\x48?)\xc7(?:[\x00-\x03\x06\x07]|\x04\x24|[\x40-\x43\x45-\x47].|\x44\x24.|[\x80-\x83\x85-\x87]....|\x84\x24....)(....)",
    re.DOTALL,
)
# movabs register, 64-bit constant
_WIDE = re.compile(rb"[\x48\x49][\xb8-\xbf](........)", re.DOTALL)
# cmp register, constant; mov edi, constant
_COMPARE = re.compile(rb"\x48\x81[\xf8-\xff](....)|\x48\x3d(....)", re.DOTALL)
_ARGUMENT = re.compile(rb"\xbf(?=(....))", re.DOTALL)


def cudnn_linked(elf: Elf) -> int | None:
    """What an exported ``cudnnGetVersion`` returns, e.g. 7402."""
    code = function(elf, "cudnnGetVersion")
    match = _RETURN.search(code) if code else None
    value = struct.unpack("<I", match[1])[0] if match else None
    return value if value is not None and 1000 <= value < 200000 else None


def nccl_linked(elf: Elf) -> int | None:
    """What an exported ``ncclGetVersion`` stores, e.g. 2708."""
    for name in ("ncclGetVersion", "pncclGetVersion"):
        for match in _STORE.finditer(function(elf, name) or b""):
            value = struct.unpack("<I", match[2])[0]
            if 1000 <= value < 200000:
                return int(value)
    return None


def version_of(number: int) -> str:
    """7402 -> '7.4.2', 90100 -> '9.1.0' (cuDNN from 9 on), 21602 -> '2.16.2' (NCCL from 2.9 on)."""
    if number >= 10000:
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"


_NEAR = 12
"""Bytes of other instructions that may stand between two stores of one structure."""


def cudnn_compiled(elf: Elf) -> str | None:
    """The cuDNN release that TensorFlow's check names; None where there is no such check or it cannot be told."""
    for name in _CUDNN_INIT:
        if code := function(elf, name):
            return _rounded(code) or _stored(code)
    return None


def _words(match: re.Match[bytes]) -> tuple[int, ...]:
    """The 32-bit words that an instruction stores: two for a constant of 64 bits, or one widened to that (8, 0)."""
    if match.re is _WIDE:
        return struct.unpack("<II", match[1])
    value = struct.unpack("<I", match[2])[0]
    return (value, 0) if match[1] else (value,)


def _stored(code: bytes) -> str | None:
    """Three stores of 32 bits, or one of 64 and one of 32, in a row."""
    values: list[int] = []
    last = 0
    for match in sorted([*_STORE.finditer(code), *_WIDE.finditer(code)], key=lambda m: m.start()):
        if match.start() - last > _NEAR:
            values = []
        last = match.end()
        values += _words(match)
        if len(values) >= 3 and 4 <= values[-3] <= 12 and values[-2] <= 20 and values[-1] <= 99:
            return ".".join(map(str, values[-3:]))
    return None


def _rounded(code: bytes) -> str | None:
    """Before TensorFlow 1.5: the release rounded to hundreds is compared, and the whole one is printed (6000, 6021)."""
    bases = {struct.unpack("<I", m[1] or m[2])[0] for m in _COMPARE.finditer(code)}
    bases = {base for base in bases if 1000 <= base < 10000 and base % 100 == 0}
    values = (struct.unpack("<I", m[1])[0] for m in _ARGUMENT.finditer(code))
    found = {value for value in values if value - value % 100 in bases}
    return version_of(max(found)) if found and len(bases) == 1 else None
