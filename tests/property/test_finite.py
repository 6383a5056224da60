"""The engine against brute force on small random problems."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from envsolve.solver.finite import Problem, Rule, Wish


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    masks = [st.integers(0, (1 << size) - 1) for size in sizes]
    variables = range(len(sizes))
    rules = []
    for i in range(draw(st.integers(0, 7))):
        scope = draw(st.lists(st.sampled_from(variables), min_size=1, max_size=3, unique=True))
        when = tuple((v, draw(masks[v])) for v in scope[:-1])
        rules.append(Rule(i, when, (scope[-1], draw(masks[scope[-1]]))))
    levels = [
        {v: draw(st.lists(st.integers(0, 3), min_size=sizes[v], max_size=sizes[v])) for v in level}
        for level in draw(st.lists(st.lists(st.sampled_from(variables), min_size=1, unique=True), max_size=3))
    ]
    wishes = []
    for i in range(draw(st.integers(0, 4))):
        v = draw(st.sampled_from(variables))
        wishes.append(Wish(f"w{i}", v, draw(masks[v])))
    return Problem(sizes, rules, levels), wishes


def holds(values, rules, wishes):
    return all(w.mask >> values[w.variable] & 1 for w in wishes) and all(
        rule.then[1] >> values[rule.then[0]] & 1 for rule in rules if all(m >> values[v] & 1 for v, m in rule.when)
    )


def brute(problem, rules, wishes):
    worlds = itertools.product(*(range(size) for size in problem.sizes))
    return [values for values in worlds if holds(values, rules, wishes)]


def cost(problem, values):
    return tuple(sum(costs[values[v]] for v, costs in level.items()) for level in problem.levels)


@given(problems())
@settings(max_examples=400, deadline=None)
def test_the_best_answer_is_the_best_of_all(case):
    problem, wishes = case
    every = brute(problem, problem.rules, wishes)
    found = problem.best(wishes)
    assert (found is None) == (not every)
    assert problem.feasible(wishes) == bool(every)
    if found is not None:
        assert found.values in every
        assert found.cost == min(cost(problem, values) for values in every)


@given(problems())
@settings(max_examples=200, deadline=None)
def test_the_same_question_has_the_same_answer_whatever_the_order_of_rules(case):
    problem, wishes = case
    turned = Problem(problem.sizes, list(reversed(problem.rules)), problem.levels)
    assert turned.best(wishes) == problem.best(wishes)


@given(problems())
@settings(max_examples=200, deadline=None)
def test_relaxations_are_the_smallest_and_conflicts_are_minimal(case):
    problem, wishes = case
    if not brute(problem, problem.rules, []):
        assert problem.relaxations(wishes) == []
        return
    relaxations = problem.relaxations(wishes)
    for drop in relaxations:
        assert brute(problem, problem.rules, [w for w in wishes if w not in drop])
        for kept in drop:
            assert not brute(problem, problem.rules, [w for w in wishes if w not in drop or w == kept])
    if brute(problem, problem.rules, wishes):
        assert relaxations == [()]
        return
    for conflict in problem.conflicts(wishes, relaxations):
        assert not brute(problem, problem.rules, conflict)
        for one in conflict:
            assert brute(problem, problem.rules, [w for w in conflict if w != one])


@given(problems())
@settings(max_examples=200, deadline=None)
def test_a_proof_refutes_and_none_of_it_can_go(case):
    problem, wishes = case
    if brute(problem, problem.rules, wishes):
        return
    proof = problem.prove(wishes)
    assert not brute(problem, proof, wishes)
    for rule in proof:
        assert brute(problem, [r for r in proof if r is not rule], wishes)
