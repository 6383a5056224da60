"""Rules about frameworks: what each build needs, what GPU code it holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from envsolve import facts as schema
from envsolve.models import Verdict
from envsolve.prose import builds_named, listed, plural, said_of
from envsolve.solver.finite import Mask
from envsolve.solver.pairing_rules import add_backend_rules, add_companion_rules, add_gpu_backend_rules
from envsolve.solver.verdict import on_gpu, worst
from envsolve.solver.world import (
    BROUGHT_BY,
    NO_CUDA,
    VERDICTS,
    Axis,
    World,
    about_build,
    at_least,
    build_id,
    covers,
    version_key,
)

Builds = Sequence[schema.Build]


def add_framework_rules(world: World, name: str, frameworks: Sequence[str]) -> None:
    """Every rule of one framework."""
    fw = world.axes[f"framework:{name}"]
    _lockable(world, fw)
    _needs(world, fw)
    _cpu_instructions(world, fw)
    _cuda(world, fw)
    _cudnn(world, fw)
    _gpu_code(world, fw)
    for report in world.facts.framework(name).reports:
        _report(world, fw, report)
    add_backend_rules(world, name, frameworks)
    add_gpu_backend_rules(world, name, frameworks)
    add_companion_rules(world, name, frameworks)


def _pythons(builds: Builds) -> str:
    versions: list[str] = sorted({p for b in builds for p in b.pythons}, key=version_key)
    return listed(versions, most=12)


def _lockable(world: World, fw: Axis) -> None:
    """Builds of some origins are known, and not offered."""
    scoped = scoped_packages(world)

    def elsewhere(builds: Builds) -> str:
        origins, why = listed(b.origin for b in builds), "; ".join(dict.fromkeys(map(_unlockable, builds)))
        return said_of(builds, "is", f"not on the package index ({origins}): {why}")

    world.relate(
        fw,
        world.axes["cpu"],
        lambda b: 0 if not schema.lockable(b, scoped) else None,
        elsewhere,
        about=about_build,
        axis="origin",
        detail=lambda b: (b.origin, _unlockable(b)),
        together=elsewhere,
    )


def scoped_packages(world: World) -> set[str]:
    """The packages that indexes of the user's own serve."""
    return {name for index in world.request.indexes for name in index.packages}


def _unlockable(build: schema.Build) -> str:
    """Why no lock can be made of a build, in words."""
    if build.index is not None and build.origin != "repository":
        return "no lock can be made of it, for its own index is not known to state when a file was uploaded"
    if build.files:
        return "no lock can be made of it, for nobody states the hashes of its files"
    return "no lock can be made of it"


def _needs(world: World, fw: Axis) -> None:
    python, device, os_ = (world.axes[name] for name in ("python", "device", "os"))

    def libc_text(builds: Builds) -> str:
        libstdcxx = f" and GLIBCXX {builds[0].glibcxx}" if builds[0].glibcxx else ""
        older = f", older than {builds[0].glibc_below}" if builds[0].glibc_below else " or newer"
        return said_of(builds, "needs", f"glibc {builds[0].glibc or 'of any version'}{libstdcxx}{older}")

    def exist(builds: Builds) -> str:
        return said_of(builds, "exists", f"for Python {_pythons(builds) or 'releases that nobody states'}")

    def for_one_device(builds: Builds) -> str:
        return said_of(builds, "is", f"built for the {builds[0].devices[0].upper()} only")

    world.relate(
        fw,
        python,
        lambda b: python.only(*b.pythons),
        exist,
        about=about_build,
        evidence="pythons",
        detail=lambda b: tuple(b.pythons),
        together=exist,
    )
    world.relate(
        fw,
        device,
        lambda b: device.only(*b.devices) if len(b.devices) == 1 else None,
        for_one_device,
        about=about_build,
        evidence="devices",
        together=for_one_device,
    )

    @cache
    def with_libc(glibc: str | None, glibcxx: str | None, below: str | None) -> Mask | None:
        if not (glibc or glibcxx or below):
            return None
        return os_.mask(lambda system: _libc_serves(system, glibc, glibcxx, below))

    world.relate(
        fw,
        os_,
        lambda b: with_libc(b.glibc, b.glibcxx, b.glibc_below),
        libc_text,
        about=about_build,
        evidence="glibc",
        detail=lambda b: (b.glibc, b.glibcxx, b.glibc_below),
    )
    world.relate(
        fw,
        os_,
        lambda b: os_.mask(lambda system: system.name in b.systems) if b.systems else None,
        lambda bs: said_of(bs, "needs", f"libraries that only {listed(bs[0].systems)} has"),
        about=about_build,
        evidence="systems",
    )


def _libc_serves(system: schema.System, glibc: str | None, glibcxx: str | None, below: str | None) -> bool:
    """Whether an OS release has at least this glibc and libstdc++, and not yet the glibc that refuses the build."""
    if below and version_key(system.glibc) >= version_key(below):
        return False
    if glibc and version_key(system.glibc) < version_key(glibc):
        return False
    return not (glibcxx and system.glibcxx and version_key(system.glibcxx) < version_key(glibcxx))


def _cpu_instructions(world: World, fw: Axis) -> None:
    if not world.host.cpu_flags:
        return
    have = set(world.host.cpu_flags)
    world.relate(
        fw,
        world.axes["cpu"],
        lambda b: 0 if set(b.cpu) - have else None,
        lambda bs: said_of(bs, "needs", f"the CPU instructions {listed(bs[0].cpu)}, which this CPU lacks"),
        about=about_build,
        evidence="cpu",
        detail=lambda b: b.cpu,
    )


def _cuda(world: World, fw: Axis) -> None:
    cuda, source, image = (world.axes[name] for name in ("cuda", "cuda_source", "image"))
    words = {
        "system": ("takes", "CUDA from the system"),
        "wheel": ("brings", "CUDA in the wheel"),
        "image": ("comes", "with an image of its own"),
    }

    def needs(builds: Builds) -> str:
        releases: list[str] = sorted({b.cuda for b in builds if b.cuda}, key=version_key)
        return said_of(builds, "needs", f"CUDA {listed(releases)}")

    def brought(builds: Builds) -> str:
        kinds = dict.fromkeys(b.cuda_source or "system" for b in builds)
        return f"{builds_named(builds)} " + " or ".join(f"{plural(words[k][0])} {words[k][1]}" for k in kinds)

    world.relate(
        fw,
        cuda,
        lambda b: cuda.only(b.cuda) if b.cuda else None,
        needs,
        about=about_build,
        evidence="cuda",
        also=world.gpu_only,
        together=needs,
    )
    world.relate(
        fw,
        source,
        lambda b: source.only(*BROUGHT_BY[b.cuda_source]) if b.cuda_source else None,
        lambda bs: said_of(bs, *words[bs[0].cuda_source or "system"]),
        about=about_build,
        evidence="cuda_source",
        also=world.gpu_only,
        together=brought,
    )
    world.relate(
        fw,
        image,
        lambda b: image.mask(lambda i: i.framework == build_id(b)) if b.cuda_source == "image" else None,
        lambda bs: said_of(bs, "exists", "as an image only"),
        about=about_build,
        evidence="cuda_source",
    )


def _cudnn(world: World, fw: Axis) -> None:
    cudnn = world.axes["cudnn"]

    def right(build: schema.Build) -> Mask | None:
        if not build.cudnn or build.cuda_source != "system":
            return None
        return serving(build.cudnn, build.cudnn_rule == "same-minor")

    @cache
    def serving(needed: str, same_minor: bool) -> Mask:
        wanted = version_key(needed)[:2]

        def serves(version: str) -> bool:
            if version == NO_CUDA:
                return False
            have = version_key(version)[:2]
            return have == wanted if same_minor else have[0] == wanted[0] and have >= wanted

        return cudnn.mask(serves)

    def text(builds: Builds) -> str:
        newer = "" if builds[0].cudnn_rule == "same-minor" else " or a newer minor of it"
        return said_of(builds, "needs", f"cuDNN {builds[0].cudnn}{newer}")

    world.relate(
        fw,
        cudnn,
        right,
        text,
        about=about_build,
        evidence="cudnn",
        also=world.gpu_only,
        detail=lambda b: (b.cudnn, b.cudnn_rule),
    )


def kernels(world: World, build: schema.Build) -> Verdict:
    """The framework's own kernels on every GPU of the host: the worst decides."""
    return worst(on_gpu(gpu.compute_capability, build.sass, build.ptx) for gpu in world.host.gpus)


def safest(world: World, builds: Builds) -> str:
    """The best that the kernels of one of them do on the host's GPUs."""
    return min((kernels(world, b) for b in builds), key=VERDICTS.index)


def code_between(world: World, builds: Builds) -> str:
    """What builds have for the host's GPUs between them, as the end of a sentence."""
    return {
        "native": f"have machine code for the {world.gpus}",
        "jit": f"have no machine code for the {world.gpus}, and PTX at best",
        "no": f"have no code for the {world.gpus}",
    }.get(safest(world, builds), f"are not known to have code for the {world.gpus}")


def _gpu_code(world: World, fw: Axis) -> None:
    verdict = world.axes["verdict"]

    def text(builds: Builds) -> str:
        first, named = builds[0], builds_named(builds)
        if first.sass is None:
            return f"what GPU code {named} holds is not known"
        said = said_of(builds, "holds", f"machine code for {listed(first.sass) or 'no GPU'}")
        ptx = f"PTX up to {first.ptx[-1]}" if first.ptx else "no PTX" if first.ptx == () else "PTX that is not known"
        found = kernels(world, first)
        if found == "native":
            return f"{said}, which the {world.gpus} runs"
        if found == "jit":
            return f"{said}, not for the {world.gpus}; the driver can compile its {ptx} at first start (JIT)"
        return f"{said} and {ptx}: nothing for the {world.gpus}"

    world.relate(
        fw,
        verdict,
        lambda b: at_least(verdict, kernels(world, b)) if b.cuda_source else None,
        text,
        about=lambda b: about_build(b) if b.sass is not None else ("unknown", None),
        evidence="sass",
        also=world.gpu_only,
        detail=lambda b: (b.sass, b.ptx),
        together=lambda bs: f"{builds_named(bs)} {code_between(world, bs)}",
    )


def _report(world: World, fw: Axis, report: schema.Report) -> None:
    """A known wrong behaviour on one of the host's GPUs."""
    verdict = world.axes["verdict"]
    hit = any(covers(report.compute_capabilities, g.compute_capability) for g in world.host.gpus)
    if hit:
        world.relate(
            fw,
            verdict,
            lambda b: (
                at_least(verdict, report.verdict)
                if b.package in report.packages and covers(report.versions, b.version)
                else None
            ),
            lambda _: report.text,
            about=lambda _: (report.id, report),
            also=world.gpu_only,
        )
