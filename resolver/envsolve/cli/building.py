"""``envsolve build``, ``smoke``, ``run``, ``try`` and ``shell``: what is done with a folder that was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from envsolve.cli.common import backend_named, build_and_smoke, database, lock_of, path_of, report, with_document
from envsolve.cli.options import (
    Attest,
    BackendName,
    Base,
    Command,
    Folder,
    GpuDevices,
    Json,
    Mirror,
    Offline,
    Own,
    OwnFacts,
    Platform,
    Prefix,
    Quiet,
    Record,
    RecordTo,
    Texts,
)
from envsolve.present import emit_json, show
from envsolve.talk import Talk


def build(
    folder: Folder,
    backend: BackendName = None,
    prefix: Prefix = None,
    base: Base = None,
    registry_mirror: Mirror = None,
    platform: Platform = None,
    attest: Attest = False,
    own: Own = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a folder that envsolve wrote, and smoke-test it."""
    from envsolve.engine.basing import python_stand_in, stand_in

    lock = lock_of(folder)
    other = stand_in(lock, base, registry_mirror)
    with_document("envsolve/build-1", json, lambda document: build_and_smoke(
        Path(folder), lock, backend_named(backend, prefix), prefix, document, json, Talk(quiet), other,
        python_stand_in(lock, registry_mirror), own, platform, attest,
    ))  # fmt: skip


def smoke(
    folder: Folder,
    own: Own = None,
    record: Record = False,
    record_to: RecordTo = None,
    backend: BackendName = None,
    prefix: Prefix = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the smoke test of a folder, building it first when that was not done."""
    from envsolve import pipeline
    from envsolve.verified import record as record_fact

    def run(document: dict[str, Any]) -> None:
        talk, locked = Talk(quiet), lock_of(folder)
        outcome = pipeline.smoke(
            Path(folder), locked, talk, backend=backend_named(backend, prefix), prefix=path_of(prefix), own=path_of(own)
        )
        if record or record_to:
            document["recorded"] = str(record_fact(locked, outcome.smoke, path_of(record_to)))
            talk.say(f"recorded: {document['recorded']}")
        report(outcome, document, json)

    with_document("envsolve/smoke-1", json, run)


def run_command(
    folder: Folder,
    command: Command = None,
    gpu: GpuDevices = None,
    backend: BackendName = None,
    prefix: Prefix = None,
    quiet: Quiet = False,
) -> None:
    """Run a command in what a folder was built to: as yourself, in the current folder, with the GPU of the stack."""
    from envsolve.engine.run import shell_words

    _run(folder, shell_words(command), gpu, backend, prefix, quiet)


def shell(
    folder: Folder, gpu: GpuDevices = None, backend: BackendName = None, prefix: Prefix = None, quiet: Quiet = False
) -> None:
    """Open a shell in what a folder was built to, as ``envsolve run`` does with a command."""
    _run(folder, (), gpu, backend, prefix, quiet)


def try_command(
    folder: Folder,
    command: Command = None,
    gpu: GpuDevices = None,
    backend: BackendName = None,
    prefix: Prefix = None,
    facts: OwnFacts = None,
    offline: Offline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a command as ``envsolve run`` does; if it fails, say what its error asks to change, as a command."""
    from envsolve.attempt import report as reports
    from envsolve.attempt.trying import Options, attempt
    from envsolve.engine.run import shell_words

    words, lock, talk = shell_words(command, "try"), lock_of(folder), Talk(quiet)
    done = attempt(
        Path(folder), lock, database(facts or lock.request.facts), words, talk,
        Options(backend_named(backend, prefix), path_of(prefix), tuple(gpu) if gpu else None, offline, json),
    )  # fmt: skip
    if json:
        emit_json(reports.document(done))
    elif done.code:
        show(reports.text(done))
    raise typer.Exit(done.code)


def _run(folder: str, words: Sequence[str], gpu: Texts, backend: str | None, prefix: str | None, quiet: bool) -> None:
    """Exits with the command's own code."""
    from envsolve.running import run

    code = run(
        Path(folder), lock_of(folder), words, Talk(quiet),
        backend=backend_named(backend, prefix), prefix=path_of(prefix), gpus=gpu,
    )  # fmt: skip
    raise typer.Exit(code)
