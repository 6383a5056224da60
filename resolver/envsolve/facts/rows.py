"""A row of the database and what it rests on."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from envsolve.models import Frozen, How


class Evidence(Frozen):
    """Where a fact comes from."""

    source: str = Field(description="a URL or document")
    checked: date
    how: How
    notes: str | None = Field(None, description="e.g. the other side of a disagreement, and why this one won")


class Row(Frozen):
    """A row: its evidence by field name, ``"*"`` for the rest."""

    evidence: dict[str, str] = Field(description="field name or '*' -> key of the file's evidence table")
    notes: str | None = None


class Way(Frozen):
    """One way by which something can still be had: a dated fact."""

    kind: Literal["apt", "image", "wheel", "conda", "runfile", "source", "own-index", "url", "distribution"]
    reference: str = Field(description="the pin, image, project, channel or address, as its source lists it")
    status: Literal["available", "gone", "unknown"] = "available"
    last_seen: date | None = Field(None, description="when the source was last seen to list it; null: never by us")
    replaced_by: str | None = Field(None, description="what to take when it is gone")
    evidence: str = Field(description="key of the file's evidence table")
    notes: str | None = None
