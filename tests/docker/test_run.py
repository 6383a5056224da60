"""``envsolve run`` and ``shell``, for real: in a container of the lock's image, and what they say where they cannot."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from render_locks import lock, package

from envsolve.engine.base import BuildSettings
from envsolve.engine.last import recall, remember
from envsolve.errors import NotReadyError
from envsolve.render import image_name

pytestmark = pytest.mark.docker

SLIM = "python:3.6.15-slim-bullseye"


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def built(state, engine, base, written, talk):
    """A folder whose image is there."""
    base(SLIM)
    one = lock(packages=(), notes=("run",))
    folder = written(one)
    engine.build(folder, one, BuildSettings(), talk)
    return folder


def envsolve(*words, cwd, **more):
    return subprocess.run(
        [sys.executable, "-m", "envsolve", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


def left(client):
    return client.containers.list(all=True, filters={"label": "dev.envsolve.run"})


def test_a_command_is_the_persons_own(built, tmp_path):
    here = tmp_path / "my work"
    here.mkdir()
    program = (
        "import json, os, sys, getpass; open('made', 'w').close(); open(os.path.expanduser('~/x'), 'w').close();"
        "print(json.dumps([os.getcwd(), os.getuid(), os.getgid(), os.environ['HOME'], getpass.getuser(),"
        "sys.argv[1:]]))"
    )
    done = envsolve("run", built, "--", "python", "-c", program, "--version", "$HOME", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    where, uid, gid, home, name, words = json.loads(done.stdout)
    assert (where, uid, gid, home) == (str(here), os.getuid(), os.getgid(), "/home/envsolve")
    assert name
    assert words == ["--version", "$HOME", "--json"]
    assert (here / "made").stat().st_uid == os.getuid()


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 4", 4), ("exit 70", 70), ("kill -9 $$", 137)])
def test_the_exit_code_is_the_commands(built, tmp_path, script, code):
    assert envsolve("run", built, "--", "sh", "-c", script, cwd=tmp_path).returncode == code


def test_streams_stay_apart_and_input_ends(built, tmp_path):
    done = envsolve("run", built, "-q", "--", "sh", "-c", "cat; echo no >&2", cwd=tmp_path, input="a\nb\n")
    assert (done.stdout, done.stderr) == ("a\nb\n", "no\n")
    assert envsolve("shell", built, cwd=tmp_path, input="python -V; exit 3\n").returncode == 3


def test_a_command_that_is_not_there(built, client, tmp_path):
    assert envsolve("run", built, "--", "no-such-command", cwd=tmp_path).returncode == 127
    assert left(client) == []


def test_an_interrupt_ends_the_container(built, client, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "envsolve", "run", str(built), "--", "sh", "-c", "echo up; sleep 300"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "up\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert time.monotonic() - started < 30
    process.stdout.close()
    assert left(client) == []


def test_who_reads_the_output_may_go(built, client, tmp_path):
    command = f"{sys.executable} -m envsolve run {built} -- yes | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "y\n141\n", done.stderr
    assert left(client) == []


def test_what_is_not_built_is_said_with_the_command(state, engine, written, tmp_path):
    folder = written(lock(packages=(), notes=("never built",)))
    done = envsolve("run", folder, "--backend", "docker", "--", "true", cwd=tmp_path)
    assert done.returncode == 4
    assert "error: not-built" in done.stderr
    assert f"hint: envsolve build {folder} --backend docker" in done.stderr


def test_an_image_of_plain_docker_build_is_found_by_its_label(state, client, base, written, tmp_path):
    base(SLIM)
    one = lock(packages=(), notes=("plain",))
    folder = written(one)
    (folder / "phases").mkdir()
    client.images.build(path=str(folder), tag="envsolve-test-plain-run", rm=True)
    try:
        assert client.images.list(image_name(one)) == []
        done = envsolve("run", folder, "--", "python", "-c", "print(1)", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    finally:
        client.images.remove("envsolve-test-plain-run", force=True)


def test_a_gpu_that_the_engine_cannot_give_is_one_error(state, engine, client, base, written, talk, tmp_path):
    if engine._client().info().get("Runtimes", {}).get("nvidia"):
        pytest.skip("this engine can hand on a GPU")
    base(SLIM)
    one = lock(packages=(), device="gpu")
    folder = written(one)
    engine.build(folder, one, BuildSettings(), talk)
    done = envsolve("run", folder, "--gpu", "0", "--", "true", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("error: ")) == (4, 1)
    assert "error: no-gpu-runtime" in done.stderr
    assert left(client) == []
    assert envsolve("run", folder, "--gpu", "none", "--", "true", cwd=tmp_path).returncode == 0


def test_where_it_was_built_last_is_remembered(state, tmp_path):
    one, other = lock(), lock(notes=("another",))
    assert recall(one) is None
    remember(one, "local", tmp_path / "env")
    remember(other, "docker", None)
    assert (recall(one), recall(other)) == (("local", tmp_path / "env"), ("docker", None))


def test_another_base_is_built_on_and_said(state, engine, client, base, written, talk):
    """A mirror's copy: the lock's name for the image, and the truth in the labels. Each base is an image of its own."""
    base(SLIM)
    one = lock(packages=(), notes=("based",))
    folder = written(one)
    other = "envsolve-test-mirror.invalid:5000/library/python:3.6.15-slim-bullseye"
    client.images.get(SLIM).tag(*other.rsplit(":", 1))
    try:
        built = engine.build(folder, one, BuildSettings(base=other), talk)
        assert (built.tag, built.log is None) == (image_name(one), False)
        assert client.images.get(built.subject).labels["org.opencontainers.image.base.name"] == other
        assert engine.build(folder, one, BuildSettings(base=other), talk).log is None
        again = engine.build(folder, one, BuildSettings(), talk)
        assert again.log is not None
        assert client.images.get(again.subject).labels["org.opencontainers.image.base.name"] == SLIM
    finally:
        client.images.remove(other)


def test_a_base_that_is_not_there_is_said_by_name(state, engine, written, talk):
    one = lock(packages=(), notes=("no base",))
    with pytest.raises(NotReadyError) as caught:
        engine.build(written(one), one, BuildSettings(base="envsolve-test.invalid/x:1"), talk)
    assert caught.value.code == "no-base-image"
    assert "envsolve-test.invalid/x:1" in " ".join((caught.value.message, *caught.value.facts))


def test_theanos_cache_outlives_the_container_and_is_ones_own(state, engine, client, base, written, talk, tmp_path):
    base(SLIM)
    one = lock(packages=(package("theano", "0.9.0"),), environment={"THEANO_FLAGS": "blas.ldflags=-lopenblas"})
    folder = written(one)
    # the image of that lock without Theano itself, which nothing here runs
    (folder / "phases" / "2-wheels.txt").write_text("")
    engine.build(folder, one, BuildSettings(), talk)
    name = f"envsolve-cache-{image_name(one).rpartition(':')[2]}-{os.getuid()}"
    try:
        first = envsolve("run", folder, "--", "sh", "-c", "echo $THEANO_FLAGS; echo x >~/.cache/made", cwd=tmp_path)
        assert first.stdout == "blas.ldflags=-lopenblas,base_compiledir=/home/envsolve/.cache/theano\n", first.stderr
        assert f"kept in the volume {name}" in first.stderr
        again = envsolve("run", folder, "--", "cat", "/home/envsolve/.cache/made", cwd=tmp_path)
        assert (again.stdout, again.stderr) == ("x\n", "")
    finally:
        client.volumes.get(name).remove(force=True)
