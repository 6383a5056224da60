"""``envsolve matrix show``: what is known of one thing, each fact with its source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from envsolve import facts as schema
from envsolve.errors import EnvsolveError, UsageError
from envsolve.matrices import Facts
from envsolve.request import build_request

_VERSIONED: dict[str, str] = {"cuda": "toolkits", "cudnn": "cudnns", "python": "pythons"}
"""Words before a version -> the table of Facts that it is of."""
_OPERATOR = re.compile(r"[=<>!~]")
_NO_FACT = ("evidence", "notes")
_BUILD_SHOWN = ("released", "python", "devices")
_OF_GPU = ("cuda", "cudnn", "sass", "ptx")


def show(spec: str, facts: Facts) -> dict[str, Any]:
    """What 'PACKAGE==VERSION', a framework's name, a cap's id, a GPU, an image or 'cuda 8.0' selects, as a document.

    Builds are ``envsolve/builds-1``, anything else ``envsolve/rows-1``. Raises UsageError, with the nearest names,
    for what the database does not have.
    """
    spec = spec.strip()
    name = _OPERATOR.split(spec, maxsplit=1)[0].split(" ")[0].split("[")[0].strip().lower()
    rows = [_row_record(kind, row, facts) for kind, row in _rows(spec, facts)]
    if rows and not (_OPERATOR.search(spec) and name in facts.aliases):
        return {"schema": "envsolve/rows-1", "rows": rows}
    if name in facts.aliases or name.replace("_", "-") in facts.aliases or _OPERATOR.search(spec):
        return {"schema": "envsolve/builds-1", "builds": records(spec, facts)}
    gpu = _gpu(spec, facts)
    if gpu:
        return {"schema": "envsolve/rows-1", "rows": [_row_record(kind, row, facts) for kind, row in gpu]}
    near = get_close_matches(spec.lower(), _names(facts), n=3, cutoff=0.6)
    known = _names(facts)
    raise UsageError(
        f"matrix show {spec}: the database has nothing of that name",
        hints=(*(f"envsolve matrix show {known[n]}" for n in near), "envsolve matrix list"),
        code="unknown-row",
    )


def _rows(spec: str, facts: Facts) -> Iterator[tuple[str, schema.Row]]:
    """The rows, builds apart, that are called so."""
    typed = spec.lower()
    word, _, version = typed.partition(" ")
    if word in _VERSIONED and version:
        row = getattr(facts, _VERSIONED[word]).get(version.strip())
        if row is not None:
            yield word, row
    yield from (("cap", cap) for cap in facts.caps if cap.id == typed)
    yield from (("image", i) for i in facts.images.values() if typed in (i.id.lower(), i.reference.lower()))
    yield from (("system", s) for s in facts.systems.values() if s.name == typed)
    yield from (("architecture", a) for a in facts.architectures if typed in (a.name.lower(), a.compute_capability))
    yield from (("gpu", p) for p in facts.products if p.name.lower() == typed)
    if typed not in facts.aliases:  # "keras" is the framework first
        yield from (("tool", t) for t in facts.tools.values() if t.name == typed)
        for name in facts.framework_names():
            if "-" in typed:
                yield from (("report", r) for r in facts.framework(name).reports if r.id == typed)


def _gpu(spec: str, facts: Facts) -> list[tuple[str, schema.Row]]:
    from envsolve.gpus import parse_gpu

    try:
        found = parse_gpu(spec, facts)
    except EnvsolveError as error:
        if error.code == "ambiguous-gpu":
            raise
        return []
    products: list[tuple[str, schema.Row]] = [("gpu", p) for p in facts.products if p.name == found.name]
    same = (a for a in facts.architectures if a.compute_capability == found.compute_capability)
    return products or [("architecture", a) for a in same]


def _names(facts: Facts) -> dict[str, str]:
    """Everything that can be shown: in lower case -> as it is typed."""
    words = [*facts.aliases, *(c.id for c in facts.caps), *facts.images, *facts.systems]
    words += [f"'{kind} {v}'" for kind, table in _VERSIONED.items() for v in getattr(facts, table)]
    words += [f"'{p.name}'" for p in facts.products]
    words += [f"'{a}'" for p in facts.products for a in p.aliases]
    return {word.strip("'").lower(): word for word in words}


# -- records -------------------------------------------------------------------------------------------------


def records(spec: str, facts: Facts) -> list[dict[str, Any]]:
    """The build records that 'PACKAGE==VERSION' (or a framework's name) selects, in the database's order.

    Raises UsageError for a name or version that the database does not have.
    """
    request = build_request([spec], facts)
    target = request.targets[0]
    if target.name not in facts.framework_names():
        raise UsageError(
            f"{target.text}: the database has no builds of it", hints=("envsolve matrix list",), code="unknown-row"
        )
    typed = re.split(r"[\s=<>!~\[]", target.text.strip().lower().replace("_", "-"))[0]
    builds = facts.framework(target.name).builds
    own = [b for b in builds if b.package == typed] or list(builds)
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(target.specifier)
    return [record(b, facts) for b in own if wanted.contains(b.version, prereleases=True)]


def record(build: schema.Build, facts: Facts) -> dict[str, Any]:
    """One build with the evidence of each of its facts."""
    values = build.model_dump(mode="json", exclude={"evidence"})
    return {
        "id": f"{build.package}=={build.version}",
        **values,
        "python": list(build.pythons),
        "evidence": _evidence(build, values, facts),
    }


def _row_record(kind: str, row: schema.Row, facts: Facts) -> dict[str, Any]:
    values = row.model_dump(mode="json", exclude={"evidence"})
    for way, shown in zip(getattr(row, "ways", ()), values.get("ways", ()), strict=True):
        shown["evidence"] = facts.way_evidence(row, way).model_dump(mode="json")
    return {"table": kind, **values, "evidence": _evidence(row, values, facts)}


def _evidence(row: schema.Row, values: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    known = [name for name, value in values.items() if value not in (None, [], {}) and name not in _NO_FACT]
    return {
        name: facts.evidence(row, name).model_dump(mode="json")
        for name in known
        if name in row.evidence or "*" in row.evidence
    }


# -- text ----------------------------------------------------------------------------------------------------


def show_text(document: Mapping[str, Any]) -> str:
    """What was found as a person reads it."""
    lines: list[str] = []
    for row in document.get("builds", ()):
        lines += _build_text(row)
    for row in document.get("rows", ()):
        lines += _row_text(row)
    return "\n".join(lines)


def _build_text(row: Mapping[str, Any]) -> Iterable[str]:
    yield row["id"]
    for name in (*_BUILD_SHOWN, *(_OF_GPU if "gpu" in row["devices"] else ()), "glibc", "cpu"):
        value = row[name]
        shown = "unknown" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
        yield f"  {name:<11}{shown or 'none'}{_behind(row['evidence'].get('pythons' if name == 'python' else name))}"
    if row["origin"] != "index":
        yield f"  origin     {row['origin']}{': ' + row['index'] if row['index'] else ''}"
    for file in row["files"]:
        yield f"  file       Python {file['python']}: {file['url']}"
    if row["notes"]:
        yield f"  notes      {row['notes']}"


def _behind(source: Mapping[str, Any] | None) -> str:
    return f"  [{source['how']}: {source['source']}, {source['checked']}]" if source else ""


def _row_text(row: Mapping[str, Any]) -> Iterable[str]:
    title = next(str(row[k]) for k in ("id", "name", "version") if row.get(k) is not None)
    yield f"{title} ({row['table']})"
    common = _common(row["evidence"])
    for name, value in row.items():
        if name in ("table", "evidence", "id") or value in (None, "", [], {}) or value == title:
            continue
        source = row["evidence"].get(name)
        behind = _behind(source) if source != common else ""
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"  {name}{behind}"
            yield from (f"    {_short(item)}" for item in value)
        else:
            yield f"  {name:<20}{_plain(value)}{behind}"
    if common:
        yield f"  {'source':<20}{common['source']} ({common['how']}, {common['checked']})"


def _common(evidence: Mapping[str, Any]) -> Any:
    """The evidence that most fields share."""
    sources = list(evidence.values())
    return max(sources, key=sources.count, default=None)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _short(item: Mapping[str, Any]) -> str:
    known = {k: v for k, v in item.items() if v not in (None, "", [], {}) and k != "evidence"}
    behind = _behind(item["evidence"]) if isinstance(item.get("evidence"), Mapping) else ""
    return "; ".join(f"{k} {_plain(v)}" for k, v in known.items()) + behind
