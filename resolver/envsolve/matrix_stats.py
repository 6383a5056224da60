"""``envsolve matrix stats``: how much the database knows, fact by fact. Pure, but for reading the database.

A fact is one field of a row that holds something, or one way by which a thing can be had. What is unknown is counted
only where a row could know it: a CPU build has no CUDA to be unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from envsolve import facts as schema
from envsolve.matrices import Facts

UNKNOWN = "unknown"
ORDER = ("verified", "measured", "documented", "derived", "reported", UNKNOWN)
_NO_FACT = frozenset({"evidence", "notes", "id", "name", "package", "version"})
_GROUPS: dict[str, dict[str, str]] = {
    "builds": {
        **dict.fromkeys(("released", "pythons", "source_only", "origin", "index", "files"), "release"),
        **dict.fromkeys(("devices", "cuda", "cudnn", "cudnn_rule", "cuda_source", "cuda_extra"), "CUDA and cuDNN"),
        **dict.fromkeys(("sass", "ptx"), "GPU code"),
        **dict.fromkeys(("glibc", "glibcxx", "glibc_below"), "C library"),
        **dict.fromkeys(("cpu",), "processor"),
        **dict.fromkeys(("size", "measured_from"), "file"),
    },
    "cuda": {**dict.fromkeys(("sass", "ptx", "ptx_share"), "GPU code"), "driver_min": "driver", "gcc_max": "compiler"},
    "cudnn": {**dict.fromkeys(("sass", "ptx", "ptx_share"), "GPU code"), "cuda": "CUDA"},
    "images": {**dict.fromkeys(("status", "last_seen", "digest"), "availability")},
    "pythons": {**dict.fromkeys(("pip", "setuptools", "wheel", "virtualenv", "manylinux"), "tools")},
    "caps": {"symptom": "symptom", "why": "reason"},
}
"""Table -> field -> the group that it is counted in; others count as 'other'."""
_MAY_BE_UNKNOWN: dict[str, tuple[str, ...]] = {
    "cuda": ("ptx", "gcc_max"),
    "cudnn": ("ptx",),
    "systems": ("glibcxx", "gcc"),
    "images": ("last_seen", "digest"),
    "pythons": ("virtualenv",),
    "caps": ("symptom",),
}
"""Fields that every row of a table could know; of builds see ``_unknown_of_build``."""


class Fact(NamedTuple):
    """One thing known, or known to be unknown."""

    table: str
    group: str
    how: str
    framework: str | None = None


def _tables(facts: Facts) -> Iterator[tuple[str, str | None, Iterable[schema.Row]]]:
    yield "architectures", None, facts.architectures
    yield "gpus", None, facts.products
    yield "cuda", None, facts.toolkits.values()
    yield "cudnn", None, facts.cudnns.values()
    yield "systems", None, facts.systems.values()
    yield "images", None, facts.images.values()
    yield "pythons", None, facts.pythons.values()
    yield "tools", None, facts.tools.values()
    yield "caps", None, facts.caps
    for name in sorted(facts.framework_names()):
        framework = facts.framework(name)
        for table in ("builds", "substitutes", "pairings", "reports"):
            yield table, name, getattr(framework, table)


def _facts_of(table: str, framework: str | None, row: schema.Row, facts: Facts) -> Iterator[Fact]:
    groups = _GROUPS.get(table, {})
    for field in row.model_fields_set - _NO_FACT:
        value = getattr(row, field)
        if value is None or value == "" or field == "ways":
            continue
        if field in row.evidence or "*" in row.evidence:
            yield Fact(table, groups.get(field, "other"), facts.evidence(row, field).how, framework)
    for way in getattr(row, "ways", ()):
        yield Fact(table, "ways", facts.way_evidence(row, way).how, framework)
        if way.last_seen is None:
            yield Fact(table, "ways", UNKNOWN, framework)
    unknown = _unknown_of_build(row) if isinstance(row, schema.Build) else _MAY_BE_UNKNOWN.get(table, ())
    for field in unknown:
        if getattr(row, field) is None:
            yield Fact(table, groups.get(field, "other"), UNKNOWN, framework)


def _unknown_of_build(build: schema.Build) -> Iterator[str]:
    if build.cuda_source is not None:
        yield from ("cuda", "cudnn", "sass", "ptx")
    if not build.source_only and build.cuda_source != "image":
        yield from ("glibc", "glibcxx", "size")


def statistics(facts: Facts) -> dict[str, Any]:
    """Rows by table; facts by how they were come by, by table and group, and by framework."""
    tables = [(table, framework, list(rows)) for table, framework, rows in _tables(facts)]
    rows: Counter[str] = Counter()
    for table, _, found in tables:
        rows[table] += len(found)
    known = Counter(
        fact for table, framework, found in tables for row in found for fact in _facts_of(table, framework, row, facts)
    )
    groups: dict[str, dict[str, Counter[str]]] = {}
    frameworks: dict[str, Counter[str]] = {}
    how: Counter[str] = Counter()
    for fact, count in known.items():
        how[fact.how] += count
        groups.setdefault(fact.table, {}).setdefault(fact.group, Counter())[fact.how] += count
        if fact.framework:
            frameworks.setdefault(fact.framework, Counter())[fact.how] += count
    builds = {framework: len(found) for table, framework, found in tables if table == "builds" and framework}
    return {
        "version": facts.version,
        "rows": dict(rows),
        "facts": sum(count for name, count in how.items() if name != UNKNOWN),
        "how": _ordered(how),
        "tables": {
            table: {group: _ordered(counts) for group, counts in sorted(groups.get(table, {}).items())}
            for table in rows
            if table in groups
        },
        "frameworks": {
            name: {"builds": builds[name], **_ordered(frameworks.get(name, Counter()))} for name in sorted(builds)
        },
    }


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in ORDER if counts[name]}


def statistics_text(stats: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    lines = [f"database {stats['version']}: {stats['facts']} facts in {sum(stats['rows'].values())} rows", ""]
    lines.append(_line("", "rows", ORDER))
    for table, count in stats["rows"].items():
        groups = stats["tables"].get(table, {})
        total: Counter[str] = Counter()
        for counts in groups.values():
            total.update(counts)
        lines.append(_line(table, count, [total[how] or "" for how in ORDER]))
        if len(groups) > 1:
            for group, counts in groups.items():
                lines.append(_line(f"  {group}", "", [counts.get(how, "") for how in ORDER]))
    lines += ["", _line("framework", "builds", ORDER)]
    for name, counts in stats["frameworks"].items():
        lines.append(_line(name, counts["builds"], [counts.get(how, "") for how in ORDER]))
    lines += ["", _line("all", "", [stats["how"].get(how, "") for how in ORDER])]
    return "\n".join(line.rstrip() for line in lines)


def _line(name: str, count: object, values: Iterable[object]) -> str:
    return f"{name:<20}{count!s:>7}" + "".join(f"{value!s:>12}" for value in values)
