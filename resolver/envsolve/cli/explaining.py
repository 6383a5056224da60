"""``envsolve why`` and ``doctor``: what led to a lock, what an error means, what this machine lacks."""

from __future__ import annotations

import sys

import typer

from envsolve.cli.common import database, lock_of
from envsolve.cli.options import (
    AllAxes,
    AnyFolder,
    Axis,
    Drawing,
    Json,
    Offline,
    OwnFacts,
    Package,
    Pasted,
    Texts,
    Tree,
)
from envsolve.errors import Exit, UsageError
from envsolve.present import emit, emit_json
from envsolve.quoting import word
from envsolve.talk import Talk, wants_color


def why(
    folder: AnyFolder = None,
    axis: Axis = None,
    everything: AllAxes = False,
    tree: Tree = False,
    svg: Drawing = False,
    package: Package = None,
    error: Pasted = None,
    facts: OwnFacts = None,
    json: Json = False,
) -> None:
    """Say which facts led to a lock and what others failed on; why a package is in it; or what an error means."""
    if error is not None:
        _why_error(error, folder, axis, facts, json)
        return
    if folder is None:
        raise UsageError(
            "why: DIR is missing", hints=("envsolve why --help", "envsolve why --error TEXT"), code="missing-argument"
        )
    from envsolve import retrace

    lock = lock_of(folder)
    asked = retrace.Asked(axis=axis, everything=everything, tree=tree, svg=svg, package=package)
    told = retrace.told(lock, database(facts), folder, asked)
    if told.note:
        Talk(False).warn(told.note)
    emit_json(told.document) if json else emit(told.text)


def _why_error(error: str, folder: str | None, axis: str | None, own: Texts, json: bool) -> None:
    """What a pasted error means; exit 1 when the database does not know it."""
    from envsolve import causes, causes_text
    from envsolve.pasted import read_pasted

    if axis:
        raise UsageError("an axis says nothing about --error", hints=(f"envsolve why {word(folder)} --error TEXT",))
    facts, lock = database(own), lock_of(folder) if folder else None
    diagnosis = causes.diagnose(read_pasted(error), facts, lock)
    if json:
        emit_json(causes_text.document(diagnosis, facts, lock))
    else:
        emit(causes_text.text(diagnosis, facts, lock))
    if not diagnosis.found:
        raise typer.Exit(Exit.NO_COMBINATION)


def doctor(json: Json = False, offline: Offline = False) -> None:
    """Check whether this machine can solve, lock, build and run."""
    from envsolve.doctor import examine, findings_text

    findings = examine(offline=offline)
    if json:
        emit_json({"schema": "envsolve/doctor-1", "findings": [f.model_dump(mode="json") for f in findings]})
    else:
        emit(findings_text(findings, wants_color(sys.stdout)))
    if any(f.severity == "blocks" for f in findings):
        raise typer.Exit(Exit.NOT_READY)
