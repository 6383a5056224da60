"""Which wheels are read, how records are kept and compared; and one small wheel of the index, read."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from harvest import texts  # noqa: E402
from harvest.compare import report  # noqa: E402
from harvest.errors import UnreadableError  # noqa: E402
from harvest.plan import Stage, choose, read_settings, releases, selected  # noqa: E402
from harvest.store import Store  # noqa: E402

from envsolve.lock.pages import File  # noqa: E402

SETTINGS = read_settings(ROOT / "scripts" / "inputs" / "harvest.json")


def test_pins():
    assert texts.pins(
        ["nvidia-cudnn-cu12==8.9.2.26; x", "nvidia-nccl-cu12 (==2.19.3)", "cuda-toolkit[nvcc]==13.0.2", "numpy==1",
         "nvidia-cuda-runtime-cu11 (>=11.8)", "nvidia-cudnn-cu13~=9.0", "nvidia-cuda-runtime==12.*"]
    ) == {"dep_cudnn": "8.9.2.26", "dep_nccl": "2.19.3", "dep_cuda-toolkit": "13.0.2"}  # fmt: skip


def _file(name, day="2020-01-01", size=100, **more):
    return File(name, "", name, size, f"{day}T00:00:00Z", **more)


def _named(version, tag="cp36-cp36m", platform="manylinux1_x86_64"):
    return f"tensorflow-{version}-{tag}-{platform}.whl"


def test_what_is_read_whole_and_why():
    files = [
        _file(_named("1.0.0")),
        _file(_named("2.9.0"), "2022-05-01", 100),
        _file(_named("2.9.1"), "2022-06-01", 300),
        _file(_named("2.9.2"), "2022-07-01", 101),
        _file(_named("2.9.3rc1"), "2022-07-01"),
        _file(_named("2.9.4", platform="win_amd64"), "2022-07-01"),
        _file(_named("2.9.5", platform="manylinux2014_aarch64"), "2022-07-01"),
        _file("no wheel"),
    ]
    found = {r.version: r.full for r in releases(SETTINGS.projects["tensorflow"], files, SETTINGS)}
    assert found == {
        "1.0.0": "last of its series",
        "2.9.0": None,
        "2.9.1": "300 bytes where 2.9.2 has 101",
        "2.9.2": "last of its series",
    }


def test_the_same_file_is_chosen_in_every_run():
    files = [_file(_named("1", tag)) for tag in ("cp27-cp27mu", "cp38-cp38", "cp36-cp36m", "cp39-cp39")]
    files.append(_file(_named("1", "cp36-cp36m", "linux_x86_64")))
    yanked = _file(_named("1", "cp38-cp38", "a"), yanked="broken")
    for seed in range(5):
        random.Random(seed).shuffle(files)
        assert choose([yanked, *files], ("cp38", "cp36")).filename == _named("1", "cp38-cp38")
        assert choose(files, ("cp36",)).filename == _named("1", "cp36-cp36m", "linux_x86_64")


def test_stages_name_projects_that_are_there():
    for stage in SETTINGS.stages:
        assert selected(stage, SETTINGS.projects)
    assert selected(Stage(("b*", "a")), ["a", "b1", "c", "b2"]) == ["b1", "b2", "a"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"defaults": {}}'])
def test_a_broken_plan_is_one_line(tmp_path, text):
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(UnreadableError):
        read_settings(tmp_path / "h.json")


def test_records_are_kept_in_order_and_replaced_as_a_whole(tmp_path):
    store = Store(tmp_path / "records")
    for version in ("1.10.0", "1.9.0", "1.9.0.post1"):
        store.put({"package": "x", "version": version, "sha256": version, "read": "full"})
    store.put({"package": "x", "version": "1.9.0", "sha256": "new", "read": "full"})
    lines = [json.loads(line) for line in (tmp_path / "records" / "x.jsonl").read_text().splitlines()]
    assert [(r["version"], r["sha256"]) for r in lines] == [
        ("1.9.0", "new"), ("1.9.0.post1", "1.9.0.post1"), ("1.10.0", "1.10.0"),
    ]  # fmt: skip
    assert [p.name for p in (tmp_path / "records").iterdir()] == ["x.jsonl"]
    assert Store(tmp_path / "records").of("x").keys() == {"1.9.0", "1.9.0.post1", "1.10.0"}
    other = Store(tmp_path / "records")
    other.put({"package": "x", "version": "2", "sha256": "2", "read": "full"})
    store.put({"package": "x", "version": "3", "sha256": "3", "read": "full"})
    assert Store(tmp_path / "records").of("x").keys() >= {"2", "3"}
    (tmp_path / "records" / "y.jsonl").write_text('{"version": "1"\n')
    with pytest.raises(UnreadableError, match="line 1"):
        Store(tmp_path / "records").of("y")


def test_comparing_tells_each_disagreement():
    ours = {"package": "x", "version": "1", "sha256": "a", "read": "full", "sass": ["sm_35"], "cuda": "9.0",
            "own_sets": {"compute_70 sm_35": 2, "sm_35": 1}, "coverage": {"3.5": {"native": 100}}}  # fmt: skip
    theirs = ours | {
        "cuda": "8.0",
        "own_sets": {"compute_70 sm_35": 2},
        "coverage": {"3.5": {"native": 100, "none": 0}},
    }
    lines = report({"a": ours}, [theirs, theirs | {"sha256": "b"}])
    assert [line for line in lines if "ours" in line] == ["x 1 cuda: ours '9.0', theirs '8.0'"]
    assert "own_sets: 1 of 1 agree" in lines
    assert lines[-1] == "1 files in both"


@pytest.mark.index
def test_a_small_wheel_of_the_index(tmp_path):
    """NVIDIA's run-time library: 0.8 MB, and what it is is known."""
    run = [sys.executable, ROOT / "scripts" / "harvest_wheels.py", "--records", tmp_path]
    plan = json.loads((ROOT / "scripts" / "inputs" / "harvest.json").read_text())
    assert "nvidia-cuda-runtime-cu11" in plan["projects"]
    done = subprocess.run([*run, "nvidia-cuda-runtime-cu11==11.7.99"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "nvidia-cuda-runtime-cu11.jsonl").read_text())
    assert record["sha256"] == "cc768314ae58d2641f07eac350f40f99dcb35719c4faff4bc458a7cd2b119e31"
    assert (record["glibc_floor"], record["bundled_libs"]) == ("2.17", ["libcudart.so.11.0"])
    assert record["sass"] == []
    again = subprocess.run(
        [*run, "--list", "nvidia-cuda-runtime-cu11==11.7.99"], capture_output=True, text=True, check=True
    )
    assert again.stdout.strip() == ""
