"""A proof in as few sentences as it takes: each about the values that matter, those of one kind said together. Pure.

A rule of a proof holds for values that the other rules of it have excluded already: naming these would say nothing.
And where several rules of one kind say how one thing limits another ("tensorflow 2.1 exists for ...", "tensorflow 2.2
exists for ..."), what all of them leave is often enough: then one sentence says that. Both are checked: what is said
still cannot hold together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from envsolve.solver.finite import Domains, Rule
from envsolve.solver.proving import Contradiction

if TYPE_CHECKING:
    from envsolve.models import Reason
    from envsolve.solver.world import World

MANY = 3
"""Sentences of one kind that are worth one for all."""


def sentences(world: World, domains: Domains, rules: Sequence[Rule]) -> list[Reason]:
    """What the rules of a proof say within these domains."""
    return [world.reason(group, domains, rule) for group, rule in shortest(world, domains, rules)]


def shortest(world: World, domains: Domains, rules: Sequence[Rule]) -> list[tuple[list[Rule], Rule]]:
    """The proof in as few rules as it takes: each with those that it stands for."""
    groups = _grouped(world, domains, rules)
    said = _narrowed(domains, [together(group) for group in groups])
    return list(zip(groups, said, strict=True))


def _narrowed(domains: Domains, rules: Sequence[Rule]) -> list[Rule]:
    """Each rule of only those of its values that the others leave."""
    found = list(rules)
    for i, rule in enumerate(found):
        if rule.when:
            (x, mask), *rest = rule.when
            left = Contradiction(domains, [*found[:i], *found[i + 1 :]]).left()
            if left is not None and left[x] & mask:
                found[i] = Rule(rule.id, ((x, left[x] & mask), *rest), rule.then)
    return found


def _grouped(world: World, domains: Domains, rules: Sequence[Rule]) -> list[list[Rule]]:
    """The rules, those of one kind together where what all of them leave is enough."""
    groups = [[rule] for rule in rules]
    families: dict[int, list[Rule]] = {}
    for rule in rules:
        if world.statements[rule.id].together is not None and world.how(rule) != "given":
            families.setdefault(world.statements[rule.id].family, []).append(rule)
    for family in families.values():
        if len(family) >= MANY:
            first = groups.index([family[0]])
            rest = [group for group in groups[:first] if group[0] not in family]
            tried = [*rest, family, *(group for group in groups[first:] if group[0] not in family)]
            if Contradiction(domains, [together(group) for group in tried]).model() is None:
                groups = tried
    return groups


def together(rules: Sequence[Rule]) -> Rule:
    """What rules of one kind have in common: when one of their conditions holds, one of what they allow does."""
    if len(rules) == 1:
        return rules[0]
    (x, _), *rest = rules[0].when
    when = ((x, reduce(or_, (rule.when[0][1] for rule in rules))), *rest)
    return Rule(rules[0].id, when, (rules[0].then[0], reduce(or_, (rule.then[1] for rule in rules))))
