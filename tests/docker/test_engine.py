"""The container engine, for real: what a build takes and leaves, what a probe may do, and how each thing fails."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from docker.errors import NotFound
from render_locks import lock, package

from envsolve.engine.base import BuildSettings, Built
from envsolve.errors import BuildError, Exit, NotReadyError
from envsolve.lock.pipconfig import ContainerSettings
from envsolve.models import LockedImage
from envsolve.render import UID, image_name
from envsolve.smoke import smoke

pytestmark = pytest.mark.docker

SLIM = "python:3.6.15-slim-bullseye"
OLD = "python:2.7.18-slim-buster"
EMPTY = BuildSettings()


def private(index, *, image=SLIM, python="3.6", **hashes):
    """A lock of the private index's packages."""
    packages = [
        package(name, version, phase, sha256=hashes.get(name, index.sha256(name)))
        for name, version, phase in (("alpha", "1.0", "wheel"), ("beta", "2.0", "wheel"), ("gamma", "3.0", "sdist"))
    ]
    return lock(image=LockedImage(reference=image), packages=packages, python=python)


def settings(index, **more):
    return BuildSettings(container=ContainerSettings(index_url=index.url, ca_bundle=index.bundle), **more)


def run(client, image, *command):
    return client.containers.run(image, command, remove=True, network_mode="none").decode()


def leftovers(client, text):
    """Containers, running or not, that have to do with this: an image's id, an address, a command."""
    return [c for c in client.api.containers(all=True) if text in json.dumps([c, inspected(client, c["Id"])])]


def inspected(client, container):
    try:
        return client.api.inspect_container(container)
    except NotFound:  # another's, gone meanwhile
        return None


# -- what a build takes and leaves -----------------------------------------------------------------------------


def traces(client, image, tmp_path, *texts):
    """Which of the texts are anywhere in the image: its files, their names, its history, its settings."""
    found = set()
    records = json.dumps([client.images.get(image).attrs, client.api.history(image)])
    box = client.containers.create(image)
    try:
        path = tmp_path / "image.tar"
        with path.open("wb") as stream:
            for part in box.export():
                stream.write(part)
    finally:
        box.remove()
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member).read() if member.isfile() else b""
            found |= {text for text in texts if text.encode() in content or text in member.name}
    return found | {text for text in texts if text in records}


@pytest.mark.parametrize(("image", "python"), [(SLIM, "3.6"), (OLD, "2.7")])
def test_a_company_index_serves_the_build_and_stays_out_of_the_image(
    engine, client, base, private_index, written, talk, tmp_path, image, python
):
    base(image)
    one = private(private_index, image=image, python=python)
    built = engine.build(written(one), one, settings(private_index, no_cache=True), talk)
    assert run(client, built.tag, "python", "-c", "import alpha, beta, gamma; print(gamma.__version__)") == "3.0\n"
    assert run(client, built.tag, "beta") == "2.0\n"
    pem = private_index.certificate.splitlines()[2]
    secret = (private_index.marker, pem, private_index.password, private_index.user, private_index.address)
    assert traces(client, built.tag, tmp_path, *secret) == set()
    # the same search finds what is there
    assert traces(client, built.tag, tmp_path, "envsolve/lock-1", "USER 1000:1000", "gamma-3.0") == {
        "envsolve/lock-1", "USER 1000:1000", "gamma-3.0",
    }  # fmt: skip
    # nor does any other image of this engine hold them: the build's own stages are gone
    for row in client.api.images(all=True):
        assert private_index.password not in json.dumps(client.api.history(row["Id"]))
    # nor a layer of it, whatever a later one hides, nor the folder with its report
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.images.get(built.tag).save()))) as saved:
        layers = [saved.extractfile(member).read() for member in saved if member.isfile()]
    assert any(b"gamma" in layer for layer in layers)
    assert not [text for text in secret for layer in layers if text.encode() in layer]
    folder = tmp_path / "folder0"
    report = smoke(engine, built, one, folder, talk)
    assert report.versions["gamma"] == "3.0"
    for path in folder.rglob("*"):
        assert not path.is_file() or not [text for text in secret if text.encode() in path.read_bytes()], path
    log = built.log.read_text()
    assert "alpha" in log
    assert private_index.password not in log
    assert leftovers(client, private_index.address) == []


def test_without_the_certificate_the_error_says_so(engine, base, private_index, written, talk):
    base(SLIM)
    one = private(private_index)
    given = BuildSettings(no_cache=True, container=ContainerSettings(index_url=private_index.url))
    with pytest.raises(BuildError) as caught:
        engine.build(written(one), one, given, talk)
    assert caught.value.code == "untrusted-certificate"
    assert private_index.password not in repr(caught.value.__dict__)


def test_another_file_than_the_locked_one_is_refused(engine, base, private_index, written, talk, client):
    base(SLIM)
    one = private(private_index, beta="0" * 64)
    with pytest.raises(BuildError) as caught:
        engine.build(written(one), one, settings(private_index), talk)
    assert (caught.value.code, caught.value.exit_code) == ("hash-mismatch", Exit.BUILD_FAILED)
    assert "0" * 64 in " ".join(caught.value.facts)
    log = Path(caught.value.hints[-1].split()[1])
    assert "0" * 64 in log.read_text()
    assert leftovers(client, private_index.address) == []


def test_the_image_is_what_the_lock_says(engine, client, base, private_index, written, talk):
    base(SLIM)
    environment = {"HOSTILE": "a $HOME `id` \"q\" 'r' \\n \\", "THEANO_FLAGS": "blas.ldflags=-lopenblas", "EMPTY": ""}
    one = private(private_index).model_copy(update={"environment": environment})
    built = engine.build(written(one), one, settings(private_index), talk)
    assert built.tag == image_name(one)
    config = client.images.get(built.subject).attrs["Config"]
    assert config["User"] == f"{UID}:{UID}"
    assert config["Cmd"] == ["python"]
    assert config["Labels"]["dev.envsolve.verdict"] == "native"
    assert {
        name: value for name, _, value in (e.partition("=") for e in config["Env"]) if name in environment
    } == environment
    # byte code that Python takes as it is, and a home that any user may use
    program = "import alpha, os; print(alpha.__cached__); open(os.path.expanduser('~/x'), 'w')"
    assert run(client, built.tag, "python", "-v", "-c", program).split() == [
        "/usr/local/lib/python3.6/site-packages/__pycache__/alpha.cpython-36.pyc"
    ]
    listing = run(client, built.tag, "python", "-c", "import alpha, os; print(os.stat(alpha.__cached__).st_uid)")
    assert listing == "0\n"
    assert engine.find(Path("unused"), one, EMPTY).subject == built.subject
    assert engine.base_digest(SLIM) is None or engine.base_digest(SLIM).startswith("sha256:")


def test_what_is_built_already_is_not_built_again(engine, base, written, talk):
    base(SLIM)
    one = lock(packages=(), notes=("again",))
    folder = written(one)
    first = engine.build(folder, one, EMPTY, talk)
    assert first.log is not None
    again = engine.build(folder, one, EMPTY, talk)
    assert (again.subject, again.log) == (first.subject, None)
    anew = engine.build(folder, one, BuildSettings(no_cache=True), talk)
    assert (anew.subject == first.subject, anew.log is None) == (False, False)
    (folder / "smoke.py").write_text("print('edited')\n")
    assert engine.build(folder, one, EMPTY, talk).log is not None


def test_what_was_never_built_is_not_found(engine):
    assert engine.find(Path("unused"), lock(packages=(package("never"),)), EMPTY) is None


def commands():
    """Docker's own builders: (name, environment) of each that this machine's docker commands can drive."""
    for path in ("/usr/bin/docker", "/usr/local/bin/docker"):
        if Path(path).exists():
            version = subprocess.run(
                [path, "version", "--format", "{{.Client.Version}}"], capture_output=True, text=True
            )
            yield pytest.param(path, "0", id=f"{version.stdout.strip()}-classic")
            yield pytest.param(path, "1", id=f"{version.stdout.strip()}-buildkit")


@pytest.mark.parametrize(("command", "buildkit"), list(commands()))
def test_plain_docker_build_does_it_too(client, base, private_index, written, tmp_path, command, buildkit):
    """As a person does who has the folder and no envsolve."""
    base(SLIM)
    folder = written(private(private_index))
    (folder / "ca.crt").write_bytes(private_index.bundle.read_bytes())
    (folder / "model.h5").write_bytes(b"weights that must not go to the engine")
    name = f"envsolve-test-plain-{buildkit}"
    done = subprocess.run(
        [command, "build", "--no-cache", "-t", name, "--build-arg", f"PIP_INDEX_URL={private_index.url}", str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": buildkit},
        capture_output=True, text=True,
    )  # fmt: skip
    if "buildx component is missing" in done.stderr or "unknown command: docker buildx" in done.stderr:
        pytest.skip("this docker command has no BuildKit")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        assert run(client, name, "python", "-c", "import gamma; print(gamma.__version__)") == "3.0\n"
        secret = (private_index.marker, private_index.password, private_index.address)
        assert traces(client, name, tmp_path, *secret) == set()
    finally:
        client.images.remove(name, force=True)


# -- how a build fails -----------------------------------------------------------------------------------------


def test_a_base_image_that_cannot_be_had(engine, written, talk):
    one = lock(image=LockedImage(reference="envsolve-test.invalid/no/such-image:1.0"), packages=())
    with pytest.raises(NotReadyError) as caught:
        engine.build(written(one), one, EMPTY, talk)
    assert caught.value.code == "no-base-image"
    assert "envsolve-test.invalid/no/such-image:1.0" in caught.value.message


def test_an_interrupt_ends_the_build_and_leaves_nothing(engine, client, base, written, tmp_path):
    base(SLIM)
    one = lock(packages=())
    folder = written(one)
    text = (folder / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(text.replace("WORKDIR /build\n", "WORKDIR /build\nRUN sleep 300\n"))
    program = (
        "import sys; from pathlib import Path\n"
        "from envsolve.engine import select; from envsolve.folder import read_lock\n"
        "from envsolve.engine.base import BuildSettings; from envsolve.talk import Talk\n"
        "folder = Path(sys.argv[1])\n"
        "select('docker').build(folder, read_lock(folder), BuildSettings(no_cache=True), Talk())\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    for line in process.stderr:
        if "RUN sleep 300" in line:
            break
    for _ in range(100):
        if leftovers(client, "sleep 300"):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    for _ in range(100):
        if not leftovers(client, "sleep 300"):
            break
        time.sleep(0.1)
    assert leftovers(client, "sleep 300") == []
    assert list(scratch.iterdir()) == []


def test_a_release_that_moved_to_its_archive(engine, client, base, written, talk, gateway):
    """The image's mirror is gone; the archive answers, unsigned as one whose keys have expired."""
    from archive import Archive

    base(SLIM)
    sources = run(client, SLIM, "sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true")
    with Archive(gateway, sources) as archive:
        moved = "envsolve-test-moved:1"
        dockerfile = (
            f"FROM {SLIM}\nRUN rm -f /etc/apt/sources.list.d/* && "
            f"echo 'deb http://gone.invalid/debian {archive.suite} main' >/etc/apt/sources.list"
        )
        subprocess.run(["docker", "build", "-q", "-t", moved, "-"], input=dockerfile.encode(), check=True)
        one = lock(image=LockedImage(reference=moved, archive=archive.address), packages=(), system_packages=("hello",))
        try:
            built = engine.build(written(one), one, BuildSettings(no_cache=True), talk)
            assert "Hello" in run(client, built.tag, "hello")
            assert "going on unchecked" in built.log.read_text()
        finally:
            client.images.remove(moved, force=True)


# -- probes ----------------------------------------------------------------------------------------------------

LOOK = """
import json, os, socket, sys
def tries(action):
    try:
        action()
        return "yes"
    except Exception as error:
        return type(error).__name__
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "arguments": sys.argv[1:], "home": os.environ["HOME"],
    "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "write": tries(lambda: open("/work/x", "w")), "scratch": tries(lambda: open("/tmp/x", "w")),
    "run": os.system("cp /bin/true /tmp/t && /tmp/t"),
}))
sys.stderr.write("said on the side\\n")
raise SystemExit(3)
"""


@pytest.fixture
def probing(engine, base, written, talk):
    """An image whose probe is this program."""
    base(SLIM)

    def build(program, name):
        one = lock(packages=(), notes=(name,))
        folder = written(one, smoke__py=program)
        return one, folder, engine.build(folder, one, EMPTY, talk)

    return build


def test_a_probe_is_shut_in(engine, client, probing, talk):
    one, folder, built = probing(LOOK, "look")
    ran = engine.run_probe(built, one, folder, talk, arguments=("--x", "a b"))
    assert (ran.exit_code, ran.stderr, ran.timed_out) == (3, "said on the side\n", False)
    assert json.loads(ran.stdout) == {
        "uid": UID, "gid": UID, "arguments": ["--x", "a b"], "home": "/tmp",
        "capabilities": 0, "no_new_privileges": "1", "interfaces": ["lo"],
        "write": "OSError", "scratch": "yes", "run": 0,
    }  # fmt: skip
    assert leftovers(client, built.subject) == []


def test_a_probe_that_hangs_is_ended(engine, client, probing, talk):
    one, folder, built = probing("import sys, time\nprint('begun')\nsys.stdout.flush()\ntime.sleep(600)\n", "hang")
    started = time.monotonic()
    ran = engine.run_probe(built, one, folder, talk, timeout_s=3)
    assert (ran.timed_out, ran.stdout) == (True, "begun\n")
    assert ran.exit_code != 0
    assert time.monotonic() - started < 60
    assert leftovers(client, built.subject) == []


def test_a_gpu_stack_without_a_gpu_runtime_is_not_ready(engine, client, probing, talk):
    if re.search("nvidia", json.dumps(client.info())):
        pytest.skip("this engine can hand on a GPU")
    one, folder, built = probing(LOOK, "gpu")
    gpu = one.model_copy(update={"stack": one.stack.model_copy(update={"device": "gpu"})})
    with pytest.raises(NotReadyError) as caught:
        engine.run_probe(built, gpu, folder, talk)
    assert caught.value.code == "no-gpu-runtime"
    assert leftovers(client, built.subject) == []


def test_a_probe_of_an_image_that_is_gone(engine, talk):
    gone = Built("docker", "sha256:" + "0" * 64, "envsolve/gone:1")
    with pytest.raises(NotReadyError, match="envsolve/gone:1"):
        engine.run_probe(gone, lock(), Path("unused"), talk)
