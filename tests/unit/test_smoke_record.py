"""A user's own check beside the probe's, and a smoke test's result as a fact."""

import base64
import json
import random
import subprocess
import sys
import zlib
from datetime import date
from pathlib import Path

import pytest

from envsolve.engine.base import ProbeRun
from envsolve.errors import UsageError
from envsolve.facts import Verified
from envsolve.lint import lint
from envsolve.lock.document import load
from envsolve.models import Check, LoadedLibrary, OwnCheck, SeenGpu, SmokeReport
from envsolve.probe_text import probe_text
from envsolve.render import lock_hash
from envsolve.smoke import OWN_LIMIT, describe, judge, packed
from envsolve.verified import destination, record, verified

ROOT = Path(__file__).parents[2]
LOCK = load(min((ROOT / "tests" / "local").glob("*.lock")).read_text())


def own_run(tmp_path, script, **more):
    """What the probe reports of a user's own check."""
    (tmp_path / "smoke.py").write_text(probe_text())
    (tmp_path / "check.py").write_text(script)
    expect = json.dumps({"own": {**packed(tmp_path / "check.py"), **more}})
    command = [sys.executable, str(tmp_path / "smoke.py"), expect]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return judge(ProbeRun(run.returncode, run.stdout, run.stderr, 1.0), backend="local", subject="/prefix")


def own_check(report):
    (check,) = [check for check in report.checks if check.name == "own check check.py"]
    return check


def test_a_check_of_the_users_own_that_ends_with_0_passes(tmp_path):
    report = own_run(tmp_path, "import sys\nprint(len(sys.argv))\nprint('fine')\n")
    assert own_check(report).ok
    assert own_check(report).detail == "exit code 0; it last said: fine"
    assert report.own == OwnCheck(name="check.py", exit_code=0, lines=("1", "fine"))
    assert "own check check.py: exit code 0\n" in describe(report)


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("import sys\nprint('accuracy 0.3')\nsys.exit(3)\n", "exit code 3; it last said: accuracy 0.3"),
        ("raise ValueError('not trained')\n", "exit code 1; it last said: ValueError: not trained"),
        ("import os\nos.kill(os.getpid(), 9)\n", "exit code -9"),
    ],
)
def test_one_that_ends_otherwise_fails_with_what_it_last_said(tmp_path, script, detail):
    report = own_run(tmp_path, script)
    assert not own_check(report).ok
    assert not report.ok
    assert own_check(report).detail == detail


def test_one_that_does_not_end_is_ended(tmp_path):
    report = own_run(tmp_path, "import time\nprint('begun', flush=True)\ntime.sleep(60)\n", seconds=1)
    assert own_check(report).detail == "did not end in time; it last said: begun"
    assert report.own.exit_code is None


def test_the_last_lines_are_kept_and_its_output_is_not_the_report(tmp_path):
    report = own_run(tmp_path, 'for i in range(500): print(i)\nprint(\'{"schema": "envsolve/smoke-1"}\')\n')
    assert report.own.lines[:1] == ("481",)
    assert len(report.own.lines) == 20


def test_a_script_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        packed(tmp_path / "none.py")
    with pytest.raises(UsageError, match="directory"):
        packed(tmp_path)
    small = tmp_path / "small.py"
    small.write_text("print(1)\n")
    assert zlib.decompress(base64.b64decode(packed(small)["script"])) == b"print(1)\n"
    large = tmp_path / "large.py"
    large.write_bytes(random.Random(1).randbytes(OWN_LIMIT))
    with pytest.raises(UsageError, match="too many"):
        packed(large)


# -- the fact -----------------------------------------------------------------------------------------------

GPU = SmokeReport(
    ok=False, backend="docker", subject="sha256:1", python="3.6.15", device="gpu", os="ubuntu 16.04",
    checks=(Check(name="numpy", ok=True), Check(name="own check mine.py", ok=False, detail="secret accuracy")),
    gpus=(SeenGpu(name="Tesla V100-SXM2-16GB", capability="7.0"),), driver="535.104.05",
    libraries=(LoadedLibrary(name="libcudnn", version="6.0.21", path="/home/somebody/libcudnn.so.6"),),
    own=OwnCheck(name="mine.py", exit_code=1, lines=("secret accuracy",)),
)  # fmt: skip


def test_a_fact_says_what_ran_where_and_nothing_of_the_person():
    fact = verified(LOCK, GPU, date(2026, 11, 24))
    assert (fact.ok, fact.ran, fact.failed) == (True, ("numpy",), {})
    assert (fact.python, fact.os, fact.image, fact.lock) == (
        "3.6.15", "ubuntu 16.04", LOCK.image.reference, lock_hash(LOCK),
    )  # fmt: skip
    assert fact.builds == tuple(sorted(f.build for f in LOCK.stack.frameworks))
    assert fact.libraries == {"libcudnn": "6.0.21"}
    assert fact.id.endswith("-sm70-docker")
    text = fact.model_dump_json()
    assert not any(word in text for word in ("secret", "mine.py", "somebody"))


def test_what_failed_is_kept_without_the_persons_folders():
    detail = f"libx.so not found in {Path.home()}/site and /data/me/env/lib"
    report = SmokeReport(
        ok=False, backend="local", subject="/data/me/env", checks=(Check(name="x import", ok=False, detail=detail),)
    )
    fact = verified(LOCK, report)
    assert (fact.ok, fact.image) == (False, None)
    assert fact.failed == {"x import": "libx.so not found in ~/site and PREFIX/lib"}


def test_it_is_written_where_it_is_asked_or_into_the_database_of_a_checkout(tmp_path, monkeypatch):
    path = record(LOCK, GPU, tmp_path / "new" / "fact.json")
    assert Verified.model_validate_json(path.read_text()) == verified(LOCK, GPU)
    first = path.read_bytes()
    assert record(LOCK, GPU, path) == path
    assert path.read_bytes() == first
    fact = verified(LOCK, GPU)
    assert record(LOCK, GPU, tmp_path) == tmp_path / f"{fact.id}.json"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name, git in (("installed", False), ("checkout", True)):
        matrices = tmp_path / name / "matrices"
        matrices.mkdir(parents=True)
        if git:
            (tmp_path / name / ".git").mkdir()
        monkeypatch.setattr("envsolve.verified.data_dir", lambda _, matrices=matrices: matrices)
        folder = matrices / "verified" if git else tmp_path / "data" / "envsolve" / "verified"
        assert destination(fact) == folder / f"{fact.id}.json"
    with pytest.raises(UsageError, match="fact"):
        record(LOCK, GPU, path / "below.json")


def test_the_linter_reads_it(tmp_path):
    record(LOCK, GPU, tmp_path / "verified" / f"{verified(LOCK, GPU).id}.json")
    assert {finding.rule for finding in lint(tmp_path)} <= {"verified"}
    (tmp_path / "verified" / "x.json").write_text("{")
    assert "schema" in {finding.rule for finding in lint(tmp_path)}
