"""Real libraries and wheels, made here: gcc compiles, zipfile packs; only the GPU code is put together by hand."""

import functools
import shutil
import struct
import subprocess
import zipfile

import pytest

CODE = r"""
#include <math.h>
#include <stdio.h>
volatile double a = 2;
double power(double x) { return pow(x, a); }
const char name_of_library[] = "libcuda.so.1";
const char in_a_sentence[] = "cannot open libcublas.so.9.0 here";
const char other_library[] = "libz.so.1";
const char *names(void) { return a > 3 ? name_of_library : a > 2 ? in_a_sentence : other_library; }
"""
CUDNN = r"""
unsigned long cudnnGetVersion(void) { return 7605; }
int ncclGetVersion(int *version) { *version = 2708; return 0; }
"""
INIT = r"""
struct Version { int major, minor, patch; };
extern "C" int check(void *, volatile Version *);
namespace stream_executor { namespace gpu { struct CudnnSupport { int Init(); }; } }
int stream_executor::gpu::CudnnSupport::Init() {
  volatile Version source;
  source.major = 8; source.minor = 1; source.patch = 0;
  return check(this, &source);
}
"""


def entry(name, isa=None, flags=0, payload=b"\0" * 16):
    """One entry of a fatbin container: 'sm_70' or 'compute_70'."""
    kind, _, arch = name.partition("_")
    major, minor = isa or (1, 7)
    numbers = (1 if kind == "compute" else 2, 0x101, 64, len(payload), 0, 0, minor, major, int(arch), 0, 0, flags, 0, 0)
    header = struct.pack("<HHIQIIHHIIIQQQ", *numbers)
    return header + payload


def container(*entries):
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


@functools.cache
def _gcc():
    return shutil.which("g++")


def compile_library(folder, code, *, name="lib.so", section=None, options=(), language="c"):
    """A shared library of this code; ``section``: bytes for sections, by name."""
    if _gcc() is None:
        pytest.skip("no g++ on this machine")
    sources = [folder / f"{name}.{language}"]
    sources[0].write_text(code)
    for number, (title, content) in enumerate((section or {}).items()):
        data = folder / f"{name}.{number}.bin"
        data.write_bytes(content)
        sources.append(folder / f"{name}.{number}.s")
        sources[-1].write_text(
            f'.section {title},"a",@progbits\n.p2align 3\n.incbin "{data}"\n.section .note.GNU-stack,"",@progbits\n'
        )
    out = folder / name
    subprocess.run(["g++" if language == "cpp" else "gcc", "-shared", "-fPIC", "-O1", *options, "-o", out, *sources,
                    "-lm", "-Wl,--no-as-needed"], check=True, capture_output=True)  # fmt: skip
    return out.read_bytes()


def wheel(path, members, method=zipfile.ZIP_DEFLATED, requires=("numpy (>=1.9)", "nvidia-cudnn-cu11 (==8.5.0.96)")):
    """A wheel on disk."""
    metadata = "Metadata-Version: 2.1\nName: x\nVersion: 1\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("x-1.dist-info/METADATA", metadata)
    return path
