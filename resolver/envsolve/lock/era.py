"""The day as of which a legacy stack is locked, when the user names none.

The default is the day on which everything that was asked for first existed for the chosen Python, plus a month.

* For a framework it is the upload day of the very file to be installed. A wheel that was added years later for
  a newer Python needs companions that have wheels for that Python too, so the file's day counts, not the release's.
* For a vendor's build, which is an image and no file, it is the day of the vendor's own release.
* For a companion that was asked for by version it is the first day on which some file satisfied it: a request
  for a newer companion moves the day, a mere upper bound does not.
* For the Python it is its first release: before that day there were no wheels for it, whatever the frameworks
  (Theano and Keras are plain Python and install on Pythons that came years after them).
* The month lets companions catch up with a first release (Keras, estimators and TensorBoard come days later than
  the TensorFlow they belong to; bug-fix releases of a .0 come within weeks), and is short enough to keep out the
  next incompatible generation, which takes a quarter or more. It also covers that files of one release are
  uploaded over some days.
* It is never later than today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from packaging.requirements import Requirement

from envsolve.errors import UsageError
from envsolve.lock.candidates import World
from envsolve.lock.pages import canonical
from envsolve.lock.requirement import admits

MARGIN_DAYS = 30


@dataclass(frozen=True)
class Appearance:
    """The day on which something asked for first existed for the target. ``text``: how to call it."""

    text: str
    day: date
    framework: bool
    filename: str | None = None

    @property
    def sentence(self) -> str:
        """The day, and what came on it."""
        return f"{self.day.isoformat()}, when {self.came}"

    @property
    def came(self) -> str:
        """What came."""
        return f"{self.filename} was uploaded" if self.filename else f"{self.text} was released"


def first_appearance(world: World, requirement: Requirement, text: str, *, framework: bool) -> Appearance | None:
    """When the requirement could first be met for the target; None: by nothing that the index has.

    ``world`` must not be bounded by a date. Final releases count before pre-releases; of a framework, the file
    that would be installed counts.
    """
    releases = world.releases(canonical(requirement.name))
    fitting = [c for v, c in releases.candidates.items() if admits(requirement.specifier, v)]
    final = [c for c in fitting if not c.version.is_prerelease] or fitting
    files = [c.file if framework else min(c.files, key=lambda f: f.upload_time) for c in final]
    if not files:
        return None
    first = min(files, key=lambda f: (f.upload_time, f.filename))
    return Appearance(text, date.fromisoformat(first.day), framework, first.filename)


def default_day(appearances: Sequence[Appearance], today: date) -> tuple[date, str]:
    """The day, and the sentence that says where it comes from. There is at least one appearance: the Python's."""
    last = max(appearances, key=lambda a: (a.day, a.text))
    wanted = last.day + timedelta(days=MARGIN_DAYS)
    if wanted > today:
        return today, f"today, less than {MARGIN_DAYS} days after {last.sentence}"
    return wanted, f"{MARGIN_DAYS} days after {last.sentence}"


def check_day(as_of: date, appearances: Sequence[Appearance]) -> None:
    """Raises UsageError when the user's date is before a framework's file was there."""
    late = [a for a in appearances if a.framework and a.day > as_of]
    if late:
        last = max(late, key=lambda a: (a.day, a.text))
        raise UsageError(
            f"as of {as_of.isoformat()} there was no {last.text} yet",
            facts=tuple(f"{a.came} on {a.day.isoformat()}" for a in late),
            hints=(f"--as-of {last.day.isoformat()}   # or later, or no --as-of",),
            code="as-of-too-early",
        )
