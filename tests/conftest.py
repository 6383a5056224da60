"""Which tests can run here: each marker's need is looked for once, and a test without it skips with the reason."""

import functools
import shutil
import signal
import threading
from pathlib import Path

import pytest

if threading.current_thread() is threading.main_thread():
    # Who starts the tests in the background of a script ignores these, and so would every program of the tests.
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With -n: what builds on the engine or from old Pythons, which is slow, begins at once and stays together.

    Of the rest each file is one piece. (xdist's own groups come to nothing with pytest 9.2: it fixes a test's id.)
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition("::")[0]
            return "builds" if path.startswith(("tests/docker/", "tests/local/")) else path

    config.option.loadscopereorder = False
    return Scheduling(config, log)
