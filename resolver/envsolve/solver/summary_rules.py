"""What all images of one kind have between them: follows from the rules of each, and takes one sentence to say. Pure.

Without these a proof that no image of an OS has a Python would name every image there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from envsolve import facts as schema
from envsolve.prose import listed
from envsolve.solver.copied_python import copied_pythons
from envsolve.solver.finite import Mask
from envsolve.solver.platform_rules import pythons_of
from envsolve.solver.world import Axis, World

Images = Sequence[schema.Image]


def add_summary_rules(world: World) -> None:
    """By OS: its Pythons. By CUDA of the system: its OS releases, Pythons and cuDNN releases."""
    images: Images = world.axes["image"].values
    system = [i for i in images if i.cuda and i.cudnn and i.cuda_source and not i.framework]
    pythons = {i.id: pythons_of(world, i) for i in images}
    given = {i.id: 0 if i.python else copied_pythons(world, world.facts.systems[i.os]) for i in images}
    os_, python, cudnn = (world.axes[name] for name in ("os", "python", "cudnn"))

    def python_names(mask: Mask) -> str:
        return listed((p for p in reversed(python.values) if mask & python.only(p)), most=14)

    def of_os(release: schema.System) -> Images:
        return [i for i in images if i.os == release.name]

    def of_cuda(version: str) -> Images:
        return [i for i in system if i.cuda == version]

    cuda, source = (world.axes[name] for name in ("cuda", "cuda_source"))

    def pythons_between(rows: Images) -> Mask:
        return _union(pythons[i.id] | given[i.id] for i in rows)

    def brings(what: str, rows: Images) -> str:
        own = _union(pythons[i.id] for i in rows)
        more = python_names(_union(given[i.id] for i in rows) & ~own)
        copied = f", and {more} can be copied onto them" if more else ""
        return f"the base images {what} bring Python {python_names(own) or 'of no known version'}{copied}"

    _summary(
        world, os_, python, of_os, pythons_between,
        lambda release, rows: brings(f"of {release.name}", rows), field="python", always=True,
    )  # fmt: skip
    _summary(
        world, cuda, python, of_cuda, pythons_between,
        lambda version, rows: brings(f"with CUDA {version}", rows),
    )  # fmt: skip
    _summary(
        world, cuda, os_, of_cuda,
        lambda rows: os_.mask(lambda release: release.name in {i.os for i in rows}),
        lambda version, rows: f"the base images with CUDA {version} are {listed(i.os for i in rows)}",
    )  # fmt: skip
    _summary(
        world, cuda, cudnn, of_cuda,
        lambda rows: cudnn.only(*(i.cudnn for i in rows)),
        lambda version, rows: f"the base images with CUDA {version} have cuDNN {listed(i.cudnn for i in rows)}",
    )  # fmt: skip
    _summary(
        world, cuda, source, of_cuda,
        lambda rows: source.only(*(i.cuda_source for i in rows)),
        lambda version, rows: f"CUDA {version} comes to a base image from its {listed(i.cuda_source for i in rows)}",
    )  # fmt: skip


def _summary(
    world: World,
    x: Axis,
    y: Axis,
    images: Callable[..., Images],
    allowed: Callable[[Images], Mask],
    say: Callable[..., str],
    *,
    field: str = "cuda",
    always: bool = False,
) -> None:
    """One rule for each value of ``x`` that images have."""
    source = world.axes["cuda_source"]

    def about(value: object) -> tuple[str, schema.Row | None]:
        return f"images of {getattr(value, 'name', value)}", next(iter(images(value)), None)

    world.relate(
        x,
        y,
        lambda value: allowed(rows) if (rows := images(value)) else None,
        lambda values: say(values[0], images(values[0])),
        about=about,
        evidence=field,
        also=() if always else ((source, source.only("image", "apt")),),
        detail=lambda value: getattr(value, "name", value),
        summary=True,
    )


def _union(masks: Iterable[Mask]) -> Mask:
    found = 0
    for mask in masks:
        found |= mask
    return found
