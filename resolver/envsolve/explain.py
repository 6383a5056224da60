"""Solution -> prose, or the JSON document: what was chosen, why, what would change it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from envsolve.commands import accepting, command_line
from envsolve.models import Accept, Alternative, Conflict, Host, Reason, Relaxation, Request, Solution, Stack, Unmet
from envsolve.prose import listed

SCHEMA = "envsolve/solution-1"
BOLD, RED, GREEN, YELLOW, CYAN, DIM = "1", "31", "32", "33", "36", "2"

VERDICT_TEXT = {
    "native": "native: every part has machine code for this GPU",
    "jit": "jit: the driver compiles the kernels at first start (minutes); its numbers are unverified",
}


KINDS = {
    "cpu": "without the GPU",
    "substitute": "by a substitute",
    "jit": "by JIT",
    "release": "another release",
    "gpus": "on one GPU alone",
    "python": "another Python",
    "os": "another OS",
    "python_image": "a newer Python, copied from its own image",
}
"""What an alternative differs by, in words."""


class Sources:
    """Colour where it is wanted (every sentence reads the same without), and numbered sources."""

    def __init__(self, color: bool = False) -> None:
        self.color = color
        self.numbers: dict[str, int] = {}

    def cite(self, text: str) -> str:
        """The number of a source, as it stands at the end of a sentence."""
        return self(f" [{self.numbers.setdefault(text, len(self.numbers) + 1)}]", DIM)

    def cited(self, reason: Reason) -> str:
        """The number of a reason's source; nothing for what was given."""
        return "" if reason.how == "given" else self.cite(f"{reason.how} {reason.checked}: {reason.source}")

    def listing(self) -> list[str]:
        """The sources cited, for the end of the text."""
        return (
            ["", "Sources:", *(self(f"  [{n}] {text}", DIM) for text, n in self.numbers.items())]
            if self.numbers
            else []
        )

    def __call__(self, text: str, *codes: str) -> str:
        """The text in these ANSI colours, where colour is wanted."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color else text


READABLE = 12
"""Facts in one reason that a person reads; of more the first half is shown."""


def document(solution: Solution) -> dict[str, Any]:
    """The ``--json`` document, ``envsolve/solution-1``."""
    return {"schema": SCHEMA, **solution.model_dump(mode="json")}


def frameworks_line(stack: Stack) -> str:
    """'tensorflow 1.4.1 · keras 2.0.8 · Python 3.6 · CUDA 8.0 · cuDNN 6.0 · debian11'."""
    parts = [f"{f.package} {f.version}" for f in stack.frameworks]
    parts.append(f"Python {stack.python}")
    if stack.cuda:
        parts.append(f"CUDA {stack.cuda}" + (" (in the wheel)" if stack.cuda_source == "wheel" else ""))
    if stack.cudnn:
        parts.append(f"cuDNN {stack.cudnn}")
    return " · ".join([*parts, stack.os])


def host_line(host: Host, request: Request) -> str:
    """The machine that was judged, in one line."""
    parts = [f"{g.name} ({g.compute_capability})" for g in host.gpus]
    if not parts:
        parts = ["no GPU wanted" if request.gpu == ("none",) else "no NVIDIA GPU"]
    if host.driver:
        parts.append(f"driver {host.driver}")
    if host.engine:
        parts.append(host.engine)
    return " · ".join(parts)


def answer(solution: Solution, color: bool = False) -> str:
    """The whole answer as a person reads it: the verdict first, then why, then what would change it."""
    paint = Sources(color)
    lines = [_field(paint, "Host", host_line(solution.host, solution.request))]
    if solution.chosen is None:
        lines += _conflict(solution, paint)
    else:
        lines += _chosen(solution, solution.chosen, paint)
    return "\n".join([*lines, *paint.listing()]) + "\n"


def _field(paint: Sources, name: str, text: str) -> str:
    return paint(name, BOLD) + " " * max(1, 9 - len(name)) + text


def _chosen(solution: Solution, stack: Stack, paint: Sources) -> list[str]:
    lines = [_field(paint, "Chosen", frameworks_line(stack))]
    verdict = VERDICT_TEXT.get(stack.verdict, stack.verdict) if stack.device == "gpu" else "runs on the CPU"
    colour = GREEN if stack.verdict == "native" else YELLOW
    gpu = next((u for u in solution.unmet if u.wish == "gpu"), None)
    if gpu is not None:
        verdict = (
            f"runs on the CPU, not on the {listed(g.name for g in solution.host.gpus)}{_offer(solution.request, gpu)}"
        )
        colour = YELLOW
    lines.append(_field(paint, "Verdict", paint(verdict, colour)))
    copied = f", with the Python of {stack.python_image}" if stack.python_image else ""
    lines.append(_field(paint, "Base", stack.base_image + copied))
    if gpu is not None:
        lines += _unmet(gpu, paint)
    elif stack.device == "gpu":
        lines += _gpu_because(stack, paint)
    if stack.warnings:
        lines += [f"{paint('warning:', YELLOW)} {w.text}{paint.cite(w.source)}" for w in stack.warnings]
    offered = {way.command for way in gpu.relaxations} if gpu else set()
    others = [a for a in solution.alternatives if a.command not in offered]
    if others:
        lines += ["", "Other stacks that work:", *(_alternative(a, paint) for a in others)]
    return lines


def _alternative(stack: Alternative, paint: Sources) -> str:
    kind = KINDS[stack.axis]
    lines = [f"  {kind}: {frameworks_line(stack)} on the {stack.device.upper()}", *(f"    {c}" for c in stack.costs)]
    return "\n".join([*lines, f"    {paint(stack.command, CYAN)}"])


def _offer(request: Request, unmet: Unmet) -> str:
    """The options that alone would put the stack on the GPU, for the first lines."""
    alone = {command_line(accepting(request, what)): what for what in get_args(Accept)}
    named = [f"--accept {alone[way.command]}" for way in unmet.relaxations if way.command in alone]
    return f": that takes {' or '.join(named)}" if named else ""


def _gpu_because(stack: Stack, paint: Sources) -> list[str]:
    reasons = [r for r in stack.reasons if r.axis in ("verdict", "driver")]
    return ["", "Why the GPU runs it:", *_sentences(reasons, paint)] if reasons else []


def _unmet(unmet: Unmet, paint: Sources) -> list[str]:
    # That the version and the GPU were wanted is the question, not the reason.
    cores = [[r for r in core if r.fact != "request" or "--" in r.text] for core in unmet.cores]
    lines = ["", *_cores("Why not the GPU", cores, paint)]
    if unmet.relaxations:
        lines += ["", "What would use it:", *_ways(unmet.relaxations, paint)]
    else:
        lines += ["", "Nothing in the database would run this on that GPU."]
    return lines


def _conflict(solution: Solution, paint: Sources) -> list[str]:
    conflict = solution.conflict or Conflict(core=())
    wanted = " ".join(t.text for t in solution.request.targets)
    lines = [_field(paint, "Answer", paint(f"no: nothing gives {wanted} as asked", RED)), ""]
    lines += _cores("Why not", conflict.cores, paint)
    if conflict.relaxations:
        lines += ["", "What would work:", *_ways(conflict.relaxations, paint)]
    return lines


def _cores(title: str, cores: Sequence[Sequence[Reason]], paint: Sources) -> list[str]:
    """Every independent conflict; where there are several, each under a number, for each has to be met."""
    if len(cores) == 1:
        return [f"{title}:", *_shortened(cores[0], paint)]
    lines = [f"{title}: {len(cores)} reasons, each enough by itself:"]
    for number, core in enumerate(cores, 1):
        first, *rest = _shortened(core, paint)
        lines += [f"  {number}. {first.removeprefix('  - ')}", *(f"     {line.removeprefix('  - ')}" for line in rest)]
    return lines


def _shortened(core: Sequence[Reason], paint: Sources) -> list[str]:
    """The sentences of a conflict: of one that nobody would read to its end what the user said, and the first facts."""
    looked_up = [reason for reason in core if reason.how != "given"]
    if len(looked_up) <= READABLE:
        return _sentences(core, paint)
    left = len(looked_up) - READABLE // 2
    given = [reason for reason in core if reason.how == "given"]
    shown = _sentences([*looked_up[: READABLE // 2], *given], paint)
    shown.insert(READABLE // 2, f"  - ... and {left} facts more of the same kinds (--json has them all)")
    return shown


def _sentences(reasons: Iterable[Reason], paint: Sources) -> list[str]:
    """What was looked up first, what was given after it."""
    ordered = sorted(reasons, key=lambda r: (r.how == "given", r.axis != "verdict"))
    return [f"  - {reason.text}{paint.cited(reason)}" for reason in ordered]


def _ways(ways: Sequence[Relaxation], paint: Sources) -> list[str]:
    return [
        _option(f"{way.change}: {frameworks_line(way.gives)}", way.command, way.gives.device, paint, way.gives)
        for way in ways
    ]


def _option(text: str, command: str, device: str, paint: Sources, stack: Stack | None = None) -> str:
    lines = [f"  {text}" + ("" if f"on the {device.upper()}" in text else f" on the {device.upper()}")]
    differs = [w.text for w in (stack.warnings if stack else ()) if w.code == "substitute"]
    lines += [f"    {text}" for text in differs]
    return "\n".join([*lines, f"    {paint(command, CYAN)}"])


def why(stack: Stack, axis: str | None = None) -> str:
    """The facts behind a stack's choices, all of them or those of one axis; empty when the axis has none."""
    wanted = [r for r in stack.reasons if axis is None or axis in (r.axis, r.axis.partition(":")[2])]
    by_axis: dict[str, list[Reason]] = {}
    for reason in wanted:
        by_axis.setdefault(reason.axis.removeprefix("framework:"), []).append(reason)
    paint = Sources(False)
    lines = [frameworks_line(stack)] if axis is None else []
    for name, reasons in by_axis.items():
        value = getattr(stack, name, None)
        lines += [f"{name}: {value}" if isinstance(value, str) else name, *_sentences(reasons, paint)]
    return "\n".join([*lines, *paint.listing()]) + "\n" if wanted else ""
