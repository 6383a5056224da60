"""GPUs by the names people type, and the machine read from /proc, /sys and /dev."""

import time

import pytest

from envsolve.errors import UsageError
from envsolve.host import _within, parse_gpu, probe
from envsolve.matrices import load
from envsolve.request import build_request

FACTS = load()


def request(*gpus, **options):
    return build_request(["tf"], FACTS, gpu=gpus or ("auto",), **options)


@pytest.mark.parametrize(
    ("text", "name", "capability"),
    [
        ("RTX 3090", "NVIDIA GeForce RTX 3090", "8.6"),
        ("3090", "NVIDIA GeForce RTX 3090", "8.6"),
        ("geforce rtx3090", "NVIDIA GeForce RTX 3090", "8.6"),
        ("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3090", "8.6"),
        ("rtx-3090-ti", "NVIDIA GeForce RTX 3090 Ti", "8.6"),
        ("GTX1080Ti", "NVIDIA GeForce GTX 1080 Ti", "6.1"),
        ("GTX 1080", "NVIDIA GeForce GTX 1080", "6.1"),
        ("v100", "Tesla V100-PCIE-16GB", "7.0"),
        ("V100-SXM2-32GB", "Tesla V100-SXM2-32GB", "7.0"),
        ("Tesla K80", "Tesla K80", "3.7"),
        ("k80", "Tesla K80", "3.7"),
        ("RTX A6000", "NVIDIA RTX A6000", "8.6"),
        ("a100-sxm4-80gb", "NVIDIA A100-SXM4-80GB", "8.0"),
        ("A100", "NVIDIA A100-PCIE-40GB", "8.0"),
        ("h100", "NVIDIA H100 PCIe", "9.0"),
        ("RTX 4000 Ada", "NVIDIA RTX 4000 Ada Generation", "8.9"),
        ("RTX 3080 Laptop GPU", "NVIDIA GeForce RTX 3080", "8.6"),
        ("titan xp", "NVIDIA TITAN Xp", "6.1"),
        ("sm_86", "sm_86", "8.6"),
        ("SM86", "sm_86", "8.6"),
        ("8.6", "sm_86", "8.6"),
        ("compute_86", "sm_86", "8.6"),
        ("sm_90a", "sm_90", "9.0"),
        ("sm_120", "sm_120", "12.0"),
        ("12.0", "sm_120", "12.0"),
    ],
)
def test_gpu_names(text, name, capability):
    gpu = parse_gpu(text, FACTS)
    assert (gpu.name, gpu.compute_capability) == (name, capability)
    assert gpu.architecture is not None


def test_every_product_is_found_by_its_own_name_and_aliases():
    owners = {}
    for product in FACTS.products:
        assert parse_gpu(product.name, FACTS).name == product.name
        assert parse_gpu(product.name.lower(), FACTS).name == product.name
        for alias in product.aliases:
            owners.setdefault(alias, set()).add(product.compute_capability)
    assert owners
    for alias, capabilities in owners.items():
        if len(capabilities) == 1:
            assert {parse_gpu(alias, FACTS).compute_capability} == capabilities, alias
        else:
            check_ambiguous(alias)


def check_ambiguous(text):
    """Two GPUs of one name: the user is asked which, each by a name that is its own."""
    with pytest.raises(UsageError) as caught:
        parse_gpu(text, FACTS)
    assert caught.value.code == "ambiguous-gpu"
    assert len(caught.value.hints) > 1
    for hint in caught.value.hints:
        assert parse_gpu(hint.removeprefix("--gpu ").strip("'"), FACTS)


@pytest.mark.parametrize("text", ["RTX 309", "banana", "", "sm_99", "9.9", "ampere", "-", "é", "sm_", "8", "86"])
def test_an_unknown_gpu_hints_at_known_ones(text):
    with pytest.raises(UsageError) as caught:
        parse_gpu(text, FACTS)
    assert caught.value.code == "unknown-gpu"
    for hint in caught.value.hints:
        if hint.startswith("--gpu"):
            assert parse_gpu(hint.removeprefix("--gpu ").strip("'"), FACTS)


def test_the_nearest_names_come_first():
    with pytest.raises(UsageError) as caught:
        parse_gpu("RTX 309", FACTS)
    assert caught.value.hints[0] == "--gpu 'NVIDIA GeForce RTX 3090'"


# -- probing -------------------------------------------------------------------------------------------------


def machine(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


VERSION = {
    "proprietary": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n",
    "open": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder)\n",
}


@pytest.mark.parametrize(("kind", "driver"), [("proprietary", "535.104.05"), ("open", "570.86.15")])
def test_driver_and_gpus_without_nvml(tmp_path, kind, driver):
    root = machine(tmp_path, {
        "proc/driver/nvidia/version": VERSION[kind],
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA GeForce RTX 3090\nIRQ:  1\n",
        "proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: \t\t Tesla K80\n",
    })  # fmt: skip
    host = probe(request(), FACTS, root=root)
    assert host.driver == driver
    assert [(g.name, g.compute_capability, g.architecture) for g in host.gpus] == [
        ("NVIDIA GeForce RTX 3090", "8.6", "Ampere"), ("Tesla K80", "3.7", "Kepler")
    ]  # fmt: skip
    assert host.notes == ()


def test_a_card_without_a_driver_is_said(tmp_path):
    root = machine(tmp_path, {
        "sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
        "sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
        "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
        "sys/bus/pci/devices/0000:01:00.0/class": "0x030200\n",
    })  # fmt: skip
    host = probe(request(), FACTS, root=root)
    assert (host.gpus, host.driver) == ((), None)
    assert "NVIDIA card without a driver" in host.notes[0]


def test_no_card_no_note(tmp_path):
    root = machine(tmp_path, {
        "sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
        "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",  # the card's sound device alone
    })  # fmt: skip
    assert probe(request(), FACTS, root=root).notes == ()


def test_wsl_without_the_library(tmp_path):
    host = probe(request(), FACTS, root=machine(tmp_path, {"dev/dxg": ""}))
    assert "WSL" in host.notes[0]


def test_cpu_flags_are_those_that_matter(tmp_path):
    root = machine(
        tmp_path, {"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu sse sse4_2 avx2 avx ht\n\nprocessor\t: 1\n"}
    )
    assert probe(request(), FACTS, root=root).cpu_flags == ("avx", "avx2", "sse4_2")
    assert probe(request(), FACTS, root=tmp_path / "nothing").cpu_flags == ()


def test_a_described_machine_is_not_this_one():
    host = probe(request("RTX 3090", "v100", driver="535.104"), FACTS)
    assert [g.compute_capability for g in host.gpus] == ["8.6", "7.0"]
    assert (host.driver, host.cpu_flags, host.notes) == ("535.104", (), ())
    assert "--driver" in probe(request("sm_86"), FACTS).notes[0]


def test_no_gpu_wanted(tmp_path):
    root = machine(tmp_path, {
        "proc/driver/nvidia/version": VERSION["open"],
        "proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: \t\t Tesla K80\n",
    })  # fmt: skip
    assert probe(request("none"), FACTS, root=root).gpus == ()


def test_the_driver_can_be_said_by_option_or_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ENVSOLVE_DRIVER", "470.57")
    assert probe(request("sm_86"), FACTS).driver == "470.57"
    assert probe(request("sm_86", driver="535"), FACTS).driver == "535"
    monkeypatch.setenv("ENVSOLVE_DRIVER", "new")
    with pytest.raises(UsageError) as caught:
        probe(request("sm_86"), FACTS)
    assert caught.value.code == "bad-driver"


def test_what_takes_too_long_is_given_up():
    started = time.monotonic()
    assert _within(0.1, lambda: time.sleep(30), "gave up") == "gave up"
    assert _within(5, lambda: "answered", "gave up") == "answered"
    assert time.monotonic() - started < 5


def test_this_machine_answers():
    host = probe(request(), FACTS)
    assert host.machine
    assert host.glibc is None or host.glibc[0].isdigit()
