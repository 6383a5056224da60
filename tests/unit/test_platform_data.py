"""The tables that ship: they load, they are clean, and they give the answers that independent sources give."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import pytest
from packaging.version import Version

from envsolve.data import data_dir
from envsolve.facts import Cudnn, Image, PythonRelease, Row, Toolkit, Way
from envsolve.gpus import parse_gpu
from envsolve.lint import lint
from envsolve.matrices import Facts, load
from envsolve.solver.verdict import on_gpu
from envsolve.solver.world import version_key

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return load()


def rows(facts: Facts) -> Iterator[Row]:
    tables = (facts.toolkits, facts.cudnns, facts.systems, facts.images, facts.pythons)
    return chain(facts.architectures, facts.products, facts.caps, *(table.values() for table in tables))


def test_the_database_is_clean(facts: Facts) -> None:
    # Vendor images name builds: without any framework file there is nothing they could name.
    skipped = () if list(facts.framework_names()) else ("image-framework",)
    assert [finding for finding in lint() if finding.rule not in skipped] == []


def test_every_row_has_a_source_for_every_field(facts: Facts) -> None:
    for row in rows(facts):
        for field in type(row).model_fields:
            if field not in ("evidence", "notes"):
                assert facts.evidence(row, field).source


def test_the_schemas_are_what_the_types_give() -> None:
    spec = importlib.util.spec_from_file_location("update_schema", ROOT / "scripts" / "update_schema.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = {path.name: json.loads(path.read_text()) for path in (data_dir("matrices") / "schema").glob("*.json")}
    assert found == {name: json.loads(text) for name, text in script.schemas().items()}


# As people write them -> compute capability, from NVIDIA's list of CUDA GPUs.
TYPED = {
    "Tesla K80": "3.7", "k40": "3.5", "GTX 680": "3.0", "gtx titan black": "3.5", "GTX 750 Ti": "5.0", "980ti": "5.2",
    "m60": "5.2", "p100": "6.0", "Tesla P100-SXM2-16GB": "6.0", "P40": "6.1", "gtx1080ti": "6.1", "1060": "6.1",
    "TITAN X (Pascal)": "6.1", "titan v": "7.0", "v100": "7.0", "Tesla V100-SXM2-32GB": "7.0", "v100-32gb": "7.0",
    "T4": "7.5", "2080 Ti": "7.5", "quadro rtx 6000": "7.5", "GTX 1660 SUPER": "7.5", "a100": "8.0",
    "a100-sxm4-80gb": "8.0", "A30": "8.0", "3090": "8.6", "NVIDIA GeForce RTX 3090": "8.6", "RTX A6000": "8.6",
    "a10g": "8.6", "A40": "8.6", "rtx 3080 laptop gpu": "8.6", "4090": "8.9", "L4": "8.9", "L40S": "8.9",
    "rtx 6000 ada": "8.9", "h100": "9.0", "H100 80GB HBM3": "9.0", "H200": "9.0", "b200": "10.0", "B300": "10.3",
    "rtx 5090": "12.0", "rtx pro 6000": "12.0", "GB10": "12.1",
}  # fmt: skip


@pytest.mark.parametrize(("typed", "capability"), TYPED.items())
def test_a_gpu_is_found_as_people_type_it(typed: str, capability: str, facts: Facts) -> None:
    assert parse_gpu(typed, facts).compute_capability == capability


@pytest.mark.parametrize(
    "name", ["NVIDIA GeForce RTX 3090", "Tesla T4", "NVIDIA H100 80GB HBM3", "Tesla V100S-PCIE-32GB"]
)
def test_a_gpu_is_found_as_nvml_prints_it(name: str, facts: Facts) -> None:
    assert parse_gpu(name, facts).name == name


def test_each_product_is_found_by_its_own_name(facts: Facts) -> None:
    for product in facts.products:
        assert parse_gpu(product.name, facts).compute_capability == product.compute_capability, product.name


def native(facts: Facts, gpu: str) -> list[str]:
    return [v for v, toolkit in facts.toolkits.items() if on_gpu(gpu, toolkit.sass, ()) == "native"]


@pytest.mark.parametrize(
    ("gpu", "first", "last"),
    [
        ("2.1", "7.0", "7.5"), ("3.0", "7.0", "10.2"), ("3.7", "7.0", "11.8"), ("5.2", "7.0", "12.9"),
        ("6.1", "8.0", "12.9"), ("7.0", "9.0", "12.9"), ("7.5", "9.0", "13.5"), ("8.0", "11.0", "13.5"),
        ("8.6", "11.0", "13.5"), ("8.9", "11.0", "13.5"), ("9.0", "11.8", "13.5"), ("10.3", "12.8", "13.5"),
        ("12.0", "12.8", "13.5"),
    ],
)  # fmt: skip
def test_the_releases_that_hold_code_for_a_gpu(gpu: str, first: str, last: str, facts: Facts) -> None:
    """From NVIDIA's compatibility guides: code for X.y runs on X.z with z >= y."""
    assert (native(facts, gpu)[0], native(facts, gpu)[-1]) == (first, last)


# From NVIDIA's cuDNN support matrices (docs.nvidia.com/deeplearning/cudnn/archives/cudnn_760 and cudnn-822: Turing with
# the builds for CUDA 10.x, Kepler in 8.x) and https://aur.archlinux.org/packages/cudnn9.10-cuda12.9, kept
# since 9.10 is the last for Maxwell, Pascal and Volta. That Blackwell came with 9.7 is measured only.
@pytest.mark.parametrize(
    ("gpu", "first", "last"),
    [
        ("3.5", "4.0", "8.7"),
        ("6.1", "5.1", "9.10"),
        ("7.5", "7.0", "9.28"),
        ("9.0", "8.6", "9.28"),
        ("12.0", "9.7", "9.28"),
    ],
)
def test_the_cudnns_that_hold_code_for_a_gpu(gpu: str, first: str, last: str, facts: Facts) -> None:
    found = [v for v, release in facts.cudnns.items() if on_gpu(gpu, release.sass, ()) == "native"]
    assert (found[0], found[-1]) == (first, last)


def test_measured_libraries_agree_with_what_the_compiler_can_do(facts: Facts) -> None:
    """What was read from cuBLAS lies in nvcc's documented range (the linter's rule), and is no small part of it."""
    measured = [t for t in facts.toolkits.values() if facts.evidence(t, "sass").how == "measured"]
    assert len(measured) >= 15
    for toolkit in measured:
        assert toolkit.ptx, toolkit.version
        native = [a for a in facts.architectures if on_gpu(a.compute_capability, toolkit.sass, ()) == "native"]
        version = Version(toolkit.version)
        wanted = [
            a.compute_capability
            for a in facts.architectures
            if Version(a.cuda_first) <= version and (a.cuda_last is None or version <= Version(a.cuda_last))
        ]
        missing = set(wanted) - {a.compute_capability for a in native}
        assert missing <= {"2.0", "2.1", "3.2", "11.0"}, toolkit.version  # Fermi was left out early, Tegra has its own


def ways(facts: Facts) -> Iterator[tuple[str, str, Way]]:
    rows: list[Toolkit | Cudnn | PythonRelease] = [*facts.toolkits.values(), *facts.cudnns.values()]
    for row in [*rows, *facts.pythons.values()]:
        yield from ((type(row).__name__, row.version, way) for way in row.ways)


def test_a_way_that_is_gone_was_seen_once_and_says_what_replaces_it(facts: Facts) -> None:
    gone = [(version, way) for _, version, way in ways(facts) if way.status == "gone"]
    assert len(gone) > 20
    for version, way in gone:
        assert way.kind != "image" or way.last_seen is not None, (version, way.reference)
        if way.kind == "image" and way.replaced_by is not None:
            assert way.replaced_by in facts.images, (version, way.replaced_by)
    unreplaced = {way.reference for _, way in gone if way.replaced_by is None}
    assert all("ubuntu14.04" in tag or "cudnn8" in tag for tag in unreplaced), unreplaced


def test_an_image_that_is_a_way_is_a_row_of_its_own(facts: Facts) -> None:
    for kind, version, way in ways(facts):
        if way.kind == "image" and way.status == "available":
            image = facts.images[way.reference]
            if kind != "PythonRelease":
                assert version in (image.cuda, image.cudnn)


@pytest.mark.parametrize("cuda", ["8.0", "9.0", "9.2", "10.0", "10.1", "10.2"])
def test_a_cuda_whose_images_are_gone_has_another_way_with_its_compiler(cuda: str, facts: Facts) -> None:
    kinds = {(way.kind, "nvcc" in (way.notes or "")) for way in facts.toolkits[cuda].ways if way.status != "gone"}
    assert ("apt", True) in kinds and ("apt", False) in kinds


def test_every_python_says_what_its_pip_reads_and_how_it_can_be_had(facts: Facts) -> None:
    for python in facts.pythons.values():
        assert python.manylinux[0] == "manylinux1", python.version
        assert {"image", "source"} <= {way.kind for way in python.ways}, python.version
        for way in python.ways:
            if way.kind == "source":
                assert re.fullmatch(r"https://\S+#[0-9a-f]{64}", way.reference), python.version
    assert facts.pythons["3.4"].manylinux == ("manylinux1", "manylinux2010")
    assert facts.pythons["3.5"].manylinux[-1] == "manylinux_x_y"


def test_drivers_leave_old_gpus_behind(facts: Facts) -> None:
    # The modules of the Tegra line have a driver of their own, with no branch to speak of.
    tegra = {"3.2", "5.3", "6.2", "7.2", "8.7", "11.0"}
    rows = [row for row in facts.architectures if row.compute_capability not in tegra]
    last = {row.name: row.driver_branch_last for row in rows}
    assert last["Fermi"] == "390"
    assert last["Kepler"] == "470"
    assert last["Maxwell"] == last["Pascal"] == last["Volta"] == "580"
    assert last["Turing"] is last["Ampere"] is last["Blackwell"] is None


# (CUDA, cuDNN, whether a newer minor of it serves): what the wheels of TensorFlow 1.0 to 2.6 were built with.
WANTED = [
    ("8.0", "5.1", False), ("8.0", "6.0", False), ("9.0", "7.0", False), ("9.0", "7.2", True), ("10.0", "7.6", True),
    ("10.1", "7.6", True), ("11.0", "8.0", True), ("11.2", "8.1", True),
]  # fmt: skip


def serves(image: Image, cuda: str, cudnn: str, newer: bool) -> bool:
    if image.cuda != cuda or image.cudnn is None or image.status == "gone":
        return False
    found, wanted = Version(image.cudnn), Version(cudnn)
    return found.major == wanted.major and (found >= wanted if newer else found == wanted)


@pytest.mark.parametrize(("cuda", "cudnn", "newer"), WANTED)
def test_each_tensorflow_finds_its_cuda_and_cudnn(cuda: str, cudnn: str, newer: bool, facts: Facts) -> None:
    assert [image.id for image in facts.images.values() if serves(image, cuda, cudnn, newer)]


@pytest.mark.parametrize("python", ["2.7", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_each_python_has_an_image_of_its_last_patch_release(python: str, facts: Facts) -> None:
    images = [image for image in facts.images.values() if image.reference.startswith(f"python:{python}.")]
    assert images
    last = facts.pythons[python].full
    newest = [version_key(facts.systems[i.os].glibc) for i in images if i.python == last]
    assert newest
    # An older patch release only where the last one has no image that old: for its Python to be copied from.
    older = [version_key(facts.systems[i.os].glibc) for i in images if i.python != last]
    assert all(glibc < min(newest) for glibc in older)


def test_an_image_with_cuda_is_for_a_cudnn_that_exists_for_it(facts: Facts) -> None:
    for image in facts.images.values():
        if image.cudnn is not None:
            assert image.cuda in facts.cudnns[image.cudnn].cuda, image.id


def test_the_pins_of_a_rebuilt_image_are_of_its_own_cuda(facts: Facts) -> None:
    for image in facts.images.values():
        if image.status != "rebuilt":
            continue
        cuda, cudnn = image.cuda or "", image.cudnn or ""
        pins = dict(pin.split("=") for pin in image.apt_pins)
        names = {
            f"cuda-{lib}-{cuda.replace('.', '-')}" for lib in ("cudart", "cufft", "curand", "cusolver", "cusparse")
        }
        assert names <= set(pins), image.id
        assert any("cublas" in name for name in pins), image.id
        cudnn_pin = pins[f"libcudnn{cudnn.split('.')[0]}"]
        assert cudnn_pin.startswith(f"{cudnn}.") and cudnn_pin.endswith(f"+cuda{cuda}"), image.id
        assert all(image.os.replace(".", "") in url for url in (*image.apt_keys, *image.apt_repositories)), image.id


def test_systems_of_ended_releases_say_where_their_packages_are(facts: Facts) -> None:
    assert facts.systems["debian9"].archive == facts.systems["debian10"].archive == "archive.debian.org"
    assert facts.systems["debian12"].archive is None


def test_newer_systems_have_newer_libraries(facts: Facts) -> None:
    for family in ("debian", "ubuntu"):
        found = sorted((s for s in facts.systems.values() if s.name.startswith(family)), key=lambda s: s.released)
        for field in ("glibc", "glibcxx", "gcc"):
            versions = [Version(getattr(system, field)) for system in found]
            assert versions == sorted(versions), (family, field)


def test_a_python_drops_the_backports_of_the_one_before_too(facts: Facts) -> None:
    known = sorted(facts.pythons.values(), key=lambda row: Version(row.version))
    for older, newer in pairwise(known):
        assert set(older.backports) <= set(newer.backports)
    assert "enum34" not in facts.pythons["2.7"].backports
    assert {"enum34", "futures"} <= set(facts.pythons["3.4"].backports)
    assert "typing" not in facts.pythons["3.4"].backports
    assert "typing" in facts.pythons["3.5"].backports


def test_every_dropped_package_has_its_module_in_that_standard_library(facts: Facts) -> None:
    for cap in facts.caps:
        if cap.kind == "drop":
            lowest = cap.pythons.removeprefix(">=")
            later = [row for row in facts.pythons.values() if Version(row.version) >= Version(lowest)]
            assert later and all(cap.package in row.backports for row in later), cap.id
