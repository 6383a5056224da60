"""Minimal proofs that rules contradict wishes: each rule in one is needed, and the preferred ones are kept.

A refutation tells which rules took part in it, so the others go at once. Then whole families of rules (over the same
variables) are tried without, then single rules, the least preferred first. Whatever turns out to be needed comes with
an assignment that breaks it alone; changing one variable of it often breaks another rule alone, which is then needed
too and asks for no search ("model rotation", Marques-Silva and Lynce 2011). Nothing here knows about software.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from envsolve.solver.finite import Domains, Mask, Rule


class _Plain(NamedTuple):
    """A rule without the conditions that the domains meet anyway: it says the same within them, and is quicker."""

    id: int
    when: tuple[tuple[int, Mask], ...]
    then: int
    mask: Mask


class Contradiction:
    """Rules within domains: whether some of them can hold together, and which few cannot."""

    def __init__(self, domains: Domains, rules: Iterable[Rule]) -> None:
        self.domains = domains
        self.rules: dict[int, Rule] = {}
        self._plain: dict[int, _Plain] = {}
        for rule, plain in _within(domains, rules):
            self.rules[rule.id] = rule
            self._plain[rule.id] = plain

    # -- search ----------------------------------------------------------------------------------------------

    def left(self) -> Domains | None:
        """What the rules leave of each domain as far as they are followed without a search; None: nothing."""
        domains, by_variable = self._begun(self.rules, set())
        followed = all(domains) and _propagate(by_variable, domains, set(range(len(domains))), set())
        return domains if followed else None

    def model(self, ids: Iterable[int] | None = None, used: set[int] | None = None) -> Domains | None:
        """An assignment that meets these rules (all, if none are named), or None.

        ``used`` gains the ids of those that took part in finding out: when there is none, these alone refute it.
        """
        took_part: set[int] = set() if used is None else used
        if not all(self.domains):
            return None
        domains, by_variable = self._begun(self.rules if ids is None else ids, took_part)
        return self._search(by_variable, domains, took_part) if all(domains) else None

    def _begun(self, ids: Iterable[int], used: set[int]) -> tuple[Domains, list[list[_Plain]]]:
        """The domains after the rules without a condition, and the rules by their variables."""
        domains, by_variable = list(self.domains), self._by_variable(ids)
        for rules in by_variable:
            for rule in rules:
                if not rule.when and domains[rule.then] & ~rule.mask:
                    domains[rule.then] &= rule.mask
                    used.add(rule.id)
        return domains, by_variable

    def _by_variable(self, ids: Iterable[int]) -> list[list[_Plain]]:
        found: list[list[_Plain]] = [[] for _ in self.domains]
        for id_ in ids:
            if (rule := self._plain.get(id_)) is not None:
                found[rule.then].append(rule)
                for variable, _ in rule.when:
                    if variable != rule.then:
                        found[variable].append(rule)
        return found

    def _search(self, by_variable: list[list[_Plain]], domains: Domains, used: set[int]) -> Domains | None:
        """Depth first, one value at a time; variables that no rule speaks of need no decision."""
        bound = [v for v, rules in enumerate(by_variable) if rules]
        waiting: list[tuple[Domains, set[int]]] = [(domains, set(bound))]
        while waiting:
            current, changed = waiting.pop()
            if not _propagate(by_variable, current, changed, used):
                continue
            undecided = [v for v in bound if current[v] & (current[v] - 1)]
            if not undecided:
                return [mask & -mask for mask in current]
            variable = min(undecided, key=lambda v: current[v].bit_count())
            one = current[variable] & -current[variable]
            for mask in (current[variable] & ~one, one):
                child = list(current)
                child[variable] = mask
                waiting.append((child, {variable}))
        return None

    # -- proof -----------------------------------------------------------------------------------------------

    def proof(self, weight: Callable[[Rule], int], fewer_than: int | None = None) -> list[Rule]:
        """A minimal set of the rules that cannot hold together, those of higher ``weight`` in preference.

        Empty when they all can, when the domains are empty without any, or as soon as it is known to be not
        ``fewer_than`` so many.
        """
        if self.model() is not None or not all(self.domains):
            return []
        weights = {id_: weight(rule) for id_, rule in self.rules.items()}
        ranked = sorted(self.rules, key=lambda id_: -weights[id_])
        enough = next(part for part in _prefixes(ranked, weights) if self.model(part) is None)
        shrinking = _Shrinking(self, enough)
        families: dict[tuple[int, ...], list[int]] = {}
        for id_ in shrinking.left:
            families.setdefault(self.rules[id_].scope, []).append(id_)
        dearest = sorted(families, key=lambda s: (-max(weights[i] for i in families[s]), len(s), s), reverse=True)
        for part in itertools.chain((families[scope] for scope in dearest), ([id_] for id_ in shrinking.ids())):
            shrinking.without(part)
            if fewer_than is not None and len(shrinking.needed) >= fewer_than:
                return []
        return [self.rules[id_] for id_ in shrinking.left]

    def broken_alone(self, model: Domains, id_: int, among: Sequence[int]) -> Iterator[int]:
        """The rules that an assignment next to ``model``, which breaks ``id_`` alone, breaks alone; and so on."""
        by_variable = self._by_variable(among)
        waiting, seen = [(model, id_)], {id_}
        while waiting:
            model, id_ = waiting.pop()
            rule = self._plain[id_]
            for variable in {rule.then, *(v for v, _ in rule.when)}:
                breaking = [(r.id, broken) for r in by_variable[variable] if (broken := _breaking(r, model, variable))]
                once = twice = 0
                for _, broken in breaking:
                    twice |= once & broken
                    once |= broken
                alone = once & ~twice & self.domains[variable]
                for other, broken in breaking:
                    if broken & alone and other not in seen:
                        seen.add(other)
                        moved = list(model)
                        moved[variable] = broken & alone & -(broken & alone)
                        waiting.append((moved, other))
                        yield other


class _Shrinking:
    """A contradiction that gets smaller: what is left of it, and what of that is known to be needed."""

    def __init__(self, whole: Contradiction, ids: Sequence[int]) -> None:
        self.whole = whole
        self.needed: set[int] = set()
        self.left = self._used(ids)

    def _used(self, ids: Sequence[int]) -> list[int]:
        """Those that take part in a refutation of these, which there must be."""
        used: set[int] = set()
        self.whole.model(ids, used)
        return [id_ for id_ in ids if id_ in used]

    def ids(self) -> Iterator[int]:
        """What is left when this is asked first, the least preferred first."""
        yield from reversed(self.left)

    def without(self, ids: Collection[int]) -> None:
        """Leave these out if the rest still contradicts."""
        here = [id_ for id_ in self.left if id_ in ids]
        if not here or not self.needed.isdisjoint(here):
            return
        rest, used = [id_ for id_ in self.left if id_ not in ids], set[int]()
        model = self.whole.model(rest, used)
        if model is None:
            self.left = [id_ for id_ in rest if id_ in used]
            return
        broken = [id_ for id_ in here if _broken(self.whole._plain[id_], model)]
        if len(broken) == 1:
            self.needed |= {broken[0], *self.whole.broken_alone(model, broken[0], self.left)}


def _within(domains: Domains, rules: Iterable[Rule]) -> Iterator[tuple[Rule, _Plain]]:
    """The rules that can say anything within these domains, with what they say there."""
    for rule in rules:
        y, mask = rule.then
        if not domains[y] & ~mask:
            continue
        when = []
        for term in rule.when:
            values = domains[term[0]]
            if not values & term[1]:
                break
            if values & ~term[1]:
                when.append(term)
        else:
            yield rule, _Plain(rule.id, tuple(when), y, mask)


def _prefixes(ranked: Sequence[int], weights: Mapping[int, int]) -> Iterator[Sequence[int]]:
    """The rules of the highest weight, then those of the two highest, ..., then all."""
    for i, id_ in enumerate(ranked):
        if i and weights[id_] != weights[ranked[i - 1]]:
            yield ranked[:i]
    yield ranked


def _propagate(by_variable: list[list[_Plain]], domains: Domains, changed: set[int], used: set[int]) -> bool:
    """Cut the domains, in place, as far as the rules do; false when one is left empty."""
    while changed:
        x = min(changed)
        changed.discard(x)
        for id_, when, y, mask in by_variable[x]:
            at, cut = y, mask
            if len(when) == 1:
                ((v, values),) = when
                if domains[v] & ~values:
                    if domains[y] & mask or not domains[v] & values:
                        continue
                    at, cut = v, ~values
            else:
                state = _fire(when, domains, y, mask)
                if state is None:
                    continue
                at, cut = state
            if domains[at] & ~cut:
                domains[at] &= cut
                used.add(id_)
                if not domains[at]:
                    return False
                changed.add(at)
    return True


def _fire(when: tuple[tuple[int, Mask], ...], domains: Domains, y: int, mask: Mask) -> tuple[int, Mask] | None:
    """What a rule with several conditions leaves now: (variable, values), or None when it says nothing yet."""
    open_term: tuple[int, Mask] | None = None
    for variable, values in when:
        if not domains[variable] & values:
            return None
        if domains[variable] & ~values:
            if open_term is not None:
                return None
            open_term = (variable, values)
    if open_term is None:
        return y, mask
    return None if domains[y] & mask else (open_term[0], ~open_term[1])


def _broken(rule: _Plain, model: Domains) -> bool:
    return all(model[v] & values for v, values in rule.when) and not model[rule.then] & rule.mask


def _breaking(rule: _Plain, model: Domains, variable: int) -> Mask:
    """The values of a variable that break the rule, the others being as in ``model``; -1 stands for all."""
    found = -1
    for v, values in rule.when:
        if v == variable:
            found &= values
        elif not model[v] & values:
            return 0
    if rule.then == variable:
        return found & ~rule.mask
    return 0 if model[rule.then] & rule.mask else found
