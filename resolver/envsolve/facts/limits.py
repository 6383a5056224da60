"""Limits and needs that nothing declares, and what has rotted since."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from envsolve.facts.rows import Row
from envsolve.models import Frozen


class When(Frozen):
    """Part of a cap's condition: a package at some versions is in the environment."""

    package: str
    versions: str = ""


class Cap(Row):
    """A limit or need that package metadata does not declare (``caps/*.json``).

    ``limit``: ``package`` must satisfy ``versions``. ``needs``: ``package`` must be there (and satisfy
    ``versions``). ``drop``: ``package`` must not be installed (a backport on a Python that has the module).
    ``system``: the apt packages in ``system`` (run time) or ``build_system`` (build time); where it has both, they are
    for a ``package`` that is built here, since wheels bring their libraries. ``environment``: variables to set.
    ``requires``: the true requirements of ``package`` where its metadata cannot say.
    ``api``: code that the user has makes the demand (it uses what newer releases removed), or the machine does, so that
    no lock can know of it: ``package`` (``python`` too) must satisfy ``versions``, or ``fix`` says what to do.

    Symptoms are compared word by word, whatever the quotes, paths and line breaks. In them ``{}`` stands for any word,
    ``{a|b}`` for one of these, ``{...}`` for some words, ``{?words}`` may be missing, and ``*`` is any end of a word.
    """

    id: str
    kind: Literal["limit", "needs", "drop", "system", "environment", "requires", "api"]
    package: str | None = None
    versions: str = ""
    when: tuple[When, ...] = Field((), description="all must hold; empty: always")
    pythons: str = Field("", description="PEP 440 specifier over 'X.Y'; empty: all")
    system: tuple[str, ...] = ()
    build_system: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    requires: tuple[str, ...] = ()
    symptom: str | None = Field(None, description="the exact text people paste")
    symptoms: tuple[str, ...] = Field((), description="further texts of the same cause")
    beside: tuple[str, ...] = Field((), description="words of which one must be near, where the text alone is common")
    harmless: bool = Field(False, description="a text that frightens and does no harm")
    module: str | None = Field(None, description="module whose use by a person's code brings it")
    uses: tuple[str, ...] = Field((), description="dotted names whose use by a person's code brings it")
    fix: str | None = Field(None, description="what to do, where a pin does not say it all")
    why: str


class RepairWhen(Frozen):
    """A repair's condition: all that is given must hold of the lock."""

    systems: tuple[str, ...] = Field((), description="patterns ('debian*') of which the OS release meets one")
    images: tuple[str, ...] = Field((), description="patterns ('nvidia/cuda:*') of which the base image meets one")
    apt: bool = Field(False, description="something comes from apt, in any stage")
    archived: bool = Field(False, description="the OS release has an archive, and something comes from apt")
    no_pip: bool = Field(False, description="the packages that bring the image's Python bring no pip")
    image_pip: str = Field("", description="PEP 440 specifier over the pip of the OS release's own Python")
    index_gone: bool = Field(False, description="the index that the image's pip asks by default is no more")
    locked_pip: bool = Field(False, description="the lock brings a pip of its own")
    glibc: str = Field("", description="PEP 440 specifier over the glibc of the OS release")
    packages: tuple[When, ...] = Field((), description="packages that the lock has, at these versions")
    verdicts: tuple[str, ...] = Field((), description="verdicts of the stack")
    newer_gcc: bool = Field(False, description="the OS release's gcc is newer than the stack's nvcc takes")
    failed_pull: bool = Field(False, description="not the lock's: the engine says ``symptom`` when it pulls the image")


class Repair(Row):
    """What has rotted since, and what is rendered, set or said against it (``repairs.json``)."""

    id: str
    when: RepairWhen
    symptom: str | None = Field(None, description="what people see without it, as printed")
    why: str
    removes: tuple[str, ...] = Field((), description="files that go before the first apt-get")
    apt_environment: dict[str, str] = Field({}, description="variables of each shell that runs apt-get")
    build_environment: dict[str, str] = Field({}, description="variables of the stage that installs")
    environment: dict[str, str] = Field({}, description="variables of the image; '{gcc}': the compiler that is taken")
    run_environment: dict[str, str] = Field({}, description="variables of a run; '{cache}': a folder that stays")
    keeps: bool = Field(False, description="what is compiled at the start is worth a folder that stays")
    wait: str | None = Field(None, description="what the first start costs, said before it")
    step: Literal["archive", "pip-first", "default-index", "get-pip"] | None = Field(
        None, description="the piece of the Dockerfile that does it"
    )
    addresses: dict[str, str] = Field({}, description="'X.Y' -> address of what the step fetches")
    compilers: dict[str, tuple[str, ...]] = Field({}, description="OS release -> g++ majors that its apt has")
    note: str | None = Field(None, description="what is said in the Dockerfile and when it is built")
    fix: str | None = Field(None, description="what a person does, where nothing can be rendered: a command")
