"""Why-not on the real database: each core refutes, none of it can go, and every way out is one."""

from hypothesis import assume, given, settings
from test_solver import FACTS, questions

from envsolve.solver.proving import Contradiction
from envsolve.solver.question import Question
from envsolve.solver.saying import shortest
from envsolve.solver.whynot import proofs


def refused(case):
    """A question whose wishes cannot all be had, the GPU that is there among them; and these wishes."""
    request, host = case
    question = Question(request, host, FACTS)
    wishes = [*question.wishes, *([question.gpu_wish] if host.gpus else [])]
    assume(not question.problem.feasible(wishes))
    return question, wishes


@given(questions())
@settings(max_examples=60, deadline=None)
def test_each_core_refutes_and_every_part_of_it_is_needed(case):
    question, wishes = refused(case)
    found = list(proofs(question, wishes))
    assert found
    for rules, about in found:
        assert not question.problem.feasible(about, rules)
        for rule in rules:
            assert question.problem.feasible(about, [r for r in rules if r is not rule])
        for wish in about:
            assert question.problem.feasible([w for w in about if w is not wish], rules)


@given(questions())
@settings(max_examples=40, deadline=None)
def test_what_is_said_of_a_proof_is_a_proof_and_each_sentence_of_it_is_needed(case):
    question, wishes = refused(case)
    for rules, about in proofs(question, wishes):
        domains = question.problem.within(about)
        said = [rule for _, rule in shortest(question.world, domains, rules)]
        assert Contradiction(domains, said).model() is None
        for rule in said:
            assert Contradiction(domains, [r for r in said if r is not rule]).model() is not None


@given(questions())
@settings(max_examples=40, deadline=None)
def test_no_conflict_is_hidden_by_another(case):
    """Meeting all the cores' wishes but one each is not enough: dropping a wish of every core makes it solvable."""
    question, wishes = refused(case)
    drops = question.problem.relaxations(wishes)
    clashes = question.problem.conflicts(wishes, drops)
    for drop in drops:
        assert all(set(drop) & set(clash) for clash in clashes)
