"""``envsolve matrix``: look into the database and check it."""

from __future__ import annotations

import typer

from envsolve.cli.common import database
from envsolve.cli.options import Json, OwnFacts, Spec, Table
from envsolve.errors import Exit
from envsolve.present import emit, emit_json


def matrix_show(spec: Spec, facts: OwnFacts = None, json: Json = False) -> None:
    """Print what is known of a build, a cap, a GPU, an image, a CUDA release, ..., each fact with its source."""
    from envsolve.matrix_view import show, show_text

    document = show(" ".join(spec), database(facts))
    if json:
        emit_json(document)
    else:
        emit(show_text(document))


def matrix_list(kind: Table = None, facts: OwnFacts = None, json: Json = False) -> None:
    """List frameworks, gpus, cuda, cudnn, systems, images, pythons or caps; or a framework's builds."""
    from envsolve.matrix_list import listing, listing_text

    rows = listing(kind, database(facts))
    if json:
        emit_json({"schema": "envsolve/list-2", "rows": rows})
    else:
        emit(listing_text(rows))


def matrix_lint(facts: OwnFacts = None, json: Json = False) -> None:
    """Check the database, and facts of your own, for meaning; exit 7 when a rule is broken."""
    from envsolve.lint import lint
    from envsolve.overlay import read_overlay

    findings = lint(None, [read_overlay(path) for path in facts or ()])
    if json:
        emit_json({"schema": "envsolve/lint-1", "findings": [f._asdict() for f in findings]})
    else:
        lines = (f"{f.file}: {f.row}: {f.text} ({f.rule})" for f in findings)
        emit("\n".join(lines) or "the database keeps its rules")
    if findings:
        raise typer.Exit(Exit.BAD_DATABASE)


def matrix_stats(facts: OwnFacts = None, json: Json = False) -> None:
    """Count what the database knows, how it was come by, and what is unknown."""
    from envsolve.matrix_stats import statistics, statistics_text

    stats = statistics(database(facts))
    if json:
        emit_json({"schema": "envsolve/stats-1", **stats})
    else:
        emit(statistics_text(stats))
