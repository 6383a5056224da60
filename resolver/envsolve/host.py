"""The machine the environment has to run on -> Host: probed here, or described by ``--gpu`` and ``--driver``.

Nothing in here waits for long: what asks a driver or a daemon runs under a time limit, and what only matters
where there is a GPU costs nothing where there is none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeVar

from envsolve.errors import UsageError
from envsolve.gpus import architecture, foreign_machine, parse_gpu
from envsolve.matrices import Facts
from envsolve.models import Gpu, Host, Interpreter, Request
from envsolve.request import driver_version

__all__ = ["parse_gpu", "probe"]

T = TypeVar("T")

CPU_FLAGS = frozenset({"sse4_1", "sse4_2", "avx", "avx2", "fma", "avx512f"})
"""Flags of /proc/cpuinfo that are kept, besides those that a build of the request names."""

MACHINE = "x86_64"
"""The processor that all builds of the database are for."""

DRIVER_VARIABLE = "ENVSOLVE_DRIVER"
NVML_TIMEOUT_S = 5.0
ENGINE_TIMEOUT_S = 3.0
_NVIDIA_PCI_VENDOR = "0x10de"
_PCI_DISPLAY_CLASS = "0x03"
_LIBRARY = "libnvidia-ml.so.1"
_LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "usr/lib/wsl/lib",
    "usr/lib64/nvidia", "usr/local/nvidia/lib64", "run/opengl-driver/lib",
)  # fmt: skip
_MODULE = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")


def probe(request: Request, facts: Facts, *, interpreters: bool = False, root: Path = Path("/")) -> Host:
    """The host that a request is about.

    ``--gpu`` with names describes a machine that need not be this one: its CPU and driver are unknown unless
    given. ``root`` is where /proc, /sys and /dev are looked for. Raises UsageError: an unknown GPU, one whose
    machine cannot run what is known (Jetson), a driver that is no version.
    """
    driver = driver_version(request.driver or os.environ.get(DRIVER_VARIABLE) or None)
    notes: list[str] = []
    described = request.gpu not in (("auto",), ("none",))
    if described:
        gpus = tuple(parse_gpu(text, facts) for text in request.gpu)
        if foreign := foreign_machine(gpus, facts):
            raise _other_machine(*foreign)
        if driver is None:
            notes.append("the driver of the machine described by --gpu is not known: --driver VERSION says it")
    elif request.gpu == ("none",):
        gpus = ()
    else:
        found, gpus, notes = _nvidia(facts, root)
        driver = driver or found
    machine = os.uname().machine
    if machine != MACHINE and not described:
        notes.append(f"this machine is {machine}: the builds that envsolve knows are for {MACHINE} and do not run here")
    return Host(
        driver=driver,
        gpus=gpus,
        cpu_flags=() if described else _cpu_flags(request, facts, root),
        engine=_engine(),
        machine=machine,
        glibc=_glibc(),
        interpreters=_interpreters() if interpreters else (),
        notes=tuple(notes),
    )


def _other_machine(name: str, machine: str) -> UsageError:
    """Better no answer than wheels that cannot be installed there."""
    return UsageError(
        f"the {name} is part of an {machine} system, and the builds that envsolve knows are for {MACHINE}",
        facts=("NVIDIA publishes builds and containers of its own for such systems; envsolve does not know them",),
        hints=("--gpu none",),
        code="other-machine",
    )


def _within(seconds: float, ask: Callable[[], T], default: T) -> T:
    """What ``ask`` gives, or the default when it takes too long; a stuck driver must not hang envsolve."""
    answers: list[T] = []
    thread = Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else default


# -- GPUs ----------------------------------------------------------------------------------------------------


def _nvidia(facts: Facts, root: Path) -> tuple[str | None, tuple[Gpu, ...], list[str]]:
    """The driver, the GPUs and what is worth saying about them."""
    driver = _driver_from_proc(root)
    gpus: tuple[Gpu, ...] = ()
    if _has_driver(root):
        if root == Path("/"):
            answer = _within(NVML_TIMEOUT_S, _ask_nvml, None)
            if answer is not None:
                driver, gpus = answer[0] or driver, answer[1]
        gpus = gpus or _gpus_from_proc(facts, root)
        named = (g.model_copy(update={"architecture": architecture(g.compute_capability, facts)}) for g in gpus)
        gpus = tuple(named)
    notes = [] if gpus else _missing_gpu_notes(root)
    return driver if gpus or driver else None, gpus, notes


def _has_driver(root: Path) -> bool:
    if (root / "proc/driver/nvidia").exists() or any((root / "dev").glob("nvidia[0-9]*")):
        return True
    folders = [root / folder for folder in _LIBRARY_FOLDERS]
    folders += [Path(p) for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p and root == Path("/")]
    return any((folder / _LIBRARY).exists() for folder in folders)


def _ask_nvml() -> tuple[str | None, tuple[Gpu, ...]] | None:
    """Driver and GPUs from NVML; None when the library or the driver is not there."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        gpus = []
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
            gpus.append(Gpu(name=_text(pynvml.nvmlDeviceGetName(handle)), compute_capability=f"{major}.{minor}"))
        return _text(pynvml.nvmlSystemGetDriverVersion()) or None, tuple(gpus)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    """Old releases of the binding give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _driver_from_proc(root: Path) -> str | None:
    found = _MODULE.search(_read(root / "proc/driver/nvidia/version"))
    return found[1] if found else None


def _gpus_from_proc(facts: Facts, root: Path) -> tuple[Gpu, ...]:
    """By the model names the kernel module prints, where NVML does not answer."""
    gpus = []
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+?)\s*$", _read(path), re.MULTILINE)
        try:
            gpus += [parse_gpu(model[1], facts)] if model else []
        except UsageError:
            continue
    return tuple(gpus)


def _missing_gpu_notes(root: Path) -> list[str]:
    if (root / "dev/dxg").exists():
        return ["WSL without NVIDIA's library: the Windows driver of the GPU is missing or too old"]
    if _has_driver(root):
        return ["NVIDIA's driver or its library is there, and shows no GPU"]
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if _read(device / "vendor").strip() == _NVIDIA_PCI_VENDOR and _read(device / "class").startswith(
            _PCI_DISPLAY_CLASS
        ):
            return ["an NVIDIA card without a driver: it cannot be used until NVIDIA's driver is installed"]
    return []


# -- the rest of the machine ---------------------------------------------------------------------------------


def _cpu_flags(request: Request, facts: Facts, root: Path) -> tuple[str, ...]:
    wanted = set(CPU_FLAGS)
    for name in {t.name for t in request.targets if t.framework}:
        wanted.update(flag for build in facts.framework(name).builds for flag in build.cpu)
    try:
        with (root / "proc/cpuinfo").open() as lines:
            line = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return ()
    return tuple(sorted(wanted & set(line.split())))


def _glibc() -> str | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return None
    return version or None if name == "glibc" else None


def _engine() -> str | None:
    from envsolve.engine.detect import container_engine

    return _within(ENGINE_TIMEOUT_S, container_engine, None)


def _interpreters() -> tuple[Interpreter, ...]:
    from envsolve.interpreters import find_interpreters

    return find_interpreters()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
