"""A complete, deterministic resolver: PubGrub's conflict learning over finite sets of versions.

Every package has a finite, ordered list of versions and one more value: not installed (``None``). A *nogood*
says that some packages must not all lie in given sets at once; sets are bit masks. The search picks the first
version still possible; a conflict is resolved back to its cause and learned. It ends with an assignment that
breaks no nogood, or with a refutation whose leaves are the reasons given for the rules.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

V = TypeVar("V", bound=Hashable)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Term(Generic[V]):
    """A package taking one of ``values`` (``None``: not installed), or none of them when ``inside`` is false."""

    package: str
    values: frozenset[V | None]
    inside: bool = True


@dataclass(frozen=True, slots=True)
class Rule(Generic[V, R]):
    """The terms must not all hold at once. ``reason`` comes back when the rule takes part in a refutation."""

    terms: tuple[Term[V], ...]
    reason: R


class Provider(Protocol[V, R]):
    """The world: which versions there are, and which rules they bring."""

    def versions(self, package: str) -> Sequence[V]:
        """The package's versions, best first."""

    def introduce(self, package: str) -> Iterable[Rule[V, R]]:
        """Rules that hold from when a package first comes into view."""

    def rules(self, package: str, version: V) -> Iterable[Rule[V, R]]:
        """Rules that a version brings, asked for once, when it is taken for the first time."""


class UnsatisfiableError(Exception, Generic[R]):
    """No assignment exists. ``reasons``: those of the refutation's leaves, each once, in a fixed order."""

    def __init__(self, reasons: tuple[R, ...]) -> None:
        super().__init__(f"{len(reasons)} rules contradict each other")
        self.reasons = reasons


@dataclass(eq=False, slots=True)
class _Nogood(Generic[R]):
    terms: dict[str, int]
    reason: R | None = None
    parents: tuple[_Nogood[R], _Nogood[R]] | None = None


@dataclass(slots=True)
class _Step(Generic[R]):
    """One narrowing of one package: what was possible before, at which level, and because of what."""

    package: str
    before: int
    level: int
    cause: _Nogood[R] | None


@dataclass
class _Package(Generic[V, R]):
    name: str
    versions: Sequence[V]
    index: dict[V, int]
    order: int
    domain: int
    full: int
    absent: int
    expanded: set[int] = field(default_factory=set)
    nogoods: list[_Nogood[R]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)


class Resolver(Generic[V, R]):
    """One resolution over a provider. ``conflicts`` counts what was learned."""

    def __init__(self, provider: Provider[V, R]) -> None:
        self._provider = provider
        self._packages: dict[str, _Package[V, R]] = {}
        self._trail: list[_Step[R]] = []
        self._level = 0
        # Every nogood with the level at which it came: going below that level, it has to be looked at again.
        self._arrived: list[tuple[int, _Nogood[R]]] = []
        self._waiting: list[_Nogood[R]] = []
        self.conflicts = 0

    def solve(self, rules: Iterable[Rule[V, R]]) -> dict[str, V]:
        """An assignment: package -> version, of those that are installed.

        Raises UnsatisfiableError when there is none.
        """
        for rule in rules:
            self._add(rule)
        while True:
            conflict = self._propagate()
            if conflict is not None:
                self._learn(conflict)
            elif not self._decide():
                return self._answer()

    def _answer(self) -> dict[str, V]:
        return {
            name: package.versions[package.domain.bit_length() - 1]
            for name, package in self._packages.items()
            if not package.domain & package.absent
        }

    # -- the world ------------------------------------------------------------------------------------------

    def _know(self, name: str) -> _Package[V, R]:
        package = self._packages.get(name)
        if package is not None:
            return package
        versions = self._provider.versions(name)
        count = len(versions)
        package = _Package(
            name=name,
            versions=versions,
            index={version: i for i, version in enumerate(versions)},
            order=len(self._packages),
            domain=(1 << count + 1) - 1,
            full=(1 << count + 1) - 1,
            absent=1 << count,
        )
        self._packages[name] = package
        for rule in self._provider.introduce(name):
            self._add(rule)
        return package

    def _mask(self, term: Term[V]) -> int:
        package = self._know(term.package)
        mask = 0
        for value in term.values:
            if value is None:
                mask |= package.absent
            elif value in package.index:
                mask |= 1 << package.index[value]
        return mask if term.inside else package.full & ~mask

    def _add(self, rule: Rule[V, R]) -> None:
        terms: dict[str, int] = {}
        for term in rule.terms:
            mask = self._mask(term)
            terms[term.package] = terms.get(term.package, mask) & mask
        self._keep(_Nogood(self._proper(terms), reason=rule.reason))

    def _proper(self, terms: dict[str, int]) -> dict[str, int]:
        """Without the terms that always hold."""
        return {name: mask for name, mask in terms.items() if mask != self._packages[name].full}

    def _keep(self, nogood: _Nogood[R]) -> None:
        if not all(nogood.terms.values()):
            return  # a term that never holds: the nogood says nothing
        for name in nogood.terms:
            self._packages[name].nogoods.append(nogood)
        self._arrived.append((self._level, nogood))
        self._waiting.append(nogood)

    # -- propagation ----------------------------------------------------------------------------------------

    def _propagate(self) -> _Nogood[R] | None:
        """Narrow until nothing follows any more; a nogood that is broken, if there is one."""
        queue: list[str] = []
        while self._waiting or queue:
            batch = self._packages[queue.pop()].nogoods[::-1] if not self._waiting else self._waiting[::-1]
            if self._waiting:
                self._waiting.clear()
            for nogood in batch:
                if not self._look(nogood, queue):
                    self._waiting.clear()
                    return nogood
        return None

    def _look(self, nogood: _Nogood[R], queue: list[str]) -> bool:
        """Draw the conclusion of one nogood; False when it is broken."""
        undecided = None
        for name, mask in nogood.terms.items():
            domain = self._packages[name].domain
            if not domain & mask:
                return True
            if domain & ~mask:
                if undecided is not None:
                    return True
                undecided = name
        if undecided is None:
            return False
        self._narrow(undecided, self._packages[undecided].domain & ~nogood.terms[undecided], nogood)
        if undecided not in queue:
            queue.append(undecided)
        return True

    def _narrow(self, name: str, domain: int, cause: _Nogood[R] | None) -> None:
        package = self._packages[name]
        package.steps.append(len(self._trail))
        self._trail.append(_Step(name, package.domain, self._level, cause))
        package.domain = domain

    # -- decisions ------------------------------------------------------------------------------------------

    def _decide(self) -> bool:
        """Take one package further; False when all is decided."""
        best_key: tuple[bool, int] | None = None
        for package in self._packages.values():
            several = package.domain & (package.domain - 1) != 0
            if package.domain & package.absent or not (
                several or package.domain.bit_length() - 1 not in package.expanded
            ):
                continue
            # Forced ones first: what they bring may spare a guess.
            if best_key is None or (several, package.order) < best_key:
                best_key, chosen = (several, package.order), package
        if best_key is None:
            return False
        self._take(chosen)
        return True

    def _take(self, package: _Package[V, R]) -> None:
        """The best version still possible, and the rules it brings."""
        best = package.domain & -package.domain
        if package.domain != best:
            self._level += 1
            self._narrow(package.name, best, None)
            self._waiting += package.nogoods
        version = best.bit_length() - 1
        if version not in package.expanded:
            package.expanded.add(version)
            for rule in self._provider.rules(package.name, package.versions[version]):
                self._add(rule)

    # -- conflicts ------------------------------------------------------------------------------------------

    def _positions(self, nogood: _Nogood[R]) -> list[tuple[int, str]]:
        """For each term, the step from which on it holds (-1: from the start), latest first."""
        found: list[tuple[int, str]] = []
        for name, mask in nogood.terms.items():
            steps = self._packages[name].steps
            k = len(steps)
            while k and not self._trail[steps[k - 1]].before & ~mask:
                k -= 1
            found.append((steps[k - 1] if k else -1, name))
        return sorted(found, reverse=True)

    def _learn(self, nogood: _Nogood[R]) -> None:
        """Resolve a broken nogood back to one that would have spoken earlier; go back there and keep it."""
        while True:
            if not nogood.terms:
                raise UnsatisfiableError(_leaves(nogood))
            positions = self._positions(nogood)
            latest, name = positions[0]
            step = self._trail[latest]
            second = positions[1][0] if len(positions) > 1 else -1
            back = self._trail[second].level if second >= 0 else 0
            if step.cause is None or back < step.level:
                break
            nogood = self._resolve(nogood, step.cause, name)
        self.conflicts += 1
        self._back(back)
        self._keep(nogood)

    def _resolve(self, nogood: _Nogood[R], cause: _Nogood[R], name: str) -> _Nogood[R]:
        terms = dict(nogood.terms)
        for other, mask in cause.terms.items():
            if other == name:
                terms[other] |= mask
            else:
                terms[other] = terms[other] & mask if other in terms else mask
        return _Nogood(self._proper(terms), parents=(nogood, cause))

    def _back(self, level: int) -> None:
        while self._trail and self._trail[-1].level > level:
            step = self._trail.pop()
            package = self._packages[step.package]
            package.domain = step.before
            package.steps.pop()
        self._level = level
        late: list[_Nogood[R]] = []
        while self._arrived and self._arrived[-1][0] > level:
            late.append(self._arrived.pop()[1])
        late.reverse()
        self._arrived += ((level, nogood) for nogood in late)
        self._waiting += late


def _leaves(nogood: _Nogood[R]) -> tuple[R, ...]:
    """The reasons at the leaves of a refutation, each once."""
    found: dict[int, R] = {}
    seen: set[int] = set()
    stack = [nogood]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.parents is not None:
            stack += node.parents
        elif node.reason is not None:
            found.setdefault(id(node.reason), node.reason)
    return tuple(found.values())
