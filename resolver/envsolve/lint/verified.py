"""Lint rules about what smoke tests proved: whether a fact under verified/ fits the database, and itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import PurePosixPath

from envsolve import facts as schema
from envsolve.lint.database import Database, Finding


def verified_facts(database: Database) -> Iterator[Finding]:
    """A recorded smoke test of builds without a row, under another name, of the future, or at odds with itself."""
    known = {f"{build.package}=={build.version}" for _, build in database.rows(schema.Build)}
    tomorrow = datetime.now(timezone.utc).date()
    for file, fact in database.verified.items():
        for text in _faults(fact, known):
            yield Finding("verified", file, fact.id, text)
        if PurePosixPath(file).stem != fact.id:
            yield Finding("verified", file, fact.id, "the id must be the file's name")
        if fact.checked > tomorrow:
            yield Finding("verified", file, fact.id, f"{fact.checked} is yet to come")


def _faults(fact: schema.Verified, known: set[str]) -> Iterator[str]:
    for build in fact.builds:
        if build not in known:
            yield f"the build {build} has no row"
    if fact.ok and (fact.failed or not fact.ran):
        yield "it passed, and yet a check failed or none ran"
    if not fact.ok and not fact.failed:
        yield "it failed, and no check says why"
    if fact.ok and fact.device not in (None, fact.solved_for):
        yield f"it passed, solved for the {fact.solved_for} and run on the {fact.device}"
    if fact.device == "gpu" and not any(gpu.capability for gpu in fact.gpus):
        yield "it ran on a GPU of unknown capability: of no use to anybody else"
