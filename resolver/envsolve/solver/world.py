"""The constraint problem of one question: axes, rules, and the sentence behind each rule. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve import facts as schema
from envsolve.matrices import Facts
from envsolve.models import Host, How, Reason, Request
from envsolve.prose import listed
from envsolve.solver.finite import Mask, Problem, Rule, bits
from envsolve.solver.verdict import SAFETY

SOURCES = {
    "host": "this machine",
    "request": "the request",
    "device": "what the words mean",
    "policy": "envsolve",
    "unknown": "nothing: it is not in the database",
}
"""Where facts that are given, not looked up, come from."""

_CERTAINTY: tuple[How, ...] = ("reported", "derived", "documented", "measured", "verified", "given")

NO_CUDA = "none"
CPU = "cpu"
UNKNOWN_DRIVER = "unknown"
OWN_PYTHON = "own"
"""No Python is copied: the image's own, or its OS release's, is used."""
VERDICTS: tuple[str, ...] = (CPU, *SAFETY)


BROUGHT_BY = {"system": ("image", "apt"), "wheel": ("wheel",), "image": ("image",)}
"""What a build says of where its CUDA comes from -> the values of the axis of that name."""
LIBRARIES = {"cuda": "cuBLAS of CUDA", "cudnn": "cuDNN"}
"""CUDA's own libraries that are judged apart, by the axis whose release brings them."""


def minor(version: str) -> str:
    """'3.6.15' -> '3.6'."""
    return ".".join(version.split(".")[:2])


@cache
def version_key(text: str) -> tuple[int, ...]:
    """A dotted number as a sortable key; anything that is no number sorts first."""
    return tuple(int(part) if part.isdigit() else -1 for part in text.split("."))


@dataclass
class Axis:
    """A variable and its values, in the order ties are broken by.

    ``absent``: the one value, if any, that says the framework is not there. It has no facts: ``mask`` asks nothing of
    it, and no rule starts from it.
    """

    name: str
    index: int
    values: list[Any]
    absent: object = None

    def mask(self, wanted: Callable[[Any], bool]) -> Mask:
        """The values for which ``wanted`` holds."""
        return sum(1 << i for i, value in enumerate(self.values) if value is not self.absent and wanted(value))

    @property
    def nothing(self) -> Mask:
        """The value that says it is not there; no value at all where it has to be there."""
        return sum(1 << i for i, value in enumerate(self.values) if value is self.absent)

    def only(self, *values: object) -> Mask:
        """These values, of an axis of names."""
        return sum(self._bits.get(value, 0) for value in dict.fromkeys(values))

    @cached_property
    def _bits(self) -> dict[object, Mask]:
        return {value: 1 << i for i, value in enumerate(self.values)}


@dataclass(frozen=True)
class Statement:
    """What a rule says, in words, for those of its values that matter to the question."""

    axis: str
    about: Callable[[Any], tuple[str, schema.Row | None]]
    evidence_field: str
    values: tuple[Any, ...]
    say: Callable[[Sequence[Any]], str]
    summary: bool = False
    family: int = -1
    """The same for the rules that were made together."""
    together: Callable[[Sequence[Any]], str] | None = None
    """How to say it of values that differ in what they allow; None: not in one sentence."""

    def subject(self, values: Sequence[Any]) -> tuple[str, schema.Row | None]:
        """The id of the fact and its row, for the first of these values (all share their source)."""
        return self.about(values[0] if values else None)

    @property
    def fact(self) -> str:
        """The fact's id."""
        return self.subject(self.values)[0]


@dataclass
class World:
    """The axes and rules of one question, with the sentence behind each rule."""

    facts: Facts
    request: Request
    host: Host
    axes: dict[str, Axis] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    unmeasured: set[tuple[str, str]] = field(default_factory=set)
    of_builds: set[int] = field(default_factory=set)
    """Ids of the rules that sum up a framework's builds."""

    @property
    def gpu_only(self) -> tuple[tuple[Axis, Mask], ...]:
        """The extra condition of rules that bind GPU stacks only."""
        device = self.axes["device"]
        return ((device, device.only("gpu")),)

    @property
    def gpus(self) -> str:
        """The host's GPUs in words, with their capabilities."""
        return listed(f"{gpu.name} ({gpu.compute_capability})" for gpu in self.host.gpus)

    def axis(self, name: str, values: Iterable[Any]) -> Axis:
        """Add a variable."""
        self.axes[name] = Axis(name, len(self.axes), list(values))
        return self.axes[name]

    def problem(self, levels: Sequence[dict[int, list[int]]]) -> Problem:
        """The constraint problem, with these cost levels."""
        return Problem([len(a.values) for a in self.axes.values()], self.rules, levels)

    def relate(
        self,
        x: Axis,
        y: Axis,
        allowed: Callable[[Any], Mask | None],
        say: Callable[[Sequence[Any]], str],
        *,
        about: Callable[[Any], tuple[str, schema.Row | None]],
        evidence: str = "*",
        axis: str | None = None,
        also: tuple[tuple[Axis, Mask], ...] = (),
        detail: Callable[[Any], Hashable] = lambda _: None,
        summary: bool = False,
        together: Callable[[Sequence[Any]], str] | None = None,
    ) -> None:
        """Rules "x = v (and ``also``) -> y in allowed(v)": one for all values that share row, source and ``detail``.

        ``detail`` is what the sentence names beyond the values, so that values it differs for are not lumped.
        ``summary``: the rule follows from others and says them in one sentence, so proofs prefer it.
        ``together``: the sentence about values that differ, of what one or another of them allows.
        """
        family = len(self.rules)
        groups: dict[tuple[Mask, Hashable, Hashable], list[int]] = {}
        for i, value in enumerate(x.values):
            mask = allowed(value) if value is not x.absent else None
            if mask is not None:
                row = about(value)[1]
                key = row and (row.evidence.get(evidence) or row.evidence.get("*"))
                groups.setdefault((mask, key, detail(value)), []).append(i)
        for (mask, _, _), indexes in groups.items():
            values = tuple(x.values[i] for i in indexes)
            self.statements.append(Statement(axis or y.name, about, evidence, values, say, summary, family, together))
            when = ((x.index, sum(1 << i for i in indexes)), *((a.index, m) for a, m in also))
            self.rules.append(Rule(len(self.rules), when, (y.index, mask)))

    def always(self, y: Axis, mask: Mask, text: str, *, fact: str = "host") -> None:
        """A rule without a condition: something given."""
        self.statements.append(Statement(y.name, lambda _: (fact, None), "*", (), lambda _: text))
        self.rules.append(Rule(len(self.rules), (), (y.index, mask)))

    def how(self, rule: Rule) -> How:
        """How the fact behind a rule is known."""
        statement = self.statements[rule.id]
        row = statement.subject(statement.values)[1]
        return "given" if row is None else self.facts.evidence(row, statement.evidence_field).how

    @cached_property
    def plainness(self) -> list[int]:
        """By rule: summaries and given facts make better sentences than measured ones, those than reported ones."""
        ranks: dict[str, int] = {"given": 3, "verified": 3, "measured": 2, "documented": 1}
        return [4 if self.statements[rule.id].summary else ranks.get(self.how(rule), 0) for rule in self.rules]

    def reason(self, rules: Sequence[Rule], alive: Sequence[Mask] | None = None, only: Rule | None = None) -> Reason:
        """The sentence of a rule, or of some made together, about the values still alive in the question.

        ``only``: the same said of fewer values.
        """
        statement = self.statements[rules[0].id]
        values = self._values(rules, alive, only)
        if len(rules) == 1 or statement.together is None:
            return self._reason(statement, values, statement.say(values))
        said = [self.reason([rule], alive) for rule in rules]
        sources = list(dict.fromkeys(reason.source for reason in said))
        more = f" and {len(sources) - 2} more of the kind" if len(sources) > 2 else ""
        return said[0].model_copy(
            update={
                "text": statement.together(values),
                "source": "; ".join(sources[:2]) + more,
                "how": min((reason.how for reason in said), key=_CERTAINTY.index),
                "checked": min(reason.checked or "" for reason in said) or None,
            }
        )

    def _values(self, rules: Sequence[Rule], alive: Sequence[Mask] | None, only: Rule | None) -> Sequence[Any]:
        """The values that rules speak of, in the order of their axis: those alive if there are any."""
        if not rules[0].when:
            return self.statements[rules[0].id].values
        variable = rules[0].when[0][0]
        whole = {
            i: value
            for rule in rules
            for i, value in zip(bits(self.rules[rule.id].when[0][1]), self.statements[rule.id].values, strict=True)
        }
        wanted = (-1 if alive is None else alive[variable]) & (-1 if only is None else only.when[0][1])
        return [whole[i] for i in sorted(whole) if wanted >> i & 1] or [whole[i] for i in sorted(whole)]

    def _reason(self, statement: Statement, values: Sequence[Any], text: str) -> Reason:
        fact, row = statement.subject(values)
        if row is None:
            return Reason(axis=statement.axis, fact=fact, text=text, source=SOURCES[fact], how="given")
        found = self.facts.evidence(row, statement.evidence_field)
        return Reason(
            axis=statement.axis, fact=fact, text=text, source=found.source, how=found.how,
            checked=found.checked.isoformat(),
        )  # fmt: skip


def build_id(build: schema.Build) -> str:
    """'PACKAGE==VERSION'."""
    return f"{build.package}=={build.version}"


def about_build(build: schema.Build) -> tuple[str, schema.Row]:
    """A build as what a rule rests on: its id, and its row."""
    return build_id(build), build


@cache
def covers(specifier: str, version: str) -> bool:
    """Whether a PEP 440 specifier holds for a version, pre-releases included."""
    return _specifier(specifier).contains(parsed(version), prereleases=True)


@cache
def parsed(version: str) -> Version:
    """A version, parsed once: a question compares the same few hundred again and again."""
    return Version(version)


@cache
def _specifier(text: str) -> SpecifierSet:
    return SpecifierSet(text)


def matching(builds: Iterable[schema.Build], specifier: str) -> list[schema.Build]:
    """The builds whose version satisfies a PEP 440 specifier (pre-releases only when nothing else does)."""
    found = [b for b in builds if covers(specifier, b.version)]
    final = [b for b in found if not parsed(b.version).is_prerelease]
    return final or found


def at_least(verdict: Axis, found: str) -> Mask:
    """The verdicts no safer than ``found``: the worst check decides."""
    rank = VERDICTS.index(found)
    return verdict.mask(lambda v: VERDICTS.index(v) >= rank)


def _absent(name: str) -> schema.Build:
    """A build that stands for no build: of no version that was ever released, on no device."""
    return schema.Build(
        package=name, version="0", released=date.min, pythons={}, devices=(), origin="absent", evidence={}
    )  # fmt: skip


def _newest(build: schema.Build, name: str) -> tuple[Version, bool, Version, bool]:
    """A label such as +cu101 says which build of a release of an index of its own it is: none that is newer."""
    version = parsed(build.version)
    public = Version(version.public) if build.index else version
    return public, build.index is None, version, build.package == name


def empty_world(
    request: Request, host: Host, facts: Facts, frameworks: Sequence[str], optional: Collection[str] = ()
) -> World:
    """The axes, each in the order that ties fall to: newest first; of an ``optional`` framework, none before any."""
    world = World(facts, request, host)
    for name in frameworks:
        own = sorted(facts.framework(name).builds, key=lambda b: _newest(b, name), reverse=True)
        axis = world.axis(f"framework:{name}", own)
        if name in optional:
            axis.absent = _absent(name)
            axis.values.insert(0, axis.absent)
    world.axis("python", sorted(facts.pythons, key=version_key, reverse=True))
    ids = {build_id(build) for name in frameworks for build in world.axes[f"framework:{name}"].values}
    world.axis("image", [i for i in facts.images.values() if i.framework is None or i.framework in ids])
    donors = [i for i in facts.images.values() if i.python and i.status == "available" and not (i.cuda or i.framework)]
    world.axis("python_image", [OWN_PYTHON, *donors]).absent = OWN_PYTHON
    world.axis("os", sorted(facts.systems.values(), key=lambda s: s.released, reverse=True))
    world.axis("device", ["gpu", "cpu"])
    world.axis("cuda", [*sorted(facts.toolkits, key=version_key, reverse=True), NO_CUDA])
    world.axis("cudnn", [*sorted(facts.cudnns, key=version_key, reverse=True), NO_CUDA])
    world.axis("cuda_source", [NO_CUDA, "image", "apt", "wheel"])
    world.axis("verdict", VERDICTS)
    floors = {toolkit.driver_min for toolkit in facts.toolkits.values()}
    world.axis("driver", sorted(floors | {host.driver}, key=version_key) if host.driver else [UNKNOWN_DRIVER])
    world.axis("cpu", ["this CPU"])
    return world
