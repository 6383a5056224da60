"""The same question gets the same bytes from every Python that envsolve runs on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envsolve.interpreters import find_interpreters

pytestmark = [pytest.mark.local, pytest.mark.index]

RESOLVER = Path(__file__).parents[2] / "resolver"
NEEDS = ["packaging", "platformdirs", "pydantic", "typer", "tomli"]
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = {
    minor: i.path
    for i in find_interpreters()
    if (minor := ".".join(i.version.split(".")[:2])) != OURS and int(minor.split(".")[1]) >= 10 and minor[0] == "3"
}
ENDS = sorted({min(OTHERS), max(OTHERS, key=lambda minor: int(minor.split(".")[1]))}) if OTHERS else []
"""The oldest and the newest: making an environment for each takes a while."""
QUESTIONS = [
    ["tf==1.4", "keras==2.0.8", "--gpu", "RTX 3090", "--driver", "535.104"],
    ["theano==0.9", "keras==1.2.2", "--python", "3.8", "--os", "debian12", "--gpu", "none"],
    ["torch==1.7.1", "--gpu", "V100", "--gpu", "RTX 3090", "--driver", "535.104"],
]


def answer(python, words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(RESOLVER), "XDG_CACHE_HOME": str(cwd / "cache"), "NO_COLOR": "1"}
    command = [str(python), "-m", "envsolve", *words, "--dry-run", "--json"]
    done = subprocess.run(command, capture_output=True, cwd=cwd, env=environment, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("minor", ENDS or [pytest.param("", marks=pytest.mark.skip("no other Python >= 3.10 here"))])
def test_another_python_gives_the_same_bytes(minor, tmp_path):
    venv = tmp_path / "venv"
    made = subprocess.run([OTHERS[minor], "-m", "venv", venv], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"Python {minor} makes no environment: {made.stderr.decode()[-200:]}")
    pip = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "install", "-q", *NEEDS], capture_output=True, check=False
    )
    if pip.returncode:
        pytest.skip(f"no package index: {pip.stderr.decode()[-200:]}")
    for words in QUESTIONS:
        ours = answer(sys.executable, words, tmp_path)
        assert ours
        assert answer(venv / "bin" / "python", words, tmp_path) == ours
