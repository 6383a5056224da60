"""What is to change -> a command that was tried: its request is solved, and locked when the index answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envsolve.attempt.findings import Change
from envsolve.commands import command_line
from envsolve.errors import EnvsolveError, NotReadyError, UsageError
from envsolve.matrices import Facts
from envsolve.models import Host, Lock, Request, Solution, Stack

if TYPE_CHECKING:
    from envsolve.attempt.code import OwnCode

Checked = Literal["locked", "solved"]

_SERIES, _PYTHONS, _SOLVES, _LOCKS = 6, 3, 16, 3
"""How many releases, Pythons, solver runs and locks are tried for one change."""


@dataclass(frozen=True)
class Proposal:
    """A command that makes the folder anew. ``checked``: how far it was tried."""

    request: Request
    command: str
    stack: Stack
    checked: Checked
    from_source: tuple[str, ...] = ()
    """Packages that the new lock builds from source and the old one does not: where a build may fail."""
    gives_up: tuple[str, ...] = ()
    """What of the lock's own request it leaves out or replaces."""

    @property
    def gives(self) -> str:
        """The stack in a line."""
        names = " · ".join(f"{f.name} {f.version}" for f in self.stack.frameworks)
        return f"{names} · Python {self.stack.python}"


@dataclass
class Proposer:
    """Finds the request nearest to a lock's own that meets a change."""

    lock: Lock
    facts: Facts
    folder: Path
    engine: str
    code: OwnCode
    offline: bool = False
    _hosts: dict[str, Host] = field(default_factory=dict)

    def propose(self, change: Change) -> Proposal | None:
        """The first of the nearest requests that solves, and locks; None when none of those tried does."""
        solves = locks = 0
        tried: set[str] = set()
        for request in self._candidates(change):
            command = self.command(request)
            if command in tried:
                continue
            tried.add(command)
            solves += 1
            if solves > _SOLVES or locks >= _LOCKS:
                break
            solution = self._solved(request)
            if solution is None or solution.chosen is None or not self._meets(solution.chosen, change):
                continue
            locks += 1
            proposal = self._locked(request, solution, solution.chosen)
            if proposal is not None:
                return proposal
        return None

    def of_request(self, request: Request) -> Proposal | None:
        """A request that something else proposes, tried."""
        solution = self._solved(request)
        if solution is None or solution.chosen is None:
            return None
        return self._locked(request, solution, solution.chosen)

    def command(self, request: Request) -> str:
        """The whole command line: it writes the same folder, and builds it."""
        import shlex

        return f"{command_line(request)} -o {shlex.quote(str(self.folder))} --build"

    # -- trying --------------------------------------------------------------------------------------------------

    def _solved(self, request: Request) -> Solution | None:
        """As the command line would: its words read again."""
        from envsolve.host import probe
        from envsolve.request import build_request
        from envsolve.solver import solve

        try:
            read = build_request(
                [target.text for target in request.targets], self.facts, gpu=request.gpu,
                require_gpu=request.require_gpu, driver=request.driver, python=request.python, os=request.os,
                accept=request.accept, as_of=request.as_of, backend=request.backend,
            )  # fmt: skip
            if "host" not in self._hosts:
                self._hosts["host"] = probe(read, self.facts, interpreters=read.backend == "local")
            return solve(read, self._hosts["host"], self.facts)
        except (UsageError, NotReadyError):
            return None

    def _locked(self, request: Request, solution: Solution, stack: Stack) -> Proposal | None:
        """The proposal, with how far it was tried; None when the index has no files for it."""
        from envsolve.pipeline import prepare

        command, gives_up = self.command(request), self._gives_up(request)
        try:
            lock = prepare(solution, facts=self.facts, offline=self.offline).lock
        except NotReadyError:  # the index does not answer: that says nothing of the request
            return Proposal(request, command, stack, "solved", gives_up=gives_up)
        except EnvsolveError:
            return None
        built = {p.name for p in self.lock.packages if p.phase == "sdist"}
        new = (f"{p.name} {p.version}" for p in lock.packages if p.phase == "sdist" and p.name not in built)
        return Proposal(request, command, stack, "locked", tuple(new), gives_up)

    def _meets(self, stack: Stack, change: Change) -> bool:
        """Whether what was chosen is what the change asks for (a package that the lock adds is not seen here)."""
        if change.pythons is not None and stack.python not in change.pythons:
            return False
        mine = [f.version for f in stack.frameworks if f.name == change.package]
        return all(_within(version, change.ranges) for version in mine)

    # -- candidates ----------------------------------------------------------------------------------------------

    def _candidates(self, change: Change) -> Iterator[Request]:
        base = self.lock.request
        if self.engine != base.backend:
            base = base.model_copy(update={"backend": self.engine})
        for word in change.add:
            base = _with(base, word, _name(word))
        if change.package is not None:
            for word in self._releases(change):
                changed = _with(base, word, change.package)
                yield changed
                yield changed.model_copy(update={"python": None})
                yield self._loosened(changed, change.package).model_copy(update={"python": None})
        elif change.pythons is not None:
            yield from self._with_pythons(base, change.pythons)
        elif change.add:
            yield base
            yield base.model_copy(update={"python": None})

    def _with_pythons(self, base: Request, pythons: Sequence[str]) -> Iterator[Request]:
        """Another Python with the same releases; else with releases that it has and the code allows."""
        near = sorted(pythons, key=lambda p: abs(_order(p) - _order(self.lock.stack.python)))[:_PYTHONS]
        for python in near:
            yield base.model_copy(update={"python": python})
        for python in near:
            changed = base.model_copy(update={"python": python, "as_of": None})
            for choice in self.lock.stack.frameworks:
                ranges = tuple(spec for spec, _ in self.code.all_lacks(choice.name))
                for word in self._releases(Change(choice.name, ranges), python):
                    yield self._loosened(_with(changed, word, choice.name), choice.name)

    def _loosened(self, request: Request, but: str) -> Request:
        """The other frameworks at any release, and no date: they follow the one that changes."""
        targets = tuple(
            t.model_copy(update={"text": t.name, "specifier": ""}) if t.framework and t.name != but else t
            for t in request.targets
        )
        return request.model_copy(update={"targets": targets, "as_of": None})

    def _releases(self, change: Change, python: str | None = None) -> list[str]:
        """'NAME==RELEASE' of each series that is allowed, nearest to what the environment has first; of what is no
        framework, one word that allows them all.
        """
        name = change.package or ""
        if name not in self.facts.framework_names():
            return [name + ",".join(spec for spec in change.ranges if spec)]
        builds = [b for b in self.facts.framework(name).builds if b.origin == "index"]
        builds = [b for b in builds if python is None or python in b.pythons]
        versions = {b.version.partition("+")[0] for b in builds}
        fitting = sorted((v for v in versions if _stable(v) and _within(v, change.ranges)), key=Version)
        have = Version(self.code.have.get(name, "0"))
        below, above = [v for v in fitting if Version(v) < have], [v for v in fitting if Version(v) >= have]
        series: dict[tuple[int, int], str] = {}
        for version in [*reversed(below), *above]:
            parsed = Version(version)
            if parsed < have or (parsed.major, parsed.minor) not in series:
                series.setdefault((parsed.major, parsed.minor), version)
        return [f"{name}=={version}" for version in list(series.values())[:_SERIES]]

    def _gives_up(self, request: Request) -> tuple[str, ...]:
        """What the lock's request says and this one does not."""
        old, kept = self.lock.request, {t.text for t in request.targets}
        gone = [t.text for t in old.targets if t.text not in kept]
        gone += [f"--python {old.python}"] if old.python and old.python != request.python else []
        gone += [f"--as-of {old.as_of}"] if old.as_of and old.as_of != request.as_of else []
        return tuple(gone)


def _with(request: Request, word: str, name: str) -> Request:
    """The request with a word in place of what it says of that package, or at its end."""
    from envsolve.models import Target

    new = Target(text=word, name=name)
    if any(t.name == name for t in request.targets):
        targets: Iterable[Target] = (new if t.name == name else t for t in request.targets)
        return request.model_copy(update={"targets": tuple(dict.fromkeys(targets))})
    return request.model_copy(update={"targets": (*request.targets, new)})


def _name(word: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(word).name


def _within(version: str, ranges: Iterable[str]) -> bool:
    try:
        return all(SpecifierSet(spec).contains(version, prereleases=True) for spec in ranges if spec)
    except InvalidSpecifier:
        return False


def _stable(version: str) -> bool:
    return not Version(version).is_prerelease


def _order(python: str) -> int:
    major, _, minor = python.partition(".")
    return int(major) * 100 + int(minor or 0)
