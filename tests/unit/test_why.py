"""``envsolve why DIR``: one axis, all, the tree, the drawing, a package; and what a lock of other facts says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = min(EXAMPLES.rglob("envsolve.lock")).parent


def why(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "envsolve", "why", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A lock of today's facts on any machine: an example's, with today's stack in it."""
    from envsolve.folder import read_lock
    from envsolve.lock.document import dump
    from envsolve.matrices import load
    from envsolve.solver import solve

    target = tmp_path / "env"
    shutil.copytree(FOLDER, target)
    lock = read_lock(target)
    stack = solve(lock.request, lock.host, load()).chosen
    (target / "envsolve.lock").write_text(dump(lock.model_copy(update={"stack": stack})))
    return target


def test_one_axis_says_what_others_failed_on(folder):
    done = why(folder, "python")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Python: ")
    assert "\n  not " in done.stdout
    assert "Sources:" in done.stdout


def test_all_axes_as_text_and_as_a_document(folder):
    text, document = why(folder, "--all"), why(folder, "--all", "--json")
    found = json.loads(document.stdout)
    assert found["schema"] == "envsolve/why-1"
    assert {"python", "os", "device"} <= {choice["axis"] for choice in found["choices"]}
    assert all(choice["value"] in text.stdout for choice in found["choices"])


def test_the_tree_and_the_drawing(folder):
    assert "└─ " in why(folder, "--tree").stdout
    assert why(folder, "--svg").stdout.startswith("<svg ")


def test_a_package_and_a_stranger(folder):
    assert "why it is here" in why(folder, "--package", "numpy").stdout
    done = why(folder, "--package", "no-such-package")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("nonsense",), ("python", "--tree"), ("--all", "--svg")])
def test_what_cannot_be_answered_is_wrong_usage(folder, words):
    done = why(folder, *words)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ")


def test_a_lock_of_other_facts_tells_what_it_holds_and_that_they_changed(folder):
    from envsolve.folder import read_lock
    from envsolve.lock.document import dump

    lock = read_lock(folder)
    (folder / "envsolve.lock").write_text(
        dump(lock.model_copy(update={"stack": lock.stack.model_copy(update={"os": "debian9"})}))
    )
    done = why(folder, "python")
    assert done.returncode == 0
    assert "today's facts" in done.stderr
    assert why(folder, "--tree").returncode == 2
