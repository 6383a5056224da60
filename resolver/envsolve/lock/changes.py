"""What moved between two locks of one request, package by package, and what became of locked files on the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from envsolve.errors import UsageError
from envsolve.lock.pages import canonical
from envsolve.models import Lock, LockedPackage

if TYPE_CHECKING:
    from envsolve.lock.index import Index

Kind = Literal["added", "removed", "version", "file", "yanked", "deleted", "differs", "field"]

# Who made it, with which database, on which machine: none of it changes the environment.
_ASIDE = frozenset({"envsolve", "facts", "host", "packages"})
_OF_PACKAGE = ("phase", "level", "requires", "builds_with", "reason", "index", "size", "upload_time")


@dataclass(frozen=True)
class Change:
    """One thing that moved. ``subject``: a package, or a field of the lock."""

    kind: Kind
    subject: str
    before: str | None = None
    after: str | None = None

    @property
    def text(self) -> str:
        """The change in a line."""
        moved = f"{self.before} -> {self.after}"
        return {
            "added": f"{self.subject}: added, {self.after}",
            "removed": f"{self.subject}: removed, it was {self.before}",
            "version": f"{self.subject}: {moved}",
            "file": f"{self.subject}: another file, {moved}",
            "yanked": f"{self.subject}: {self.before} was withdrawn (yanked) since"
            + (f": {self.after}" if self.after else ""),
            "deleted": f"{self.subject}: {self.before} was deleted from the index",
            "differs": f"{self.subject}: the index has another file of the name {self.before}",
            "field": f"{self.subject}: {moved}",
        }[self.kind]

    def document(self) -> dict[str, Any]:
        """The change for ``--json``."""
        return {"kind": self.kind, "subject": self.subject, "before": self.before, "after": self.after}


def changes(old: Lock, new: Lock) -> tuple[Change, ...]:
    """What differs between the environments of two locks: packages by name, then the lock's other fields."""
    before, after = ({p.name: p for p in one.packages} for one in (old, new))
    found: list[Change] = []
    for name in sorted(before.keys() | after.keys()):
        found += _package(name, before.get(name), after.get(name))
    return (*found, *_fields(old, new))


def _package(name: str, old: LockedPackage | None, new: LockedPackage | None) -> Iterator[Change]:
    if old is None or new is None:
        kind: Kind = "added" if old is None else "removed"
        yield Change(kind, name, old.version if old else None, new.version if new else None)
    elif old.version != new.version:
        yield Change("version", name, old.version, new.version)
    elif old.filename != new.filename:
        yield Change("file", name, old.filename, new.filename)
    elif old.sha256 != new.sha256:
        yield Change("file", name, f"sha256:{old.sha256}", f"sha256:{new.sha256}")
    elif old.yanked is None and new.yanked is not None:
        yield Change("yanked", name, old.filename, new.yanked)
    else:
        one, other = old.model_dump(mode="json"), new.model_dump(mode="json")
        for field in (*_OF_PACKAGE, "yanked"):
            if one[field] != other[field]:
                yield Change("field", f"{name} ({field})", *_shown(one[field], other[field]))


def _fields(old: Lock, new: Lock) -> Iterator[Change]:
    one, other = old.model_dump(mode="json"), new.model_dump(mode="json")
    for document in (one, other):
        del document["image"]["default_index"]  # what is there depends on whose pip made the lock
        for said in ("reasons", "warnings"):  # a fact that is better attested by now moves nothing
            document["stack"][said] = [row["text"] for row in document["stack"][said]]
    for name in one:
        if name not in _ASIDE:
            yield from _within(name, one[name], other[name])


def _within(name: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _within(f"{name}.{key}", old.get(key), new.get(key))
    else:
        yield Change("field", name, *_shown(old, new))


def _shown(old: Any, new: Any) -> tuple[str, str]:
    """Two values in short: of lists, what one has and the other has not."""
    if isinstance(old, list) and isinstance(new, list):
        gone, come = ([v for v in a if v not in b] for a, b in ((old, new), (new, old)))
        if gone or come:
            return _short(gone), _short(come)
    return _short(old), _short(new)


def _short(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, dict):
        return str(value.get("text", value.get("name", value)))[:200]
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)[:200]


def fates(lock: Lock, index: Index) -> tuple[Change, ...]:
    """Locked files that the index has withdrawn, deleted or replaced since the lock was made.

    Raises NotReadyError when the index does not answer.
    """
    index.prefetch(package.name for package in lock.packages)
    return tuple(change for package in lock.packages for change in _fate(package, index))


def _fate(package: LockedPackage, index: Index) -> Iterator[Change]:
    file = next((f for f in index.project(package.name).files if f.filename == package.filename), None)
    if file is None:
        yield Change("deleted", package.name, package.filename)
    elif file.sha256 != package.sha256:
        yield Change("differs", package.name, package.filename, f"sha256:{file.sha256}")
    elif file.yanked is not None and package.yanked is None:
        yield Change("yanked", package.name, package.filename, file.yanked or None)


def lines(found: Iterable[Change]) -> tuple[str, ...]:
    """Each change in a line, each line once."""
    return tuple(dict.fromkeys(change.text for change in found))


def upgrade_plan(lock: Lock, names: Iterable[str], day: date | None) -> tuple[dict[str, date], dict[str, str]]:
    """What a new lock is made with: packages as of days of their own, and the versions to keep where they can be.

    Without names: just the days that the lock has. Raises UsageError for a package that the lock has not, or a date
    without a package or in the future.
    """
    packages = {p.name: p.version for p in lock.packages}
    wanted = {canonical(name): name for name in names}
    if not wanted:
        if day is not None:
            raise UsageError(
                "a date without a package to upgrade", hints=(f"--upgrade {next(iter(packages), 'NAME')}",)
            )
        return dict(lock.upgrades), {}
    if day is not None and day > datetime.now(tz=timezone.utc).date():
        raise UsageError(f"{day.isoformat()} is in the future", code="as-of-in-future")
    for name in sorted(wanted.keys() - packages.keys()):
        near = get_close_matches(name, sorted(packages), n=3)
        raise UsageError(
            f"--upgrade {wanted[name]}: the lock has no such package",
            hints=tuple(f"--upgrade {other}" for other in near),
            code="unknown-package",
        )
    days = {**lock.upgrades, **(dict.fromkeys(wanted, day) if day is not None else {})}
    return days, {name: version for name, version in packages.items() if name not in wanted}
