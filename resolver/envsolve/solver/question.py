"""A request on a host as a question: its wishes, its best answer, why not, and what would help. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cached_property

from envsolve import facts as schema
from envsolve.commands import accepting, command_line
from envsolve.errors import UsageError
from envsolve.matrices import Facts
from envsolve.models import Conflict, Host, Reason, Relaxation, Request, Solution, Stack, Unmet
from envsolve.solver.finite import Answer, Problem, Rule, Wish
from envsolve.solver.framework_rules import add_framework_rules
from envsolve.solver.platform_rules import add_platform_rules
from envsolve.solver.ranking import distance, levels, preferred_package
from envsolve.solver.stack import make_stack
from envsolve.solver.world import (
    CPU,
    SOURCES,
    World,
    build_id,
    covers,
    empty_world,
    matching,
    minor,
    parsed,
    version_key,
)

LEAST_CHANGE = ("exact", "native", "as_of", "os", "python", "gpu", "local", "driver", "version")
"""Kinds of wish from the cheapest to give up to the dearest."""


@dataclass
class Question:
    """One request on one host: the problem it makes, and the answers and reasons it has."""

    request: Request
    host: Host
    facts: Facts

    @cached_property
    def frameworks(self) -> list[str]:
        """Those asked for, and a back end where a front end needs one and none was named."""
        names = list(dict.fromkeys(t.name for t in self.request.targets if t.framework))
        for name in list(names):
            row = self.facts.framework(name)
            backends = {p.other for p in row.pairings if p.kind == "backend"}
            if backends and not backends & set(names):
                names.append(self._default_backend(row))
        return [*names, *self._gpu_backends(names)]

    def _gpu_backends(self, names: Sequence[str]) -> list[str]:
        """What those need on a GPU and not on the CPU, where there is a GPU and nobody named it."""
        needed = [other for name in names for other in self.facts.framework(name).gpu_backends.values()]
        return [other for other in dict.fromkeys(needed) if self.host.gpus and other not in names]

    @property
    def optional(self) -> frozenset[str]:
        """The frameworks that a stack may be without."""
        named = {t.name for t in self.request.targets}
        rows = (self.facts.framework(name) for name in self.frameworks)
        return frozenset({other for row in rows for other in row.gpu_backends.values()} - named)

    def _default_backend(self, row: schema.Framework) -> str:
        wanted = matching(row.builds, self._specifier(row.name)) or list(row.builds)
        newest = max(wanted, key=lambda b: parsed(b.version))
        for versions, backend in row.default_backends.items():
            if covers(versions, newest.version):
                return backend
        return next(p.other for p in row.pairings if p.kind == "backend")

    def _specifier(self, framework: str) -> str:
        return ",".join(t.specifier for t in self.request.targets if t.name == framework and t.specifier)

    @cached_property
    def world(self) -> World:
        """The axes and rules that the question is about."""
        world = empty_world(self.request, self.host, self.facts, self.frameworks, self.optional)
        add_platform_rules(world)
        for name in self.frameworks:
            add_framework_rules(world, name, self.frameworks)
        return world

    @cached_property
    def problem(self) -> Problem:
        """The world as constraints, with the order of preference."""
        packages = {n: preferred_package(self.request, n) for n in self.frameworks}
        return self.world.problem(levels(self.world, packages, self._eras()))

    def _eras(self) -> dict[str, date]:
        """The day of the named releases, for each back end that was not asked for."""
        asked = {t.name for t in self.request.targets}
        named = [
            b.released
            for name in self.frameworks
            if (specifier := self._specifier(name))
            for b in matching(self.facts.framework(name).builds, specifier)
        ]
        return {name: max(named) for name in self.frameworks if named and name not in asked}

    # -- wishes ----------------------------------------------------------------------------------------------

    @cached_property
    def wishes(self) -> list[Wish]:
        """What the user asked for, each as one restriction that could be taken back."""
        axes = self.world.axes
        found = [w for name in self.frameworks for w in self._framework_wishes(name)]
        if "jit" not in self.request.accept:
            verdict = axes["verdict"]
            found.append(Wish("native", verdict.index, verdict.only(CPU, "native")))
        if self.request.python:
            python = axes["python"]
            wanted = minor(self.request.python)
            self._known("Python", wanted, python.values)
            found.append(Wish("python", python.index, python.only(wanted)))
        if self.request.os:
            os_ = axes["os"]
            self._known("OS", self.request.os, [s.name for s in os_.values])
            found.append(Wish("os", os_.index, os_.mask(lambda s: s.name == self.request.os)))
        if self.host.driver:
            driver = axes["driver"]
            found.append(Wish("driver", driver.index, driver.only(self.host.driver)))
        if self.request.require_gpu:
            found.append(self._gpu_wish)
        if self.request.backend == "local":
            found += self._local_wishes()
        return found

    @property
    def _gpu_wish(self) -> Wish:
        device = self.world.axes["device"]
        return Wish("gpu", device.index, device.only("gpu"))

    def _framework_wishes(self, name: str) -> list[Wish]:
        axis = self.world.axes[f"framework:{name}"]
        row = self.facts.framework(name)
        specifier = self._specifier(name)
        found = []
        if specifier:
            exact = {build_id(b) for b in matching(row.builds, specifier)}
            versions = [b.version for b in row.builds if build_id(b) in exact]
            stand_ins = {
                s.build for s in row.substitutes
                if any(covers(s.versions, v) for v in versions)
            }  # fmt: skip
            allowed = axis.mask(lambda b: build_id(b) in exact | stand_ins)
            found.append(Wish(f"version:{name}", axis.index, allowed))
        if row.substitutes and "substitute" not in self.request.accept:
            declared = {s.build for s in row.substitutes}
            found.append(Wish(f"exact:{name}", axis.index, axis.mask(lambda b: build_id(b) not in declared)))
        if self.request.as_of:
            day = self.request.as_of
            found.append(Wish(f"as_of:{name}", axis.index, axis.nothing | axis.mask(lambda b: b.released <= day)))
        return found

    def _local_wishes(self) -> list[Wish]:
        """The local prefix has this machine's Pythons and C library, and no CUDA but what wheels bring."""
        python, source, os_ = (self.world.axes[a] for a in ("python", "cuda_source", "os"))
        rows = self.facts.pythons
        minors = {i: minor(i.version) for i in self.host.interpreters}
        # Wheels are for the usual ABI: a narrow 2.7 or a free-threaded build cannot take them.
        here = {python_ for i, python_ in minors.items() if python_ in rows and rows[python_].abi == i.abi}
        found = [
            Wish("local", python.index, python.only(*here)),
            Wish("local", source.index, source.only("none", "wheel")),
        ]
        if self.host.glibc:
            ours = version_key(self.host.glibc)
            found.append(Wish("local", os_.index, os_.mask(lambda s: version_key(s.glibc) <= ours)))
        return found

    @staticmethod
    def _known(what: str, wanted: str, known: Sequence[str]) -> None:
        if wanted not in known:
            near = get_close_matches(wanted, known, n=3)
            raise UsageError(
                f"{what} {wanted} is not in the database", code=f"unknown-{what.lower()}",
                hints=(f"envsolve matrix list {'systems' if what == 'OS' else 'pythons'}",),
                facts=(f"near it: {', '.join(near)}" if near else f"known: {', '.join(known)}",),
            )  # fmt: skip

    # -- answers ---------------------------------------------------------------------------------------------

    def solution(self) -> Solution:
        """The best stack with alternatives, or the conflict with ways out."""
        found = self.problem.best(self.wishes)
        if found is None:
            core, ways = self._why_not(self.wishes)
            return Solution(
                request=self.request,
                host=self.host,
                status="conflict",
                conflict=Conflict(core=core, relaxations=ways),
            )
        chosen = self._stack(found, self.request)
        return Solution(
            request=self.request, host=self.host, status="solved", chosen=chosen,
            alternatives=tuple(self._alternatives(found)), unmet=tuple(self._unmet(chosen)),
        )  # fmt: skip

    def _stack(self, found: Answer, request: Request) -> Stack:
        return make_stack(self.world, self.frameworks, found, command_line(request))

    def _unmet(self, chosen: Stack) -> list[Unmet]:
        """The GPU that was there to use and is not used: why, and what would use it."""
        if not self.host.gpus or chosen.device == "gpu":
            return []
        core, ways = self._why_not([*self.wishes, self._gpu_wish])
        return [Unmet(wish="gpu", core=core, relaxations=tuple(w for w in ways if w.gives.device == "gpu"))]

    def _alternatives(self, found: Answer) -> list[Stack]:
        """The best stack that differs on one axis a person may care about: the device, the Python."""
        stacks = []
        device = self.world.axes["device"]
        if found.values[device.index] == device.values.index("gpu"):
            on_cpu = self.problem.best([*self.wishes, Wish("device", device.index, device.only("cpu"))])
            if on_cpu is not None:
                without = self.request.model_copy(update={"gpu": ("none",), "require_gpu": False})
                stacks.append(self._stack(on_cpu, without))
        python = self.world.axes["python"]
        others = ((1 << len(python.values)) - 1) & ~(1 << found.values[python.index])
        other = self.problem.best([*self.wishes, Wish("python", python.index, others)])
        if other is not None:
            picked = python.values[other.values[python.index]]
            stacks.append(self._stack(other, self.request.model_copy(update={"python": picked})))
        return stacks

    # -- why not ---------------------------------------------------------------------------------------------

    def _why_not(self, wishes: Sequence[Wish]) -> tuple[tuple[Reason, ...], tuple[Relaxation, ...]]:
        drops = self.problem.relaxations(_cheapest_first(wishes))
        ways = [way for drop in drops if drop and (way := self._relaxation(wishes, drop))]
        conflicts = self.problem.conflicts(wishes, drops) if drops else [tuple(wishes)]
        reasons: list[Reason] = []
        for conflict in conflicts:
            reasons += self._proof(conflict, wishes)
        unique = tuple(dict.fromkeys(reasons))
        return unique, tuple(ways)

    def _proof(self, conflict: Sequence[Wish], wishes: Sequence[Wish]) -> list[Reason]:
        """Why these wishes clash, said of the releases that were asked for even where no other would do either.

        What may stand in for a release is left out of the sentences unless its exclusion is part of the clash.
        """
        others = [w for w in wishes if w.name.startswith(("version:", "exact:")) and w not in conflict]
        about = [*conflict, *others]
        rules = self.problem.prove(about, self._plainness)
        for wish in (*conflict, *others):
            rest = [w for w in about if w is not wish]
            if not self.problem.feasible(rest, rules):
                about = rest
        alive = self.problem.full
        for wish in about:
            alive[wish.variable] &= wish.mask
        said = [w for w in about if w in conflict or not w.name.startswith("exact:")]
        return [*map(self._wish_reason, said), *(self.world.reason(rule, alive) for rule in rules)]

    def _plainness(self, rule: Rule) -> int:
        """Given facts and measured ones make better sentences than reported ones."""
        return {"given": 3, "verified": 3, "measured": 2, "documented": 1}.get(self.world.how(rule), 0)

    def _relaxation(self, wishes: Sequence[Wish], drop: Sequence[Wish]) -> Relaxation | None:
        rest = [w for w in wishes if w not in drop]
        near = [distance(self.world, w) for w in drop if w.name.startswith("version:") or w.name == "driver"]
        found = self.problem.best(rest, near)
        if found is None:
            return None
        request, changes = self.request, []
        for wish in drop:
            request, change = self._without(request, wish, found)
            changes.append(change)
        return Relaxation(
            change=" and ".join(changes), command=command_line(request), gives=self._stack(found, request)
        )

    def _without(self, request: Request, wish: Wish, found: Answer) -> tuple[Request, str]:
        """The request with one wish changed to what was found, and the change in words."""
        kind, _, name = wish.name.partition(":")
        value = self.world.axes[kind].values[found.values[wish.variable]] if kind in self.world.axes else None
        if kind == "version":
            build = self.world.axes[f"framework:{name}"].values[found.values[wish.variable]]
            pin = f"{name}=={build.version}"
            targets = tuple(
                t.model_copy(update={"text": pin, "specifier": f"=={build.version}"}) if t.name == name else t
                for t in request.targets
            )
            return request.model_copy(update={"targets": targets}), f"{name} {build.version} instead"
        if kind == "native":
            return accepting(request, "jit"), "accept JIT: slow first start, numbers unverified"
        if kind == "exact":
            return accepting(request, "substitute"), f"accept a substitute for {name}"
        update: dict[str, object]
        if kind == "gpu":
            update, text = {"require_gpu": False}, "run on the CPU"
        elif kind == "driver":
            update, text = {"driver": value}, f"driver {value} or newer"
        elif kind == "local":
            update, text = {"backend": "auto"}, "use a container engine"
        elif kind == "as_of":
            update, text = {"as_of": None}, "let envsolve choose the date"
        else:
            shown = getattr(value, "name", value)
            update, text = {kind: shown}, f"{'Python' if kind == 'python' else 'OS'} {shown}"
        return request.model_copy(update=update), text

    def _wish_reason(self, wish: Wish) -> Reason:
        kind, _, name = wish.name.partition(":")
        asked = " ".join(t.text for t in self.request.targets if t.name == name)
        text = {
            "version": f"you asked for {asked}" if asked else f"{name} is the back end",
            "native": "a stack that needs JIT is used only with --accept jit",
            "exact": f"a substitute for {name} is used only with --accept substitute",
            "python": f"you asked for --python {self.request.python}",
            "os": f"you asked for --os {self.request.os}",
            "gpu": "you asked for --require-gpu" if self.request.require_gpu else "the GPU is to be used",
            "as_of": f"you asked for --as-of {self.request.as_of}",
            "local": "--backend local has this machine's Pythons and C library, and no CUDA of its own",
            "driver": f"the driver is {self.host.driver}",
        }[kind]
        fact = "host" if kind == "driver" else "request"
        return Reason(axis=name or kind, fact=fact, text=text, source=SOURCES[fact], how="given")


def _cheapest_first(wishes: Sequence[Wish]) -> list[Wish]:
    """Wishes ordered from the cheapest to give up."""
    return sorted(wishes, key=lambda w: LEAST_CHANGE.index(w.name.partition(":")[0]))
