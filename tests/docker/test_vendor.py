"""A vendored folder builds with no network at all: real engine, sdist and apt package included."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from private_index import sdist, wheel
from render_locks import lock, package

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from lock_world import World

from envsolve import folder as folders
from envsolve import offline, pipeline
from envsolve.engine.base import BuildSettings
from envsolve.engine.foundation import have
from envsolve.lock import vendoring
from envsolve.models import LockedImage
from envsolve.render import foundation_files, image_name

pytestmark = pytest.mark.docker

SLIM = "python:3.6.15-slim-bullseye"


@pytest.fixture
def vendored(tmp_path, monkeypatch, client, base, talk):
    """Write a lock of three packages, one an sdist that imports another to be built; vendor it; stop its index."""
    base(SLIM)
    made = []

    def make(**more):
        world = World()
        packages = []
        for filename, content in (wheel("alpha", "1.0"), wheel("beta", "2.0"), sdist("gamma", "3.0", "alpha")):
            phase = "wheel" if filename.endswith(".whl") else "sdist"
            name, version = filename.split("-")[0], filename.split("-")[1].removesuffix(".tar.gz")
            world.add(name, filename, content, "2017-01-01")
            one = package(name, version, phase, sha256=hashlib.sha256(content).hexdigest())
            packages.append(one.model_copy(update={"filename": filename, "size": len(content)}))
        one = lock(image=LockedImage(reference=SLIM), packages=packages, **more)
        directory = tmp_path / f"folder{len(made)}"
        folders.write(directory, pipeline.rendered(one, directory))
        monkeypatch.setenv("PIP_INDEX_URL", world.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        report = offline.vendor(directory, one, talk, backend="docker")
        folders.write(directory, pipeline.rendered(one, directory))
        world.close()
        made.append(one)
        return directory, one, report

    yield make
    for one in made:
        for name in (image_name(one), *reversed(foundation_files(one))):
            subprocess.run(["docker", "rmi", "-f", name], capture_output=True)


def forget(one):
    """The engine of another machine has none of these images."""
    for name in reversed(foundation_files(one)):
        subprocess.run(["docker", "rmi", "-f", name], check=True, capture_output=True)
        assert subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode


def test_plain_docker_builds_it_without_a_network(vendored, client):
    directory, one, report = vendored()
    assert report.foundation is not None and report.missing == ()
    assert "Network  none needed" in report.text()
    pipeline.check_files(directory, pipeline.rendered(one, directory))
    forget(one)
    subprocess.run(["docker", "load", "-i", directory / "vendor/image.tar"], check=True, capture_output=True)
    command = ["docker", "build", "--no-cache", "--network", "none", "-t", image_name(one), directory]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    program = "import alpha, beta, gamma; print(alpha.__version__, beta.__version__, gamma.__version__)"
    said = client.containers.run(image_name(one), ["python", "-c", program], remove=True, network_mode="none")
    assert said == b"1.0 2.0 3.0\n"
    gone = subprocess.run(
        ["docker", "run", "--rm", image_name(one), "sh", "-c", "ls -d /build /install"], capture_output=True
    )
    assert gone.stdout == b""  # nothing of vendor/ is in the image


def test_envsolve_build_loads_the_image_and_asks_nobody(vendored, engine, client, talk):
    directory, one, _ = vendored()
    forget(one)
    built = engine.build(directory, one, BuildSettings(no_cache=True), talk)
    program = ["python", "-c", "import gamma; print(gamma.__version__)"]
    assert client.containers.run(built.tag, program, remove=True, network_mode="none") == b"3.0\n"
    assert have(engine, directory, one, talk)


def test_packages_of_the_system_are_in_the_image(vendored, engine, client, talk):
    directory, one, report = vendored(system_packages=("hello",), build_packages=("make",))
    if report.foundation is None:
        pytest.skip(f"no packages of the system here: {report.why_no_image}")
    assert len(report.foundation.names) == 2
    forget(one)
    built = engine.build(directory, one, BuildSettings(no_cache=True), talk)
    run = ["sh", "-c", "hello; command -v make || echo no make"]
    said = client.containers.run(built.tag, run, remove=True, network_mode="none").decode()
    assert said.splitlines() == ["Hello, world!", "no make"]


def test_vendoring_again_does_nothing_and_a_damaged_archive_is_saved_again(vendored, engine, talk):
    directory, one, report = vendored()
    archive = directory / "vendor/image.tar"
    before = archive.stat().st_mtime_ns
    again = offline.vendor(directory, one, talk, backend="docker", offline=True)  # nothing to fetch: the index is gone
    assert (again.fetched, again.foundation, archive.stat().st_mtime_ns) == (0, report.foundation, before)
    archive.write_bytes(archive.read_bytes()[:1000])
    assert vendoring.state(directory, one) == vendoring.Vendored(None)
    again = offline.vendor(directory, one, talk, backend="docker", offline=True)
    assert again.foundation == replace(report.foundation, size=archive.stat().st_size)
    assert not [p for p in (directory / "vendor").iterdir() if p.name.endswith(".part")]


def test_a_base_image_that_cannot_be_had_is_said_plainly(vendored, tmp_path, engine, talk, monkeypatch):
    directory, one, _ = vendored()
    away = one.model_copy(update={"image": LockedImage(reference="registry.invalid/none:1")})
    report = offline.vendor(directory, away, talk, backend="docker", offline=True)
    assert report.foundation is None
    assert report.missing == ("the base image registry.invalid/none:1",)
    assert "registry.invalid/none:1" in report.text()
    assert not (directory / "vendor/image.tar").exists()
