"""``envsolve try``: what an error is read as, what is proposed, and that every proposal solves."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from envsolve.attempt.code import OwnCode
from envsolve.attempt.failure import failures
from envsolve.attempt.findings import findings
from envsolve.attempt.propose import Proposer
from envsolve.attempt.report import Attempt, document, text
from envsolve.cli import main
from envsolve.engine.overheard import TAIL, Listener, run
from envsolve.folder import read_lock
from envsolve.matrices import load
from envsolve.scan.symbols import Library

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Library()
SITE = "/opt/env/lib/python3.6/site-packages"


@pytest.fixture(scope="module")
def facts():
    return load()


@pytest.fixture(scope="module")
def locks():
    return {
        name: read_lock(ROOT / "examples" / name / "envsolve")
        for name in ("tensorflow2.6", "tensorflow1.4-keras2.0.8", "theano0.9-keras1.2.2", "torch1.7.1")
    }


@pytest.fixture(autouse=True)
def no_cache(tmp_path_factory, monkeypatch):
    """Without an index and without what was kept of one: proposals are solved, and not locked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


# -- reading -------------------------------------------------------------------------------------------------------

CHAINED = f"""noise
Traceback (most recent call last):
  File "{SITE}/foo/a.py", line 3, in <module>
    import _foo
ModuleNotFoundError: No module named '_foo'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "train.py", line 1, in <module>
    import foo
  File "{SITE}/foo/a.py", line 5, in <module>
    raise ImportError("no _foo")
ImportError: no _foo
more noise
"""


def test_the_last_exception_comes_first():
    found = failures(CHAINED)
    assert [(f.kind, f.message.splitlines()[0]) for f in found] == [
        ("ImportError", "no _foo"), ("ModuleNotFoundError", "No module named '_foo'"),
    ]  # fmt: skip
    assert [(f.file, f.line) for f in found[0].frames] == [("train.py", 1), (f"{SITE}/foo/a.py", 5)]


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            '  File "a.py", line 2\n    print "x"\n          ^\nSyntaxError: invalid syntax\n',
            "SyntaxError",
            "invalid syntax",
        ),
        (
            'Traceback (most recent call last):\r\n  File "a.py", line 2, in f\r\nKeyError: 3\r\n',
            "KeyError",
            "3",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 2, in f\nx.y.InvalidError: shape\n  and more\n',
            "InvalidError",
            "shape\n  and more",
        ),
        (
            '\x1b[31mTraceback (most recent call last):\x1b[0m\n  File "a.py", line 2, in f\n    f(\nAssertionError\n',
            "AssertionError",
            "",
        ),
    ],
)
def test_forms_of_tracebacks(said, kind, message):
    found = failures(said)
    assert [(f.kind, f.message) for f in found] == [(kind, message)]
    assert [f.file for f in found[0].frames] == ["a.py"]


@pytest.mark.parametrize("said", ["", "usage: a.py [-h]\n", "Error: nothing\n", 'File "a.py", line 2\nValueError: x'])
def test_what_is_no_traceback(said):
    assert failures(said) == []


# -- finding and proposing -----------------------------------------------------------------------------------------


def raised(line: int, error: str, file: str = "train.py") -> str:
    return f'Traceback (most recent call last):\n  File "{file}", line {line}, in <module>\n    code\n{error}\n'


TF1 = "import tensorflow as tf\nx = tf.placeholder(tf.float32, [2])\ntf.app.run()\n"
NB = "from keras.models import Sequential\nm = Sequential()\nm.fit(\n    x, y,\n    nb_epoch=3)\n"
TF2 = "import tensorflow as tf\ntf.random.set_seed(1)\nlayer = tf.keras.layers.RandomFlip()\n"
CASES = {
    "a name that is gone": (
        "tensorflow2.6", TF1, raised(2, "AttributeError: module 'tensorflow' has no attribute 'placeholder'"),
        "tensorflow.placeholder is in all of 0.12.1 to 1.15.5", ["tensorflow==1.15.5"],
    ),
    "a name that is yet to come": (
        "tensorflow1.4-keras2.0.8", TF2, raised(2, "AttributeError: module 'tensorflow' has no attribute 'random'"),
        "the environment has tensorflow 1.4.1", ["tensorflow==2"],
    ),
    "a module that is gone": (
        "tensorflow2.6", "import tensorflow.contrib.slim as slim\n",
        raised(1, "ModuleNotFoundError: No module named 'tensorflow.contrib'"),
        "tensorflow.contrib is in", ["tensorflow==1.15.5"],
    ),
    "a name that is not imported": (
        "tensorflow1.4-keras2.0.8", "from keras.layers import merge, MultiHeadAttention\n",
        raised(1, "ImportError: cannot import name 'MultiHeadAttention'"),
        "keras.layers.MultiHeadAttention is in", ["keras=="],
    ),
    "a parameter of Keras 1": (
        "tensorflow1.4-keras2.0.8", NB, raised(5, "TypeError: fit() got an unexpected keyword argument 'nb_epoch'"),
        "keras.models.Sequential.fit has a parameter nb_epoch in 0.2.0 to 1.2.2", ["keras==1.2.2"],
    ),
    "Python 2": (
        "tensorflow1.4-keras2.0.8", "import keras\nprint 'a'\n",
        '  File "train.py", line 2\n    print \'a\'\n            ^\nSyntaxError: Missing parentheses\n',
        "print statement is Python <3; the environment has Python 3.6", ["tf==1.4", "keras==2.0.8", "--python 2.7"],
    ),
    "a name of Python 2, where the release has no such Python": (
        "tensorflow2.6", "import tensorflow as tf\nfor i in xrange(3):\n    pass\n",
        raised(2, "NameError: name 'xrange' is not defined"),
        "xrange is Python <3", ["tensorflow==2.1", "--python 2.7"],
    ),
    "a module of Python 2": (
        "tensorflow1.4-keras2.0.8", "import urllib2\n", raised(1, "ModuleNotFoundError: No module named 'urllib2'"),
        "urllib2 is Python <3", ["--python 2.7"],
    ),
    "a method of Python 2": (
        "tensorflow1.4-keras2.0.8", "d = {}\nd.has_key(1)\n",
        raised(2, "AttributeError: 'dict' object has no attribute 'has_key'"), "has_key is Python <3", ["--python 2.7"],
    ),
    "a missing project, and more of them": (
        "tensorflow1.4-keras2.0.8", "import cv2\nfrom PIL import Image\n",
        raised(1, "ModuleNotFoundError: No module named 'cv2'"),
        "cv2 is a module of opencv-python", ["tf==1.4", "keras==2.0.8", "opencv-python", "pillow"],
    ),
    "a missing project at the releases that have its name": (
        "tensorflow1.4-keras2.0.8", "from sklearn import cross_validation\n",
        raised(1, "ModuleNotFoundError: No module named 'sklearn'"), "sklearn is a module of scikit-learn",
        ["'scikit-learn<0.20'"],
    ),
    "a missing framework": (
        "tensorflow1.4-keras2.0.8", "import theano\n", raised(1, "ModuleNotFoundError: No module named 'theano'"),
        "theano is a module of theano", ["theano"],
    ),
}  # fmt: skip


def found_for(case, facts, locks, folder, files=()):
    example, code, said, _, _ = case
    (folder / "train.py").write_text(code)
    for name, content in dict(files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    seen = failures(said)
    own = OwnCode(locks[example], facts, folder, None, LIBRARY)
    own.read(seen, ("python", "train.py"))
    return findings(seen[0], own, ("python", "train.py")), own


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_is_found_and_that_the_command_solves(case, facts, locks, tmp_path, capsys):
    found, own = found_for(case, facts, locks, tmp_path)
    assert case[3] in found[0].why
    proposer = Proposer(locks[case[0]], facts, tmp_path / "env", "docker", own, offline=True)
    proposal = proposer.propose(found[0].change)
    assert proposal is not None
    assert all(word in proposal.command for word in case[4])
    assert proposal.checked == "solved"
    words = shlex.split(proposal.command)
    assert words[0] == "envsolve"
    assert words[-3:] == ["-o", str(tmp_path / "env"), "--build"]
    with pytest.raises(SystemExit) as end:
        main([*words[1:-3], "--dry-run", "--json"])
    assert end.value.code == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert chosen["python"] == proposal.stack.python
    assert {f["version"] for f in chosen["frameworks"]} == {f.version for f in proposal.stack.frameworks}


def test_other_uses_of_the_file_narrow_what_is_proposed(facts, locks, tmp_path):
    code = "import tensorflow as tf\ntf.placeholder(tf.float32)\ntf.pack([1])\n"
    said = raised(2, "AttributeError: module 'tensorflow' has no attribute 'placeholder'")
    found, _ = found_for(("tensorflow2.6", code, said, "", []), facts, locks, tmp_path)
    assert found[0].also == ("tensorflow.pack",)
    assert len(found[0].change.ranges) == 2


def test_a_module_of_ones_own_is_told_apart(facts, locks, tmp_path):
    case = ("torch1.7.1", "import helper\n", raised(1, "ModuleNotFoundError: No module named 'helper'"), "", [])
    found, _ = found_for(case, facts, locks, tmp_path, {"src/helper.py": ""})
    assert "helper is a module of your own, src/helper.py" in found[0].why
    assert found[0].hint == "env PYTHONPATH=src python train.py"
    assert found[0].change is None


def test_an_import_from_the_same_package_without_a_dot_is_python_2(facts, locks, tmp_path):
    said = raised(1, "ModuleNotFoundError: No module named 'helper'", "pkg/model.py")
    case = ("tensorflow1.4-keras2.0.8", "import pkg.model\n", said, "", [])
    files = {"pkg/__init__.py": "", "pkg/model.py": "import helper\n", "pkg/helper.py": ""}
    found, _ = found_for(case, facts, locks, tmp_path, files)
    assert "implicit relative import is Python <3" in found[0].why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("ModuleNotFoundError: No module named 'nobody_knows'", "no package is known to bring nobody_knows"),
        ("ModuleNotFoundError: No module named 'apex'", "no project of the package index is that module"),
    ],
)
def test_a_module_that_nobody_brings_is_said_to_be_unknown(facts, locks, tmp_path, error, why):
    found, _ = found_for(("torch1.7.1", "import x\n", raised(1, error), "", []), facts, locks, tmp_path)
    assert why in found[0].why
    assert found[0].change is None


def test_a_parameter_that_no_release_has(facts, locks, tmp_path):
    code = "from keras.models import Sequential\nm = Sequential()\nm.fit(1, 2, epoch_count=3)\n"
    said = raised(3, "TypeError: fit() got an unexpected keyword argument 'epoch_count'")
    found, _ = found_for(("tensorflow1.4-keras2.0.8", code, said, "", []), facts, locks, tmp_path)
    assert "no release of keras that was read has a parameter epoch_count" in found[0].why


@pytest.mark.parametrize(
    "error",
    [
        "ValueError: the batch size",
        "TypeError: unsupported operand",
        "AttributeError: 'Net' object has no attribute 'fc'",
    ],
)
def test_nothing_is_known_of_a_fault_of_ones_own(facts, locks, tmp_path, error):
    found, _ = found_for(("torch1.7.1", "x = 1 + f()\n", raised(1, error), "", []), facts, locks, tmp_path)
    assert found == []


def test_files_of_packages_and_of_python_are_not_ones_own(facts, locks, tmp_path):
    own = OwnCode(locks["torch1.7.1"], facts, tmp_path, tmp_path / "prefix")
    for name in ("prefix/a.py", "x/site-packages/a.py", "lib/python3.6/a.py", "mine.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    names = [
        "prefix/a.py",
        "x/site-packages/a.py",
        "lib/python3.6/a.py",
        "<frozen importlib>",
        "gone.py",
        "a\0b",
        "mine.py",
    ]
    assert [name for name in names if own.own_path(name)] == ["mine.py"]


# -- telling -------------------------------------------------------------------------------------------------------


def test_it_is_told_in_words_and_as_a_document(facts, locks, tmp_path):
    case = CASES["a name that is gone"]
    found, own = found_for(case, facts, locks, tmp_path)
    proposal = Proposer(locks[case[0]], facts, Path("env"), "local", own, offline=True).propose(found[0].change)
    done = Attempt(Path("env"), ("python", "train.py"), 1, failures(case[2])[0], "train.py:2", [(found[0], proposal)])
    told = text(done)
    assert "Error    AttributeError: module 'tensorflow' has no attribute 'placeholder' (train.py:2)" in told
    assert f"Run      {proposal.command}" in told
    assert told.endswith("Then     envsolve try env -- python train.py")
    written = document(done)
    assert written["schema"] == "envsolve/try-1"
    assert written["error"] == {
        "kind": "AttributeError", "message": "module 'tensorflow' has no attribute 'placeholder'", "file": "train.py",
        "line": 2,
    }  # fmt: skip
    assert written["findings"][0]["command"] == proposal.command
    json.dumps(written)


def test_an_end_without_an_error_of_python_is_said_to_be_unknown():
    assert "nothing is known" in text(Attempt(Path("env"), ("make",), 2))


# -- the command's output ------------------------------------------------------------------------------------------


def heard(code: str, capfd, **more):
    listener = Listener(**more)
    ended = run([sys.executable, "-c", code], os.environ, listener)
    return ended, listener, capfd.readouterr()


def test_output_goes_through_and_its_end_is_kept(capfd):
    ended, listener, said = heard("import sys; print('out'); sys.stderr.write('err'); sys.exit(7)", capfd)
    assert (ended, said.out, said.err) == (7, "out\n", "err")
    assert (listener.text(1), listener.text(2)) == ("out\n", "err")


def test_with_json_its_stdout_goes_aside(capfd):
    _, listener, said = heard("print('out')", capfd, aside=True)
    assert (said.out, said.err, listener.text(1)) == ("", "out\n", "out\n")


def test_of_much_output_the_end_is_kept_and_all_goes_through(capfd):
    _, listener, said = heard("print('x' * 5_000_000); print('end')", capfd)
    assert len(said.out) == 5_000_005
    assert len(listener.text(1)) == TAIL
    assert listener.text(1).endswith("x\nend\n")


def test_a_signal_is_an_exit_code_as_a_shell_gives_it(capfd):
    assert heard("import os; os.kill(os.getpid(), 9)", capfd)[0] == 137


def test_what_stays_behind_with_the_output_open_is_not_waited_for(capfd):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)']); print(1)"
    assert heard(code, capfd)[0] == 0


def test_a_terminal_of_ours_is_one_for_the_command(tmp_path):
    import pty

    script = tmp_path / "a.py"
    script.write_text(
        "import os, sys\nfrom envsolve.engine.overheard import Listener, run\n"
        "code = 'import sys; print(sys.stdout.isatty(), sys.stderr.isatty())'\n"
        "sys.exit(run([sys.executable, '-c', code], os.environ, Listener()))\n"
    )
    said = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 1024)
        said.extend(data)
        return data

    status = pty.spawn([sys.executable, str(script)], read)
    assert (os.waitstatus_to_exitcode(status), bytes(said)) == (0, b"True True\r\n")


def test_without_a_command_and_without_a_folder(tmp_path, capsys):
    for words in (["try", str(tmp_path)], ["try", str(tmp_path), "--", "python"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
    assert "try: which command?" in capsys.readouterr().err
