"""What all images, or all builds, of one kind have between them: follows from the rules of each. Pure.

Without these a proof that no image of an OS has a Python would name every image there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from envsolve import facts as schema
from envsolve.prose import listed
from envsolve.solver.copied_python import copied_pythons
from envsolve.solver.finite import Mask
from envsolve.solver.framework_rules import code_between, safest, scoped_packages
from envsolve.solver.platform_rules import pythons_of
from envsolve.solver.world import BROUGHT_BY, Axis, World, at_least, build_id, version_key

Images = Sequence[schema.Image]
Builds = Sequence[schema.Build]
Conditions = tuple[tuple[Axis, Mask], ...]


def add_summary_rules(world: World) -> None:
    """By OS: its Pythons. By CUDA of the system: its OS releases, Pythons and cuDNN releases. By Python: its CUDA."""
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
        lambda release, rows: brings(f"of {release.name}", rows), field="python", also=(),
    )  # fmt: skip
    _summary(
        world, cuda, python, of_cuda, pythons_between,
        lambda version, rows: brings(f"with CUDA {version}", rows),
    )  # fmt: skip
    _summary(
        world, python, cuda,
        lambda version: [i for i in system if (pythons[i.id] | given[i.id]) & python.only(version)],
        lambda rows: cuda.only(*(i.cuda for i in rows)),
        lambda version, rows: f"the base images for GPUs that Python {version} comes with have CUDA {_releases(rows)}",
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


def add_framework_summaries(world: World, name: str) -> None:
    """Of a framework's builds for GPUs, by Python: their CUDA. By CUDA: who brings it, and for which GPUs they are."""
    fw, images = world.axes[f"framework:{name}"], {i.framework for i in world.axes["image"].values}
    scoped = scoped_packages(world)
    builds: Builds = [b for b in fw.values if "gpu" in b.devices and _offered(b, images, scoped)]
    if fw.absent or not builds or not all(b.cuda for b in builds):
        return
    python, cuda, source, verdict = (world.axes[axis] for axis in ("python", "cuda", "cuda_source", "verdict"))

    def of_cuda(version: str) -> Builds:
        return [b for b in builds if b.cuda == version]

    def said(rows: Builds, words: str) -> str:
        return f"the releases of {name} for CUDA {_releases(rows)} {words}"

    _summary(
        world, world.axes["device"], cuda, lambda device: builds if device == "gpu" else (),
        lambda rows: cuda.only(*(b.cuda for b in rows)),
        lambda _, rows: f"the GPU releases of {name} are for CUDA {_releases(rows)}", what=name, also=(),
    )  # fmt: skip
    _summary(
        world, python, cuda, lambda version: [b for b in builds if version in b.pythons],
        lambda rows: cuda.only(*(b.cuda for b in rows)),
        lambda version, rows: f"the GPU releases of {name} for Python {version} need CUDA {_releases(rows)}",
        what=name, also=world.gpu_only,
    )  # fmt: skip
    if not all(b.cuda_source for b in builds):
        return
    _summary(
        world, cuda, source, of_cuda,
        lambda rows: source.only(*(s for b in rows for s in BROUGHT_BY[b.cuda_source])),
        lambda _, rows: said(rows, _brings(rows)), what=name, field="cuda_source", also=world.gpu_only, lump=True,
    )  # fmt: skip
    _summary(
        world, cuda, verdict, of_cuda,
        lambda rows: at_least(verdict, safest(world, rows)),
        lambda _, rows: said(rows, code_between(world, rows)), what=name, field="sass", also=world.gpu_only, lump=True,
    )  # fmt: skip


def _offered(build: schema.Build, images: Collection[str | None], scoped: Collection[str]) -> bool:
    """Whether a stack can have it at all: not what is an image only, and the image is in no table."""
    there = build.cuda_source != "image" or build_id(build) in images
    return there and schema.lockable(build, scoped)


def _brings(builds: Builds) -> str:
    words = {"system": "take it from the system", "wheel": "bring it", "image": "come as images that have it"}
    return " or ".join(words[s] for s in dict.fromkeys(b.cuda_source for b in builds) if s)


def _releases(rows: Images | Builds) -> str:
    """The CUDA releases of rows, oldest first."""
    return listed(sorted({row.cuda for row in rows if row.cuda}, key=version_key))


def _summary(
    world: World,
    x: Axis,
    y: Axis,
    having: Callable[..., Sequence[Any]],
    allowed: Callable[..., Mask | None],
    say: Callable[..., str],
    *,
    what: str = "images",
    field: str = "cuda",
    also: Conditions | None = None,
    lump: bool = False,
) -> None:
    """One rule for each value of ``x`` that rows have; ``also``: when it holds, else where images bring CUDA.

    ``lump``: values that allow the same are said in one sentence.
    """
    source = world.axes["cuda_source"]

    def about(value: object) -> tuple[str, schema.Row | None]:
        return f"{what} of {getattr(value, 'name', value)}", next(iter(having(value)), None)

    world.relate(
        x,
        y,
        lambda value: allowed(rows) if (rows := having(value)) else None,
        lambda values: say(values[0], [row for value in values for row in having(value)]),
        about=about,
        evidence=field,
        also=((source, source.only("image", "apt")),) if also is None else also,
        detail=lambda value: None if lump else getattr(value, "name", value),
        summary=True,
    )


def _union(masks: Iterable[Mask]) -> Mask:
    found = 0
    for mask in masks:
        found |= mask
    return found
