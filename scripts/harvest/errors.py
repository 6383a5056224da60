"""The one error of a wheel that cannot be read."""

from __future__ import annotations


class UnreadableError(ValueError):
    """A file, a member or a structure in it is not what it should be; the text says what, in one line."""
