"""Lint rules about caps' texts: that they can be looked for, and that the reader learns what to do."""

from __future__ import annotations

from collections.abc import Iterator

from envsolve import facts as schema
from envsolve.lint.database import Database, Finding
from envsolve.symptoms import read_symptom


def cap_texts(database: Database) -> Iterator[Finding]:
    """A symptom that cannot be looked for: an odd brace, no word; a word that must be near and is two."""
    for entry, cap in database.rows(schema.Cap):
        odd = filter(None, (_odd(text) for text in (cap.symptom, *cap.symptoms) if text))
        yield from (entry.finding("cap-text", fault) for fault in odd)
        for word in cap.beside:
            if not word or any(c.isspace() or c in "/'\"(),:" for c in word):
                yield entry.finding("cap-text", f"beside: {word!r} is not one word, and is never near")


def _odd(text: str) -> str | None:
    try:
        read_symptom(text)
    except ValueError as error:
        return str(error)
    return None


def cap_ways(database: Database) -> Iterator[Finding]:
    """A demand of code or of the machine that says neither which versions nor what to do."""
    for entry, cap in database.rows(schema.Cap):
        if cap.kind == "api" and not ((cap.package and cap.versions) or cap.fix):
            yield entry.finding("cap-way", "neither a package at versions nor a fix")
