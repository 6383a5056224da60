"""Where a pasted text shows a known symptom: compared word by word, with bounded work whatever is pasted. Pure.

A symptom is plain words with a few placeholders (``envsolve.facts.Cap`` describes them), never an expression to run.
Quotes, paths, colours, line numbers and line breaks make no difference.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

HEAD, TAIL = 1 << 20, 3 << 20
"""Characters that are looked at, where a text is longer: of its begin, and of its end."""

GAP = 24
"""Words that ``{...}`` may stand for."""

TRIES = 1000
"""Places where one symptom is tried, from each end of a text."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_WORD = re.compile(r"[\w.+-]+")
_PIECE = re.compile(r"\{\?(?P<optional>[^{}]*)\}|\{(?P<braced>[^{}]*)\}|(?P<word>[\w.+*-]+)")
_EXCEPTION = re.compile(r"(?:\w+\.)*(?P<name>\w*(?:Error|Exception|Warning)):\s+")
_LINE_ENDS = re.compile(r"\r\n?|\n")
_EDGES = ".+-"
_FEW = 2


@dataclass(frozen=True)
class Piece:
    """One part of a symptom: a word among ``words`` (empty: any), a gap, or words that may be missing."""

    words: tuple[str, ...] = ()
    gap: bool = False
    optional: tuple[Piece, ...] = ()

    @cached_property
    def literal(self) -> str | None:
        """The one word that it is, where it is one."""
        return self.words[0] if len(self.words) == 1 and "*" not in self.words[0] else None

    def fits(self, word: str) -> bool:
        """Whether a word of the text can stand here."""
        return not self.words or any(_fits(pattern, word) for pattern in self.words)


@dataclass(frozen=True)
class Symptom:
    """A symptom, read: what names an exception's class may be missing."""

    text: str
    pieces: tuple[Piece, ...]
    exception: str | None = None

    def words(self) -> Iterator[str]:
        """Every word of it, those of the placeholders too."""
        for piece in self.pieces:
            for part in piece.optional or (piece,):
                yield from part.words


@dataclass(frozen=True)
class Seen:
    """A symptom in a text: the words it covers, how telling they are, and where it stands."""

    symptom: Symptom
    first: int
    last: int
    weight: float
    line: int
    """Counted from 1."""
    shown: str
    """The line as it was pasted, without what a terminal would act on."""


def _fits(pattern: str, word: str) -> bool:
    if "*" not in pattern:
        return pattern == word
    begin, _, end = pattern.partition("*")
    return len(word) >= len(begin) + len(end) and word.startswith(begin) and word.endswith(end)


def _words(text: str) -> list[str]:
    stripped = (word.strip(_EDGES) for word in _WORD.findall(text))
    return [word for word in stripped if word]


def read_symptom(text: str) -> Symptom:
    """A symptom of the database. Raises ValueError for one that says nothing or has a brace too many."""
    named = _EXCEPTION.match(text)
    rest = text[named.end() :] if named else text
    if named and len(_WORD.findall(rest)) < _FEW:  # one word tells nothing without the class
        named, rest = None, text
    if re.search(r"[{}]", _PIECE.sub(" ", rest)):
        raise ValueError(f"{text!r}: a brace has no partner")
    pieces = [piece for match in _PIECE.finditer(rest) if (piece := _piece(match)) is not None]
    while pieces and not (pieces[-1].words or pieces[-1].optional):
        pieces.pop()  # what may be anything adds nothing at an end
    while pieces and not (pieces[0].words or pieces[0].optional):
        pieces.pop(0)
    if not any(piece.words for piece in pieces):
        raise ValueError(f"{text!r}: it holds no word")
    return Symptom(text, tuple(pieces), named["name"] if named else None)


def _piece(match: re.Match[str]) -> Piece | None:
    if (optional := match["optional"]) is not None:
        return Piece(optional=tuple(p for m in _PIECE.finditer(optional) if (p := _piece(m)) is not None))
    if (braced := match["braced"]) is not None:
        if braced == "...":
            return Piece(gap=True)
        return Piece(words=tuple(word for part in braced.split("|") if (word := part.strip().strip(_EDGES))))
    word = match["word"].strip(_EDGES)
    return Piece(words=(word,)) if word.strip("*") else None


class Text:
    """A pasted text as words that know their line. Of a very long one, the begin and the end."""

    def __init__(self, pasted: str, wanted: frozenset[str], globs: Iterable[str] = (), *, join: bool = False) -> None:
        if len(pasted) > HEAD + TAIL:
            pasted = f"{pasted[:HEAD]}\n{pasted[-TAIL:]}"
        self.lines = _LINE_ENDS.split(_ANSI.sub("", pasted))
        if join:  # a terminal breaks lines inside words
            self.lines = ["".join(self.lines)]
        self.words: list[str] = []
        self.starts: list[int] = []
        for line in self.lines:
            self.starts.append(len(self.words))
            if line:
                self.words += _words(line)
        self.vocabulary = frozenset(self.words)
        self.globbed = self._globbed(globs)
        kept = wanted.union(*self.globbed.values())
        self.places: dict[str, list[int]] = {}
        for at, word in enumerate(self.words):
            if word in kept:
                self.places.setdefault(word, []).append(at)

    def _globbed(self, globs: Iterable[str]) -> dict[str, list[str]]:
        """Pattern -> the words of the text that it fits, in one pass over them however many there are."""
        patterns = {glob: tuple(glob.split("*", 1)) for glob in globs}
        begins = tuple(begin for begin, _ in patterns.values() if begin)
        ends = tuple(end for begin, end in patterns.values() if not begin)
        likely = sorted(w for w in self.vocabulary if w.startswith(begins) or w.endswith(ends))
        return {glob: [word for word in likely if _fits(glob, word)] for glob in patterns}

    def places_of(self, piece: Piece) -> Sequence[int]:
        """Where a piece of a symptom can stand."""
        if piece.literal is not None:
            return self.places.get(piece.literal, ())
        fitting = {word for pattern in piece.words for word in self.globbed.get(pattern, (pattern,))}
        return sorted(at for word in fitting for at in self.places.get(word, ()))

    def line_of(self, at: int) -> int:
        """The line that a word stands in, counted from 0."""
        return bisect_right(self.starts, at) - 1

    def shown(self, line: int, most: int = 160) -> str:
        """A line without control characters, cut where it is long."""
        text = "".join(c if c.isprintable() else " " for c in self.lines[line][: most * 8]).strip()
        return text if len(text) <= most else f"{text[: most - 3]}..."


class SymptomBook:
    """Symptoms by the id of their cap, ready to be looked for."""

    def __init__(self, symptoms: Mapping[str, Iterable[str]]) -> None:
        self.symptoms = {name: tuple(read_symptom(text) for text in texts) for name, texts in symptoms.items()}
        every = [symptom for group in self.symptoms.values() for symptom in group]
        counted = Counter(word for symptom in every for word in set(symptom.words()))
        self.total = max(len(every), 2)
        self.weights = {word: log(1 + self.total / count) for word, count in counted.items()}
        """How telling a word is: the fewer symptoms have it, the more."""
        self.wanted = frozenset(self.weights)
        self.globs = tuple(sorted(word for word in self.weights if "*" in word))

    def text(self, pasted: str, *, join: bool = False) -> Text:
        """A pasted text, ready for ``seen``."""
        return Text(pasted, self.wanted, self.globs, join=join)

    def seen(self, text: Text) -> dict[str, Seen]:
        """Id -> the most telling of its symptoms that the text shows, and of the same the last."""
        found: dict[str, Seen] = {}
        for name, group in self.symptoms.items():
            hits = [hit for symptom in group for hit in self._hits(symptom, text)]
            if hits:
                found[name] = max(hits, key=lambda hit: (hit.weight, hit.first))
        return found

    def nearest(self, text: Text, most: int = 3, share: float = 0.5) -> list[tuple[str, Symptom]]:
        """Symptoms that share telling words with a text that shows none: not found, only like it."""
        scored = []
        for name, group in self.symptoms.items():
            for symptom in group:
                pieces = [part for piece in symptom.pieces for part in (*piece.optional, piece) if part.words]
                whole = sum(self._weight(piece) for piece in pieces)
                here = sum(self._weight(p) for p in pieces if any(w in text.places for w in p.words))
                telling = max((self._weight(p) for p in pieces if any(w in text.places for w in p.words)), default=0)
                if here >= share * whole and telling > log(1 + self.total / 8):
                    scored.append((-here / whole, name, symptom))
        best = {name: symptom for _, name, symptom in sorted(scored, key=lambda s: s[:2], reverse=True)}
        order = list(dict.fromkeys(name for _, name, _ in sorted(scored, key=lambda s: s[:2])))
        return [(name, best[name]) for name in order[:most]]

    def _weight(self, piece: Piece) -> float:
        return max((self.weights.get(word, 0.0) for word in piece.words), default=0.0)

    def _hits(self, symptom: Symptom, text: Text) -> Iterator[Seen]:
        anchor = self._anchor(symptom, text)
        if anchor is None:
            return
        at, places = anchor
        if len(places) > 2 * TRIES:
            places = [*places[:TRIES], *places[-TRIES:]]
        before, after = symptom.pieces[:at][::-1], symptom.pieces[at + 1 :]
        base = self._weight(symptom.pieces[at])
        for place in places:
            back = self._walk(before, text.words, place, -1)
            forth = self._walk(after, text.words, place, 1) if back else None
            if back and forth:
                yield self._seen_at(symptom, text, back[0], forth[0], base + back[1] + forth[1])

    def _seen_at(self, symptom: Symptom, text: Text, first: int, last: int, weight: float) -> Seen:
        if symptom.exception and first and text.words[first - 1].rpartition(".")[2] == symptom.exception:
            first, weight = first - 1, weight + 1
        line = text.line_of(last)
        return Seen(symptom, first, last, weight, line + 1, text.shown(line))

    @staticmethod
    def _anchor(symptom: Symptom, text: Text) -> tuple[int, Sequence[int]] | None:
        """The piece that stands in the fewest places of the text, and those places; None when one is missing."""
        best: tuple[int, Sequence[int]] | None = None
        for at, piece in enumerate(symptom.pieces):
            if not piece.words:
                continue
            places = text.places_of(piece)
            if not places:
                return None
            if best is None or len(places) < len(best[1]):
                best = at, places
        return best

    def _walk(self, pieces: Sequence[Piece], words: Sequence[str], at: int, step: int) -> tuple[int, float] | None:
        """From a place onwards: the last word covered and the weight of what was, or None when it does not fit."""
        weight = 0.0
        for number, piece in enumerate(pieces):
            if piece.gap:
                return self._over_gap(pieces[number + 1 :], words, at, step, weight)
            parts = piece.optional or (piece,)
            moved = at
            for part in parts[::step] if piece.optional else parts:
                moved += step
                if not (0 <= moved < len(words) and part.fits(words[moved])):
                    break
            else:
                at = moved
                weight += sum(self._weight(part) for part in parts)
                continue
            if not piece.optional:
                return None
        return at, weight

    def _over_gap(
        self, rest: Sequence[Piece], words: Sequence[str], at: int, step: int, weight: float
    ) -> tuple[int, float] | None:
        for width in range(GAP + 1):
            onward = self._walk(rest, words, at + step * width, step)
            if onward is not None:
                return onward[0], weight + onward[1]
        return None
