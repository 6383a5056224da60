"""What releases leave in model files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from envsolve.facts.rows import Row


class ModelRelease(Row):
    """What a framework's release writes into and reads from model files (``models.json``), one row a minor release."""

    framework: str
    release: str = Field(description="minor release: '1.4'")
    producer: int | None = Field(None, description="version that it writes into graphs; null: unknown")
    min_producer: int | None = Field(None, description="lowest producer whose graphs it reads")
    min_consumer: int | None = Field(None, description="lowest reader that it asks of its graphs")
    keras: str | None = Field(
        None, description="version that its own Keras writes, e.g. '2.1.6-tf'; null: none of its own"
    )
    ops_added: tuple[str, ...] = Field((), description="operations new in it; of the first row: all it has")
    ops_gone: tuple[str, ...] = Field((), description="operations that the release before had and it has not")


class Marker(Row):
    """A mark of a model file's format and what it means (``models.json``)."""

    format: str = Field(description="format and place: 'keras-h5', 'pickle-global', 'onnx-opset'")
    mark: str = Field(description="an attribute, a dotted name or its prefix, a number: what the reader finds there")
    means: str
    strength: Literal["proof", "strong", "weak", "hint"]
    ranges: dict[str, str] = Field(
        {}, description="framework or package -> releases that can read it; empty range: any"
    )
    made_with: dict[str, str] = Field({}, description="framework or package -> releases that wrote it")
    pythons: str = Field("", description="PEP 440 specifier over 'X.Y'; empty: says nothing")
