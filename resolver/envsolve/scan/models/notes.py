"""What a reader says: evidence for one file, its meaning looked up among the markers of the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from envsolve.scan.evidence import Evidence, Strength
from envsolve.scan.models.source import printable

if TYPE_CHECKING:
    from envsolve.facts import Marker
    from envsolve.matrices import Facts


OWN = "the format's own layout"
"""The source of what rests on no row of the database."""


class Notes:
    """The evidence of one file, in the order in which it was found, each thing once."""

    def __init__(self, file: str, facts: Facts) -> None:
        self.file = file
        self.facts = facts
        self.found: list[Evidence] = []
        self.without: frozenset[str] = frozenset()
        """Packages that this file is not about, e.g. 'keras' where TensorFlow's own wrote it."""
        self._seen: set[tuple[str, str]] = set()

    def reset(self) -> None:
        """Forget all: the reader that said it was the wrong one."""
        self.found.clear()
        self._seen.clear()
        self.without = frozenset()

    def marker(self, kind: str, mark: str) -> Marker | None:
        """The marker of exactly this mark."""
        return self.facts.model_markers.get(kind, {}).get(mark)

    def mark(self, kind: str, mark: str, found: str, offset: int | None = None) -> bool:
        """Say what a marker of the database says, if it has this one."""
        row = self.marker(kind, mark)
        if row is None:
            return False
        if (kind, mark) not in self._seen:
            self._seen.add((kind, mark))
            self.say(
                found,
                row.means,
                row.strength,
                self.facts.evidence(row).source,
                offset=offset,
                ranges=row.ranges,
                made_with=row.made_with,
                pythons=row.pythons,
            )
        return True

    def below(self, kind: str, value: int, found: str, offset: int | None = None) -> bool:
        """Say what the marker of the greatest number up to ``value`` says."""
        numbers = [int(m) for m in self.facts.model_markers.get(kind, {}) if m.lstrip("-").isdigit()]
        fitting = [n for n in numbers if n <= value]
        return bool(fitting) and self.mark(kind, str(max(fitting)), found, offset)

    def dotted(self, kind: str, names: Iterable[str]) -> None:
        """Say what is known of dotted names: the marker of the longest prefix of each."""
        known = self.facts.model_markers.get(kind, {})
        for name in names:
            parts = name.split(".")
            for length in range(min(len(parts), 12), 0, -1):
                prefix = ".".join(parts[:length])
                if prefix in known:
                    self.mark(kind, prefix, name)
                    break

    def partly(self) -> None:
        """The scan stopped before the end."""
        self.say("not read to its end: it has more parts than a scan looks at", "there may be more to it", "hint", OWN)

    def say(
        self,
        found: str,
        means: str,
        strength: Strength,
        source: str,
        *,
        line: int | None = None,
        offset: int | None = None,
        ranges: dict[str, str] | None = None,
        made_with: dict[str, str] | None = None,
        pythons: str = "",
    ) -> None:
        """One piece of evidence, in the reader's own words."""
        self.found.append(
            Evidence(
                file=self.file,
                line=line,
                offset=offset,
                found=printable(found, 160),
                means=means,
                strength=strength,
                source=source,
                ranges=self._about(ranges),
                made_with=self._about(made_with),
                pythons=pythons,
            )
        )

    def _about(self, ranges: dict[str, str] | None) -> dict[str, str]:
        return {name: text for name, text in (ranges or {}).items() if name not in self.without}
