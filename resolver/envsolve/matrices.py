"""Read and check the compatibility database: ``matrices/`` -> Facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from envsolve import facts as schema
from envsolve.data import data_dir
from envsolve.errors import DatabaseError

T = TypeVar("T", bound=BaseModel)

TABLES: dict[str, dict[str, type[schema.Row]]] = {
    "gpus": {"architectures": schema.Architecture, "products": schema.Product},
    "cuda": {"toolkits": schema.Toolkit},
    "cudnn": {"releases": schema.Cudnn},
    "systems": {"systems": schema.System},
    "images": {"images": schema.Image},
    "pythons": {"pythons": schema.PythonRelease},
    "tools": {"tools": schema.Tool},
    "conda": {"packages": schema.CondaPackage},
    "names": {"combinations": schema.Combination, "repositories": schema.Repository},
}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatabaseError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise DatabaseError(f"{path}: the top level must be an object")
    return content


def _check(model: type[T], value: object, where: str) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise DatabaseError(f"{where}: {at}: {first['msg']}") from error


class Facts:
    """The database: immutable, each row with an id and a source. Files are read when first asked for.

    Raises DatabaseError when a file that is asked for breaks the schema.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or data_dir("matrices")
        if not self.root.is_dir():
            raise DatabaseError(f"no database at {self.root}")
        self._evidence: dict[str, schema.Evidence] = {}
        self._frameworks: dict[str, schema.Framework] = {}

    @cached_property
    def version(self) -> str:
        """A digest of every file of the database: twelve hexadecimal digits."""
        digest = hashlib.sha256()
        for path in self.files():
            digest.update(path.relative_to(self.root).as_posix().encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:12]

    def files(self) -> list[Path]:
        """Every data file, in a fixed order (the generated schemas are not data)."""
        return sorted(p for p in self.root.rglob("*.json") if "schema" not in p.relative_to(self.root).parts)

    def _table(self, file: str, key: str) -> tuple[Any, ...]:
        content = _read(self.root / f"{file}.json")
        self._add_evidence(content, file)
        model = TABLES[file][key]
        return tuple(
            self._scoped(_check(model, row, f"{file}.json {key}[{i}]"), file)
            for i, row in enumerate(content.get(key, ()))
        )

    def _add_evidence(self, content: dict[str, Any], scope: str) -> None:
        for key, value in content.get("evidence", {}).items():
            self._evidence[f"{scope}:{key}"] = _check(schema.Evidence, value, f"{scope}.json evidence.{key}")

    def _scoped(self, row: Any, scope: str) -> Any:
        """The row with its evidence keys made unique across files."""
        return row.model_copy(update={"evidence": {k: f"{scope}:{v}" for k, v in row.evidence.items()}})

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
    def caps(self) -> tuple[schema.Cap, ...]:
        """Limits and needs that package metadata does not declare."""
        rows: list[schema.Cap] = []
        for path in sorted((self.root / "caps").glob("*.json")):
            scope = f"caps/{path.stem}"
            content = _read(path)
            self._add_evidence(content, scope)
            rows += (
                self._scoped(_check(schema.Cap, row, f"{scope}.json caps[{i}]"), scope)
                for i, row in enumerate(content.get("caps", ()))
            )
        return tuple(rows)

    @cached_property
    def _raw_frameworks(self) -> dict[str, dict[str, Any]]:
        return {path.stem: _read(path) for path in sorted((self.root / "frameworks").glob("*.json"))}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Every name people use for a framework, package names included -> the field's own name."""
        found: dict[str, str] = {}
        for name, content in self._raw_frameworks.items():
            packages = {build.get("package", name) for build in content.get("builds", ())}
            for alias in {name, *content.get("aliases", ()), *packages}:
                found[alias.lower()] = name
        return found

    def framework_names(self) -> Iterable[str]:
        """The frameworks in the database."""
        return self._raw_frameworks.keys()

    def framework(self, name: str) -> schema.Framework:
        """One framework, with its builds. Raises KeyError when the database has none of that name."""
        if name not in self._frameworks:
            scope = f"frameworks/{name}"
            content = self._raw_frameworks[name]
            row = _check(schema.Framework, content, f"{scope}.json")
            self._evidence |= {f"{scope}:{key}": value for key, value in row.evidence.items()}
            scoped = {
                field: tuple(self._scoped(item, scope) for item in getattr(row, field))
                for field in ("builds", "substitutes", "pairings", "reports")
            }
            self._frameworks[name] = row.model_copy(update=scoped)
        return self._frameworks[name]

    def evidence(self, row: schema.Row, field: str = "*") -> schema.Evidence:
        """What a field of a row rests on.

        Raises DatabaseError when neither the field nor the row names a known source.
        """
        key = row.evidence.get(field) or row.evidence.get("*")
        if key is None or key not in self._evidence:
            raise DatabaseError(f"no evidence for {field} of {row!r:.120}")
        return self._evidence[key]


def load(root: Path | None = None) -> Facts:
    """The database at ``root``, or the one that ships with envsolve."""
    return Facts(root)
