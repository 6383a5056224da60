"""Temporary folders: gone with their process, and with the next one where that was killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from envsolve import scratch

HOLDER = """
import sys, time
from envsolve import scratch
with scratch.folder("build") as path:
    print(path, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def age(path):
    os.utime(path, (1, 1))


@pytest.fixture
def holder(place):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_it_is_gone_afterwards_whatever_happens(place):
    with pytest.raises(KeyboardInterrupt), scratch.folder("build") as path:
        (path / "sub").mkdir()
        (path / "sub" / "file").write_text("x")
        raise KeyboardInterrupt
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(place, holder):
    process, path = holder
    (path / "file").write_text("x")
    age(path)
    (place / "envsolve-build-file").write_text("not a folder")
    (place / "envsolve-build-link").symlink_to(place / "kept")
    (place / "kept").mkdir()
    with scratch.folder("build"):
        assert path.is_dir(), "its maker lives"
    process.send_signal(signal.SIGKILL)
    process.wait()
    with scratch.folder("smoke"):
        assert path.is_dir(), "of another kind"
    with scratch.folder("build"):
        assert not path.exists()
    assert {p.name for p in place.iterdir()} == {"envsolve-build-file", "envsolve-build-link", "kept"}


def test_what_is_young_may_be_in_use_by_children_of_the_killed(place, holder):
    process, path = holder
    process.kill()
    process.wait()
    with scratch.folder("build"):
        assert path.is_dir()


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / "new" / "x.lock"
    with scratch.alone(path) as first, scratch.alone(path) as second:
        assert (first, second) == (True, False)
    with scratch.alone(path) as again:
        assert again
    (tmp_path / "file").write_text("")
    with scratch.alone(tmp_path / "file" / "x.lock") as nowhere:
        assert nowhere
