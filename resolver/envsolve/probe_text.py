"""The probe as a rendered folder holds it: one self-contained script, put together of the parts in templates/smoke/."""

from __future__ import annotations

from envsolve.data import data_dir

PARTS = (
    "base", "reference", "installed", "libraries", "tensorflow", "theano", "keras", "torch", "mxnet", "chainer", "cntk",
    "jax", "onnxruntime", "main",
)  # fmt: skip
"""In this order: the first imports for all, the last runs."""


def probe_text() -> str:
    """The whole script; the same text every time."""
    folder = data_dir("templates") / "smoke"
    return "\n\n".join((folder / f"{name}.py").read_text(encoding="utf-8") for name in PARTS)
