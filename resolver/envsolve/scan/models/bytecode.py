"""Which Python a marshalled code object comes from, told by its form; it is never unmarshalled.

The fields of a code object changed with Python: four numbers before the code in Python 2, five and later six in
Python 3, and from the code's own bytes follow single instructions, pairs of bytes, and the resume instruction.
"""

from __future__ import annotations

import base64
import binascii
import contextlib

_CODE, _BYTES, _REFERENCE = 0x63, 0x73, 0x80
_RETURN, _RESUME = 0x53, frozenset({0x95, 0x97})
_START = 24
_LIMIT = 1 << 20


def raw_code(text: str) -> bytes | None:
    """The bytes of a function as Keras keeps them in its configuration; None: they are no code object."""
    text = text[:_LIMIT]
    candidates = []
    with contextlib.suppress(binascii.Error, ValueError):
        candidates.append(base64.b64decode("".join(text.split()), validate=True))
    candidates.append(text.encode("raw_unicode_escape", "replace"))
    return next((c for c in candidates if len(c) > 30 and c[0] & ~_REFERENCE == _CODE), None)


def form(code: bytes) -> str:
    """The mark of the code object's form: 'four', 'five-bytes', 'five-words', 'six', 'resume' or 'other'."""
    for numbers in (4, 5, 6):
        at = 1 + 4 * numbers
        if len(code) < at + 5 or code[at] & ~_REFERENCE != _BYTES:
            continue
        size = int.from_bytes(code[at + 1 : at + 5], "little")
        body = code[at + 5 : at + 5 + size]
        if not body or len(body) != size:
            continue
        if numbers != 5:
            return {4: "four", 6: "six"}[numbers]
        return _five(body)
    return "other"


def _five(body: bytes) -> str:
    """Five numbers stand before the code of two eras; the later resumes at its start, after cells at most."""
    start = zip(body[:_START:2], body[1:_START:2], strict=False)
    if any(op in _RESUME and argument == 0 for op, argument in start):
        return "resume"
    if len(body) % 2 == 0 and body[-2] == _RETURN:
        return "five-words"
    return "five-bytes" if body[-1] == _RETURN else "other"
