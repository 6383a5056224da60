"""``Dockerfile.buildkit``: what is given to it as secrets serves the build and is nowhere afterwards."""

import os
import subprocess
from pathlib import Path

import pytest
from test_engine import SLIM, private, run, traces

from envsolve import extras
from envsolve.engine.context import pip_configuration

COMMANDS = [path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists()]


@pytest.mark.parametrize("command", COMMANDS)
def test_secrets_serve_the_build_and_stay_nowhere(client, base, private_index, written, tmp_path, command):
    base(SLIM)
    one = private(private_index)
    folder = written(one, Dockerfile__buildkit=extras.render(one, [extras.BUILDKIT])[extras.BUILDKIT])
    conf = tmp_path / "pip.conf"
    conf.write_text(pip_configuration({"PIP_INDEX_URL": private_index.url}))
    name = "envsolve-test-mounts"
    secrets = [f"--secret=id=pip.conf,src={conf}", f"--secret=id=ca.crt,src={private_index.bundle}"]
    done = subprocess.run(
        [command, "build", "--no-cache", "-f", f"{folder}/Dockerfile.buildkit", "-t", name, *secrets, str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    if "buildx component is missing" in done.stderr or "unknown command: docker buildx" in done.stderr:
        pytest.skip("this docker command has no BuildKit")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        assert run(client, name, "python", "-c", "import gamma; print(gamma.__version__)") == "3.0\n"
        pem = private_index.certificate.splitlines()[2]
        secret = (private_index.marker, pem, private_index.password, private_index.user, private_index.address)
        assert traces(client, name, tmp_path, *secret) == set()
    finally:
        client.images.remove(name, force=True)
