"""Read and check the compatibility database: ``matrices/`` -> Facts.

Rows are read and checked when they are first asked for, a framework at a time. Which files and frameworks there are
is the catalogue's business, which remembers it.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from envsolve import facts as schema
from envsolve.catalogue import File, catalogue, parsed, remember, remembered
from envsolve.data import data_dir
from envsolve.errors import DatabaseError
from envsolve.facts.tables import FILES, FRAMEWORK_TABLES, checked, row_type

if TYPE_CHECKING:
    from envsolve.overlay import Overlay

R = TypeVar("R", bound=schema.Row)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatabaseError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def many_objects() -> Iterator[None]:
    """For thousands of objects that all stay, or that go without cycles, as rows and syntax trees do: looking for
    garbage among them would take as long as making them.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _scoped(row: R, scope: str) -> R:
    """The row, just made, with its evidence keys made unique across files."""
    for field, key in row.evidence.items():
        row.evidence[field] = f"{scope}:{key}"
    return row


class Facts:
    """The database: immutable, each row with an id and a source. Files are read when first asked for.

    ``overlays``: files of the user's own facts, which add and correct rows, later over earlier.
    Raises DatabaseError when a file that is asked for breaks the schema.
    """

    def __init__(self, root: Path | None = None, overlays: Iterable[Path | str] = ()) -> None:
        self.root = root or data_dir("matrices")
        if not self.root.is_dir():
            raise DatabaseError(f"no database at {self.root}")
        self.overlays = _read(overlays)
        self._parsed: dict[str, dict[str, Any]] = {}
        self._evidence: dict[str, schema.Evidence] = {}
        self._frameworks: dict[str, schema.Framework] = {}
        for overlay in self.overlays:
            self._evidence |= overlay.scoped_evidence()

    @cached_property
    def _catalogue(self) -> dict[str, File]:
        return catalogue(self.root)

    @cached_property
    def version(self) -> str:
        """A digest of every file of the database, twelve hexadecimal digits; '+FILE:DIGEST' for each overlay."""
        digest = hashlib.sha256()
        for path, file in self._catalogue.items():
            digest.update(f"{path}\0{file.digest}\n".encode())
        own = (f"+{Path(overlay.name).name}:{overlay.digest[:8]}" for overlay in self.overlays)
        return digest.hexdigest()[:12] + "".join(own)

    def files(self) -> list[Path]:
        """Every data file, in a fixed order (the generated schemas are not data)."""
        return [self.root / path for path in self._catalogue]

    def _table(self, file: str, key: str) -> tuple[Any, ...]:
        if file not in self._parsed:
            path = self.root / f"{file}.json"
            self._parsed[file] = parsed(_bytes(path), path)
            self._add_evidence(self._parsed[file], file)
        with many_objects():
            rows = list(_rows(row_type(FILES[file][key]), self._parsed[file], key, file))
        return tuple(self._overlaid(key, rows))

    def _overlaid(self, key: str, rows: list[Any]) -> list[Any]:
        for overlay in self.overlays:
            rows = overlay.apply(key, rows)
        return rows

    def _add_evidence(self, content: dict[str, Any], scope: str) -> None:
        table = content.get("evidence", {})
        if not isinstance(table, dict):
            raise DatabaseError(f"{scope}.json: evidence must be an object")
        for key, value in table.items():
            self._evidence[f"{scope}:{key}"] = checked(schema.Evidence, value, f"{scope}.json evidence.{key}")

    @cached_property
    def architectures(self) -> tuple[schema.Architecture, ...]:
        """Compute capabilities, oldest first."""
        return self._table("gpus", "architectures")

    @cached_property
    def products(self) -> tuple[schema.Product, ...]:
        """GPUs as sold."""
        return self._table("gpus", "products")

    @cached_property
    def toolkits(self) -> dict[str, schema.Toolkit]:
        """CUDA releases by version."""
        return {row.version: row for row in self._table("cuda", "toolkits")}

    @cached_property
    def cudnns(self) -> dict[str, schema.Cudnn]:
        """The cuDNN releases by version."""
        return {row.version: row for row in self._table("cudnn", "releases")}

    @cached_property
    def systems(self) -> dict[str, schema.System]:
        """OS releases by name."""
        return {row.name: row for row in self._table("systems", "systems")}

    @cached_property
    def images(self) -> dict[str, schema.Image]:
        """Base images by id."""
        return {row.id: row for row in self._table("images", "images")}

    @cached_property
    def pythons(self) -> dict[str, schema.PythonRelease]:
        """Python minor versions by 'X.Y'."""
        return {row.version: row for row in self._table("pythons", "pythons")}

    @cached_property
    def tools(self) -> dict[str, schema.Tool]:
        """Programs that envsolve installs for its own use, by name."""
        return {row.name: row for row in self._table("tools", "tools")}

    @cached_property
    def conda(self) -> dict[str, schema.CondaPackage]:
        """Conda packages that the index has under another name, or not at all."""
        return {row.name: row for row in self._table("conda", "packages")}

    @cached_property
    def combinations(self) -> dict[str, schema.Combination]:
        """Words for several frameworks together."""
        return {row.name: row for row in self._table("names", "combinations")}

    @cached_property
    def repositories(self) -> dict[str, schema.Repository]:
        """Image repositories whose tags say a release."""
        return {row.name: row for row in self._table("names", "repositories")}

    @cached_property
    def model_releases(self) -> tuple[schema.ModelRelease, ...]:
        """What releases write into model files, oldest first."""
        return self._table("models", "releases")

    @cached_property
    def model_markers(self) -> dict[str, dict[str, schema.Marker]]:
        """Marks of model files: format -> mark -> meaning."""
        found: dict[str, dict[str, schema.Marker]] = {}
        for row in self._table("models", "markers"):
            found.setdefault(row.format, {})[row.mark] = row
        return found

    @cached_property
    def repairs(self) -> tuple[schema.Repair, ...]:
        """What has rotted since, and what is done against it."""
        return self._table("repairs", "repairs")

    @cached_property
    def caps(self) -> tuple[schema.Cap, ...]:
        """Limits and needs that package metadata does not declare."""
        rows: list[schema.Cap] = []
        with many_objects():
            for path in self._under("caps"):
                scope = path.removesuffix(".json")
                content = parsed(_bytes(self.root / path), path)
                self._add_evidence(content, scope)
                rows += _rows(schema.Cap, content, "caps", scope)
        return tuple(self._overlaid("caps", rows))

    def _under(self, folder: str) -> list[str]:
        return [path for path in self._catalogue if path.rpartition("/")[0] == folder]

    @cached_property
    def _own_names(self) -> dict[str, str]:
        """The frameworks of the database -> their files."""
        return {path.split("/")[1].removesuffix(".json"): path for path in self._under("frameworks")}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Every name people use for a framework, package names included -> the field's own name."""
        found: dict[str, str] = {}
        for name, path in self._own_names.items():
            found |= dict.fromkeys((*(self._catalogue[path].names or ()), name.lower()), name)
        for overlay in self.overlays:
            for name in overlay.frameworks:
                row = self.framework(name)
                packages = (build.package for build in row.builds)
                found |= {alias.lower(): name for alias in (name, *row.aliases, *packages)}
        return found

    def framework_names(self) -> Iterable[str]:
        """The frameworks in the database."""
        return dict.fromkeys((*self._own_names, *(name for o in self.overlays for name in o.frameworks)))

    def framework(self, name: str) -> schema.Framework:
        """One framework, with its builds. Raises KeyError when the database has none of that name."""
        if name not in self._frameworks:
            row = self._own_framework(name) if name in self._own_names else None
            for overlay in self.overlays:
                row = overlay.apply_framework(name, row)
            if row is None:
                raise KeyError(name)
            self._frameworks[name] = row
        return self._frameworks[name]

    def _own_framework(self, name: str) -> schema.Framework:
        path = self._own_names[name]
        scope = path.removesuffix(".json")
        with many_objects():
            try:
                row = schema.Framework.model_validate_json(_bytes(self.root / path))
            except ValidationError as error:
                first = error.errors()[0]
                at = ".".join(str(part) for part in first["loc"])
                raise DatabaseError(f"{path}: {at}: {first['msg']}") from error
            self._evidence |= {f"{scope}:{key}": value for key, value in row.evidence.items()}
            for key in FRAMEWORK_TABLES:
                for item in getattr(row, key):
                    _scoped(item, scope)
        return row

    def evidence(self, row: schema.Row, field: str = "*") -> schema.Evidence:
        """What a field of a row rests on.

        Raises DatabaseError when neither the field nor the row names a known source.
        """
        key = row.evidence.get(field) or row.evidence.get("*")
        if key is None or key not in self._evidence:
            raise DatabaseError(f"no evidence for {field} of {row!r:.120}")
        return self._evidence[key]

    def way_evidence(self, row: schema.Row, way: schema.Way) -> schema.Evidence:
        """What a way of a row rests on. Raises DatabaseError when it names no known source."""
        scope = (row.evidence.get("ways") or row.evidence.get("*") or "").partition(":")[0]
        found = self._evidence.get(f"{scope}:{way.evidence}") or self._evidence.get(way.evidence)
        if found is None:
            raise DatabaseError(f"no evidence for the way {way.reference!r}")
        return found


def _rows(model: type[R], content: dict[str, Any], key: str, scope: str) -> Iterator[R]:
    rows = content.get(key, ())
    if not isinstance(rows, list | tuple):
        raise DatabaseError(f"{scope}.json: {key} must be a list")
    for i, row in enumerate(rows):
        yield _scoped(checked(model, row, f"{scope}.json {key}[{i}]"), scope)


def _read(overlays: Iterable[Path | str]) -> tuple[Overlay, ...]:
    if not overlays:
        return ()
    from envsolve.overlay import read_overlay

    return tuple(map(read_overlay, dict.fromkeys(overlays)))


def load(root: Path | None = None, overlays: Sequence[Path | str] = ()) -> Facts:
    """The database at ``root``, or the one that ships with envsolve, with the user's own facts over it.

    Raises UsageError for an overlay that cannot be read, DatabaseError for one that breaks the schema or a rule.
    """
    facts = Facts(root, overlays)
    if facts.overlays:
        _keep_rules(facts)
    return facts


def _keep_rules(facts: Facts) -> None:
    """The linter's rules hold for overlays too; that one passed is remembered, for linting takes its time."""
    from envsolve import __version__

    name = hashlib.sha256(f"{__version__} {facts.version} {[o.digest for o in facts.overlays]}".encode()).hexdigest()
    key = f"checked-{name[:24]}"
    if remembered(key) == b"":
        return
    from envsolve.lint import lint

    own = {overlay.name for overlay in facts.overlays}
    # A source that no row rests on any more may be what a later file left of an earlier one.
    wrong = (f for f in lint(facts.root, facts.overlays) if f.file in own and f.rule != "evidence-unused")
    findings = list(wrong)
    if findings:
        lines = tuple(f"{f.row}: {f.text} ({f.rule})".removeprefix(": ") for f in findings)
        files = ", ".join(dict.fromkeys(f.file for f in findings))
        raise DatabaseError(f"{files}: facts of your own that break the rules of the database", facts=lines)
    remember(key, b"")
