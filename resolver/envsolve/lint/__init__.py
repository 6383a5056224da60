"""Check the compatibility database for meaning: ``lint()`` runs every rule of rules.py over every row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envsolve.data import data_dir
from envsolve.errors import DatabaseError
from envsolve.lint.database import Finding, add_overlay, read_database
from envsolve.lint.rules import RULES
from envsolve.overlay import Overlay

__all__ = ["Finding", "lint"]


def lint(root: Path | None = None, overlays: Sequence[Overlay] = ()) -> list[Finding]:
    """Everything that is wrong with the database at ``root`` (default: the one that ships with envsolve).

    ``overlays``: the user's own facts over it; what is wrong with a row of theirs stands under their file's name.

    What breaks the schema comes first, then the findings of each rule. Raises DatabaseError when there is no
    database at all; whatever is inside it is reported, never raised.
    """
    root = root or data_dir("matrices")
    if not root.is_dir():
        raise DatabaseError(f"no database at {root}")
    database = read_database(root)
    for overlay in overlays:
        add_overlay(database, overlay)
    return [*database.findings, *(finding for rule in RULES for finding in rule(database))]
