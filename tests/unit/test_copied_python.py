"""A Python copied from its own image onto one without it: who may give, to whom, how it is rendered."""

import json

import pytest
from render_locks import SLIM, THEANO, lock

from envsolve.engine.base import BuildSettings
from envsolve.engine.basing import python_stand_in
from envsolve.engine.context import images_given
from envsolve.engine.failures import build_failure
from envsolve.explain import answer
from envsolve.gpus import parse_gpu
from envsolve.lock import document
from envsolve.lock.image import lock_image, make_target
from envsolve.matrices import load
from envsolve.models import Host, LockedImage
from envsolve.render import foundation_files, render
from envsolve.request import build_request
from envsolve.solver import solve
from envsolve.solver.copied_python import glibc_floor
from envsolve.solver.world import version_key

FACTS = load()
SHA = "sha256:" + "cd" * 32
COPIED = lock(
    image=LockedImage(
        reference="ubuntu:16.04",
        python_image="python:3.6.9-slim-jessie",
        python_digest=SHA,
        executable="python3.6",
    )
)


def ask(*words, gpu="none", **options):
    request = build_request(words, FACTS, gpu=(gpu,), **options)
    gpus = () if gpu == "none" else (parse_gpu(gpu, FACTS),)
    return solve(request, Host(driver=request.driver, gpus=gpus), FACTS)


def test_a_python_that_the_release_has_not_is_copied_when_it_is_asked_for():
    found = ask("tf==1.4", gpu="GTX 1080", driver="390.48", python="3.6")
    stack = found.chosen
    assert (stack.device, stack.os, stack.python) == ("gpu", "ubuntu16.04", "3.6")
    assert stack.python_image == "python:3.6.9-slim-jessie"
    warning = next(w for w in stack.warnings if w.code == "python-copied")
    assert "Python 3.6.9 of python:3.6.9-slim-jessie" in warning.text
    assert "docker-library" in warning.source
    assert "with the Python of python:3.6.9-slim-jessie" in answer(found)
    assert make_target(stack, FACTS, "x86_64").full == "3.6.9"
    image = lock_image(stack, FACTS, ())
    assert (image.python_image, image.executable, image.python_packages) == (stack.python_image, "python3.6", ())


def test_without_being_asked_the_release_keeps_its_own_and_the_newer_one_is_offered():
    found = ask("tf==1.4", gpu="GTX 1080", driver="390.48")
    assert (found.chosen.python, found.chosen.python_image) == ("3.5", None)
    offered = [a for a in found.alternatives if a.axis == "python_image"]
    assert [(a.python, a.python_image) for a in offered] == [("3.6", "python:3.6.9-slim-jessie")]
    assert any("copied" in cost for cost in offered[0].costs)
    assert "python_image" not in found.chosen.model_dump()


@pytest.mark.parametrize(("os", "python", "donor"), [
    ("ubuntu16.04", "3.6", "python:3.6.9-slim-jessie"),  # Debian 8's glibc is older than 16.04's, Debian 9's is not
    ("ubuntu18.04", "3.5", "python:3.5.10-slim-stretch"),
    ("ubuntu20.04", "3.6", "python:3.6.15-slim-bullseye"),  # as old as its own is old enough
    ("ubuntu22.04", "2.7", "python:2.7.18-slim-buster"),
])  # fmt: skip
def test_the_c_library_decides_which_image_gives(os, python, donor):
    stack = ask("theano==0.9", os=os, python=python).chosen
    assert (stack.os, stack.python, stack.python_image) == (os, python, donor)
    assert version_key(stack.glibc) >= version_key(glibc_floor(FACTS, FACTS.images[donor]))


def test_what_its_python_needs_is_among_the_reasons():
    reasons = ask("theano==0.9", os="ubuntu18.04", python="3.5").chosen.reasons
    said = "the Python of python:3.5.10-slim-stretch needs glibc 2.24 or newer (that of debian9, where it was built)"
    assert said in [r.text for r in reasons if r.axis == "python_image"]


def test_a_floor_that_is_known_counts_rather_than_the_release():
    donor = FACTS.images["python:3.7.11-slim-stretch"]
    assert version_key(FACTS.systems[donor.os].glibc) > version_key("2.23") == version_key(glibc_floor(FACTS, donor))
    assert ask("tf==1.15", os="ubuntu16.04", python="3.7").chosen.python_image == donor.id


def test_a_python_too_new_for_the_system_is_refused_with_the_reason():
    found = ask("tf==2.4", os="ubuntu18.04", python="3.8")
    assert found.status == "conflict"
    said = "the base images of ubuntu18.04 bring Python 2.7 and 3.6, and 3.4, 3.5 and 3.7 can be copied onto them"
    assert said in [reason.text for reason in found.conflict.core]


def test_an_image_with_a_python_of_its_own_is_given_no_other():
    found = ask("tf==1.4", os="debian11", python="3.5")
    assert found.status == "conflict"


def test_the_dockerfile_copies_it_with_what_it_links():
    text = render(COPIED)["Dockerfile"]
    assert f"ARG PYTHON_IMAGE=python:3.6.9-slim-jessie@{SHA}\n" in text
    assert text.index("FROM ${PYTHON_IMAGE} AS python") < text.index("FROM ${BASE} AS base")
    assert text.index("COPY --from=python /copied/ /") < text.index("AS build")
    assert "apt-get install -y --no-install-recommends libpython3-stdlib" in text  # the system's own libraries, first
    assert "-m pip uninstall" in text  # the copied pip gives way to the locked one
    assert 'CMD ["python3.6"]' in text
    for other in (SLIM, THEANO):
        assert "PYTHON_IMAGE" not in render(other)["Dockerfile"]


def test_a_vendored_foundation_has_it_already():
    first, *_ = foundation_files(COPIED).values()
    assert "COPY --from=python" in first


def test_a_lock_without_one_says_nothing_of_it():
    assert "python_image" not in document.dump(SLIM)
    assert document.load(document.dump(COPIED)) == COPIED
    assert json.loads(document.dump(COPIED))["image"]["python_digest"] == SHA


def test_a_mirror_gives_both_images():
    there = python_stand_in(COPIED, "https://mirror.example:5000/")
    assert there == f"mirror.example:5000/library/python:3.6.9-slim-jessie@{SHA}"
    assert images_given(BuildSettings(python_image=there)) == {"PYTHON_IMAGE": there}
    assert python_stand_in(SLIM, "mirror.example:5000") is None
    assert python_stand_in(COPIED, None) is None


def test_an_image_that_is_gone_is_named(tmp_path):
    for gone in ("python:3.6.9-slim-jessie", "ubuntu:16.04"):
        error = build_failure([], f"manifest for {gone} not found: manifest unknown", COPIED, tmp_path, "docker")
        assert (error.code, gone in error.message) == ("no-base-image", True)
