"""From words, or from what a folder holds, to an answer and a folder that builds it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from envsolve.cli.common import backend_named, build_and_smoke, check_own, database
from envsolve.cli.options import (
    Accepted,
    Apptainer,
    AsOf,
    BackendName,
    BuildIt,
    CacheMounts,
    Compose,
    Devcontainer,
    Driver,
    DryRun,
    Force,
    GpuNames,
    Json,
    Offline,
    OsName,
    Output,
    Own,
    OwnFacts,
    OwnIndex,
    Prefix,
    PythonName,
    Quiet,
    RequireGpu,
    Scanned,
    SolveIt,
    Targets,
)
from envsolve.errors import EnvsolveError, Exit, NoCombinationError, UsageError
from envsolve.present import emit, emit_json, show_error
from envsolve.talk import Talk, wants_color


def solve(
    targets: Targets = None,
    gpu: GpuNames = None,
    require_gpu: RequireGpu = None,
    driver: Driver = None,
    python: PythonName = None,
    os_name: OsName = None,
    accept: Accepted = None,
    as_of: AsOf = None,
    backend: BackendName = None,
    facts: OwnFacts = None,
    index: OwnIndex = None,
    build: BuildIt = False,
    prefix: Prefix = None,
    own: Own = None,
    dry_run: DryRun = False,
    output: Output = None,
    compose: Compose = False,
    devcontainer: Devcontainer = False,
    apptainer: Apptainer = False,
    cache_mounts: CacheMounts = False,
    force: Force = False,
    json: Json = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Answer what runs TARGET... (tf==1.4 keras==2.0.8) here and why, and write a folder that builds it."""
    from envsolve import extras

    more = extras.asked(compose=compose, devcontainer=devcontainer, apptainer=apptainer, cache_mounts=cache_mounts)
    typed = {
        "targets": targets, "gpu": gpu, "require_gpu": require_gpu, "driver": driver, "python": python,
        "os": os_name, "accept": accept, "as_of": as_of, "backend": backend_named(backend, prefix), "output": output,
        "facts": facts, "indexes": index,
    }  # fmt: skip
    _solve(
        typed, build=build, prefix=prefix, own=own, dry_run=dry_run, more=more,
        force=force, json=json, offline=offline, quiet=quiet,
    )  # fmt: skip


def _solve(
    typed: Mapping[str, Any], *, build: bool, prefix: str | None, own: str | None, dry_run: bool,
    more: Sequence[str], force: bool, json: bool, offline: bool, quiet: bool, scanned: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """``solve``, with what a person typed; ``scanned``: what the targets follow from, for the JSON document."""
    from envsolve import explain, pipeline
    from envsolve.config import defaults

    if dry_run and build:
        raise UsageError("--dry-run contradicts --build", code="contradictory-options")
    if prefix and not build:
        raise UsageError("--prefix says where --build builds, and --build is missing", code="contradictory-options")
    if own and not build:
        hints = ("--build", "envsolve smoke DIR --smoke SCRIPT   # of what is built already")
        raise UsageError("--smoke is run in what --build builds", hints=hints, code="contradictory-options")
    check_own(own)
    options = defaults()
    options |= {name: value for name, value in typed.items() if value not in (None, [])}
    words, folder = options.pop("targets", ()), Path(options.pop("output", "envsolve"))
    solution = pipeline.answer(words, **options, to_build=build, talk=Talk(quiet))
    document = explain.document(solution) | ({"scan": scanned} if scanned else {}) if json else {}
    if not json:
        emit(explain.answer(solution, wants_color(sys.stdout)))
    elif solution.chosen is None or dry_run:
        emit_json(document)
    if solution.chosen is None:
        show_error(NoCombinationError("nothing satisfies the request as it is; the answer says why and what would"))
        raise typer.Exit(Exit.NO_COMBINATION)
    if dry_run:
        return
    try:
        _write_and_build(solution, folder, document, build, prefix, force, offline, json, Talk(quiet), more, own)
    except EnvsolveError as error:
        if not json:
            raise
        from envsolve.present import error_document

        emit_json(document | {"error": error_document(error)})
        show_error(error)
        raise typer.Exit(error.exit_code) from None
    if json:
        emit_json(document)


def _write_and_build(
    solution: Any, folder: Path, document: dict[str, Any], build: bool, prefix: str | None, force: bool,
    offline: bool, json: bool, talk: Talk, more: Sequence[str] = (), own: str | None = None,
) -> None:  # fmt: skip
    """After the answer: lock, write, and with --build build and prove. Adds what it did to the JSON document."""
    from envsolve import folder as folders
    from envsolve import pipeline
    from envsolve.present import written_text

    with talk.step("lock"):
        prepared = pipeline.prepare(solution, offline=offline, talk=talk)
    folders.write(folder, pipeline.rendered(prepared.lock, folder, more), force=force)
    talk.say(written_text(folder, prepared.lock))
    document["folder"] = str(folder)
    lock = prepared.lock
    document["lock"] = {"as_of": lock.as_of.isoformat(), "packages": len(lock.packages), "python": lock.python_full}
    if build:
        build_and_smoke(folder, prepared.lock, None, prefix, document, json, talk, own=own)


def scan(
    path: Scanned,
    as_of: AsOf = None,
    solve_it: SolveIt = False,
    gpu: GpuNames = None,
    require_gpu: RequireGpu = None,
    driver: Driver = None,
    python: PythonName = None,
    os_name: OsName = None,
    accept: Accepted = None,
    backend: BackendName = None,
    facts: OwnFacts = None,
    index: OwnIndex = None,
    build: BuildIt = False,
    prefix: Prefix = None,
    own: Own = None,
    dry_run: DryRun = False,
    output: Output = None,
    compose: Compose = False,
    devcontainer: Devcontainer = False,
    apptainer: Apptainer = False,
    cache_mounts: CacheMounts = False,
    force: Force = False,
    json: Json = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Read a folder, a script or a model file, and say what it needs and why; --solve goes on with the answer."""
    from envsolve import extras
    from envsolve.scan import project, report

    more = extras.asked(compose=compose, devcontainer=devcontainer, apptainer=apptainer, cache_mounts=cache_mounts)
    alone = {"--build": build, "--prefix": prefix, "--dry-run": dry_run, "--output": output, "--force": force}
    alone |= {"--compose": compose, "--devcontainer": devcontainer}
    alone |= {"--apptainer": apptainer, "--cache-mounts": cache_mounts}
    if not solve_it and any(alone.values()):
        given = next(name for name, value in alone.items() if value)
        raise UsageError(f"{given} says how --solve goes on, and --solve is missing", code="contradictory-options")
    found = project.scan_path(Path(path), database(facts), as_of, Talk(quiet))
    if not solve_it:
        emit_json(project.document(found)) if json else emit(report.text(found, wants_color(sys.stdout)))
        return
    Talk(quiet).say(report.text(found))
    typed = {
        "targets": found.solvable(), "gpu": gpu, "require_gpu": require_gpu, "driver": driver,
        "python": python or found.python, "os": os_name, "accept": accept,
        "as_of": found.as_of.isoformat() if found.as_of else None, "backend": backend_named(backend, prefix),
        "output": output, "facts": facts, "indexes": index,
    }  # fmt: skip
    _solve(
        typed, build=build, prefix=prefix, own=own, dry_run=dry_run, more=more,
        force=force, json=json, offline=offline, quiet=quiet, scanned=project.document(found),
    )  # fmt: skip
