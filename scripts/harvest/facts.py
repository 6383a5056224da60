"""From a record (a line of ``inputs/records/PACKAGE.jsonl``) to the facts of a build in the database's notation."""

from __future__ import annotations

import re
from typing import Any

Record = dict[str, Any]

EXEC_STACK_REFUSED = "2.41"
"""First glibc whose dlopen refuses a library that asks for an executable stack (its NEWS, section 2.41)."""

_MINOR = re.compile(r"(\d+\.\d+)(?:\.|$)")
_ARCH = re.compile(r"(?:sm|compute)_(\d+)(\d[af]?)$")


def minor(version: object) -> str | None:
    """'11.2.152' -> '11.2'; None where the minor is not known ('12') or nothing is."""
    found = _MINOR.match(str(version)) if version is not None else None
    return found[1] if found else None


def capability(name: str) -> str:
    """'sm_35' -> '3.5', 'compute_120' -> '12.0', 'sm_90a' -> '9.0a'. Raises ValueError on anything else."""
    found = _ARCH.fullmatch(name)
    if not found:
        raise ValueError(f"no architecture: {name}")
    return f"{found[1]}.{found[2]}"


def facts_of(record: Record) -> dict[str, Any]:
    """The Build fields that one record proves; a field that it does not know is None, never a guess.

    Keys, always all of them, in this order:

    - ``cuda``, ``cudnn``: 'X.Y' as compiled against; None where there is no CUDA or only the major is known.
    - ``sass``, ``ptx``: capabilities ('3.5') of the set of architectures that most of the wheel's own GPU code was
      compiled for, never a union over all code; [] where a full read found none; None where it was not looked for.
    - ``glibc``, ``glibcxx``: floors over all native members of the wheel, bundled ones included.
    - ``cpu``: /proc/cpuinfo flags that the code needs without asking, [] or ['avx']; None where not counted.
    - ``glibc_below``: '2.41' where a library asks for an executable stack; None where none does or it is unknown.
    - ``size``: bytes of the wheel that was read.

    A cheap record (``read``: 'cheap') has seen the zip's directory and text members only, so most of it is None.
    """
    looked = record.get("read") != "cheap"
    avx = (record.get("cpu") or {}).get("avx")
    sass, ptx = record.get("sass"), record.get("ptx")
    return {
        "cuda": minor(record.get("cuda")),
        "cudnn": minor(record.get("cudnn")),
        "sass": [capability(name) for name in sass] if looked and sass is not None else None,
        "ptx": [capability(name) for name in ptx] if looked and ptx is not None else None,
        "glibc": record.get("glibc_floor"),
        "glibcxx": record.get("glibcxx_floor"),
        "cpu": None if avx is None else ["avx"] if avx else [],
        "glibc_below": EXEC_STACK_REFUSED if record.get("exec_stack") else None,
        "size": record.get("size"),
    }
