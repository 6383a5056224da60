"""The base image's digest, read from a real registry on this machine, pinned in the Dockerfile, and built from."""

import shutil
import socket
import subprocess
import time

import pytest
from render_locks import lock

from envsolve.models import LockedImage
from envsolve.render import render

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry command here"),
]
SLIM = "python:3.6.15-slim-bullseye"


@pytest.fixture
def registry(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}"
    config.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
    server = subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait()


def test_a_digest_is_known_under_the_name_it_was_pulled_by_and_builds(engine, client, base, registry, tmp_path, talk):
    base(SLIM)
    name = f"{registry}/legacy/python:3.6.15"
    before = engine.base_digest(SLIM)
    client.images.get(SLIM).tag(name)
    try:
        client.images.push(name)
        digest = engine.base_digest(name)
        assert digest == client.images.get_registry_data(name).id
        assert engine.base_digest(SLIM) == before  # another repository's digest is not this one's
        assert engine.base_digest(f"{registry}/legacy/absent:1") is None
        image = LockedImage(reference=name, digest=digest)
        files = render(lock(image=image, packages=[], python="3.6"))
        assert f"ARG BASE={name}@{digest}\n" in files["Dockerfile"]
        folder = tmp_path / "folder"
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        pinned = client.images.build(path=str(folder), rm=True, forcerm=True, target="base")[0]
        assert pinned.attrs["RootFS"]["Layers"] == client.images.get(SLIM).attrs["RootFS"]["Layers"]
    finally:
        client.images.remove(name, force=True)
