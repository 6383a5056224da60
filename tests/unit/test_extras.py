"""Files on request: rendered from the lock, kept once asked for, checked with the others."""

import json

import pytest
from render_locks import SLIM, THEANO, lock

from envsolve import extras
from envsolve.engine.basing import stand_in
from envsolve.engine.gpu import chosen, requests
from envsolve.errors import OutOfDateError, UsageError
from envsolve.folder import write
from envsolve.models import LockedImage
from envsolve.pipeline import check_files, rendered

BOTH = extras.asked(compose=True, devcontainer=True)
GPU = lock(device="gpu")
JIT = GPU.model_copy(update={"stack": GPU.stack.model_copy(update={"verdict": "jit"})})


def devcontainer(one):
    return json.loads(extras.render(one, BOTH)[extras.DEVCONTAINER].partition("\n")[2])


def test_they_stay_once_asked_for_and_are_checked(tmp_path):
    folder = tmp_path / "folder"
    write(folder, rendered(SLIM, folder))
    assert extras.present(folder) == ()
    write(folder, rendered(SLIM, folder, BOTH))
    assert set(rendered(SLIM, folder)) >= {"compose.yaml", "devcontainer.json"}
    check_files(folder, rendered(SLIM, folder))
    write(folder, rendered(THEANO, folder))  # another lock: they follow
    check_files(folder, rendered(THEANO, folder))
    (folder / "compose.yaml").write_text((folder / "compose.yaml").read_text() + "# mine\n")
    with pytest.raises(OutOfDateError):
        check_files(folder, rendered(THEANO, folder))


def test_a_compose_file_of_the_persons_own_is_not_taken_for_ours(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert extras.present(tmp_path) == ()


def test_the_gpu_is_in_both_where_the_stack_is_of_the_gpu():
    text = extras.render(GPU, BOTH)["compose.yaml"]
    assert 'capabilities: ["gpu", "compute", "utility"]' in text
    assert "--gpus=all" in devcontainer(GPU)["runArgs"]
    assert "nvidia" not in extras.render(SLIM, BOTH)["compose.yaml"]
    assert "hostRequirements" not in devcontainer(SLIM)


def test_what_the_driver_compiles_is_kept():
    text = extras.render(JIT, BOTH)["compose.yaml"]
    assert 'CUDA_CACHE_PATH: "/home/envsolve/.cache/nv"' in text
    assert "- cache:/home/envsolve/.cache" in text
    assert devcontainer(JIT)["mounts"]
    assert "cache" not in extras.render(GPU, BOTH)["compose.yaml"]


def test_theanos_own_flags_stay_beside_the_folder():
    value = devcontainer(THEANO)["containerEnv"]["THEANO_FLAGS"]
    assert value == "blas.ldflags=-lopenblas,base_compiledir=/home/envsolve/.cache/theano"


def test_a_lock_cannot_put_variables_of_this_machine_into_compose():
    one = THEANO.model_copy(update={"environment": {"THEANO_FLAGS": "a=$HOME"}})
    assert 'THEANO_FLAGS: "a=$$HOME,base_compiledir=' in extras.render(one, BOTH)["compose.yaml"]


# -- another base ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reference", "found"), [
    ("python:3.6.15-slim-bullseye", "mirror.example:5000/library/python:3.6.15-slim-bullseye"),
    ("nvidia/cuda:11.8.0-devel-ubuntu22.04", "mirror.example:5000/nvidia/cuda:11.8.0-devel-ubuntu22.04"),
    ("docker.io/nvidia/cuda:x", "mirror.example:5000/nvidia/cuda:x"),
])  # fmt: skip
def test_a_mirror_keeps_the_path(reference, found):
    one = lock(image=LockedImage(reference=reference))
    assert stand_in(one, None, "https://mirror.example:5000/") == found


def test_the_digest_goes_along():
    one = lock(image=LockedImage(reference="python:3.6", digest="sha256:" + "0" * 64))
    assert stand_in(one, None, "m.example") == f"m.example/library/python:3.6@sha256:{'0' * 64}"
    assert stand_in(one, None, None) is None


@pytest.mark.parametrize(("base", "mirror", "code"), [
    ("a b", None, "bad-image"), ("x\nRUN id", None, "bad-image"), ("x@sha256:1", None, "bad-image"),
    (None, "a b", "bad-host"), (None, "$(id)", "bad-host"), ("x:1", "h.example", "contradictory-options"),
])  # fmt: skip
def test_what_is_no_image_and_no_host_is_refused(base, mirror, code):
    with pytest.raises(UsageError) as caught:
        stand_in(SLIM, base, mirror)
    assert caught.value.code == code


def test_a_hub_mirror_has_no_images_of_other_registries():
    with pytest.raises(UsageError) as caught:
        stand_in(lock(image=LockedImage(reference="nvcr.io/nvidia/tensorflow:23.03-tf1-py3")), None, "m.example")
    assert caught.value.code == "bad-image"


# -- which GPUs ------------------------------------------------------------------------------------------------------

MIG = "MIG-12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(("typed", "found"), [
    (None, ()), (["auto"], ()), (["0"], ("0",)), (["0,2", "0"], ("0", "2")), ([MIG], (MIG,)), (["0:1"], ("0:1",)),
])  # fmt: skip
def test_which_gpus(typed, found):
    assert chosen(typed) == found


@pytest.mark.parametrize("typed", ["RTX 3090", "-1", "0;id", "GPU-x", "none,0"])
def test_what_is_no_gpu_of_this_machine_is_refused(typed):
    with pytest.raises(UsageError) as caught:
        chosen([typed])
    assert caught.value.code == "bad-gpu"


def test_how_engines_are_asked():
    old, new = {}, {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}
    capabilities = [["gpu", "compute", "utility"]]
    assert [dict(r) for r in requests("docker", old)] == [
        {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": capabilities, "Options": {}}
    ]
    assert requests("docker", old, ("0", MIG))[0]["DeviceIDs"] == ["0", MIG]
    assert requests("docker", old, ("0",))[0]["Count"] == 0
    assert requests("docker", new)[0]["DeviceIDs"] == ["nvidia.com/gpu=all"]
    assert requests("podman", old, ("1",))[0]["DeviceIDs"] == ["nvidia.com/gpu=1"]
