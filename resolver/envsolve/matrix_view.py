"""``envsolve matrix``: what the database holds, each fact with its source. Pure, but for reading the database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from envsolve import facts as schema
from envsolve.errors import UsageError
from envsolve.matrices import Facts
from envsolve.request import build_request

Lines = list[str]


def records(spec: str, facts: Facts) -> list[dict[str, Any]]:
    """The build records that 'PACKAGE==VERSION' (or a framework's name) selects, newest first as in the database.

    Raises UsageError for a name or version that the database does not have.
    """
    request = build_request([spec], facts)
    target = request.targets[0]
    typed = re.split(r"[\s=<>!~\[]", target.text.strip().lower().replace("_", "-"))[0]
    builds = facts.framework(target.name).builds
    own = [b for b in builds if b.package == typed] or list(builds)
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(target.specifier)
    return [record(b, facts) for b in own if wanted.contains(b.version, prereleases=True)]


def record(build: schema.Build, facts: Facts) -> dict[str, Any]:
    """One build with the evidence of each of its facts."""
    values = build.model_dump(mode="json", exclude={"evidence"})
    known = [name for name, value in values.items() if value not in (None, [], {}) and name != "notes"]
    return {
        "id": f"{build.package}=={build.version}",
        **values,
        "python": list(build.pythons),
        "evidence": {name: facts.evidence(build, name).model_dump(mode="json") for name in known},
    }


def show_text(found: list[dict[str, Any]]) -> str:
    """Build records as a person reads them."""
    lines: Lines = []
    for row in found:
        lines.append(row["id"])
        of_gpu = ("cuda", "cudnn", "sass", "ptx") if "gpu" in row["devices"] else ()
        for name in ("released", "python", "devices", *of_gpu, "glibc", "cpu"):
            value = row[name]
            shown = "unknown" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
            source = row["evidence"].get("pythons" if name == "python" else name)
            behind = f"  [{source['how']}: {source['source']}, {source['checked']}]" if source else ""
            lines.append(f"  {name:<11}{shown or 'none'}{behind}")
        if row["notes"]:
            lines.append(f"  notes      {row['notes']}")
    return "\n".join(lines)


# -- list ----------------------------------------------------------------------------------------------------


def _frameworks(facts: Facts) -> Lines:
    lines = []
    for name in facts.framework_names():
        row = facts.framework(name)
        packages = sorted({b.package for b in row.builds})
        lines.append(f"{name:<12} {len(row.builds)} builds of {', '.join(packages)}")
    return lines


_KINDS: dict[str, Callable[[Facts], Iterable[str]]] = {
    "frameworks": _frameworks,
    "gpus": lambda facts: (f"{p.compute_capability:<5} {p.name}" for p in facts.products),
    "cuda": lambda facts: (f"{t.version:<5} driver {t.driver_min} or newer" for t in facts.toolkits.values()),
    "cudnn": lambda facts: (f"{c.version:<5} for CUDA {', '.join(c.cuda)}" for c in facts.cudnns.values()),
    "systems": lambda facts: (f"{s.name:<12} glibc {s.glibc}" for s in facts.systems.values()),
    "images": lambda facts: (f"{i.status:<10} {i.id}" for i in facts.images.values()),
    "pythons": lambda facts: (f"{p.version:<5} last {p.full}, pip {p.pip}" for p in facts.pythons.values()),
    "caps": lambda facts: (f"{c.kind:<12} {c.id}" for c in facts.caps),
}
_OTHER_NAMES = {"os": "systems", "oss": "systems", "gpu": "gpus", "python": "pythons", "framework": "frameworks"}


def listing(kind: str | None, facts: Facts) -> list[str]:
    """Rows of one kind, a line each. Raises UsageError for a kind that there is not."""
    name = _OTHER_NAMES.get(kind or "frameworks", kind or "frameworks")
    if name in _KINDS:
        return list(_KINDS[name](facts))
    if name in facts.aliases:
        return [f"{b.package}=={b.version}" for b in facts.framework(facts.aliases[name]).builds]
    raise UsageError(
        f"matrix list {kind}: there is no such table",
        hints=tuple(f"envsolve matrix list {known}" for known in _KINDS),
        code="unknown-table",
    )


# -- stats ---------------------------------------------------------------------------------------------------


def statistics(facts: Facts) -> dict[str, Any]:
    """How much the database knows: rows, how they were come by, and what is not known."""
    builds = [b for name in facts.framework_names() for b in facts.framework(name).builds]
    gpu = [b for b in builds if b.cuda_source]  # those that hold GPU code themselves
    tables: dict[str, Iterable[schema.Row]] = {
        "architectures": facts.architectures, "gpus": facts.products, "cuda": facts.toolkits.values(),
        "cudnn": facts.cudnns.values(), "systems": facts.systems.values(), "images": facts.images.values(),
        "pythons": facts.pythons.values(), "caps": facts.caps, "builds": builds,
    }  # fmt: skip
    how = Counter(facts.evidence(row, f).how for rows in tables.values() for row in rows for f in row.evidence)
    return {
        "version": facts.version,
        "rows": {name: len(list(rows)) for name, rows in tables.items()},
        "how": dict(sorted(how.items())),
        "unknown": {
            "sass of GPU builds": f"{sum(b.sass is None for b in gpu)} of {len(gpu)}",
            "ptx of GPU builds": f"{sum(b.ptx is None for b in gpu)} of {len(gpu)}",
            "glibc of builds": f"{sum(b.glibc is None and not b.source_only for b in builds)} of {len(builds)}",
        },
    }


def statistics_text(stats: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    lines = [f"database {stats['version']}"]
    for title in ("rows", "how", "unknown"):
        lines += [title, *(f"  {name:<22}{value}" for name, value in stats[title].items())]
    return "\n".join(lines)
