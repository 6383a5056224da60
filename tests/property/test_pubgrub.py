"""The resolver against brute force on random worlds: same verdict, valid answers, refutations that refute."""

import itertools

from hypothesis import event, given, settings
from hypothesis import strategies as st

from envsolve.lock.pubgrub import Resolver, Rule, Term, UnsatisfiableError

NAMES = ("a", "b", "c", "d", "e")
VERSIONS = (3, 2, 1)


@st.composite
def worlds(draw):
    """Versions, what each requires, pairs that exclude each other, and what is asked for."""
    names = NAMES[: draw(st.integers(2, 5))]
    versions = {name: VERSIONS[-draw(st.integers(1, 3)) :] for name in names}
    some = st.frozensets(st.sampled_from(VERSIONS), max_size=3)
    needs = {}
    for name in names:
        others = [other for other in names if other != name]
        for version in versions[name]:
            needs[name, version] = draw(st.lists(st.tuples(st.sampled_from(others), some), max_size=3))
    pair = st.tuples(st.sampled_from(names), some, st.sampled_from(names), some)
    clashes = draw(st.lists(pair, max_size=3))
    asked = draw(st.lists(st.tuples(st.sampled_from(names), some), min_size=1, max_size=3))
    return versions, needs, clashes, asked


class Provider:
    """The world as the resolver sees it; a clash speaks only once both sides are in view."""

    def __init__(self, world):
        self.all, self.needs, self.clashes, _ = world
        self.seen = set()

    def versions(self, package):
        return self.all[package]

    def introduce(self, package):
        self.seen.add(package)
        for clash in self.clashes:
            if package in clash and {clash[0], clash[2]} <= self.seen:
                yield Rule((Term(clash[0], clash[1]), Term(clash[2], clash[3])), ("clash", clash))

    def rules(self, package, version):
        for need in self.needs[package, version]:
            terms = (Term(package, frozenset([version])), Term(need[0], need[1], inside=False))
            yield Rule(terms, ("needs", package, version, need))


def asked_rules(world):
    return [Rule((Term(name, values, inside=False),), ("asked", name, values)) for name, values in world[3]]


def solve(world):
    return Resolver(Provider(world)).solve(asked_rules(world))


def outcome(world):
    try:
        return solve(world)
    except UnsatisfiableError as error:
        return error.reasons


def holds(reason, chosen):
    """Whether a rule, given by its reason, is respected."""
    if reason[0] == "asked":
        return chosen.get(reason[1]) in reason[2]
    if reason[0] == "needs":
        _, package, version, (other, values) = reason
        return chosen.get(package) != version or chosen.get(other) in values
    first, these, second, those = reason[1]
    return not (chosen.get(first) in these and chosen.get(second) in those)


def every_rule(world):
    _, needs, clashes, asked = world
    yield from (("asked", *one) for one in asked)
    yield from (("needs", *key, need) for key, listed in needs.items() for need in listed)
    yield from (("clash", clash) for clash in clashes)


def possible(world, rules):
    """Brute force: some assignment respects all the rules."""
    names = list(world[0])
    rules = list(rules)
    for values in itertools.product(*((None, *world[0][name]) for name in names)):
        chosen = dict(zip(names, values, strict=True))
        if all(holds(rule, chosen) for rule in rules):
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_agrees_with_brute_force_and_with_itself(world):
    try:
        chosen = solve(world)
    except UnsatisfiableError as error:
        event("no answer")
        assert not possible(world, every_rule(world))
        assert not possible(world, error.reasons), "the refutation's own reasons must refute"
        assert outcome(world) == error.reasons
    else:
        event("an answer")
        assert all(holds(rule, chosen) for rule in every_rule(world))
        assert all(chosen[name] in world[0][name] for name in chosen)
        assert set(chosen) == wanted_in(world, chosen), "nothing is installed that nobody wants"
        assert outcome(world) == chosen


def wanted_in(world, chosen):
    """The packages that somebody wants, when these versions are chosen."""
    wanted = {name for name, _ in world[3]}
    while more := {need[0] for name in wanted for need in world[1][name, chosen[name]]} - wanted:
        wanted |= more
    return wanted


def test_a_chain_of_a_thousand_needs_no_recursion():
    names = [f"p{i}" for i in range(1000)]
    needs = {(name, 1): [(names[i + 1], frozenset([1]))] if i < 999 else [] for i, name in enumerate(names)}
    world = (dict.fromkeys(names, (1,)), needs, [], [("p0", frozenset([1]))])
    assert len(solve(world)) == 1000
    needs["p999", 1] = [("p0", frozenset([2]))]
    try:
        solve(world)
    except UnsatisfiableError as error:
        assert len(error.reasons) <= 1002
    else:
        raise AssertionError("a contradiction passed")
