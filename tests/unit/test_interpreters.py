"""Finding Pythons: what counts, what is left out, and that nothing waits for ever."""

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from envsolve import interpreters
from envsolve.interpreters import find_interpreters, identify

HERE = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
VERSION = ".".join(map(str, sys.version_info[:3]))


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def found_in(home, path="", **environ):
    return find_interpreters({"HOME": str(home), "PATH": path, **environ})


def test_this_python_is_found_once_with_its_abi(tmp_path):
    (here,) = [i for i in find_interpreters() if i.path == str(HERE)]
    assert here.version == VERSION
    assert here.abi.startswith(f"cp{sys.version_info[0]}{sys.version_info[1]}")


def test_oldest_first_and_the_same_twice():
    found = find_interpreters()
    assert [[int(n) for n in i.version.split(".")] for i in found] == sorted(
        [int(n) for n in i.version.split(".")] for i in found
    )
    assert found == find_interpreters()
    assert len({i.path for i in found}) == len(found)


@pytest.mark.parametrize(
    "place",
    [
        ".pyenv/versions/9.9.9/bin",
        ".local/share/uv/python/cpython-9.9/bin",
        "miniconda3/envs/old/bin",
        ".asdf/installs/python/9.9.9/bin",
        "bin",
    ],
)
def test_places(tmp_path, place, monkeypatch):
    asked = []
    monkeypatch.setattr(interpreters, "identify", lambda path, _timeout: asked.append(path))
    program = tmp_path / place / "python3.99"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF of another kind")
    program.chmod(0o755)
    found_in(tmp_path, path=f"{tmp_path / 'bin'}:relative:")
    assert program in asked


def test_places_that_variables_name(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(interpreters, "identify", lambda path, _timeout: asked.append(path))
    for place in ("pyenv/versions/1/bin", "uv/1/bin", "envs/x/bin"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "python").write_bytes(b"\x7fELF")
        (tmp_path / place / "python").chmod(0o755)
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"{tmp_path}/envs/x\n")
    found_in(tmp_path, PYENV_ROOT=str(tmp_path / "pyenv"), UV_PYTHON_INSTALL_DIR=str(tmp_path / "uv"))
    assert {tmp_path / p / "python" for p in ("pyenv/versions/1/bin", "uv/1/bin", "envs/x/bin")} <= set(asked)


def test_shims_links_to_nothing_and_other_names_are_not_even_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(interpreters, "identify", lambda path, _timeout: asked.append(path))
    folder = tmp_path / "bin"
    script(folder / "python3.6", "#!/bin/sh\necho shim\n")
    (folder / "python3").symlink_to(folder / "gone")
    (folder / "python2").symlink_to(folder / "python2")
    for name in ("python3-config", "pythonw", "python3.6m"):
        (folder / name).write_bytes(b"\x7fELF")
        (folder / name).chmod(0o755)
    found_in(tmp_path, path=str(folder))
    assert not [path for path in asked if path.is_relative_to(tmp_path)]


def test_a_virtual_environment_leads_to_its_base(tmp_path):
    import venv

    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    paths = [i.path for i in found_in(tmp_path, path=str(tmp_path / "env" / "bin"))]
    assert str(HERE) in paths
    assert not [path for path in paths if path.startswith(str(tmp_path))]


def test_a_copied_virtual_environment_is_left_out(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(interpreters, "identify", lambda path, _timeout: asked.append(path))
    for marker in ("a/pyvenv.cfg", "b/lib/python2.7/orig-prefix.txt"):
        root = tmp_path / marker.split("/")[0]
        (tmp_path / marker).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / marker).write_text("")
        (root / "bin").mkdir()
        (root / "bin" / "python").write_bytes(b"\x7fELF")
        (root / "bin" / "python").chmod(0o755)
    found_in(tmp_path, path=f"{tmp_path}/a/bin:{tmp_path}/b/bin")
    assert not [path for path in asked if path.is_relative_to(tmp_path)]


@pytest.mark.parametrize(
    "says",
    [
        "exit 1",
        "echo garbage",
        "echo envsolve pypy 2.7.18 final cp27 64",
        "echo envsolve cpython 3.6.15 final cp36m 32",
        "echo envsolve cpython 3.14.0 beta cp314 64",
        "echo envsolve cpython 3.6.15 final cp36m 64; exit 3",
    ],
)
def test_what_is_no_usable_cpython(tmp_path, says):
    assert identify(script(tmp_path / "python", f"#!/bin/sh\n{says}\n")) is None


def test_an_answer_after_noise_counts(tmp_path):
    program = script(tmp_path / "python", "#!/bin/sh\necho hello\necho envsolve cpython 3.6.15 final cp36m 64\n")
    found = identify(program)
    assert (found.version, found.abi, found.path) == ("3.6.15", "cp36m", str(program))


def test_one_that_hangs_is_given_up(tmp_path):
    started = time.monotonic()
    assert identify(script(tmp_path / "python", "#!/bin/sh\nexec sleep 30\n"), timeout_s=0.3) is None
    assert time.monotonic() - started < 5


def test_neither_the_persons_python_variables_nor_the_folder_matter(tmp_path, monkeypatch):
    (tmp_path / "struct.py").write_text("raise SystemExit('not that struct')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert identify(HERE).version == VERSION


@pytest.mark.local
def test_old_pythons_of_this_machine_have_the_abi_that_wheels_are_tagged_with():
    expected = {"2.7": "cp27mu", "3.6": "cp36m", "3.7": "cp37m", "3.8": "cp38"}
    for found in find_interpreters():
        minor = found.version.rpartition(".")[0]
        assert found.abi == expected.get(minor, found.abi)
