"""A GPU as people type it -> its product name and compute capability, from the database. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from envsolve.errors import UsageError
from envsolve.facts import Product
from envsolve.matrices import Facts
from envsolve.models import Gpu

_CAPABILITY = re.compile(r"(?:(?:sm|compute|cc)[ _-]?(\d{1,2})\.?(\d)|(\d{1,2})\.(\d))[af]?")
_VENDOR = re.compile(r"^nvidia")
_BRAND = re.compile(r"^(?:nvidia|geforce|tesla|quadro|grid)+|generation$")
_LINE = re.compile(r"^(?:nvidia|geforce|tesla|quadro|grid|rtx|gtx|gt)+|generation$")
_FORM = re.compile(r"(?:sxm\d?|pcie|nvl|hbm\d\w?|\d+gb|laptopgpu|laptop|gpu|withmaxqdesign|maxq|mobile)+$")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _bare(key: str) -> str:
    return _FORM.sub("", _LINE.sub("", key)) or key


# From the most literal reading of a name to the least; the first that finds something decides.
_READINGS: tuple[Callable[[str], str], ...] = (
    lambda key: key,
    lambda key: _VENDOR.sub("", key),
    lambda key: _BRAND.sub("", key),
    lambda key: _LINE.sub("", key),
    _bare,
)


def parse_gpu(text: str, facts: Facts) -> Gpu:
    """A product name or alias ("RTX 3090", "v100"), or a capability ("sm_86", "8.6", "compute_86") -> Gpu.

    Case and punctuation do not matter. Raises UsageError: "unknown-gpu" with the nearest names, or
    "ambiguous-gpu" when products of different capability share the name.
    """
    capability = _CAPABILITY.fullmatch(text.strip().lower())
    if capability:
        return _by_capability(text, ".".join(part for part in capability.groups() if part is not None), facts)
    typed = _letters(text)
    for read in _READINGS if typed else ():
        wanted = read(typed)
        found = [p for p in facts.products if wanted in {read(key) for key in _keys(p)}]
        if found:
            return _one(text, found, facts)
    raise unknown_gpu(text, facts)


def _keys(product: Product) -> Iterable[str]:
    yield _letters(product.name)
    yield from map(_letters, product.aliases)


def _one(text: str, found: list[Product], facts: Facts) -> Gpu:
    if len({p.compute_capability for p in found}) > 1:
        raise UsageError(
            f"{text!r} is the name of several GPUs",
            facts=tuple(f"{p.name} has compute capability {p.compute_capability}" for p in found),
            hints=tuple(f"--gpu {shlex.quote(p.name)}" for p in found),
            code="ambiguous-gpu",
        )
    capability = found[0].compute_capability
    return Gpu(name=found[0].name, compute_capability=capability, architecture=architecture(capability, facts))


def architecture(capability: str, facts: Facts) -> str | None:
    """The generation's name ('Ampere'); None when the database does not know the capability."""
    return next((a.name for a in facts.architectures if a.compute_capability == capability), None)


def _by_capability(text: str, capability: str, facts: Facts) -> Gpu:
    name = architecture(capability, facts)
    if name is None:
        known = [a.compute_capability for a in facts.architectures]
        near = get_close_matches(capability, known, n=3, cutoff=0.3) or known[-3:]
        raise UsageError(
            f"{text!r}: the database knows no GPU of compute capability {capability}",
            facts=(f"known: {', '.join(known)}",),
            hints=tuple(f"--gpu sm_{c.replace('.', '')}" for c in near),
            code="unknown-gpu",
        )
    return Gpu(name=f"sm_{capability.replace('.', '')}", compute_capability=capability, architecture=name)


def unknown_gpu(text: str, facts: Facts) -> UsageError:
    """The error for a GPU that the database does not know, with the nearest ones as hints."""
    generations = [a for a in facts.architectures if a.name.lower() == text.strip().lower()]
    if generations:
        near = [f"sm_{a.compute_capability.replace('.', '')}" for a in generations]
    else:
        names = {_bare(key): p.name for p in facts.products for key in _keys(p)}
        near = [names[k] for k in get_close_matches(_bare(_letters(text)), names, n=3, cutoff=0.5)]
    hints = [f"--gpu {shlex.quote(name)}" for name in dict.fromkeys(near)]
    return UsageError(
        f"{text!r} is no GPU that the database knows",
        facts=("a compute capability serves as well: --gpu sm_NN, as nvidia-smi --query-gpu=compute_cap prints it",),
        hints=(*hints, "envsolve matrix list gpus"),
        code="unknown-gpu",
    )
