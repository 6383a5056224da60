"""The doctor works with nothing installed, waits for nothing, and each finding has a way out."""

import json
import os
import socket
import subprocess
import sys
import time
from threading import Event

import pytest

from envsolve.doctor import _within, examine, findings_text, wiring
from envsolve.matrices import load
from envsolve.models import Gpu, Host, Interpreter

FACTS = load()
PYTHON = Interpreter(version="3.6.15", path="/opt/python", abi="cp36m")


def find(host, subject):
    return [f for f in examine(offline=True, facts=FACTS, host=host) if f.subject == subject]


def test_a_bare_machine_is_blocked_and_told_how_to_get_on():
    (engine,) = find(Host(), "engine")
    assert engine.severity == "blocks"
    assert engine.fix
    (pythons,) = find(Host(), "pythons")
    assert pythons.fix


def test_interpreters_are_enough_for_the_local_engine():
    host = Host(interpreters=(PYTHON,))
    assert find(host, "engine")[0].severity == "warning"
    assert "3.6.15" in find(host, "pythons")[0].text


def test_an_engine_that_answers():
    assert find(Host(engine="docker 20.10.24"), "engine")[0].severity == "ok"


def test_gpus():
    host = Host(
        driver="470.57",
        gpus=(Gpu(name="Tesla K80", compute_capability="3.7"), Gpu(name="New", compute_capability="99.0")),
    )
    old, new = find(host, "gpu")
    assert "last driver branch" in old.text
    assert (old.severity, new.severity) == ("ok", "warning")
    assert find(Host(notes=("an NVIDIA card without a driver",)), "gpu")[0].severity == "warning"


def test_cpu():
    assert find(Host(cpu_flags=("avx",)), "cpu")[0].severity == "ok"
    assert find(Host(cpu_flags=("sse4_2",)), "cpu")[0].severity == "warning"


def test_text_has_a_line_per_finding_and_one_per_fix():
    findings = examine(offline=True, facts=FACTS, host=Host())
    text = findings_text(findings)
    assert len(text.splitlines()) == len(findings) + sum(bool(f.fix) and f.severity != "ok" for f in findings)
    assert "\x1b" not in text
    assert "\x1b" in findings_text(findings, color=True)


def doctor(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "envsolve", "doctor", *words], capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, **environment},
    )  # fmt: skip


def test_no_network_blocks():
    done = doctor("--json", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert done.returncode == 4, done.stderr
    index = [f for f in json.loads(done.stdout)["findings"] if f["subject"] == "index"]
    assert [f["severity"] for f in index] == ["blocks"]
    assert index[0]["fix"]


def test_an_index_that_never_answers_does_not_hang():
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        done = doctor("--json", PIP_INDEX_URL=f"http://127.0.0.1:{server.getsockname()[1]}/simple")
    assert time.monotonic() - started < 45
    assert done.returncode == 4
    assert [f["severity"] for f in json.loads(done.stdout)["findings"] if f["subject"] == "index"] == ["blocks"]


@pytest.mark.parametrize("cert", ["/nowhere/ca.crt"])
def test_a_certificate_bundle_that_is_not_there(cert):
    done = doctor("--json", PIP_CERT=cert)
    assert done.returncode == 4
    assert any(cert in f["text"] for f in json.loads(done.stdout)["findings"])


def test_nothing_on_the_path():
    done = doctor("--offline", PATH="/nowhere", HOME="/nowhere")
    assert done.returncode in (0, 4)
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") >= 4


def test_who_never_answers_is_said_and_not_waited_for():
    """A network disk that is gone, an index that sends a byte a second: no time limit of a single read ends these."""
    hung = Event()
    try:
        disk, index = _within(
            0.3, {"disk": lambda: list(hung.wait(60) * []), "index": lambda: list(hung.wait(60) * [])}
        )
    finally:
        hung.set()
    assert (disk.severity, index.severity) == ("warning", "blocks")
    assert "no answer" in index.text
    assert disk.fix
    assert index.fix


def test_what_is_grave_or_odd_has_a_fix():
    hosts = (
        Host(),
        Host(machine="x86_64", glibc=None),
        Host(gpus=(Gpu(name="New", compute_capability="99.0"),), driver="1.0"),
        Host(notes=("an NVIDIA card without a driver",)),
    )
    for host in hosts:
        for finding in examine(offline=True, facts=FACTS, host=host):
            assert finding.fix or finding.severity in ("ok", "note"), finding


def test_the_newest_cuda_that_the_driver_runs():
    toolkit = FACTS.toolkits["8.0"]
    assert f"CUDA up to {toolkit.version}" in find(Host(driver=toolkit.driver_min), "driver")[0].text
    assert "CUDA" not in find(Host(driver="1.0"), "driver")[0].text


@pytest.mark.parametrize(
    ("info", "severity"),
    [
        ({"Runtimes": {"runc": {}}}, "warning"),
        ({}, "warning"),
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, "ok"),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}, "ok"),
    ],
)
def test_whether_an_engine_can_hand_a_gpu_on(info, severity):
    found = wiring("docker", info)
    assert found.severity == severity
    assert bool(found.fix) == (severity == "warning")


def test_an_address_that_is_dead_is_named():
    done = doctor("--json", "--offline", DOCKER_HOST="tcp://127.0.0.1:1")
    (engine,) = [f for f in json.loads(done.stdout)["findings"] if f["subject"] == "engine"]
    assert "tcp://127.0.0.1:1" in engine["text"]
    assert engine["fix"] == "unset DOCKER_HOST"
