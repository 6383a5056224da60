"""A finite-domain constraint engine: exact lexicographic optimum, all smallest relaxations, minimal proofs.

A rule reads "when x1 in A1 and x2 in A2 ... then y in B": one rule is one fact of the database. Value sets are
integer bit masks. The search is arc consistency on support tables with best-first branch and bound, so its
first answer is the optimum, and ties fall to the order of the domains: same input, same answer.

Method and measurements against other engines are in ``docs/solver.md``. Nothing here knows about software.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import or_

from envsolve.solver.proving import Contradiction

Mask = int
Domains = list[Mask]
Table = list[tuple[Mask, Mask]]  # (values of x with the same row, values of y allowed with them)


def bits(mask: Mask) -> Iterator[int]:
    """The indexes of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True)
class Rule:
    """When every ``when`` holds, ``then`` must: (variable index, mask of its values)."""

    id: int
    when: tuple[tuple[int, Mask], ...]
    then: tuple[int, Mask]

    @property
    def scope(self) -> tuple[int, ...]:
        """The variables it speaks of."""
        return tuple(sorted({v for v, _ in self.when} | {self.then[0]}))


@dataclass(frozen=True)
class Wish:
    """A restriction that the asker made and could take back: a variable must have one of these values."""

    name: str
    variable: int
    mask: Mask


@dataclass
class Tables:
    """Rules compiled for propagation: binary ones as support tables, the others as they are."""

    support: list[dict[int, Table]]
    wider: list[list[Rule]]  # by each variable of their scope
    bound: list[int]  # the variables that any rule speaks of


@dataclass(frozen=True)
class Answer:
    """One full assignment: the index of the value of each variable, and its cost per level."""

    values: tuple[int, ...]
    cost: tuple[int, ...]


Costs = Mapping[int, Sequence[int]]  # variable -> cost of each of its values


def _classes(rows: Mapping[int, Mask]) -> Table:
    """Group values whose rows are equal: what makes large domains cheap."""
    grouped: dict[Mask, Mask] = {}
    for value, row in rows.items():
        grouped[row] = grouped.get(row, 0) | 1 << value
    return [(values, row) for row, values in grouped.items()]


@dataclass
class Problem:
    """Variables with ordered domains, rules, and cost levels (most important first)."""

    sizes: Sequence[int]
    rules: Sequence[Rule]
    levels: Sequence[Costs] = ()
    _tables: Tables | None = field(default=None, repr=False)

    @property
    def full(self) -> Domains:
        """Every value of every variable."""
        return [(1 << size) - 1 for size in self.sizes]

    # -- propagation ---------------------------------------------------------------------------------------

    def _compile(self, rules: Sequence[Rule], alive: Domains) -> Tables:
        pairs: dict[tuple[int, int], dict[int, Mask]] = {}
        wider: list[Rule] = []
        for rule in rules:
            if len(rule.when) != 1:
                wider.append(rule)
                continue
            ((x, x_mask),), (y, y_mask) = rule.when, rule.then
            if (x, y) not in pairs:
                pairs[x, y] = dict.fromkeys(bits(alive[x]), alive[y])
            rows = pairs[x, y]
            for i in bits(x_mask & alive[x]):
                rows[i] &= y_mask
        support: list[dict[int, Table]] = [{} for _ in self.sizes]
        for x, y in sorted({(min(p), max(p)) for p in pairs}):
            forward = pairs.get((x, y), dict.fromkeys(bits(alive[x]), alive[y]))
            for values, allowed in _classes(pairs.get((y, x), {})):
                for i in bits(alive[x] & ~allowed):
                    forward[i] &= ~values
            table = _classes(forward)
            support[x][y] = table
            support[y][x] = _classes({j: sum(values for values, row in table if row >> j & 1) for j in bits(alive[y])})
        by_variable = self._by_variable(wider)
        bound = [v for v in range(len(self.sizes)) if support[v] or by_variable[v]]
        return Tables(support, by_variable, bound)

    def _by_variable(self, rules: Sequence[Rule]) -> list[list[Rule]]:
        found: list[list[Rule]] = [[] for _ in self.sizes]
        for rule in rules:
            for v in {rule.then[0], *(v for v, _ in rule.when)}:
                found[v].append(rule)
        return found

    def _tables_for_all(self) -> Tables:
        if self._tables is None:
            self._tables = self._compile(self.rules, self.full)
        return self._tables

    @staticmethod
    def _fire(rule: Rule, domains: Domains) -> tuple[int, Mask] | None:
        """What one wider rule takes away now: (variable, its new domain), or None."""
        open_term: tuple[int, Mask] | None = None
        for variable, mask in rule.when:
            if not domains[variable] & mask:
                return None
            if domains[variable] & ~mask:
                if open_term is not None:
                    return None
                open_term = (variable, mask)
        y, y_mask = rule.then
        if open_term is None:
            return y, domains[y] & y_mask
        if not domains[y] & y_mask:
            return open_term[0], domains[open_term[0]] & ~open_term[1]
        return None

    def _propagate(self, tables: Tables, domains: Domains, changed: set[int]) -> Domains | None:
        domains = list(domains)
        while changed:
            x = min(changed)
            changed.discard(x)
            for y, table in tables.support[x].items():
                allowed = 0
                for values, row in table:
                    if domains[x] & values:
                        allowed |= row
                if domains[y] & ~allowed:
                    domains[y] &= allowed
                    if not domains[y]:
                        return None
                    changed.add(y)
            for rule in tables.wider[x]:
                cut = self._fire(rule, domains)
                if cut is not None and cut[1] != domains[cut[0]]:
                    domains[cut[0]] = cut[1]
                    if not cut[1]:
                        return None
                    changed.add(cut[0])
        return domains

    def within(self, wishes: Sequence[Wish]) -> Domains:
        """The values that these wishes leave."""
        domains = self.full
        for wish in wishes:
            domains[wish.variable] &= wish.mask
        return domains

    def _start(self, wishes: Sequence[Wish]) -> tuple[Tables, Domains | None]:
        domains, tables = self.within(wishes), self._tables_for_all()
        if not all(domains):
            return tables, None
        return tables, self._propagate(tables, domains, set(range(len(self.sizes))))

    # -- search ----------------------------------------------------------------------------------------------

    def best(self, wishes: Sequence[Wish], extra_levels: Sequence[Costs] = ()) -> Answer | None:
        """The answer of lowest cost, level by level (``extra_levels`` before the problem's own), or None."""
        tables, domains = self._start(wishes)
        if domains is None:
            return None
        scales = [*_scaled(extra_levels), *self._own_scales]
        flat = [pair for level in scales for pair in level]
        heap: list[tuple[tuple[int, ...], tuple[int, ...], Domains]] = [(_bound(scales, domains), (), domains)]
        while heap:
            cost, path, domains = heapq.heappop(heap)
            split = _split(flat, domains)
            if split is None:
                return Answer(tuple(d.bit_length() - 1 for d in domains), cost)
            variable, better = split
            for side, mask in enumerate((better, domains[variable] & ~better)):
                child = list(domains)
                child[variable] = mask
                narrowed = self._propagate(tables, child, {variable})
                if narrowed is not None:
                    heapq.heappush(heap, (_bound(scales, narrowed), (*path, side), narrowed))
        return None

    @cached_property
    def _own_scales(self) -> list[list[tuple[int, Scale]]]:
        return _scaled(self.levels)

    def feasible(self, wishes: Sequence[Wish], rules: Sequence[Rule] | None = None) -> bool:
        """Whether any answer exists (under a subset of the rules when given)."""
        if rules is not None:
            return Contradiction(self.within(wishes), rules).model(rule.id for rule in rules) is not None
        tables, domains = self._start(wishes)
        return self._search(tables, domains)

    def _search(self, tables: Tables, domains: Domains | None) -> bool:
        """Depth first, one value at a time; variables that no rule speaks of need no decision."""
        waiting: list[tuple[Domains | None, int | None]] = [(domains, None)]
        while waiting:
            current, changed = waiting.pop()
            if current is not None and changed is not None:
                current = self._propagate(tables, current, {changed})
            if current is None:
                continue
            undecided = [v for v in tables.bound if current[v] & (current[v] - 1)]
            if not undecided:
                return True
            variable = min(undecided, key=lambda v: current[v].bit_count())
            one = current[variable] & -current[variable]
            for mask in (current[variable] & ~one, one):
                child = list(current)
                child[variable] = mask
                waiting.append((child, variable))
        return False

    # -- explanation -----------------------------------------------------------------------------------------

    def relaxations(self, wishes: Sequence[Wish]) -> list[tuple[Wish, ...]]:
        """Every smallest set of wishes whose removal makes the rest solvable; fewest first."""
        found: list[tuple[Wish, ...]] = []
        for count in range(len(wishes) + 1):
            for drop in itertools.combinations(wishes, count):
                if any(set(smaller) <= set(drop) for smaller in found):
                    continue
                if self.feasible([w for w in wishes if w not in drop]):
                    found.append(drop)
        return found

    def conflicts(self, wishes: Sequence[Wish], relaxations: Sequence[tuple[Wish, ...]]) -> list[tuple[Wish, ...]]:
        """Every minimal set of wishes that cannot hold together: the minimal hitting sets of the relaxations."""
        found: list[tuple[Wish, ...]] = []
        for count in range(1, len(wishes) + 1):
            for chosen in itertools.combinations(wishes, count):
                hits_all = all(set(chosen) & set(relaxation) for relaxation in relaxations)
                if hits_all and not any(set(smaller) <= set(chosen) for smaller in found):
                    found.append(chosen)
        return found

    def prove(
        self,
        wishes: Sequence[Wish],
        weight: Callable[[Rule], int] = lambda _: 0,
        without: Collection[int] = (),
        fewer_than: int | None = None,
    ) -> list[Rule]:
        """A minimal set of rules that contradicts these wishes; rules of higher ``weight`` are kept in preference.

        ``without``: ids of rules to leave out; empty when the wishes can hold without them. ``fewer_than``: a proof
        of so many rules or more is of no use, and none is given.
        """
        rules = [rule for rule in self.rules if rule.id not in without]
        return Contradiction(self.within(wishes), rules).proof(weight, fewer_than)


class Scale:
    """The costs of a variable's values, from the lowest; with the values that cost no more than each."""

    def __init__(self, costs: Sequence[int]) -> None:
        masks: dict[int, Mask] = {}
        for i, cost in enumerate(costs):
            masks[cost] = masks.get(cost, 0) | 1 << i
        self.costs = sorted(masks)
        self.up_to = list(itertools.accumulate((masks[cost] for cost in self.costs), or_))

    def place(self, domain: Mask) -> int:
        """Which of the costs is the lowest of these values, by bisection: there may be thousands."""
        low, high = 0, len(self.costs) - 1
        while low < high:
            middle = (low + high) // 2
            if domain & self.up_to[middle]:
                high = middle
            else:
                low = middle + 1
        return low


def _scaled(levels: Sequence[Costs]) -> list[list[tuple[int, Scale]]]:
    return [[(variable, Scale(costs)) for variable, costs in level.items()] for level in levels]


def _bound(levels: list[list[tuple[int, Scale]]], domains: Domains) -> tuple[int, ...]:
    """The lowest cost each level can still reach: never more than the truth, so the first answer is optimal."""
    return tuple(sum(scale.costs[scale.place(domains[v])] for v, scale in level) for level in levels)


def _split(scales: Sequence[tuple[int, Scale]], domains: Domains) -> tuple[int, Mask] | None:
    """The first variable, by level, whose values differ in cost, and those that cost least; then the first undecided
    one and its first value; None when all is decided.
    """
    for variable, scale in scales:
        domain = domains[variable]
        if domain & (domain - 1):
            cheapest = domain & scale.up_to[scale.place(domain)]
            if cheapest != domain:
                return variable, cheapest
    return next(((v, d & -d) for v, d in enumerate(domains) if d & (d - 1)), None)
