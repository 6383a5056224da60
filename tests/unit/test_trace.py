"""The chain behind a choice, as text, tree and drawing: snapshots, and what must hold of each."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver.chain import chain, choices
from envsolve.solver.question import Question
from envsolve.trace import choices_document, choices_text, svg, tree

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
FACTS = load()
QUESTIONS = {
    "tf14-keras-1080": (["tf==1.4", "keras==2.0.8"], {"gpu": ("GTX 1080",), "driver": "535.104"}),
    "theano09-keras122": (["theano==0.9", "keras==1.2.2"], {"gpu": ("none",)}),
}


@pytest.fixture(params=QUESTIONS, name="case")
def _case(request):
    words, options = QUESTIONS[request.param]
    asked = build_request(words, FACTS, **options)
    gpus = tuple(parse_gpu(text, FACTS) for text in asked.gpu if text != "none")
    question = Question(asked, Host(driver=asked.driver, gpus=gpus), FACTS)
    return request.param, question, question.problem.best(question.wishes), " ".join(words)


def same(name, text):
    path = SNAPSHOTS / name
    if os.environ.get("ENVSOLVE_UPDATE_SNAPSHOTS"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_axis_says_what_was_taken_and_what_was_not(case):
    name, question, found, _ = case
    same(f"why.{name}.txt", choices_text(choices(question, found), chain(question, found)))


def test_the_tree_reads_as_it_should(case):
    name, question, found, asked = case
    same(f"why-tree.{name}.txt", tree(chain(question, found), asked))


def test_the_drawing_is_a_drawing_of_every_fact(case):
    name, question, found, asked = case
    drawn = svg(chain(question, found), asked)
    same(f"why.{name}.svg", drawn)
    root = ElementTree.fromstring(drawn)
    words = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
    for link in chain(question, found).links:
        assert any(link.reason.text in text for text in words)


def test_what_was_not_taken_is_every_other_value_with_a_reason(case):
    _, question, found, _ = case
    for choice in choices(question, found, ["python"]):
        others = {value for rejected in choice.rejected for value in rejected.values}
        assert others | {choice.value} == set(question.world.axes["python"].values)
        for rejected in choice.rejected:
            assert bool(rejected.core) != bool(rejected.preference)


def test_a_value_said_to_work_too_does(case):
    """What only a preference ruled out gives a stack when it is asked for."""
    from envsolve.solver import solve

    _, question, found, _ = case
    for choice in choices_document(choices(question, found, ["python", "os"])):
        for rejected in choice["rejected"]:
            for value in rejected["values"] if rejected["preference"] else ():
                again = question.request.model_copy(update={choice["axis"]: value})
                assert solve(again, question.host, FACTS).chosen is not None
