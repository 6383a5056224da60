"""Turn a legacy deep-learning model and a machine into an environment that provably runs.

The names below are the library's face. They are imported when first used, so that ``import envsolve``
costs nothing and loads no engine, HTTP or template library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envsolve import explain as explain
    from envsolve import render as render
    from envsolve.errors import EnvsolveError as EnvsolveError
    from envsolve.errors import UsageError as UsageError
    from envsolve.host import probe as probe
    from envsolve.lock import make_lock as make_lock
    from envsolve.matrices import load as load_facts
    from envsolve.models import Alternative as Alternative
    from envsolve.models import Gpu as Gpu
    from envsolve.models import Host as Host
    from envsolve.models import Lock as Lock
    from envsolve.models import Request as Request
    from envsolve.models import Solution as Solution
    from envsolve.models import Stack as Stack
    from envsolve.request import build_request as build_request
    from envsolve.solver import solve as solve

__version__ = "0.1.0"

__all__ = [
    "Alternative",
    "EnvsolveError",
    "Gpu",
    "Host",
    "Lock",
    "Request",
    "Solution",
    "Stack",
    "UsageError",
    "__version__",
    "build_request",
    "explain",
    "load_facts",
    "make_lock",
    "probe",
    "render",
    "solve",
]

# Name -> its module and its name there; None: the module itself (explain.answer, explain.why, render.render).
_HOMES: dict[str, tuple[str, str | None]] = {
    "Alternative": ("models", "Alternative"),
    "EnvsolveError": ("errors", "EnvsolveError"),
    "Gpu": ("models", "Gpu"),
    "Host": ("models", "Host"),
    "Lock": ("models", "Lock"),
    "Request": ("models", "Request"),
    "Solution": ("models", "Solution"),
    "Stack": ("models", "Stack"),
    "UsageError": ("errors", "UsageError"),
    "build_request": ("request", "build_request"),
    "explain": ("explain", None),
    "load_facts": ("matrices", "load"),
    "make_lock": ("lock", "make_lock"),
    "probe": ("host", "probe"),
    "render": ("render", None),
    "solve": ("solver", "solve"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    home = import_module(f"{__name__}.{module}")
    return home if attribute is None else getattr(home, attribute)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
