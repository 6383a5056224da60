"""A lock explained anew: its request on its host is asked again, so that what was not chosen can be told too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from envsolve.errors import UsageError
from envsolve.explain import frameworks_line

if TYPE_CHECKING:
    from envsolve.matrices import Facts
    from envsolve.models import Lock, Stack
    from envsolve.solver.chain import Chain, Choice
    from envsolve.solver.finite import Answer
    from envsolve.solver.question import Question

WORDS = {"base_image": "image", "base": "image", "gpu": "device", "cpu": "device"}
"""What people call an axis -> the axis."""


@dataclass
class Retrace:
    """The question that a lock answers, asked of the database as it is today."""

    lock: Lock
    facts: Facts

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
                hints=("envsolve lock DIR", "envsolve why DIR"),
                code="facts-changed",
            )
        return self.found

    def _axis(self, word: str) -> str:
        axes = self.question.world.axes
        plain = WORDS.get(word.lower().replace("-", "_"), word.lower().replace("-", "_"))
        plain = self.facts.aliases.get(plain, plain)
        name = next((n for n in (plain, f"framework:{plain}") if n in axes), None)
        if name is None or name in ("cpu", "driver"):
            known = [n.removeprefix("framework:") for n in axes if n not in ("cpu", "driver")]
            raise UsageError(
                f"there is no axis {word}", hints=tuple(f"envsolve why DIR {n}" for n in known), code="unknown-axis"
            )
        return name


def _essence(stack: Stack) -> tuple[Any, ...]:
    return stack.device, stack.verdict, stack.frameworks, stack.python, stack.os, stack.base_image, stack.cuda
