"""What the probe asks NVIDIA's libraries, asked of libraries of the same functions that are compiled here."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from envsolve.probe_text import probe_text

CC = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler")

CUDA = """
#include <string.h>
int cuInit(unsigned flags) { return REFUSED; }
int cuDriverGetVersion(int *version) { *version = 12020; return 0; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int at) { *device = at + 40; return 0; }
int cuDeviceGetName(char *to, int size, int device) { strncpy(to, "Tesla V100-SXM2-16GB", size); return 0; }
int cuDeviceGetAttribute(int *to, int what, int device)
{ *to = what == 75 ? 7 : what == 76 ? device - 40 : -1; return 0; }
"""
NVML = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { strncpy(to, "535.104.12", size); return 0; }
"""
LIBRARIES = {
    "libcuda.so.535.104.05": CUDA,
    "libcudart.so.8.0": "int cudaRuntimeGetVersion(int *v) { *v = 8000; return 0; }",
    "libcudnn.so.6": "unsigned long cudnnGetVersion(void) { return 6021; }",
    "libcublas-1b201d85.so.8.0": "int nothing;",
}
RUN = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[1])
import smoke
for path in json.loads(sys.argv[3]):
    ctypes.CDLL(path)
probe = smoke.Probe(json.loads(sys.argv[2]), "/nowhere")
probe.check("driver", smoke.check_driver, probe)
probe.check("libraries", smoke.check_libraries, probe)
print(json.dumps(probe.report(0)))
"""


def compiled(folder, name, source, *options):
    path = folder / name
    (folder / "source.c").write_text(source)
    subprocess.run([CC, "-shared", "-fPIC", *options, "-o", str(path), str(folder / "source.c")], check=True)
    return path


def found(folder, expect, loaded, count=1, refused=0, nvml=True):
    """The report of the two checks in a process that has these libraries."""
    (folder / "smoke.py").write_text(probe_text())
    options = [f"-DCOUNT={count}", f"-DREFUSED={refused}"]
    paths = [str(compiled(folder, name, source, *options)) for name, source in loaded.items()]
    if nvml:
        compiled(folder, "libnvidia-ml.so.1", NVML)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    words = [sys.executable, "-B", "-c", RUN, str(folder), json.dumps({"device": "gpu", **expect}), json.dumps(paths)]
    run = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    report = json.loads(run.stdout)
    return report, {check["name"]: check for check in report["checks"]}


def test_it_tells_the_versions_and_the_gpus(tmp_path):
    report, checks = found(tmp_path, {"cuda": "8.0", "cudnn": "6"}, LIBRARIES, count=2)
    assert all(check["ok"] for check in checks.values()), checks
    assert checks["driver"]["detail"] == (
        "driver 535.104.12: Tesla V100-SXM2-16GB (capability 7.0), Tesla V100-SXM2-16GB (capability 7.1)"
    )
    assert (report["driver"], [gpu["capability"] for gpu in report["gpus"]]) == ("535.104.12", ["7.0", "7.1"])
    versions = {row["name"]: row["version"] for row in report["libraries"]}
    assert versions == {"libcuda": "535.104.05", "libcudart": "8.0", "libcudnn": "6.0.21", "libcublas": "8.0"}
    assert [row["cuda"] for row in report["libraries"] if row["name"] == "libcuda"] == ["12.2"]


def test_a_library_that_says_another_version_than_its_name_is_believed(tmp_path):
    changed = {**LIBRARIES, "libcudnn.so.6": "unsigned long cudnnGetVersion(void) { return 5110; }"}
    report, checks = found(tmp_path, {"cuda": "8.0", "cudnn": "6"}, changed)
    assert not checks["libraries"]["ok"]
    assert "libcudnn 6 was solved, but" in checks["libraries"]["detail"]
    assert checks["libraries"]["detail"].endswith("is 5.1.10")
    assert report["libraries"]  # it says what is there, though it failed


def test_a_silent_fall_back_to_the_cpu_fails(tmp_path):
    _, checks = found(tmp_path, {"cuda": "8.0"}, {"libcudart.so.8.0": LIBRARIES["libcudart.so.8.0"]}, nvml=False)
    assert "libcuda is not in this process" in checks["libraries"]["detail"]
    assert not checks["libraries"]["ok"]
    assert not checks["driver"]["ok"]


def test_a_driver_without_a_gpu_fails(tmp_path):
    _, checks = found(tmp_path, {}, LIBRARIES, count=0, nvml=False)
    assert not checks["driver"]["ok"]
    assert checks["driver"]["detail"] == "driver 535.104.05, and no GPU that it shows"


def test_a_driver_that_refuses_fails(tmp_path):
    _, checks = found(tmp_path, {}, LIBRARIES, refused=804)
    assert checks["driver"]["detail"] == "the driver refuses: CUDA error 804"
