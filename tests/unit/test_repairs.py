"""Each rot repair: a lock that has it in what is rendered, and one that does not."""

import pytest
from render_locks import CUDA, SLIM, THEANO, TOOLS, lock, package

from envsolve.engine.failures import build_failure
from envsolve.matrices import load
from envsolve.models import LockedImage
from envsolve.render import render
from envsolve.repairs import fitting, of_failed_pull


def on(one, **stack):
    """The lock, with another stack."""
    return one.model_copy(update={"stack": one.stack.model_copy(update=stack)})


XENIAL = on(CUDA, os="ubuntu16.04", glibc="2.23", cuda="8.0", cuda_source="apt")
NVIDIA = lock(
    image=LockedImage(reference="nvidia/cuda:11.8.0-devel-ubuntu22.04", python_packages=("python3", "python3-pip")),
    device="gpu",
)
DEVEL = on(
    lock(image=LockedImage(reference="registry.example/cuda:11.8-devel-debian12"), device="gpu"),
    os="debian12", glibc="2.36", cuda="11.8", cuda_source="image",
)  # fmt: skip
CENTOS = on(lock(image=LockedImage(reference="registry.example/centos:6")), os="centos6", glibc="2.12")
NO_PIP = lock(
    image=LockedImage(reference="ubuntu:20.04", python_packages=("python3",), executable="python3.8"), python="3.8"
)
JIT = on(lock(device="gpu"), verdict="jit")

# repair -> the text that it renders, a lock with it, a lock without
CASES = {
    "nvidia-key": ("rm -f /etc/apt/sources.list.d/cuda*.list", NVIDIA, THEANO),
    "archived-release": ('Acquire::Check-Valid-Until "false"', THEANO, XENIAL),
    "prompts": ("export DEBIAN_FRONTEND=noninteractive", THEANO, SLIM),
    "locale": ('LANG="C.UTF-8"', SLIM, CENTOS),
    "get-pip": ("https://bootstrap.pypa.io/pip/3.8/get-pip.py", NO_PIP, XENIAL),
    "pip-first": ("-r phases/0-pip.txt", SLIM, lock(packages=(package("numpy"),))),
    "default-index": ('ARG PIP_INDEX_URL="https://index.example.org/simple"', XENIAL, SLIM),
    "no-cache-dir": ('PIP_NO_CACHE_DIR=""', XENIAL, SLIM),
    "vsyscall": ("# note: programs of this image end with status 139", CENTOS, SLIM),
    "host-compiler": ('NVCC_PREPEND_FLAGS="-ccbin g++-11"', DEVEL, on(DEVEL, cuda="12.2")),
    "jit-cache": ('CUDA_CACHE_MAXSIZE="2147483648"', JIT, lock(device="gpu")),
    "theano-cache": ("/home/envsolve/.cache", THEANO, SLIM),
}


@pytest.mark.parametrize("name", CASES)
def test_a_repair_is_rendered_where_it_is_needed_and_only_there(name):
    text, needed, other = CASES[name]
    assert name in fitting(needed).ids
    assert text in render(needed)["Dockerfile"]
    assert name not in fitting(other).ids
    assert text not in render(other)["Dockerfile"]


def test_each_repair_of_the_database_is_tried_here():
    assert {row.id for row in load().repairs} == {*CASES, "schema-1"}


def test_the_key_goes_before_the_first_apt_get():
    text = render(NVIDIA)["Dockerfile"]
    assert text.index("rm -f /etc/apt/sources.list.d/cuda") < text.index("    update;")


def test_the_compiler_that_nvcc_takes_is_installed():
    assert " g++-11" in render(DEVEL)["Dockerfile"]


def test_where_no_compiler_is_known_it_is_said():
    bionic = on(DEVEL, os="ubuntu18.04", cuda="9.0")
    assert "# note: the gcc of this image is newer than its nvcc takes" in render(bionic)["Dockerfile"]
    assert "NVCC_PREPEND_FLAGS" not in render(bionic)["Dockerfile"]


@pytest.mark.parametrize(("said", "code"), [
    ("Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed", "image-format"),
    ("manifest for python:3.6 not found: manifest unknown", "no-base-image"),
])  # fmt: skip
def test_an_image_in_a_format_of_long_ago(said, code, tmp_path):
    error = build_failure([], said, SLIM, tmp_path / "log", "docker")
    assert error.code == code
    assert (of_failed_pull(said) is not None) == (code == "image-format")


def test_pip_before_19_is_known_by_the_release_that_ships_it():
    assert "no-cache-dir" not in fitting(on(XENIAL, os="ubuntu20.04", python="3.8")).ids
    assert "no-cache-dir" in fitting(on(XENIAL, os="ubuntu18.04", python="3.6")).ids
    assert TOOLS
