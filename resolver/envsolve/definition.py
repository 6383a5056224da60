"""Lock -> ``apptainer.def``: the Dockerfile's steps as a definition that Apptainer builds. Pure: reads templates only.

A stage of a definition cannot start from another one: what the Dockerfile's stage ``base`` does is done in ``build``
and again in the image. What comes of the user's machine (index, credentials, certificates, proxies) is put into the
stages by their ``%setup``, which runs outside with the user's variables; ``%post`` runs without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envsolve.quoting import checked
from envsolve.render import phase_files, plan_of, templates

if TYPE_CHECKING:
    from envsolve.lock.vendoring import Vendored
    from envsolve.models import Lock

_BASE = "org.opencontainers.image.base"


def definition(
    lock: Lock, vendored: Vendored | None = None, *, base: str | None = None, python_image: str | None = None
) -> str:
    """The definition's text; the same for the same lock.

    ``base``, ``python_image``: images in place of the lock's, in the shapes that ``basing`` checked.
    Raises UsageError (``bad-lock``) when the lock holds what no quoting can carry.
    """
    plan = plan_of(lock, vendored)
    labels = dict(plan.labels)
    if base:
        name, _, digest = base.partition("@")
        labels.pop(f"{_BASE}.digest", None)
        labels |= {f"{_BASE}.name": name} | ({f"{_BASE}.digest": digest} if digest else {})
    text = templates().get_template("apptainer.j2").render(
        plan=plan,
        base=one_pin(base or plan.base),
        python_base=one_pin(python_image or plan.python_image or ""),
        phases=sorted(phase_files(lock, vendored=plan.vendored)),
        vendored=sorted(checked("file name", p.filename) for p in lock.packages) if plan.vendored else (),
        labels=sorted(labels.items()),
        gpu=lock.stack.device == "gpu",
    )  # fmt: skip
    return text.rstrip("\n") + "\n"


def one_pin(reference: str) -> str:
    """A reference by digest alone where it has both: what pulls for Apptainer refuses a tag beside a digest."""
    name, at, digest = reference.partition("@")
    if not at:
        return reference
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{digest}"
