"""Rules about the machine and what it is built from: devices, base images, drivers, CUDA's libraries. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envsolve import facts as schema
from envsolve.models import Gpu
from envsolve.prose import listed, plural
from envsolve.solver.copied_python import add_copied_python_rules
from envsolve.solver.finite import Mask
from envsolve.solver.verdict import on_gpu, worst
from envsolve.solver.world import CPU, LIBRARIES, NO_CUDA, World, at_least, build_id, minor, version_key

Library = schema.Toolkit | schema.Cudnn


def add_platform_rules(world: World) -> None:
    """Every rule that no framework has a part in."""
    _device(world)
    _images(world)
    _drivers(world)
    _library(world, "cuda", world.facts.toolkits)
    _library(world, "cudnn", world.facts.cudnns)


def _device(world: World) -> None:
    device, verdict = world.axes["device"], world.axes["verdict"]
    for name, nothing in (("cuda", NO_CUDA), ("cuda_source", NO_CUDA), ("verdict", CPU), ("cudnn", NO_CUDA)):
        _device_decides(world, name, nothing)
    offered = "only stacks that are known to run are offered"
    world.always(verdict, verdict.only(CPU, "native", "jit"), offered, fact="policy")
    if not world.host.gpus:
        none = "--gpu none" if world.request.gpu == ("none",) else "no NVIDIA GPU was found on this machine"
        world.always(device, device.only("cpu"), none)


def _device_decides(world: World, name: str, nothing: str) -> None:
    """A CPU stack has none of it; a GPU stack must have it (but for cuDNN, which wheels may link in)."""
    axis = world.axes[name]
    on_cpu = axis.only(nothing)
    on_gpu_ = None if name == "cudnn" else axis.mask(lambda v: v != nothing)
    world.relate(
        world.axes["device"],
        axis,
        lambda v: on_cpu if v == "cpu" else on_gpu_,
        lambda vs: "a CPU stack has no CUDA" if vs[0] == "cpu" else "a GPU stack needs CUDA",
        about=lambda _: ("device", None),
    )


def _about_image(image: schema.Image) -> tuple[str, schema.Row]:
    return image.id, image


def _named(images: Sequence[schema.Image], verb: str) -> str:
    """The images and a verb that agrees with how many they are."""
    many = len({image.id for image in images}) > 1
    return f"{listed((image.id for image in images), most=4)} {plural(verb) if many else verb}"


def pythons_of(world: World, row: schema.Image) -> Mask:
    """The Pythons that an image has, its own or its OS release's."""
    python = world.axes["python"]
    if row.python:
        return python.only(minor(row.python))
    return python.only(*(p.version for p in world.facts.systems[row.os].pythons))


def _images(world: World) -> None:
    image, os_, python, device = (world.axes[name] for name in ("image", "os", "python", "device"))
    source = world.axes["python_image"]

    def pythons(row: schema.Image) -> Mask:
        return pythons_of(world, row)

    def pythons_text(rows: Sequence[schema.Image]) -> str:
        found = [p for p in reversed(python.values) if any(pythons(row) & python.only(p) for row in rows)]
        return f"{_named(rows, 'brings')} Python {listed(found) or 'of no known version'}"

    def os_text(rows: Sequence[schema.Image]) -> str:
        return f"{_named(rows, 'is')} {listed(row.os for row in rows)}"

    world.relate(
        image,
        os_,
        lambda row: os_.mask(lambda system: system.name == row.os),
        os_text,
        about=_about_image,
        evidence="os",
        together=os_text,
    )
    world.relate(
        image,
        python,
        lambda row: pythons(row) if row.python else None,
        pythons_text,
        about=_about_image,
        evidence="python",
        together=pythons_text,
    )
    world.relate(
        image,
        python,
        lambda row: None if row.python else pythons(row),
        pythons_text,
        about=_about_image,
        evidence="python",
        also=((source, source.nothing),),
        together=pythons_text,
    )
    add_copied_python_rules(world)
    world.relate(
        image,
        device,
        lambda row: device.only("gpu") if row.cuda else None,
        lambda rows: f"{_named(rows, 'is')} for GPU stacks",
        about=_about_image,
        evidence="cuda",
    )
    for name in ("cuda", "cudnn", "cuda_source"):
        _image_brings(world, name)
    for name in world.axes:
        if name.startswith("framework:"):
            _image_is_framework(world, name)


def _image_brings(world: World, name: str) -> None:
    axis = world.axes[name]
    plain = axis.only(NO_CUDA, "wheel") if name == "cuda_source" else None

    def text(rows: Sequence[schema.Image]) -> str:
        if not any(row.cuda for row in rows):
            return f"{_named(rows, 'holds')} no CUDA"
        value = listed(getattr(row, name) for row in rows if row.cuda)
        word = {"cuda": f"CUDA {value}", "cudnn": f"cuDNN {value}"}.get(name, f"CUDA from its {value}")
        return f"{_named(rows, 'holds')} {'no CUDA or ' if not all(row.cuda for row in rows) else ''}{word}"

    world.relate(
        world.axes["image"],
        axis,
        lambda row: axis.only(getattr(row, name) or NO_CUDA) if row.cuda else plain,
        text,
        about=_about_image,
        evidence=name,
        together=text,
    )


def _image_is_framework(world: World, name: str) -> None:
    axis = world.axes[name]
    ids = {build_id(build) for build in axis.values}
    world.relate(
        world.axes["image"],
        axis,
        lambda row: axis.mask(lambda b: build_id(b) == row.framework) if row.framework in ids else None,
        lambda rows: f"{_named(rows, 'is')} itself {rows[0].framework}",
        about=_about_image,
        evidence="framework",
    )


def _drivers(world: World) -> None:
    if world.host.driver is None or not world.host.gpus:
        return
    driver, toolkits = world.axes["driver"], world.facts.toolkits

    def new_enough(version: str) -> Mask | None:
        if version == NO_CUDA:
            return None
        return driver.mask(lambda d: version_key(d) >= version_key(toolkits[version].driver_min))

    def floors(versions: Sequence[str]) -> str:
        lowest = min((toolkits[v].driver_min for v in versions), key=version_key)
        verb = plural("needs") if len(versions) > 1 else "needs"
        return f"CUDA {listed(versions)} {verb} driver {lowest} or newer"

    world.relate(
        world.axes["cuda"],
        driver,
        new_enough,
        floors,
        about=lambda v: (f"cuda {v}", toolkits.get(v)),
        evidence="driver_min",
        also=world.gpu_only,
        together=floors,
        detail=lambda v: v != NO_CUDA and toolkits[v].driver_min,
    )
    by_capability = {a.compute_capability: a for a in world.facts.architectures}
    for gpu in world.host.gpus:
        row = by_capability.get(gpu.compute_capability)
        if row is not None and row.driver_branch_last is not None:
            _driver_branch(world, gpu, row, row.driver_branch_last)


def _driver_branch(world: World, gpu: Gpu, row: schema.Architecture, last: str) -> None:
    driver = world.axes["driver"]
    supported = driver.mask(lambda d: version_key(d)[0] <= int(last))
    world.relate(
        world.axes["device"],
        driver,
        lambda device: supported if device == "gpu" else None,
        lambda _: f"branch {last} is the last driver that supports the {gpu.name} ({gpu.compute_capability})",
        about=lambda _: (f"architecture {row.compute_capability}", row),
        evidence="driver_branch_last",
    )


def _library(world: World, name: str, table: Mapping[str, Library]) -> None:
    """CUDA's own libraries are checks of their own: cuBLAS with the toolkit, cuDNN with its release."""
    source, verdict, label = world.axes["cuda_source"], world.axes["verdict"], LIBRARIES[name]

    def judge(row: Library) -> str:
        return worst(on_gpu(g.compute_capability, row.sass, row.ptx, row.ptx_share) for g in world.host.gpus)

    def allowed(version: str) -> Mask | None:
        row = table.get(version)
        if row is None:
            return None
        found: str = judge(row)
        if found == "unknown" and row.ptx is None:
            # Not measured: it cannot make a stack native, and is said as a warning where JIT is accepted.
            world.unmeasured.add((name, version))
            found = "jit"
        return at_least(verdict, found)

    def text(versions: Sequence[str]) -> str:
        row = table[versions[0]]
        said = f"{label} {listed(versions)} holds machine code up to {row.sass[-1] if row.sass else 'nothing'}"
        if (name, versions[0]) in world.unmeasured:
            return f"{said}; whether it has PTX for the {world.gpus} is not measured"
        if judge(row) == "native":
            return f"{said}, which the {world.gpus} runs"
        share = f" in {row.ptx_share:.0%} of its modules" if row.ptx_share is not None else ""
        ptx = f"PTX up to {row.ptx[-1]}{share}" if row.ptx else "no PTX"
        return f"{said}, and {ptx}, for the {world.gpus}"

    def between(versions: Sequence[str]) -> str:
        sass = max((table[v].sass[-1] for v in versions if table[v].sass), key=version_key, default="nothing")
        return f"{label} {listed(versions)} holds machine code up to {sass} at most, for the {world.gpus}"

    world.relate(
        world.axes[name],
        verdict,
        allowed,
        text,
        about=lambda v: (f"{name} {v}", table.get(v)),
        evidence="sass",
        also=(*world.gpu_only, (source, source.only("image", "apt"))),
        detail=lambda v: v in table and (table[v].sass, table[v].ptx),
        together=between,
    )
