"""GPUs, CUDA, cuDNN, OS releases, images and Pythons."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from envsolve.facts.rows import Row, Way
from envsolve.models import Frozen


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
    python_glibc: str | None = Field(
        None, description="lowest glibc on which that Python runs elsewhere; null: unknown, so that of its OS"
    )
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
