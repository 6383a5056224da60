"""Facts + Request + Host -> the constraint problem: one variable per axis, one rule per fact. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve import facts as schema
from envsolve.finite import Mask, Problem, Rule
from envsolve.matrices import Facts
from envsolve.models import Host, Reason, Request
from envsolve.prose import builds_named, listed
from envsolve.verdict import SAFETY, on_gpu, worst

NO_CUDA = "none"
CPU = "cpu"
UNKNOWN_DRIVER = "unknown"
VERDICTS: tuple[str, ...] = (CPU, *SAFETY)


def version_key(text: str) -> tuple[int, ...]:
    """A dotted number as a sortable key; anything that is no number sorts first."""
    return tuple(int(part) if part.isdigit() else -1 for part in text.split("."))


@dataclass
class Axis:
    """A variable and its values, in the order ties are broken by."""

    name: str
    index: int
    values: list[Any]

    def mask(self, wanted: Callable[[Any], bool]) -> Mask:
        """The values for which ``wanted`` holds."""
        return sum(1 << i for i, value in enumerate(self.values) if wanted(value))

    def only(self, *values: object) -> Mask:
        """These values."""
        return self.mask(lambda value: value in values)


@dataclass(frozen=True)
class Statement:
    """What a rule says, in words, for those of its values that matter to the question."""

    axis: str
    fact: str
    row: schema.Row | None
    evidence_field: str
    values: tuple[Any, ...]
    say: Callable[[Sequence[Any]], str]


@dataclass
class World:
    """The axes and rules of one question, with the sentence behind each rule."""

    facts: Facts
    request: Request
    host: Host
    axes: dict[str, Axis] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    unmeasured: dict[tuple[str, str], str] = field(default_factory=dict)

    def axis(self, name: str, values: Iterable[Any]) -> Axis:
        """Add a variable."""
        self.axes[name] = Axis(name, len(self.axes), list(values))
        return self.axes[name]

    def problem(self, levels: Sequence[dict[int, list[int]]]) -> Problem:
        """The constraint problem, with these cost levels."""
        return Problem([len(a.values) for a in self.axes.values()], self.rules, levels)

    def relate(
        self,
        x: Axis,
        y: Axis,
        allowed: Callable[[Any], Mask | None],
        say: Callable[[Sequence[Any]], str],
        *,
        about: Callable[[Any], tuple[str, schema.Row | None]],
        evidence: str = "*",
        axis: str | None = None,
        also: tuple[tuple[Axis, Mask], ...] = (),
        detail: Callable[[Any], Hashable] = lambda _: None,
    ) -> None:
        """Rules "x = v (and ``also``) -> y in allowed(v)": one for all values that share row, source and ``detail``.

        ``detail`` is what the sentence names beyond the values, so that values it differs for are not lumped.
        """
        groups: dict[tuple[Mask, Hashable, Hashable], list[int]] = {}
        for i, value in enumerate(x.values):
            mask = allowed(value)
            if mask is not None:
                row = about(value)[1]
                key = row and (row.evidence.get(evidence) or row.evidence.get("*"))
                groups.setdefault((mask, key, detail(value)), []).append(i)
        for (mask, _, _), indexes in groups.items():
            values = tuple(x.values[i] for i in indexes)
            fact, row = about(values[0])
            self.statements.append(Statement(axis or y.name, fact, row, evidence, values, say))
            when = ((x.index, sum(1 << i for i in indexes)), *((a.index, m) for a, m in also))
            self.rules.append(Rule(len(self.rules), when, (y.index, mask)))

    def always(self, y: Axis, mask: Mask, text: str, *, fact: str = "host") -> None:
        """A rule without a condition: something given."""
        self.statements.append(Statement(y.name, fact, None, "*", (), lambda _: text))
        self.rules.append(Rule(len(self.rules), (), (y.index, mask)))

    def reason(self, rule: Rule, alive: Sequence[Mask] | None = None) -> Reason:
        """The sentence of a rule, about the values still alive in the question."""
        statement = self.statements[rule.id]  # type: ignore[call-overload]
        values = statement.values
        if alive is not None and rule.when:
            axis = list(self.axes.values())[rule.when[0][0]]
            values = tuple(v for v in values if alive[axis.index] >> axis.values.index(v) & 1) or values
        text = statement.say(values)
        if statement.row is None:
            return Reason(
                axis=statement.axis, fact=statement.fact, text=text,
                source="this machine" if statement.fact == "host" else "the request", how="given",
            )  # fmt: skip
        found = self.facts.evidence(statement.row, statement.evidence_field)
        fact = statement.fact if len(values) == 1 or isinstance(values[0], str) else _fact_id(values)
        return Reason(
            axis=statement.axis, fact=fact, text=text, source=found.source, how=found.how,
            checked=found.checked.isoformat(),
        )  # fmt: skip


def _fact_id(values: Sequence[Any]) -> str:
    """An id for a fact about several builds: its first, which shares the row's source with the others."""
    first = values[0]
    return build_id(first) if isinstance(first, schema.Build) else str(getattr(first, "id", first))


def build_id(build: schema.Build) -> str:
    """'PACKAGE==VERSION'."""
    return f"{build.package}=={build.version}"


def matching(builds: Iterable[schema.Build], specifier: str) -> list[schema.Build]:
    """The builds whose version satisfies a PEP 440 specifier (pre-releases only when nothing else does)."""
    spec = SpecifierSet(specifier)
    found = [b for b in builds if spec.contains(Version(b.version), prereleases=True)]
    final = [b for b in found if not Version(b.version).is_prerelease]
    return final or found


def make_world(request: Request, host: Host, facts: Facts, frameworks: Sequence[str]) -> World:
    """The whole problem for these frameworks."""
    world = World(facts, request, host)
    for name in frameworks:
        builds = sorted(
            facts.framework(name).builds, key=lambda b: (Version(b.version), b.package == name), reverse=True
        )
        world.axis(f"framework:{name}", builds)
    newest_first = sorted(facts.pythons, key=version_key, reverse=True)
    world.axis("python", newest_first)
    names = {f"{b.package}=={b.version}" for n in frameworks for b in facts.framework(n).builds}
    images = [i for i in facts.images.values() if i.framework is None or i.framework in names]
    world.axis("image", images)
    world.axis("os", sorted(facts.systems.values(), key=lambda s: s.released, reverse=True))
    world.axis("device", ["gpu", "cpu"])
    world.axis("cuda", [*sorted(facts.toolkits, key=version_key, reverse=True), NO_CUDA])
    world.axis("cudnn", [*sorted(facts.cudnns, key=version_key, reverse=True), NO_CUDA])
    world.axis("cuda_source", [NO_CUDA, "image", "apt", "wheel"])
    world.axis("verdict", VERDICTS)
    floors = {t.driver_min for t in facts.toolkits.values()}
    drivers = sorted(floors | {host.driver}, key=version_key) if host.driver else [UNKNOWN_DRIVER]
    world.axis("driver", drivers)
    world.axis("cpu", ["this CPU"])
    for add in (_device_rules, _image_rules, _driver_rules, _library_rules):
        add(world)
    for name in frameworks:
        _build_rules(world, name)
        _gpu_code_rules(world, name)
        _pairing_rules(world, name, frameworks)
    return world


def _about_build(build: schema.Build) -> tuple[str, schema.Row]:
    return build_id(build), build


def _device_rules(world: World) -> None:
    axes = world.axes
    device, verdict = axes["device"], axes["verdict"]
    for name, nothing, both_ways in (
        ("cuda", NO_CUDA, True), ("cuda_source", NO_CUDA, True), ("verdict", CPU, True), ("cudnn", NO_CUDA, False),
    ):  # fmt: skip
        y = axes[name]
        without = y.only(nothing)
        # A GPU stack may lack cuDNN (wheels that link it in), never CUDA itself.
        with_cuda = y.mask(lambda v, nothing=nothing: v != nothing) if both_ways else None
        world.relate(
            device, y, lambda v, without=without, with_cuda=with_cuda: without if v == "cpu" else with_cuda,
            lambda vs: "a CPU stack has no CUDA" if vs[0] == "cpu" else "a GPU stack needs CUDA",
            about=lambda v: ("device", None),
        )  # fmt: skip
    offered = "only stacks that are known to run are offered"
    world.always(verdict, verdict.only(CPU, "native", "jit"), offered, fact="policy")
    if not world.host.gpus:
        none = "--gpu none" if world.request.gpu == ("none",) else "no NVIDIA GPU was found on this machine"
        world.always(device, device.only("cpu"), none)


def _image_rules(world: World) -> None:
    axes = world.axes
    image, os_, python, device = axes["image"], axes["os"], axes["python"], axes["device"]

    def about(i: schema.Image) -> tuple[str, schema.Row]:
        return i.id, i

    def pythons(i: schema.Image) -> Mask:
        if i.python:
            return python.only(".".join(i.python.split(".")[:2]))
        return python.only(*(p.version for p in world.facts.systems[i.os].pythons))

    world.relate(
        image, os_, lambda i: os_.mask(lambda s: s.name == i.os),
        lambda vs: f"{listed(i.reference for i in vs)} is {vs[0].os}", about=about, evidence="os",
    )  # fmt: skip
    world.relate(
        image, python, pythons,
        lambda vs: f"{listed(i.reference for i in vs)} brings Python "
        + listed(p for p in python.values if pythons(vs[0]) & python.only(p)),
        about=about, evidence="python",
    )  # fmt: skip
    world.relate(
        image, device, lambda i: device.only("gpu") if i.cuda else None,
        lambda vs: f"{listed(i.id for i in vs)} is for GPU stacks", about=about, evidence="cuda",
    )  # fmt: skip
    for name in ("cuda", "cudnn", "cuda_source"):
        y = axes[name]
        plain = y.only(NO_CUDA, "wheel") if name == "cuda_source" else None
        world.relate(
            image, y,
            lambda i, y=y, name=name, plain=plain: plain if not i.cuda else y.only(getattr(i, name) or NO_CUDA),
            lambda vs, name=name: f"{listed(i.id for i in vs)} "
            + (f"holds {name.replace('_', ' ')} {getattr(vs[0], name)}" if vs[0].cuda else "holds no CUDA"),
            about=about, evidence=name,
        )  # fmt: skip
    for name, axis in list(axes.items()):
        if name.startswith("framework:"):
            world.relate(
                image, axis,
                lambda i, axis=axis: axis.mask(lambda b: build_id(b) == i.framework) if i.framework else None,
                lambda vs: f"{listed(i.reference for i in vs)} is itself {vs[0].framework}",
                about=about, evidence="framework",
            )  # fmt: skip


def _driver_rules(world: World) -> None:
    if world.host.driver is None or not world.host.gpus:
        return
    cuda, driver, device = world.axes["cuda"], world.axes["driver"], world.axes["device"]
    gpu_only = ((device, device.only("gpu")),)
    toolkits = world.facts.toolkits

    def new_enough(version: str) -> Mask | None:
        if version == NO_CUDA:
            return None
        return driver.mask(lambda d: version_key(d) >= version_key(toolkits[version].driver_min))

    world.relate(
        cuda, driver, new_enough,
        lambda vs: f"CUDA {listed(vs)} needs driver {toolkits[vs[0]].driver_min} or newer",
        about=lambda v: (f"cuda {v}", toolkits.get(v)), evidence="driver_min", also=gpu_only,
    )  # fmt: skip
    by_capability = {a.compute_capability: a for a in world.facts.architectures}
    for gpu in world.host.gpus:
        row = by_capability.get(gpu.compute_capability)
        if row is None or row.driver_branch_last is None:
            continue
        last = row.driver_branch_last
        world.relate(
            device, driver,
            lambda d, last=last: driver.mask(lambda v: version_key(v)[0] <= int(last)) if d == "gpu" else None,
            lambda _, gpu=gpu, last=last: f"branch {last} is the last driver that supports the {gpu.name} "
            f"({gpu.compute_capability})",
            about=lambda _, row=row: (f"architecture {row.compute_capability}", row),
            evidence="driver_branch_last",
        )  # fmt: skip


def _library_rules(world: World) -> None:
    """CUDA's own libraries are checks of their own: cuBLAS with the toolkit, cuDNN with its release."""
    device, verdict, source = world.axes["device"], world.axes["verdict"], world.axes["cuda_source"]
    also = ((device, device.only("gpu")), (source, source.only("image", "apt")))
    for name, label, table in (("cuda", "cuBLAS of CUDA", world.facts.toolkits), ("cudnn", "cuDNN", world.facts.cudnns)):
        axis = world.axes[name]

        def judge(version: str, table: Any = table, name: str = name) -> Mask | None:
            row = table.get(version)
            if row is None:
                return None
            found = worst(on_gpu(g.compute_capability, row.sass, row.ptx, row.ptx_share) for g in world.host.gpus)
            if found == "unknown" and row.ptx is None:
                # Not measured: it cannot make a stack native, and is said as a warning where JIT is accepted.
                world.unmeasured[name, version] = row.version
                found = "jit"
            return at_least(verdict, found)

        world.relate(
            axis, verdict, judge,
            lambda vs, label=label, table=table, name=name: _library_text(world, label, name, vs, table),
            about=lambda v, table=table, name=name: (f"{name} {v}", table.get(v)), evidence="sass", also=also,
        )  # fmt: skip


def _library_text(world: World, label: str, name: str, versions: Sequence[str], table: Any) -> str:
    row = table[versions[0]]
    gpus = listed(f"{g.name} ({g.compute_capability})" for g in world.host.gpus)
    text = f"{label} {listed(versions)} holds machine code up to {row.sass[-1] if row.sass else 'nothing'}"
    if (name, versions[0]) in world.unmeasured:
        return f"{text}; whether it has PTX for the {gpus} is not measured"
    found = worst(on_gpu(g.compute_capability, row.sass, row.ptx, row.ptx_share) for g in world.host.gpus)
    if found == "native":
        return f"{text}, which the {gpus} runs"
    share = f" in {row.ptx_share:.0%} of its modules" if row.ptx_share is not None else ""
    return f"{text}, and PTX up to {row.ptx[-1] if row.ptx else 'nothing'}{share}, on the {gpus}"


def at_least(verdict: Axis, found: str) -> Mask:
    """The verdicts no safer than ``found``: the worst check decides."""
    rank = VERDICTS.index(found)
    return verdict.mask(lambda v: VERDICTS.index(v) >= rank)


def _build_rules(world: World, name: str) -> None:
    axes = world.axes
    fw, python, device, os_ = axes[f"framework:{name}"], axes["python"], axes["device"], axes["os"]
    gpu_only = ((device, device.only("gpu")),)
    world.relate(
        fw, python, lambda b: python.only(*b.pythons),
        lambda vs: f"{builds_named(vs)} exists for Python {listed(sorted(vs[0].pythons, key=version_key))}",
        about=_about_build, evidence="pythons", detail=lambda b: tuple(b.pythons),
    )  # fmt: skip
    world.relate(
        fw, device, lambda b: device.only(*b.devices) if len(b.devices) == 1 else None,
        lambda vs: f"{builds_named(vs)} is a {vs[0].devices[0].upper()} build", about=_about_build, evidence="devices",
    )  # fmt: skip
    world.relate(
        fw, os_,
        lambda b: os_.mask(lambda s: _libc_serves(b, s)) if b.glibc or b.glibcxx else None,
        lambda vs: f"{builds_named(vs)} needs glibc {vs[0].glibc or '?'}"
        + (f" and GLIBCXX {vs[0].glibcxx}" if vs[0].glibcxx else "") + " or newer",
        about=_about_build, evidence="glibc", detail=lambda b: (b.glibc, b.glibcxx),
    )  # fmt: skip
    if world.host.cpu_flags:
        cpu = axes["cpu"]
        world.relate(
            fw, cpu, lambda b: 0 if set(b.cpu) - set(world.host.cpu_flags) else None,
            lambda vs: f"{builds_named(vs)} needs the CPU instructions {listed(vs[0].cpu)}, which this CPU lacks",
            about=_about_build, evidence="cpu", axis="cpu",
        )  # fmt: skip
    _cuda_rules(world, fw, gpu_only)


def _libc_serves(build: schema.Build, system: schema.System) -> bool:
    if build.glibc and version_key(system.glibc) < version_key(build.glibc):
        return False
    return not (build.glibcxx and system.glibcxx and version_key(system.glibcxx) < version_key(build.glibcxx))


def _cuda_rules(world: World, fw: Axis, gpu_only: tuple[tuple[Axis, Mask], ...]) -> None:
    cuda, cudnn, source = world.axes["cuda"], world.axes["cudnn"], world.axes["cuda_source"]
    brings = {"system": source.only("image", "apt"), "wheel": source.only("wheel"), "image": source.only("image")}
    words = {"system": "takes CUDA from the system", "wheel": "brings its own CUDA", "image": "comes with its image"}
    world.relate(
        fw, cuda, lambda b: cuda.only(b.cuda) if b.cuda else None,
        lambda vs: f"{builds_named(vs)} needs CUDA {vs[0].cuda}", about=_about_build, evidence="cuda", also=gpu_only,
    )  # fmt: skip
    world.relate(
        fw, source, lambda b: brings[b.cuda_source] if b.cuda_source else None,
        lambda vs: f"{builds_named(vs)} {words[vs[0].cuda_source]}", about=_about_build, evidence="cuda_source",
        also=gpu_only,
    )  # fmt: skip

    def right_cudnn(build: schema.Build) -> Mask | None:
        if not build.cudnn or build.cuda_source != "system":
            return None
        wanted = version_key(build.cudnn)[:2]
        same_minor = build.cudnn_rule == "same-minor"
        return cudnn.mask(
            lambda v: v != NO_CUDA and version_key(v)[0] == wanted[0]
            and (version_key(v)[:2] == wanted if same_minor else version_key(v)[:2] >= wanted)
        )  # fmt: skip

    world.relate(
        fw, cudnn, right_cudnn,
        lambda vs: f"{builds_named(vs)} needs cuDNN {vs[0].cudnn}"
        + ("" if vs[0].cudnn_rule == "same-minor" else " or a newer minor of it"),
        about=_about_build, evidence="cudnn", also=gpu_only, detail=lambda b: (b.cudnn, b.cudnn_rule),
    )  # fmt: skip
    image = world.axes["image"]
    world.relate(
        fw, image, lambda b: image.mask(lambda i: i.framework == build_id(b)) if b.cuda_source == "image" else None,
        lambda vs: f"{builds_named(vs)} exists as an image only", about=_about_build, evidence="cuda_source",
    )  # fmt: skip


def gpu_verdict(world: World, name: str, build: schema.Build) -> str | None:
    """The framework's own kernels on every GPU of the host, known reports included; None: it has no GPU code."""
    if build.cuda_source is None:
        return None
    found = [on_gpu(g.compute_capability, build.sass, build.ptx) for g in world.host.gpus]
    return worst([*found, *(r.verdict for r in reports_for(world, name, build))])


def reports_for(world: World, name: str, build: schema.Build) -> list[schema.Report]:
    """Known-wrong reports that fit this build on one of the host's GPUs."""
    return [
        r for r in world.facts.framework(name).reports
        if build.package in r.packages and SpecifierSet(r.versions).contains(Version(build.version), prereleases=True)
        and any(SpecifierSet(r.compute_capabilities).contains(g.compute_capability) for g in world.host.gpus)
    ]  # fmt: skip


def _gpu_code_rules(world: World, name: str) -> None:
    fw, device, verdict = (world.axes[a] for a in (f"framework:{name}", "device", "verdict"))
    gpu_only = ((device, device.only("gpu")),)

    def kernels(build: schema.Build) -> Mask | None:
        if build.cuda_source is None:
            return None
        return at_least(
            verdict, worst(on_gpu(g.compute_capability, build.sass, build.ptx) for g in world.host.gpus)
        )

    def code(builds: Sequence[schema.Build]) -> str:
        b = builds[0]
        gpus = listed(f"{g.name} ({g.compute_capability})" for g in world.host.gpus)
        if b.sass is None:
            return f"what GPU code {builds_named(builds)} holds is not known"
        text = f"{builds_named(builds)} holds machine code for {listed(b.sass) or 'no GPU'}"
        found = worst(on_gpu(g.compute_capability, b.sass, b.ptx) for g in world.host.gpus)
        ptx = "no PTX" if b.ptx == () else f"PTX up to {b.ptx[-1]}" if b.ptx else "PTX that is not known"
        return {
            "native": f"{text}, which the {gpus} runs",
            "jit": f"{text}, not for the {gpus}; the driver can compile its {ptx} at first start (JIT)",
        }.get(found, f"{text} and {ptx}: nothing for the {gpus}")

    world.relate(
        fw, verdict, kernels, code, about=_about_build, evidence="sass", also=gpu_only, detail=lambda b: (b.sass, b.ptx)
    )
    for report in world.facts.framework(name).reports:
        world.relate(
            fw, verdict,
            lambda b, report=report: at_least(verdict, report.verdict) if report in reports_for(world, name, b) else None,
            lambda vs, report=report: report.text, about=lambda _, report=report: (report.id, report), also=gpu_only,
        )  # fmt: skip


def _pairing_rules(world: World, name: str, frameworks: Sequence[str]) -> None:
    """A front end works with some releases of a back end; with one of the back ends that are there."""
    pairings = [p for p in world.facts.framework(name).pairings if p.kind == "backend"]
    others = [o for o in frameworks if any(p.other == o for p in pairings)]
    if not others:
        return
    fw = world.axes[f"framework:{name}"]
    backend = world.axis(f"backend:{name}", others)
    for other in others:
        target = world.axes[f"framework:{other}"]
        rows = [p for p in pairings if p.other == other]

        def fits(build: schema.Build, rows: Any = rows, target: Axis = target) -> Mask:
            mine = [p for p in rows if SpecifierSet(p.versions).contains(build.version, prereleases=True)]
            return target.mask(
                lambda b: any(SpecifierSet(p.other_versions).contains(b.version, prereleases=True) for p in mine)
            )

        def source(build: schema.Build, rows: Any = rows) -> tuple[str, schema.Row | None]:
            mine = [p for p in rows if SpecifierSet(p.versions).contains(build.version, prereleases=True)]
            return f"pairing {name} {build.version} {rows[0].other}", (mine or rows)[0]

        def text(builds: Sequence[schema.Build], rows: Any = rows, other: str = other) -> str:
            mine = [p for p in rows if SpecifierSet(p.versions).contains(builds[0].version, prereleases=True)]
            wanted = listed(f"{other} {p.other_versions}" for p in mine)
            return f"{builds_named(builds)} works with {wanted}" if mine else f"{builds_named(builds)} does not work with {other}"

        also = ((backend, backend.only(other)),)
        world.relate(fw, target, fits, text, about=source, axis=other, also=also)
