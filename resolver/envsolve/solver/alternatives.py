"""Other stacks that work, the best of each kind that a person may care for, with what each costs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from envsolve.commands import pinned
from envsolve.facts import Image
from envsolve.models import Accept, Alternative, Gpu, Request, Stack
from envsolve.solver.finite import Answer, Wish
from envsolve.solver.ranking import declared_substitutes, distance
from envsolve.solver.world import parsed

if TYPE_CHECKING:
    from envsolve.solver.question import Question

BETTER = ("native", "jit")
"""Verdicts on a GPU, the better one first."""


def alternatives(question: Question, found: Answer, chosen: Stack) -> tuple[Alternative, ...]:
    """The best stack of each kind: on the CPU, on the GPU by other means, on one GPU of several, Python, OS.

    Each has another kind of price; two that turn out to be one stack are given once.
    """
    kinds = (
        _on_the_cpu(question, chosen),
        _on_the_gpu(question, chosen),
        _on_one_gpu(question, chosen),
        _elsewhere(question, found, "python"),
        _elsewhere(question, found, "os"),
        _newer_python(question, found),
    )
    seen = [_essence(chosen)]
    kept = []
    for axis, stack in (pair for kind in kinds for pair in kind):
        if axis == "gpus" or _essence(stack) not in seen:
            seen.append(_essence(stack))
            costs = tuple(_costs(question, axis, chosen, stack))
            kept.append(Alternative(**dict(stack), axis=axis, costs=costs))
    return tuple(kept)


def _essence(stack: Stack) -> tuple[object, ...]:
    return stack.device, stack.verdict, stack.frameworks, stack.python, stack.os, stack.cuda, stack.cudnn


Found = Iterator[tuple[str, Stack]]


def _on_the_cpu(question: Question, chosen: Stack) -> Found:
    if chosen.device == "cpu":
        return
    device = question.world.axes["device"]
    wishes = [w for w in question.wishes if w.name != "gpu"]
    found = question.problem.best([*wishes, Wish("device", device.index, device.only("cpu"))])
    if found is not None:
        request = question.request.model_copy(update={"gpu": ("none",), "require_gpu": False, "driver": None})
        yield "cpu", question.stack(found, _accepting_what_it_needs(question, found, request))


def _on_the_gpu(question: Question, chosen: Stack) -> Found:
    """By a substitute, by JIT, by the nearest release that is native: each without the price of the others."""
    if not question.host.gpus or (chosen.device, chosen.verdict, chosen.fidelity) == ("gpu", "native", "exact"):
        return
    verdict = question.world.axes["verdict"]
    free = [w for w in question.wishes if w.name.partition(":")[0] not in ("native", "exact", "gpu")]
    on_gpu = [*free, question.gpu_wish]
    native = Wish("native", verdict.index, verdict.only("native"))
    exact = _exact(question)
    yield from _best(question, "substitute", [*on_gpu, native, *_substituted(question)])
    yield from _best(question, "jit", [*on_gpu, Wish("jit", verdict.index, verdict.only("jit")), *exact])
    named = [w for w in free if w.name.startswith("version:")]
    near = [distance(question.world, w) for w in named]
    others = [w for w in on_gpu if w not in named]
    found = question.problem.best([*others, native, *exact], near)
    if named and found is not None:
        yield "release", question.stack(found, _pinned_to(question, found, [w.name.partition(":")[2] for w in named]))


def _best(question: Question, kind: str, wishes: Sequence[Wish]) -> Found:
    found = question.problem.best(wishes)
    if found is not None:
        yield kind, question.stack(found, _accepting_what_it_needs(question, found, question.request))


def _exact(question: Question) -> list[Wish]:
    return [_among(question, name, stand_ins=False) for name in question.frameworks]


def _substituted(question: Question) -> list[Wish]:
    """That the first framework that has stand-ins is one of them."""
    rows = (n for n in question.frameworks if question.facts.framework(n).substitutes)
    return [_among(question, name, stand_ins=True) for name in rows][:1]


def _among(question: Question, name: str, *, stand_ins: bool) -> Wish:
    axis = question.world.axes[f"framework:{name}"]
    declared = declared_substitutes(question.world, axis.name)
    mask = axis.mask(lambda b: (f"{b.package}=={b.version}" in declared) == stand_ins)
    return Wish(f"exact:{name}", axis.index, mask)


def _accepting_what_it_needs(question: Question, found: Answer, request: Request) -> Request:
    """The request that accepts what this answer takes, and no more: so that its command gives just this."""
    stack = question.stack(found, request)
    needs = {"jit": stack.verdict == "jit", "substitute": stack.fidelity == "substitute"}
    return request.model_copy(
        update={"accept": tuple(cast("Accept", what) for what, needed in needs.items() if needed)}
    )


def _pinned_to(question: Question, found: Answer, names: Sequence[str]) -> Request:
    """The request with the releases of an answer in place of those that were named."""
    request = question.request.model_copy(update={"accept": ()})
    for choice in question.stack(found, request).frameworks:
        if choice.name in names:
            request = pinned(request, choice.name, choice.version)
    return request


def _on_one_gpu(question: Question, chosen: Stack) -> Found:
    """Where one GPU of several would do better than all of them together: that one alone."""
    if len({gpu.compute_capability for gpu in question.host.gpus}) < 2 or _rank(chosen) == 0:
        return
    for gpu in dict.fromkeys(question.host.gpus):
        request = question.request.model_copy(
            update={"gpu": (gpu.name,), "driver": question.request.driver or question.host.driver}
        )
        alone = type(question)(request, question.host.model_copy(update={"gpus": (gpu,)}), question.facts)
        found = alone.problem.best(alone.wishes)
        if found is None:
            continue
        stack = alone.stack(found, request)
        if _rank(stack) < _rank(chosen):
            yield "gpus", stack


def _rank(stack: Stack) -> int:
    return BETTER.index(stack.verdict) if stack.device == "gpu" and stack.verdict in BETTER else len(BETTER)


def _elsewhere(question: Question, found: Answer, name: str) -> Found:
    """The best stack with another Python, or on another OS."""
    axis = question.world.axes[name]
    others = ((1 << len(axis.values)) - 1) & ~(1 << found.values[axis.index])
    other = question.problem.best([*question.wishes, Wish(name, axis.index, others)])
    if other is not None:
        picked = axis.values[other.values[axis.index]]
        update = {name: getattr(picked, "name", picked)}
        yield name, question.stack(other, question.request.model_copy(update=update))


def _newer_python(question: Question, found: Answer) -> Found:
    """The best stack whose Python is newer because it is copied, where the chosen one is the system's own."""
    python, source, image = (question.world.axes[name] for name in ("python", "python_image", "image"))
    if image.values[found.values[image.index]].python:
        return
    newer = Wish("python", python.index, (1 << found.values[python.index]) - 1)
    same = [Wish(a, i.index, 1 << found.values[i.index]) for a in ("device", "image") if (i := question.world.axes[a])]
    copied = Wish("copied", source.index, source.mask(lambda _: True))
    other = question.problem.best([*question.wishes, *same, newer, copied])
    if other is not None:
        picked = python.values[other.values[python.index]]
        yield "python_image", question.stack(other, question.request.model_copy(update={"python": picked}))


# -- costs ---------------------------------------------------------------------------------------------------


def _costs(question: Question, axis: str, chosen: Stack, stack: Stack) -> Iterator[str]:
    """What is worse about a stack than about the chosen one, or merely different, in parts of sentences."""
    if axis == "gpus":
        yield _one_visible(question, next(g for g in question.host.gpus if g.name in stack.command))
    if (stack.device, chosen.device) == ("cpu", "gpu"):
        yield "no GPU is used"
    if stack.device == "gpu" and stack.verdict == "jit":
        yield "the first start takes minutes, and the numbers are unverified"
    yield from (w.text for w in stack.warnings if w.code == "substitute")
    before = {f.name: f.version for f in chosen.frameworks}
    for choice in stack.frameworks:
        old = before.get(choice.name, choice.version)
        if old != choice.version and stack.fidelity == "exact":
            series = [parsed(v).release[:1] for v in (old, choice.version)]
            yield f"{choice.name} {choice.version} rather than {old}" + (
                ": another major release" if series[0] != series[1] else ""
            )
    if stack.python != chosen.python:
        ends = question.facts.pythons[stack.python].end_of_life
        yield f"Python {stack.python} rather than {chosen.python}" + (f", maintained until {ends}" if ends else "")
    if stack.python_image and stack.python_image != chosen.python_image:
        yield f"its Python is copied from {stack.python_image}, not tried with this base image"
    if stack.os != chosen.os:
        yield f"{stack.os} (glibc {stack.glibc}) rather than {chosen.os} (glibc {chosen.glibc})"
    yield from _image_cost(question.facts.images[stack.base_image], question.facts.images[chosen.base_image])


def _image_cost(image: Image, before: Image) -> Iterator[str]:
    if image.status != before.status and image.status != "available":
        yield {
            "rebuilt": "its base image was deleted, so NVIDIA's packages are installed anew",
            "gone": "its base image is gone from its registry",
        }[image.status]


def _one_visible(question: Question, gpu: Gpu) -> str:
    others = [g.name for g in question.host.gpus if g.name != gpu.name]
    index = question.host.gpus.index(gpu)
    how = "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=" + str(index)
    shown = f"; {how} makes it the only one visible" if question.request.gpu == ("auto",) else ""
    return f"the {' and '.join(dict.fromkeys(others))} stays unused{shown}"
