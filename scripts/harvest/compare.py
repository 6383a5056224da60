"""Our records against others' of the same files, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Record = dict[str, Any]

_EQUAL = (
    "size", "upload_time", "requires_python", "python_tag", "abi", "platform_tag", "glibc_floor", "glibcxx_floor",
    "cxxabi_floor", "floor_set_by", "needed", "needed_cuda", "dlopen_sonames", "bundled_libs", "sass", "ptx",
    "sass_any", "ptx_any", "own_containers", "ptx_isa", "arch_strings", "bare_cubins", "cuda", "cudnn",
)  # fmt: skip
"""Fields that must be the same."""


def _top(sets: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """The others list their most common sets only."""
    return all(sets.get(" ".join(sorted(k.split(), key=_order))) == n for k, n in other.items())


def _order(name: str) -> tuple[str, int]:
    kind, _, number = name.partition("_")
    return kind, int("".join(c for c in number if c.isdigit()))


def differences(ours: Record, theirs: Record) -> Iterator[tuple[str, bool, Any, Any]]:
    """Each field that both have: its name, whether they agree, and both values."""
    for name in _EQUAL:
        if name in theirs and (name in ours or theirs[name]):
            a, b = ours.get(name), theirs[name]
            same = sorted(a) == sorted(b) if isinstance(a, list) and isinstance(b, list) else a == b
            yield name, same, a, b
    if "own_sets" in theirs:
        yield "own_sets", _top(ours.get("own_sets", {}), theirs["own_sets"]), ours.get("own_sets"), theirs["own_sets"]
    if theirs.get("coverage"):
        a = {k: v for k, v in (ours.get("coverage") or {}).items() if k in theirs["coverage"]}
        b = {k: {how: n for how, n in v.items() if n} for k, v in theirs["coverage"].items()}
        yield "coverage", a == b, a, b
    if theirs.get("cpu") and ours.get("cpu"):
        yield "cpu.avx", ours["cpu"]["avx"] == theirs["cpu"]["avx"], ours["cpu"], theirs["cpu"]
    if "requires_dist" in theirs:
        a, b = ours.get("requires_dist") or [], theirs["requires_dist"]
        yield "requires_dist", set(b) <= set(a), a, b
    if "compilers" in theirs:
        a, b = ours.get("compilers") or [], theirs["compilers"]
        yield "compilers", set(b) <= set(a), a, b


def report(ours: Mapping[str, Record], theirs: Sequence[Record]) -> list[str]:
    """Lines: every disagreement, then counts by field. ``ours``: by SHA-256; records of other files do not count."""
    lines: list[str] = []
    agree: Counter[str] = Counter()
    total: Counter[str] = Counter()
    common = 0
    for other in theirs:
        own = ours.get(other["sha256"])
        if own is None or own.get("read") == "cheap":
            continue
        common += 1
        for name, same, a, b in differences(own, other):
            total[name] += 1
            agree[name] += same
            if not same:
                lines.append(f"{other['package']} {other['version']} {name}: ours {a!r}, theirs {b!r}")
    lines += [f"{name}: {agree[name]} of {total[name]} agree" for name in total]
    return [*lines, f"{common} files in both"]
