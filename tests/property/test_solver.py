"""Random questions to the real database: every answer satisfies the rows, read here independently of the rules."""

import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host, Request, Target
from envsolve.solver import solve

FACTS = load()
RELEASES = [(name, b) for name in FACTS.framework_names() for b in FACTS.framework(name).builds if b.origin == "index"]
GPUS = sorted({a.compute_capability for a in FACTS.architectures})
DRIVERS = [None, "367.48", "384.81", "418.39", "450.80.02", "470.57.02", "535.104.05", "580.65.06"]


@st.composite
def questions(draw):
    name, build = draw(st.sampled_from(RELEASES))
    target = Target(text=f"{name}=={build.version}", name=name, specifier=f"=={build.version}")
    gpus = draw(st.lists(st.sampled_from(GPUS), max_size=2, unique=True))
    driver = draw(st.sampled_from(DRIVERS))
    request = Request(
        targets=(target,),
        gpu=tuple(gpus) or ("none",),
        driver=driver,
        require_gpu=bool(gpus) and draw(st.booleans()),
        python=draw(st.sampled_from([None, None, *FACTS.pythons])),
        accept=tuple(sorted(draw(st.sets(st.sampled_from(["jit", "substitute"]))))),
    )
    host = Host(
        driver=driver,
        gpus=tuple(parse_gpu(g, FACTS) for g in gpus),
        cpu_flags=draw(st.sampled_from([(), ("avx", "avx2", "fma"), ("sse4_2",)])),
    )
    return request, host


def numbers(text):
    return [int(part) for part in text.split(".")]


def row_of(choice):
    return next(b for b in FACTS.framework(choice.name).builds if f"{b.package}=={b.version}" == choice.build)


def check(stack, request, host):
    image, system = FACTS.images[stack.base_image], FACTS.systems[stack.os]
    assert image.os == stack.os
    pythons = [image.python] if image.python else [p.full for p in system.pythons]
    if stack.python_image:
        donor = FACTS.images[stack.python_image]
        assert not (image.python or image.framework or donor.cuda or donor.framework)
        assert numbers(system.glibc) >= numbers(donor.python_glibc or FACTS.systems[donor.os].glibc)
        assert not any(numbers(p)[:2] == numbers(stack.python) for p in pythons)  # only where it has none of its own
        pythons = [donor.python]
    assert any(numbers(p)[:2] == numbers(stack.python) for p in pythons)
    if stack.device == "gpu":
        assert host.gpus
        assert stack.verdict == "native" or (stack.verdict == "jit" and "jit" in request.accept)
        if host.driver:
            assert numbers(host.driver) >= numbers(FACTS.toolkits[stack.cuda].driver_min)
    else:
        assert (stack.cuda, stack.cudnn, image.cuda) == (None, None, None)
    assert stack.fidelity == "exact" or "substitute" in request.accept
    chosen = {choice.name: choice.version for choice in stack.frameworks}
    for name, version in chosen.items():
        needed = [o for v, o in FACTS.framework(name).gpu_backends.items() if version in SpecifierSet(v)]
        assert stack.device == "cpu" or set(needed) <= set(chosen)
        for pairing in FACTS.framework(name).pairings:
            if pairing.kind == "companion" and pairing.other in chosen and version in SpecifierSet(pairing.versions):
                assert chosen[pairing.other] in SpecifierSet(pairing.other_versions)
    for choice in stack.frameworks:
        build = row_of(choice)
        assert stack.python in build.pythons
        assert stack.device in build.devices
        assert not build.systems or stack.os in build.systems
        assert not (build.glibc and numbers(build.glibc) > numbers(system.glibc))
        assert not (build.glibc_below and numbers(build.glibc_below) <= numbers(system.glibc))
        assert not (host.cpu_flags and set(build.cpu) - set(host.cpu_flags))
        if stack.device == "gpu" and build.cuda_source:
            assert build.cuda == stack.cuda
            if build.cuda_source == "system" and build.cudnn:
                want, have = numbers(build.cudnn)[:2], numbers(stack.cudnn)[:2]
                assert want[0] == have[0] and want <= have
                assert build.cudnn_rule != "same-minor" or want == have


@given(questions())
@settings(max_examples=120, deadline=None)
def test_every_answer_satisfies_the_rows_and_every_way_out_works(question):
    request, host = question
    solution = solve(request, host, FACTS)
    assert solution == solve(request, host, FACTS)
    if solution.chosen is None:
        assert solution.conflict.core
        ways = solution.conflict.relaxations
    else:
        check(solution.chosen, request, host)
        everything = request.model_copy(update={"accept": ("jit", "substitute")})
        for other in solution.alternatives:
            check(other, everything, host)
            assert other.costs
        ways = [way for unmet in solution.unmet for way in unmet.relaxations]
        wanted = request.targets[0]
        exact = [f for f in solution.chosen.frameworks if f.name == wanted.name and f.origin == "index"]
        assert all(Version(f.version) == Version(wanted.specifier[2:]) for f in exact)
    for way in ways:
        assert way.gives.device == "gpu" or not request.require_gpu or "--require-gpu" not in way.command


@given(questions())
@settings(max_examples=40, deadline=None)
def test_asking_for_less_never_makes_it_unsolvable(question):
    request, host = question
    if solve(request, host, FACTS).status == "solved":
        for less in ({"python": None}, {"require_gpu": False}, {"accept": ("jit", "substitute")}):
            assert solve(request.model_copy(update=less), host, FACTS).status == "solved"


def test_the_answer_does_not_hang_on_the_hash_seed(tmp_path):
    def answer(seed):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "envsolve", "tf==1.4", "keras", "--gpu", "RTX 3090", "--driver", "535.104"]
        done = subprocess.run(
            [*command, "--dry-run", "--json"], capture_output=True, env=environment, check=True, cwd=tmp_path
        )
        return done.stdout

    assert answer("0") == answer("1") == answer("2")
