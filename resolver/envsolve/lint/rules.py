"""Rules about what the database means, beyond its schema: one function, one rule.

Each takes the whole database and yields findings under its own name. Add a rule by writing the function, putting
it into ``RULES``, and giving tests/unit/test_lint.py one database that fires it and one that does not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone

from packaging.version import Version

from envsolve import facts as schema
from envsolve.lint.builds import (
    addresses,
    build_files,
    build_origins,
    capabilities,
    digests,
    disagreements,
    measured_sources,
    python_details,
    report_packages,
)
from envsolve.lint.caps import cap_texts, cap_ways
from envsolve.lint.database import Database, Entry, Finding, keys
from envsolve.lint.dated import future_dates, images_seen, release_dates, ways_replaced, ways_seen, ways_unique
from envsolve.lint.ranges import ranges_match, specifiers_parse, version_or_zero, versions_parse
from envsolve.lint.verified import verified_facts

Rule = Callable[[Database], Iterable[Finding]]

MADE_OF = {
    "limit": ("package", "versions"),
    "needs": ("package", "when"),
    "drop": ("package",),
    "system": (),
    "environment": ("package", "environment"),
    "requires": ("package", "requires"),
    "api": (),
}
UNSOURCED = {"evidence", "notes", "id", "name", "package", "version"}


def image_references(database: Database) -> Iterator[Finding]:
    """An image names an OS, a CUDA or a cuDNN that has no row."""
    known = {
        "os": database.names(schema.System, "name"),
        "cuda": database.names(schema.Toolkit, "version"),
        "cudnn": database.names(schema.Cudnn, "version"),
    }
    for entry, image in database.rows(schema.Image):
        for field, values in known.items():
            value = getattr(image, field)
            if value is not None and value not in values:
                yield entry.finding("image-reference", f"{field} {value} has no row")


def image_frameworks(database: Database) -> Iterator[Finding]:
    """An image says it is a build that the database does not have."""
    builds = {entry.label for entry, _ in database.rows(schema.Build)}
    for entry, image in database.rows(schema.Image):
        if image.framework is not None and image.framework not in builds:
            yield entry.finding("image-framework", f"no framework has a build {image.framework}")


def cudnn_references(database: Database) -> Iterator[Finding]:
    """A cuDNN release names a CUDA release that has no row."""
    toolkits = database.names(schema.Toolkit, "version")
    for entry, release in database.rows(schema.Cudnn):
        for version in release.cuda:
            if version not in toolkits:
                yield entry.finding("cudnn-reference", f"CUDA {version} has no row")


def build_references(database: Database) -> Iterator[Finding]:
    """A build that takes CUDA from the system names a CUDA or cuDNN without a row, or an unknown Python."""
    toolkits = database.names(schema.Toolkit, "version")
    cudnns = database.names(schema.Cudnn, "version")
    pythons = database.names(schema.PythonRelease, "version")
    for entry, build in database.rows(schema.Build):
        for version in sorted(set(build.pythons) - pythons):
            yield entry.finding("build-reference", f"Python {version} has no row")
        if build.cuda_source != "system":
            continue
        if build.cuda is not None and build.cuda not in toolkits:
            yield entry.finding("build-reference", f"CUDA {build.cuda} has no row")
        if build.cudnn is not None and ".".join(build.cudnn.split(".")[:2]) not in cudnns:
            yield entry.finding("build-reference", f"cuDNN {build.cudnn} has no row of its minor version")


def substitute_builds(database: Database) -> Iterator[Finding]:
    """A substitute is a build that its framework does not have."""
    for entry, substitute in database.rows(schema.Substitute):
        builds = {e.label for e, _ in database.rows(schema.Build) if e.framework == entry.framework}
        if substitute.build not in builds:
            yield entry.finding("substitute-build", f"there is no build {substitute.build}")


def pairing_frameworks(database: Database) -> Iterator[Finding]:
    """A pairing of back ends, or a default one, names a framework that the database does not know."""
    for entry, pairing in database.rows(schema.Pairing):
        if pairing.kind == "backend" and pairing.other not in database.frameworks:
            yield entry.finding("pairing-framework", f"no framework is called {pairing.other}")
    for name, framework in database.frameworks.items():
        for versions, backend in (*framework.default_backends.items(), *framework.gpu_backends.items()):
            if backend not in database.frameworks:
                yield Finding("pairing-framework", database.homes[name], versions, f"no framework is called {backend}")


def driver_floors(database: Database) -> Iterator[Finding]:
    """A newer CUDA release asks for an older driver than one before it."""
    highest: tuple[Version, str] | None = None
    for entry, toolkit in sorted(database.rows(schema.Toolkit), key=lambda pair: version_or_zero(pair[1].version)):
        floor = version_or_zero(toolkit.driver_min)
        if highest is not None and floor < highest[0]:
            yield entry.finding(
                "driver-floor", f"needs driver {toolkit.driver_min}, but CUDA {highest[1]} needs {highest[0]}"
            )
        else:
            highest = floor, toolkit.version


def native_ranges(database: Database) -> Iterator[Finding]:
    """A toolkit holds machine code for an architecture that it cannot compile for."""
    architectures = {row.compute_capability: row for _, row in database.rows(schema.Architecture)}
    for entry, toolkit in database.rows(schema.Toolkit):
        for capability in toolkit.sass:
            row = architectures.get(capability)
            if row is None:
                continue
            version, last = version_or_zero(toolkit.version), row.cuda_last
            if version < version_or_zero(row.cuda_first) or (last is not None and version > version_or_zero(last)):
                text = f"sass {capability}: {row.name} is compiled for by CUDA {row.cuda_first} to {last or 'now'}"
                yield entry.finding("native-range", text)


def evidence_dates(database: Database) -> Iterator[Finding]:
    """A fact was checked after today."""
    today = datetime.now(timezone.utc).date()
    for file, table in database.evidence.items():
        for key, evidence in table.items():
            if evidence.checked > today:
                yield Finding("evidence-date", file, f"evidence {key}", f"{evidence.checked} is in the future")
            if not evidence.source.strip():
                yield Finding("evidence-date", file, f"evidence {key}", "the source is empty")


def evidence_given(database: Database) -> Iterator[Finding]:
    """A field of a row rests on nothing."""
    for entry in database.entries:
        if "*" in entry.row.evidence:
            continue
        given = entry.row.model_fields_set - UNSOURCED - set(entry.row.evidence)
        if given:
            yield entry.finding("evidence-missing", f"no source for {', '.join(sorted(given))}")


def evidence_defined(database: Database) -> Iterator[Finding]:
    """A row names a source that its file does not define, or gives a source for a field it does not have."""
    for entry in database.entries:
        fields = {*type(entry.row).model_fields, "*"}
        for field in entry.row.evidence:
            if field not in fields:
                yield entry.finding("evidence-undefined", f"there is no field {field!r}")
        for key in sorted(set(keys(entry.row))):
            if key not in database.evidence.get(entry.file, {}):
                yield entry.finding("evidence-undefined", f"no evidence is called {key!r}")


def evidence_used(database: Database) -> Iterator[Finding]:
    """A source that no row rests on."""
    used = Counter((entry.file, key) for entry in database.entries for key in keys(entry.row))
    for file, table in database.evidence.items():
        for key in table:
            if not used[file, key]:
                yield Finding("evidence-unused", file, f"evidence {key}", "no row uses it")


def _identity(entry: Entry) -> str | None:
    row = entry.row
    if isinstance(row, schema.Architecture):
        return row.compute_capability
    if isinstance(row, schema.Marker):
        return f"{row.format} {row.mark}"
    if isinstance(row, schema.ModelRelease):
        return f"{row.framework} {row.release}"
    if isinstance(row, schema.Substitute | schema.Pairing):
        return None
    return entry.label


def unique_ids(database: Database) -> Iterator[Finding]:
    """Two rows of one kind with the same id."""
    seen: dict[tuple[type[schema.Row], str], Entry] = {}
    for entry in database.entries:
        identity = _identity(entry)
        if identity is None:
            continue
        first = seen.setdefault((type(entry.row), identity), entry)
        if first is not entry:
            yield entry.finding("duplicate", f"{first.file} already has a row {identity!r}")


def _plain(name: str) -> str:
    """A product name as it is compared: no vendor words, no punctuation."""
    return re.sub(r"nvidia|geforce|tesla|quadro|[^a-z0-9]", "", name.lower())


def product_names(database: Database) -> Iterator[Finding]:
    """Two products of different capability that are typed alike, unless both claim that alias ("titan x")."""
    seen: dict[str, tuple[bool, str, str]] = {}
    for entry, product in database.rows(schema.Product):
        for name in (product.name, *product.aliases):
            is_alias = name is not product.name
            key = _plain(name)
            first_is_alias, other, capability = seen.setdefault(
                key, (is_alias, product.name, product.compute_capability)
            )
            if capability != product.compute_capability and not (is_alias and first_is_alias):
                yield entry.finding("product-name", f"{name!r} reads like {other!r}, which is {capability}")


def product_architectures(database: Database) -> Iterator[Finding]:
    """A product of a capability that has no architecture row."""
    known = database.names(schema.Architecture, "compute_capability")
    for entry, product in database.rows(schema.Product):
        if product.compute_capability not in known:
            yield entry.finding("product-architecture", f"no architecture has {product.compute_capability}")


def image_tags(database: Database) -> Iterator[Finding]:
    """A python image whose tag is not its Python, or a CUDA image whose tag is not its CUDA."""
    for entry, image in database.rows(schema.Image):
        repository, _, tag = image.reference.rpartition(":")
        if repository == "python" and not (image.python and f"{tag}-".startswith(f"{image.python}-")):
            yield entry.finding("image-tag", f"the tag does not say Python {image.python}")
        if repository.endswith("nvidia/cuda") and not (image.cuda and tag.startswith(f"{image.cuda}.")):
            yield entry.finding("image-tag", f"the tag does not say CUDA {image.cuda}")


def rebuilt_images(database: Database) -> Iterator[Finding]:
    """A rebuilt image without the pins, the repositories or the keys to rebuild it with; a pin without a version."""
    for entry, image in database.rows(schema.Image):
        if image.status == "rebuilt":
            for field in ("apt_pins", "apt_repositories", "apt_keys"):
                if not getattr(image, field):
                    yield entry.finding("rebuilt-image", f"rebuilt, but {field} is empty")
        for pin in image.apt_pins:
            if not re.fullmatch(r"[a-z0-9.+-]+=[^=\s]+", pin):
                yield entry.finding("rebuilt-image", f"{pin!r} is not NAME=VERSION")


def ptx_shares(database: Database) -> Iterator[Finding]:
    """A share of modules with PTX that is no share, or stands alone."""
    for entry in database.entries:
        row = entry.row
        if not isinstance(row, schema.Toolkit | schema.Cudnn) or row.ptx_share is None:
            continue
        if not 0 <= row.ptx_share <= 1:
            yield entry.finding("ptx-share", f"{row.ptx_share} is not between 0 and 1")
        if row.ptx is None:
            yield entry.finding("ptx-share", "a share is given, but not which PTX")


def cap_reasons(database: Database) -> Iterator[Finding]:
    """A cap that does not say what goes wrong without it, or why."""
    for entry, cap in database.rows(schema.Cap):
        if not (cap.symptom or "").strip():
            yield entry.finding("cap-reason", "no symptom: the text that people paste")
        if not cap.why.strip():
            yield entry.finding("cap-reason", "no reason why")


def cap_shapes(database: Database) -> Iterator[Finding]:
    """A cap that lacks what its kind is made of."""
    for entry, cap in database.rows(schema.Cap):
        for field in MADE_OF[cap.kind]:
            if not getattr(cap, field):
                yield entry.finding("cap-shape", f"a cap of kind {cap.kind} needs {field}")
        if cap.kind == "system" and not (cap.system or cap.build_system):
            yield entry.finding("cap-shape", "a cap of kind system needs system or build_system")


def _cap_texts(cap: schema.Cap) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in (cap.symptom, *cap.symptoms) if text)


def cap_symptoms(database: Database) -> Iterator[Finding]:
    """Two caps with one symptom, on one package, under one condition, with one way out; a text twice in a cap."""
    seen: dict[tuple[object, ...], str] = {}
    for entry, cap in database.rows(schema.Cap):
        texts = _cap_texts(cap)
        for text in sorted({t for t in texts if texts.count(t) > 1}):
            yield entry.finding("cap-symptom", f"{text!r} is there twice")
        when = tuple(sorted((w.package, w.versions) for w in cap.when))
        for text in dict.fromkeys(texts):
            same = (text, cap.kind, cap.package, cap.module, cap.uses, cap.beside, cap.fix, cap.pythons, when)
            first = seen.setdefault(same, cap.id)
            if first != cap.id:
                yield entry.finding("cap-symptom", f"{first} has the same symptom, package and condition: {text!r}")


RULES: tuple[Rule, ...] = (
    verified_facts,
    image_references,
    image_frameworks,
    cudnn_references,
    build_references,
    substitute_builds,
    pairing_frameworks,
    versions_parse,
    specifiers_parse,
    ranges_match,
    driver_floors,
    native_ranges,
    evidence_dates,
    evidence_given,
    evidence_defined,
    evidence_used,
    unique_ids,
    product_names,
    product_architectures,
    image_tags,
    rebuilt_images,
    ptx_shares,
    cap_reasons,
    cap_shapes,
    cap_symptoms,
    cap_texts,
    cap_ways,
    future_dates,
    release_dates,
    ways_seen,
    ways_unique,
    ways_replaced,
    images_seen,
    build_origins,
    build_files,
    addresses,
    digests,
    measured_sources,
    capabilities,
    report_packages,
    python_details,
    disagreements,
)
"""Every rule, in the order its findings are reported."""
