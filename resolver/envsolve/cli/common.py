"""What several commands do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import typer

from envsolve.cli.options import Texts
from envsolve.errors import SmokeError, UsageError
from envsolve.present import emit, emit_json, show_error
from envsolve.talk import Talk


def build_and_smoke(
    folder: Path, lock: Any, backend: str | None, prefix: str | None, document: dict[str, Any], json: bool, talk: Talk,
    base: str | None = None, python_image: str | None = None, own: str | None = None, platform: str | None = None,
    attest: bool = False,
) -> None:  # fmt: skip
    """Build a folder, run its smoke test, ``own`` beside it, and report; ``document`` gains what was done."""
    from envsolve import pipeline

    check_own(own)
    engine, built = pipeline.build(
        folder, lock, talk, backend=backend, prefix=path_of(prefix), base=base, python_image=python_image,
        platform=platform, attest=attest,
    )  # fmt: skip
    report(pipeline.run_smoke(engine, built, lock, folder, talk, path_of(own)), document, json)


def report(outcome: Any, document: dict[str, Any], json: bool) -> None:
    """The smoke report on stdout; raises SmokeError when it failed."""
    from envsolve.present import built_document, smoke_text

    document |= built_document(outcome)
    if not json:
        emit(smoke_text(outcome.smoke, outcome.built.tag, outcome.frameworks))
    if not outcome.smoke.ok:
        failed = tuple(f"{c.name}: {c.detail}" for c in outcome.smoke.checks if not c.ok)
        log = (outcome.smoke.log.strip(),) if outcome.smoke.log.strip() and not failed else ()
        raise SmokeError(f"it was built, and its smoke test failed in {outcome.built.subject}", facts=failed + log)


def backend_named(backend: str | None, prefix: str | None) -> str | None:
    """``--prefix`` is the local engine's; without a name it names that engine."""
    from envsolve.models import Backend as BackendKind

    known = get_args(BackendKind)
    if backend and backend not in known:
        hints = tuple(f"--backend {name}" for name in known)
        raise UsageError(f"--backend {backend}: there is no such choice", hints=hints, code="bad-backend")
    if prefix and backend in ("docker", "podman", "buildah", "apptainer"):
        raise UsageError(f"--prefix is for --backend local, not {backend}", code="contradictory-options")
    return "local" if prefix else backend


def check_own(own: str | None) -> None:
    """Raise UsageError for a check that cannot be read, before what may take long."""
    path = path_of(own)
    if path is not None:
        from envsolve.smoke import packed

        packed(path)


def path_of(text: str | None) -> Path | None:
    """A path as typed, ``~`` understood."""
    return Path(text).expanduser() if text else None


def with_document(schema: str, json: bool, run: Callable[[dict[str, Any]], None]) -> None:
    """Run; with --json print one document, also when the run ends in a failed smoke test."""
    document: dict[str, Any] = {"schema": schema}
    try:
        run(document)
    except SmokeError as error:
        if not json:
            raise
        emit_json(document)
        show_error(error)
        raise typer.Exit(error.exit_code) from None
    if json:
        emit_json(document)


def lock_of(folder: str) -> Any:
    """The lock of a folder that envsolve wrote."""
    from envsolve.folder import read_lock

    return read_lock(Path(folder))


def database(own: Texts) -> Any:
    """The database, with the user's own facts over it."""
    from envsolve.config import defaults
    from envsolve.matrices import load

    return load(overlays=own or defaults().get("facts", ()))
