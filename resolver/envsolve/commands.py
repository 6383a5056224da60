"""A Request as the command line that makes it: what answers and hints offer to run."""

from __future__ import annotations

import shlex

from envsolve.models import Accept, Request


def command_line(request: Request) -> str:
    """The full ``envsolve`` command for a request, quoted for a POSIX shell."""
    words = ["envsolve", *(target.text for target in request.targets)]
    for gpu in request.gpu:
        if gpu != "auto":
            words += ["--gpu", gpu]
    if request.require_gpu:
        words.append("--require-gpu")
    for option, value in (
        ("--driver", request.driver),
        ("--python", request.python),
        ("--os", request.os),
        ("--as-of", request.as_of and request.as_of.isoformat()),
        ("--backend", None if request.backend == "auto" else request.backend),
    ):
        if value:
            words += [option, value]
    for facts in request.facts:
        words += ["--facts", facts]
    for index in request.indexes:
        words += ["--index", f"{index.url}={','.join(index.packages)}"]
    for accepted in request.accept:
        words += ["--accept", accepted]
    return shlex.join(words)


def accepting(request: Request, what: Accept) -> Request:
    """The request with one more thing accepted."""
    return request.model_copy(update={"accept": tuple(sorted({*request.accept, what}))})


def pinned(request: Request, name: str, version: str) -> Request:
    """The request with exactly this release of a target that it names."""
    pin = f"=={version}"
    targets = tuple(
        t.model_copy(update={"text": f"{name}{pin}", "specifier": pin}) if t.name == name else t
        for t in request.targets
    )
    return request.model_copy(update={"targets": targets})
