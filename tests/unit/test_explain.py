"""The prose of answers, whole, as snapshots: ENVSOLVE_UPDATE_SNAPSHOTS=1 writes them, git shows what changed."""

import json
import os
from pathlib import Path

import pytest

from envsolve.explain import answer, document, why
from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver import solve

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
FACTS = load()
QUESTIONS = {
    "tf14-3090": (["tf==1.4"], {"gpu": ("RTX 3090",), "driver": "535.104"}),
    "tf14-3090-jit": (["tf==1.4"], {"gpu": ("RTX 3090",), "driver": "535.104", "accept": ("jit",)}),
    "tf14-3090-substitute": (["tf==1.4"], {"gpu": ("RTX 3090",), "driver": "535.104", "accept": ("substitute",)}),
    "tf14-1080": (["tf==1.4"], {"gpu": ("GTX 1080",), "driver": "535.104"}),
    "tf14-v100": (["tf==1.4"], {"gpu": ("V100",), "driver": "535.104"}),
    "tf14-python38": (["tf==1.4", "keras==2.0.8"], {"gpu": ("none",), "python": "3.8"}),
    "theano09-keras122": (["theano==0.9", "keras==1.2.2"], {"gpu": ("none",)}),
}


def ask(name):
    words, options = QUESTIONS[name]
    request = build_request(words, FACTS, **options)
    gpus = tuple(parse_gpu(text, FACTS) for text in request.gpu if text != "none")
    return solve(request, Host(driver=request.driver, gpus=gpus), FACTS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_reads_as_it_should(name):
    text = answer(ask(name))
    path = SNAPSHOTS / f"answer.{name}.txt"
    if os.environ.get("ENVSOLVE_UPDATE_SNAPSHOTS"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", QUESTIONS)
def test_colour_adds_nothing_but_colour(name):
    import re

    solution = ask(name)
    assert re.sub(r"\x1b\[[\d;]*m", "", answer(solution, color=True)) == answer(solution)


def test_the_first_lines_say_it_all():
    first = answer(ask("tf14-3090")).splitlines()[:3]
    assert "RTX 3090 (8.6)" in first[0]
    assert "tensorflow 1.4.1" in first[1]
    assert "CPU" in first[2] and "--accept jit" in first[2] and "--accept substitute" in first[2]


def test_the_document_keeps_its_contract():
    found = json.loads(json.dumps(document(ask("tf14-3090"))))
    assert found["schema"] == "envsolve/solution-1"
    assert {"request", "host", "status", "chosen", "alternatives", "conflict"} <= found.keys()
    assert {"driver", "gpus", "cpu_flags", "engine"} <= found["host"].keys()
    stack = {
        "device", "verdict", "fidelity", "frameworks", "python", "cuda", "cudnn", "cuda_source", "os", "glibc",
        "base_image", "driver_min", "reasons", "warnings", "command",
    }  # fmt: skip
    assert stack <= found["chosen"].keys()
    assert {"name", "package", "version", "origin", "build"} == found["chosen"]["frameworks"][0].keys()
    assert {"axis", "fact", "text", "source", "how", "checked"} == found["chosen"]["reasons"][0].keys()
    assert {"change", "command", "gives"} == found["unmet"][0]["relaxations"][0].keys()


def test_why_speaks_of_one_axis_or_all():
    stack = ask("tf14-1080").chosen
    assert "needs CUDA 8.0" in why(stack, "cuda")
    assert why(stack, "python") and "glibc" not in why(stack, "python")
    assert len(why(stack)) > len(why(stack, "cuda"))
    assert why(stack, "nonsense") == ""


def test_only_an_option_that_suffices_alone_is_offered_in_the_first_lines():
    """With an old driver JIT alone does not help: it would take another release as well."""
    request = build_request(["tf==1.12"], FACTS, gpu=("V100",), driver="375.26")
    solution = solve(request, Host(driver="375.26", gpus=(parse_gpu("V100", FACTS),)), FACTS)
    assert any("--accept jit" in way.command for way in solution.unmet[0].relaxations)
    assert "--accept" not in answer(solution).splitlines()[2]
