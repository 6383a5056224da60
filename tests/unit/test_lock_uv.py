"""Closures beside uv's, where uv can solve: the same versions, or a listed reason. Real index, real uv."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from envsolve.errors import EnvsolveError
from envsolve.lock.index import Index
from envsolve.lock.pipconfig import user_config

pytestmark = pytest.mark.index

PATH = Path(__file__).parents[2] / "benchmarks" / "lock_speed.py"
_spec = importlib.util.spec_from_file_location("lock_speed", PATH)
speed = importlib.util.module_from_spec(_spec)
sys.modules["lock_speed"] = speed
_spec.loader.exec_module(speed)


@pytest.fixture(scope="module")
def uv():
    command = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if command is None:
        pytest.skip("there is no uv here")
    index = Index(user_config())
    try:
        index.project("pip")
    except EnvsolveError as error:
        pytest.skip(f"no package index: {error.message}")
    finally:
        index.close()
    return command


@pytest.mark.parametrize("name", speed.CASES)
def test_the_closure_is_uvs(uv, name, tmp_path):
    case = speed.CASES[name]
    one = speed.ours(case, tmp_path / "ours")
    other = speed.uvs(case, tmp_path / "uv", uv)
    assert len(one) > 5
    assert speed.differences(case, one, other) == []
