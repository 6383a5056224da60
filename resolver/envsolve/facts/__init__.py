"""Rows of the compatibility database (``matrices/``): the schema, as types.

Every row carries ``evidence``: for each of its fields, or for the whole row under ``"*"``, the key of an
entry in the file's ``evidence`` table, which says source, date and how. Versions are strings; ranges are
PEP 440 specifiers read by ``packaging``.

A type is made when it is first asked for: making them all costs as much as reading what an answer needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envsolve.facts.frameworks import LOCKABLE as LOCKABLE
    from envsolve.facts.frameworks import Build as Build
    from envsolve.facts.frameworks import BuildFile as BuildFile
    from envsolve.facts.frameworks import Framework as Framework
    from envsolve.facts.frameworks import Pairing as Pairing
    from envsolve.facts.frameworks import Report as Report
    from envsolve.facts.frameworks import Substitute as Substitute
    from envsolve.facts.frameworks import lockable as lockable
    from envsolve.facts.limits import Cap as Cap
    from envsolve.facts.limits import Repair as Repair
    from envsolve.facts.limits import RepairWhen as RepairWhen
    from envsolve.facts.limits import When as When
    from envsolve.facts.modelfiles import Marker as Marker
    from envsolve.facts.modelfiles import ModelRelease as ModelRelease
    from envsolve.facts.platform import Architecture as Architecture
    from envsolve.facts.platform import Cudnn as Cudnn
    from envsolve.facts.platform import Image as Image
    from envsolve.facts.platform import Product as Product
    from envsolve.facts.platform import PythonRelease as PythonRelease
    from envsolve.facts.platform import System as System
    from envsolve.facts.platform import SystemPython as SystemPython
    from envsolve.facts.platform import Toolkit as Toolkit
    from envsolve.facts.proofs import Verified as Verified
    from envsolve.facts.rows import Evidence as Evidence
    from envsolve.facts.rows import Row as Row
    from envsolve.facts.rows import Way as Way
    from envsolve.facts.words import Combination as Combination
    from envsolve.facts.words import CondaPackage as CondaPackage
    from envsolve.facts.words import Repository as Repository
    from envsolve.facts.words import Tool as Tool
    from envsolve.facts.words import ToolFile as ToolFile

_MODULES = {
    "rows": ("Evidence", "Row", "Way"),
    "platform": (
        "Architecture", "Product", "Toolkit", "Cudnn", "SystemPython", "System", "Image", "PythonRelease",
    ),
    "frameworks": ("LOCKABLE", "lockable", "BuildFile", "Build", "Substitute", "Pairing", "Report", "Framework"),
    "limits": ("When", "Cap", "RepairWhen", "Repair"),
    "words": ("ToolFile", "Tool", "CondaPackage", "Combination", "Repository"),
    "modelfiles": ("ModelRelease", "Marker"),
    "proofs": ("Verified",),
}  # fmt: skip
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
