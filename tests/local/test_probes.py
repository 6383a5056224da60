"""Probes of frameworks, for real: in an environment that envsolve makes here each passes, and sees what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envsolve.facts import Verified
from envsolve.interpreters import find_interpreters

pytestmark = [pytest.mark.local, pytest.mark.index]

HERE = Path(__file__).parent
HAVE = {".".join(found.version.split(".")[:2]) for found in find_interpreters()}
ASKED = {
    "mxnet": (["mxnet==1.5"], "3.6"),
    "chainer": (["chainer==7.8"], "3.8"),
    "jax": (["jax==0.4.30"], "3.9"),
    "tensorflow": (["tf==1.4"], "3.6"),
    "torch": (["torch==1.7.1"], "3.9"),
}
OF_ALL = {"matmul", "convolution", "batch norm", "training step", "device"}


def envsolve(*words):
    command = [sys.executable, "-m", "envsolve", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=sorted(ASKED))
def made(request, tmp_path_factory):
    """(framework, folder, options that find what was built, the document of the build)."""
    words, python = ASKED[request.param]
    if python not in HAVE:
        pytest.skip(f"no Python {python} on this machine")
    root = tmp_path_factory.mktemp(request.param)
    where = ["--backend", "local", "--prefix", root / "prefix"]
    ask = [*words, "--python", python, "--gpu", "none", "-o", root / "folder", "--build", "--json", *where]
    done = envsolve(*ask)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return request.param, root / "folder", where, json.loads(done.stdout)


def test_every_check_of_the_framework_passes(made):
    framework, _, _, document = made
    report = document["smoke"]
    names = {check["name"] for check in report["checks"]}
    assert report["ok"]
    assert {f"{framework} {what}" for what in OF_ALL} <= names
    assert names & {f"{framework} LSTM", f"{framework} scan"}
    assert report["first_ops"][framework]["first"] > 0
    assert (report["libraries"], report["gpus"], report["driver"], report["unproven"]) == ([], [], None, [])


def test_every_check_sees_its_framework_compute_wrongly(made):
    framework, folder, where, _ = made
    python = Path(where[-1]) / "bin" / "python"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, "-B", HERE / "check_probe.py", folder, framework]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    assert run.stdout.count(" saw: ") >= 5


def test_a_check_of_ones_own_runs_in_it_and_the_result_is_recorded(made, tmp_path):
    framework, folder, where, _ = made
    script = tmp_path / "check.py"
    script.write_text(f"import {framework}\nprint('mine', {framework}.__version__)\n")
    done = envsolve("smoke", folder, *where, "--smoke", script, "--record-to", tmp_path / "fact.json", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["smoke"]["own"]["lines"][-1].startswith("mine ")
    assert document["recorded"] == str(tmp_path / "fact.json")
    fact = Verified.model_validate_json((tmp_path / "fact.json").read_text())
    assert fact.ok
    assert f"{framework} matmul" in fact.ran
    script.write_text("raise SystemExit('worse than the paper')\n")
    done = envsolve("smoke", folder, *where, "--smoke", script)
    assert done.returncode == 6
    assert "worse than the paper" in done.stderr
