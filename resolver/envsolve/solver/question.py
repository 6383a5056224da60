"""A request on a host as a question: its wishes, its best answer, why not, and what would help. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import cached_property

from envsolve import facts as schema
from envsolve.commands import command_line
from envsolve.errors import UsageError
from envsolve.matrices import Facts
from envsolve.models import Conflict, Core, Host, Request, Solution, Stack, Unmet
from envsolve.solver.alternatives import alternatives
from envsolve.solver.finite import Answer, Problem, Rule, Wish
from envsolve.solver.framework_rules import add_framework_rules
from envsolve.solver.platform_rules import add_platform_rules
from envsolve.solver.ranking import Level, levels, preferred_package
from envsolve.solver.stack import make_stack
from envsolve.solver.summary_rules import add_framework_summaries, add_summary_rules
from envsolve.solver.whynot import why_not
from envsolve.solver.world import CPU, World, build_id, covers, empty_world, matching, minor, parsed, version_key


@dataclass
class Question:
    """One request on one host: the problem it makes, and the answers and reasons it has."""

    request: Request
    host: Host
    facts: Facts
    proved: dict[tuple[frozenset[Wish], frozenset[int]], list[Rule]] = field(default_factory=dict, repr=False)
    """Proofs found before: wishes, and rules left out -> rules."""

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
        add_summary_rules(world)
        for name in self.frameworks:
            add_framework_rules(world, name, self.frameworks)
            before = len(world.rules)
            add_framework_summaries(world, name)
            world.of_builds.update(range(before, len(world.rules)))
        return world

    @cached_property
    def preferences(self) -> dict[str, Level]:
        """What decides between stacks that all work, in words, most important first."""
        packages = {n: preferred_package(self.request, n) for n in self.frameworks}
        return levels(self.world, packages, self._eras())

    @cached_property
    def problem(self) -> Problem:
        """The world as constraints, with the order of preference."""
        return self.world.problem(list(self.preferences.values()))

    def _eras(self) -> dict[str, date]:
        """The day of the named releases, for each back end that was not asked for."""
        asked = {t.name for t in self.request.targets}
        named = [
            b.released
            for name in self.frameworks
            if (specifier := self._specifier(name))
            for b in matching(self.facts.framework(name).builds, specifier)
            if b.released is not None
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
            found.append(self.gpu_wish)
        if self.request.backend == "local":
            found += self._local_wishes()
        return found

    @property
    def gpu_wish(self) -> Wish:
        """That the stack uses the GPU."""
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
            found.append(Wish(f"as_of:{name}", axis.index, axis.nothing | axis.mask(lambda b: b.released_by(day))))
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
            cores, ways = why_not(self, self.wishes)
            return Solution(
                request=self.request,
                host=self.host,
                status="conflict",
                conflict=Conflict(core=_flat(cores), cores=cores, relaxations=ways),
            )
        chosen = self.stack(found, self.request)
        return Solution(
            request=self.request, host=self.host, status="solved", chosen=chosen,
            alternatives=alternatives(self, found, chosen), unmet=tuple(self._unmet(chosen)),
        )  # fmt: skip

    def stack(self, found: Answer, request: Request) -> Stack:
        """An answer as a stack, whose command is that of ``request``."""
        return make_stack(self.world, self.frameworks, found, command_line(request))

    def _unmet(self, chosen: Stack) -> list[Unmet]:
        """The GPU that was there to use and is not used: why, and what would use it."""
        if not self.host.gpus or chosen.device == "gpu":
            return []
        cores, ways = why_not(self, [*self.wishes, self.gpu_wish])
        on_gpu = tuple(way for way in ways if way.gives.device == "gpu")
        return [Unmet(wish="gpu", core=_flat(cores), cores=cores, relaxations=on_gpu)]


def _flat(cores: Sequence[Core]) -> Core:
    return tuple(dict.fromkeys(reason for core in cores for reason in core))
