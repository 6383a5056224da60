"""A lock explained anew: its request on its host is asked again, so that what was not chosen can be told too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from envsolve.errors import UsageError
from envsolve.explain import frameworks_line, why
from envsolve.quoting import word as shell_word

if TYPE_CHECKING:
    from envsolve.matrices import Facts
    from envsolve.models import Lock, Stack
    from envsolve.solver.chain import Chain, Choice
    from envsolve.solver.finite import Answer
    from envsolve.solver.question import Question


@dataclass(frozen=True)
class Asked:
    """What of a lock is to be explained: one axis, all of them, the chain, or a package of it."""

    axis: str | None = None
    everything: bool = False
    tree: bool = False
    svg: bool = False
    package: str | None = None


@dataclass(frozen=True)
class Told:
    """The explanation, as text and as a document, and what a person should know before reading it."""

    text: str
    document: dict[str, Any]
    note: str | None = None


WORDS = {"base_image": "image", "base": "image", "gpu": "device", "cpu": "device"}
"""What people call an axis -> the axis."""


@dataclass
class Retrace:
    """The question that a lock answers, asked of the database as it is today."""

    lock: Lock
    facts: Facts
    folder: str = "DIR"

    @cached_property
    def question(self) -> Question:
        """The same request, on the host that the lock was made for."""
        from envsolve.solver.question import Question

        return Question(self.lock.request, self.lock.host, self.facts)

    @cached_property
    def found(self) -> Answer | None:
        """Today's answer; None when there is none any more."""
        return self.question.problem.best(self.question.wishes)

    @cached_property
    def now(self) -> Stack | None:
        """Today's answer as a stack."""
        return self.question.stack(self.found, self.lock.request) if self.found else None

    @property
    def asked(self) -> str:
        """The request's targets, as typed."""
        return " ".join(target.text for target in self.lock.request.targets)

    @property
    def holds(self) -> bool:
        """Whether the lock's stack is what would be chosen today."""
        return self.now is not None and _essence(self.now) == _essence(self.lock.stack)

    def difference(self) -> str | None:
        """What would be chosen today instead, in a sentence."""
        if self.holds:
            return None
        if self.now is None:
            return "this lock's request has no answer with today's facts on the host it was made for"
        return f"with today's facts the answer would be another: {frameworks_line(self.now)}"

    def chain(self) -> Chain:
        """From the request to the stack. Raises UsageError ("facts-changed") when today's answer is another."""
        from envsolve.solver.chain import chain

        return chain(self.question, self._answer())

    def choices(self, axis: str | None = None) -> list[Choice]:
        """What was taken on each axis, or on one, and what not. Raises UsageError ("unknown-axis", "facts-changed")."""
        from envsolve.solver.chain import choices

        wanted = None if axis is None else [self._axis(axis)]
        return list(choices(self.question, self._answer(), wanted))

    def _answer(self) -> Answer:
        if self.found is None or not self.holds:
            raise UsageError(
                self.difference() or "no answer",
                hints=(f"envsolve lock {shell_word(self.folder)}", f"envsolve why {shell_word(self.folder)}"),
                code="facts-changed",
            )
        return self.found

    def _axis(self, word: str) -> str:
        axes = self.question.world.axes
        plain = WORDS.get(word.lower().replace("-", "_"), word.lower().replace("-", "_"))
        plain = self.facts.aliases.get(plain, plain)
        name = next((n for n in (plain, f"framework:{plain}") if n in axes), None)
        if name is None or name in ("cpu", "driver"):
            known = [n.removeprefix("framework:") for n in axes if not n.startswith(("cpu", "driver", "backend:"))]
            raise UsageError(
                f"there is no axis {word}",
                hints=tuple(f"envsolve why {shell_word(self.folder)} {n}" for n in known),
                code="unknown-axis",
            )
        return name


def _essence(stack: Stack) -> tuple[Any, ...]:
    return stack.device, stack.verdict, stack.frameworks, stack.python, stack.os, stack.base_image, stack.cuda


def told(lock: Lock, facts: Facts, folder: str, asked: Asked) -> Told:
    """An explanation of a lock.

    Where today's facts would give another stack, what the lock itself holds is told, with a note. Raises UsageError
    ("contradictory-options", "unknown-axis", "facts-changed", "unknown-package").
    """
    kinds = [asked.everything, asked.tree, asked.svg, asked.package is not None]
    if sum(kinds) > 1 or (asked.axis and any(kinds)):
        raise UsageError(
            "why answers one question at a time", hints=("envsolve why --help",), code="contradictory-options"
        )
    if asked.package is not None:
        return _package(lock, facts, asked.package)
    again = Retrace(lock, facts, folder)
    if not again.holds:
        return _from_the_lock(again, asked, folder)
    return _from_today(again, asked)


def _package(lock: Lock, facts: Facts, name: str) -> Told:
    """A package of a lock; of the index, only what is cached is read."""
    from envsolve.errors import EnvsolveError
    from envsolve.indexes import scopes_of
    from envsolve.lock import closure
    from envsolve.lock.index import Index
    from envsolve.lock.pipconfig import user_config

    try:
        index = Index(user_config(), scopes=scopes_of(lock), offline=True)
    except EnvsolveError:  # pip's configuration is in a bad way: no matter here
        index = None
    try:
        return Told(closure.why_package(lock, name, facts, index), closure.document(lock, name, facts, index))
    finally:
        if index is not None:
            index.close()


def _from_today(again: Retrace, asked: Asked) -> Told:
    from envsolve import trace

    chain = again.chain()
    if asked.tree:
        return Told(trace.tree(chain, again.asked), _document(again))
    if asked.svg:
        return Told(trace.svg(chain, again.asked), _document(again))
    if not asked.axis and not asked.everything:
        return Told(why(again.lock.stack), _document(again))
    choices = again.choices(asked.axis)
    return Told(
        trace.choices_text(choices, chain), {**_document(again, choices), "choices": trace.choices_document(choices)}
    )


def _document(again: Retrace, choices: list[Choice] | None = None) -> dict[str, Any]:
    """The reasons of the lock, all or those of some axes."""
    wanted = None if choices is None else {choice.axis.removeprefix("framework:") for choice in choices}
    reasons = [r for r in again.lock.stack.reasons if wanted is None or r.axis.removeprefix("framework:") in wanted]
    return {"schema": "envsolve/why-1", "reasons": [r.model_dump(mode="json") for r in reasons]}


def _from_the_lock(again: Retrace, asked: Asked, folder: str) -> Told:
    """What the lock itself says, where asking again would tell of another stack."""
    if asked.tree or asked.svg or asked.everything:
        again.chain()  # raises: what it would show is not this lock
    stack = again.lock.stack
    text = why(stack, asked.axis)
    if not text:
        axes = dict.fromkeys(r.axis.rpartition(":")[2] for r in stack.reasons)
        hints = tuple(f"envsolve why {shell_word(folder)} {known}" for known in axes)
        raise UsageError(f"the lock has no reason about {asked.axis}", hints=hints, code="unknown-axis")
    return Told(text, _document(again), again.difference())
