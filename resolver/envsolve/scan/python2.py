"""Python 2 by its syntax: what in a text no Python 3 reads, and the same text so that Python 3 can parse it.

No Python of today has a parser for Python 2, so the text is cut into tokens here and rewritten in place; lines keep
their numbers. What cannot be parsed even then loses the lines in question, a few of them, and says so.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<string>[uUrRbBfF]{0,3}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))"""
    r"""|(?P<comment>\#[^\n]*)|(?P<joined>\\\r?\n)|(?P<newline>\r\n|\n|\r)|(?P<name>[^\W\d]\w*)"""
    r"""|(?P<number>0[xX]\w*|(?:\d|\.\d)(?:[eE][+-](?=\d)|[\w.])*)|(?P<space>[ \t\f]+)|(?P<op><>|>>|[^\s])""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = "([{", ")]}"
_OCTAL = re.compile(r"0+[0-7]+[lL]?")
_LONG = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)[lL]")
_MAGIC = re.compile(r"^(\s*)([%!?].*)$", re.MULTILINE)
_TRIES = 12
_UNPARSED = "cannot be parsed"


@dataclass
class Mark:
    """A form, name or import that says something about the Python; which, the database knows."""

    line: int
    what: str
    kind: str


@dataclass
class Parsed:
    """The tree (None: nothing could be saved), the marks of Python 2, and the lines that were given up."""

    tree: ast.Module | None
    marks: list[Mark] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


@dataclass
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str) -> Parsed:
    """Parse a script of either Python. Never raises for any text."""
    text = text.lstrip("\ufeff").replace("\0", " ").replace("\f", " ")
    tree, _ = _try(text)
    if tree is not None:
        return Parsed(tree)
    found = Parsed(None)
    text = modernize(_MAGIC.sub(r"\1pass", text), found.marks)
    lines = text.split("\n")
    for _ in range(_TRIES):
        tree, at = _try("\n".join(lines))
        if tree is not None:
            found.tree = tree
            break
        if not 0 < at <= len(lines):
            break
        found.lost.append(at)
        indent = lines[at - 1][: len(lines[at - 1]) - len(lines[at - 1].lstrip())]
        if lines[at - 1].strip() == "pass":  # it was not this line: what follows a broken block goes too
            break
        lines[at - 1] = f"{indent}pass"
    return found


def _try(text: str) -> tuple[ast.Module | None, int]:
    """The tree, or the line at which parsing ended."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), 0
    except SyntaxError as error:
        return None, error.lineno or 0
    except (ValueError, RecursionError, MemoryError):
        return None, 0


def modernize(text: str, marks: list[Mark] | None = None) -> str:
    """The text with Python 2's forms replaced, line for line; each form is added to ``marks``."""
    marks = marks if marks is not None else []
    tokens = _tokens(text)
    at = 0
    while at < len(tokens):
        end = _statement_end(tokens, at)
        _statement(tokens, at, end, marks)
        at = end + 1
    _everywhere(tokens, marks)
    return _tabs("".join(t.text for t in tokens), marks)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        found.append(_Token(match.lastgroup or "op", match[0], line))
        line += match[0].count("\n")
    return found


def _statement_end(tokens: list[_Token], at: int) -> int:
    """Where the simple statement or clause that starts here ends: its newline, ``;`` or a block's ``:``."""
    depth = 0
    lambdas = 0
    for index in range(at, len(tokens)):
        token = tokens[index]
        if token.kind == "op":
            if token.text in _OPEN:
                depth += 1
            elif token.text in _CLOSE:
                depth = max(0, depth - 1)
            elif depth == 0 and token.text == ";":
                return index
            elif depth == 0 and token.text == ":":
                if not lambdas:
                    return index
                lambdas -= 1
        elif token.kind == "name" and token.text == "lambda" and depth == 0:
            lambdas += 1
        elif token.kind == "newline" and depth == 0:
            return index
    return len(tokens)


def _significant(tokens: list[_Token], at: int, end: int) -> list[int]:
    return [
        i for i in range(at, min(end, len(tokens))) if tokens[i].kind not in ("space", "comment", "newline", "joined")
    ]


def _statement(tokens: list[_Token], at: int, end: int, marks: list[Mark]) -> None:
    own = _significant(tokens, at, end)
    if not own:
        return
    first = tokens[own[0]]
    second = tokens[own[1]] if len(own) > 1 else None
    if first.text == "print" and (second is None or _statement_follows(second)):
        if second is not None:
            marks.append(Mark(first.line, "print statement", "syntax"))
        else:
            return
        if second.text == ">>":
            second.text = ""
        _wrap(tokens, own)
    elif first.text == "exec" and second is not None and _statement_follows(second):
        marks.append(Mark(first.line, "exec statement", "syntax"))
        _wrap(tokens, own)
    elif first.text == "except":
        comma = _top_comma(tokens, own)
        if comma is not None:
            marks.append(Mark(first.line, "except X, e", "syntax"))
            tokens[comma].text = " as "
    elif first.text == "raise":
        comma = _top_comma(tokens, own)
        if comma is not None:
            marks.append(Mark(first.line, "raise E, value", "syntax"))
            tokens[comma].text = "("
            tokens[own[-1]].text += ")"


def _statement_follows(token: _Token) -> bool:
    """Whether what follows ``print`` makes it a statement rather than a name or a call."""
    if token.kind in ("string", "number"):
        return True
    if token.kind == "name":
        return token.text not in ("in", "is", "and", "or", "if", "for", "as", "else")
    return token.text in (">>", "`", "{", "~")


def _wrap(tokens: list[_Token], own: list[int]) -> None:
    tokens[own[0]].text += "("
    tokens[own[-1]].text += ")"


def _top_comma(tokens: list[_Token], own: list[int]) -> int | None:
    depth = 0
    for index in own:
        text = tokens[index].text
        if tokens[index].kind != "op":
            continue
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
        elif text == "," and depth == 0:
            return index
    return None


def _everywhere(tokens: list[_Token], marks: list[Mark]) -> None:
    """Forms that may stand inside any statement."""
    ticks = 0
    for index, token in enumerate(tokens):
        if token.kind == "op" and token.text == "<>":
            marks.append(Mark(token.line, "<> for !=", "syntax"))
            token.text = "!="
        elif token.kind == "op" and token.text == "`":
            if not ticks % 2:
                marks.append(Mark(token.line, "backticks for repr()", "syntax"))
            token.text = " repr(" if not ticks % 2 else ")"
            ticks += 1
        elif token.kind == "string" and re.match(r"[uU][rR]", token.text):
            marks.append(Mark(token.line, "ur'' string", "syntax"))
            token.text = token.text[1:]
        elif token.kind == "number" and _LONG.fullmatch(token.text):
            marks.append(Mark(token.line, "long integer", "syntax"))
            token.text = token.text[:-1]
        elif token.kind == "number" and _OCTAL.fullmatch(token.text) and token.text.strip("0"):
            marks.append(Mark(token.line, "octal number without 0o", "syntax"))
            token.text = "0o" + token.text.lstrip("0")
        elif token.kind == "name" and token.text in ("async", "await"):
            _reserved(tokens, index, marks)
        elif token.kind == "name" and token.text == "lambda":
            _unpacking(tokens, index, marks)


def _reserved(tokens: list[_Token], index: int, marks: list[Mark]) -> None:
    """``async=True`` and ``x.async``: names until they became words of the language."""
    near = _significant(tokens, index + 1, index + 3)
    after = tokens[near[0]].text if near else ""
    before = _significant(tokens, max(0, index - 2), index)
    dot = bool(before) and tokens[before[-1]].text == "."
    if dot or after in ("=", ")", ","):
        marks.append(Mark(tokens[index].line, f"{tokens[index].text} as a name", "syntax"))
        tokens[index].text += "_"


def _unpacking(tokens: list[_Token], index: int, marks: list[Mark]) -> None:
    """``lambda (a, b): ...``: the brackets go, which changes the meaning but not the names that are used."""
    near = _significant(tokens, index + 1, index + 3)
    if not near or tokens[near[0]].text != "(":
        return
    depth = 0
    for at in range(near[0], len(tokens)):
        text = tokens[at].text
        depth += (text == "(") - (text == ")")
        if text in "()" and tokens[at].kind == "op":
            tokens[at].text = ""
        if depth == 0:
            break
    marks.append(Mark(tokens[index].line, "lambda (a, b)", "syntax"))


def _tabs(text: str, marks: list[Mark]) -> str:
    """Tabs at the start of lines as Python 2 reads them."""
    lines = text.split("\n")
    heads = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines]
    mixed = next((i for i, head in enumerate(heads) if "\t" in head and " " in head), None)
    if mixed is not None and any(h.startswith(" ") for h in heads) and any(h.startswith("\t") for h in heads):
        marks.append(Mark(mixed + 1, "tabs and spaces mixed", "syntax"))
    return "\n".join(
        head.expandtabs(8) + line[len(head) :] if "\t" in head else line
        for head, line in zip(heads, lines, strict=True)
    )
