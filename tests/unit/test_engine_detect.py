"""Finding a container engine: real sockets, and answers of every kind behind them."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from envsolve.engine import select, warn_refused
from envsolve.engine.detect import Endpoint, container_engine, ping, search
from envsolve.errors import Exit, NotReadyError, UsageError
from envsolve.talk import Talk

DOCKER = {"Version": "20.10.24", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}
PODMAN = {"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}


def answer(body, status="200 OK"):
    text = body if isinstance(body, str) else json.dumps(body)
    return f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{text}".encode()


@pytest.fixture
def serve(tmp_path):
    """Listen on a Unix socket and give each caller these bytes; None: accept and say nothing."""
    listeners = []

    def start(content, name="docker.sock"):
        path = tmp_path / name
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)
        held = []

        def loop():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if content is None:
                    held.append(connection)
                    continue
                connection.recv(4096)
                connection.sendall(content)
                connection.close()

        threading.Thread(target=loop, daemon=True).start()
        return f"unix://{path}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))


@pytest.mark.parametrize(("body", "said"), [(DOCKER, "docker 20.10.24"), (PODMAN, "podman 4.3.1")])
def test_the_engine_and_its_version(serve, monkeypatch, body, said):
    monkeypatch.setenv("DOCKER_HOST", serve(answer(body)))
    assert container_engine() == said


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (answer("no JSON"), "unreadable"),
        (answer([1]), "unreadable"),
        (answer({"Components": None}), "unreadable"),
        (answer(DOCKER, "500 Internal Server Error"), "silent"),
        (b"SSH-2.0-OpenSSH\r\n", "silent"),
        (b"", "silent"),
    ],
)
def test_what_is_no_engine(serve, content, trouble):
    assert ping(serve(content), 2) == trouble


def test_one_that_never_answers_costs_the_timeout_and_no_more(serve, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", serve(None))
    started = time.monotonic()
    assert container_engine(timeout_s=0.5) is None
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("address", ["unix:///nowhere/x.sock", "tcp://127.0.0.1:1", "unix:///etc/passwd/x"])
def test_nothing_there(address):
    assert ping(address, 2) is None


@pytest.mark.parametrize("address", ["", "nonsense", "npipe://x", "tcp://", "tcp://[", "tcp://h:notaport"])
def test_addresses_that_are_none(monkeypatch, address):
    assert ping(address, 1) == "silent"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_a_socket_that_this_user_may_not_use(serve, tmp_path):
    address = serve(answer(DOCKER))
    Path(address.removeprefix("unix://")).chmod(0o600)
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    program = (
        "import os, sys; from envsolve.engine import select, detect; from envsolve.errors import NotReadyError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: select('docker')\n"
        "except NotReadyError as e: print(e.code, int(e.exit_code), e.hints[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "DOCKER_HOST": address}, capture_output=True, text=True
    )
    assert done.stdout == 'engine-permission 4 sudo usermod -aG docker "$USER" && newgrp docker\n', done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_auto_says_that_it_passes_over_an_engine_that_refuses(serve, tmp_path):
    address = serve(answer(DOCKER))
    Path(address.removeprefix("unix://")).chmod(0o600)
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    program = (
        "import os; from envsolve.engine import select, warn_refused, detect, local\n"
        "from envsolve.talk import Talk\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(select('auto', talk=Talk(quiet=True)).name); warn_refused(Talk(quiet=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "DOCKER_HOST": address}, capture_output=True, text=True
    )
    assert done.stdout == "local\n", done.stderr
    said = f"warning: passing over the container engine at {address}: this user may not use it "
    assert done.stderr.splitlines() == [f'{said}(sudo usermod -aG docker "$USER" && newgrp docker)'] * 2


def test_auto_has_nothing_to_say_where_there_is_no_engine(monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/x.sock")
    warn_refused(Talk())
    assert select("auto", talk=Talk()).name == "local"
    assert capsys.readouterr().err == ""


def test_the_commands_current_context(serve, monkeypatch, tmp_path):
    import hashlib

    folder = tmp_path / "config"
    meta = folder / "contexts/meta" / hashlib.sha256(b"colima").hexdigest()
    meta.mkdir(parents=True)
    (folder / "config.json").write_text('{"currentContext": "colima"}')
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": serve(answer(DOCKER))}}}))
    assert search().endpoint == Endpoint("docker", "20.10.24", f"unix://{tmp_path}/docker.sock")


@pytest.mark.parametrize("config", ["", "[]", '{"currentContext": 3}', '{"currentContext": "gone"}'])
def test_a_damaged_docker_configuration_is_no_obstacle(tmp_path, config):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.json").write_text(config)
    search(timeout_s=1)


def test_podman_is_not_taken_for_docker(serve, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", serve(answer(PODMAN)))
    assert search("docker").endpoint is None
    with pytest.raises(NotReadyError) as caught:
        select("docker")
    assert (caught.value.code, caught.value.exit_code) == ("no-engine", Exit.NOT_READY)
    assert search("podman").endpoint == Endpoint("podman", "4.3.1", os.environ["DOCKER_HOST"])


def test_auto_without_an_engine_is_the_local_one(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/x.sock")
    assert select("auto").name == "local"


def test_a_backend_that_does_not_exist():
    with pytest.raises(UsageError):
        select("dokcer")


def test_looking_for_an_engine_loads_no_library():
    program = (
        "import sys; from envsolve.engine.detect import container_engine; container_engine()\n"
        "print({'docker', 'requests', 'urllib3', 'jinja2', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
