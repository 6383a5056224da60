"""Frozen types that every stage speaks: Request, Host, Stack, Solution, Lock, SmokeReport."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Verdict = Literal["native", "jit", "wrong", "no", "unknown"]
Device = Literal["gpu", "cpu"]
Fidelity = Literal["exact", "substitute"]
How = Literal["measured", "documented", "reported", "verified", "derived", "given"]
Backend = Literal["auto", "docker", "podman", "buildah", "apptainer", "local"]
Accept = Literal["jit", "substitute"]
Phase = Literal["build", "wheel", "sdist"]


class Frozen(BaseModel):
    """A value: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Frozen):
    """One wanted package: a framework the database knows, or a companion that the lock resolves."""

    text: str = Field(description="as the user wrote it, e.g. 'tf==1.4'")
    name: str = Field(description="the field's own name, e.g. 'tensorflow'; a companion's canonical project name")
    specifier: str = Field("", description="PEP 440; '==1.4' from the user becomes '==1.4.*'")
    framework: bool = True
    extras: tuple[str, ...] = ()
    origin: str | None = Field(None, description="file:line when it was read from a file")


class Lean(Frozen):
    """A value whose rarely used fields (``_rare``) are left out of a document where they hold nothing."""

    _rare: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if value or name not in self._rare}


class ScopedIndex(Frozen):
    """An index beside the ordinary one, and its scope: these packages come from it alone, and nothing else does."""

    url: str = Field(description="of the simple index, without credentials")
    packages: tuple[str, ...] = Field(description="canonical project names")


class Request(Lean):
    """What the user asked for. Nothing here is ever changed silently."""

    targets: tuple[Target, ...]
    gpu: tuple[str, ...] = Field(("auto",), description="'auto', 'none', or names as typed: 'sm_86', 'RTX 3090'")
    require_gpu: bool = False
    driver: str | None = None
    python: str | None = None
    os: str | None = None
    accept: tuple[Accept, ...] = ()
    as_of: date | None = None
    backend: Backend = "auto"
    facts: tuple[str, ...] = Field(
        (), description="files of the user's own facts, as typed; left out when there are none"
    )
    indexes: tuple[ScopedIndex, ...] = Field((), description="left out when there are none")

    _rare = ("facts", "indexes")


class Gpu(Frozen):
    """One GPU, real or named by the user."""

    name: str
    compute_capability: str = Field(description="'X.Y'")
    architecture: str | None = None


class Interpreter(Frozen):
    """A Python found on this machine that the local backend can use."""

    version: str = Field(description="full, e.g. '3.6.15'")
    path: str
    abi: str = Field(description="e.g. 'cp36m', 'cp27mu'")


class Host(Frozen):
    """The machine the environment has to run on: this one, or the one described by --gpu and --driver."""

    driver: str | None = None
    gpus: tuple[Gpu, ...] = ()
    cpu_flags: tuple[str, ...] = Field((), description="of /proc/cpuinfo, those that builds may need")
    engine: str | None = Field(None, description="container engine that answers, e.g. 'docker 20.10.24'")
    machine: str = "x86_64"
    glibc: str | None = None
    interpreters: tuple[Interpreter, ...] = ()
    notes: tuple[str, ...] = Field((), description="findings worth saying, e.g. 'an NVIDIA card without a driver'")


class Reason(Frozen):
    """One fact that took part in a choice or a conflict, as a sentence with its provenance."""

    axis: str
    fact: str = Field(description="the fact's id in the database, or 'request'/'host' for what was given")
    text: str
    source: str
    how: How
    checked: str | None = None


class StackWarning(Frozen):
    """Something true of a stack that a person should know before trusting it."""

    code: str
    text: str
    source: str


class FrameworkChoice(Frozen):
    """The build chosen for one framework."""

    name: str
    package: str
    version: str
    origin: str = Field(description="where the build comes from: 'index', 'nvidia', an index's name")
    build: str = Field(description="the build's id in the database")


class Stack(Lean):
    """One value per axis: a complete, working combination."""

    _rare = ("python_image",)

    device: Device
    verdict: Verdict
    fidelity: Fidelity = "exact"
    frameworks: tuple[FrameworkChoice, ...]
    python: str = Field(description="'X.Y'")
    cuda: str | None = None
    cudnn: str | None = None
    cuda_source: str | None = Field(None, description="'image', 'apt', 'wheel', or None on a CPU stack")
    os: str
    glibc: str
    base_image: str
    python_image: str | None = Field(
        None, description="image whose Python is copied onto the base image; left out when that has its own"
    )
    driver_min: str | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[StackWarning, ...] = ()
    command: str = Field("", description="the full command line that gives exactly this stack")


class Alternative(Stack):
    """A stack that is the best of its kind, and what it costs against the chosen one."""

    axis: str = Field(
        description="what it differs by: 'cpu', 'substitute', 'jit', 'release', 'gpus', 'python', 'os', 'python_image'"
    )
    costs: tuple[str, ...] = Field(description="each a sentence part, as 'Python 3.5 rather than 3.6'")


Core = tuple[Reason, ...]
"""A minimal set of reasons that cannot hold together."""


class Relaxation(Frozen):
    """A smallest change of the request that makes it solvable, and what it then gives."""

    change: str
    command: str
    gives: Stack


class Conflict(Frozen):
    """Why a request has no answer, and the ways out."""

    core: Core = Field(description="every reason of every core, once")
    cores: tuple[Core, ...] = Field((), description="the independent conflicts, each a minimal set of reasons")
    relaxations: tuple[Relaxation, ...] = ()


class Unmet(Frozen):
    """A wish (not a demand) that the chosen stack does not grant: 'gpu', with why not and what would."""

    wish: str
    core: Core = Field(description="every reason of every core, once")
    cores: tuple[Core, ...] = Field((), description="the independent reasons, each a minimal set")
    relaxations: tuple[Relaxation, ...] = ()


class Solution(Frozen):
    """The solver's whole answer; ``--json`` prints it as ``envsolve/solution-1``."""

    request: Request
    host: Host
    status: Literal["solved", "conflict"]
    chosen: Stack | None = None
    alternatives: tuple[Alternative, ...] = ()
    conflict: Conflict | None = None
    unmet: tuple[Unmet, ...] = ()


class LockedPackage(Frozen):
    """One file to install, and why it is there."""

    name: str = Field(description="canonical project name")
    version: str
    filename: str
    sha256: str
    size: int = Field(description="bytes")
    upload_time: str = Field(description="ISO 8601, UTC, as the index gives it")
    phase: Phase
    level: int = Field(0, description="sdists are built in this order, so that one may need another at build time")
    index: str = Field("default", description="'default', or the address of the index in whose scope it is")
    requires: tuple[str, ...] = Field((), description="its own requirements on other locked packages")
    builds_with: tuple[str, ...] = Field((), description="packages that an sdist needs to be built, by name")
    reason: str = Field(description="who asked for it, in a sentence")
    yanked: str | None = Field(None, description="the index's text when the file was yanked later")


class LockedImage(Lean):
    """The base image, as a dated fact, with what a Dockerfile must do to make a Python of it."""

    _rare = ("python_image", "python_digest")

    reference: str
    digest: str | None = None
    last_seen: str | None = None
    python_packages: tuple[str, ...] = Field(
        (), description="apt packages that bring the Python when the image has none"
    )
    python_image: str | None = Field(
        None, description="image whose Python, in /usr/local, is copied onto this one; left out when there is none"
    )
    python_digest: str | None = Field(None, description="of that image, when known; left out when not")
    executable: str = Field("python", description="name of the interpreter in the image")
    apt_keys: tuple[str, ...] = Field((), description="URLs of apt signing keys to trust")
    apt_repositories: tuple[str, ...] = Field((), description="extra apt source lines, e.g. NVIDIA's for CUDA 8")
    apt_pins: tuple[str, ...] = Field((), description="NAME=VERSION packages from those")
    archive: str | None = Field(None, description="host that keeps this release's packages after its end of life")
    preinstalled: tuple[str, ...] = Field((), description="frameworks the image itself brings: NAME==VERSION")
    holds: tuple[str, ...] = Field(
        (), description="packages that a vendor's image has beside its framework, at versions of the vendor's"
    )
    default_index: str | None = Field(
        None, description="pip's public default index, where the image's own pip asks one that is gone"
    )
    environment: dict[str, str] = {}


class Lock(Frozen):
    """Everything a build needs, pinned; written as ``envsolve.lock`` (JSON, ``envsolve/lock-1``)."""

    envsolve: str = Field(description="version of envsolve that made it")
    facts: str = Field(description="version of the database: a digest of its files")
    request: Request
    host: Host
    stack: Stack
    as_of: date
    as_of_reason: str
    python_full: str = Field(description="the interpreter assumed for markers, e.g. '3.6.15'")
    image: LockedImage
    packages: tuple[LockedPackage, ...]
    system_packages: tuple[str, ...] = Field((), description="apt packages needed at run time, e.g. g++ for Theano")
    build_packages: tuple[str, ...] = Field((), description="apt packages needed only to build sdists")
    environment: dict[str, str] = Field({}, description="variables the image sets, e.g. KERAS_BACKEND")
    upgrades: dict[str, date] = Field({}, description="packages as of a day of their own (``lock --upgrade``), by name")
    notes: tuple[str, ...] = ()


class Check(Frozen):
    """One probe of a smoke test."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float | None = None
    error: float | None = Field(None, description="largest difference from NumPy, as a share of its largest value")
    tolerance: float | None = Field(None, description="the error that is allowed")


class FirstOperation(Frozen):
    """Seconds that a framework's first operation took, and the same again."""

    first: float
    again: float
    jit: bool = Field(False, description="on a GPU the first took so much longer that the driver compiled for it")


class LoadedLibrary(Frozen):
    """A library of NVIDIA's that the probe's process had loaded."""

    name: str
    version: str | None = Field(None, description="as the library tells it, else as its file's name does")
    path: str
    cuda: str | None = Field(None, description="of libcuda: the CUDA that the driver supports")


class SeenGpu(Frozen):
    """A GPU that the driver showed to the probe."""

    name: str
    capability: str | None = None


class OwnCheck(Frozen):
    """A check of the user's own that ran beside the probe's."""

    name: str
    exit_code: int | None = Field(None, description="null: it did not end in time")
    lines: tuple[str, ...] = Field((), description="the last that it said")


class SmokeReport(Frozen):
    """What ran inside what was built, on which device, agreeing with NumPy or not."""

    ok: bool
    backend: str
    subject: str = Field(description="image id or prefix")
    python: str = ""
    device: Device | None = None
    versions: dict[str, str] = {}
    checks: tuple[Check, ...] = ()
    seconds: float | None = None
    log: str = Field("", description="tail of what the probe printed to stderr")
    os: str | None = Field(None, description="the system that it ran on, as 'debian 12'")
    first_ops: dict[str, FirstOperation] = Field({}, description="by framework")
    unproven: tuple[str, ...] = Field((), description="what the checks do not prove, a sentence each")
    driver: str | None = None
    gpus: tuple[SeenGpu, ...] = ()
    libraries: tuple[LoadedLibrary, ...] = Field((), description="on GPU stacks: what was really loaded")
    own: OwnCheck | None = None
