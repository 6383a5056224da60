"""buildah, for real: the same folder built without the daemon, found again, run, and what a failure says."""

import shutil
import subprocess

import pytest
from test_engine import private, settings

from envsolve.engine import select
from envsolve.engine.base import BuildSettings
from envsolve.engine.run import Run
from envsolve.errors import NotReadyError
from envsolve.render import image_name
from envsolve.repairs import fitting

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed"),
]
SLIM = "python:3.6.15-slim-bullseye"


def buildah(*words):
    return subprocess.run(["buildah", *words], capture_output=True, text=True)


@pytest.fixture
def pulled(base):
    """Have the base image in buildah's storage too, from the daemon's."""
    done = buildah("pull", "--policy=missing", f"docker-daemon:{base(SLIM)}")
    if done.returncode:
        pytest.skip(f"buildah cannot take the image over: {done.stderr.strip()[-200:]}")


def test_a_folder_is_built_found_and_run(pulled, private_index, written, talk, tmp_path, monkeypatch, capfd):
    engine, one = select("buildah"), private(private_index)
    folder = written(one)
    try:
        built = engine.build(folder, one, settings(private_index, no_cache=True), talk)
        assert engine.find(folder, one, BuildSettings()) is not None
        assert engine.build(folder, one, settings(private_index), talk).log is None  # made of these files already
        work = tmp_path / "work"
        work.mkdir()
        monkeypatch.chdir(work)
        ask = "import gamma; open('here', 'w').write(gamma.__version__); raise SystemExit(7)"
        assert engine.run_command(built, one, Run(("python", "-c", ask), None, fitting(one))) == 7
        assert (work / "here").read_text() == "3.0"
        secret = private_index.certificate.splitlines()[2]
        assert secret not in buildah("inspect", "--type", "image", built.tag).stdout
    finally:
        buildah("rmi", image_name(one))


def test_without_it_the_command_that_brings_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReadyError) as raised:
        select("buildah")
    assert raised.value.code == "no-engine"
    assert "sudo apt-get install buildah" in raised.value.hints
