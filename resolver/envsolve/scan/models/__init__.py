"""Model files, read without executing anything in them, within bounds."""

from envsolve.scan.models.dispatch import looks_like_model, read_model

__all__ = ["looks_like_model", "read_model"]
