"""What smoke tests proved."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from envsolve.models import Device, FirstOperation, Frozen, SeenGpu, Verdict


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
