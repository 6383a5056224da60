"""What the user typed -> Request: words such as ``tf==1.4``, checked against the names and releases that exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import cast, get_args

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envsolve.commands import command_line
from envsolve.errors import UsageError
from envsolve.indexes import agreed, parse_index
from envsolve.lines import FileWants, Line, Placed
from envsolve.matrices import Facts
from envsolve.models import Accept, Backend, Request, ScopedIndex, Target
from envsolve.names import can_meet, nearest_versions, typo_of
from envsolve.request_files import agreed_python, names_file, read_file

_WORD = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*(?P<specifier>.*)", re.DOTALL
)
_VERSION = re.compile(r"v?\d[\w.+!*-]*")
_GLUED = re.compile(r"(.*?)[-_]?v?(\d+(?:\.\d+)*)")
_SLIP = re.compile(r"(?:[=:@_-]|==)?\s*v?(\d[\w.+]*?)(?:\.[xX])?")
_DRIVER = re.compile(r"\d{2,4}(\.\d+){0,3}")
_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")
_SERIES = 2
"""A version with this many components or fewer, asked for with ``==``, means the whole series."""


def build_request(
    words: Sequence[str],
    facts: Facts,
    *,
    gpu: Sequence[str] = ("auto",),
    require_gpu: bool = False,
    driver: str | None = None,
    python: str | None = None,
    os: str | None = None,
    accept: Sequence[str] = (),
    as_of: date | str | None = None,
    backend: str = "auto",
    indexes: Sequence[ScopedIndex | str] = (),
    tell: Callable[[str], None] | None = None,
) -> Request:
    """The request that words and options make.

    A word is a requirement, or the path of a file that has them (docs/requests.md; pip's files keep pip's own
    meaning of ``==``). A Python that a file pins becomes the request's; ``tell`` hears what was left out of files.
    Raises UsageError: a word or option that cannot be read, a name that looks like a typo, a version that never
    existed, targets that contradict each other, nothing asked for.
    """
    draft = Request(
        targets=(),
        facts=tuple(overlay.name for overlay in facts.overlays),
        gpu=_gpus(tuple(gpu), require_gpu),
        require_gpu=require_gpu,
        driver=driver_version(driver),
        python=_python(python),
        os=os,
        accept=tuple(cast("Accept", _choice("accept", a, get_args(Accept))) for a in dict.fromkeys(accept)),
        as_of=parse_day(as_of),
        backend=cast("Backend", _choice("backend", backend, get_args(Backend))),
        indexes=agreed(parse_index(i) if isinstance(i, str) else i for i in indexes),
    )
    reader = _Reader(words, facts, draft)
    targets = reader.targets()
    reader.check_together(targets)
    if tell is not None:
        for note in reader.notes:
            tell(note)
    return reader.draft.model_copy(update={"targets": targets})


def driver_version(text: str | None) -> str | None:
    """A driver version such as '535' or '535.104.05', checked. Raises UsageError ("bad-driver")."""
    if text is None or _DRIVER.fullmatch(text.strip()):
        return text and text.strip()
    raise UsageError(
        f"{text!r} is not a driver version",
        facts=("a driver version is digits and dots, as nvidia-smi prints it",),
        hints=("nvidia-smi --query-gpu=driver_version --format=csv,noheader",),
        code="bad-driver",
    )


def _gpus(gpus: tuple[str, ...], require_gpu: bool) -> tuple[str, ...]:
    words = tuple(g.strip() for g in gpus) or ("auto",)
    words = tuple(w.lower() if w.lower() in ("auto", "none") else w for w in words)
    alone = [w for w in ("none", "auto") if w in words]
    if alone and len(set(words)) > 1:
        raise UsageError(
            f"--gpu {alone[0]} contradicts --gpu {next(w for w in words if w != alone[0])}", code="contradictory-gpu"
        )
    if "none" in words and require_gpu:
        raise UsageError("--gpu none contradicts --require-gpu", code="contradictory-gpu")
    return words[:1] if alone else words


def _python(text: str | None) -> str | None:
    if text is None or _PYTHON.fullmatch(text.strip()):
        return text and text.strip()
    digits = re.fullmatch(r"(?:cp|py|python)?(\d)[-_.]?(\d+)", text.strip().lower())
    hints = (f"--python {digits[1]}.{digits[2]}",) if digits else ("envsolve matrix list pythons",)
    raise UsageError(f"{text!r} is not a Python version of the form X.Y", hints=hints, code="bad-python")


def _choice(option: str, text: str, known: tuple[str, ...]) -> str:
    if text in known:
        return text
    raise UsageError(
        f"--{option} {text}: there is no such choice",
        hints=tuple(f"--{option} {word}" for word in known),
        code=f"bad-{option}",
    )


def parse_day(text: date | str | None) -> date | None:
    """The day that a text names. Raises UsageError (``bad-date``)."""
    if text is None or isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"--as-of {text}: not a date of the form YYYY-MM-DD", hints=("--as-of YYYY-MM-DD",), code="bad-date"
        ) from None


class _Reader:
    """Reads the words of one request; knows them all, so that hints are whole commands."""

    def __init__(self, words: Sequence[str], facts: Facts, draft: Request) -> None:
        self.words = [word.strip() for word in words if word.strip()]
        self.places = {word.strip(): word.origin for word in words if isinstance(word, Placed)}
        self.facts = facts
        self.draft = draft
        self.notes: list[str] = []
        self.shown: dict[tuple[str | None, str], str] = {}
        """What stands in a file, by place and target, where that is not the target's text."""

    def targets(self) -> tuple[Target, ...]:
        """Every target, in the order given; an exact repetition counts once."""
        if not self.words:
            hints = ("envsolve --help", "envsolve matrix list")
            raise UsageError("nothing was asked for", hints=hints, code="nothing-asked")
        files = self._files()
        found: dict[tuple[str, str], Target] = {}
        for word in self.words:
            for target in self._read(word, files.get(word)):
                found.setdefault((_typed(target), target.specifier), target)
        targets = tuple(found.values())
        if not any(target.framework for target in targets):
            raise UsageError(
                f"{' '.join(self.words)}: no framework among them",
                facts=(f"frameworks in the database: {', '.join(sorted(self.facts.framework_names()))}",),
                hints=("envsolve matrix list",),
                code="no-framework",
            )
        return targets

    def _files(self) -> dict[str, FileWants]:
        """What each word that is a file asks for; the Python that they pin goes into the draft."""
        if not any(names_file(word) for word in self.words):
            return {}
        files = {word: read_file(word, self.facts) for word in self.words if names_file(word)}
        python, notes = agreed_python(self.draft.python, files.values())
        self.notes += [*(note for wants in files.values() for note in wants.notes), *notes]
        if python is None:
            self.notes += [note for wants in files.values() for note in wants.unsaid]
        self.draft = self.draft.model_copy(update={"python": _python(python)})
        return files

    def _read(self, word: str, file: FileWants | None) -> Iterable[Target]:
        if file is None:
            yield from self._targets(Line(word, self.places.get(word, ""), series=True), word)
            return
        from envsolve.requirements_file import holds

        for line in file.lines:
            if holds(line, self.facts, self.draft.python):
                yield from self._targets(line, word)

    def _targets(self, line: Line, word: str) -> Iterable[Target]:
        """The target of a line, or the several of a word such as keras-theano."""
        match = _WORD.fullmatch(line.text)
        both = self.facts.combinations.get(match["name"].lower()) if match and _may_combine(match["name"]) else None
        if match is None or both is None:
            yield self._target(line, word)
            return
        written = match["specifier"].strip()
        if written and both.versioned is None:
            parts = " and ".join(both.frameworks)
            raise UsageError(
                f"{line.shown}{_where(line.origin)}: {match['name']} is part of {parts}, with no release of its own",
                hints=(self._mended(both.frameworks[0], word, line.origin),),
                code="bad-requirement",
            )
        for name in both.frameworks:
            text = f"{name}{written}" if name == both.versioned else name
            yield self._target(Line(text, line.origin, "", line.shown, line.series), word)

    def _target(self, line: Line, word: str) -> Target:
        text, origin = line.text, line.origin or None
        name, extras, written = self._split(text, word, origin)
        framework = self.facts.aliases.get(name.lower()) or self.facts.aliases.get(canonicalize_name(name))
        canonical = framework or canonicalize_name(name)
        specifier = self._specifier(written, text, word, origin, line.series)
        if not line.series:
            text, specifier = _as_pip_means(name, specifier)
        if origin and line.shown != text:
            self.shown[(origin, text)] = line.shown
        target = Target(
            text=text,
            name=canonical,
            specifier=specifier,
            framework=framework is not None,
            extras=extras,
            origin=origin,
        )
        if framework is None:
            self._check_name(target, name, written, word)
        else:
            self._check_released(target, name, word)
        return target

    def _split(self, text: str, word: str, origin: str | None) -> tuple[str, tuple[str, ...], str]:
        match = _WORD.fullmatch(text)
        if match is None:
            raise self._unreadable(text, origin)
        if _VERSION.fullmatch(text) and Path(text).name == text and text not in self.facts.aliases:
            at = 0 if origin else self.words.index(word)
            hints: tuple[str, ...] = ()
            if at and _WORD.fullmatch(self.words[at - 1]):
                joined = f"{self.words[at - 1]}=={text.lstrip('v')}"
                hints = (self._command([*self.words[: at - 1], joined, *self.words[at + 1 :]]),)
            raise UsageError(f"{text}{_where(origin)} is a version without a name", hints=hints, code="bad-requirement")
        self._check_glued(match["name"], text, word, origin)
        extras = tuple(sorted({canonicalize_name(e.strip()) for e in (match["extras"] or "").split(",") if e.strip()}))
        return match["name"], extras, match["specifier"].strip()

    def _check_glued(self, name: str, text: str, word: str, origin: str | None) -> None:
        """``tf-1.4`` and ``tf2`` are a name and a version without the sign between."""
        glued = _GLUED.fullmatch(name)
        if glued and glued[1].lower() in self.facts.aliases and name.lower() not in self.facts.aliases:
            raise self._unreadable(text, origin, word, text.removeprefix(glued[1]))

    def _specifier(self, written: str, text: str, word: str, origin: str | None, series: bool) -> str:
        """PEP 440, and a user's ``==1.4`` (not pip's) widened to the series."""
        if not written:
            return ""
        try:
            parts = [Specifier(part.strip()) for part in written.split(",") if part.strip()]
        except InvalidSpecifier:
            raise self._unreadable(text, origin, word, written) from None
        if not parts:
            raise self._unreadable(text, origin)
        widened = (_widen(part) if series else part for part in parts)
        return ",".join(f"{part.operator}{part.version}" for part in widened)

    def _unreadable(self, text: str, origin: str | None, word: str = "", written: str = "") -> UsageError:
        corrected = _corrected(text.removesuffix(written).strip(), written) if word else None
        hint = self._mended(corrected, word, origin) if corrected else "envsolve NAME==VERSION   # or 'NAME>=A,<B'"
        return UsageError(
            f"{text}{_where(origin)} is not a requirement that can be read", hints=(hint,), code="bad-requirement"
        )

    def _check_name(self, target: Target, name: str, written: str, word: str) -> None:
        meant = typo_of(name, self.facts.aliases)
        if meant is None:
            return
        raise UsageError(
            f"no framework is called {name}{_where(target.origin)}; did you mean {meant}?",
            hints=(self._mended(f"{meant}{written}", word, target.origin),),
            code="unknown-framework",
        )

    def _check_released(self, target: Target, name: str, word: str) -> None:
        """A version must have existed, of the package named when a package was named."""
        if not target.specifier:
            return
        builds = self.facts.framework(target.name).builds
        package = canonicalize_name(name)
        own = [b.version for b in builds if b.package == package]
        wanted = SpecifierSet(target.specifier)
        if any(wanted.contains(v, prereleases=True) for v in own or (b.version for b in builds)):
            return
        others = sorted({b.package for b in builds if wanted.contains(b.version, prereleases=True)} - {package})
        # A vendor's local versions are no nearest release.
        released = [b.version for b in builds if b.origin == "index" and (b.package == package or not own)]
        versions = nearest_versions(target.specifier, released or own)
        near = [f"{name}=={v}" for v in versions]
        if package != target.name:
            near = [f"{other}{target.text.removeprefix(name)}" for other in others] + near
        raise UsageError(
            f"{self._said(target)}: no such release of {package if own else target.name} in the database",
            facts=(f"nearest releases: {', '.join(versions)}",),
            hints=tuple(self._mended(text, word, target.origin) for text in near[:3]),
            code="unknown-version",
        )

    def check_together(self, targets: tuple[Target, ...]) -> None:
        """No two targets for one name may exclude each other."""
        by_name: dict[str, list[Target]] = {}
        for target in targets:
            by_name.setdefault(target.name, []).append(target)
        for name, every in by_name.items():
            same = [t for t in every if t.specifier]
            if len(same) < 2 or self._meet(same):
                continue
            same = next(([a, b] for a, b in combinations(same, 2) if not self._meet([a, b])), same)
            rest = [w for w in self.words if not any(w == t.text for t in same)]
            raise UsageError(
                f"{' and '.join(map(self._said, same))} contradict each other: no release of {name} satisfies both",
                hints=tuple(f"correct it in {t.origin}" if t.origin else self._command([t.text, *rest]) for t in same),
                code="contradictory-targets",
            )

    def _meet(self, targets: Sequence[Target]) -> bool:
        specifiers = [target.specifier for target in targets]
        if not targets[0].framework:
            return can_meet(specifiers)
        both = SpecifierSet(",".join(specifiers))
        versions = [b.version for b in self.facts.framework(targets[0].name).builds]
        return not versions or any(both.contains(v, prereleases=True) for v in versions)

    def _said(self, target: Target) -> str:
        """The user's own words, and where they stand."""
        return f"{self.shown.get((target.origin, target.text), target.text)}{_where(target.origin)}"

    def _mended(self, new: str, word: str, origin: str | None) -> str:
        """What puts a requirement right: the whole command, or the line of the file."""
        return f"write {new} in {origin}" if origin else self._command_with(new, word)

    def _command(self, words: Sequence[str]) -> str:
        return command_line(self.draft.model_copy(update={"targets": tuple(Target(text=w, name=w) for w in words)}))

    def _command_with(self, new: str, word: str) -> str:
        """The whole command with one word replaced."""
        return self._command([new if w == word else w for w in self.words])


def _corrected(name: str, written: str) -> str | None:
    """A requirement that was probably meant by a name and what follows it, when that can be read."""
    slip = _SLIP.fullmatch(written)
    meant = f"=={slip[1]}" if slip else written.replace("=>", ">=").replace("=<", "<=")
    try:
        SpecifierSet(meant)
    except InvalidSpecifier:
        return None
    return f"{name}{meant}" if meant else None


def _where(origin: str | None) -> str:
    return f" ({origin})" if origin else ""


def _may_combine(name: str) -> bool:
    """Most names cannot be a combination: only those read the table."""
    return "keras" in name.lower()


def _typed(target: Target) -> str:
    match = _WORD.fullmatch(target.text)
    return canonicalize_name(match["name"]) if match else target.name


def _widen(part: Specifier) -> Specifier:
    """``==1.4`` -> ``==1.4.*``; three components, pre-releases and wildcards stay."""
    if part.operator != "==" or part.version.endswith(".*"):
        return part
    version = Version(part.version)
    plain = version.public == version.base_version and version.local is None
    return Specifier(f"=={version}.*") if plain and len(version.release) <= _SERIES else part


def _as_pip_means(name: str, specifier: str) -> tuple[str, str]:
    """A file's ``NAME==1.4`` means 1.4.0 alone to pip: say so in the text, which may be typed as a word later."""

    def full(part: str) -> str:
        if not part.startswith("==") or part.endswith(".*"):
            return part
        try:
            version = Version(part[2:])
        except InvalidVersion:
            return part
        if version.public != version.base_version or version.local or len(version.release) > _SERIES:
            return part
        missing = _SERIES + 1 - len(version.release)
        return f"=={part[2:]}{'.0' * missing}"

    exact = ",".join(full(part) for part in specifier.split(",")) if specifier else ""
    return f"{name}{exact}", exact
