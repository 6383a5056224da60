"""Every error envsolve raises on purpose: one shape, one exit code each, listed here and nowhere else."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line: a contract that users script against."""

    DONE = 0
    NO_COMBINATION = 1
    USAGE = 2
    OUT_OF_DATE = 3
    NOT_READY = 4
    BUILD_FAILED = 5
    SMOKE_FAILED = 6
    BAD_DATABASE = 7
    DEFECT = 70


class EnvsolveError(Exception):
    """Base of every deliberate error: a code, what happened, the facts behind it, and hints that are commands.

    ``code`` is kebab-case and stable. ``message`` uses the user's own words. ``facts`` are the sourced
    sentences behind it. ``hints`` are commands (or one instruction each) that lead out.
    """

    code = "error"
    exit_code = Exit.DEFECT

    def __init__(
        self,
        message: str,
        *,
        facts: tuple[str, ...] = (),
        hints: tuple[str, ...] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        self.hints = hints
        if code is not None:
            self.code = code


class UsageError(EnvsolveError):
    """The request cannot be understood: a typo, a bad option, an unreadable file (exit 2)."""

    code = "usage"
    exit_code = Exit.USAGE


class NoCombinationError(EnvsolveError):
    """The request is understood and nothing satisfies it (exit 1)."""

    code = "no-combination"
    exit_code = Exit.NO_COMBINATION


class OutOfDateError(EnvsolveError):
    """A lock or rendered file is not what its inputs give, or was edited by hand (exit 3)."""

    code = "out-of-date"
    exit_code = Exit.OUT_OF_DATE


class NotReadyError(EnvsolveError):
    """This machine lacks what the step needs: engine, driver, interpreter, network, disk (exit 4)."""

    code = "not-ready"
    exit_code = Exit.NOT_READY


class BuildError(EnvsolveError):
    """An image or prefix could not be built (exit 5)."""

    code = "build-failed"
    exit_code = Exit.BUILD_FAILED


class SmokeError(EnvsolveError):
    """It was built, and the proof that it works failed (exit 6)."""

    code = "smoke-failed"
    exit_code = Exit.SMOKE_FAILED


class DatabaseError(EnvsolveError):
    """The compatibility database breaks its schema or its own rules (exit 7)."""

    code = "bad-database"
    exit_code = Exit.BAD_DATABASE
