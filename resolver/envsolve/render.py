"""Lock -> the files of a self-contained folder that plain ``docker build`` accepts. Pure: reads templates only.

The Dockerfile stays in what the classic builder and BuildKit both understand. Its stages: ``base`` is the base
image with the system packages of the lock; ``build`` installs the locked files with pip under /install, phase by
phase; the last copies /install over ``base``. What reaches ``build`` from the user's machine (index, credentials,
certificates) is therefore neither in the final image nor in its history. The packages of a vendor's image are a
tested whole: there, everything goes into a folder of its own (``Plan.site``), first on the import path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from envsolve.data import data_dir
from envsolve.engine.base import PROBE_DIRECTORY, SITE_DIRECTORY
from envsolve.lock import document
from envsolve.lock.pylock import pylock
from envsolve.models import Lock
from envsolve.probe_text import probe_text
from envsolve.quoting import checked, exec_form, label_value, pairs, quoted, shell_value, word
from envsolve.repairs import Repairs, fitting

if TYPE_CHECKING:
    from jinja2 import Environment

    from envsolve.lock.vendoring import Foundation, Vendored

UID = 1000
"""User of the image: numeric, so that Kubernetes can see that it is not root."""

COPIED_LIBRARIES = "/usr/local/lib/envsolve"
"""Where the libraries of a copied Python lie, those that the system lacks."""

_LIBRARIES = ("libpython3-stdlib",)
"""What brings the release's own builds of the libraries that a Python links: some, as ncurses' two, must not be mixed
with those of another release. It has no interpreter."""

_PIP, _TOOLS, _WHEELS, _SDISTS = "phases/0-pip.txt", "phases/1-tools.txt", "phases/2-wheels.txt", "phases/3-sdists-"

_OWN = "-index-"
"""In the names of files of requirements that are of one index, which they name."""


@dataclass(frozen=True)
class Step:
    """One run of pip in the build stage."""

    what: str
    files: tuple[str, ...]
    options: str = ""
    path: bool = False
    """Whether what is under /install must be importable, as for sdists whose setup.py imports numpy."""

    @property
    def arguments(self) -> str:
        """The files, as pip takes them."""
        return " ".join(f"-r {file}" for file in self.files)


Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Plan:
    """What the templates show. Values that a template does not quote have been checked."""

    version: str
    as_of: str
    lock_hash: str
    reference: str
    digest: str | None
    last_seen: str
    base: str
    """The reference with the digest, when known: the value of BASE unless another is given."""
    system: str
    """What the other stages start from: the stage ``system`` where there is one, else the argument BASE."""
    archive: str | None
    """Host of the release's archive, when anything comes from apt at all."""
    keys: list[str]
    repositories: list[str]
    apt: list[str]
    build_apt: list[str]
    python: str
    preparations: list[Step]
    installs: list[Step]
    replaced: list[str]
    """The image's own distributions that go, because the lock brings others of these names."""
    base_environment: Pairs
    environment: Pairs
    labels: Pairs
    repairs: Repairs
    """What is done against what has rotted since."""
    get_pip: str | None = None
    site: str | None = None
    """Where packages go apart from the image's own; None: among them."""
    default_index: str | None = None
    """The index where none is given, for an image whose pip would ask one that is gone."""
    vendored: bool = False
    """Whether the files lie beside the Dockerfile, so that pip asks no index."""
    foundation: Foundation | None = None
    """The image of the stage ``base``, and of what the stage ``build`` starts from, where they are vendored."""
    python_image: str | None = None
    """The image whose Python is copied, with its digest when known."""
    copied_libraries: str = COPIED_LIBRARIES
    mounts: str | None = None
    """For BuildKit alone: the OS release, in the names of the caches that are lent to a RUN."""
    uid: int = UID
    probe_directory: str = PROBE_DIRECTORY


def render(lock: Lock, vendored: Vendored | None = None) -> dict[str, str]:
    """Relative path -> text of every file of the folder; the same bytes for the same lock.

    ``vendored``: what of it lies in ``vendor/``, from ``vendoring.state``: a build takes that instead of the network.
    Raises UsageError (``bad-lock``) when the lock holds something that is not what its field says.
    """
    text = document.dump(lock)
    files = {
        "requirements.txt": document.requirements(lock),
        "envsolve.lock": text,
        "pylock.toml": pylock(lock),
        "smoke.py": probe_text(),
        **phase_files(lock, vendored=vendored is not None),
    }
    environment = templates()
    plan = plan_of(lock, vendored)
    files["Dockerfile"] = environment.get_template("Dockerfile.j2").render(plan=plan)
    files[".dockerignore"] = environment.get_template("dockerignore.j2").render(plan=plan)
    return dict(sorted(files.items()))


def buildkit(lock: Lock, vendored: Vendored | None = None) -> str:
    """The Dockerfile with cache mounts and secrets, which the classic builder refuses: a file beside it."""
    plan = replace(plan_of(lock, vendored), mounts=checked("plain words", lock.stack.os))
    return templates().get_template("Dockerfile.j2").render(plan=plan)


def foundation_files(lock: Lock) -> dict[str, str]:
    """Image name -> Dockerfile of what all stages stand on: the base image with the system's packages, and where the
    lock builds sdists the same with what building needs. They depend on nothing else of the lock.
    """
    plan = replace(_plan(lock, ""), lock_hash="foundation", version="", as_of="")
    template = templates().get_template("Foundation.j2")
    text = template.render(plan=plan, build=False)
    name = f"envsolve/foundation:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not plan.build_apt:
        return {name: text}
    more = template.render(plan=plan, build=True)
    return {name: text, f"{name}-build-{hashlib.sha256(more.encode()).hexdigest()[:12]}": more}


def foundation_name(lock: Lock) -> str:
    """The names of those images as one text: what an archive of them is known by."""
    return " ".join(foundation_files(lock))


def lock_hash(lock: Lock) -> str:
    """The sha256 of ``envsolve.lock``, as ``sha256sum`` prints it."""
    return hashlib.sha256(document.dump(lock).encode()).hexdigest()


def image_name(lock: Lock) -> str:
    """``envsolve/SLUG:DIGEST``: what is in the image, for people, and the lock it is made of."""
    words = [f"{f.name}{f.version}" for f in lock.stack.frameworks] + [f"py{lock.stack.python}", lock.stack.device]
    slug = "-".join("".join(c if c.isascii() and c.isalnum() else "." for c in w.lower()).strip(".") for w in words)
    while ".." in slug:
        slug = slug.replace("..", ".")
    return f"envsolve/{slug[:120].strip('.-')}:{lock_hash(lock)[:12]}"


def phase_files(lock: Lock, *, vendored: bool = False) -> dict[str, str]:
    """``phases/*.txt``: what each pip run of the build stage installs, in the order of their names.

    What is of an index of its own stands in files of its own, which name that index as the only one; ``vendored``:
    no index is asked at all (to pips before 22 such a line would count for more than ``--no-index``).
    """
    for package in lock.packages:
        for kind, text in (("project", package.name), ("version", package.version), ("sha256", package.sha256)):
            checked(kind, text)
    files: dict[str, str] = {}
    for phase, packages in document.install_order(lock):
        if phase == "build":
            # pip by itself: the old one may not read what the new one installs next
            groups = {_PIP: [p for p in packages if p.name == "pip"], _TOOLS: [p for p in packages if p.name != "pip"]}
        elif phase == "wheel":
            groups = {_WHEELS: list(packages)}
        else:
            groups = {f"{_SDISTS}{packages[0].level:02}.txt": list(packages)}
        for name, group in groups.items():
            for number, (url, some) in enumerate(document.by_index(group)):
                own = f"{_OWN}{number or 1}.txt" if url else ".txt"
                line = checked("address", url) if url and not vendored else None
                files[name.removesuffix(".txt") + own] = document.requirement_lines(some, line)
    return files


def _preparations(files: Iterable[str]) -> list[Step]:
    """What changes the build stage itself."""
    names = sorted(files)
    pip = [Step("pip itself: the last release for this Python", (n,), "--upgrade") for n in names if _of(n, _PIP)]
    return pip + [Step("what sdists are built with", (name,), "--upgrade") for name in names if _of(name, _TOOLS)]


def _of(name: str, phase: str) -> bool:
    """Whether a file is of a phase, of whichever index."""
    return name.startswith(phase.removesuffix(".txt"))


def _installs(files: Iterable[str], *, apart: bool) -> list[Step]:
    """What goes into the image. The tools do too, because it is to be what the lock says, unless it is a vendor's."""
    root = "--target /build/site" if apart else "--root /install --ignore-installed"
    names = sorted(name for name in files if not (apart and (_of(name, _PIP) or _of(name, _TOOLS))))
    wheels = [name for name in names if not name.startswith(_SDISTS)]
    ready = tuple(name for name in wheels if _OWN not in name)
    what = "wheels" if apart else "wheels, and the same tools for the image"
    steps = [Step(what, ready, root)] if ready else []
    steps += (Step("wheels of an index of their own", (name,), root) for name in wheels if _OWN in name)
    steps += (
        Step("sdists, now that what they import is there", (name,), f"{root} --no-build-isolation", path=True)
        for name in names
        if name.startswith(_SDISTS)
    )
    return steps


def _labels(lock: Lock, digest: str) -> Pairs:
    stack, image = lock.stack, lock.image
    names = ", ".join(f"{f.package} {f.version}" for f in stack.frameworks)
    labels = {
        "org.opencontainers.image.title": f"{names} on Python {stack.python} ({stack.device})",
        "org.opencontainers.image.version": digest[:12],
        "org.opencontainers.image.base.name": image.reference,
        "dev.envsolve.lock-hash": f"sha256:{digest}",
        "dev.envsolve.version": lock.envsolve,
        "dev.envsolve.verdict": stack.verdict,
        "dev.envsolve.device": stack.device,
    }
    if image.digest:
        labels["org.opencontainers.image.base.digest"] = image.digest
    if stack.device == "gpu":
        known = {checked("compute capability", g.compute_capability) for g in lock.host.gpus}
        archs = sorted(known, key=lambda c: [int(p) for p in c.split(".")])
        labels["dev.envsolve.gpu-archs"] = " ".join(archs)
    return sorted(labels.items())


def _plan(lock: Lock, digest: str) -> Plan:
    image, files = lock.image, phase_files(lock)
    reference = checked("image reference", image.reference)
    copied = checked("image reference", image.python_image) if image.python_image else None
    apt = [checked("apt package", p) for p in (*image.python_packages, *image.apt_pins, *lock.system_packages)]
    # pip and setuptools of an official image would stay beside the locked ones; a distribution's live elsewhere
    repairs = fitting(lock)
    get_pip = checked("address", repairs.get_pip) if repairs.get_pip else None
    more_apt = (*repairs.packages, *(_LIBRARIES if copied else ()))
    apt += [checked("apt package", p) for p in more_apt if p not in apt]
    official = not (image.python_packages or image.preinstalled)
    base = _pinned(reference, image.digest)
    more = ("ca-certificates", "curl") if get_pip else ()
    build_apt = [checked("apt package", p) for p in (*lock.build_packages, *more) if p not in apt]
    archive = checked("host", image.archive) if image.archive and "archive" in repairs.steps else None
    return Plan(
        version=checked("plain words", lock.envsolve),
        as_of=lock.as_of.isoformat(),
        lock_hash=digest,
        reference=reference,
        digest=image.digest,
        last_seen=checked("plain words", image.last_seen or "").strip(),
        base=base,
        system="system" if archive else "${BASE}",
        archive=archive,
        keys=[checked("address", url) for url in image.apt_keys],
        repositories=[checked("apt source", line) for line in image.apt_repositories],
        apt=apt,
        build_apt=build_apt,
        python=checked("interpreter", image.executable),
        preparations=[
            step for step in _preparations(files) if not _of(step.files[0], _PIP) or "pip-first" in repairs.steps
        ],
        installs=_installs(files, apart=bool(image.preinstalled)),
        replaced=[p.name for p in lock.packages if p.phase == "build"] if official else [],
        base_environment=_environment({**repairs.environment, **image.environment}),
        environment=_environment(lock.environment),
        labels=_labels(lock, digest),
        repairs=repairs,
        get_pip=get_pip,
        site=SITE_DIRECTORY if image.preinstalled else None,
        default_index=checked("address", image.default_index)
        if image.default_index and "default-index" in repairs.steps
        else None,
        python_image=_pinned(copied, image.python_digest) if copied else None,
    )


def _pinned(reference: str, digest: str | None) -> str:
    return f"{reference}@{checked('image digest', digest)}" if digest else reference


def _vendored(plan: Plan, vendored: Vendored | None) -> Plan:
    if vendored is None:
        return plan
    plan = replace(plan, vendored=True, default_index=None)
    if vendored.foundation is None:
        return plan
    return replace(plan, foundation=vendored.foundation, archive=None, keys=[], build_apt=[], python_image=None)


def _environment(variables: dict[str, str]) -> Pairs:
    return [(checked("variable", name), value) for name, value in sorted(variables.items())]


def plan_of(lock: Lock, vendored: Vendored | None = None) -> Plan:
    """What the templates show of a lock. Raises UsageError (``bad-lock``)."""
    return _vendored(_plan(lock, lock_hash(lock)), vendored)


@cache
def templates() -> Environment:
    """The folder of templates, with what quotes for their places."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 (Dockerfiles are no HTML: quoting.py's filters do the quoting)
        loader=FileSystemLoader(data_dir("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        pairs=pairs, quoted=quoted, word=word, exec=exec_form, shell=shell_value, label=label_value
    )
    return environment
