"""What goes wrong in the middle, for real: each ends in one error, keeps the log, and the next run goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from private_engine import PrivateEngine
from render_locks import lock

from envsolve.render import UID

pytestmark = pytest.mark.docker

SLIM = "python:3.6.15-slim-bullseye"
SLEEP = f"RUN sleep 300; : {os.urandom(4).hex()}"  # of its own: a layer that was once slept through is kept
HANG = "import time\ntime.sleep(300)\n"
PASSES = """print('{"schema": "envsolve/smoke-1", "ok": true, "python": "3.6.15", "device": "cpu", "versions": {}, '
      '"checks": [{"name": "it runs", "ok": true, "detail": ""}]}')
"""


class Person:
    """Who calls envsolve: with a state, a cache and a temporary folder of their own, and with this engine."""

    def __init__(self, folder, host):
        self.scratch, self.logs = folder / "scratch", folder / "state" / "envsolve" / "log"
        self.scratch.mkdir()
        self.environment = {
            **os.environ, "TMPDIR": str(self.scratch), "XDG_STATE_HOME": str(folder / "state"), "DOCKER_HOST": host,
        }  # fmt: skip

    def start(self, *words):
        """In a process group of its own, as a shell starts it. ``said`` grows as it talks."""
        process = subprocess.Popen(
            [sys.executable, "-m", "envsolve", *map(str, words)], env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        process.said = []
        process.reader = threading.Thread(target=process.said.extend, args=(iter(process.stderr.readline, ""),))
        process.reader.start()
        return process

    def end(self, process, code):
        """Its last words, once it ended with this code and without a traceback or anything left behind."""
        out = process.stdout.read()
        assert process.wait(90) == code, "".join(process.said)
        process.reader.join()
        said = "".join(process.said)
        assert "Traceback" not in said + out
        assert "defect" not in said
        assert said.count("error: ") == (code not in (0, 130, 143))
        assert list(self.scratch.iterdir()) == []
        return said

    def run(self, *words, code=0):
        return self.end(self.start(*words), code)

    def log(self):
        (path,) = self.logs.glob("build-*.log")
        return path.read_text()


def wait_for(what):
    for _ in range(1800):
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to that in three minutes")


def said(process, text):
    return lambda: any(text in line for line in process.said)


def dockerfile(folder, step="RUN true"):
    """A short way to an image with the probe in it, by way of this step."""
    lines = (f"FROM {SLIM}", "WORKDIR /opt/envsolve", step, "COPY smoke.py ./")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")


@pytest.fixture
def person(tmp_path, engine):
    return Person(tmp_path, engine.endpoint.address)


@pytest.fixture
def made(base, written):
    """A folder of a lock without packages."""
    base(SLIM)

    def make(name):
        return written(lock(packages=(), notes=(name,)), smoke__py=PASSES)

    return make


def containers(client, text):
    return [c for c in client.api.containers(all=True) if text in json.dumps(c)]


def shut_in(container):
    """What the engine itself says of the container."""
    host, config = container["HostConfig"], container["Config"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["Privileged"]) == ("none", True, False)
    assert (host["CapDrop"], host["CapAdd"] or []) == (["ALL"], [])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (config["User"], list(host["Tmpfs"])) == (f"{UID}:{UID}", ["/tmp"])
    assert not [*(host["Binds"] or ()), *container["Mounts"], *(host["Devices"] or ())]
    return True


def test_an_interrupted_build(person, made, client):
    folder = made("interrupted")
    dockerfile(folder, SLEEP)
    process = person.start("build", folder, "--backend", "docker")
    wait_for(said(process, SLEEP))
    wait_for(lambda: containers(client, "sleep 300"))
    os.killpg(process.pid, signal.SIGINT)
    last = person.end(process, 130)
    assert "interrupted" in last
    assert str(person.logs) in last
    assert SLEEP in person.log()
    wait_for(lambda: not containers(client, "sleep 300"))
    assert not (folder / "smoke-report.json").exists()
    dockerfile(folder)
    (folder / "smoke.py").write_text(HANG)  # the next run goes on to the proof, which is ended too
    process = person.start("build", folder, "--backend", "docker")
    (probe,) = wait_for(lambda: client.containers.list(filters={"label": "dev.envsolve.probe"}))
    assert shut_in(client.api.inspect_container(probe.id))
    os.killpg(process.pid, signal.SIGTERM)
    person.end(process, 143)
    assert probe.id not in {c.id for c in client.containers.list(all=True)}
    assert not (folder / "smoke-report.json").exists()


def test_two_builds_of_one_folder(person, made):
    folder = made("twice")
    dockerfile(folder, SLEEP)
    first = person.start("build", folder, "--backend", "docker")
    wait_for(said(first, SLEEP))
    second = subprocess.run(
        [sys.executable, "-m", "envsolve", "build", folder, "--backend", "docker", "--json"],
        env=person.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (second.returncode, json.loads(second.stdout)["code"]) == (4, "build-busy")
    os.killpg(first.pid, signal.SIGINT)
    person.end(first, 130)
    dockerfile(folder)
    person.run("build", folder, "--backend", "docker")


def test_a_step_that_fails(person, made):
    folder = made("failing")
    dockerfile(folder, "RUN echo 'ValueError: all is lost' >&2 && exit 3")
    last = person.run("build", folder, "--backend", "docker", code=5)
    assert "ValueError: all is lost" in last.partition("error: ")[2]
    assert "ValueError: all is lost" in person.log()
    assert f"less {person.logs}" in last
    dockerfile(folder)
    person.run("build", folder, "--backend", "docker")


# -- an engine of our own ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(base, tmp_path_factory):
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a second Docker engine needs root and dockerd")
    base(SLIM)
    folder = Path(tmp_path_factory.mktemp("e"))
    private = PrivateEngine.__new__(PrivateEngine)
    try:
        private.__init__(folder, "400m")
        private.load(SLIM)
    except (OSError, subprocess.CalledProcessError) as error:
        private.close()
        pytest.skip(f"no second Docker engine can be had here: {error}")
    yield private
    private.close()


def test_the_disk_is_full(own, tmp_path, made):
    person, folder = Person(tmp_path, own.address), made("full")
    dockerfile(folder, "RUN head -c 500m /dev/zero >/filling")
    last = person.run("build", folder, "--backend", "docker", code=4)
    assert "the disk is full" in last
    assert "No space left on device" in person.log()
    dockerfile(folder)
    person.run("build", folder, "--backend", "docker")


def test_the_engine_dies_in_the_middle(own, tmp_path, made):
    person, folder = Person(tmp_path, own.address), made("dying")
    dockerfile(folder, SLEEP)
    process = person.start("build", folder, "--backend", "docker")
    wait_for(said(process, SLEEP))
    wait_for(said(process, "Running in"))
    own.die()
    last = person.end(process, 4)
    assert "stopped answering" in last
    assert str(person.logs) in last
    assert SLEEP in person.log()
    assert "does not answer" in person.run("build", folder, "--backend", "docker", code=4)
    own.start()
    dockerfile(folder)
    person.run("build", folder, "--backend", "docker")
