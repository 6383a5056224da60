"""Locks of real legacy stacks from the user's own index; as of a past date their answer does not change."""

from datetime import date

import pytest
from lock_world import HOST, facts, request, stack

from envsolve.errors import NoCombinationError, NotReadyError
from envsolve.lock import make_lock
from envsolve.lock.index import Index
from envsolve.lock.pipconfig import user_config
from envsolve.pipeline import answer, prepare, relock
from envsolve.talk import Talk

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    index = Index(user_config(), cache_dir=tmp_path_factory.mktemp("cache"))
    try:
        index.project("pip")
    except NotReadyError as error:
        pytest.skip(f"no package index: {error.message}")
    yield index
    index.close()


COMMON = {
    "bleach": "1.5.0",
    "html5lib": "0.9999999",
    "keras": "2.0.8",
    "markdown": "2.6.11",
    "numpy": "1.14.0",
    "protobuf": "3.5.1",
    "pyyaml": "3.12",
    "scipy": "1.0.0",
    "six": "1.11.0",
    "tensorflow": "1.4.1",
    "tensorflow-tensorboard": "0.4.0rc3",
    "werkzeug": "0.14.1",
    "setuptools": "38.4.0",
    "wheel": "0.30.0",
}
PYTHON2 = {
    "backports-weakref": "1.0.post1",
    "enum34": "1.1.6",
    "funcsigs": "1.0.2",
    "futures": "3.2.0",
    "mock": "2.0.0",
    "pbr": "3.1.1",
}


@pytest.mark.parametrize(
    ("python", "pins", "abi"),
    [("3.6", {**COMMON, "pip": "21.3.1"}, "cp36m"), ("2.7", {**COMMON, **PYTHON2, "pip": "20.3.4"}, "cp27mu")],
)
def test_tensorflow_1_4_with_keras(index, tmp_path, python, pins, abi):
    frameworks = ("tensorflow==1.4.1", "keras==2.0.8")
    lock = make_lock(stack(*frameworks, python=python), request(*frameworks), HOST, facts(tmp_path), index=index)
    assert lock.as_of == date(2018, 1, 7)
    assert {p.name: p.version for p in lock.packages} == pins
    assert {p.name for p in lock.packages if p.phase == "sdist"} == {"html5lib", "pyyaml"}
    tensorflow = next(p for p in lock.packages if p.name == "tensorflow")
    assert f"-{abi}-manylinux1_x86_64.whl" in tensorflow.filename and len(tensorflow.sha256) == 64


def test_a_file_that_the_index_deleted(index, tmp_path):
    asked = request("tensorflow==1.4.1", companions=["opencv-python==3.3.0.10"])
    with pytest.raises(NoCombinationError) as error:
        make_lock(stack("tensorflow==1.4.1"), asked, HOST, facts(tmp_path), index=index)
    assert "no release that is opencv-python==3.3.0.10 is on the index (any more): it has" in error.value.facts[0]


def test_another_python_where_nobody_asked_for_one(capsys):
    """torch 1.13.1 has wheels for 3.11, and the torchvision that goes with it has none that day."""
    solution = answer(["torch==1.13.1", "torchvision"], gpu=("none",))
    assert solution.chosen.python == "3.11"
    lock = prepare(solution, talk=Talk(False)).lock
    assert (lock.request.python, lock.python_full.rpartition(".")[0]) == ("3.10", "3.10")
    assert "torchvision" in {package.name for package in lock.packages}
    assert "Python 3.10 is taken instead" in capsys.readouterr().err
    assert relock(lock).packages == lock.packages
    asked = answer(["torch==1.13.1", "torchvision"], gpu=("none",), python="3.11")
    with pytest.raises(NoCombinationError, match=r"Python 3\.11"):
        prepare(asked)
