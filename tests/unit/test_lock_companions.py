"""What a framework's releases are known to work with, as limits of its lock; and the extra that brings its CUDA."""

import pytest
from lock_world import HOST, World, facts, request, stack

from envsolve.errors import NoCombinationError
from envsolve.facts import Framework
from envsolve.lock import make_lock
from envsolve.lock.capping import companion_limits

PAIRING = {"versions": "==1.*", "other": "board", "other_versions": ">=1,<2", "kind": "companion", "notes": "pair them"}
PYTHON = {"version": "2.0", "released": "2018-01-01"}


@pytest.fixture
def world():
    world = World().tools()
    world.wheel("fw", "1.0", "2017-05-01", "board").wheel("fw", "2.0", "2017-05-01", "board")
    world.wheel("board", "1.5", "2016-01-01").wheel("board", "2.0", "2017-01-01")
    yield world
    world.close()


@pytest.fixture
def lock(world, tmp_path):
    def make(framework, companions=(), device="cpu", pairings=(PAIRING,), builds=None):
        builds = builds or [{"package": "fw"}, {"package": "fw", **PYTHON}, {"package": "fw-gpu"}]
        database = facts(tmp_path, frameworks={"fw": {"builds": builds, "pairings": pairings}})
        chosen = stack(framework).model_copy(update={"device": device})
        asked = request(framework.removeprefix("fw="), companions=companions)
        made = make_lock(chosen, asked, HOST, database, index=world.index(tmp_path))
        return {package.name: package.version for package in made.packages if package.phase != "build"}

    return make


@pytest.mark.parametrize(("version", "board"), [("1.0", "1.5"), ("2.0", "2.0")])
def test_a_companion_limits_what_the_framework_leaves_open(lock, version, board):
    assert lock(f"fw=fw=={version}")["board"] == board


def test_a_companion_speaks_for_every_package_of_the_framework(world, lock):
    world.wheel("fw-gpu", "1.0", "2017-05-01", "board")
    assert lock("fw=fw-gpu==1.0")["board"] == "1.5"


def test_a_backend_is_no_limit(lock):
    assert lock("fw=fw==1.0", pairings=[{**PAIRING, "kind": "backend"}])["board"] == "2.0"


def test_a_companion_that_nothing_wants_is_not_looked_at(world, lock):
    assert set(lock("fw=fw==1.0", pairings=[{**PAIRING, "other": "absent"}])) == {"fw", "board"}
    assert not [path for path in world.log if "absent" in path]


def test_what_contradicts_a_companion_is_told_with_its_source(lock):
    with pytest.raises(NoCombinationError) as error:
        lock("fw=fw==1.0", companions=["board==2.0"])
    told = [fact for fact in error.value.facts if "companion" in fact]
    assert told == [
        "fw==1.0 needs board>=1,<2: pair them (cap companion fw==1.0 board; https://example.org/fact)"
    ]  # fmt: skip


def test_a_limit_without_a_note_says_what_goes_with_what():
    row = {**{k: v for k, v in PAIRING.items() if k != "notes"}, "evidence": {"*": "test"}}
    framework = Framework.model_validate(
        {"name": "fw", "module": "fw", "evidence": {}, "builds": [], "pairings": [row]}
    )
    (cap,) = companion_limits(framework, "fw", "1.0+local")
    assert cap.why == "fw ==1.* goes with board of these releases"
    assert not list(companion_limits(framework, "fw", "2.0"))


@pytest.mark.parametrize(("device", "packages"), [("gpu", {"fw", "cu"}), ("cpu", {"fw"})])
def test_the_extra_that_brings_cuda_is_taken_on_a_gpu_only(world, lock, device, packages):
    world.wheel("cu", "1.0", "2017-01-01")
    world.wheel("fw", "3.0", "2017-05-01", 'cu; extra == "and-cuda"')
    build = {"package": "fw", "version": "3.0", "devices": ["cpu", "gpu"], "cuda_extra": "and-cuda"}
    assert set(lock("fw=fw==3.0", builds=[build], pairings=(), device=device)) == packages
