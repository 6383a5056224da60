"""The rows of torch, jax, jaxlib, onnx, onnxruntime and paddle: what they must say where the truth is known."""

import json
from datetime import date
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.facts import LOCKABLE
from envsolve.gpus import parse_gpu
from envsolve.matrices import load
from envsolve.models import Host
from envsolve.request import build_request
from envsolve.solver.question import Question
from envsolve.solver.ranking import _series_ranked
from envsolve.solver.whynot import wish_reason

ROOT = Path(__file__).parents[2]
NAMES = ("torch", "jax", "jaxlib", "onnx", "onnxruntime", "paddle")


@pytest.fixture(scope="module")
def facts():
    return load(ROOT / "matrices")


@pytest.fixture(scope="module")
def builds(facts):
    return {f"{b.package}=={b.version}": b for name in NAMES for b in facts.framework(name).builds}


def holds(specifier, version):
    return SpecifierSet(specifier).contains(version, prereleases=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_names_its_sources(facts, name):
    framework = facts.framework(name)
    assert framework.builds
    for row in (*framework.builds, *framework.substitutes, *framework.pairings, *framework.reports):
        for field in ("*", *row.evidence):
            assert facts.evidence(row, field).source


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_files_are_one_row_a_line(facts, name):
    ids = [f"{b.package}=={b.version}" for b in facts.framework(name).builds]
    assert len(ids) == len(set(ids))
    lines = (ROOT / "matrices" / "frameworks" / f"{name}.json").read_text().splitlines()
    assert sum('"package":' in line for line in lines) == len(ids)


@pytest.mark.parametrize(
    ("build", "cuda", "cudnn", "holds_too", "lacks"),
    [
        ("torch==2.0.1", "11.7", "8.5", "3.7", "9.0"),
        ("torch==2.1.2", "12.1", "8.9", "9.0", "3.7"),
        ("torch==2.5.1", "12.4", "9.1", "5.0", "10.0"),
        ("torch==2.8.0", "12.8", "9.10", "12.0", "6.0"),
        ("torch==2.11.0", "13.0", "9.19", "7.5", "7.0"),
        ("torch==2.15.0", "13.2", "9.26", "12.0", "7.0"),
    ],
)
def test_torch_2_as_its_pins_and_its_wheels_say(facts, builds, build, cuda, cudnn, holds_too, lacks):
    row = builds[build]
    assert (row.cuda, row.cudnn, row.cuda_source, row.ptx) == (cuda, cudnn, "wheel", ())
    assert holds_too in row.sass
    assert lacks not in row.sass
    assert facts.evidence(row, "sass").how == facts.evidence(row, "cuda").how == "measured"


def test_variants_of_torch_name_their_index_or_their_files(builds):
    own = [b for b in builds.values() if b.package == "torch" and b.origin not in ("index", "nvidia")]
    assert {b.origin for b in own} == {"pytorch", "url"}
    for build in own:
        assert build.origin not in LOCKABLE
        assert bool(build.index) is (build.origin == "pytorch")
        assert bool(build.files) is (build.origin == "url")
        label = Version(build.version).local
        if label is None:  # the page's "misc. binaries", which no folder of a variant holds
            assert build.version in ("0.1.6.post17", "0.1.6.post20") and build.devices == ("cpu",)
            continue
        assert build.devices == (("cpu",) if label == "cpu" else ("cpu", "gpu"))
        if build.cuda:
            assert label == "cu" + build.cuda.replace(".", "")
        if build.index and label != "cpu":
            assert build.index.endswith(("/torch_stable.html", f"/{label}"))
        for file in build.files:
            assert f"/{label}/torch-{Version(build.version).public}-cp{file.python.replace('.', '')}" in file.url
        assert set(build.pythons) == {f.python for f in build.files} or not build.files


@pytest.mark.parametrize(
    ("build", "sass", "ptx"),
    [
        ("torch==0.3.1+cu90", "3.5 5.2 6.0 6.1 7.0", "5.2"),
        ("torch==0.4.1+cu92", "3.5 5.0 6.0 6.1 7.0", "5.0"),
        ("torch==1.7.1+cu110", "3.7 5.0 6.0 7.0 7.5 8.0", ""),
        ("torch==1.8.1+cu111", "3.7 5.0 6.0 7.0 7.5 8.0 8.6", ""),
        ("torch==2.0.1+cu118", "3.7 5.0 6.0 7.0 7.5 8.0 8.6 9.0", ""),
    ],
)
def test_architectures_of_variants(facts, builds, build, sass, ptx):
    row = builds[build]
    assert (row.sass, row.ptx) == (tuple(sass.split()), tuple(ptx.split()))
    assert facts.evidence(row, "sass").how == "documented"
    assert "pytorch/builder@" in row.notes


def test_substitutes_are_the_same_release_and_run_where_the_index_build_does_not(facts, builds):
    substitutes = facts.framework("torch").substitutes
    assert {"torch==1.7.1+cu110", "torch==1.8.1+cu111", "torch==1.12.1+cu116"} <= {s.build for s in substitutes}
    for row in substitutes:
        if builds[row.build].origin == "nvidia":
            continue
        stand_in, release = builds[row.build], Version(builds[row.build].version).public
        usual = builds[f"torch=={release}"]
        assert row.versions == f"=={release}"
        assert "8.0" in stand_in.sass and "8.0" not in usual.sass
        assert f"CUDA {stand_in.cuda} instead of {usual.cuda}" in row.differs


@pytest.mark.parametrize(
    ("torch", "vision", "audio"),
    [
        ("1.0.0", "0.2.1", None),
        ("1.2.0", "0.4.0", "0.3.0"),
        ("1.4.0", "0.5.0", "0.4.0"),
        ("1.7.1", "0.8.2", "0.7.2"),
        ("1.10.0", "0.11.1", "0.10.0"),
        ("1.13.1", "0.14.1", "0.13.1"),
        ("2.0.0", "0.15.1", "2.0.1"),
        ("2.1.2", "0.16.2", "2.1.2"),
        ("2.11.0", "0.26.0", None),
    ],
)
def test_companions_of_torch(facts, torch, vision, audio):
    rows = [p for p in facts.framework("torch").pairings if holds(p.versions, torch)]
    assert {p.kind for p in rows} == {"companion"}
    ranges = {p.other: p.other_versions for p in rows}
    assert holds(ranges["torchvision"], vision)
    assert not holds(ranges["torchvision"], "0.3.1")
    assert audio is None or holds(ranges["torchaudio"], audio)


def test_every_torch_of_the_index_has_a_torchvision(facts):
    torch = facts.framework("torch")
    rows = [p for p in torch.pairings if p.other == "torchvision"]
    for build in torch.builds:
        if build.origin == "index":
            assert any(holds(p.versions, build.version) for p in rows), build.version


@pytest.mark.parametrize(
    ("jax", "jaxlib", "works"),
    [
        ("0.2.0", "0.4.13", False),
        ("0.2.28", "0.4.13", False),
        ("0.2.9", "0.1.59", True),
        ("0.2.9", "0.1.57", False),
        ("0.4.12", "0.4.13", False),
        ("0.4.13", "0.4.13", True),
        ("0.4.14", "0.4.13", True),
        ("0.4.16", "0.4.13", False),
        ("0.4.22", "0.4.23", False),
        ("0.4.27", "0.4.23", True),
        ("0.4.28", "0.4.23", False),
        ("0.4.31", "0.4.30", True),
        ("0.8.1", "0.8.2", False),
        ("0.8.3", "0.8.2", True),
        ("0.9.0", "0.8.2", False),
    ],
)
def test_jax_pairs_are_what_ran(facts, jax, jaxlib, works):
    rows = [p for p in facts.framework("jax").pairings if holds(p.versions, jax)]
    assert rows
    assert any(holds(p.other_versions, jaxlib) for p in rows) is works


def test_every_jax_has_one_pairing_and_jaxlib_as_its_back_end(facts):
    jax = facts.framework("jax")
    assert jax.default_backends == {"": "jaxlib"}
    for build in jax.builds:
        assert sum(holds(p.versions, build.version) for p in jax.pairings) == 1, build.version


def test_jaxlib_on_a_gpu_is_a_plugin_of_the_index_or_a_wheel_of_its_own(builds):
    rows = [b for b in builds.values() if b.package in ("jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin")]
    for build in rows:
        if build.package != "jaxlib":
            assert (build.devices, build.cuda_source) == (("gpu",), "wheel")
            assert build.cuda_extra == ("with_cuda" if Version(build.version) < Version("0.6") else "with-cuda")
        elif "gpu" in build.devices:
            assert (build.origin, build.cuda_source) == ("jax", "system")
            assert Version(build.version).local.startswith("cuda")
        assert (build.index is not None) is (build.origin == "jax")
    assert min(Version(b.version) for b in rows if b.origin == "index" and b.package == "jaxlib") == Version("0.4.13")


@pytest.mark.parametrize(
    ("runtime", "onnx", "reads"),
    [
        ("1.8.1", "1.9.0", True),
        ("1.8.1", "1.10.2", False),
        ("1.12.1", "1.12.0", True),
        ("1.12.1", "1.13.1", False),
        ("1.14.1", "1.14.1", False),
        ("1.15.1", "1.14.1", True),
        ("1.17.3", "1.16.2", False),
        ("1.18.1", "1.16.2", True),
        ("1.20.1", "1.17.0", False),
    ],
)
def test_onnx_that_a_runtime_reads_is_what_ran(facts, runtime, onnx, reads):
    rows = [p for p in facts.framework("onnxruntime").pairings if holds(p.versions, runtime)]
    assert len(rows) == 1
    assert holds(rows[0].other_versions, onnx) is reads


@pytest.mark.parametrize(
    ("build", "cuda", "cudnn", "source"),
    [
        ("onnxruntime-gpu==1.11.1", "11.4", "8.2", "system"),
        ("onnxruntime-gpu==1.18.1", "11.8", "8.2", "system"),
        ("onnxruntime-gpu==1.23.2", "12.2", "9.0", "system"),
        ("onnxruntime-gpu==1.31.1", "13.0", "9.0", "system"),
        ("onnxruntime==1.18.1", None, None, None),
        ("paddlepaddle-gpu==1.8.5.post97", "9.0", None, "system"),
        ("paddlepaddle-gpu==1.8.5.post107", "10.0", None, "system"),
        ("paddlepaddle-gpu==2.3.2", "10.2", "7.6", "system"),
        ("paddlepaddle-gpu==2.6.2", "11.8", "8.6", "system"),
    ],
)
def test_cuda_of_runtimes(builds, build, cuda, cudnn, source):
    row = builds[build]
    assert (row.cuda, row.cuda_source) == (cuda, source)
    assert row.cudnn == cudnn or (row.cudnn is not None and cudnn is None)


def test_onnx_rows_say_their_opset(builds):
    assert builds["onnx==1.7.0"].notes == "opset 12 (ML 2), IR version 7"


def test_no_host_of_the_package_index_in_these_files():
    for name in NAMES:
        for folder in ("matrices", "scripts/inputs"):
            text = (ROOT / folder / "frameworks" / f"{name}.json").read_text()
            assert json.loads(text)
            assert "pypi" not in text.lower().replace("_latest_jaxlib_version_on_pypi", "")


def test_a_release_whose_day_nobody_states_is_there_and_in_no_wish_for_a_day(facts, builds):
    early = [b for b in builds.values() if b.package == "torch" and b.version.startswith("0.1.")]
    assert {b.version for b in early} >= {"0.1.12.post2+cu80", "0.1.12.post2+cu75", "0.1.6.post20+cu75"}
    late = [b for b in builds.values() if b.version.startswith("1.8.2+")]
    assert {b.index for b in late} == {
        f"https://download.pytorch.org/whl/lts/1.8/{v}" for v in ("cpu", "cu102", "cu111")
    }
    for build in (*early, *late):
        assert build.released is None and not build.released_by(date(2026, 1, 1))
    request = build_request(["torch==1.8.2"], facts, as_of="2022-01-01")
    question = Question(request, Host(), facts)
    wish = next(w for w in question.wishes if w.name == "as_of:torch")
    axis = question.world.axes["framework:torch"]
    assert not any(wish.mask >> i & 1 for i, b in enumerate(axis.values) if b.released is None)
    assert wish_reason(question, wish).text.endswith("; the day of torch==1.8.2+cu111 is unknown")


def test_a_series_without_a_day_ranks_as_the_oldest_and_a_release_without_one_does_not_date_its_series(facts):
    question = Question(build_request(["torch"], facts), Host(), facts)
    axis = question.world.axes["framework:torch"]
    ranked = _series_ranked(axis, date(2021, 3, 1))
    rank = {b.version: ranked[i] for i, b in enumerate(axis.values)}
    assert rank["1.7.1"] < rank["0.1.12.post2+cu80"] < rank["1.8.2+cu111"] == rank["1.8.1"]


@pytest.mark.parametrize("name", ["torch", "mxnet"])
def test_nvidia_s_containers_are_declared_substitutes_and_known_by_their_images(facts, name):
    row = facts.framework(name)
    own = {f"{b.package}=={b.version}": b for b in row.builds if b.origin == "nvidia"}
    assert len(own) >= 10
    declared = {s.build: s for s in row.substitutes}
    images = [i for i in facts.images.values() if i.framework in own]
    assert len(images) >= 5
    for build_id, build in own.items():
        assert build.devices == ("gpu",) and build.cuda_source == "image"
        assert f"CUDA {build.cuda}" in declared[build_id].differs
        assert build.sass or "not offered" in build.notes
    for image in images:
        build = own[image.framework]
        assert (image.cuda, image.cudnn) == (build.cuda, build.cudnn)
        assert image.reference.startswith("nvcr.io/nvidia/") and image.python.startswith(
            f"{next(iter(build.pythons))}."
        )


@pytest.mark.parametrize(
    ("asked", "gpu", "container"), [("torch==1.13", "H100 PCIe", "22.09"), ("torch==1.9.1", "RTX 3090", "21.06")]
)
def test_a_container_is_chosen_only_where_a_substitute_is_accepted(facts, asked, gpu, container):
    host = Host(gpus=(parse_gpu(gpu, facts),), driver="580.65.06")
    chosen = Question(build_request([asked], facts), host, facts).solution().chosen
    assert chosen.fidelity == "exact" and "a0" not in chosen.frameworks[0].version
    accepting = build_request([asked], facts, accept=("substitute",), python="3.8")
    found = Question(accepting, host, facts).solution()
    stack = next(s for s in (found.chosen, *found.alternatives) if s.fidelity == "substitute")
    assert (stack.device, stack.verdict) == ("gpu", "native")
    if "13" in asked:
        assert stack.base_image == f"nvcr.io/nvidia/pytorch:{container}-py3" and stack is found.chosen
