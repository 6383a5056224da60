"""Lint rules about what is released: where a build lies, what was read from it, and what contradicts what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from envsolve import facts as schema
from envsolve.lint.database import Database, Entry, Finding
from envsolve.lint.ranges import version_or_zero

OF_ITSELF = frozenset({"index", "nvidia", "conda", "distribution"})
"""Origins that say by themselves where the build lies."""
SCHEMES = frozenset({"http", "https", "ftp", "git", "git+git", "git+http", "git+https"})
COMPARED = ("cuda", "cudnn", "glibc", "cpu", "sass", "ptx")
"""Fields of which a patch release is expected to have the value of its series."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def build_origins(database: Database) -> Iterator[Finding]:
    """A build that does not say where it lies: no index of its own, no files; or says it where that is no matter."""
    for entry, build in database.rows(schema.Build):
        if build.origin == "url" and not build.files:
            yield entry.finding("build-origin", "the origin is 'url', and there are no files")
        if build.origin not in OF_ITSELF | {"url"} and not build.index:
            yield entry.finding("build-origin", f"the origin is {build.origin!r}, and there is no index")
        if build.origin in OF_ITSELF and (build.index or build.files):
            field = "index" if build.index else "files"
            yield entry.finding("build-origin", f"the origin is {build.origin!r}, so what is {field} for?")


def _addresses(row: schema.Row) -> Iterator[tuple[str, str]]:
    if isinstance(row, schema.Build):
        if row.index is not None:
            yield "index", row.index
        yield from ((f"files {file.python}", file.url) for file in row.files)
    if isinstance(row, schema.Image):
        yield from (("apt_keys", key) for key in row.apt_keys if "/" in key)
    for way in getattr(row, "ways", ()):
        if way.kind in ("url", "runfile"):
            yield f"ways {way.kind}", way.reference


def addresses(database: Database) -> Iterator[Finding]:
    """An address that is none: a scheme, a host and a path, without placeholders."""
    for entry in database.entries:
        for field, text in _addresses(entry.row):
            parts = urlsplit(text.split()[0] if text.split() else "")
            if parts.scheme not in SCHEMES or not parts.hostname or re.search(r"[{}<>$*]", text):
                yield entry.finding("address", f"{field}: {text!r} is no address")


def build_files(database: Database) -> Iterator[Finding]:
    """A file for a Python that its build does not list, or two files for one Python and device."""
    for entry, build in database.rows(schema.Build):
        seen: set[tuple[str, str | None]] = set()
        for file in build.files:
            if file.python not in build.pythons:
                yield entry.finding("build-file", f"a file for Python {file.python}, which pythons lacks")
            if (file.python, file.device) in seen:
                yield entry.finding("build-file", f"two files for Python {file.python}")
            seen.add((file.python, file.device))


def digests(database: Database) -> Iterator[Finding]:
    """A hash that is none."""
    for entry in database.entries:
        row = entry.row
        hashes = [file.sha256 for file in getattr(row, "files", ()) if file.sha256 is not None]
        if isinstance(row, schema.Image) and row.digest is not None and not _DIGEST.fullmatch(row.digest):
            yield entry.finding("digest", f"{row.digest!r} is no sha256:... digest")
        for text in hashes:
            if not _SHA256.fullmatch(text):
                yield entry.finding("digest", f"{text!r} is no SHA-256 in hexadecimal")


def measured_sources(database: Database) -> Iterator[Finding]:
    """A build says that another one was read, and there is none such, or it is itself."""
    known: dict[str, set[str]] = {}
    for _, build in database.rows(schema.Build):
        known.setdefault(build.package, set()).add(build.version)
    for entry, build in database.rows(schema.Build):
        other = build.measured_from
        if other is None:
            continue
        if other == build.version:
            yield entry.finding("measured-from", "the version read is its own: leave it null")
        elif not any(other in versions for versions in known.values()):
            yield entry.finding("measured-from", f"no build has version {other}")


def capabilities(database: Database) -> Iterator[Finding]:
    """Machine code or PTX for a capability that no architecture has."""
    known = database.names(schema.Architecture, "compute_capability")
    for entry in database.entries:
        for field in ("sass", "ptx"):
            for value in getattr(entry.row, field, None) or ():
                if value.rstrip("af") not in known:  # 9.0a and 10.0f are code for 9.0 and for the family of 10.0
                    yield entry.finding("capability", f"{field}: no architecture has {value}")


def report_packages(database: Database) -> Iterator[Finding]:
    """A report about a package that its framework does not have."""
    for entry, report in database.rows(schema.Report):
        packages = {b.package for e, b in database.rows(schema.Build) if e.framework == entry.framework}
        for package in report.packages:
            if package not in packages:
                yield entry.finding("report-package", f"{entry.framework or 'the framework'} has no {package}")


def python_details(database: Database) -> Iterator[Finding]:
    """A full version or an ABI that is not of the Python it stands with."""
    for entry, python in database.rows(schema.PythonRelease):
        if not python.full.startswith(f"{python.version}."):
            yield entry.finding("python-detail", f"{python.full} is no release of Python {python.version}")
        if not re.fullmatch(rf"cp{python.version.replace('.', '')}m?u?", python.abi):
            yield entry.finding("python-detail", f"{python.abi} is no ABI of Python {python.version}")
    for entry, system in database.rows(schema.System):
        for shipped in system.pythons:
            if not shipped.full.startswith(f"{shipped.version}."):
                yield entry.finding("python-detail", f"{shipped.full} is no release of Python {shipped.version}")


def _series(build: schema.Build) -> tuple[str, tuple[int, ...], str | None, tuple[str, ...], str]:
    version = version_or_zero(build.version)
    return build.package, version.release[:2], version.local, build.devices, build.origin


def disagreements(database: Database) -> Iterator[Finding]:
    """Next releases of one series differ in a field, measured on one side and only documented on the other, unnoted.

    One of them is likely wrong: the table of a documentation against the file itself.
    """
    series: dict[object, list[tuple[Entry, schema.Build]]] = {}
    for entry, build in database.rows(schema.Build):
        series.setdefault((entry.framework, _series(build)), []).append((entry, build))
    for rows in series.values():
        rows.sort(key=lambda pair: version_or_zero(pair[1].version))
        for (entry, build), (other_entry, other) in pairwise(rows):
            for field in COMPARED:
                values = getattr(build, field), getattr(other, field)
                if None in values or values[0] == values[1]:
                    continue
                sources = [_evidence(database, e, field) for e in (entry, other_entry)]
                noted = build.notes or other.notes or any(s is not None and s.notes for s in sources)
                if {s.how for s in sources if s} == {"measured", "documented"} and not noted:
                    text = f"{field} {values[1]} ({sources[1] and sources[1].how}), but {build.version} has {values[0]}"
                    yield other_entry.finding("disagreement", f"{text} ({sources[0] and sources[0].how}), and no note")


def _evidence(database: Database, entry: Entry, field: str) -> schema.Evidence | None:
    key = entry.row.evidence.get(field) or entry.row.evidence.get("*", "")
    return database.evidence.get(entry.file, {}).get(key)
