"""The local engine, for real: old Pythons of this machine, files of the package index, small environments."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from envsolve.engine import select
from envsolve.engine.base import BuildSettings, Engine
from envsolve.engine.local import LocalEngine
from envsolve.engine.prefix import MARKER, inspect
from envsolve.errors import BuildError, NotReadyError, UsageError
from envsolve.interpreters import find_interpreters
from envsolve.lock.document import dump, load
from envsolve.probe_text import probe_text
from envsolve.smoke import REPORT, smoke
from envsolve.talk import Talk

HERE = Path(__file__).parent

pytestmark = [pytest.mark.local, pytest.mark.index]


@pytest.fixture(scope="module", autouse=True)
def own_data_folders(tmp_path_factory):
    """Keep environments, tools, logs and caches of these tests to themselves."""
    root = tmp_path_factory.mktemp("xdg")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "STATE", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(root / name.lower()))
        yield root


@pytest.fixture(scope="module", params=["2.7", "3.6"])
def lock(request):
    if not any(found.version.startswith(f"{request.param}.") for found in find_interpreters()):
        pytest.skip(f"no Python {request.param} on this machine")
    return load((HERE / f"small-{request.param.replace('.', '')}.lock").read_text())


@pytest.fixture(scope="module")
def folder(lock, tmp_path_factory):
    path = tmp_path_factory.mktemp("folder")
    (path / "envsolve.lock").write_text(dump(lock))
    (path / "smoke.py").write_text(probe_text())
    return path


@pytest.fixture(scope="module")
def built(lock, folder, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("where") / "a prefix"
    return LocalEngine().build(folder, lock, BuildSettings(prefix=prefix), Talk(quiet=True))


def python(built, code, **environment):
    run = subprocess.run(
        [Path(built.subject) / "bin" / "python", "-c", code], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def with_package(lock, name, **changes):
    packages = tuple(p.model_copy(update=changes) if p.name == name else p for p in lock.packages)
    return lock.model_copy(update={"packages": packages})


def test_it_is_what_select_gives_for_local():
    assert isinstance(select("local"), Engine)
    assert select("local").name == "local"


def test_installs_exactly_the_locked_versions(lock, built):
    assert built.seconds > 0
    assert built.log.read_text()
    code = "import sys, numpy, six; print('%d.%d' % sys.version_info[:2], numpy.__version__, six.__version__)"
    versions = {p.name: p.version for p in lock.packages}
    assert python(built, f"from __future__ import print_function; {code}").split() == [
        lock.stack.python, versions["numpy"], versions["six"],
    ]  # fmt: skip
    pip = subprocess.run([f"{built.subject}/bin/python", "-m", "pip", "--version"], capture_output=True, text=True)
    assert f"pip {versions['pip']} " in pip.stdout


def test_sets_the_locks_variables_unless_the_person_did(built):
    code = "import os; print(os.environ['ENVSOLVE_TEST'])"
    assert python(built, code) == "from the lock"
    assert python(built, code, ENVSOLVE_TEST="mine") == "mine"


def test_smoke_passes_and_leaves_its_report_beside_the_lock(lock, folder, built):
    report = smoke(LocalEngine(), built, lock, folder, Talk(quiet=True))
    assert report.ok, report.checks
    assert [check.name for check in report.checks] == ["python", "packages", "numpy"]
    assert report.python.startswith(lock.stack.python)
    assert json.loads((folder / REPORT).read_text())["schema"] == "envsolve/smoke-1"


def test_smoke_fails_when_a_version_is_not_the_locked_one(lock, folder, built):
    report = smoke(LocalEngine(), built, with_package(lock, "six", version="1.10.0"), folder, Talk(quiet=True))
    assert not report.ok
    (failed,) = [check for check in report.checks if not check.ok]
    assert (failed.name, failed.detail) == ("packages", "six is 1.11.0, not 1.10.0")


def test_the_probe_run_by_hand_reads_the_lock_beside_it(folder, built):
    run = subprocess.run([f"{built.subject}/bin/python", folder / "smoke.py"], capture_output=True, text=True, env={})
    assert run.returncode == 0
    assert run.stdout.count("\n") == 1
    assert json.loads(run.stdout)["ok"] is True


def test_the_probes_own_references_are_right(built, folder):
    """Against plain loops and numeric gradients, in the old NumPy; a broken BLAS does not pass."""
    command = [f"{built.subject}/bin/python", "-B", HERE / "check_references.py", folder]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout == "references hold\n", run.stderr


def test_the_same_lock_is_built_once(lock, folder, built, capsys):
    settings = BuildSettings(prefix=Path(built.subject))
    again = LocalEngine().build(folder, lock, settings, Talk())
    assert again.seconds is None
    assert "already" in capsys.readouterr().err
    assert LocalEngine().find(folder, lock, settings).subject == built.subject


def test_another_lock_does_not_take_the_prefix(lock, folder, built):
    other = with_package(lock, "six", sha256="0" * 64)
    settings = BuildSettings(prefix=Path(built.subject))
    assert LocalEngine().find(folder, other, settings) is None
    with pytest.raises(UsageError) as caught:
        LocalEngine().build(folder, other, settings, Talk(quiet=True))
    assert caught.value.code == "prefix-taken"
    assert python(built, "print('stands')") == "stands"


@pytest.mark.parametrize("force", [False, True])
def test_foreign_files_are_never_replaced(lock, folder, tmp_path, force):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError) as caught:
        LocalEngine().build(folder, lock, BuildSettings(prefix=tmp_path, force=force), Talk(quiet=True))
    assert caught.value.code == "prefix-taken"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_hash_that_does_not_match_ends_in_one_error_and_leaves_nothing(lock, folder, tmp_path):
    bad = with_package(lock, "six", sha256=hashlib.sha256(b"tampered").hexdigest())
    with pytest.raises(BuildError) as caught:
        LocalEngine().build(folder, bad, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert caught.value.code == "hash-mismatch"
    assert caught.value.hints[-1].startswith("less ")
    assert any("six" in fact for fact in caught.value.facts)
    assert not (tmp_path / "new").exists()


def test_an_index_that_does_not_answer_is_not_a_failed_build(lock, folder, tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(NotReadyError) as caught:
        LocalEngine().build(folder, lock, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert caught.value.code == "no-network"
    assert not (tmp_path / "new").exists()


def test_without_the_python_it_says_which_are_here(lock, folder, tmp_path):
    absent = lock.model_copy(update={"stack": lock.stack.model_copy(update={"python": "3.3"}), "python_full": "3.3.7"})
    with pytest.raises(NotReadyError) as caught:
        LocalEngine().build(folder, absent, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert caught.value.code == "no-interpreter"
    assert caught.value.facts
    assert "pyenv install 3.3.7" in caught.value.hints


def test_a_program_that_is_missing_is_named_with_the_command(lock, folder, tmp_path):
    needy = lock.model_copy(update={"system_packages": ("no-such-compiler",)})
    with pytest.raises(NotReadyError) as caught:
        LocalEngine().build(folder, needy, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert caught.value.hints[0] == "sudo apt-get install no-such-compiler"


def test_a_wheel_for_another_machine_is_refused(lock, folder, tmp_path):
    numpy = next(p for p in lock.packages if p.name == "numpy")
    tag = numpy.filename.rpartition("-")[2]
    strange = with_package(lock, "numpy", filename=numpy.filename.replace(tag, "manylinux_2_99_x86_64.whl"))
    with pytest.raises(NotReadyError) as caught:
        LocalEngine().build(folder, strange, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert caught.value.code == "host-too-old"


CHILD = """
import sys
from pathlib import Path
from envsolve.engine.base import BuildSettings
from envsolve.engine.local import LocalEngine
from envsolve.lock.document import load
from envsolve.talk import Talk
folder, prefix = map(Path, sys.argv[1:])
try:
    LocalEngine().build(folder, load((folder / "envsolve.lock").read_text()), BuildSettings(prefix=prefix), Talk())
except KeyboardInterrupt:
    sys.exit(130)
"""


def start(folder, prefix):
    (prefix.parent / "scratch").mkdir()
    environment = {**os.environ, "TMPDIR": str(prefix.parent / "scratch")}  # of one that is killed something stays
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, folder, prefix], stderr=subprocess.PIPE, text=True, env=environment
    )
    deadline = time.monotonic() + 120
    for line in process.stderr:  # pip has begun
        if "six" in line or time.monotonic() > deadline:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process


def test_interrupted_it_leaves_nothing(lock, folder, tmp_path):
    process = start(folder, tmp_path / "new")
    assert inspect(tmp_path / "new").state == "incomplete"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_build_left_is_told_apart_and_made_anew(lock, folder, tmp_path):
    prefix = tmp_path / "new"
    process = start(folder, prefix)
    with pytest.raises(NotReadyError) as caught:
        LocalEngine().build(folder, lock, BuildSettings(prefix=prefix), Talk(quiet=True))
    assert caught.value.code == "prefix-busy"
    process.kill()
    process.wait(60)
    assert inspect(prefix).state == "incomplete"
    assert (prefix / MARKER).exists()
    built = LocalEngine().build(folder, lock, BuildSettings(prefix=prefix), Talk(quiet=True))
    assert inspect(prefix).state == "complete"
    assert python(built, "import numpy") == ""


def test_pip_sees_the_users_index_and_nothing_else_of_the_user(lock, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "no-such-file"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    built = LocalEngine().build(folder, lock, BuildSettings(prefix=tmp_path / "new"), Talk(quiet=True))
    assert not (tmp_path / "elsewhere").exists()
    assert python(built, "import six; print(six.__file__)").startswith(str(tmp_path / "new"))
