"""The parts of the local engine that need no old Python: prefixes, the host's needs, what a failed pip means."""

import fcntl
import json
import subprocess
import sys
import time

import pytest

from envsolve.engine import hostneeds, pip
from envsolve.engine.prefix import MARKER, inspect, making
from envsolve.errors import BuildError, NotReadyError, UsageError
from envsolve.lock.pipconfig import IndexConfig
from envsolve.models import Interpreter

# -- prefixes -----------------------------------------------------------------------------------------------


def make(prefix, digest="d1"):
    with making(prefix, digest):
        (prefix / "bin").mkdir()
        (prefix / "bin" / "python").write_text("")


def test_what_stands_at_a_prefix(tmp_path):
    prefix = tmp_path / "a" / "b"
    assert inspect(prefix).state == "absent"
    with making(prefix, "d1"):
        assert inspect(prefix).state == "incomplete"
        (prefix / "bin").mkdir()
        (prefix / "bin" / "python").write_text("")
        assert inspect(prefix).state == "incomplete"
    assert (inspect(prefix).state, inspect(prefix).lock) == ("complete", "d1")
    (prefix / "bin" / "python").unlink()
    assert inspect(prefix).state == "incomplete"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "other"}'])
def test_a_marker_of_another_kind_is_foreign_and_an_empty_one_is_ours(tmp_path, text):
    (tmp_path / MARKER).write_text(text)
    assert inspect(tmp_path).state == ("incomplete" if text == "" else "foreign")


def test_a_file_is_no_prefix(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        inspect(tmp_path / "file")
    assert caught.value.code == "bad-prefix"


def test_a_failure_takes_all_back(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for prefix in (tmp_path / "new", empty):
        with pytest.raises(KeyboardInterrupt), making(prefix, "d1"):
            (prefix / "lib" / "deep").mkdir(parents=True)
            (prefix / "lib64").symlink_to("lib")
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]  # it was the person's
    assert list(empty.iterdir()) == []


def test_what_was_left_half_made_is_cleared(tmp_path):
    prefix = tmp_path / "new"
    make(prefix)
    document = json.loads((prefix / MARKER).read_text())
    (prefix / MARKER).write_text(json.dumps({**document, "complete": False}))
    (prefix / "lib").mkdir()
    make(prefix, "d2")
    assert inspect(prefix).lock == "d2"
    assert not (prefix / "lib").exists()


def test_two_do_not_make_the_same(tmp_path):
    prefix = tmp_path / "new"
    prefix.mkdir()
    with (prefix / MARKER).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotReadyError) as caught:
            make(prefix)
    assert caught.value.code == "prefix-busy"
    assert (prefix / MARKER).exists()  # the other's
    make(prefix)


# -- the host -----------------------------------------------------------------------------------------------

CACHE = "3 libs found\n\tlibgfortran.so.5 (libc6,x86-64) => /usr/lib/x\n\tlibGL.so.1 (libc6) => /usr/lib/y\n"
DEV = CACHE + "\tlibopenblas.so (libc6,x86-64) => /usr/lib/z\n"


def test_system_packages_are_looked_up():
    found = hostneeds.missing(("sh", "no-such-program", "libgfortran5", "libgfortran3", "libgl1"), CACHE)
    assert found.programs == ("no-such-program",)
    assert found.libraries == ("libgfortran3",)
    assert found.hint == "sudo apt-get install no-such-program libgfortran3"
    assert hostneeds.missing(("libopenblas-dev",), CACHE).libraries == ("libopenblas-dev",)
    assert hostneeds.missing(("libopenblas-dev",), DEV).libraries == ()


def test_theano_is_not_told_to_link_what_is_not_here():
    asked = {"THEANO_FLAGS": "device=cpu,blas.ldflags=-lopenblas,floatX=float32", "KERAS_BACKEND": "theano"}
    fitted, said = hostneeds.fitted(asked, CACHE)
    assert fitted == {"THEANO_FLAGS": "device=cpu,floatX=float32,blas.ldflags=", "KERAS_BACKEND": "theano"}
    assert "libopenblas.so" in said[0]
    assert hostneeds.fitted(asked, DEV) == (asked, ())


def test_the_interpreter_of_the_right_abi_and_the_assumed_release():
    found = tuple(
        Interpreter(version=version, path=f"/{version}{abi}", abi=abi)
        for version, abi in (("2.7.18", "cp27m"), ("2.7.9", "cp27mu"), ("2.7.10", "cp27mu"), ("3.6.15", "cp36m"))
    )
    assert hostneeds.choose(found, "2.7", "cp27mu", "2.7.18").version == "2.7.10"
    assert hostneeds.choose(found, "2.7", "cp27mu", "2.7.9").version == "2.7.9"
    assert hostneeds.choose(found, "2.7", "cp27du", "2.7.9") is None
    assert hostneeds.choose(found, "3.5", None, "3.5.10") is None


# -- pip ----------------------------------------------------------------------------------------------------

MISMATCH = """Collecting six==1.11.0
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions...
    six==1.11.0 from INDEX#sha256=832d (from -r /tmp/x/wheel.txt (line 1)):
        Expected sha256 00
             Got        832d
"""


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        (MISMATCH, BuildError, "hash-mismatch"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", NotReadyError, "disk-full"),
        ("WARNING: Retrying (Retry(total=0)) after connection broken\nERROR: No matching", NotReadyError, "no-network"),
        ("gcc: error: x.c\nERROR: Failed building wheel for x", BuildError, "build-failed"),
    ],
)
def test_what_a_failed_pip_means(said, kind, code):
    error = pip.failure(said.splitlines(), 1)
    assert isinstance(error, kind)
    assert error.code == code


def test_the_facts_of_a_mismatch_are_what_was_expected_and_got():
    assert pip.failure(MISMATCH.splitlines(), 1).facts == (
        "six==1.11.0 from INDEX:",
        "Expected sha256 00",
        "Got        832d",
    )


def test_pip_gets_the_index_settings_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    (tmp_path / "person").mkdir()
    (tmp_path / "person" / ".netrc").write_text("machine x login y password z")
    home = tmp_path / "ours"
    home.mkdir()
    config = IndexConfig(
        index_url="https://index.example/simple", extra_index_urls=("https://a.example", "https://b.example"),
        proxies={"https": "http://proxy.example:3128"}, no_proxy="example", timeout=7.0,
    )  # fmt: skip
    found = pip.environment(config, home)
    assert found["PIP_INDEX_URL"] == "https://index.example/simple"
    assert "PIP_EXTRA_INDEX_URL" not in found  # each run asks one index
    assert (found["https_proxy"], found["no_proxy"], found["PIP_DEFAULT_TIMEOUT"]) == (
        "http://proxy.example:3128",
        "example",
        "7",
    )
    assert not {"PIP_TARGET", "PYTHONPATH", "PIP_CERT"} & found.keys()
    assert (home / ".netrc").read_text().startswith("machine")
    assert "allow_hosts = None" in (home / ".pydistutils.cfg").read_text()


def test_credentials_in_what_pip_prints_are_not_kept(tmp_path):
    lines = []
    pip.run(
        [sys.executable, "-c", "print('Looking in https://me:secret@index.example/simple')"], {}, lines.append, tmp_path
    )
    assert lines == ["Looking in https://****@index.example/simple"]


def test_ctrl_c_ends_the_command_and_its_children(tmp_path):
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    pids = []

    def interrupt(line):
        pids.append(int(line))
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pip.run([sys.executable, "-c", code], {"PATH": "/usr/bin:/bin"}, interrupt, tmp_path)
    assert time.monotonic() - started < 20
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pids[0])], capture_output=True, text=True).stdout.strip()
    assert state in ("", "Z") or state.startswith("Z")
