"""The base image of a stack as the lock records it, and the Python that it gives."""

from __future__ import annotations

from envsolve.errors import DatabaseError
from envsolve.facts import Image, PythonRelease, SystemPython
from envsolve.lock.target import Target
from envsolve.matrices import Facts
from envsolve.models import LockedImage, Stack


def find_image(stack: Stack, facts: Facts) -> Image:
    """The stack's base image. Raises DatabaseError when the database has none of that id or reference."""
    row = facts.images.get(stack.base_image)
    if row is not None:
        return row
    same = sorted((i for i in facts.images.values() if i.reference == stack.base_image), key=lambda i: i.id)
    if not same:
        raise DatabaseError(f"the database has no image {stack.base_image}")
    return same[0]


def _system_python(stack: Stack, facts: Facts) -> SystemPython | None:
    system = facts.systems.get(stack.os)
    return next((p for p in system.pythons if p.version == stack.python), None) if system else None


def python_release(stack: Stack, facts: Facts) -> PythonRelease:
    """The stack's Python. Raises DatabaseError when the database does not know it."""
    if stack.python not in facts.pythons:
        raise DatabaseError(f"the database has no Python {stack.python}")
    return facts.pythons[stack.python]


def python_image(stack: Stack, facts: Facts) -> Image | None:
    """The image that the Python is copied from. Raises DatabaseError when the database has it no more."""
    if stack.python_image is None:
        return None
    row = facts.images.get(stack.python_image)
    if row is None:
        raise DatabaseError(f"the database has no image {stack.python_image}")
    return row


def stale_pip(stack: Stack, facts: Facts) -> bool:
    """Whether the pip of the image is so old that the index it asks by default is gone."""
    system = None if find_image(stack, facts).python or stack.python_image else _system_python(stack, facts)
    return system is not None and system.pip_index_gone


def make_target(stack: Stack, facts: Facts, machine: str) -> Target:
    """The Python of the image: its patch release, wheel ABI and the glibc of its OS."""
    release = python_release(stack, facts)
    row = python_image(stack, facts) or find_image(stack, facts)
    system = _system_python(stack, facts)
    full = row.python or (system.full if system else release.full)
    return Target(full=full, abi=release.abi, glibc=stack.glibc, machine=machine)


def lock_image(stack: Stack, facts: Facts, provided: tuple[str, ...]) -> LockedImage:
    """The image, and what a Dockerfile must do to make a Python of it."""
    row = find_image(stack, facts)
    system = facts.systems.get(stack.os)
    copied = python_image(stack, facts)
    python = None if row.python or copied else _system_python(stack, facts)
    return LockedImage(
        reference=row.reference,
        digest=row.digest,
        last_seen=row.last_seen.isoformat() if row.last_seen else None,
        python_packages=python.packages if python else (),
        python_image=copied.reference if copied else None,
        python_digest=copied.digest if copied else None,
        # By its version: a `python` that comes later with some package of the system must not take its place
        executable=python.executable if python else f"python{stack.python}" if copied else "python",
        apt_keys=row.apt_keys,
        apt_repositories=row.apt_repositories,
        apt_pins=row.apt_pins,
        archive=system.archive if system else None,
        preinstalled=provided,
        environment=row.environment,
    )
