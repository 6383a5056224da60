"""Why a question has no answer: every independent conflict with its proof, and the smallest changes that help. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from envsolve.commands import accepting, command_line, pinned
from envsolve.models import Core, Reason, Relaxation, Request
from envsolve.solver.finite import Answer, Rule, Wish
from envsolve.solver.ranking import declared_substitutes, distance
from envsolve.solver.saying import sentences
from envsolve.solver.world import SOURCES, World, build_id, parsed

if TYPE_CHECKING:
    from envsolve.solver.question import Question

LEAST_CHANGE = ("exact", "native", "as_of", "os", "python", "gpu", "local", "driver", "version")
"""Kinds of wish from the cheapest to give up to the dearest."""
FEW = 3
"""Rules in a proof that is short enough: no other is looked for."""
MOST_PROOFS = 3
"""Proofs that share no fact, for one clash of wishes: more would not be read."""


Proof = tuple[list[Rule], list[Wish]]
"""Rules and wishes that cannot hold together, none of which can go."""


def why_not(question: Question, wishes: Sequence[Wish]) -> tuple[tuple[Core, ...], tuple[Relaxation, ...]]:
    """The independent conflicts among wishes that cannot all be had, and the changes that would help, least first."""
    drops = question.problem.relaxations(_cheapest_first(wishes))
    ways = [way for drop in drops if drop for way in _relaxations(question, wishes, drop)]
    cores = [_said(question, rules, about) for rules, about in _proofs(question, wishes, drops)]
    return _smallest(cores), tuple(dict.fromkeys(ways))


def proofs(question: Question, wishes: Sequence[Wish]) -> Iterator[Proof]:
    """A proof of every clash of wishes, and of each all that share no fact with it."""
    yield from _proofs(question, wishes, question.problem.relaxations(_cheapest_first(wishes)))


def _proofs(question: Question, wishes: Sequence[Wish], drops: Sequence[tuple[Wish, ...]]) -> Iterator[Proof]:
    clashes = question.problem.conflicts(wishes, drops) if drops else [tuple(wishes)]
    for clash in clashes:
        yield from _of_clash(question, clash, wishes)


def _cheapest_first(wishes: Sequence[Wish]) -> list[Wish]:
    """Wishes ordered from the cheapest to give up."""
    return sorted(wishes, key=lambda w: LEAST_CHANGE.index(w.name.partition(":")[0]))


def _smallest(cores: Sequence[Core]) -> tuple[Core, ...]:
    """Without cores that hold all of another: they would say the same again, and more."""
    sets = [set(core) for core in cores]
    kept = [
        core
        for i, core in enumerate(cores)
        if not any(sets[j] < sets[i] or (sets[j] == sets[i] and j < i) for j in range(len(cores)))
    ]
    return tuple(kept)


# -- proofs --------------------------------------------------------------------------------------------------


def _of_clash(question: Question, clash: Sequence[Wish], wishes: Sequence[Wish]) -> Iterator[Proof]:
    """Proofs of one clash that have no fact of the database in common: none of them hides another."""
    used: set[int] = set()
    for _ in range(MOST_PROOFS):
        rules, about = _proof(question, clash, wishes, used)
        if not rules and used:
            return
        yield rules, about
        looked_up = {rule.id for rule in rules if question.world.how(rule) != "given"}
        if not looked_up:
            return
        used |= looked_up


def _proof(question: Question, clash: Sequence[Wish], wishes: Sequence[Wish], without: set[int]) -> Proof:
    """Why these wishes clash, said of the releases that were asked for even where no other would do either.

    What may stand in for a release is left out of the sentences unless its exclusion is part of the clash.
    """
    others = [w for w in wishes if w.name.startswith(("version:", "exact:")) and w not in clash]
    about = [*clash, *others] if not without else list(clash)
    rules = _fewest(question, about, without)
    return rules, _needed(question, rules, about)


def _fewest(question: Question, about: Sequence[Wish], without: Collection[int]) -> list[Rule]:
    """The shorter of two proofs: with what all builds of a framework have between them, and of the builds alone."""
    key = frozenset(about), frozenset(without)  # clashes differ in wishes that end in the same question
    if key not in question.proved:
        world, prove = question.world, question.problem.prove
        found = prove(about, lambda rule: world.plainness[rule.id], without)
        if len(found) > FEW:
            alone = {*without, *world.of_builds}
            found = prove(about, lambda rule: world.plainness[rule.id], alone, len(found)) or found
        question.proved[key] = found
    return question.proved[key]


def _needed(question: Question, rules: Sequence[Rule], about: Sequence[Wish]) -> list[Wish]:
    """The wishes without which these rules refute nothing; the last ones go first."""
    kept = list(about)
    for wish in reversed(about):
        rest = [w for w in kept if w is not wish]
        if not question.problem.feasible(rest, rules):
            kept = rest
    return kept


def prove(question: Question, wishes: Sequence[Wish]) -> Core:
    """One proof that wishes cannot all be had, said with those of them that the user made and that it takes."""
    about = list(wishes)
    rules = _fewest(question, about, ())
    about = _needed(question, rules, about)
    alive = question.problem.within(about)
    made = [wish_reason(question, w) for w in about if w in question.wishes]
    return tuple(dict.fromkeys([*sentences(question.world, alive, rules), *made]))


def _said(question: Question, rules: Sequence[Rule], about: Sequence[Wish]) -> Core:
    alive = question.problem.within(about)
    reasons = [*(wish_reason(question, w) for w in about), *sentences(question.world, alive, rules)]
    return tuple(dict.fromkeys(reasons))


def wish_reason(question: Question, wish: Wish) -> Reason:
    """A wish in the user's own words."""
    request, host = question.request, question.host
    kind, _, name = wish.name.partition(":")
    asked = " ".join(t.text for t in request.targets if t.name == name)
    text = {
        "version": f"you asked for {asked}" if asked else f"{name} is the back end",
        "native": "a stack that needs JIT is used only with --accept jit",
        "exact": f"a substitute for {name} is used only with --accept substitute",
        "python": f"you asked for --python {request.python}",
        "os": f"you asked for --os {request.os}",
        "gpu": "you asked for --require-gpu" if request.require_gpu else "the GPU is to be used",
        "as_of": f"you asked for --as-of {request.as_of}{_undated(question, name)}",
        "local": "--backend local has this machine's Pythons and C library, and no CUDA of its own",
        "driver": f"the driver is {host.driver}",
    }[kind]
    fact = "host" if kind == "driver" else "request"
    return Reason(axis=name or kind, fact=fact, text=text, source=SOURCES[fact], how="given")


def _undated(question: Question, name: str) -> str:
    """What keeps a release out of every such wish: that nobody states its day."""
    if name not in question.frameworks:
        return ""
    axis = question.world.axes[f"framework:{name}"]
    named = next((w.mask for w in question.wishes if w.name == f"version:{name}"), axis.mask(lambda _: True))
    asked = [b for i, b in enumerate(axis.values) if named >> i & 1 and b is not axis.absent]
    unknown = next((b for b in asked if b.released is None), None)
    return f"; the day of {build_id(unknown)} is unknown" if unknown else ""


# -- ways out ------------------------------------------------------------------------------------------------


def _relaxations(question: Question, wishes: Sequence[Wish], drop: Sequence[Wish]) -> Iterator[Relaxation]:
    """What giving up these wishes leads to: for a release the nearest that works on either side of it."""
    rest = [w for w in wishes if w not in drop]
    near = [distance(question.world, w) for w in drop if w.name.startswith("version:") or w.name == "driver"]
    versions = [w for w in drop if w.name.startswith("version:")]
    sides = _sides(question.world, versions[0]) if len(versions) == 1 else []
    answers = [question.problem.best([*rest, side], near) for side in sides] or [question.problem.best(rest, near)]
    for found in sorted((a for a in answers if a is not None), key=lambda a: a.cost):
        yield relaxation(question, drop, found)


def _sides(world: World, wish: Wish) -> list[Wish]:
    """The releases older and newer than those that a wish names."""
    axis = list(world.axes.values())[wish.variable]
    stand_ins = declared_substitutes(world, axis.name)
    asked = [
        parsed(b.version) for i, b in enumerate(axis.values) if wish.mask >> i & 1 and build_id(b) not in stand_ins
    ]
    if not asked:
        return []
    older = axis.mask(lambda b: parsed(b.version) < min(asked))
    newer = axis.mask(lambda b: parsed(b.version) > max(asked))
    return [Wish("older", wish.variable, older), Wish("newer", wish.variable, newer)]


def relaxation(question: Question, drop: Sequence[Wish], found: Answer) -> Relaxation:
    """An answer that these wishes did not allow, with the change of the request that gives it."""
    request, changes = question.request, []
    for wish in drop:
        request, change = _without(question, request, wish, found)
        changes.append(change)
    return Relaxation(change=" and ".join(changes), command=command_line(request), gives=question.stack(found, request))


def _without(question: Question, request: Request, wish: Wish, found: Answer) -> tuple[Request, str]:
    """The request with one wish changed to what was found, and the change in words."""
    axes = question.world.axes
    kind, _, name = wish.name.partition(":")
    value = axes[kind].values[found.values[wish.variable]] if kind in axes else None
    if kind == "version":
        version = axes[f"framework:{name}"].values[found.values[wish.variable]].version
        return pinned(request, name, version), f"{name} {version} instead"
    if kind == "native":
        return accepting(request, "jit"), "accept JIT: slow first start, numbers unverified"
    if kind == "exact":
        return accepting(request, "substitute"), f"accept a substitute for {name}"
    update: dict[str, object]
    if kind == "gpu":
        update, text = {"require_gpu": False}, "run on the CPU"
    elif kind == "driver":
        update, text = {"driver": value}, f"driver {value} or newer"
    elif kind == "local":
        update, text = {"backend": "auto"}, "use a container engine"
    elif kind == "as_of":
        update, text = {"as_of": None}, "let envsolve choose the date"
    else:
        shown = getattr(value, "name", value)
        update, text = {kind: shown}, f"{'Python' if kind == 'python' else 'OS'} {shown}"
    return request.model_copy(update=update), text
