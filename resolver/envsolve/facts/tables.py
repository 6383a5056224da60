"""Which rows each file of the database holds, and reading a value as one."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from envsolve import facts as schema
from envsolve.errors import DatabaseError

M = TypeVar("M", bound=BaseModel)

FILES: dict[str, dict[str, str]] = {
    "gpus": {"architectures": "Architecture", "products": "Product"},
    "cuda": {"toolkits": "Toolkit"},
    "cudnn": {"releases": "Cudnn"},
    "systems": {"systems": "System"},
    "images": {"images": "Image"},
    "pythons": {"pythons": "PythonRelease"},
    "tools": {"tools": "Tool"},
    "conda": {"packages": "CondaPackage"},
    "names": {"combinations": "Combination", "repositories": "Repository"},
    "repairs": {"repairs": "Repair"},
    "models": {"releases": "ModelRelease", "markers": "Marker"},
}
"""File of the database -> its tables -> the type of their rows, by name: types are made when they are asked for."""
FRAMEWORK_TABLES = {"builds": "Build", "substitutes": "Substitute", "pairings": "Pairing", "reports": "Report"}
"""The tables of a framework's file."""


def row_type(name: str) -> type[schema.Row]:
    """The type of that name."""
    found: type[schema.Row] = getattr(schema, name)
    return found


def row_types(tables: dict[str, str]) -> dict[str, type[schema.Row]]:
    """Table -> the type of its rows."""
    return {table: row_type(name) for table, name in tables.items()}


def checked(model: type[M], value: object, where: str) -> M:
    """The value as a model. Raises DatabaseError saying where and what."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise DatabaseError(f"{where}: {at}: {first['msg']}" if at else f"{where}: {first['msg']}") from error
