"""Run the probe in what was built, and judge: what it expects, what it says, what a crash means."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from envsolve.errors import UsageError
from envsolve.models import Check, Lock, SmokeReport

if TYPE_CHECKING:
    from envsolve.engine.base import Built, Engine, ProbeRun
    from envsolve.talk import Talk

SCHEMA = "envsolve/smoke-1"
REPORT = "smoke-report.json"

_TAIL = 6000
"""Characters of the probe's talk that a failed report keeps."""

_SEEN = ("os", "first_ops", "unproven", "driver", "gpus", "libraries", "own")
"""Fields that the report takes over as they are; the probe of an older image may lack them."""

OWN_LIMIT = 90_000
"""Bytes of a user's own check, packed: it travels as part of one argument, which Linux limits to 128 KiB."""

_SIGNALS = {
    "SIGILL": "Illegal instruction: the binary needs CPU instructions that this machine lacks",
    "SIGKILL": "killed, most likely because memory ran out",
    "SIGSEGV": "Segmentation fault",
    "SIGABRT": "aborted",
    "SIGBUS": "Bus error",
    "SIGFPE": "Floating point exception",
}


def smoke(engine: Engine, built: Built, lock: Lock, folder: Path, talk: Talk, own: Path | None = None) -> SmokeReport:
    """Run the probe inside ``built``, write ``smoke-report.json`` beside the lock, and give the report.

    ``own``: a script of the user's that runs beside it and must end with 0. Whatever the probe does is a report;
    raises NotReadyError only when the engine cannot run it at all, UsageError when ``own`` cannot be read.
    """
    expect = expectation(lock) | ({"own": packed(own)} if own else {})
    arguments = (json.dumps(expect, sort_keys=True),)
    with talk.step("smoke test"):
        run = engine.run_probe(built, lock, folder, talk, arguments=arguments)
    report = judge(run, backend=built.engine, subject=built.subject)
    try:
        write_report(folder, report)
    except OSError as error:
        talk.warn(f"{folder / REPORT} could not be written: {error.strerror or error}")
    return report


def expectation(lock: Lock) -> dict[str, Any]:
    """What the probe has to find (the probe reads the same out of ``envsolve.lock`` when run by hand)."""
    others = [f.name for f in lock.stack.frameworks if f.name != "keras"]
    vendor = lock.image.preinstalled
    versions = {
        f.name: f.version.partition("+")[0] if f"{f.package}=={f.version}" in vendor else f.version
        for f in lock.stack.frameworks
    }
    return {
        "python": lock.stack.python,
        "device": lock.stack.device,
        # A vendor's build calls itself by the release that it is of, and its image keeps its own build tools
        "frameworks": versions,
        "packages": {p.name: p.version for p in lock.packages if not (vendor and p.phase == "build")},
        "backend": lock.environment.get("KERAS_BACKEND") or (others[0] if len(others) == 1 else None),
        "compiler": any(name.startswith("g++") for name in lock.system_packages),
        "cuda": lock.stack.cuda,
        "cudnn": lock.stack.cudnn,
    }


def packed(script: Path) -> dict[str, str]:
    """A user's own check as the expectation carries it into whatever was built."""
    try:
        content = script.read_bytes()
    except OSError as error:
        raise UsageError(f"{script}: {error.strerror or error}", code="bad-script") from error
    text = base64.b64encode(zlib.compress(content, 9)).decode("ascii")
    if len(text) > OWN_LIMIT:
        raise UsageError(
            f"{script}: {len(content)} bytes are too many for a check", code="bad-script",
            facts=("it must be one small script; what it needs must be in the environment",),
        )  # fmt: skip
    return {"name": script.name, "script": text}


def judge(run: ProbeRun, *, backend: str, subject: str) -> SmokeReport:
    """What a run of the probe proves. A run without a report fails, with what ended it as a check."""
    said = _document(run.stdout)
    common: dict[str, Any] = {"backend": backend, "subject": subject, "seconds": round(run.seconds, 3)}
    if said is not None and not run.timed_out and run.exit_code in (0, 1):
        try:
            checks = tuple(Check.model_validate(row) for row in said["checks"])
            ok = said["ok"] is True and run.exit_code == 0 and bool(checks) and all(check.ok for check in checks)
            return SmokeReport(
                ok=ok, python=said["python"], device=said["device"], versions=said["versions"], checks=checks,
                log="" if ok else run.stderr[-_TAIL:], **common,
                **{name: said[name] for name in _SEEN if said.get(name) is not None},
            )  # fmt: skip
        except (KeyError, TypeError, ValidationError):
            pass  # something else printed JSON: as good as no report
    return SmokeReport(ok=False, checks=tuple(_cut_short(run)), log=run.stderr[-_TAIL:], **common)


def _document(stdout: str) -> dict[str, Any] | None:
    """The probe's report: the last line that is one."""
    for line in reversed(stdout.splitlines()):
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and value.get("schema") == SCHEMA:
                return value
    return None


def _cut_short(run: ProbeRun) -> Iterator[Check]:
    """The checks of a run that gave no report, by its talk; the last is the one that ended it."""
    current = "probe"
    for line in run.stderr.splitlines():
        if line.startswith("smoke: begin "):
            current = line.removeprefix("smoke: begin ").strip()
        for mark in ("ok", "FAIL"):
            start = f"smoke: {mark} {current}"
            if line.startswith(start) and current != "probe":
                yield Check(name=current, ok=mark == "ok", detail=line.removeprefix(start).strip())
                current = "probe"
    yield Check(name=current, ok=False, detail=_ending(run))


def _ending(run: ProbeRun) -> str:
    lines = [line.strip() for line in run.stderr.splitlines() if line.strip() and not line.startswith("smoke: ")]
    last = f"; it last said: {lines[-1][:300]}" if lines else ""
    if run.timed_out:
        return f"did not end within {run.seconds:.0f} s{last}"
    number = -run.exit_code if run.exit_code < 0 else run.exit_code - 128
    with contextlib.suppress(ValueError):
        name = signal.Signals(number).name if number > 0 else ""
        if name:
            return f"{_SIGNALS.get(name, 'ended')} ({name}){last}"
    return f"the probe gave no report (exit code {run.exit_code}){last}"


def write_report(folder: Path, report: SmokeReport) -> Path:
    """Write ``smoke-report.json`` whole or not at all. Raises OSError."""
    text = json.dumps({"schema": SCHEMA, **report.model_dump(mode="json")}, indent=2, sort_keys=True) + "\n"
    handle, name = tempfile.mkstemp(prefix=f".{REPORT}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(folder / REPORT)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return folder / REPORT


def describe(report: SmokeReport) -> str:
    """A report in prose: one line for the whole, one for each check, with what went wrong."""
    failed = sum(not check.ok for check in report.checks)
    total = len(report.checks)
    device = {"gpu": ", on the GPU", "cpu": ", on the CPU", None: ""}[report.device]
    took = f" in {report.seconds:.1f} s" if report.seconds is not None else ""
    count = f"all {total} checks passed" if report.ok else f"{failed} of {total} checks failed"
    lines = [f"smoke test: {count}{took}{device} ({report.backend})"]
    width = max((len(check.name) for check in report.checks), default=0)
    for check in report.checks:
        seconds = f"{check.seconds:7.2f} s" if check.seconds is not None else " " * 9
        detail = "" if check.ok else f"  {check.detail}"
        lines.append(f"  {'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}{seconds}{detail}".rstrip())
    return "\n".join([*lines, *(f"  {line}" for line in remarks(report))])


def remarks(report: SmokeReport) -> Iterator[str]:
    """What a person should know beside the checks: the wait at the start, what was really loaded, what is unproven."""
    for framework, took in sorted(report.first_ops.items()):
        jit = ": the driver compiled for this GPU, and keeps that in its cache" if took.jit else ""
        yield f"first operation of {framework}: {took.first:.2f} s, the same again {took.again:.3f} s{jit}"
    if report.driver:
        names = ", ".join(f"{gpu.name} ({gpu.capability or 'capability unknown'})" for gpu in report.gpus)
        yield f"driver {report.driver}, {names or 'no GPU'}"
    if report.libraries:
        loaded = (f"{library.name} {library.version or '(version unknown)'}" for library in report.libraries)
        yield f"loaded: {', '.join(dict.fromkeys(loaded))}"
    yield from (f"not proven: {sentence}" for sentence in report.unproven)
    if report.own:
        ended = "did not end in time" if report.own.exit_code is None else f"exit code {report.own.exit_code}"
        yield f"own check {report.own.name}: {ended}"
        yield from (f"  | {line}" for line in report.own.lines)
