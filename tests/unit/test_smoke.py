"""Judging a probe's run, and the probe itself as far as it goes without a framework."""

import atexit
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from envsolve.engine.base import Built, ProbeRun
from envsolve.interpreters import find_interpreters
from envsolve.lock.document import dump, load
from envsolve.models import Check, LoadedLibrary, SmokeReport
from envsolve.probe_text import probe_text
from envsolve.smoke import REPORT, describe, expectation, judge, smoke, write_report
from envsolve.talk import Talk

ROOT = Path(__file__).parents[2]
PROBE = Path(tempfile.mkdtemp(prefix="envsolve-probe-")) / "smoke.py"
PROBE.write_text(probe_text())
atexit.register(shutil.rmtree, PROBE.parent, ignore_errors=True)
LOCKS = sorted((ROOT / "tests" / "local").glob("*.lock"))


@pytest.fixture(scope="module")
def probe():
    spec = importlib.util.spec_from_file_location("probe", PROBE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WITH_PATH = """
import runpy, sys
folders, sys.argv = sys.argv[1].split(":"), sys.argv[2:]
sys.path[1:1] = [folder for folder in folders if folder]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_probe(*arguments, path=()):
    command = [sys.executable, "-c", WITH_PATH, ":".join(map(str, path)), str(PROBE), *arguments]
    environment = {**os.environ, "TMPDIR": str(PROBE.parent)}  # of one that crashes something stays
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def judged(run):
    return judge(ProbeRun(run.returncode, run.stdout, run.stderr, 1.0), backend="local", subject="/prefix")


def module(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return folder


def only(report, name):
    (check,) = [check for check in report.checks if check.name == name]
    return check


# -- what is expected ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_host_and_probe_read_the_same_out_of_a_lock(path, probe):
    lock = load(path.read_text())
    assert probe.from_lock(json.loads(dump(lock))) == expectation(lock)


def test_keras_is_expected_on_the_backend_beside_it(probe):
    lock = load(LOCKS[0].read_text())
    pair = [{"name": "keras", "version": "1.2.2"}, {"name": "theano", "version": "0.9.0"}]
    document = json.loads(dump(lock))
    document["stack"]["frameworks"] = [
        {**row, "package": row["name"], "origin": "index", "build": f"{row['name']}=={row['version']}"} for row in pair
    ]
    document["system_packages"] = ["g++", "libopenblas-dev"]
    found = expectation(load(json.dumps(document)))
    assert (found["backend"], found["compiler"]) == ("theano", True)
    assert probe.from_lock(document) == found
    document["environment"]["KERAS_BACKEND"] = "tensorflow"
    assert expectation(load(json.dumps(document)))["backend"] == "tensorflow"


def test_a_vendor_build_is_expected_by_its_release_and_with_its_own_tools(probe):
    document = json.loads(dump(load(LOCKS[0].read_text())))
    document["stack"]["frameworks"] = [
        {"name": "tensorflow", "package": "nvidia-tensorflow", "version": "1.15.5+nv23.03", "origin": "nvidia",
         "build": "nvidia-tensorflow==1.15.5+nv23.03"},
    ]  # fmt: skip
    whole = expectation(load(json.dumps(document)))
    document["image"]["preinstalled"] = ["nvidia-tensorflow==1.15.5+nv23.03"]
    found = expectation(load(json.dumps(document)))
    assert (whole["frameworks"], found["frameworks"]) == ({"tensorflow": "1.15.5+nv23.03"}, {"tensorflow": "1.15.5"})
    assert set(whole["packages"]) - set(found["packages"]) == {"pip", "setuptools", "wheel"}
    assert probe.from_lock(document) == found


# -- the probe ----------------------------------------------------------------------------------------------


def test_prints_one_document_and_fails_what_is_missing():
    packages = {"no-such-package": "1.0", "pydantic": "0.1"}
    run = run_probe(json.dumps({"packages": packages, "frameworks": {"nosuchframework": "1.0"}}))
    assert run.returncode == 1
    assert run.stdout.count("\n") == 1
    report = judged(run)
    detail = only(report, "packages").detail
    assert "no-such-package 1.0 is not installed" in detail
    assert "pydantic is " in detail
    assert "not 0.1" in detail
    assert "nosuchframework" in only(report, "nosuchframework import").detail


def test_another_python_than_solved_fails():
    report = judged(run_probe(json.dumps({"python": "2.6"})))
    assert (
        only(report, "python").detail == f"Python 2.6 was solved, but {sys.version_info[0]}.{sys.version_info[1]} runs"
    )


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("raise ImportError('libcublas.so.8.0: cannot open shared object file')", "ImportError: libcublas.so.8.0"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("raise ValueError('first\\nlast')", "ValueError: first ... last"),
    ],
)
def test_a_check_that_raises_is_recorded_and_the_others_still_run(tmp_path, text, detail):
    path = module(tmp_path / "site", "broken", text)
    module(path, "whole", "__version__ = '1.0'")
    report = judged(run_probe(json.dumps({"frameworks": {"broken": "1", "whole": "1.0"}}), path=[path]))
    assert only(report, "broken import").detail.startswith(detail)
    assert only(report, "whole version").ok


def test_what_frameworks_print_is_kept_off_stdout(tmp_path):
    text = (
        "import os, sys\n__version__ = '1.0'\nprint('{\"schema\": 1}')\nsys.stdout.flush()\nos.system('echo from C')\n"
    )
    run = run_probe(json.dumps({"frameworks": {"noisy": "1.0"}}), path=[module(tmp_path / "site", "noisy", text)])
    assert len(run.stdout.splitlines()) == 1
    assert "from C" in run.stderr
    assert only(judged(run), "noisy version").ok


def test_a_version_is_compared_by_its_meaning(probe):
    assert probe.plain("1.4.0-rc0") == probe.plain("1.4rc0")
    assert probe.plain("1.13.1+cu117") == probe.plain("1.13.1")
    assert probe.plain("2.0") == probe.plain("2.0.0")
    assert probe.plain("1.10") != probe.plain("1.1")
    assert probe.plain("1.10.0") != probe.plain("1.1.0")


def test_a_framework_of_another_version_fails(tmp_path):
    path = module(tmp_path / "site", "whole", "__version__ = '1.4.0'")
    report = judged(run_probe(json.dumps({"frameworks": {"whole": "1.4.1"}}), path=[path]))
    assert only(report, "whole version").detail == "whole 1.4.1 was solved, but 1.4.0 was imported"


def test_a_gpu_stack_whose_operations_ran_on_the_cpu_fails(probe, tmp_path):
    found = probe.Probe({"device": "gpu"}, str(tmp_path))
    assert not found.check("tensorflow device", found.check_device, "tensorflow")
    found.ran_on("tensorflow", "matmul", "/job:localhost/replica:0/task:0/device:GPU:0")
    assert found.check("tensorflow device", found.check_device, "tensorflow")
    found.ran_on("tensorflow", "convolution", "/job:localhost/replica:0/task:0/cpu:0")
    assert not found.check("tensorflow device", found.check_device, "tensorflow")
    assert found.checks[-1]["detail"].startswith("solved for the gpu, but convolution ran on ")


def test_it_leaves_no_file_and_needs_no_home(tmp_path):
    run = subprocess.run(
        [sys.executable, str(PROBE), "{}"], capture_output=True, text=True, env={"TMPDIR": str(tmp_path)}, cwd="/"
    )
    assert judged(run).checks
    assert list(tmp_path.iterdir()) == []


def test_without_an_expectation_it_says_so(tmp_path):
    run = run_probe(str(tmp_path / "nothing.json"))
    assert (run.returncode, run.stdout) == (1, "")
    report = judged(run)
    assert not report.ok
    assert "nothing.json" in report.log


# -- what the new checks see ----------------------------------------------------------------------------------


def test_the_whole_probe_compiles_under_old_pythons_and_names_nothing_that_is_not_there():
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F,E9", str(PROBE)]
    assert subprocess.run(ruff, capture_output=True, text=True).stdout.strip() == "All checks passed!"
    assert probe_text() == PROBE.read_text()
    old = [found.path for found in find_interpreters() if found.version.startswith(("2.7.", "3.6."))]
    for python in old:
        code = "import sys; compile(open(sys.argv[1], 'rb').read(), 'smoke.py', 'exec')"
        done = subprocess.run([python, "-c", code, str(PROBE)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_post_release_of_the_packaging_is_the_same_module(probe, tmp_path):
    found = probe.Probe({"frameworks": {"mxnet": "1.5.1.post0", "torch": "1.5.1"}}, str(tmp_path))
    assert probe.check_version(found, "mxnet", "1.5.1") == "mxnet 1.5.1"
    assert probe.check_version(found, "mxnet", "1.5.1.post0")
    with pytest.raises(probe.Wrong):
        probe.check_version(found, "mxnet", "1.5.0")
    with pytest.raises(probe.Wrong):
        probe.check_version(found, "torch", "1.5.1.post2")


def test_the_time_to_the_first_operation_tells_of_the_drivers_compiler(probe, tmp_path):
    assert probe.first_op("gpu", 95.0, 0.01) == {"first": 95.0, "again": 0.01, "jit": True}
    assert not probe.first_op("gpu", 4.0, 0.01)["jit"]
    assert not probe.first_op("gpu", 95.0, 90.0)["jit"]
    assert not probe.first_op("cpu", 95.0, 0.01)["jit"]
    found, ran = probe.Probe({}, str(tmp_path)), []
    found.timed("torch", ran.append)("cpu")
    assert ran == ["cpu", "cpu"]
    assert set(found.first_ops) == {"torch"}


MAPS = """\
00400000-00401000 r-xp 00000000 08:01 123 /usr/bin/python3.6
7f0000000000-7f0000001000 r-xp 00000000 08:01 124 /usr/local/cuda-8.0/targets/x86_64-linux/lib/libcudart.so.8.0.61
7f0000001000-7f0000002000 ---p 00001000 08:01 124 /usr/local/cuda-8.0/targets/x86_64-linux/lib/libcudart.so.8.0.61
7f0000002000-7f0000003000 r-xp 00000000 08:01 125 /usr/lib/x86_64-linux-gnu/libcudnn.so.6.0.21
7f0000003000-7f0000004000 r-xp 00000000 08:01 126 /usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05 (deleted)
7f0000004000-7f0000005000 r-xp 00000000 08:01 127 /a site/torch/lib/libcublas-1b201d85.so.10
7f0000005000-7f0000006000 r-xp 00000000 08:01 128 /usr/lib/x86_64-linux-gnu/libcublasLt.so.11
7f0000006000-7f0000007000 rw-p 00000000 00:00 0 [heap]
7f0000007000-7f0000008000 rw-p 00000000 00:00 0
"""


def test_the_libraries_are_read_out_of_the_process(probe):
    rows = probe.mapped_libraries(MAPS)
    assert [(row["name"], row["version"]) for row in rows] == [
        ("libcublas", "10"), ("libcuda", "535.104.05"), ("libcudart", "8.0.61"), ("libcudnn", "6.0.21"),
    ]  # fmt: skip
    assert rows[0]["path"] == "/a site/torch/lib/libcublas-1b201d85.so.10"
    assert rows[1]["path"].endswith("libcuda.so.535.104.05")
    assert probe.mapped_libraries("") == []


@pytest.mark.parametrize(
    ("expect", "change", "said"),
    [
        ({"cuda": "8.0", "cudnn": "6"}, ("", ""), None),
        ({"cuda": "8.0", "cudnn": "6.0.21"}, ("", ""), None),
        ({"cuda": None, "cudnn": None}, ("", ""), None),
        ({"cuda": "8.0", "cudnn": "7"}, ("", ""), "libcudnn 7 was solved, but /usr/lib/"),
        ({"cuda": "8.0", "cudnn": "7.6.5"}, ("libcudnn.so.6.0.21", "libcudnn.so.7.4.2"), "is 7.4.2"),
        ({"cuda": "8.0", "cudnn": "7.4"}, ("libcudnn.so.6.0.21", "libcudnn.so.7.6.5"), None),
        ({"cuda": "9.0", "cudnn": "6"}, ("", ""), "libcudart 9.0 was solved"),
        ({"cuda": "8.0", "cudnn": "6"}, ("libcuda.so.535.104.05", "other.so"), "nothing ran on a GPU"),
        ({"cuda": "8.0", "cudnn": "6"}, ("libcublas-1b201d85.so.10", "libcudnn.so.5.1"), "two versions of libcudnn"),
    ],
)
def test_a_wrong_library_or_none_of_the_driver_fails(probe, expect, change, said):
    faults = probe.library_faults(probe.mapped_libraries(MAPS.replace(*change) if change[0] else MAPS), expect)
    assert faults == [] if said is None else any(said in fault for fault in faults), faults


def test_versions_as_the_libraries_tell_them(probe):
    assert [probe.cudnn_version(number) for number in (6021, 7605, 8902, 90100)] == [
        "6.0.21",
        "7.6.5",
        "8.9.2",
        "9.1.0",
    ]
    assert [probe.cuda_version(number) for number in (8000, 10010, 12020)] == ["8.0", "10.1", "12.2"]
    row = {"name": "libcudnn", "version": "6.0.21", "path": "/no/such/libcudnn.so.6.0.21"}
    assert probe.ask_library(row) == row


def test_a_gpu_stack_without_the_drivers_library_fails_and_a_cpu_stack_says_nothing_of_it():
    gpu = judged(run_probe(json.dumps({"device": "gpu"})))
    if not Path("/proc/driver/nvidia").exists():
        assert not only(gpu, "libraries").ok
        assert "libcuda is not in this process" in only(gpu, "libraries").detail
    assert not {"libraries", "driver"} & {check.name for check in judged(run_probe("{}")).checks}


def test_an_unknown_framework_is_said_to_be_unproven(tmp_path):
    path = module(tmp_path / "site", "whole", "__version__ = '1.0'")
    report = judged(run_probe(json.dumps({"frameworks": {"whole": "1.0"}}), path=[path]))
    assert report.unproven == ("whole was imported; nothing that it computes was compared",)
    assert report.unproven[0] in describe(report)


# -- judging ------------------------------------------------------------------------------------------------

GOOD = {
    "schema": "envsolve/smoke-1", "ok": True, "python": "3.6.15", "device": "cpu", "versions": {"numpy": "1.13.3"},
    "checks": [{"name": "numpy", "ok": True, "detail": "", "seconds": 0.1, "error": 1e-7, "tolerance": 1e-5}],
    "seconds": 0.2,
}  # fmt: skip


def outcome(code=0, stdout="", stderr="", timed_out=False):
    return judge(ProbeRun(code, stdout, stderr, 12.3456, timed_out), backend="docker", subject="sha256:1")


def test_a_report_that_passes():
    report = outcome(stdout="warning\n" + json.dumps(GOOD) + "\n", stderr="talk")
    assert report.ok
    assert (report.device, report.seconds, report.log, report.subject) == ("cpu", 12.346, "", "sha256:1")
    assert report.checks[0].tolerance == 1e-5


@pytest.mark.parametrize(
    "change",
    [
        {"ok": False},
        {"checks": []},
        {"checks": [{**GOOD["checks"][0], "ok": False}]},
        {"checks": "none"},
        {"schema": "another"},
        {"device": "tpu"},
    ],
)
def test_a_report_that_does_not_pass(change):
    assert not outcome(stdout=json.dumps({**GOOD, **change}), stderr="why").ok


def test_a_good_report_with_a_bad_ending_does_not_pass():
    assert not outcome(code=1, stdout=json.dumps(GOOD)).ok
    assert not outcome(code=139, stdout=json.dumps(GOOD)).ok
    assert not outcome(stdout=json.dumps(GOOD), timed_out=True).ok


@pytest.mark.parametrize("code", [-signal.SIGILL, 128 + signal.SIGILL])
def test_an_illegal_instruction_is_named_with_the_check_it_ended(code):
    stderr = "smoke: begin numpy\nsmoke: ok numpy exact\nsmoke: begin tensorflow import\nFatal Python error\n"
    report = outcome(code=code, stderr=stderr)
    assert [(check.name, check.ok) for check in report.checks] == [("numpy", True), ("tensorflow import", False)]
    assert "CPU instructions that this machine lacks" in report.checks[-1].detail
    assert "Fatal Python error" in report.checks[-1].detail
    assert report.log == stderr


def test_running_out_of_time_and_of_memory():
    late = outcome(code=-9, stderr="smoke: begin theano training step\n", timed_out=True)
    assert late.checks[-1] == Check(name="theano training step", ok=False, detail="did not end within 12 s")
    assert "memory" in outcome(code=137).checks[-1].detail


def test_silence_is_a_failure():
    report = outcome(code=0)
    assert not report.ok
    assert report.checks == (Check(name="probe", ok=False, detail="the probe gave no report (exit code 0)"),)


def test_a_real_crash_in_the_probe(tmp_path):
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
    run = run_probe(json.dumps({"frameworks": {"crashing": "1"}}), path=[module(tmp_path / "site", "crashing", text)])
    report = judged(run)
    assert [check.name for check in report.checks][-1] == "crashing import"
    assert "SIGILL" in report.checks[-1].detail
    assert only(report, "python").ok


# -- what is kept and said ----------------------------------------------------------------------------------


class Replay:
    """An engine that gives one run back."""

    name = "local"

    def __init__(self, run):
        self.run = run

    def run_probe(self, built, lock, folder, talk, *, arguments=(), timeout_s=1.0):
        self.arguments = arguments
        return self.run


def test_the_report_is_written_whole_beside_the_lock(tmp_path):
    lock = load(LOCKS[0].read_text())
    engine = Replay(ProbeRun(0, json.dumps(GOOD), "", 1.0))
    report = smoke(engine, Built("local", "/prefix"), lock, tmp_path, Talk(quiet=True))
    assert json.loads(engine.arguments[0]) == expectation(lock)
    assert [path.name for path in tmp_path.iterdir()] == [REPORT]
    document = json.loads((tmp_path / REPORT).read_text())
    assert document.pop("schema") == "envsolve/smoke-1"
    assert SmokeReport.model_validate(document) == report
    first = (tmp_path / REPORT).read_bytes()
    write_report(tmp_path, report)
    assert (tmp_path / REPORT).read_bytes() == first


def test_a_folder_that_cannot_be_written_keeps_the_result(tmp_path, capsys):
    lock = load(LOCKS[0].read_text())
    missing = tmp_path / "gone"
    report = smoke(
        Replay(ProbeRun(0, json.dumps(GOOD), "", 1.0)), Built("local", "/p"), lock, missing, Talk(quiet=True)
    )
    assert report.ok
    assert "could not be written" in capsys.readouterr().err


def test_prose():
    checks = (
        Check(name="numpy", ok=True, seconds=0.25),
        Check(name="torch device", ok=False, detail="solved for the gpu, but matmul ran on cpu"),
    )
    report = SmokeReport(ok=False, backend="docker", subject="x", device="cpu", checks=checks, seconds=3.21)
    assert describe(report) == (
        "smoke test: 1 of 2 checks failed in 3.2 s, on the CPU (docker)\n"
        "  ok    numpy          0.25 s\n"
        "  FAIL  torch device           solved for the gpu, but matmul ran on cpu"
    )
    loaded = (
        LoadedLibrary(name="libcudnn", version="7.6.5", path="/a/libcudnn.so.7"),
        LoadedLibrary(name="libcublas", path="/a/libcublas.so.10"),
    )
    assert describe(report.model_copy(update={"libraries": loaded})).endswith(
        "\n  loaded: libcudnn 7.6.5, libcublas (version unknown)"
    )
