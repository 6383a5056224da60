"""GPUs by the names that people type: what is meant, what is asked about, and what a typo gets for an answer."""

from __future__ import annotations

import re
import time

import pytest

from envsolve.errors import UsageError
from envsolve.facts import Product
from envsolve.gpus import foreign_machine, parse_gpu
from envsolve.host import probe
from envsolve.matrices import load
from envsolve.request import build_request

FACTS = load()

# From NVIDIA's two lists, developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus, and what people type for them.
MEANT = {
    "3090": "NVIDIA GeForce RTX 3090 8.6", "rtx3090": "NVIDIA GeForce RTX 3090 8.6",
    "RTX A6000": "NVIDIA RTX A6000 8.6", "A6000": "NVIDIA RTX A6000 8.6", "v100": "Tesla V100-PCIE-16GB 7.0",
    "GTX1080Ti": "NVIDIA GeForce GTX 1080 Ti 6.1", "geforce gtx 1080 ti": "NVIDIA GeForce GTX 1080 Ti 6.1",
    "a100-sxm4-80gb": "NVIDIA A100-SXM4-80GB 8.0", "NVIDIA A100-SXM4-80GB": "NVIDIA A100-SXM4-80GB 8.0",
    "Tesla A100": "NVIDIA A100-PCIE-40GB 8.0", "Tesla K80": "Tesla K80 3.7", "quadro rtx 6000": "Quadro RTX 6000 7.5",
    "rtx 6000 ada": "NVIDIA RTX 6000 Ada Generation 8.9", "4000 ada": "NVIDIA RTX 4000 Ada Generation 8.9",
    "rtx pro 6000": "NVIDIA RTX PRO 6000 Blackwell Workstation Edition 12.0", "quadro 6000": "Quadro 6000 2.0",
    "titan xp": "NVIDIA TITAN Xp 6.1", "gtx titan": "NVIDIA GeForce GTX TITAN 3.5", "titan v": "NVIDIA TITAN V 7.0",
    "h100 pcie": "NVIDIA H100 PCIe 9.0", "4090 laptop": "NVIDIA GeForce RTX 4090 Laptop GPU 8.9",
    "rtx 3070 ti laptop": "NVIDIA GeForce RTX 3070 Ti Laptop GPU 8.6", "1650 max-q": "NVIDIA GeForce GTX 1650 7.5",
    "GeForce RTX 2080 with Max-Q Design": "NVIDIA GeForce RTX 2080 7.5",
    "gtx10606gb": "NVIDIA GeForce GTX 1060 6GB 6.1",
    "gtx 480": "NVIDIA GeForce GTX 480 2.0", "560 ti": "NVIDIA GeForce GTX 560 Ti 2.1", "c2050": "Tesla C2050 2.0",
    "1030": "NVIDIA GeForce GT 1030 6.1", "mx150": "NVIDIA GeForce MX150 6.1", "k520": "GRID K520 3.0",
    "nvs 510": "NVS 510 3.0", "jetson nano": "Jetson Nano 5.3", "orin nano": "Jetson Orin Nano 8.7",
    "tx2": "Jetson TX2 6.2", "xavier": "Jetson AGX Xavier 7.2", "jetson orin": "Jetson AGX Orin 8.7",
    "thor": "Jetson T5000 11.0", "gh200": "NVIDIA GH200 480GB 9.0", "b200": "NVIDIA B200 10.0",
}  # fmt: skip


@pytest.mark.parametrize(("typed", "meant"), MEANT.items())
def test_what_is_meant(typed: str, meant: str) -> None:
    gpu = parse_gpu(typed, FACTS)
    assert f"{gpu.name} {gpu.compute_capability}" == meant
    assert gpu.architecture is not None


def asked(typed: str) -> list[str]:
    """The names that the user is asked to choose from."""
    with pytest.raises(UsageError) as caught:
        parse_gpu(typed, FACTS)
    assert caught.value.code == "ambiguous-gpu", caught.value.hints
    return [hint.removeprefix("--gpu ").strip("'") for hint in caught.value.hints]


@pytest.mark.parametrize(
    ("typed", "among"),
    [
        ("titan", {"NVIDIA GeForce GTX TITAN", "NVIDIA TITAN Xp", "NVIDIA TITAN V", "NVIDIA TITAN RTX"}),
        ("titan x", {"NVIDIA GeForce GTX TITAN X", "NVIDIA TITAN X (Pascal)"}),
        ("6000", {"Quadro 6000", "Quadro RTX 6000", "NVIDIA RTX 6000 Ada Generation"}),
        ("rtx 6000", {"Quadro RTX 6000", "NVIDIA RTX 6000 Ada Generation"}),
        ("rtx 2000", {"NVIDIA RTX 2000 Ada Generation", "NVIDIA RTX PRO 2000 Blackwell"}),
        ("510", {"NVIDIA GeForce 510", "NVS 510"}),
        ("gt 710", {"NVIDIA GeForce GT 710 (GF119)", "NVIDIA GeForce GT 710 (GK208)"}),
        ("NVIDIA GeForce GT 730", {"NVIDIA GeForce GT 730 (GF108)", "NVIDIA GeForce GT 730 (GK208)"}),
        ("gtx 860m", {"NVIDIA GeForce GTX 860M (GK104)", "NVIDIA GeForce GTX 860M (GM107)"}),
    ],
)
def test_what_one_cannot_know_is_asked(typed: str, among: set[str]) -> None:
    names = asked(typed)
    assert among <= set(names)
    assert len({parse_gpu(name, FACTS).compute_capability for name in names}) > 1


def without(words: str, name: str) -> str:
    return re.sub(rf"\b(?:{words})\b|\s", "", name.lower())


def test_each_product_is_meant_by_its_own_name_in_small_letters_and_without_spaces() -> None:
    for product in FACTS.products:
        assert parse_gpu(product.name, FACTS).name == product.name
        assert parse_gpu(without("nvidia", product.name), FACTS).name == product.name


def test_without_its_brand_a_product_is_meant_or_asked_about_and_never_another() -> None:
    asked_about = 0
    for product in FACTS.products:
        typed = without("nvidia|geforce|tesla|quadro", product.name)
        try:
            assert parse_gpu(typed, FACTS).compute_capability == product.compute_capability, product.name
        except UsageError as error:
            assert error.code == "ambiguous-gpu", product.name
            hints = " ".join(error.hints)
            assert product.name in hints or any(
                p.compute_capability == product.compute_capability for p in named(hints)
            )
            asked_about += 1
    assert 0 < asked_about < len(FACTS.products) / 10


def named(text: str) -> list[Product]:
    return [product for product in FACTS.products if product.name in text]


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("RTX 309", "NVIDIA GeForce RTX 3090"), ("gtx 1089 ti", "NVIDIA GeForce GTX 1080 Ti"),
        ("tsla v100", "Tesla V100-PCIE-16GB"), ("titn v", "NVIDIA TITAN V"),
        ("jetson nanp", "Jetson Nano"),
    ],
)  # fmt: skip
def test_a_typo_gets_the_nearest_name_first(typo: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gpu(typo, FACTS)
    assert caught.value.code == "unknown-gpu"
    assert near in caught.value.hints[0]


def test_names_that_mean_two_chips_have_a_row_for_each() -> None:
    for alias in ("gt 630", "gt 640", "gt 710", "gt 720", "gt 730", "gt 730m", "gt 740m", "gtx 860m"):
        owners = [product for product in FACTS.products if alias in product.aliases]
        assert len({product.compute_capability for product in owners}) == len(owners) > 1, alias


def test_a_jetson_gets_no_promise_of_wheels_that_cannot_be_installed_there() -> None:
    gpu = parse_gpu("jetson orin nano", FACTS)
    assert foreign_machine([gpu], FACTS) == ("Jetson Orin Nano", "aarch64")
    with pytest.raises(UsageError) as caught:
        probe(build_request(["tf"], FACTS, gpu=("jetson orin nano",)), FACTS)
    assert caught.value.code == "other-machine"
    assert "aarch64" in str(caught.value)
    assert foreign_machine([parse_gpu("h100", FACTS), parse_gpu("sm_87", FACTS)], FACTS) is None


def test_each_capability_of_a_product_is_a_known_architecture() -> None:
    assert {p.compute_capability for p in FACTS.products} <= {a.compute_capability for a in FACTS.architectures}
    for name in ("Fermi", "Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell"):
        known = [a.compute_capability for a in FACTS.architectures if a.name == name]
        assert [p for p in FACTS.products if p.compute_capability in known], name


def test_a_name_is_understood_quickly() -> None:
    FACTS.products  # noqa: B018  (read once, before the clock starts)
    start = time.perf_counter()
    for typed in ("3090", "nvidia geforce rtx 3090", "quadro p5000 with max-q design", "jetson nano"):
        parse_gpu(typed, FACTS)
    assert time.perf_counter() - start < 1.0
