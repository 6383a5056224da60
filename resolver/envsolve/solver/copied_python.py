"""A Python copied from another image, where the base image's own (or its release's) will not do. Pure.

The official Python images hold theirs under /usr/local. It runs on another system whose C library is no older than the
one it was built against; the other libraries that it links come along (``templates/parts/python.j2``).
"""

from __future__ import annotations

from collections.abc import Sequence

from envsolve import facts as schema
from envsolve.matrices import Facts
from envsolve.prose import listed
from envsolve.solver.finite import Mask, bits
from envsolve.solver.world import World, minor, version_key

Images = Sequence[schema.Image]


def glibc_floor(facts: Facts, donor: schema.Image) -> str:
    """The lowest C library that a donor's Python runs on: the one known, else the one that it was built against."""
    return donor.python_glibc or facts.systems[donor.os].glibc


def copied_pythons(world: World, system: schema.System) -> Mask:
    """The Pythons that a system can be given."""
    source = world.axes["python_image"]
    fit = bits(source.mask(lambda donor: _runs(world.facts, donor, system)))
    return world.axes["python"].only(*(minor(source.values[i].python) for i in fit))


def _runs(facts: Facts, donor: schema.Image, system: schema.System) -> bool:
    return version_key(system.glibc) >= version_key(glibc_floor(facts, donor))


def add_copied_python_rules(world: World) -> None:
    """What a copied Python is, and what it runs on."""
    source, python, os_ = (world.axes[name] for name in ("python_image", "python", "os"))

    def about(donor: schema.Image) -> tuple[str, schema.Row]:
        return donor.id, donor

    def runs_text(rows: Images) -> str:
        names, floor = listed((d.id for d in rows), most=4), glibc_floor(world.facts, rows[0])
        why = "as derived" if rows[0].python_glibc else f"that of {rows[0].os}, where it was built"
        return f"the Python of {names} needs glibc {floor} or newer ({why})"

    world.relate(
        source,
        python,
        lambda donor: python.only(minor(donor.python)),
        lambda rows: f"the Python of {listed((d.id for d in rows), most=4)} is {minor(rows[0].python or '')}",
        about=about,
        evidence="python",
        axis="python_image",
    )
    world.relate(
        source,
        os_,
        lambda donor: os_.mask(lambda system: _runs(world.facts, donor, system)),
        runs_text,
        about=about,
        evidence="python_glibc",
        axis="python_image",
        detail=lambda donor: (glibc_floor(world.facts, donor), donor.python_glibc or donor.os),
    )
