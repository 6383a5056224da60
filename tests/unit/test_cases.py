"""Every question under tests/cases gets the answer its file demands, from the database as it is."""

import sys
from pathlib import Path

import pytest

from envsolve.explain import answer
from envsolve.host import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver import solve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*.toml"))
FACTS = load()
FLAGS = ("avx", "avx2", "fma", "sse4_1", "sse4_2")


def ask(case):
    asked = dict(case["ask"])
    words = asked.pop("words")
    for key in ("gpu", "accept"):
        if key in asked:
            asked[key] = tuple(asked[key])
    request = build_request(words, FACTS, **asked)
    gpus = tuple(parse_gpu(text, FACTS) for text in request.gpu if text not in ("auto", "none"))
    host = Host(driver=request.driver, gpus=gpus, cpu_flags=case.get("host", {}).get("cpu_flags", FLAGS))
    return solve(request, host, FACTS)


def check_stack(stack, expect):
    for key in ("device", "verdict", "fidelity", "python", "cuda", "cudnn", "cuda_source", "os", "base_image"):
        if key in expect:
            wanted = expect[key] if isinstance(expect[key], list) else [expect[key]]
            assert (getattr(stack, key) or "") in wanted, key
    versions = {f.name: f.version for f in stack.frameworks}
    assert expect.get("frameworks", {}).items() <= versions.items()
    assert set(expect.get("warnings", ())) <= {w.code for w in stack.warnings}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path):
    case = tomllib.loads(path.read_text())
    solution = ask(case)
    expect = case["expect"]
    text = answer(solution)
    if expect.get("conflict"):
        assert solution.status == "conflict", text
        ways = solution.conflict.relaxations
    else:
        assert solution.status == "solved", text
        check_stack(solution.chosen, expect)
        ways = [way for unmet in solution.unmet for way in unmet.relaxations]
    for wanted in [*expect.get("relaxations", ()), *expect.get("unmet", ())]:
        assert any(wanted in way.command for way in ways), (wanted, text)
    for words in expect.get("says", ()):
        assert words in text, text


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_way_out_is_a_way_out(path):
    """Each command that an answer offers solves, and gives what was said it would give."""
    solution = ask(tomllib.loads(path.read_text()))
    offered = list(solution.conflict.relaxations) if solution.conflict else []
    offered += [way for unmet in solution.unmet for way in unmet.relaxations]
    for way in offered:
        again = answer_to(way.command, solution.host)
        assert again.status == "solved", way.command
        assert again.chosen.frameworks == way.gives.frameworks, way.command
        assert (again.chosen.device, again.chosen.verdict) == (way.gives.device, way.gives.verdict), way.command


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_alternative_is_what_its_command_gives(path):
    """The command of each other stack gives that stack, at the price that was named."""
    solution = ask(tomllib.loads(path.read_text()))
    for other in solution.alternatives:
        host = solution.host
        if other.axis == "gpus":
            host = host.model_copy(update={"gpus": tuple(g for g in host.gpus if g.name in other.command)})
        again = answer_to(other.command, host)
        assert again.status == "solved", other.command
        for field in ("frameworks", "device", "verdict", "fidelity", "python", "os", "cuda", "base_image"):
            assert getattr(again.chosen, field) == getattr(other, field), (field, other.command)
        assert other.costs, other.command


def answer_to(command, host):
    """Solve a command line as the user would run it."""
    import shlex

    words, options = [], {"gpu": [], "accept": []}
    parts = iter(shlex.split(command)[1:])
    for part in parts:
        if part == "--require-gpu":
            options["require_gpu"] = True
        elif part in ("--gpu", "--accept"):
            options[part[2:]].append(next(parts))
        elif part.startswith("--"):
            options[part[2:].replace("-", "_")] = next(parts)
        else:
            words.append(part)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if v != []}
    request = build_request(words, FACTS, **options)
    gpus = host.gpus if request.gpu != ("none",) else ()
    return solve(request, host.model_copy(update={"driver": request.driver or host.driver, "gpus": gpus}), FACTS)
