"""Solution -> Lock: the package closure as of a date, one file and hash per package.

``make_lock`` is imported when first used: reading a lock needs no HTTP library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envsolve.lock.make import make_lock as make_lock

__all__ = ["make_lock"]


def __getattr__(name: str) -> Any:
    if name != "make_lock":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from envsolve.lock.make import make_lock

    return make_lock
