"""What a GPU binary does on a GPU: the SASS and PTX rules, as one small table of functions.

Source of the rules: NVIDIA's Ampere, Hopper and Blackwell compatibility guides (binary code for X.y runs on X.z
with z >= y; PTX for any capability at most the GPU's can be compiled by the driver), and the CUDA programming guide
on architecture-specific ('a') and family-specific ('f') targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envsolve.models import Verdict

SAFETY: tuple[Verdict, ...] = ("native", "jit", "unknown", "wrong", "no")
"""From the safest to the least safe."""

PTX_SHARE_NEEDED = 0.5
"""Below this share of modules with PTX, whether a library runs by JIT is unknown: the kernel needed may lack it."""


def capability(text: str) -> tuple[int, int]:
    """'8.6' -> (8, 6); an architecture's suffix letter ('9.0a') is left out."""
    major, minor = text.rstrip("af").split(".")
    return int(major), int(minor)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The least safe of them; native when there are none."""
    return max(verdicts, key=SAFETY.index, default="native")


def on_gpu(gpu: str, sass: Sequence[str] | None, ptx: Sequence[str] | None, ptx_share: float | None = None) -> Verdict:
    """What a binary with this machine code and PTX does on a GPU of capability ``gpu``.

    ``sass`` or ``ptx`` None means not known, and gives ``unknown`` where it would decide. ``ptx_share`` is the
    share of a library's modules (0..1) that carry PTX at all.
    """
    target = capability(gpu)
    if sass is not None and any(_runs(code, target) for code in sass):
        return "native"
    if sass is None or ptx is None:
        return "unknown"
    if not any(_compiles(code, target) for code in ptx):
        return "no"
    return "unknown" if ptx_share is not None and ptx_share < PTX_SHARE_NEEDED else "jit"


def _runs(sass: str, target: tuple[int, int]) -> bool:
    """Machine code runs on later minors of its major; with an 'a' (architecture-specific) on its own one only."""
    code = capability(sass)
    return code == target if sass.endswith("a") else code[0] == target[0] and code[1] <= target[1]


def _compiles(ptx: str, target: tuple[int, int]) -> bool:
    """PTX compiles for every later capability; with an 'a' for its own one only, with an 'f' inside its major."""
    code = capability(ptx)
    if ptx.endswith("a"):
        return code == target
    return code <= target and (code[0] == target[0] or not ptx.endswith("f"))
