"""One piece of evidence: what was found where, what it means, and which releases it leaves."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field

from envsolve.models import Frozen

Strength = Literal["proof", "strong", "weak", "hint"]
"""``proof``: the file says so itself or cannot exist otherwise; ``strong``: read from form or names with few ways out;
``weak``: usual, not certain; ``hint``: worth telling, decides nothing."""


class Evidence(Frozen):
    """What a scanner found in one file."""

    file: str = Field(description="path relative to what was scanned, '/' between folders")
    line: int | None = Field(None, description="line of a text file, from 1")
    offset: int | None = Field(None, description="byte of a binary file, from 0")
    found: str = Field(description="what stands there, short enough to print")
    means: str = Field(description="what follows from it, in a sentence")
    strength: Strength
    source: str = Field(description="where the rule comes from: a URL, a document, a table of matrices/")
    ranges: dict[str, str] = Field({}, description="framework or package -> PEP 440 range it allows")
    made_with: dict[str, str] = Field(
        {}, description="framework or package -> range of the releases that wrote it: where to start, no limit"
    )
    pythons: str = Field("", description="PEP 440 range over 'X.Y'; empty: says nothing")
    date: datetime.date | None = Field(None, description="day that it dates the file or the code to")
