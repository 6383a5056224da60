"""The main job, end to end, as a person runs it: answer, lock, folder, image, proof. Real engine, real index."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.index]

JOBS = {
    "tf14-keras208": (
        ["tf==1.4", "keras==2.0.8"],
        "python:3.6.15-slim-bullseye",
        {"tensorflow": "1.4.1", "keras": "2.0.8"},
    ),
    "tf14-keras208-27": (
        ["tf==1.4", "keras==2.0.8", "--python", "2.7"],
        "python:2.7.18-slim-buster",
        {"tensorflow": "1.4.1", "keras": "2.0.8"},
    ),
    "theano09-keras122": (
        ["theano==0.9", "keras==1.2.2"],
        "python:3.6.15-slim-bullseye",
        {"theano": "0.9.0", "keras": "1.2.2"},
    ),
}


def envsolve(*words, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ENVSOLVE_")}
    command = [sys.executable, "-m", "envsolve", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.mark.parametrize("job", JOBS)
def test_it_solves_locks_renders_builds_and_proves(job, base, tmp_path):
    words, reference, versions = JOBS[job]
    base(reference)
    done = envsolve(*words, "--gpu", "none", "--build", "--backend", "docker", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    printed = json.loads(done.stdout)
    assert printed["chosen"]["base_image"] == reference
    report = json.loads((tmp_path / "envsolve" / "smoke-report.json").read_text())
    assert report["ok"] and report["device"] == "cpu"
    assert versions.items() <= report["versions"].items()
    assert {"numpy"} < {check["name"] for check in report["checks"] if check["ok"]}
    assert envsolve("lock", "envsolve", "--check", cwd=tmp_path).returncode == 0
    assert envsolve("render", "envsolve", "--check", cwd=tmp_path).returncode == 0
    again = envsolve("smoke", "envsolve", "--backend", "docker", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr[-2000:]


def test_a_version_that_is_not_the_locked_one_fails_the_proof(base, tmp_path):
    """The proof can fail: the same image, held against a lock that says otherwise."""
    words, reference, _ = JOBS["tf14-keras208"]
    base(reference)
    done = envsolve(*words, "--gpu", "none", "--build", "--backend", "docker", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    probe = tmp_path / "envsolve" / "smoke.py"
    command = [
        "docker",
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        "envsolve/tensorflow1.4.1-keras2.0.8-py3.6-cpu",
    ]
    image = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    expectation = {"packages": {"numpy": "1.0.0"}}
    run = ["docker", "run", "--rm", "--network", "none", "-v", f"{probe}:/probe.py:ro", image, "python", "/probe.py"]
    shown = subprocess.run([*run, json.dumps(expectation)], capture_output=True, text=True)
    assert shown.returncode == 1, shown.stderr[-2000:]
    assert json.loads(shown.stdout.splitlines()[-1])["ok"] is False
