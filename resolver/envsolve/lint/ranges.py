"""Lint rules about versions and ranges: that they can be read, and that a range is not empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envsolve import facts as schema
from envsolve.lint.database import Database, Entry, Finding

VERSIONS = (
    *("version", "full", "driver_min", "glibc", "glibcxx", "gcc", "gcc_max", "python", "cuda", "cudnn", "wheel"),
    *("compute_capability", "cuda_first", "cuda_last", "driver_branch_last", "pip", "setuptools", "measured_from"),
)
"""Fields that hold one version, in any kind of row."""


def version_or_zero(text: str) -> Version:
    """A version to sort by; what cannot be read sorts first (the rule ``version`` reports it)."""
    return _version(text) or Version("0")


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _versions_of(row: schema.Row) -> Iterator[tuple[str, str]]:
    for field in VERSIONS:
        value = getattr(row, field, None)
        if isinstance(value, str):
            yield field, value
    for field in ("sass", "ptx"):
        # 10.0f is code for the family of 10.0; PEP 440 has no such letter.
        yield from ((field, value.rstrip("af")) for value in getattr(row, field, None) or ())


def versions_parse(database: Database) -> Iterator[Finding]:
    """A version that PEP 440 cannot read (and so cannot compare)."""
    for entry in database.entries:
        for field, value in _versions_of(entry.row):
            if _version(value) is None:
                yield entry.finding("version", f"{field}: {value!r} is no PEP 440 version")


def _ranges_of(row: schema.Row) -> Iterator[tuple[str, str]]:
    for field in ("versions", "other_versions", "compute_capabilities", "pythons"):
        value = getattr(row, field, None)
        if isinstance(value, str):
            yield field, value
    if isinstance(row, schema.Cap):
        yield from (("when", condition.versions) for condition in row.when)


def specifiers_parse(database: Database) -> Iterator[Finding]:
    """A range or a requirement that PEP 440 and PEP 508 cannot read."""
    for entry in database.entries:
        for field, value in _ranges_of(entry.row):
            if _specifier(value) is None:
                yield entry.finding("specifier", f"{field}: {value!r} is no PEP 440 specifier")
        for value in getattr(entry.row, "requires", ()):
            if _requirement(value) is None:
                yield entry.finding("specifier", f"requires: {value!r} is no PEP 508 requirement")


def _matches(text: str, builds: Iterable[schema.Build]) -> bool:
    """Whether a range holds for a build; one that cannot be read is another rule's business."""
    specifier = _specifier(text)
    if specifier is None:
        return True
    versions = [_version(build.version) for build in builds]
    return any(version is None or specifier.contains(version, prereleases=True) for version in versions)


def _framework_ranges(database: Database) -> Iterator[tuple[Finding, str, Iterable[schema.Build]]]:
    """Every range over a framework's versions: the finding if it is empty, the range, the builds it speaks of."""
    packages: dict[str, list[schema.Build]] = {}
    for _, build in database.rows(schema.Build):
        packages.setdefault(build.package, []).append(build)
    for entry in database.entries:
        for of, versions, builds in _ranges_over(database, entry, packages):
            yield entry.finding("empty-range", f"{versions!r} matches no known version{of}"), versions, builds
    for name, framework in database.frameworks.items():
        for versions in (*framework.default_backends, *framework.gpu_backends):
            file = database.homes[name]
            text = f"{versions!r} matches no known version"
            yield Finding("empty-range", file, versions, text), versions, framework.builds


def _ranges_over(
    database: Database, entry: Entry, packages: dict[str, list[schema.Build]]
) -> Iterator[tuple[str, str, Iterable[schema.Build]]]:
    row, framework = entry.row, database.frameworks.get(entry.framework)
    if isinstance(row, schema.Cap):
        for condition in row.when:
            if condition.package in packages:
                yield f" of {condition.package}", condition.versions, packages[condition.package]
    if framework is None:
        return
    if isinstance(row, schema.Substitute):
        stand_ins = {substitute.build for substitute in framework.substitutes}
        others = [b for b in framework.builds if f"{b.package}=={b.version}" not in stand_ins]
        yield "", row.versions, others
    elif isinstance(row, schema.Pairing):
        yield "", row.versions, framework.builds
        others = [*database.builds_of(row.other)] or packages.get(row.other, [])
        if others:
            yield f" of {row.other}", row.other_versions, others
    elif isinstance(row, schema.Report):
        yield "", row.versions, [b for b in framework.builds if b.package in row.packages]


def ranges_match(database: Database) -> Iterator[Finding]:
    """A range over a framework's versions that no known version is in."""
    for finding, versions, builds in _framework_ranges(database):
        if not _matches(versions, builds):
            yield finding
