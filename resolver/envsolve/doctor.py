"""Is this machine ready? Findings about driver, GPUs, CPU, engine, interpreters, disk, certificates and index.

Each check stands alone, waits no longer than a few seconds and works with nothing installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from envsolve.errors import EnvsolveError
from envsolve.host import probe
from envsolve.matrices import Facts, load
from envsolve.models import Frozen, Host, Request

Severity = Literal["ok", "note", "warning", "blocks"]

INDEX_TIMEOUT_S = 3.0
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
    """Every finding, in a fixed order. Raises DatabaseError only when the database itself cannot be read."""
    facts = facts or load()
    host = host or probe(Request(targets=()), facts, interpreters=True)
    findings = [*_gpus(host, facts), *_cpu(host), *_engines(host), *_disk()]
    return findings + ([] if offline else _index())


def _gpus(host: Host, facts: Facts) -> Iterable[Finding]:
    for note in host.notes:
        yield Finding(subject="gpu", severity="warning", text=note, fix="nvidia-smi")
    if host.driver:
        yield Finding(subject="driver", severity="ok", text=f"NVIDIA driver {host.driver}")
    elif not host.notes:
        yield Finding(subject="gpu", severity="note", text="no NVIDIA GPU here: stacks for the CPU, or --gpu NAME")
    ends = {a.compute_capability: a.driver_branch_last for a in facts.architectures}
    for gpu in host.gpus:
        text = f"{gpu.name}, compute capability {gpu.compute_capability}"
        last = ends.get(gpu.compute_capability)
        if gpu.compute_capability not in ends:
            yield Finding(subject="gpu", severity="warning", text=f"{text}: not in the database, so it is not judged")
        elif last:
            yield Finding(subject="gpu", severity="ok", text=f"{text}; {last} is the last driver branch for it")
        else:
            yield Finding(subject="gpu", severity="ok", text=text)


def _cpu(host: Host) -> Iterable[Finding]:
    flags = ", ".join(host.cpu_flags) or "none of those that builds need"
    lacking = "avx" not in host.cpu_flags and host.machine in ("x86_64", "AMD64")
    yield Finding(
        subject="cpu",
        severity="warning" if lacking else "ok",
        text=f"{host.machine}, {flags}" + ("; many frameworks' builds need avx" if lacking else ""),
    )
    if host.glibc is None:
        yield Finding(subject="libc", severity="warning", text="no glibc: the local engine cannot install wheels here")


def _engines(host: Host) -> Iterable[Finding]:
    found = ", ".join(i.version for i in host.interpreters)
    if host.engine:
        yield Finding(subject="engine", severity="ok", text=host.engine)
    else:
        yield Finding(
            subject="engine",
            severity="warning" if host.interpreters else "blocks",
            text="no container engine answers" + ("; the local engine can build" if host.interpreters else ""),
            fix="systemctl start docker" if shutil.which("dockerd") else "apt-get install docker.io",
        )
    if host.interpreters:
        yield Finding(subject="pythons", severity="ok", text=f"for the local engine: {found}")
    else:
        fix = "pyenv install X.Y" if shutil.which("pyenv") else "uv python install X.Y"
        yield Finding(subject="pythons", severity="note", text="none found that the local engine could use", fix=fix)


def _disk() -> Iterable[Finding]:
    for folder in dict.fromkeys((Path.cwd(), Path(os.environ.get("TMPDIR", "/tmp")))):  # noqa: S108
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            yield Finding(subject="disk", severity="blocks", text=f"{folder}: {error.strerror}")
            continue
        severity: Severity = "blocks" if free < DISK_NEEDED else "warning" if free < DISK_COMFORTABLE else "ok"
        fix = None if severity == "ok" else "docker system prune"
        yield Finding(subject="disk", severity=severity, text=f"{free / _GIB:.1f} GiB free in {folder}", fix=fix)


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
        return [Finding(subject="index", severity="blocks", text=f"{error.message}; locking needs it", fix=fix)]
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
