"""Run a person's command in what a folder was built to; when it fails, read the error and propose a change."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envsolve.attempt.report import Attempt

if TYPE_CHECKING:
    from envsolve.attempt.propose import Proposer
    from envsolve.engine.overheard import Listener
    from envsolve.matrices import Facts
    from envsolve.models import Lock
    from envsolve.talk import Talk

_INTERRUPTED = 128 + signal.SIGINT
_CAPS, _LIKE = 2, 3
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Options:
    """How to run it, as ``envsolve run`` takes it, and how to look."""

    backend: str | None = None
    prefix: Path | None = None
    gpus: tuple[str, ...] | None = None
    offline: bool = False
    aside: bool = False
    """The command's stdout goes to stderr."""


def attempt(folder: Path, lock: Lock, facts: Facts, command: Sequence[str], talk: Talk, options: Options) -> Attempt:
    """Run the command, its output live; on failure say what is known. Raises what ``running.run`` raises."""
    from envsolve import running
    from envsolve.engine.overheard import Listener

    gpus = running.gpus_of(lock, options.gpus)
    engine, built = running.find(
        folder, lock, talk, backend=options.backend, prefix=options.prefix, need_gpu=gpus is not None
    )
    listener = Listener(aside=options.aside)
    code = running.run_in(engine, built, lock, command, talk, gpus=gpus, listener=listener)
    done = Attempt(folder, tuple(command), code, options=_again(options))
    if code in (0, _INTERRUPTED):
        return done
    prefix = Path(built.subject) if engine.name == "local" else None
    with talk.step("reading the error"):
        _explain(done, lock, facts, listener, prefix, engine.name, options.offline)
    return done


def _again(options: Options) -> tuple[str, ...]:
    return tuple(word for gpu in options.gpus or () for word in ("--gpu", gpu))


def _explain(
    done: Attempt, lock: Lock, facts: Facts, listener: Listener, prefix: Path | None, engine: str, offline: bool
) -> None:
    from envsolve.attempt.code import OwnCode
    from envsolve.attempt.failure import failures
    from envsolve.attempt.findings import findings
    from envsolve.attempt.propose import Proposer

    seen = failures(listener.text(2)) or failures(listener.text(1))
    code = OwnCode(lock, facts, Path.cwd(), prefix)
    code.read(seen, done.command)
    proposer = Proposer(lock, facts, done.folder, engine, code, offline)
    if seen:
        done.failure = seen[0]
        frame = code.innermost(seen[0]) or seen[0].frames[-1]
        done.where = f"{frame.file}:{frame.line}"
    for failure in seen:
        found = findings(failure, code, done.command)
        if found:
            done.findings = [(one, proposer.propose(one.change) if one.change else None) for one in found]
            break
    if not any(proposal or one.hint for one, proposal in done.findings):
        _causes(done, lock, facts, listener, proposer)


def _causes(done: Attempt, lock: Lock, facts: Facts, listener: Listener, proposer: Proposer) -> None:
    """What the database of causes knows of the text, where the tables of names lead nowhere."""
    from envsolve.attempt.findings import Finding
    from envsolve.causes import diagnose
    from envsolve.causes_text import changed

    diagnosis = diagnose(_text(done, listener), facts, lock)
    open_ = [
        cause for cause in diagnosis.found if cause.standing not in ("kept", "elsewhere") and not cause.cap.harmless
    ]
    for cause in open_[:_CAPS]:
        request = changed(cause.cap, facts, lock)
        proposal = proposer.of_request(request.model_copy(update={"backend": proposer.engine})) if request else None
        evidence = facts.evidence(cause.cap)
        here = f"; the environment has {', '.join(cause.installed)}" if cause.installed else ""
        hint = cause.cap.fix if proposal is None and cause.cap.fix else None
        finding = Finding(f"{cause.cap.why.rstrip('.')}{here}", done.where, evidence.source, hint=hint)
        done.findings.append((finding, proposal))
    if not done.findings:
        done.like = tuple(cap.id for cap, _ in diagnosis.nearest[:_LIKE])


def _text(done: Attempt, listener: Listener) -> str:
    """The last traceback, since what was warned of before did not end the command; without one all that was said,
    and the name of the signal that ended it, as a shell would say it.
    """
    said = listener.said
    if done.failure is not None:
        before, _, last = said.rpartition(_TRACEBACK)
        return last if before else f"{done.failure.kind}: {done.failure.message}"
    return f"{said}\n{signal.strsignal(done.code - 128) or ''}\n" if done.code > 128 else said
