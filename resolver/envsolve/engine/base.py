"""What every engine takes and gives: settings in, a built environment or a probe's output out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from envsolve.lock.pipconfig import ContainerSettings

if TYPE_CHECKING:
    from envsolve.models import Lock
    from envsolve.talk import Talk

PROBE_DIRECTORY = "/opt/envsolve"
"""Where an image keeps ``smoke.py``, ``envsolve.lock`` and ``requirements.txt``, side by side."""

SITE_DIRECTORY = f"{PROBE_DIRECTORY}/site"
"""Where packages go in a vendor's image: apart from its own, no file of which is replaced."""

PROBE_TIMEOUT_S = 900.0
"""A probe that runs longer is ended: generous, because old GPUs' code may first be compiled by the driver."""
STDERR_TAIL = 8000
"""Characters of what a probe said on stderr that its result keeps: the last ones."""


def processor_settings() -> dict[str, str]:
    """OPENBLAS_* as set here: which kernels an OpenBLAS older than this processor must use to compute rightly."""
    return {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}


@dataclass(frozen=True)
class BuildSettings:
    """What a person may choose about a build, beyond the lock."""

    no_cache: bool = False
    pull: bool = False
    network: str | None = None
    """"none": the build must get along without; None: as the engine has it."""
    force: bool = False
    """Replace an environment of another lock at the local engine's prefix; never files it did not make."""
    base: str | None = None
    """The image to build on in place of the lock's; in no lock, and said by labels of the image."""
    python_image: str | None = None
    """The image to copy the Python from in place of the lock's, where one is copied."""
    container: ContainerSettings = field(default_factory=ContainerSettings)
    platform: str | None = None
    """``linux/amd64``: what the image is for. None: what the locked wheels are for."""
    epoch: int | None = None
    """SOURCE_DATE_EPOCH: the lock's as-of date, set by the engine; only BuildKit makes something of it."""
    attest: bool = False
    """Whether an SBOM and provenance go with the image; only buildx makes them."""
    prefix: Path | None = None
    """Where the local engine makes the environment (``--prefix``); None: its own cache folder."""

    @property
    def anew(self) -> bool:
        """Whether what an earlier build of the same files left is no answer."""
        return self.no_cache or self.pull or self.attest


@dataclass(frozen=True)
class Built:
    """An environment that stands: an image, or a local prefix."""

    engine: str
    subject: str
    """Image id (``sha256:...``), or the prefix's path."""
    tag: str | None = None
    log: Path | None = None
    """The whole build log; None when nothing was built now."""
    seconds: float | None = None
    size: int | None = None
    """Bytes, when the engine tells."""


@dataclass(frozen=True)
class ProbeRun:
    """What one run of ``smoke.py`` gave. stdout is the probe's own one JSON document."""

    exit_code: int
    stdout: str
    stderr: str
    """The tail only: what explains a failure."""
    seconds: float
    timed_out: bool = False


@runtime_checkable
class Engine(Protocol):
    """Builds a rendered folder and runs its probe inside what was built."""

    @property
    def name(self) -> str:
        """``docker``, ``podman``, ``buildah``, ``apptainer`` or ``local``."""
        ...

    def build(self, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Built:
        """Build the folder. Raises NotReadyError (exit 4) or BuildError (exit 5)."""
        ...

    def find(self, folder: Path, lock: Lock, settings: BuildSettings) -> Built | None:
        """What an earlier build of exactly this lock left, or None."""
        ...

    def run_probe(
        self,
        built: Built,
        lock: Lock,
        folder: Path,
        talk: Talk,
        *,
        arguments: Sequence[str] = (),
        timeout_s: float = PROBE_TIMEOUT_S,
    ) -> ProbeRun:
        """Run ``smoke.py ARGUMENTS`` with the environment's Python: no network, no writing but /tmp.

        Raises NotReadyError when the engine cannot give what the stack needs (a GPU). A probe that
        fails or runs out of time is a result, not an error.
        """
        ...
