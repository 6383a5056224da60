"""The engine against an independent solver: random problems too large for brute force, and the real database."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver.finite import Problem, Rule, Wish
from envsolve.solver.question import Question

clingo_oracle = pytest.importorskip("clingo_oracle", reason="clingo is not installed (pip install clingo)")
FACTS = load()


def large(seed):
    """8 to 12 variables of up to 40 values, 60 to 160 rules of up to three terms."""
    chance = random.Random(seed)
    sizes = [chance.randint(2, 40) for _ in range(chance.randint(8, 12))]

    def mask(variable, share):
        return sum(1 << i for i in range(sizes[variable]) if chance.random() < share)

    rules = []
    for i in range(chance.randint(60, 160)):
        scope = chance.sample(range(len(sizes)), chance.choice((1, 2, 2, 2, 3)))
        when = tuple((v, mask(v, 0.3)) for v in scope[:-1])
        rules.append(Rule(i, when, (scope[-1], mask(scope[-1], 0.75 if when else 0.95))))
    levels = [
        {v: [chance.randint(0, 5) for _ in range(sizes[v])] for v in chance.sample(range(len(sizes)), 2)}
        for _ in range(4)
    ]
    wishes = [Wish(f"w{v}", v, mask(v, 0.5)) for v in chance.sample(range(len(sizes)), 3)]
    return Problem(sizes, rules, levels), wishes


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_optimum_is_clingos_on_large_problems(seed):
    problem, wishes = large(seed)
    found = problem.best(wishes)
    assert (found.cost if found else None) == clingo_oracle.optimum(problem, wishes)


QUESTIONS = [
    (["tf==1.4"], {"gpu": ("RTX 3090",), "driver": "535.104", "accept": ("jit",)}),
    (["tf==1.4", "keras==2.0.8"], {"gpu": ("GTX 1080",), "driver": "535.104"}),
    (["keras==2.0.8"], {"gpu": ("none",)}),
    (["tf==1.15"], {"gpu": ("A100",), "driver": "535.104", "accept": ("substitute",)}),
    (["torch==1.7.1"], {"gpu": ("V100", "RTX 3090"), "driver": "535.104"}),
    (["theano==0.9", "keras==1.2.2"], {"gpu": ("none",), "python": "2.7"}),
    (["tf==1.4"], {"gpu": ("none",), "python": "3.8"}),
]


@pytest.mark.parametrize(("words", "options"), QUESTIONS, ids=lambda value: str(value)[:40])
def test_the_optimum_is_clingos_on_the_real_database(words, options):
    request = build_request(words, FACTS, **options)
    gpus = tuple(parse_gpu(text, FACTS) for text in request.gpu if text != "none")
    question = Question(request, Host(driver=request.driver, gpus=gpus), FACTS)
    found = question.problem.best(question.wishes)
    assert (found.cost if found else None) == clingo_oracle.optimum(question.problem, question.wishes)
