"""Folders are written whole or not at all, and never over what a person edited."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from render_locks import SLIM, THEANO

from envsolve import folder
from envsolve.errors import Exit, NotReadyError, OutOfDateError, UsageError
from envsolve.render import render

OLD = {"Dockerfile": "FROM a\n", "phases/1.txt": "one\n", "phases/2.txt": "two\n"}
NEW = {"Dockerfile": "FROM b\n", "phases/1.txt": "uno\n", "requirements.txt": "x\n"}


def tree(directory):
    """Every file below, hidden ones included -> its bytes."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def texts(directory):
    return {name: data.decode() for name, data in tree(directory).items() if name != folder.MANIFEST}


def test_a_new_folder_with_its_parents(tmp_path):
    target = tmp_path / "a/b/envsolve"
    folder.write(target, OLD)
    assert texts(target) == OLD
    assert [p.name for p in target.parent.iterdir()] == ["envsolve"]
    assert target.stat().st_mode & 0o777 == 0o777 & ~folder._umask()


def test_the_lock_comes_back(tmp_path):
    folder.write(tmp_path / "e", render(THEANO))
    assert folder.read_lock(tmp_path / "e") == THEANO


def test_writing_again_replaces_and_removes_its_own_and_keeps_the_rest(tmp_path):
    folder.write(tmp_path / "e", OLD)
    (tmp_path / "e/phases/mine").write_text("mine")
    (tmp_path / "e/model.h5").write_bytes(b"\0weights")
    folder.write(tmp_path / "e", NEW)
    assert texts(tmp_path / "e") == {**NEW, "phases/mine": "mine", "model.h5": "\0weights"}


def test_writing_the_same_twice_changes_no_byte(tmp_path):
    folder.write(tmp_path / "e", render(SLIM))
    before = tree(tmp_path / "e")
    folder.write(tmp_path / "e", render(SLIM))
    assert tree(tmp_path / "e") == before


def test_a_folder_that_loses_its_last_phase_file_loses_the_sub_folder(tmp_path):
    folder.write(tmp_path / "e", OLD)
    folder.write(tmp_path / "e", {"Dockerfile": "FROM b\n"})
    assert not (tmp_path / "e/phases").exists()


@pytest.mark.parametrize("edited", ["Dockerfile", "phases/2.txt"])
def test_an_edited_file_is_not_overwritten_nor_removed(tmp_path, edited):
    target = tmp_path / "e"
    folder.write(target, OLD)
    (target / edited).write_text("edited by hand\n")
    before = tree(target)
    with pytest.raises(OutOfDateError) as caught:
        folder.write(target, NEW)
    assert edited in caught.value.message
    assert caught.value.code == "edited-files"
    assert any("--force" in hint for hint in caught.value.hints)
    assert tree(target) == before
    folder.write(target, NEW, force=True)
    assert texts(target) == NEW


def test_an_edit_that_is_what_would_be_written_is_no_obstacle(tmp_path):
    folder.write(tmp_path / "e", OLD)
    (tmp_path / "e/Dockerfile").write_text(NEW["Dockerfile"])
    folder.write(tmp_path / "e", NEW)
    assert texts(tmp_path / "e") == NEW


def test_a_deleted_file_comes_back(tmp_path):
    folder.write(tmp_path / "e", OLD)
    (tmp_path / "e/Dockerfile").unlink()
    folder.write(tmp_path / "e", OLD)
    assert texts(tmp_path / "e") == OLD


def test_somebody_elses_dockerfile_is_not_overwritten(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e/Dockerfile").write_text("FROM mine\n")
    with pytest.raises(UsageError) as caught:
        folder.write(tmp_path / "e", NEW)
    assert caught.value.code == "foreign-files"
    assert texts(tmp_path / "e") == {"Dockerfile": "FROM mine\n"}
    folder.write(tmp_path / "e", NEW, force=True)
    assert texts(tmp_path / "e") == NEW


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "envsolve/manifest-1", "files": {"../../x": ["a"]}}', '"x"']
)
def test_a_damaged_manifest_vouches_for_nothing(tmp_path, text):
    victim = tmp_path / "x"
    victim.write_text("not ours")
    target = tmp_path / "a/e"
    folder.write(target, OLD)
    (target / folder.MANIFEST).write_text(text)
    with pytest.raises(UsageError, match="not written by envsolve"):
        folder.write(target, NEW)
    folder.write(target, NEW, force=True)
    assert victim.read_text() == "not ours"


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "e").write_text("a file")
    with pytest.raises(UsageError) as caught:
        folder.write(tmp_path / "e", NEW)
    assert caught.value.code == "cannot-write"
    assert (tmp_path / "e").read_text() == "a file"


def test_a_folder_where_a_file_should_be_leaves_all_as_it_was(tmp_path):
    """The last rename fails after the others were done: they are taken back."""
    target = tmp_path / "e"
    folder.write(target, OLD)
    (target / "requirements.txt").mkdir()
    (target / "requirements.txt/mine").write_text("mine")
    before = tree(target)
    with pytest.raises(UsageError) as caught:
        folder.write(target, NEW, force=True)
    assert caught.value.code == "cannot-write"
    assert tree(target) == before
    assert not list(target.glob(".envsolve-*/"))


WRITE = (
    "import os, sys, json; from pathlib import Path\n"
    "from envsolve import folder; from envsolve.errors import EnvsolveError\n"
    "if int(sys.argv[3]): os.setgid(65534); os.setuid(int(sys.argv[3]))\n"
    "try: folder.write(Path(sys.argv[1]), json.loads(sys.argv[2]))\n"
    "except EnvsolveError as e: print(e.code, int(e.exit_code), e.message); raise SystemExit(9)\n"
)


def written_by(target, files, *, user=0, **more):
    return subprocess.run(
        [sys.executable, "-c", WRITE, str(target), json.dumps(files), str(user)], capture_output=True, text=True, **more
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_a_parent_that_cannot_be_written(tmp_path):
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    done = written_by(locked / "e", OLD, user=65534)
    assert (done.returncode, done.stderr) == (9, "")
    assert done.stdout.startswith("cannot-write 2 ")
    assert list(locked.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot mount a small file system: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_nothing_of_a_new_folder(small_disk):
    with pytest.raises(NotReadyError) as caught:
        folder.write(small_disk / "a/e", {**OLD, "big": "x" * 100_000})
    assert (caught.value.code, caught.value.exit_code) == ("disk-full", Exit.NOT_READY)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_leaves_the_old_folder_as_it_was(small_disk):
    folder.write(small_disk / "e", OLD)
    before = tree(small_disk / "e")
    with pytest.raises(NotReadyError):
        folder.write(small_disk / "e", {**NEW, "big": "x" * 100_000})
    assert tree(small_disk / "e") == before


@pytest.mark.parametrize("step", range(1, 9))
def test_killed_at_any_step_the_next_write_goes_through(tmp_path, step):
    """SIGKILL at the n-th rename: no file is half-written, none looks edited, and writing again heals the folder."""
    target = tmp_path / "e"
    folder.write(target, OLD)
    program = (
        "import os, signal, sys, json; from pathlib import Path; from envsolve import folder\n"
        "count = 0\n"
        "def kill_at(event, arguments):\n"
        "    global count\n"
        "    if event == 'os.rename':\n"
        "        count += 1\n"
        f"        if count == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(kill_at)\n"
        "folder.write(Path(sys.argv[1]), json.loads(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, target, json.dumps(NEW)])
    assert done.returncode in (-signal.SIGKILL, 0)
    for name, text in texts(target).items():
        if not name.startswith(".envsolve-"):
            assert text in (OLD.get(name), NEW.get(name))
    folder.write(target, NEW)
    assert texts(target) == NEW


def test_a_file_size_limit_is_one_error(tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = written_by(tmp_path / "e", {"big": "x" * 10_000}, preexec_fn=limit)
    assert (done.returncode, done.stderr) == (9, "")
    assert done.stdout.startswith("cannot-write 2 ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "code"), [(None, "no-lock"), (b"{}", "bad-lock"), (b"\xff\xfe", "bad-lock")])
def test_a_lock_that_cannot_be_read(tmp_path, content, code):
    if content is not None:
        (tmp_path / "envsolve.lock").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        folder.read_lock(tmp_path)
    assert caught.value.code == code
