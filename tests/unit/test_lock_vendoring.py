"""``envsolve vendor`` as a person runs it, without an engine: what is fetched and rendered, and when it is stale."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from lock_world import World
from render_locks import CUDA, SLIM, THEANO, lock, package

from envsolve import folder as folders
from envsolve.lock.vendoring import Foundation, Vendored, state
from envsolve.pipeline import rendered
from envsolve.render import foundation_files, render


@pytest.fixture
def world():
    world = World()
    world.wheel("alpha", "1.0", "2017-05-01").sdist("gamma", "3.0", "2017-05-01").wheel("alpha", "2.0", "2017-05-02")
    yield world
    world.close()


def locked(world, **versions):
    packages = []
    for name, version in versions.items():
        file = next(f for f in world.projects[name] if f"-{version}" in f.filename)
        one = package(name, version, "wheel" if file.filename.endswith("whl") else "sdist")
        size, sha256 = len(file.content), hashlib.sha256(file.content).hexdigest()
        packages.append(one.model_copy(update={"filename": file.filename, "sha256": sha256, "size": size}))
    return lock(packages=packages, system_packages=("libgomp1",))


@pytest.fixture
def envsolve(world, tmp_path):
    environment = {**os.environ, "PIP_INDEX_URL": world.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*words):
        command = [sys.executable, "-m", "envsolve", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    return run


def test_vendor_render_and_out_of_date(world, envsolve, tmp_path):
    place = tmp_path / "e"
    one = locked(world, alpha="1.0", gamma="3.0")
    folders.write(place, render(one))
    plain = (place / "Dockerfile").read_text()
    done = envsolve("vendor", place, "--backend", "local")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Files    {place}/vendor/: 2, 0.0 MB, 2 of them fetched now",
        "Network  still needed for: the base image python:3.6.15-slim-bullseye; apt packages libgomp1",
    ]
    assert sorted(p.name for p in (place / "vendor").iterdir()) == [
        "alpha-1.0-py2.py3-none-any.whl", "gamma-3.0.tar.gz", "vendored.json",
    ]  # fmt: skip
    text = (place / "Dockerfile").read_text()
    assert "--no-index --find-links ./vendor" in text and text.count("ARG ") == text.count("ARG BASE=")
    assert "!vendor" in (place / ".dockerignore").read_text().splitlines()
    assert envsolve("render", place, "--check").returncode == 0
    asked = len(world.log)
    assert json.loads(envsolve("vendor", place, "--backend", "local", "--json").stdout)["fetched"] == 0
    assert len(world.log) == asked
    # another lock in the folder: what is vendored is not of it
    other = locked(world, alpha="2.0", gamma="3.0")
    assert state(place, other) is None
    folders.write(place, rendered(other, place))
    assert "--no-index" not in (place / "Dockerfile").read_text()
    assert envsolve("render", place, "--check").returncode == 0
    assert envsolve("vendor", place, "--backend", "local", "-q").returncode == 0
    assert sorted(p.name for p in (place / "vendor").glob("alpha*")) == ["alpha-2.0-py2.py3-none-any.whl"]
    # a file that is lost: the Dockerfile would fail, and --check says so
    (place / "vendor/gamma-3.0.tar.gz").unlink()
    assert envsolve("render", place, "--check").returncode == 3
    folders.write(place, rendered(one, tmp_path / "elsewhere"))
    assert (place / "Dockerfile").read_text() == plain


def test_a_deleted_file_ends_in_one_error(world, envsolve, tmp_path):
    place = tmp_path / "e"
    folders.write(place, render(locked(world, alpha="1.0", gamma="3.0")))
    del world.projects["gamma"]
    before = (place / "Dockerfile").read_text()
    done = envsolve("vendor", place, "--backend", "local")
    assert (done.returncode, done.stdout) == (4, "")
    assert "gone-from-index" in done.stderr and "gamma-3.0.tar.gz: deleted" in done.stderr
    assert (place / "Dockerfile").read_text() == before
    assert envsolve("render", place, "--check").returncode == 0


@pytest.mark.parametrize("one", [SLIM, THEANO, CUDA])
def test_with_the_image_nothing_in_the_dockerfile_reaches_out(one):
    names = list(foundation_files(one))
    files = render(one, Vendored(Foundation(names[0], names[-1], (), 1)))
    text = files["Dockerfile"]
    assert not [
        word for word in ("apt-get", "curl", "http://", "https://", "ARG PIP") if word in text.split("#\n", 1)[1]
    ]
    sources = [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")]
    assert set(sources) <= {*names, "base"}
    assert text.count("--no-index") == text.count("pip install")
    assert files == render(one, Vendored(Foundation(names[0], names[-1], (), 1)))


def test_the_image_is_the_same_for_locks_that_differ_in_packages_only():
    assert foundation_files(SLIM) == foundation_files(lock(packages=()))
    assert list(foundation_files(SLIM)) != list(foundation_files(lock(system_packages=("g++",))))


@pytest.mark.parametrize("record", ["", "{", "[]", '{"schema": "envsolve/vendor-1", "files": 3}', '{"schema": "x"}'])
def test_a_record_that_is_none_counts_for_nothing(tmp_path, record):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/vendored.json").write_text(record)
    assert state(tmp_path, SLIM) is None
