"""What the wheels of a lock run on, said to builders; SBOM and provenance where a builder makes them."""

import pytest
from render_locks import SLIM, TOOLS, lock, package

from envsolve.engine.base import BuildSettings
from envsolve.engine.buildx import Buildx, refuse_attest
from envsolve.engine.platforms import fitted, of_lock, of_machine, to_build
from envsolve.errors import NotReadyError, UsageError
from envsolve.talk import Talk


def with_file(name):
    one = package("numpy").model_copy(update={"filename": name})
    return lock(packages=(*TOOLS, one))


@pytest.mark.parametrize(("name", "found"), [
    ("tensorflow-1.4.1-cp36-cp36m-manylinux1_x86_64.whl", "linux/amd64"),
    ("numpy-1.19-cp36-cp36m-manylinux2014_aarch64.whl", "linux/arm64"),
    ("numpy-2.0-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "linux/amd64"),
    ("x-1-cp36-cp36m-manylinux_2_5_i686.manylinux1_i686.whl", "linux/386"),
    ("torch-1.0-cp36-cp36m-linux_x86_64.whl", "linux/amd64"),
    ("six-1.11.0-py2.py3-none-any.whl", None), ("linux_x86_64-1.0.tar.gz", None),
])  # fmt: skip
def test_the_platform_of_a_wheel(name, found):
    assert of_lock(with_file(name)) == found


WHEELS = with_file("tensorflow-1.4.1-cp36-cp36m-manylinux1_x86_64.whl")


def test_the_builder_is_told_only_what_differs(capsys):
    assert to_build(WHEELS, None, "x86_64", "docker", Talk()) is None
    assert to_build(WHEELS, "linux/amd64", "x86_64", "docker", Talk()) == "linux/amd64"
    assert to_build(SLIM, None, "aarch64", "docker", Talk()) is None
    assert capsys.readouterr().err == ""


def test_another_processor_is_said_beforehand(capsys):
    assert to_build(WHEELS, None, "aarch64", "docker", Talk()) == "linux/amd64"
    said = capsys.readouterr().err
    assert "docker is of linux/arm64, and what is built is for linux/amd64" in said
    assert "binfmt --install amd64" in said
    assert of_machine("aarch64") == "linux/arm64"


@pytest.mark.parametrize(("asked", "code"), [
    ("linux/arm64", "contradictory-options"), ("amd64", "bad-platform"), ("linux/amd64,linux/arm64", "bad-platform"),
    ("linux/amd64 --push", "bad-platform"),
])  # fmt: skip
def test_what_the_wheels_cannot_run_on_is_refused(asked, code):
    with pytest.raises(UsageError) as caught:
        to_build(WHEELS, asked, "x86_64", "docker", Talk())
    assert caught.value.code == code


def test_the_images_date_is_the_locks():
    assert fitted(SLIM, BuildSettings(), "x86_64", "docker", Talk()).epoch == 1515283200  # date -u -d 2018-01-07 +%s


def test_attestations_are_of_buildx_alone():
    assert not Buildx("docker", {}, (0, 9, 1)).attests
    assert Buildx("docker", {}, (0, 10, 0)).attests
    refuse_attest("buildah", BuildSettings())
    with pytest.raises(NotReadyError) as caught:
        refuse_attest("buildah", BuildSettings(attest=True))
    assert caught.value.code == "no-attestations"
    assert BuildSettings(attest=True).anew
