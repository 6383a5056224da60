"""What a person pastes: an option's value, or standard input to its end, of which a very long one is not kept whole."""

from __future__ import annotations

import sys

from envsolve.errors import UsageError
from envsolve.symptoms import HEAD, TAIL

_CHUNK = 1 << 20


def read_pasted(value: str) -> str:
    """The text of ``--error``; ``-`` is standard input. Raises UsageError when there is none."""
    text = _standard_input() if value.strip() == "-" else value
    if not text.strip():
        raise UsageError(
            "there is no error text",
            hints=('envsolve why --error "ImportError: ..."', "COMMAND 2>&1 | envsolve why --error -"),
            code="nothing-pasted",
        )
    return text


def _standard_input() -> str:
    """Its begin and its end: however much comes, no more than that is held."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        sys.stderr.write("paste the error text, then Ctrl-D\n")
    head, tail, cut = b"", b"", False
    while chunk := sys.stdin.buffer.read(_CHUNK):
        if len(head) < HEAD:
            head += chunk
            continue
        tail += chunk
        if len(tail) > 2 * TAIL:
            tail, cut = tail[-TAIL:], True
    return (head + (b"\n" if cut else b"") + tail).decode("utf-8", errors="replace")
