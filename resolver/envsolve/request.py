"""What the user typed -> Request: words such as ``tf==1.4``, checked against the names and releases that exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import cast, get_args

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envsolve.commands import command_line
from envsolve.errors import UsageError
from envsolve.matrices import Facts
from envsolve.models import Accept, Backend, Request, Target
from envsolve.names import nearest_versions, typo_of

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
) -> Request:
    """The request that words and options make.

    A word is a requirement, or the path of a ``requirements*.txt`` (whose lines keep pip's own meaning of ``==``).
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
        as_of=_day(as_of),
        backend=cast("Backend", _choice("backend", backend, get_args(Backend))),
    )
    reader = _Reader(words, facts, draft)
    targets = reader.targets()
    reader.check_together(targets)
    return draft.model_copy(update={"targets": targets})


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


def _day(text: date | str | None) -> date | None:
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
        self.facts = facts
        self.draft = draft

    def targets(self) -> tuple[Target, ...]:
        """Every target, in the order given; an exact repetition counts once."""
        if not self.words:
            raise UsageError(
                "nothing was asked for",
                hints=("envsolve --help", "envsolve matrix list"),
                code="nothing-asked",
            )
        found: dict[tuple[str, str], Target] = {}
        for word in self.words:
            for target in self._read(word):
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

    def _read(self, word: str) -> Iterable[Target]:
        if _names_file(word):
            from envsolve.requirements_file import read_requirements

            lines = read_requirements(Path(word), self.facts, self.draft.python)
            return [self._target(line.text, word, line.origin) for line in lines]
        return [self._target(word, word)]

    def _target(self, text: str, word: str, origin: str | None = None) -> Target:
        name, extras, written = self._split(text, word, origin)
        framework = self.facts.aliases.get(name.lower()) or self.facts.aliases.get(canonicalize_name(name))
        canonical = framework or canonicalize_name(name)
        specifier = self._specifier(written, text, word, origin)
        if origin:
            text, specifier = _as_pip_means(name, specifier)
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
            at = self.words.index(word)
            hints: tuple[str, ...] = ()
            if at and _WORD.fullmatch(self.words[at - 1]):
                joined = f"{self.words[at - 1]}=={text.lstrip('v')}"
                hints = (self._command([*self.words[: at - 1], joined, *self.words[at + 1 :]]),)
            raise UsageError(f"{text} is a version without a name", hints=hints, code="bad-requirement")
        self._check_glued(match["name"], text, word, origin)
        extras = tuple(sorted({canonicalize_name(e.strip()) for e in (match["extras"] or "").split(",") if e.strip()}))
        return match["name"], extras, match["specifier"].strip()

    def _check_glued(self, name: str, text: str, word: str, origin: str | None) -> None:
        """``tf-1.4`` and ``tf2`` are a name and a version without the sign between."""
        glued = _GLUED.fullmatch(name)
        if glued and glued[1].lower() in self.facts.aliases and name.lower() not in self.facts.aliases:
            raise self._unreadable(text, origin, word, text.removeprefix(glued[1]))

    def _specifier(self, written: str, text: str, word: str, origin: str | None) -> str:
        """PEP 440, and a user's ``==1.4`` (not a file's) widened to the series."""
        if not written:
            return ""
        try:
            parts = [Specifier(part.strip()) for part in written.split(",") if part.strip()]
        except InvalidSpecifier:
            raise self._unreadable(text, origin, word, written) from None
        if not parts:
            raise self._unreadable(text, origin)
        widened = (_widen(part) if origin is None else part for part in parts)
        return ",".join(f"{part.operator}{part.version}" for part in widened)

    def _unreadable(self, text: str, origin: str | None, word: str = "", written: str = "") -> UsageError:
        where = f" ({origin})" if origin else ""
        corrected = None if origin else _corrected(text.removesuffix(written).strip(), written)
        hint = self._command_with(corrected, word) if corrected else "envsolve NAME==VERSION   # or 'NAME>=A,<B'"
        return UsageError(f"{text}{where} is not a requirement that can be read", hints=(hint,), code="bad-requirement")

    def _check_name(self, target: Target, name: str, written: str, word: str) -> None:
        meant = typo_of(name, self.facts.aliases)
        if meant is None:
            return
        where = f" ({target.origin})" if target.origin else ""
        hint = f"correct it in {target.origin}" if target.origin else self._command_with(f"{meant}{written}", word)
        raise UsageError(
            f"no framework is called {name}{where}; did you mean {meant}?", hints=(hint,), code="unknown-framework"
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
        released = [b.version for b in builds if b.origin == "index"]
        versions = nearest_versions(target.specifier, own or released)
        near = [f"{name}=={v}" for v in versions]
        if package != target.name:
            near = [f"{other}{target.text.removeprefix(name)}" for other in others] + near
        where = f" ({target.origin})" if target.origin else ""
        raise UsageError(
            f"{target.text}{where}: no such release of {package if own else target.name} in the database",
            facts=(f"nearest releases: {', '.join(versions)}",),
            hints=tuple(self._command_with(text, word) for text in near[:3]),
            code="unknown-version",
        )

    def check_together(self, targets: tuple[Target, ...]) -> None:
        """No two targets for one name may exclude each other."""
        by_name: dict[str, list[Target]] = {}
        for target in targets:
            by_name.setdefault(target.name, []).append(target)
        for name, same in by_name.items():
            specifiers = [t.specifier for t in same if t.specifier]
            if len(specifiers) < 2 or self._meet(same[0], specifiers):
                continue
            shown = " and ".join(f"{t.text}" + (f" ({t.origin})" if t.origin else "") for t in same if t.specifier)
            rest = [w for w in self.words if not any(w == t.text for t in same)]
            raise UsageError(
                f"{shown} contradict each other: no release of {name} satisfies both",
                hints=tuple(self._command([t.text, *rest]) for t in same if t.specifier and not t.origin),
                code="contradictory-targets",
            )

    def _meet(self, target: Target, specifiers: list[str]) -> bool:
        both = SpecifierSet(",".join(specifiers))
        if target.framework:
            versions = [b.version for b in self.facts.framework(target.name).builds]
        else:
            pins = [p for text in specifiers for p in SpecifierSet(text) if p.operator == "=="]
            versions = [p.version.removesuffix(".*") for p in pins]
        return not versions or any(both.contains(v, prereleases=True) for v in versions)

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


def _names_file(word: str) -> bool:
    path = Path(word)
    if path.suffix == ".txt" or "/" in word or word.startswith("."):
        if path.is_dir():
            raise UsageError(
                f"{word} is a folder: reading a repository is not there yet",
                hints=("envsolve NAME==VERSION ...   # name what it needs",),
                code="not-yet",
            )
        if not path.is_file():
            raise UsageError(f"{word}: there is no such file", code="no-such-file")
        if not re.fullmatch(r"requirements.*\.txt|.*requirements\.txt", path.name):
            raise UsageError(f"{word}: only files called requirements*.txt are read", code="unknown-file")
        return True
    return False


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
