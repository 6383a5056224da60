"""``envsolve matrix list``: what the database holds, a line each. Pure, but for reading the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from packaging.version import Version

from envsolve import facts as schema
from envsolve.errors import UsageError
from envsolve.matrices import Facts

Item = dict[str, Any]


def _framework(row: schema.Framework) -> Item:
    days = sorted(build.released.isoformat() for build in row.builds if build.released)
    # A vendor's local versions ("1.15.5+nv23.3") are no releases of the project.
    ordinary = [b.version for b in row.builds if b.origin == "index"] or [b.version for b in row.builds]
    versions = sorted(ordinary, key=Version)
    return {
        "name": row.name,
        "builds": len(row.builds),
        "versions": f"{versions[0]} to {versions[-1]}" if versions else "",
        "released": f"{days[0]} to {days[-1]}" if days else "",
        "packages": sorted({build.package for build in row.builds}),
    }


def _build(build: schema.Build) -> Item:
    gpu = "gpu" in build.devices
    unknown = "unknown" if build.cuda_source else None
    return {
        "build": f"{build.package}=={build.version}",
        "released": build.released.isoformat() if build.released else "unknown",
        "pythons": list(build.pythons),
        "devices": list(build.devices),
        "cuda": (build.cuda or unknown) if gpu else None,
        "cudnn": (build.cudnn or unknown) if gpu else None,
        "origin": build.origin,
    }


_KINDS: dict[str, Callable[[Facts], Iterable[Item]]] = {
    "frameworks": lambda facts: (_framework(facts.framework(name)) for name in sorted(facts.framework_names())),
    "gpus": lambda facts: (
        {"compute_capability": p.compute_capability, "name": p.name, "aliases": list(p.aliases)}
        for p in facts.products
    ),
    "architectures": lambda facts: (
        {"compute_capability": a.compute_capability, "name": a.name,
         "cuda": f"{a.cuda_first} to {a.cuda_last or 'now'}", "last_driver": a.driver_branch_last}
        for a in facts.architectures
    ),
    "cuda": lambda facts: (
        {"version": t.version, "driver_min": t.driver_min, "sass": list(t.sass), "gcc_max": t.gcc_max,
         "ways": len(t.ways) or None}
        for t in facts.toolkits.values()
    ),
    "cudnn": lambda facts: (
        {"version": c.version, "cuda": list(c.cuda), "sass": list(c.sass), "ways": len(c.ways) or None}
        for c in facts.cudnns.values()
    ),
    "systems": lambda facts: (
        {"name": s.name, "released": s.released.isoformat(), "glibc": s.glibc,
         "pythons": [p.version for p in s.pythons]}
        for s in facts.systems.values()
    ),
    "images": lambda facts: (
        {"status": i.status, "id": i.id, "os": i.os, "cuda": i.cuda, "cudnn": i.cudnn, "python": i.python,
         "last_seen": i.last_seen and i.last_seen.isoformat()}
        for i in facts.images.values()
    ),
    "pythons": lambda facts: (
        {"version": p.version, "last": p.full, "released": p.released.isoformat(), "pip": p.pip,
         "setuptools": p.setuptools, "virtualenv": p.virtualenv}
        for p in facts.pythons.values()
    ),
    "tools": lambda facts: ({"name": t.name, "version": t.version, "pythons": t.pythons} for t in facts.tools.values()),
    "caps": lambda facts: (
        {"id": c.id, "kind": c.kind, "limits": f"{c.package or ''}{c.versions}" or None,
         "when": [f"{w.package}{w.versions}" for w in c.when], "why": c.why}
        for c in facts.caps
    ),
}  # fmt: skip
_OTHER_NAMES = {"os": "systems", "gpu": "gpus", "products": "gpus", "toolkits": "cuda", "cap": "caps"}
_TITLES = {
    "builds": "builds of", "released": "released", "cuda": "CUDA", "cudnn": "cuDNN", "driver_min": "driver >=",
    "glibc": "glibc", "last_seen": "seen", "last": "last", "pip": "pip", "setuptools": "setuptools",
    "virtualenv": "virtualenv", "gcc_max": "gcc <=", "ways": "ways:", "last_driver": "last driver",
}  # fmt: skip
"""Words put before a value where it does not say by itself what it is."""
_LONG = ("why", "aliases")
"""Left out of a line; --json and ``matrix show`` have them."""


def listing(kind: str | None, facts: Facts) -> list[Item]:
    """Rows of one kind, or the builds of a framework. Raises UsageError for a table that there is not."""
    typed = (kind or "frameworks").lower()
    name = _OTHER_NAMES.get(typed, typed)
    found = next((known for known in _KINDS if known in (name, f"{name}s")), None)
    if found is not None and name not in facts.aliases:
        return list(_KINDS[found](facts))
    name = name.replace("_", "-")
    if name in facts.aliases:
        framework = facts.aliases[name]
        builds = facts.framework(framework).builds
        own = [b for b in builds if b.package == name and name != framework]
        return [_build(b) for b in own or builds]
    near = [*get_close_matches(name, [*_KINDS, *facts.aliases], n=3, cutoff=0.6), "frameworks", "caps", "gpus"]
    raise UsageError(
        f"matrix list {kind}: there is no such table, and no framework of that name",
        hints=tuple(f"envsolve matrix list {known}" for known in dict.fromkeys(near)),
        code="unknown-table",
    )


def listing_text(rows: Sequence[Item]) -> str:
    """The rows as aligned columns."""
    lines = [[_cell(key, value) for key, value in row.items() if key not in _LONG] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(key: str, value: Any) -> str:
    if value in (None, [], "", "index"):
        return ""
    if key == "pythons" and isinstance(value, list):
        value = _span(value)
    if key == "builds":
        return f"{value} builds"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{_TITLES[key]} {text}" if key in _TITLES and key != "released" else text


def _span(versions: Sequence[str]) -> list[str]:
    """2.7, 3.5, 3.6, 3.7 -> 2.7, 3.5-3.7."""
    spans: list[list[str]] = []
    for version in sorted(versions, key=Version):
        major, minor = Version(version).release[:2]
        if spans and Version(spans[-1][-1]).release[:2] == (major, minor - 1):
            spans[-1].append(version)
        else:
            spans.append([version])
    return [span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans]
