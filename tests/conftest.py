"""Which tests can run here: each marker's need is looked for once, and a test without it skips with the reason."""

import functools
import shutil
from pathlib import Path

import pytest


@functools.cache
def _no_docker():
    from envsolve.engine.detect import search

    found = search("docker", timeout_s=5)
    if found.endpoint is not None:
        return None
    return f"no Docker engine answers here {dict(found.troubles) or ''}".strip()


@functools.cache
def _no_index():
    from envsolve.errors import EnvsolveError
    from envsolve.lock.index import Index
    from envsolve.lock.pipconfig import user_config

    try:
        Index(user_config()).project("pip")
    except EnvsolveError as error:
        return f"no package index: {error.message}"
    return None


@functools.cache
def _no_old_python():
    from envsolve.interpreters import find_interpreters

    old = [found.version for found in find_interpreters() if found.version.startswith(("2.7.", "3.6."))]
    return None if old else "no Python 2.7 or 3.6 on this machine"


@functools.cache
def _no_gpu():
    if shutil.which("nvidia-smi") and Path("/proc/driver/nvidia/version").exists():
        return None
    return "no NVIDIA GPU with a driver here"


NEEDS = {"docker": _no_docker, "index": _no_index, "local": _no_old_python, "gpu": _no_gpu}


def pytest_runtest_setup(item):
    for name, missing in NEEDS.items():
        if item.get_closest_marker(name) and (reason := missing()):
            pytest.skip(reason)


def pytest_collection_modifyitems(items):
    """With -n: what builds on the engine or from old Pythons stays together, the rest goes wherever there is room."""
    for item in items:
        if item.get_closest_marker("docker") or item.get_closest_marker("local"):
            item.add_marker(pytest.mark.xdist_group("builds"))
