"""Names that people and other tools use, and the programs that envsolve brings for itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from envsolve.facts.rows import Row
from envsolve.models import Frozen


class ToolFile(Frozen):
    """One pure-Python wheel of a tool."""

    name: str
    version: str
    filename: str
    sha256: str


class Tool(Row):
    """A program that envsolve installs for its own use, apart from any environment (``tools.json``)."""

    name: str
    version: str
    pythons: str = Field(description="PEP 440 specifier over 'X.Y': the Pythons it can make environments of")
    files: tuple[ToolFile, ...] = Field(description="itself and all that it needs")


class CondaPackage(Row):
    """A conda package that goes by another name on the package index, or is none of it (``conda.json``)."""

    name: str
    project: str | None = Field(description="project on the package index; null: it has none of its own there")
    brings: Literal["cuda", "cudnn"] | None = Field(None, description="the part of a stack that it is")


class Combination(Row):
    """A word that people use for several frameworks together, or for a part of one (``names.json``)."""

    name: str
    frameworks: tuple[str, ...]
    versioned: str | None = Field(description="whose release a version after the word is; null: it takes none")


class Repository(Row):
    """A repository of container images whose tags begin with a release of what they hold (``names.json``)."""

    name: str = Field(description="as written after FROM, without registry and 'library/'")
    holds: str = Field(description="a framework, or 'python'")
