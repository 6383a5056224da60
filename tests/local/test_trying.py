"""``envsolve try`` for real: an old Python's environment, made of the index's files, in which scripts fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envsolve.engine.base import BuildSettings
from envsolve.engine.local import LocalEngine
from envsolve.interpreters import find_interpreters
from envsolve.lock.document import dump, load
from envsolve.talk import Talk

HERE = Path(__file__).parent
RESOLVER = HERE.parents[1] / "resolver"

pytestmark = [pytest.mark.local, pytest.mark.index]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder, prefix, variables) of an environment of Python 3.6 with NumPy, asked for as a framework's would be."""
    if not any(found.version.startswith("3.6.") for found in find_interpreters()):
        pytest.skip("no Python 3.6 on this machine")
    root = tmp_path_factory.mktemp("try")
    lock = load((HERE / "small-36.lock").read_text())
    (root / "envsolve.lock").write_text(dump(lock))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "STATE", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(root / name.lower()))
        LocalEngine().build(root, lock, BuildSettings(prefix=root / "prefix"), Talk(quiet=True))
        yield root, root / "prefix", {**os.environ, "PYTHONPATH": str(RESOLVER)}


def attempt(built, work, code, *options, command=("python", "train.py")):
    folder, prefix, variables = built
    (work / "train.py").write_text(code)
    words = ["try", str(folder), "--prefix", str(prefix), *options, "--", *command]
    return subprocess.run(
        [sys.executable, "-m", "envsolve", *words], cwd=work, env=variables, capture_output=True, text=True, check=False
    )


def test_what_works_ends_as_the_command_does_and_says_nothing_more(built, tmp_path):
    done = attempt(built, tmp_path, "import sys, numpy\nprint(sys.version_info[:2], numpy.__version__)\n")
    assert (done.returncode, done.stdout) == (0, "(3, 6) 1.13.3\n")
    assert "Tried" not in done.stderr


def test_the_exit_code_is_the_commands_own(built, tmp_path):
    done = attempt(built, tmp_path, "import sys\nsys.exit(41)\n")
    assert done.returncode == 41
    assert "shows no Python error: nothing is known" in done.stderr
    assert attempt(built, tmp_path, "", command=("no-such-program",)).returncode == 127


def test_a_fault_of_ones_own_is_said_to_be_unknown(built, tmp_path):
    done = attempt(built, tmp_path, "raise ValueError('seven')\n")
    assert done.returncode == 1
    assert "Error    ValueError: seven (train.py:1)" in done.stderr
    assert "Known    nothing" in done.stderr


def test_a_document_on_stdout_and_the_commands_output_aside(built, tmp_path):
    code = "import numpy\nprint('started')\nfor i in xrange(3): pass\n"
    done = attempt(built, tmp_path, code, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit"] == 1
    assert "started\n" in done.stderr
    assert told["schema"] == "envsolve/try-1"
    assert (told["error"]["kind"], told["error"]["line"]) == ("NameError", 3)
    assert "xrange is Python <3" in told["findings"][0]["why"]


def test_a_module_of_ones_own_is_found_and_the_command_offered_works(built, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("print('helped')\n")
    done = attempt(built, tmp_path, "import helper\n", "--json")
    offered = json.loads(done.stdout)["findings"][0]["again"]
    assert offered == "env PYTHONPATH=lib python train.py"
    again = attempt(built, tmp_path, "import helper\n", command=offered.split())
    assert (again.returncode, again.stdout) == (0, "helped\n")
