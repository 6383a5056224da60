"""Rows of the compatibility database (``matrices/``): the schema, as types.

Every row carries ``evidence``: for each of its fields, or for the whole row under ``"*"``, the key of an
entry in the file's ``evidence`` table, which says source, date and how. Versions are strings; ranges are
PEP 440 specifiers read by ``packaging``.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from envsolve.models import Device, FirstOperation, Frozen, How, SeenGpu, Verdict


class Evidence(Frozen):
    """Where a fact comes from."""

    source: str = Field(description="a URL or document")
    checked: date
    how: How
    notes: str | None = Field(None, description="e.g. the other side of a disagreement, and why this one won")


class Row(Frozen):
    """A row: its evidence by field name, ``"*"`` for the rest."""

    evidence: dict[str, str] = Field(description="field name or '*' -> key of the file's evidence table")
    notes: str | None = None


class Way(Frozen):
    """One way by which something can still be had: a dated fact."""

    kind: Literal["apt", "image", "wheel", "conda", "runfile", "source", "own-index", "url", "distribution"]
    reference: str = Field(description="the pin, image, project, channel or address, as its source lists it")
    status: Literal["available", "gone", "unknown"] = "available"
    last_seen: date | None = Field(None, description="when the source was last seen to list it; null: never by us")
    replaced_by: str | None = Field(None, description="what to take when it is gone")
    evidence: str = Field(description="key of the file's evidence table")
    notes: str | None = None


class Architecture(Row):
    """A GPU generation's compute capability (``gpus.json``)."""

    name: str
    compute_capability: str
    cuda_first: str = Field(description="first CUDA release that can compile for it natively")
    cuda_last: str | None = Field(None, description="last such release; null: still")
    driver_branch_last: str | None = Field(
        None, description="last driver branch that supports it, e.g. '470'; null: still"
    )


class Product(Row):
    """A GPU as sold."""

    name: str = Field(description="as NVML prints it where known, e.g. 'NVIDIA GeForce RTX 3090'")
    aliases: tuple[str, ...] = Field((), description="what people type, beyond the words of the name")
    compute_capability: str
    machine: str | None = Field(
        None, description="processor of the system it is part of where that is no x86_64, e.g. 'aarch64' (Jetson)"
    )


class Toolkit(Row):
    """A CUDA release (``cuda.json``)."""

    version: str = Field(description="'8.0'")
    driver_min: str = Field(description="lowest Linux driver that runs it")
    sass: tuple[str, ...] = Field(description="capabilities its libraries (cuBLAS) carry machine code for")
    ptx: tuple[str, ...] | None = Field(None, description="capabilities cuBLAS carries PTX for; null: unknown")
    ptx_share: float | None = Field(None, description="share of cuBLAS modules that have PTX, 0..1; null: unknown")
    gcc_max: str | None = Field(None, description="newest host compiler nvcc accepts")
    ways: tuple[Way, ...] = Field((), description="how it can still be had, best first")


class Cudnn(Row):
    """A cuDNN release (``cudnn.json``)."""

    version: str = Field(description="'6.0'")
    cuda: tuple[str, ...]
    sass: tuple[str, ...]
    ptx: tuple[str, ...] | None = None
    ptx_share: float | None = None
    ways: tuple[Way, ...] = Field((), description="how it can still be had, best first")


class SystemPython(Frozen):
    """A Python that an OS release ships, and the packages that bring it with pip."""

    version: str = Field(description="'3.5'")
    full: str = Field(description="'3.5.2'")
    packages: tuple[str, ...]
    executable: str
    pip: str | None = Field(None, description="pip of the packages, e.g. '8.1.1'; null: unknown")
    pip_index_gone: bool = Field(False, description="the index that this pip asks by default is no more")


class System(Row):
    """An OS release (``systems.json``)."""

    name: str = Field(description="'debian11', 'ubuntu16.04'")
    glibc: str
    glibcxx: str | None = Field(None, description="newest GLIBCXX symbol version of its libstdc++")
    gcc: str | None = None
    released: date
    archive: str | None = Field(None, description="host that keeps its packages after end of life")
    pythons: tuple[SystemPython, ...] = ()


class Image(Row):
    """A base image (``images.json``): a dated fact."""

    reference: str
    os: str
    status: Literal["available", "rebuilt", "gone"] = Field(
        description="'rebuilt': an existing image plus apt pins that bring back what a deleted one held"
    )
    last_seen: date | None = None
    digest: str | None = None
    python: str | None = Field(None, description="full version when the image ships one in /usr/local, e.g. '3.6.15'")
    cuda: str | None = None
    cudnn: str | None = None
    cuda_source: Literal["image", "apt"] | None = None
    apt_keys: tuple[str, ...] = ()
    apt_repositories: tuple[str, ...] = ()
    apt_pins: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    framework: str | None = Field(None, description="build id that the image itself is, for vendor images")
    id: str = Field(description="unique; the reference, or a name for a rebuilt recipe")


class PythonRelease(Row):
    """A Python minor version (``pythons.json``) and the last tools that support it."""

    version: str
    full: str = Field(description="last patch release")
    abi: str = Field(description="of the usual Linux build: 'cp27mu', 'cp36m', 'cp38'")
    pip: str
    setuptools: str
    wheel: str
    virtualenv: str | None = Field(None, description="last virtualenv that makes environments of it; null: unknown")
    manylinux: tuple[str, ...] = Field((), description="platform tags that its last pip reads, oldest first")
    ways: tuple[Way, ...] = Field((), description="how it can still be had, best first")
    released: date
    end_of_life: date | None = None
    backports: tuple[str, ...] = Field((), description="projects whose module the standard library already has")


class ToolFile(Frozen):
    """One pure-Python wheel of a tool."""

    name: str
    version: str
    filename: str
    sha256: str


class Tool(Row):
    """A program that envsolve installs for its own use, apart from any environment (``tools.json``)."""

    name: str
    version: str
    pythons: str = Field(description="PEP 440 specifier over 'X.Y': the Pythons it can make environments of")
    files: tuple[ToolFile, ...] = Field(description="itself and all that it needs")


class CondaPackage(Row):
    """A conda package that goes by another name on the package index, or is none of it (``conda.json``)."""

    name: str
    project: str | None = Field(description="project on the package index; null: it has none of its own there")
    brings: Literal["cuda", "cudnn"] | None = Field(None, description="the part of a stack that it is")


class Combination(Row):
    """A word that people use for several frameworks together, or for a part of one (``names.json``)."""

    name: str
    frameworks: tuple[str, ...]
    versioned: str | None = Field(description="whose release a version after the word is; null: it takes none")


class Repository(Row):
    """A repository of container images whose tags begin with a release of what they hold (``names.json``)."""

    name: str = Field(description="as written after FROM, without registry and 'library/'")
    holds: str = Field(description="a framework, or 'python'")


class BuildFile(Frozen):
    """One file of a build that the package index does not have."""

    url: str = Field(description="as its source lists it, never put together")
    python: str = Field(description="'X.Y'")
    device: Literal["cpu", "gpu"] | None = Field(
        None, description="what it is for, where a release has a file for each"
    )
    sha256: str | None = Field(None, description="null: its source states none")
    size: int | None = Field(None, description="bytes; null: unknown")


LOCKABLE = frozenset({"index", "nvidia"})
"""Origins that a lock can be made of today; builds of others are known, and not offered."""


class Build(Row):
    """One released build of a framework: a package at a version, in one variant."""

    package: str = Field(description="project name on the index: 'tensorflow-gpu'")
    version: str
    released: date = Field(description="upload date of its first Linux file")
    pythons: dict[str, date | None] = Field(
        description="'X.Y' -> upload date of the Linux file for it, as found on the index"
    )
    source_only: bool = Field(False, description="no wheel: the sdist is built at install time")
    devices: tuple[Literal["cpu", "gpu"], ...]
    cuda: str | None = None
    cudnn: str | None = None
    cudnn_rule: Literal["same-minor", "at-least-minor"] | None = None
    cuda_source: Literal["system", "wheel", "image"] | None = Field(
        None,
        description="who brings CUDA: the base image, the wheel itself, or a vendor image that is the framework",
    )
    cuda_extra: str | None = Field(
        None, description="extra of the package that brings CUDA ('and-cuda'), installed with it on a GPU"
    )
    sass: tuple[str, ...] | None = Field(None, description="null: unknown; (): none")
    ptx: tuple[str, ...] | None = None
    glibc: str | None = Field(None, description="floor read from the binary")
    glibcxx: str | None = None
    glibc_below: str | None = Field(None, description="first glibc that refuses it, e.g. for an executable stack")
    systems: tuple[str, ...] = Field((), description="OS releases whose libraries it needs, by name; empty: any")
    cpu: tuple[str, ...] = Field((), description="/proc/cpuinfo flags it needs, e.g. ('avx',)")
    size: int | None = Field(None, description="bytes of a Linux wheel")
    origin: str = Field(
        "index",
        description="'index'; 'nvidia' (its images); 'pytorch', 'nvidia-index', ... (an index of its own); 'url'; "
        "'conda'; 'distribution'; 'repository' (source code only, ``index`` is its address)",
    )
    index: str | None = Field(None, description="address of the index of its own")
    files: tuple[BuildFile, ...] = Field((), description="where the origin is 'url'")
    ways: tuple[Way, ...] = Field((), description="how else it can be had, besides what its origin says")
    measured_from: str | None = Field(
        None, description="version whose binary was read, when another of the same minor series"
    )


class Substitute(Row):
    """A build that stands in for a range of releases, declared, never silent."""

    build: str = Field(description="id of the build: 'PACKAGE==VERSION'")
    versions: str = Field(description="releases it stands in for")
    differs: str = Field(description="what differs, in a sentence")


class Pairing(Row):
    """Releases of this framework that work with releases of another.

    ``backend``: one of those that are there must fit. ``companion``: a limit on the other where both are there; the
    other is a package, by its name on the index, and need not be a framework.
    """

    versions: str
    other: str
    other_versions: str
    kind: Literal["backend", "companion"] = "backend"


class Report(Row):
    """A known wrong or broken behaviour of builds on GPUs, as reported or verified."""

    id: str
    packages: tuple[str, ...]
    versions: str
    compute_capabilities: str = Field(description="PEP 440 specifier over 'X.Y'")
    verdict: Literal["wrong", "no", "unknown"]
    text: str


class Framework(Frozen):
    """A framework (``frameworks/NAME.json``)."""

    name: str
    aliases: tuple[str, ...] = ()
    module: str = Field(description="what Python code imports")
    evidence: dict[str, Evidence]
    builds: tuple[Build, ...]
    substitutes: tuple[Substitute, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    reports: tuple[Report, ...] = ()
    default_backends: dict[str, str] = Field(
        {}, description="version range -> framework brought in when none is asked for"
    )
    gpu_backends: dict[str, str] = Field(
        {}, description="version range -> framework that it needs on a GPU, and not on the CPU"
    )


class When(Frozen):
    """Part of a cap's condition: a package at some versions is in the environment."""

    package: str
    versions: str = ""


class Cap(Row):
    """A limit or need that package metadata does not declare (``caps/*.json``).

    ``limit``: ``package`` must satisfy ``versions``. ``needs``: ``package`` must be there (and satisfy
    ``versions``). ``drop``: ``package`` must not be installed (a backport on a Python that has the module).
    ``system``: the apt packages in ``system`` (run time) or ``build_system`` (build time). ``environment``:
    variables to set. ``requires``: the true requirements of ``package`` where its metadata cannot say.
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


class ModelRelease(Row):
    """What a framework's release writes into and reads from model files (``models.json``), one row a minor release."""

    framework: str
    release: str = Field(description="minor release: '1.4'")
    producer: int | None = Field(None, description="version that it writes into graphs; null: unknown")
    min_producer: int | None = Field(None, description="lowest producer whose graphs it reads")
    min_consumer: int | None = Field(None, description="lowest reader that it asks of its graphs")
    keras: str | None = Field(
        None, description="version that its own Keras writes, e.g. '2.1.6-tf'; null: none of its own"
    )
    ops_added: tuple[str, ...] = Field((), description="operations new in it; of the first row: all it has")
    ops_gone: tuple[str, ...] = Field((), description="operations that the release before had and it has not")


class Marker(Row):
    """A mark of a model file's format and what it means (``models.json``)."""

    format: str = Field(description="format and place: 'keras-h5', 'pickle-global', 'onnx-opset'")
    mark: str = Field(description="an attribute, a dotted name or its prefix, a number: what the reader finds there")
    means: str
    strength: Literal["proof", "strong", "weak", "hint"]
    ranges: dict[str, str] = Field(
        {}, description="framework or package -> releases that can read it; empty range: any"
    )
    made_with: dict[str, str] = Field({}, description="framework or package -> releases that wrote it")
    pythons: str = Field("", description="PEP 440 specifier over 'X.Y'; empty: says nothing")


class Verified(Frozen):
    """What one smoke test proved, and where (``verified/*.json``, one file each): written by ``smoke --record``."""

    id: str = Field(description="the file's name without .json")
    builds: tuple[str, ...] = Field(description="PACKAGE==VERSION of each framework's build")
    python: str = Field(description="the interpreter that ran, whole: '3.6.15'")
    os: str | None = Field(description="the system that it ran on, as 'debian 12'; null: it did not tell")
    image: str | None = Field(description="the base image; null: no container")
    engine: str
    machine: str
    device: Device | None = Field(description="where it really ran; null: nothing ran")
    solved_for: Device
    gpus: tuple[SeenGpu, ...] = Field((), description="as the driver showed them")
    driver: str | None = None
    cuda: str | None = Field(None, description="of the stack, on a GPU")
    cudnn: str | None = None
    libraries: dict[str, str] = Field({}, description="library -> version that was really loaded")
    verdict: Verdict = Field(description="what was predicted")
    ok: bool = Field(description="whether every check passed, a user's own left out")
    ran: tuple[str, ...] = Field(description="the checks that passed")
    failed: dict[str, str] = Field({}, description="check -> what was wrong")
    unproven: tuple[str, ...] = ()
    first_ops: dict[str, FirstOperation] = {}
    lock: str = Field(description="sha256 of envsolve.lock")
    checked: date
    envsolve: str
