"""A Python copied onto an image that has none, for real: with its libraries, and only those that are lacking."""

import pytest
from render_locks import lock
from test_engine import private, run, settings

from envsolve.models import LockedImage

pytestmark = pytest.mark.docker

DONOR, BARE = "python:3.6.15-slim-bullseye", "debian:bookworm-slim"


def test_it_runs_there_with_all_that_it_links(engine, client, base, private_index, written, talk):
    image = LockedImage(reference=base(BARE), python_image=base(DONOR), executable="python3.6")
    one = lock(image=image, packages=private(private_index).packages)
    built = engine.build(written(one), one, settings(private_index, no_cache=True), talk)
    ask = "import alpha, gamma, ssl, sqlite3, ctypes, lzma, sys; print(sys.version_info[:2], gamma.__version__)"
    assert run(client, built.tag, "python3.6", "-c", ask) == "(3, 6) 3.0\n"
    copied = run(client, built.tag, "ls", "/usr/local/lib/envsolve").split()
    # The system has them, and its own must not be mixed with others'
    assert not [name for name in copied if name.startswith(("libc.so", "libm.so", "ld-linux", "libncurses", "libz.so"))]
