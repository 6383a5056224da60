"""``Dockerfile.buildkit``: what is given to it as secrets serves the build and is nowhere afterwards."""

import os
import subprocess
from pathlib import Path

import pytest
from test_engine import SLIM, private, run, settings, traces

from envsolve import extras

COMMANDS = [path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists()]


BUILDX = """#!/bin/sh
# The docker command's own BuildKit under the name and with the options of its plugin
case "$2" in
version) echo "github.com/docker/buildx v0.9.1" ;;
inspect) ;;
build) shift 2; for word; do shift; [ "$word" = --load ] || set -- "$@" "$word"; done
    echo "$@" >>"$0.said"; DOCKER_BUILDKIT=1 exec COMMAND build "$@" ;;
esac
"""


@pytest.mark.parametrize("command", COMMANDS[:1])
def test_the_engine_hands_them_over(engine, client, base, private_index, written, talk, tmp_path, monkeypatch, command):
    base(SLIM)
    if (
        "BuildKit"
        not in subprocess.run(
            [command, "build", "--help"], env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True
        ).stdout
    ):
        pytest.skip("this docker command has no BuildKit")
    one = private(private_index).model_copy(update={"notes": ("mounts",)})
    folder = written(one, Dockerfile__buildkit=extras.render(one, [extras.BUILDKIT])[extras.BUILDKIT])
    shim = tmp_path / "docker"
    shim.write_text(BUILDX.replace("COMMAND", command))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    built = engine.build(folder, one, settings(private_index, no_cache=True), talk)
    assert run(client, built.tag, "python", "-c", "import gamma; print(gamma.__version__)") == "3.0\n"
    said = (tmp_path / "docker.said").read_text()
    assert "--secret id=pip.conf" in said
    assert "PIP_" not in said
    assert (
        traces(client, built.tag, tmp_path, private_index.password, private_index.address, private_index.marker)
        == set()
    )
    assert traces(client, built.tag, tmp_path, "gamma-3.0") == {"gamma-3.0"}
