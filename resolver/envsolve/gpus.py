"""A GPU as people type it -> its product name and compute capability, from the database. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from envsolve.errors import UsageError
from envsolve.facts import Product
from envsolve.matrices import Facts
from envsolve.models import Gpu

_CAPABILITY = re.compile(r"(?:(?:sm|compute|cc)[ _-]?(\d{1,2})\.?(\d)|(\d{1,2})\.(\d))[af]?")
_VENDOR = re.compile(r"^nvidia")
# What stands before the model ("GeForce GTX") and is often left out; a name that lacks it may mean several products.
_BEFORE = re.compile(r"^(?:nvidia|geforce|tesla|quadro|grid|nvs|jetson|rtx|gtx|gts|gt|pro)")
# The same after it: a generation, which tells products apart, or a form, which does not.
_GENERATION = r"ada|blackwell"
_MEMORY = r"(?:[3-68]|1[0126]|2[04]|32|40|48|64|72|80|94|96|120|14[14]|480)gb"
_FORM = rf"generation|sxm\d?|pcie|nvl|dgxs|fhhl|hbm\d\w?|{_MEMORY}|laptop|mobile|embedded|withmaxqdesign|maxq|gpu"
_AFTER = re.compile(rf"(?:({_GENERATION})|({_FORM}|workstationedition|serveredition))$")
_SILENT = frozenset({"nvidia", "generation", "gpu"})
_LISTED = 8


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@dataclass(frozen=True)
class _Reading:
    """A name taken apart: "NVIDIA RTX 6000 Ada Generation" is the model "6000" with the words "rtx" and "ada"."""

    model: str
    words: frozenset[str]
    forms: frozenset[str]


def _read(key: str) -> _Reading:
    words: set[str] = set()
    forms: set[str] = set()
    while (found := _AFTER.search(key)) and found.start():
        (words if found[1] else forms).add(found[0])
        key = key[: found.start()]
    while (found := _BEFORE.match(key)) and found.end() < len(key):
        words.add(found[0])
        key = key[found.end() :]
    return _Reading(key, frozenset(words - _SILENT), frozenset(forms - _SILENT))


class _Names:
    """Every way to name a product; taken apart only when that is asked for, since there are hundreds."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.own = _letters(product.name)
        self.all = (self.own, *map(_letters, product.aliases))

    def is_called(self, bare: str) -> bool:
        """Whether it is the name without its vendor, or an alias."""
        if bare in self.all[1:]:
            return True
        own = _VENDOR.sub("", self.own)
        return bare == own or (own == f"geforce{bare}" and not bare[:1].isdigit())

    def is_model(self, model: str) -> bool:
        """Whether it is the model in one of its names."""
        return any(model in name for name in self.all) and any(r.model == model for r in self.readings)

    @cached_property
    def readings(self) -> tuple[_Reading, ...]:
        """Its names, taken apart."""
        return tuple(map(_read, self.all))

    @property
    def words(self) -> frozenset[str]:
        """The words of all its names."""
        return frozenset().union(*(reading.words for reading in self.readings))


def parse_gpu(text: str, facts: Facts) -> Gpu:
    """A product name or alias ("RTX 3090", "v100"), or a capability ("sm_86", "8.6", "compute_86") -> Gpu.

    Case and punctuation do not matter. Raises UsageError: "unknown-gpu" with the nearest names, or
    "ambiguous-gpu" when products of different capability share the name.
    """
    capability = _CAPABILITY.fullmatch(text.strip().lower())
    if capability:
        return _by_capability(text, ".".join(part for part in capability.groups() if part is not None), facts)
    typed = _letters(text)
    known = list(map(_Names, facts.products)) if typed else []
    for fits in _tests(typed):
        if found := [names for names in known if fits(names)]:
            return _one(text, found, _read(typed), facts)
    raise unknown_gpu(text, facts)


def _tests(typed: str) -> Iterable[Callable[[_Names], bool]]:
    """From the most literal understanding of a name to the least; the first that finds something decides."""
    bare, reading = _VENDOR.sub("", typed), _read(typed)
    return (
        lambda names: typed == names.own,
        lambda names: names.is_called(bare),
        lambda names: names.is_model(reading.model) and reading.words <= names.words,
        lambda names: names.is_model(reading.model),
    )


def _one(text: str, found: list[_Names], reading: _Reading, facts: Facts) -> Gpu:
    """The product meant: of several alike, the one whose form (memory, laptop) is nearest to what was typed."""
    products = [names.product for names in found]
    if len({p.compute_capability for p in products}) > 1:
        raise UsageError(
            f"{text!r} is the name of several GPUs",
            facts=tuple(f"{p.name} has compute capability {p.compute_capability}" for p in products[:_LISTED]),
            hints=tuple(f"--gpu {shlex.quote(p.name)}" for p in _spread(products)),
            code="ambiguous-gpu",
        )
    nearest = min(found, key=lambda n: min(len(r.forms ^ reading.forms) for r in n.readings))
    capability = nearest.product.compute_capability
    return Gpu(name=nearest.product.name, compute_capability=capability, architecture=architecture(capability, facts))


def _spread(products: list[Product]) -> list[Product]:
    """At most so many that they can be read, each capability among them."""
    firsts = list({p.compute_capability: p for p in reversed(products)}.values())[::-1]
    return [p for p in products if p in [*firsts, *(p for p in products if p not in firsts)][:_LISTED]]


def architecture(capability: str, facts: Facts) -> str | None:
    """The generation's name ('Ampere'); None when the database does not know the capability."""
    return next((a.name for a in facts.architectures if a.compute_capability == capability), None)


def foreign_machine(gpus: Iterable[Gpu], facts: Facts) -> tuple[str, str] | None:
    """The first of these GPUs that is part of a system with another processor than x86_64, and which."""
    machines = {product.name: product.machine for product in facts.products if product.machine}
    return next(((gpu.name, machines[gpu.name]) for gpu in gpus if gpu.name in machines), None)


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
        near = _nearest(_letters(text), facts)
    hints = [f"--gpu {shlex.quote(name)}" for name in dict.fromkeys(near)]
    return UsageError(
        f"{text!r} is no GPU that the database knows",
        facts=("a compute capability serves as well: --gpu sm_NN, as nvidia-smi --query-gpu=compute_cap prints it",),
        hints=(*hints, "envsolve matrix list gpus"),
        code="unknown-gpu",
    )


def _nearest(typed: str, facts: Facts) -> list[str]:
    """Names of products whose model is spelled much the same, those with the words that were typed first."""
    reading = _read(typed)
    known = list(map(_Names, facts.products))
    models = {r.model for names in known for r in names.readings}
    close = get_close_matches(reading.model, sorted(models), n=5, cutoff=0.6)
    found = []
    for model in close:
        owners = [n for n in known if any(r.model == model for r in n.readings)]
        found.append(min(owners, key=lambda n: (len(reading.words - n.words), len(n.own))))
    found.sort(key=lambda n: len(reading.words - n.words))
    return [names.product.name for names in found[:3]]
