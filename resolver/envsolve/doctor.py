"""Is this machine ready? Findings about driver, GPUs, CPU, engine, interpreters, disk, certificates and index.

Each check stands alone and works with nothing installed; together they wait no longer than ``ALL_TIMEOUT_S``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from envsolve.errors import EnvsolveError
from envsolve.host import probe
from envsolve.matrices import Facts, load
from envsolve.models import Frozen, Host, Request

Severity = Literal["ok", "note", "warning", "blocks"]

INDEX_TIMEOUT_S = 3.0
ALL_TIMEOUT_S = 25.0
"""Interpreters that do not answer may take 17 s, a driver 5 s, an engine 3 s."""

_GIB = 1 << 30
DISK_NEEDED = 2 * _GIB
"""Bytes: less than this holds no image of a framework."""

DISK_COMFORTABLE = 20 * _GIB


class Finding(Frozen):
    """One thing found: how grave, why, and the command that mends it."""

    subject: str
    severity: Severity
    text: str
    fix: str | None = None


def examine(*, offline: bool = False, facts: Facts | None = None, host: Host | None = None) -> list[Finding]:
    """Every finding, in a fixed order, in ``ALL_TIMEOUT_S`` at most.

    Raises DatabaseError only when the database itself cannot be read.
    """
    database = facts or load()

    def machine() -> list[Finding]:
        here = host or probe(Request(targets=()), database, interpreters=True)
        return [*_gpus(here, database), *_cpu(here), *_kernel(database), *_engines(here), *_wiring(here)]

    asked: dict[str, Callable[[], list[Finding]]] = {"machine": machine, "disk": lambda: list(_disk())}
    return _within(ALL_TIMEOUT_S, asked if offline else asked | {"index": _index})


def _within(seconds: float, asked: Mapping[str, Callable[[], list[Finding]]]) -> list[Finding]:
    """What each says, asked all at once. Who is silent until then (a dead network disk, a name server) is said so."""
    until = time.monotonic() + seconds
    answers: dict[str, list[Finding] | Exception] = {}

    def ask(name: str) -> None:
        try:
            answers[name] = asked[name]()
        except Exception as error:  # noqa: BLE001 (raised below)
            answers[name] = error

    threads = [Thread(target=ask, args=(name,), daemon=True) for name in asked]
    for thread in threads:
        thread.start()
    findings: list[Finding] = []
    for name, thread in zip(asked, threads, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        answer = answers.get(name)
        if isinstance(answer, Exception):
            raise answer
        findings += [_silent(name, seconds)] if answer is None else answer
    return findings


def _silent(name: str, seconds: float) -> Finding:
    fix = {"index": "envsolve doctor --offline", "disk": "df -h", "machine": "nvidia-smi"}[name]
    severity: Severity = "blocks" if name == "index" else "warning"
    return Finding(subject=name, severity=severity, text=f"gave no answer within {seconds:.0f} s", fix=fix)


def _gpus(host: Host, facts: Facts) -> Iterable[Finding]:
    for note in host.notes:
        yield Finding(subject="gpu", severity="warning", text=note, fix="nvidia-smi")
    if host.driver:
        newest = _newest_cuda(host.driver, facts)
        text = f"NVIDIA driver {host.driver}" + (f", for CUDA up to {newest}" if newest else "")
        yield Finding(subject="driver", severity="ok", text=text)
    elif not host.notes:
        yield Finding(subject="gpu", severity="note", text="no NVIDIA GPU here: stacks for the CPU, or --gpu NAME")
    ends = {a.compute_capability: a.driver_branch_last for a in facts.architectures}
    for gpu in host.gpus:
        text = f"{gpu.name}, compute capability {gpu.compute_capability}"
        last = ends.get(gpu.compute_capability)
        if gpu.compute_capability not in ends:
            text = f"{text}: not in the database, so it is not judged"
            fix = "envsolve TARGET... --facts FILE   # with a row of your own for it"
            yield Finding(subject="gpu", severity="warning", text=text, fix=fix)
        elif last:
            yield Finding(subject="gpu", severity="ok", text=f"{text}; {last} is the last driver branch for it")
        else:
            yield Finding(subject="gpu", severity="ok", text=text)


def _newest_cuda(driver: str, facts: Facts) -> str | None:
    """The newest known toolkit that this driver runs."""
    have = _numbers(driver)
    fitting = [toolkit.version for toolkit in facts.toolkits.values() if _numbers(toolkit.driver_min) <= have]
    return max(fitting, key=_numbers, default=None)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _cpu(host: Host) -> Iterable[Finding]:
    flags = ", ".join(host.cpu_flags) or "none of those that builds need"
    lacking = "avx" not in host.cpu_flags and host.machine in ("x86_64", "AMD64")
    yield Finding(
        subject="cpu",
        severity="warning" if lacking else "ok",
        text=f"{host.machine}, {flags}" + ("; many frameworks' builds need avx, and are left out" if lacking else ""),
        fix="grep -m1 flags /proc/cpuinfo   # a virtual machine may hide what its processor has" if lacking else None,
    )
    if host.glibc is None:
        text, fix = "no glibc: the local engine cannot install wheels here", "envsolve build DIR --backend docker"
        yield Finding(subject="libc", severity="warning", text=text, fix=fix)


def _kernel(facts: Facts) -> Iterable[Finding]:
    """Whether programs of very old C libraries can call this kernel at all."""
    try:
        answers = "[vsyscall]" in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for repair in facts.repairs:
        if repair.id == "vsyscall":
            text = f"vsyscall: {'answered' if answers else f'not answered; with old images {repair.why}'}"
            severity: Severity = "ok" if answers else "note"
            yield Finding(subject="kernel", severity=severity, text=text, fix=None if answers else repair.fix)


def _engines(host: Host) -> Iterable[Finding]:
    found = ", ".join(i.version for i in host.interpreters)
    if host.engine:
        yield Finding(subject="engine", severity="ok", text=host.engine)
    else:
        text, fix = _no_engine()
        yield Finding(
            subject="engine",
            severity="warning" if host.interpreters else "blocks",
            text=text + ("; the local engine can build" if host.interpreters else ""),
            fix=fix,
        )
    if host.interpreters:
        yield Finding(subject="pythons", severity="ok", text=f"for the local engine: {found}")
    else:
        fix = "pyenv install X.Y" if shutil.which("pyenv") else "uv python install X.Y"
        yield Finding(subject="pythons", severity="note", text="none found that the local engine could use", fix=fix)


def _no_engine() -> tuple[str, str]:
    """Why no engine is used, and the command that changes it."""
    from envsolve.engine import JOIN
    from envsolve.engine.detect import search

    asked = os.environ.get("DOCKER_HOST")
    refused = [address for address, trouble in search().troubles if trouble == "permission"]
    if refused:
        return f"the container engine at {refused[0]} refuses this user", JOIN
    if asked:
        return f"no container engine answers at {asked}, which DOCKER_HOST names", "unset DOCKER_HOST"
    if shutil.which("dockerd"):
        return "no container engine answers; Docker is installed and does not run", "sudo systemctl start docker"
    return "no container engine answers", "sudo apt-get install docker.io"


def _wiring(host: Host) -> Iterable[Finding]:
    """Whether the engine can hand a GPU on, where there is one."""
    if not (host.gpus and host.engine):
        return
    from docker.errors import DockerException

    from envsolve.engine import select
    from envsolve.engine.docker import DockerEngine

    engine = select("auto")
    if isinstance(engine, DockerEngine):
        with suppress(DockerException, OSError):  # it has just gone
            yield wiring(engine.name, engine._client().info())


def wiring(engine: str, info: Mapping[str, Any]) -> Finding:
    """What an engine says of itself about GPUs."""
    devices = [str(d.get("ID", "")) for d in info.get("DiscoveredDevices") or ()]
    if any(name.startswith("nvidia.com/gpu") for name in devices):
        return Finding(subject="gpu runtime", severity="ok", text=f"{engine} knows NVIDIA's devices by CDI")
    if "nvidia" in (info.get("Runtimes") or {}):
        return Finding(subject="gpu runtime", severity="ok", text=f"{engine} has NVIDIA's runtime")
    return Finding(
        subject="gpu runtime",
        severity="warning",
        text=f"{engine} lists neither NVIDIA's runtime nor its devices: containers may get no GPU",
        fix="sudo apt-get install nvidia-container-toolkit && sudo nvidia-ctk runtime configure"
        " && sudo systemctl restart docker",
    )


def _disk() -> Iterable[Finding]:
    import platformdirs

    seen: set[int] = set()
    for folder in (Path.cwd(), Path(tempfile.gettempdir()), platformdirs.user_data_path("envsolve")):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            disk = there.stat().st_dev
            free = shutil.disk_usage(there).free
        except OSError as error:
            yield Finding(subject="disk", severity="blocks", text=f"{there}: {error.strerror}", fix=f"ls -ld {there}")
            continue
        if disk in seen:
            continue
        seen.add(disk)
        severity: Severity = "blocks" if free < DISK_NEEDED else "warning" if free < DISK_COMFORTABLE else "ok"
        fix = None if severity == "ok" else "docker system prune" if shutil.which("docker") else f"du -sh {there}/*"
        yield Finding(subject="disk", severity=severity, text=f"{free / _GIB:.1f} GiB free in {there}", fix=fix)


def _index() -> list[Finding]:
    """Whether the index that pip uses here answers a small request, with pip's certificates and proxy."""
    from dataclasses import replace

    from envsolve.lock.pipconfig import redact, user_config
    from envsolve.lock.transport import Transport

    try:
        config = user_config()
        certificates = _certificates(config.ca_bundle)
        url = config.index_url.rstrip("/") + "/pip/"
        brief = replace(config, timeout=INDEX_TIMEOUT_S, retries=0)
        answer = Transport(brief).get(url, {"Accept": "application/vnd.pypi.simple.v1+json"})
    except EnvsolveError as error:
        fix = error.hints[0] if error.hints else None
        return [
            Finding(
                subject="index",
                severity="blocks",
                text=f"{error.message}; locking needs it",
                fix=fix or "pip config list",
            )
        ]
    host = redact(url).split("/")[2] if "//" in url else url
    if answer.status != 200:
        text = f"{host} answers HTTP {answer.status} for a project that every index has"
        return [certificates, Finding(subject="index", severity="warning", text=text, fix="pip config list")]
    return [certificates, Finding(subject="index", severity="ok", text=f"{host} answers")]


def _certificates(bundle: Path | None) -> Finding:
    if bundle is None:
        return Finding(subject="certificates", severity="ok", text="those that come with requests")
    return Finding(subject="certificates", severity="ok", text=str(bundle))


_PAINT: dict[str, str] = {"ok": "32", "note": "36", "warning": "33", "blocks": "31"}


def findings_text(findings: Iterable[Finding], color: bool = False) -> str:
    """The findings as a person reads them, worst words in colour, each fix on its own line."""
    paint: Callable[[str], str] = (lambda s: f"\x1b[{_PAINT[s]}m{s:<8}\x1b[0m") if color else (lambda s: f"{s:<8}")
    lines = []
    for finding in findings:
        lines.append(f"{paint(finding.severity)} {finding.subject:<13} {finding.text}")
        if finding.fix and finding.severity != "ok":
            lines.append(f"{'':<22} hint: {finding.fix}")
    return "\n".join(lines)
