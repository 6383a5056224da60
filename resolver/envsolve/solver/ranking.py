"""The order of preference among stacks that all work: named cost levels, most important first. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from envsolve.facts import Build
from envsolve.models import Request
from envsolve.solver.finite import Wish
from envsolve.solver.world import CPU, Axis, World, build_id, parsed

VERDICT_COST = {"native": 0, "jit": 1, CPU: 2}
IMAGE_COST = {"available": 0, "rebuilt": 1, "gone": 2}

Level = dict[int, list[int]]


def _ranked(axis: Axis, key: Callable[[Any], object] | None = None) -> list[int]:
    """The cost of each value when the axis is already in order of preference, equal keys alike."""
    seen: dict[object, int] = {}
    return [seen.setdefault(key(v) if key else i, len(seen)) for i, v in enumerate(axis.values)]


def _series(build: Build) -> tuple[int, ...]:
    return parsed(build.version).release[:2]


def preferred_package(request: Request, framework: str) -> str:
    """The package whose build wins among equals: the one the user typed, else the framework's own name."""
    for target in request.targets:
        if target.name == framework:
            typed = target.text.replace("_", "-").lower()
            return next((typed[:i] for i, c in enumerate(typed) if c in "=<>!~[ "), typed)
    return framework


def _series_ranked(axis: Axis, era: date | None) -> list[int]:
    """Newest series first; with an era, the newest that was out by then first, and after those the earliest since."""
    if era is None:
        return _ranked(axis, _series)
    days: dict[tuple[int, ...], list[tuple[bool, date]]] = {}
    for build in axis.values:
        snapshot = parsed(build.version).is_prerelease  # older than its series, so it dates only one without releases
        days.setdefault(_series(build), []).extend([(snapshot, build.released)] if build.released else [])
    # A series of unknown day counts as the oldest.
    first = {series: min(known, default=(False, date.min))[1] for series, known in days.items()}
    then = sorted((s for s, day in first.items() if day <= era), reverse=True)
    order = {s: i for i, s in enumerate([*then, *sorted(s for s, day in first.items() if day > era)], 1)}
    return [0 if build is axis.absent else order[_series(build)] for build in axis.values]


def levels(world: World, packages: dict[str, str], eras: dict[str, date]) -> dict[str, Level]:
    """Safer verdict; exact before substitute; an image that exists; newest series, Python, OS, patch; own name.

    By what each prefers, in words, most important first. ``packages``: the package preferred for each framework.
    ``eras``: of frameworks that nobody named a release of, brought in by one that has: the newest series of that one's
    day, not the newest there is.
    """
    axes = world.axes
    frameworks = {n: axes[f"framework:{n}"] for n in packages}
    substitutes = {n: {s.build for s in world.facts.framework(n).substitutes} for n in packages}
    image, verdict, python, os_ = (axes[name] for name in ("image", "verdict", "python", "os"))
    copied = axes["python_image"]
    named = {
        a.index: [0 if b.package == packages[n] else 1 if b.package == n else 2 for b in a.values]
        for n, a in frameworks.items()
    }
    variants = {a.index for n, a in frameworks.items() if packages[n] != n}
    ranked: dict[str, Level] = {
        "the safer verdict": {verdict.index: [VERDICT_COST.get(v, 9) for v in verdict.values]},
        "the release itself before a substitute": {
            a.index: [int(build_id(b) in substitutes[n]) for b in a.values] for n, a in frameworks.items()
        },
        # Its CUDA is in its name: mxnet-cu92.
        "the variant that was named": {a: costs for a, costs in named.items() if a in variants},
        "a base image that still exists": {image.index: [IMAGE_COST[i.status] for i in image.values]},
        "a Python of its own before a copied one": {copied.index: [int(v is not copied.absent) for v in copied.values]},
        **{_series_rule(n, eras): {a.index: _series_ranked(a, eras.get(n))} for n, a in frameworks.items()},
        "the newest Python": {python.index: _ranked(python)},
        "the newest OS release": {os_.index: _ranked(os_, lambda s: s.released)},
        **{f"the newest {n} of its series": {a.index: _ranked(a, lambda b: b.version)} for n, a in frameworks.items()},
        "the package that was named": named,
        "the newest cuDNN and CUDA": {axes[name].index: _ranked(axes[name]) for name in ("cudnn", "cuda")},
        "the image that the database lists first": {image.index: _ranked(image)},
        "the Python image that the database lists first": {copied.index: _ranked(copied)},
    }
    if world.host.driver:
        # Relaxed drivers: the host's own first, then the least change.
        driver = axes["driver"]
        own = driver.values.index(world.host.driver)
        costs = [0 if i == own else i + 1 for i in range(len(driver.values))]
        ranked["the driver that is there"] = {driver.index: costs}
    return ranked


def _series_rule(name: str, eras: dict[str, date]) -> str:
    return (
        f"the newest {name} of {eras[name]}, the day of what was asked for"
        if name in eras
        else f"the newest {name} series"
    )


def declared_substitutes(world: World, axis: str) -> set[str]:
    """The ids of the builds that stand in for others, of the framework of an axis 'framework:NAME'."""
    return {s.build for s in world.facts.framework(axis.partition(":")[2]).substitutes}


def distance(world: World, wish: Wish) -> Level:
    """How far each value of a wish's variable lies from what was wished, in steps along its order."""
    axis = list(world.axes.values())[wish.variable]
    steps = _ranked(axis, lambda b: b.version) if axis.name.startswith("framework:") else _ranked(axis)
    asked = [i for i in range(len(axis.values)) if wish.mask >> i & 1]
    if axis.name.startswith("framework:"):
        # From the release that was named, not from what may stand in for it.
        declared = declared_substitutes(world, axis.name)
        asked = [i for i in asked if build_id(axis.values[i]) not in declared]
    wanted = [steps[i] for i in asked]
    if not wanted:
        return {wish.variable: steps}
    return {wish.variable: [min(abs(step - w) for w in wanted) for step in steps]}
