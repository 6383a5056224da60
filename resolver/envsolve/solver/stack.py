"""The engine's answer as a Stack: values, the facts that made them, and what to be warned of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envsolve import facts as schema
from envsolve.models import FrameworkChoice, Reason, Stack, StackWarning
from envsolve.solver.copied_python import glibc_floor
from envsolve.solver.finite import Answer, Rule
from envsolve.solver.world import CPU, LIBRARIES, NO_CUDA, World, build_id


def make_stack(world: World, frameworks: Sequence[str], found: Answer, command: str) -> Stack:
    """One value per axis, with reasons and warnings."""
    value = {axis.name: axis.values[found.values[axis.index]] for axis in world.axes.values()}
    there = [name for name in frameworks if value[axis := f"framework:{name}"] is not world.axes[axis].absent]
    builds: dict[str, schema.Build] = {name: value[f"framework:{name}"] for name in _backend_first(there, value)}
    image: schema.Image = value["image"]
    toolkit = world.facts.toolkits.get(value["cuda"])
    substituted = _substitutes(world, builds)
    return Stack(
        device=value["device"],
        verdict="native" if value["verdict"] == CPU else value["verdict"],
        fidelity="substitute" if substituted else "exact",
        frameworks=tuple(
            FrameworkChoice(name=name, package=b.package, version=b.version, origin=b.origin, build=build_id(b))
            for name, b in builds.items()
        ),
        python=value["python"],
        cuda=_or_none(value["cuda"]),
        cudnn=_or_none(value["cudnn"]) if image.cuda else _carried_cudnn(value["device"], builds),
        cuda_source=_or_none(value["cuda_source"]),
        os=value["os"].name,
        glibc=value["os"].glibc,
        base_image=image.id,
        python_image=donor.id if (donor := _donor(value)) else None,
        driver_min=toolkit.driver_min if toolkit else None,
        reasons=_reasons(world, found),
        warnings=tuple(_warnings(world, value, image, substituted)),
        command=command,
    )


def _donor(value: dict[str, Any]) -> schema.Image | None:
    """The image that the Python is copied from, if it is."""
    found: schema.Image | str = value["python_image"]
    return None if isinstance(found, str) else found


def _backend_first(frameworks: Sequence[str], value: dict[str, Any]) -> list[str]:
    """The frameworks in the order asked for, but of several back ends the one that is used comes first."""
    used = {v for name, v in value.items() if name.startswith("backend:")}
    return sorted(frameworks, key=lambda framework: framework not in used)


def _or_none(value: str) -> str | None:
    return None if value == NO_CUDA else value


def _carried_cudnn(device: str, builds: dict[str, schema.Build]) -> str | None:
    """The cuDNN that a wheel carries inside itself."""
    if device == "cpu":
        return None
    return next((b.cudnn for b in builds.values() if b.cuda_source in ("wheel", "image") and b.cudnn), None)


def _substitutes(world: World, builds: dict[str, schema.Build]) -> list[schema.Substitute]:
    return [
        row for name, build in builds.items() for row in world.facts.framework(name).substitutes
        if row.build == build_id(build)
    ]  # fmt: skip


def _reasons(world: World, found: Answer) -> tuple[Reason, ...]:
    """Every fact that spoke about the chosen values and ruled something out."""
    chosen = [1 << index for index in found.values]
    return tuple(dict.fromkeys(world.reason([rule], chosen) for rule in world.rules if spoke(world, rule, chosen)))


def spoke(world: World, rule: Rule, chosen: Sequence[int]) -> bool:
    """Whether a rule is about these values (a mask for each axis), and rules out others."""
    if not all(chosen[v] & mask for v, mask in rule.when):
        return False
    statement = world.statements[rule.id]
    if statement.summary:
        return False  # the image's own rule says it
    if statement.fact in ("device", "policy"):
        return False  # true of every stack: no news
    size = len(list(world.axes.values())[rule.then[0]].values)
    return rule.then[1] != (1 << size) - 1


def _warnings(
    world: World, value: dict[str, Any], image: schema.Image, substituted: Sequence[schema.Substitute]
) -> list[StackWarning]:
    found = []
    for row in substituted:
        text = f"{row.build} stands in: {row.differs}"
        found.append(StackWarning(code="substitute", text=text, source=world.facts.evidence(row).source))
    if value["device"] == "gpu":
        found += _gpu_warnings(world, value)
    if image.status != "available":
        source = world.facts.evidence(image, "status").source
        text = {
            "rebuilt": f"the image that held this was deleted; {image.reference} with NVIDIA's packages rebuilds it",
            "gone": f"{image.reference} is gone from its registry",
        }[image.status]
        found.append(StackWarning(code=f"image-{image.status}", text=text, source=source))
    if donor := _donor(value):
        found.append(_copied(world, value["os"], donor))
    return found


def _copied(world: World, system: schema.System, donor: schema.Image) -> StackWarning:
    text = (
        f"the Python {donor.python} of {donor.reference} is copied onto {system.name}: built on {donor.os}, it needs "
        f"glibc {glibc_floor(world.facts, donor)}, and {system.name} has {system.glibc}; the libraries that "
        f"{system.name} lacks come with it. Not tried with these images"
    )
    row = world.facts.evidence(donor, "python_glibc" if donor.python_glibc else "python")
    return StackWarning(code="python-copied", text=text, source=row.source)


def _gpu_warnings(world: World, value: dict[str, Any]) -> list[StackWarning]:
    found = []
    gpus = world.gpus
    if value["verdict"] == "jit":
        text = (
            f"the driver compiles this stack's kernels for the {gpus} at first start: minutes, once per cache; "
            "compare its numbers with the CPU's before you trust them"
        )
        found.append(StackWarning(code="jit", text=text, source="NVIDIA GPU compatibility guides"))
    for name in ("cuda", "cudnn"):
        if (name, value[name]) in world.unmeasured and value["cuda_source"] in ("image", "apt"):
            text = (
                f"whether {LIBRARIES[name]} {value[name]} has code that the {gpus} can run is not measured: it may fail"
            )
            row = world.facts.toolkits[value[name]] if name == "cuda" else world.facts.cudnns[value[name]]
            found.append(
                StackWarning(code="library-unknown", text=text, source=world.facts.evidence(row, "sass").source)
            )
    if world.host.driver is None:
        text = "the driver was not given, so its age is not checked: add --driver"
        found.append(StackWarning(code="driver-unknown", text=text, source="the request"))
    return found
