"""From the request to the choice: what led to each value of a stack, and what each other value failed on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envsolve.models import Reason
from envsolve.solver.finite import Answer, Wish, bits
from envsolve.solver.question import Question
from envsolve.solver.stack import spoke
from envsolve.solver.whynot import prove, wish_reason
from envsolve.solver.world import CPU, NO_CUDA, Axis, build_id

SHOWN = ("device", "python", "os", "image")
"""The axes that a person reads about, after the frameworks, each in turn."""
ON_GPU = ("verdict", "cuda", "cudnn", "cuda_source")
"""Those that a GPU stack has besides."""
REQUEST = "request"


@dataclass(frozen=True)
class Rejected:
    """Values of one axis that were not taken, all for the same reason."""

    values: tuple[str, ...]
    core: tuple[Reason, ...] = ()
    preference: str | None = None
    """What decided, where the values would work too."""


@dataclass(frozen=True)
class Choice:
    """One axis: the value taken, and what the others failed on."""

    axis: str
    value: str
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Link:
    """One fact on the way: the value of one axis left these values of another."""

    source: str
    target: str
    reason: Reason


@dataclass(frozen=True)
class Chain:
    """The way from the request to a stack: values by axis, and the facts between them."""

    values: dict[str, str]
    links: tuple[Link, ...]


def chain(question: Question, found: Answer) -> Chain:
    """Every fact that led from what was asked to what was chosen."""
    world = question.world
    axes = list(world.axes.values())
    values = {a.name: _name(a.values[found.values[a.index]]) for a in axes if a.name != "cpu"}
    links = [
        Link(REQUEST, axes[wish.variable].name, wish_reason(question, wish))
        for wish in question.wishes
        if wish.mask != (1 << len(axes[wish.variable].values)) - 1
    ]
    chosen = [1 << index for index in found.values]
    for rule in world.rules:
        if spoke(world, rule, chosen):
            source = axes[rule.when[0][0]].name if rule.when else REQUEST
            links.append(Link(source, axes[rule.then[0]].name, world.reason([rule], chosen)))
    return Chain(values, tuple(dict.fromkeys(links)))


def choices(question: Question, found: Answer, wanted: Sequence[str] | None = None) -> Iterator[Choice]:
    """The axes, or the ``wanted`` ones, each with why its other values were not taken."""
    axes = question.world.axes
    on_gpu = axes["device"].values[found.values[axes["device"].index]] == "gpu"
    frameworks = [name for name in axes if name.startswith("framework:")]
    names = [*frameworks, *SHOWN, *(ON_GPU if on_gpu else ())]
    for name in names:
        if wanted is None or name in wanted:
            axis = axes[name]
            value = axis.values[found.values[axis.index]]
            yield Choice(name, _name(value), tuple(_rejections(question, axis, found)))


def _name(value: Any) -> str:
    """A value as people say it."""
    if hasattr(value, "package"):
        return build_id(value).replace("==", " ")
    if value in (NO_CUDA, CPU):
        return "none" if value == NO_CUDA else "on the CPU"
    return str(getattr(value, "name", None) or getattr(value, "id", value))


def _rejections(question: Question, axis: Axis, found: Answer) -> Iterator[Rejected]:
    """The other values in the axis' own order, those with one reason together."""
    groups: dict[tuple[tuple[Reason, ...], str | None], list[str]] = {}
    asked = [w for w in question.wishes if w.variable == axis.index and w.name.startswith("version:")]
    for i in _worth_asking(question, axis, found, asked):
        reason = _reason(question, Wish("other", axis.index, 1 << i), found)
        groups.setdefault(reason, []).append(_name(axis.values[i]))
    for (core, preference), values in groups.items():
        yield Rejected(tuple(dict.fromkeys(values)), core, preference)
    for wish in asked:
        others = [_name(axis.values[i]) for i in bits(question.problem.full[axis.index] & ~wish.mask)]
        if others:
            yield Rejected(tuple(others), (wish_reason(question, wish),))


def _worth_asking(question: Question, axis: Axis, found: Answer, asked: Sequence[Wish]) -> list[int]:
    """Values that a person would ask about: releases that were named, images of the OS and Python that were taken."""
    mask = question.problem.full[axis.index] & ~(1 << found.values[axis.index])
    for wish in asked:
        mask &= wish.mask
    if axis.name == "image":
        os_, python = (question.world.axes[name] for name in ("os", "python"))
        here = [Wish(a.name, a.index, 1 << found.values[a.index]) for a in (os_, python)]
        mask &= sum(1 << i for i in bits(mask) if question.problem.feasible([*here, Wish("i", axis.index, 1 << i)]))
    if axis.name in ("verdict", "cuda_source"):
        mask &= axis.mask(lambda v: v in ("native", "jit", CPU, "image", "apt", "wheel"))
    return list(bits(mask))


def _reason(question: Question, other: Wish, found: Answer) -> tuple[tuple[Reason, ...], str | None]:
    """Why not this value: a proof that it cannot be on the device that was taken, or the preference that decided."""
    device = question.world.axes["device"]
    same = [Wish("same device", device.index, 1 << found.values[device.index])]
    if other.variable in (device.index, question.world.axes["verdict"].index):
        same = []
    best = question.problem.best([*question.wishes, *same, other])
    if best is None:
        return prove(question, [*question.wishes, *same, other]), None
    names = list(question.preferences)
    decided = next((i for i, (a, b) in enumerate(zip(found.cost, best.cost, strict=True)) if a != b), None)
    return (), names[decided] if decided is not None else "the order of the database"
