"""Lint rules about time: what was seen when, and that nothing is of tomorrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timezone

from envsolve import facts as schema
from envsolve.lint.database import Database, Entry, Finding

_SEEN_BY_US = ("apt", "image", "wheel", "conda", "own-index")
"""Kinds of way that something lists, so that one can say when it was last listed."""


def _today() -> date:
    return datetime.now(timezone.utc).date()


def _dates(entry: Entry) -> Iterator[tuple[str, date]]:
    row = entry.row
    for field in ("released", "last_seen"):
        value = getattr(row, field, None)
        if isinstance(value, date):
            yield field, value
    if isinstance(row, schema.Build):
        yield from ((f"pythons {python}", day) for python, day in row.pythons.items() if day is not None)
    yield from ((f"ways {w.reference}", w.last_seen) for w in getattr(row, "ways", ()) if w.last_seen is not None)


def future_dates(database: Database) -> Iterator[Finding]:
    """Something was released, uploaded or seen after today."""
    today = _today()
    for entry in database.entries:
        for field, day in _dates(entry):
            if day > today:
                yield entry.finding("future-date", f"{field}: {day} is in the future")


def release_dates(database: Database) -> Iterator[Finding]:
    """A build was released after its first file was uploaded, or a Python ended before it began; a day is missing.

    The index knows the days of its files, and a file that has a day gives one to its release.
    """
    for entry, build in database.rows(schema.Build):
        first = min((day for day in build.pythons.values() if day is not None), default=None)
        if build.released is None:
            if first is not None or build.origin == "index":
                yield entry.finding("release-date", f"released is null, but {first or 'the index'} says the day")
        elif first is not None and build.released > first:
            yield entry.finding("release-date", f"released {build.released}, but a file of it is of {first}")
    for entry, python in database.rows(schema.PythonRelease):
        if python.end_of_life is not None and python.end_of_life <= python.released:
            yield entry.finding("release-date", f"ended {python.end_of_life}, released {python.released}")


def ways_seen(database: Database) -> Iterator[Finding]:
    """A way is said to be there, by something that lists such things, and not when it was last seen."""
    for entry in database.entries:
        for way in getattr(entry.row, "ways", ()):
            if way.status == "available" and way.last_seen is None and way.kind in _SEEN_BY_US:
                yield entry.finding("way-seen", f"{way.kind} {way.reference} is available: last seen when?")


def ways_unique(database: Database) -> Iterator[Finding]:
    """A row names one way twice."""
    for entry in database.entries:
        seen: set[tuple[object, ...]] = set()
        for way in getattr(entry.row, "ways", ()):
            same = way.kind, way.reference, way.notes  # the same pins may be listed for several OS releases
            if same in seen:
                yield entry.finding("way-duplicate", f"{way.kind} {way.reference} is there twice")
            seen.add(same)


def ways_replaced(database: Database) -> Iterator[Finding]:
    """Every way to have a thing is gone, and nothing is said to take instead."""
    for entry in database.entries:
        ways = getattr(entry.row, "ways", ())
        if ways and all(w.status == "gone" and not w.replaced_by and not w.notes for w in ways):
            yield entry.finding("way-replaced", "all ways are gone, and none says what replaces it")


def images_seen(database: Database) -> Iterator[Finding]:
    """An image that is said to be there (or to have been) without the day when its tag was last seen."""
    for entry, image in database.rows(schema.Image):
        # A vendor's registry that shows no dates says so in the row's or the source's notes.
        if image.last_seen is None and not image.notes and not _noted(database, entry, "last_seen"):
            yield entry.finding("image-seen", "when was its tag last seen? If nobody can tell: a note that says so")


def _noted(database: Database, entry: Entry, field: str) -> bool:
    key = entry.row.evidence.get(field) or entry.row.evidence.get("*", "")
    found = database.evidence.get(entry.file, {}).get(key)
    return found is not None and bool(found.notes)
