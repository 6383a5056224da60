"""Theano and its family, MXNet, Chainer, CNTK, Caffe: what the rows must say, and what the solver makes of them."""

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.facts import LOCKABLE
from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver import solve
from envsolve.solver.question import Question

ROOT = Path(__file__).parents[2]
THEANO = ("theano", "lasagne", "blocks", "fuel", "pylearn2", "theano-pymc", "aesara", "pytensor")
NAMES = (*THEANO, "mxnet", "gluoncv", "gluonnlp", "chainer", "cupy", "cntk", "caffe")
FLAGS = ("avx", "avx2", "fma", "sse4_1", "sse4_2")
MEASURED = {"sass": ("6.0", "7.0"), "ptx": ("7.0",)}


@pytest.fixture(scope="module")
def facts():
    return load(ROOT / "matrices")


def builds(facts, name):
    return {f"{b.package}=={b.version}": b for b in facts.framework(name).builds}


def ask(facts, *words, gpu=("none",), **options):
    request = build_request(words, facts, gpu=gpu, **options)
    gpus = tuple(parse_gpu(text, facts) for text in gpu if text != "none")
    return solve(request, Host(driver=request.driver, gpus=gpus, cpu_flags=FLAGS), facts)


def with_gpu_code(monkeypatch, facts, name, packages):
    """The framework as if of all its wheels these alone had been read: they hold code for the V100."""
    row, unknown = facts.framework(name), {"sass": None, "ptx": None}
    new = tuple(b.model_copy(update=MEASURED if b.package in packages else unknown) for b in row.builds)
    monkeypatch.setitem(facts._frameworks, name, row.model_copy(update={"builds": new}))


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_gpu_builds_say_where_cuda_comes_from(facts, name):
    rows = facts.framework(name).builds
    ids = [f"{b.package}=={b.version}" for b in rows]
    assert len(ids) == len(set(ids))
    # A build for the GPU only whose CUDA nobody brings would pass every check of its GPU code.
    assert not [b for b in rows if b.devices == ("gpu",) and b.cuda_source is None]


@pytest.mark.parametrize(
    ("name", "build", "pythons"),
    [
        ("theano", "theano==0.7.0", "2.7 3.4 3.5 3.6"),
        ("mxnet", "mxnet==0.9.5", "2.7 3.4 3.5 3.6"),
        ("mxnet", "mxnet==1.9.1", "3.5 3.6 3.7 3.8 3.9"),
        ("chainer", "chainer==6.7.0", "2.7 3.5 3.6 3.7 3.8"),
        ("cupy", "cupy-cuda80==4.5.0", "2.7 3.4 3.5 3.6"),
        ("cupy", "cupy-cuda110==7.8.0", "3.5 3.6 3.7 3.8"),
        ("cntk", "cntk==2.7", "3.5 3.6"),
    ],
)
def test_pythons(facts, name, build, pythons):
    assert sorted(builds(facts, name)[build].pythons, key=Version) == pythons.split()


def test_packages_of_one_framework_by_the_cuda_in_their_names(facts):
    mxnet, cupy = builds(facts, "mxnet"), builds(facts, "cupy")
    assert mxnet["mxnet-cu92==1.7.0"].cuda == "9.2"
    assert mxnet["mxnet-cu101mkl==1.5.1.post0"].cuda == "10.1"
    plain = [b for b in mxnet.values() if b.package in ("mxnet", "mxnet-mkl", "mxnet-native")]
    assert {b.cuda for b in plain if b.origin != "nvidia"} == {None}
    assert mxnet["mxnet-cu110==1.9.1"].cudnn == "8.0"
    assert "mxnet-cu117==1.0.0" not in mxnet
    assert cupy["cupy-cuda102==7.8.0"].cuda == "10.2"
    assert cupy["cupy==7.8.0"].source_only
    assert facts.aliases["mxnet-cu92"] == "mxnet"
    assert facts.aliases["cupy-cuda110"] == "cupy"


def test_every_chainer_that_takes_cupy_names_its_cupy(facts):
    """The range is Chainer's own, and holds a release that exists."""
    chainer, cupy = facts.framework("chainer"), facts.framework("cupy").builds
    for build in chainer.builds:
        rows = [p for p in chainer.pairings if Version(build.version) in SpecifierSet(p.versions)]
        needs = any(Version(build.version) in SpecifierSet(v) for v in chainer.gpu_backends)
        assert len(rows) == int(needs), build.version
        for row in rows:
            assert any(SpecifierSet(row.other_versions).contains(b.version) for b in cupy), build.version


@pytest.mark.parametrize("name", ["lasagne", "blocks", "pylearn2", "gluoncv", "gluonnlp"])
def test_every_release_of_a_front_end_has_a_back_end_that_exists(facts, name):
    row = facts.framework(name)
    for build in row.builds:
        backend = next(b for v, b in row.default_backends.items() if SpecifierSet(v).contains(build.version, True))
        ranges = [
            SpecifierSet(p.other_versions)
            for p in row.pairings
            if p.other == backend and SpecifierSet(p.versions).contains(build.version, True)
        ]
        assert any(b.version in r for b in facts.framework(backend).builds for r in ranges), build.version


# -- what is needed on a GPU only ----------------------------------------------------------------------------


def test_chainer_takes_cupy_on_a_gpu_and_not_on_the_cpu(monkeypatch, facts):
    with_gpu_code(monkeypatch, facts, "cupy", {"cupy-cuda100", "cupy-cuda90"})
    found = ask(facts, "chainer==6.7", gpu=("v100",), driver="450.80.02")
    chosen = {f.name: f.build for f in found.chosen.frameworks}
    assert (found.chosen.device, found.chosen.verdict, found.chosen.cuda) == ("gpu", "native", "10.0")
    assert chosen == {"chainer": "chainer==6.7.0", "cupy": "cupy-cuda100==6.7.0"}
    assert any("needs cupy on a GPU" in reason.text for reason in found.chosen.reasons)
    on_cpu = next(stack for stack in found.alternatives if stack.device == "cpu")
    assert [f.name for f in on_cpu.frameworks] == ["chainer"]


def test_without_a_gpu_cupy_is_not_even_asked_about(facts):
    request = build_request(["chainer==6.7"], facts, gpu=("none",))
    assert Question(request, Host(), facts).frameworks == ["chainer"]


def test_chainer_1_needs_no_cupy_package(monkeypatch, facts):
    with_gpu_code(monkeypatch, facts, "cupy", {"cupy-cuda100"})
    found = ask(facts, "chainer==1.24", gpu=("v100",), driver="450.80.02")
    assert [f.name for f in found.chosen.frameworks] == ["chainer"]
    assert found.chosen.device == "cpu"


def test_why_no_gpu_names_the_need_and_what_is_not_known(monkeypatch, facts):
    with_gpu_code(monkeypatch, facts, "cupy", ())
    found = ask(facts, "chainer==2.1", gpu=("v100",), driver="450.80.02")
    assert found.chosen.device == "cpu"
    assert [f.name for f in found.chosen.frameworks] == ["chainer"]
    core = " | ".join(reason.text for reason in found.unmet[0].core)
    assert "chainer 2.1.0 needs cupy on a GPU" in core
    assert "what GPU code cupy 1.0" in core


def test_as_of_a_day_before_any_cupy_wheel_leaves_the_cpu(monkeypatch, facts):
    with_gpu_code(monkeypatch, facts, "cupy", {"cupy-cuda80", "cupy-cuda90"})
    asked = ("chainer>=2,<5",)
    early = ask(facts, *asked, gpu=("v100",), driver="450.80.02", as_of="2018-04-01")
    assert early.chosen.device == "cpu"
    later = ask(facts, *asked, gpu=("v100",), driver="450.80.02", as_of="2018-10-01")
    assert later.chosen.device == "gpu"
    assert {f.build for f in later.chosen.frameworks} == {"chainer==4.5.0", "cupy-cuda90==4.5.0"}


def test_cupy_that_was_asked_for_is_not_left_out(facts):
    found = ask(facts, "chainer==7.8", "cupy==7.8")
    assert found.status == "conflict"
    core = " | ".join(reason.text for reason in found.conflict.core)
    assert "built for the GPU only" in core
    assert "--gpu none" in core


# -- what is known and not offered ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["blocks", "pylearn2", "caffe"])
def test_known_builds_that_no_lock_can_hold_are_said_and_not_offered(facts, name):
    assert {b.origin for b in facts.framework(name).builds}.isdisjoint(LOCKABLE)
    found = ask(facts, name)
    assert found.status == "conflict"
    assert any("no lock can be made of it" in reason.text for reason in found.conflict.core)


def test_a_lockable_release_is_offered_instead_of_one_that_is_not(facts):
    found = ask(facts, "cntk==2.3.1")
    assert found.status == "conflict"
    assert {b.origin for b in builds(facts, "cntk").values()} == {"index", "url"}
    assert any("cntk" in way.command and "2.3.1" not in way.command for way in found.conflict.relaxations)


def test_theano_promises_no_gpu(facts):
    assert all(b.devices == ("cpu",) for b in builds(facts, "theano").values())
    assert all("on a GPU" in b.notes for b in builds(facts, "theano").values())
    pygpu = {p.versions: p.other_versions for p in facts.framework("theano").pairings if p.other == "pygpu"}
    assert pygpu == {"==0.9.*": ">=0.6.1,<0.7", ">=1.0,<1.1": ">=0.7,<0.8"}
