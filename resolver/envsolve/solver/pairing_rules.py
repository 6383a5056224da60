"""Rules about frameworks together: which releases of one work with which of another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from operator import and_

from envsolve import facts as schema
from envsolve.prose import builds_named, listed, said_of
from envsolve.solver.finite import Mask
from envsolve.solver.world import Axis, World, about_build, covers

Builds = Sequence[schema.Build]


def add_backend_rules(world: World, name: str, frameworks: Sequence[str]) -> None:
    """A front end works with some releases of a back end; one of those that are there must fit."""
    rows = [p for p in world.facts.framework(name).pairings if p.kind == "backend"]
    others = [other for other in frameworks if any(p.other == other for p in rows)]
    if others:
        world.axis(f"backend:{name}", others)
        for other in others:
            _pairing(world, name, other, [p for p in rows if p.other == other])


def _pairing(world: World, name: str, other: str, rows: Sequence[schema.Pairing]) -> None:
    fw, target, backend = (world.axes[a] for a in (f"framework:{name}", f"framework:{other}", f"backend:{name}"))

    def mine(build: schema.Build) -> list[schema.Pairing]:
        return [p for p in rows if covers(p.versions, build.version)]

    @cache
    def within(versions: str) -> Mask:
        return target.mask(lambda b: covers(versions, b.version))

    def fits(build: schema.Build) -> Mask:
        found = 0
        for pairing in mine(build):
            found |= within(pairing.other_versions)
        return found

    def text(builds: Builds) -> str:
        wanted = listed((f"{other} {p.other_versions}" for b in builds for p in mine(b)), most=4)
        return (
            f"{builds_named(builds)} works with {wanted}"
            if wanted
            else f"{builds_named(builds)} has no {other} back end"
        )

    world.relate(
        fw,
        target,
        fits,
        text,
        about=lambda b: (f"pairing {name}=={b.version} {other}", (mine(b) or rows)[0]),
        also=((backend, backend.only(other)),),
        together=text,
    )


def add_gpu_backend_rules(world: World, name: str, frameworks: Sequence[str]) -> None:
    """On a GPU a framework needs another one, which is otherwise left out."""
    row = world.facts.framework(name)
    for versions, other in row.gpu_backends.items():
        if other in frameworks and (target := world.axes[f"framework:{other}"]).absent:
            _gpu_backend(world, name, versions, target, [p for p in row.pairings if p.other == other])


def _gpu_backend(world: World, name: str, versions: str, target: Axis, pairings: Sequence[schema.Pairing]) -> None:
    other = target.name.partition(":")[2]

    def about(build: schema.Build) -> tuple[str, schema.Row]:
        """The pairing's source: it is what says so."""
        mine = [p for p in pairings if covers(p.versions, build.version)]
        return (f"pairing {name}=={build.version} {other}", mine[0]) if mine else about_build(build)

    world.relate(
        world.axes[f"framework:{name}"],
        target,
        lambda b: target.mask(lambda _: True) if covers(versions, b.version) else None,
        lambda bs: said_of(bs, "needs", f"{other} on a GPU"),
        about=about,
        also=world.gpu_only,
    )


def add_companion_rules(world: World, name: str, frameworks: Sequence[str]) -> None:
    """A limit on another framework, where both are there."""
    rows = [p for p in world.facts.framework(name).pairings if p.kind == "companion"]
    for other in frameworks:
        mine = [p for p in rows if p.other == other]
        if mine:
            _companion(world, name, other, mine)


def _companion(world: World, name: str, other: str, rows: Sequence[schema.Pairing]) -> None:
    fw, target = world.axes[f"framework:{name}"], world.axes[f"framework:{other}"]

    def mine(build: schema.Build) -> list[schema.Pairing]:
        return [p for p in rows if covers(p.versions, build.version)]

    @cache
    def within(versions: str) -> Mask:
        return target.nothing | target.mask(lambda b: covers(versions, b.version))

    def fits(build: schema.Build) -> Mask | None:
        limits = [within(p.other_versions) for p in mine(build)]
        return reduce(and_, limits) if limits else None

    def text(builds: Builds) -> str:
        limits = (f"{other} {p.other_versions}" for b in builds for p in mine(b))
        return said_of(builds, "works", f"with {listed(limits, most=4)}")

    world.relate(
        fw,
        target,
        fits,
        text,
        about=lambda b: (f"pairing {name}=={b.version} {other}", mine(b)[0]),
        together=text,
    )
