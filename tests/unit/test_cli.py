"""The command line as real processes: exit codes, one error shape, results on stdout, talk on stderr."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from envsolve import __version__
from envsolve import folder as folders
from envsolve.cli import COMMANDS
from envsolve.dispatch import VALUE_OPTIONS, run, split
from envsolve.errors import OutOfDateError
from envsolve.matrices import load
from envsolve.models import Lock, LockedImage, LockedPackage
from envsolve.pipeline import answer, check_lock, rendered

HEAVY = ("docker", "requests", "jinja2", "pynvml", "rich")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("ENVSOLVE_", "NO_COLOR"))}
NO_NETWORK = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}


def envsolve(*words, cwd, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "envsolve", *words], cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, text=True,
        env={**CLEAN, **environment}, timeout=120, check=False,
    )  # fmt: skip


def check_error(done, code, exit_code):
    """The one shape, and no traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode == exit_code, done.stderr
    assert lines[0] == f"error: {code}", done.stderr
    assert lines[1] == ""
    assert lines[2].startswith("× ")
    for line in lines[3:]:
        assert line == "" or line.startswith(("│ ", "hint: ")), done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


# -- answers -------------------------------------------------------------------------------------------------


def test_an_answer_is_on_stdout_and_a_dry_run_writes_nothing(tmp_path):
    done = envsolve("tf==1.4", "keras==2.0.8", "--gpu", "none", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "tensorflow 1.4." in done.stdout.splitlines()[1]
    assert "keras 2.0.8" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_options_stand_on_either_side_and_solve_may_be_said(tmp_path):
    answers = {
        envsolve(*words, cwd=tmp_path).stdout
        for words in (
            ["tf==1.4", "--gpu", "none", "--dry-run"],
            ["--gpu", "none", "--dry-run", "tf==1.4"],
            ["--dry-run", "solve", "--gpu", "none", "tf==1.4"],
        )
    }
    assert len(answers) == 1
    assert "tensorflow" in answers.pop()


def test_json_is_one_document(tmp_path):
    done = envsolve("tf==1.4", "--gpu", "RTX 3090", "--driver", "535.104", "--dry-run", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["schema"] == "envsolve/solution-1"
    assert document["status"] == "solved"
    assert document["request"]["driver"] == "535.104"
    assert document["host"]["gpus"][0]["compute_capability"] == "8.6"
    stack = document["chosen"]
    assert {"device", "verdict", "fidelity", "frameworks", "python", "cuda", "cudnn", "cuda_source", "os", "glibc",
            "base_image", "driver_min", "reasons", "warnings", "command"} <= set(stack)  # fmt: skip
    assert {"name", "package", "version", "origin", "build"} <= set(stack["frameworks"][0])
    assert {"axis", "fact", "text", "source", "how", "checked"} <= set(stack["reasons"][0])
    assert (stack["device"], stack["cuda"], stack["cudnn"]) == ("cpu", None, None)


def test_same_question_same_bytes(tmp_path):
    ask = ("tf==1.4", "--gpu", "RTX 3090", "--driver", "535.104", "--dry-run", "--json")
    assert envsolve(*ask, cwd=tmp_path).stdout == envsolve(*ask, cwd=tmp_path, PYTHONHASHSEED="7").stdout


def test_a_conflict_is_an_answer_with_exit_1(tmp_path):
    ask = ("tf==1.4", "--python", "3.9", "--gpu", "none")
    done = envsolve(*ask, cwd=tmp_path)
    assert "Why not" in done.stdout
    check_error(done, "no-combination", 1)
    document = json.loads(envsolve(*ask, "--json", cwd=tmp_path).stdout)
    assert (document["status"], document["chosen"]) == ("conflict", None)
    assert document["conflict"]["core"]
    assert list(tmp_path.iterdir()) == []


def test_version_and_imports(tmp_path):
    assert envsolve("--version", cwd=tmp_path).stdout == f"envsolve {__version__}\n"
    for words in (["--version"], ["tf==1.4", "--gpu", "none", "--dry-run"]):
        code = (
            f"import sys; sys.argv[1:] = {words!r}\n"
            "from envsolve.cli import main\n"
            "try: main()\n"
            f"finally: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stderr == "[]\n"


def test_the_library_face(tmp_path):
    code = (
        "import sys, envsolve\n"
        f"assert not [m for m in {(*HEAVY, 'pydantic', 'typer')!r} if m in sys.modules]\n"
        "facts = envsolve.load_facts()\n"
        "request = envsolve.build_request(['tf==1.4'], facts, gpu=('none',))\n"
        "solution = envsolve.solve(request, envsolve.probe(request, facts), facts)\n"
        "assert isinstance(solution, envsolve.Solution)\n"
        "print(envsolve.explain.answer(solution))\n"
        "assert set(envsolve.__all__) <= set(dir(envsolve))\n"
        "assert all(getattr(envsolve, name) for name in envsolve.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tensorflow 1.4." in done.stdout


def test_help_lists_the_commands(tmp_path):
    done = envsolve("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in COMMANDS.keys() - {"scan"}:
        assert f"  {name} " in done.stdout
        helped = envsolve(*name.split(), "--help", cwd=tmp_path)
        assert helped.returncode == 0
        assert "Usage:" in helped.stdout


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["tf=1.4"], "bad-requirement", "envsolve tf==1.4"),
        (["tensorfow==1.4"], "unknown-framework", "envsolve tensorflow==1.4"),
        (["tf==1.4.7"], "unknown-version", "envsolve tf==1.4.1"),
        (["tf==1.99"], "unknown-version", None),
        (["tf==1.4", "--gpu", "RTX 309"], "unknown-gpu", "envsolve tf==1.4 --gpu 'NVIDIA GeForce RTX 3090'"),
        (["tf==1.4", "--driver", "new"], "bad-driver", None),
        (["tf==1.4", "--python", "36"], "bad-python", "envsolve tf==1.4 --python 3.6"),
        (["tf==1.4", "--python", "3.99"], "unknown-python", None),
        (["tf==1.4", "--os", "debain11"], "unknown-os", None),
        (["tf==1.4", "--accept", "slow"], "bad-accept", "envsolve tf==1.4 --accept jit"),
        (["tf==1.4", "--backend", "lxc"], "bad-backend", "envsolve tf==1.4 --backend auto"),
        (["tf==1.4", "--nope"], "unknown-option", "envsolve --help"),
        (["tf==1.4", "--gpu"], "bad-option", "envsolve --help"),
        (["tf==1.4", "--dry-run", "--build"], "contradictory-options", None),
        (["tf==1.4", "--prefix", "x"], "contradictory-options", None),
        ([], "nothing-asked", "envsolve --help"),
        (["doctr"], "no-framework", "envsolve doctor --help"),
        (["missing/requirements.txt"], "no-such-file", None),
        (["."], "is-a-folder", "envsolve scan . --solve"),
        (["scan", "nowhere"], "no-such-file", None),
        (["matrix"], "unknown-command", "envsolve matrix show"),
        (["matrix", "shwo"], "unknown-command", "envsolve matrix show"),
        (["matrix", "show", "nothing"], "unknown-row", "envsolve matrix list"),
        (["matrix", "show", "tf==1.4.7"], "unknown-version", None),
        (["matrix", "list", "cats"], "unknown-table", "envsolve matrix list frameworks"),
        (["why"], "missing-argument", "envsolve why --help"),
    ],
)  # fmt: skip
def test_bad_input(tmp_path, words, code, hint):
    done = envsolve(*words, cwd=tmp_path)
    check_error(done, code, 2)
    assert done.stdout == ""
    assert hint is None or f"hint: {hint}" in done.stderr.splitlines()
    assert list(tmp_path.iterdir()) == []


def test_an_error_as_json(tmp_path):
    done = envsolve("tf=1.4", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["schema"] == "envsolve/error-1"
    assert (document["code"], document["exit"], document["hints"]) == ("bad-requirement", 2, ["envsolve tf==1.4"])
    check_error(done, "bad-requirement", 2)


@pytest.mark.parametrize("command", ["build", "smoke", "why", "lock", "render"])
def test_a_folder_that_is_none(tmp_path, command):
    done = envsolve(command, "missing", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_network_the_answer_comes_first_and_nothing_is_written(tmp_path):
    words = ("tf==1.4", "--gpu", "none", "-o", "out")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = envsolve(*words, cwd=tmp_path, **NO_NETWORK, **cache)
    assert done.returncode == 4, done.stderr
    assert "tensorflow 1.4." in done.stdout
    assert "error: no-network" in done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(envsolve(*words, "--json", cwd=tmp_path, **NO_NETWORK, **cache).stdout)
    assert (document["status"], document["error"]["code"]) == ("solved", "no-network")
    assert not (tmp_path / "out").exists()


def test_a_check_of_ones_own_needs_a_build_and_is_read_before_it(tmp_path):
    done = envsolve("tf==1.4", "--gpu", "none", "--smoke", "check.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--build" in done.stderr
    done = envsolve("tf==1.4", "--gpu", "none", "--build", "--smoke", "check.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "check.py: No such file" in done.stderr


def test_offline_without_a_cache(tmp_path):
    done = envsolve("tf==1.4", "--gpu", "none", "--offline", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 4
    assert "error: offline" in done.stderr
    assert not (tmp_path / "envsolve").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_while_locking(tmp_path, number, code):
    """An index that never answers; the answer is there already, then the user has had enough."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked, open_ = threading.Event(), []
        threading.Thread(target=lambda: (open_.append(server.accept()), asked.set()), daemon=True).start()
        process = subprocess.Popen(
            [sys.executable, "-m", "envsolve", "tf==1.4", "--gpu", "none"], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**CLEAN, **NO_NETWORK, "PIP_INDEX_URL": f"http://127.0.0.1:{server.getsockname()[1]}/simple",
                 "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )  # fmt: skip
        assert asked.wait(60), "the index was never asked"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "tensorflow 1.4." in out
    assert err.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "envsolve").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_stdout(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = envsolve("matrix", "list", "gpus", cwd=tmp_path, stdout=full)
    check_error(done, "disk-full", 4)


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = envsolve("matrix", "list", "gpus", cwd=tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_unicode(tmp_path):
    done = envsolve("tf=1.4", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stderr.startswith("error: bad-requirement")


def test_a_defect_says_what_to_report(capsys, monkeypatch):
    def broken():
        """Fail."""
        raise ZeroDivisionError("oh")

    monkeypatch.delenv("ENVSOLVE_DEBUG", raising=False)
    assert run(["broken"], {"broken": broken}, "9.9") == 70
    err = capsys.readouterr().err
    assert err.startswith("error: defect\n")
    assert "ZeroDivisionError: oh" in err
    assert "test_cli.py:" in err
    assert "9.9" in err
    assert "Traceback" not in err
    monkeypatch.setenv("ENVSOLVE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["broken"], {"broken": broken}, "9.9")


def test_a_surprise_of_the_system_is_no_defect(capsys):
    def denied():
        """Fail."""
        raise PermissionError(13, "Permission denied", "/root/x")

    assert run(["denied"], {"denied": denied}, "9.9") == 4
    assert "/root/x: Permission denied" in capsys.readouterr().err


# -- dispatch and configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        (["tf", "--gpu", "none"], "solve", ["tf", "--gpu", "none"]),
        (["--gpu", "build", "tf"], "solve", ["--gpu", "build", "tf"]),
        (["--json", "doctor"], "doctor", ["--json"]),
        (["matrix", "list", "gpus"], "matrix list", ["gpus"]),
        (["--json", "matrix", "stats"], "matrix stats", ["--json"]),
        (["build", "x", "--backend", "local"], "build", ["x", "--backend", "local"]),
        ([], "solve", []),
    ],
)
def test_which_command(words, name, rest):
    assert split(words, COMMANDS) == (name, rest)


def test_the_options_with_values_are_known_to_dispatch(tmp_path):
    """A new option that takes a value must be listed, or a command after it is not found."""
    import typer

    found = set()
    for command in COMMANDS.values():
        app = typer.Typer(add_completion=False)
        app.command()(command)
        parameters = typer.main.get_command(app).params
        found |= {o for p in parameters if p.param_type_name == "option" and not p.is_flag for o in p.opts}
    assert found - {"--help"} == VALUE_OPTIONS


def test_configuration_command_line_before_environment_before_file(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.envsolve]\ntargets = ["tf==1.4"]\ngpu = ["none"]\npython = "3.5"\nas-of = 2018-01-15\n'
    )
    ask = ("--dry-run", "--json")
    request = json.loads(envsolve(*ask, cwd=tmp_path).stdout)["request"]
    assert (request["gpu"], request["python"], request["as_of"]) == (["none"], "3.5", "2018-01-15")
    assert request["targets"][0]["text"] == "tf==1.4"
    request = json.loads(envsolve(*ask, cwd=tmp_path, ENVSOLVE_PYTHON="2.7").stdout)["request"]
    assert request["python"] == "2.7"
    request = json.loads(envsolve("tf==1.5", "--python", "3.6", *ask, cwd=tmp_path, ENVSOLVE_PYTHON="2.7").stdout)[
        "request"
    ]
    assert request["python"] == "3.6"
    assert [t["text"] for t in request["targets"]] == ["tf==1.5"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("envsolve.toml", "gpu = 3\n", "gpu must be a list of strings"),
        ("envsolve.toml", "grafik = 'x'\n", "unknown key grafik"),
        ("envsolve.toml", "gpu = [\n", "envsolve.toml"),
        ("pyproject.toml", "[tool.envsolve]\nrequire-gpu = 'yes'\n", "require-gpu must be true or false"),
    ],
)
def test_a_bad_configuration_names_file_and_key(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    done = envsolve("tf==1.4", "--dry-run", cwd=tmp_path)
    check_error(done, "bad-configuration", 2)
    assert says in done.stderr
    assert name in done.stderr


def test_somebody_elses_broken_pyproject_is_left_alone(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.black\n")
    assert envsolve("tf==1.4", "--gpu", "none", "--dry-run", cwd=tmp_path).returncode == 0


# -- the database --------------------------------------------------------------------------------------------


def test_matrix_show_gives_each_fact_with_its_source(tmp_path):
    done = envsolve("matrix", "show", "tensorflow-gpu==1.4.1", "--json", cwd=tmp_path)
    (build,) = json.loads(done.stdout)["builds"]
    for key in ("sass", "ptx", "cuda", "cudnn", "glibc", "python", "cpu"):
        assert key in build
    assert build["cuda"] == "8.0"
    assert set(build["evidence"]["cuda"]) >= {"source", "checked", "how"}
    text = envsolve("matrix", "show", "tensorflow-gpu==1.4.1", cwd=tmp_path).stdout
    assert "cuda       8.0  [" in text


@pytest.mark.parametrize(
    "table", ["", "frameworks", "gpus", "cuda", "cudnn", "systems", "images", "pythons", "caps", "tf"]
)
def test_matrix_list(tmp_path, table):
    done = envsolve("matrix", "list", *table.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_matrix_stats_count_what_is_there(tmp_path):
    stats = json.loads(envsolve("matrix", "stats", "--json", cwd=tmp_path).stdout)
    assert stats["rows"]["builds"] > 30
    assert sum(stats["how"].values()) > stats["rows"]["builds"]


def test_matrix_lint_passes_on_the_database_that_ships(tmp_path):
    done = envsolve("matrix", "lint", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


# -- folders that envsolve wrote -----------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """A folder with a lock of one package, as solve would have written it."""
    facts = load()
    solution = answer(["tf==1.4"], facts=facts, gpu=("none",))
    image = facts.images[next(i for i, row in facts.images.items() if row.reference == solution.chosen.base_image)]
    package = LockedPackage(
        name="tensorflow", version="1.4.1", filename="tensorflow-1.4.1-cp36-cp36m-manylinux1_x86_64.whl",
        sha256="0" * 64, size=1, upload_time="2017-12-08T00:00:00Z", phase="wheel", reason="asked for",
    )  # fmt: skip
    lock = Lock(
        envsolve=__version__, facts=facts.version, request=solution.request, host=solution.host, stack=solution.chosen,
        as_of=date(2018, 1, 15), as_of_reason="a test", python_full=image.python or "3.6.15",
        image=LockedImage(reference=image.reference), packages=(package,),
    )  # fmt: skip
    folders.write(tmp_path / "out", rendered(lock))
    return tmp_path


def test_why_reads_the_lock(written):
    everything = envsolve("why", "out", cwd=written).stdout
    assert "tensorflow 1.4." in everything.splitlines()[0]
    about = envsolve("why", "out", "python", cwd=written).stdout
    assert about.startswith("Python: ")
    assert len(about) < len(envsolve("why", "out", "--all", cwd=written).stdout)
    reasons = json.loads(envsolve("why", "out", "python", "--json", cwd=written).stdout)["reasons"]
    assert {r["axis"] for r in reasons} == {"python"}
    done = envsolve("why", "out", "colour", cwd=written)
    check_error(done, "unknown-axis", 2)
    assert "hint: envsolve why out python" in done.stderr


def test_render_check_tells_an_edit_and_force_gives_it_up(written):
    assert envsolve("render", "out", "--check", cwd=written).returncode == 0
    dockerfile = written / "out/Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(text + "# mine\n")
    done = envsolve("render", "out", "--check", cwd=written)
    check_error(done, "out-of-date", 3)
    assert "Dockerfile" in done.stderr
    done = envsolve("render", "out", cwd=written)
    check_error(done, "edited-files", 3)
    assert dockerfile.read_text() == text + "# mine\n"
    assert envsolve("render", "out", "--force", cwd=written).returncode == 0
    assert dockerfile.read_text() == text


def test_a_damaged_lock_is_said(written):
    (written / "out/envsolve.lock").write_text("{")
    for command in ("build", "smoke", "why", "lock", "render"):
        check_error(envsolve(command, "out", cwd=written), "bad-lock", 2)


@pytest.mark.parametrize("command", ["build", "smoke"])
def test_an_engine_that_does_not_answer(written, command):
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = envsolve(command, "out", "--backend", "docker", cwd=written, **nowhere)
    check_error(done, "no-engine", 4)
    done = envsolve(command, "out", "--backend", "lxc", cwd=written)
    check_error(done, "bad-backend", 2)
    done = envsolve(command, "out", "--backend", "docker", "--prefix", "x", cwd=written)
    check_error(done, "contradictory-options", 2)


def test_locking_again_without_network_changes_nothing(written):
    before = {p: p.read_bytes() for p in (written / "out").rglob("*") if p.is_file()}
    done = envsolve("lock", "out", cwd=written, **NO_NETWORK, XDG_CACHE_HOME=str(written / "cache"))
    assert done.returncode == 4
    assert "error: no-network" in done.stderr
    assert before == {p: p.read_bytes() for p in (written / "out").rglob("*") if p.is_file()}


def test_what_differs_between_two_locks_is_named(written):
    lock = folders.read_lock(written / "out")
    check_lock(lock, lock)
    newer = lock.packages[0].model_copy(update={"version": "1.4.2"})
    with pytest.raises(OutOfDateError) as caught:
        check_lock(lock, lock.model_copy(update={"packages": (newer,)}))
    assert caught.value.facts == ("tensorflow: 1.4.1 -> 1.4.2",)


def test_without_an_engine_and_without_a_python_it_is_not_ready(tmp_path):
    """Nothing can be built here: exit 4 with commands, not an answer that pretends the request is at fault."""
    bare = {
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "HOME": str(tmp_path),
        "PYENV_ROOT": str(tmp_path / "none"),
        "PATH": str(tmp_path / "none"),
    }
    done = envsolve("tf==1.4", "--python", "3.5", "--gpu", "none", "--build", cwd=tmp_path, **bare)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "error: no-engine" in done.stderr
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []
