"""``envsolve why --error``: real texts find their cause, other texts find nothing, and hostile ones cost nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pasted_errors import PASTED, UNRELATED

from envsolve.causes import diagnose, standing
from envsolve.causes_text import document, text
from envsolve.errors import DatabaseError
from envsolve.facts import Cap, When
from envsolve.folder import read_lock
from envsolve.matrices import load
from envsolve.symptoms import SymptomBook, read_symptom

ROOT = Path(__file__).parents[2]
SNAPSHOTS = ROOT / "tests" / "snapshots"
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))
H5PY = (
    "File \"keras/engine/saving.py\", line 1183\n    original_keras_version = f.attrs['keras_version'].decode('utf8')\n"
)
DECODE = "AttributeError: 'str' object has no attribute 'decode'"


@pytest.fixture(scope="module")
def facts():
    return load(ROOT / "matrices")


def ids(diagnosis):
    return [cause.cap.id for cause in diagnosis.found]


def run(*words, stdin=b"", cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "envsolve", "why", *words], input=stdin, capture_output=True, cwd=cwd, timeout=60,
        check=False,
    )  # fmt: skip


# -- precision ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("thread", "cap", "pasted"), PASTED, ids=[f"{p[1]}-{i}" for i, p in enumerate(PASTED)])
def test_a_pasted_text_finds_its_cause_first(facts, thread, cap, pasted):
    assert ids(diagnose(pasted, facts))[:1] == [cap], thread


@pytest.mark.parametrize("pasted", UNRELATED)
def test_a_fault_of_ones_own_finds_nothing(facts, pasted):
    assert ids(diagnose(pasted, facts)) == []


def test_there_are_enough_of_both():
    assert len(PASTED) >= 40
    assert len({thread for thread, _, _ in PASTED}) == len(PASTED)
    assert len(UNRELATED) >= 15


# -- robustness -----------------------------------------------------------------------------------------------

SOFT = "ImportError: cannot import name 'soft_unicode' from 'markupsafe'"


@pytest.mark.parametrize(
    "pasted",
    [
        SOFT,
        SOFT.replace("'", '"'),
        SOFT.replace("'", "`"),
        f"{SOFT} (/home/me/.local/lib/python3.8/site-packages/markupsafe/__init__.py)",
        f"\x1b[31m{SOFT[:12]}\x1b[0m{SOFT[12:]}",
        SOFT.replace(" ", "\n   "),
        SOFT.replace(" ", "\r\n"),
        f"#12 3.456 {SOFT}",
        f"> {SOFT}",
        "ImportError: cannot import name soft_unicode",
        f"{SOFT[:40]}\n{SOFT[40:]}",
        "\n".join(SOFT[i : i + 20] for i in range(0, len(SOFT), 20)),
        "x\n" * 3000 + SOFT + "\nx" * 3000,
    ],
)
def test_quotes_paths_colours_and_line_breaks_make_no_difference(facts, pasted):
    assert ids(diagnose(pasted, facts)) == ["markupsafe-jinja2"]


def test_a_word_must_be_whole(facts):
    assert "numpy-aliases" in ids(diagnose("AttributeError: module 'numpy' has no attribute 'int'", facts))
    assert ids(diagnose("AttributeError: module 'numpy' has no attribute 'intp2'", facts)) == []


def test_a_text_that_is_common_alone_needs_company(facts):
    pickled = "UnicodeDecodeError: 'ascii' codec can't decode byte 0xe9 in position 3: ordinal not in range(128)"
    alone = diagnose(pickled, facts)
    assert ids(alone) == []
    assert {cap.id for cap in alone.also} == {"python2-pickles", "locale-ascii"}
    assert ids(diagnose(f"pickle.load\n{pickled}", facts)) == ["python2-pickles"]


def test_str_without_decode_is_of_h5py_first_and_of_python_2_after_that(facts):
    found = diagnose(DECODE, facts).found
    assert [cause.cap.id for cause in found] == ["h5py-keras", "h5py-tensorflow", "python2-str-decode"]
    assert all(cause.rivals for cause in found)
    assert ids(diagnose(DECODE.partition(": ")[2], facts))[:1] == ["h5py-keras"]
    assert ids(diagnose(H5PY + DECODE, facts))[:2] == ["h5py-keras", "h5py-tensorflow"]


def test_causes_of_one_text_claim_no_certainty(facts):
    first, second = diagnose(f"tensorflow keras\n{DECODE}", facts).found[:2]
    assert {first.cap.id, second.cap.id} == {"h5py-keras", "h5py-tensorflow"}
    assert first.rivals >= 1
    assert "the same text" in text(diagnose(f"tensorflow keras\n{DECODE}", facts), facts, None)


def test_a_harmless_text_comes_last(facts):
    noise = (
        "tensorflow/python/framework/dtypes.py:516: FutureWarning: Passing (type, 1) or '1type' as a synonym of type is"
        " deprecated; in a future version of numpy, it will be understood as (type, (1,)) / '(1,)type'.\n"
        '  _np_qint8 = np.dtype([("qint8", np.int8, 1)])\n'
    )
    found = ids(diagnose(noise * 6 + "AttributeError: module 'tensorflow' has no attribute 'placeholder'", facts))
    assert found == ["tensorflow-1-names", "numpy-qint-warning"]


def test_an_own_cap_with_an_odd_symptom_is_a_fault_of_the_database(facts, monkeypatch):
    odd = facts.caps[0].model_copy(update={"symptom": "no {brace"})
    monkeypatch.setitem(facts.__dict__, "caps", (odd,))
    with pytest.raises(DatabaseError, match="brace"):
        diagnose("x", facts)


# -- symptoms -------------------------------------------------------------------------------------------------


def seen(symptom, pasted):
    book = SymptomBook({"a": [symptom], "b": ["another thing altogether"]})
    return "a" in book.seen(book.text(pasted))


@pytest.mark.parametrize(
    ("symptom", "pasted", "found"),
    [
        ("no attribute '{a|b}'", "no attribute 'b'", True),
        ("no attribute '{a|b}'", "no attribute 'c'", False),
        ("version {} but {}", "version 1.2 but 3", True),
        ("begin {...} end", "begin and then much more, the end", True),
        ("begin {...} end", "begin" + " x" * 40 + " end", False),
        ("begin {...} end", "end begin", False),
        ("cannot import name 'x'{?from 'y'}", "cannot import name 'x'", True),
        ("cannot import name 'x'{?from 'y'}", "cannot import name 'x' from 'y'", True),
        ("version `GLIBC_*' not found", "version `GLIBC_2.23' not found", True),
        ("version `GLIBC_*' not found", "version `GLIBCXX_3.4' not found", False),
        ("*num_batches_tracked in state_dict", '"m.bn1.num_batches_tracked" in state_dict', True),
        ("KeyError: 'acc'", "the acc is low", False),
        ("KeyError: 'acc'", "KeyError: 'acc'", True),
        ("ImportError: no such thing", "ModuleNotFoundError: no such thing", True),
    ],
)
def test_what_placeholders_stand_for(symptom, pasted, found):
    assert seen(symptom, pasted) is found


@pytest.mark.parametrize("symptom", ["", "{}", "{...} {}", "odd {brace", "odd brace}", "' \" ()"])
def test_a_symptom_that_says_nothing_is_refused(symptom):
    with pytest.raises(ValueError, match=r"word|brace"):
        read_symptom(symptom)


# -- the lock -------------------------------------------------------------------------------------------------

LIMIT = Cap(id="l", kind="limit", package="h5py", versions="<3", when=(When(package="keras", versions="<2.4"),),
            why="w", evidence={"*": "e"})  # fmt: skip


@pytest.mark.parametrize(
    ("cap", "have", "stands"),
    [
        (LIMIT, {"h5py": "3.1.0", "keras": "2.3.1"}, "broken"),
        (LIMIT, {"h5py": "2.10.0", "keras": "2.3.1"}, "kept"),
        (LIMIT, {"h5py": "3.1.0", "keras": "2.6.0"}, "elsewhere"),
        (LIMIT, {"h5py": "3.1.0"}, "elsewhere"),
        (LIMIT, {"keras": "2.3.1"}, "elsewhere"),
        (LIMIT.model_copy(update={"kind": "needs"}), {"keras": "2.3.1"}, "broken"),
        (LIMIT.model_copy(update={"kind": "drop"}), {"keras": "2.3.1", "h5py": "3"}, "broken"),
        (LIMIT.model_copy(update={"pythons": ">=3.7"}), {"h5py": "3.1", "keras": "2.3", "python": "3.6"}, "elsewhere"),
        (LIMIT.model_copy(update={"package": "python", "versions": "<3.7", "when": ()}), {"python": "3.8"}, "broken"),
        (LIMIT.model_copy(update={"package": None, "when": (), "kind": "api"}), {"python": "3.8"}, "unknown"),
        (LIMIT, {"h5py": "not a version", "keras": "2.3.1"}, "broken"),
    ],
)
def test_how_a_limit_stands_in_a_lock(cap, have, stands):
    assert standing(cap, have) == stands


@pytest.fixture(scope="module")
def lock():
    return read_lock(ROOT / "examples" / "tensorflow1.4-keras2.0.8" / "envsolve")


def with_version(lock, name, version):
    packages = tuple(p.model_copy(update={"version": version}) if p.name == name else p for p in lock.packages)
    return lock.model_copy(update={"packages": packages})


def test_what_the_lock_bears_out_comes_first(facts, lock):
    pasted = f"{H5PY}{DECODE}\nAttributeError: module 'numpy' has no attribute 'bool'"
    broken = with_version(lock, "h5py", "3.1.0")
    first = diagnose(pasted, facts, broken).found[0]
    assert (first.cap.package, first.standing) == ("h5py", "broken")
    assert "your lock has" in text(diagnose(pasted, facts, broken), facts, broken)
    kept = diagnose(pasted, facts, lock).found
    assert {c.standing for c in kept if c.cap.package in ("h5py", "numpy")} <= {"kept", "elsewhere"}
    assert "look further" in text(diagnose(pasted, facts, lock), facts, lock)


def test_the_command_is_the_locks_own_request_with_the_pin(facts, lock):
    found = document(diagnose(H5PY + DECODE, facts, lock), facts, lock)["found"]
    assert "'h5py<3'" in found[0]["command"]
    assert all(target.text in found[0]["command"] for target in lock.request.targets)


# -- the command ----------------------------------------------------------------------------------------------

CASES = {
    "h5py": (H5PY + DECODE, False),
    "cuda": ("ImportError: libcublas.so.8.0: cannot open shared object file: No such file or directory", False),
    "contrib": ("ModuleNotFoundError: No module named 'tensorflow.contrib'", False),
    "alone": (DECODE, False),
    "python": ("AttributeError: module 'collections' has no attribute 'Mapping'", False),
    "system": ("unable to execute 'gcc': No such file or directory", False),
    "nothing": ("ModuleNotFoundError: No module named 'mypackage'", False),
    "near": ("cannot import name 'soft_unicorn' from 'markupsafe'", False),
    "lock-broken": (H5PY + DECODE, True),
    "lock-elsewhere": ("ImportError: cannot import name 'triu' from 'scipy.linalg' gensim", True),
}


@pytest.mark.parametrize("name", CASES)
def test_it_reads_as_it_should(facts, lock, name):
    """``UPDATE_SNAPSHOTS=1 pytest ...`` writes what it reads as now."""
    pasted, with_lock = CASES[name]
    own = with_version(lock, "h5py", "3.1.0") if with_lock else None
    told = text(diagnose(pasted, facts, own), facts, own)
    file = SNAPSHOTS / f"why-error.{name}.txt"
    if UPDATE:
        file.write_text(told, encoding="utf-8")
    assert told == file.read_text(encoding="utf-8")


def test_the_command_line(tmp_path):
    found = run("--error", SOFT)
    assert found.returncode == 0, found.stderr
    assert b"envsolve TARGET... 'jinja2<3' 'markupsafe<2.1'" in found.stdout
    read = run("--error", "-", stdin=f"log\n{SOFT}\n".encode() + b"\xff\xfe\x00")
    assert read.stdout.replace(b"line 2", b"line 1") == found.stdout
    as_json = json.loads(run("--error", SOFT, "--json").stdout)
    assert as_json["schema"] == "envsolve/why-error-1"
    assert as_json["found"][0]["pin"] == "markupsafe<2.1"
    assert as_json["found"][0]["how"] == "measured"


def test_nothing_found_is_said_and_is_exit_1():
    done = run("--error", "no such text anywhere")
    assert done.returncode == 1
    assert done.stdout.startswith(b"Nothing in the database speaks for this text.")
    done = run("--error", "no such text anywhere", "--json")
    assert (done.returncode, json.loads(done.stdout)["found"]) == (1, [])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--error", ""], b"nothing-pasted"),
        (["--error", "-"], b"nothing-pasted"),
        (["nowhere", "--error", "x"], b"no-lock"),
        (["nowhere", "python", "--error", "x"], b"usage"),
        ([], b"missing-argument"),
    ],
)
def test_wrong_usage(words, code, tmp_path):
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: " + code)
    assert b"Traceback" not in done.stderr


# -- cost -----------------------------------------------------------------------------------------------------


def quickest(call, times=2):
    """Seconds of the quickest of some calls: other work on the machine only adds."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


def test_a_log_of_thousands_of_lines_is_read_at_once(facts):
    line = 'Collecting tensorflow==1.15 (from versions: 1.14)  File "x.py", line 3, in f has no attribute\n'
    log = line * 8000 + SOFT
    assert ids(diagnose(log, facts)) == ["markupsafe-jinja2"]
    assert quickest(lambda: diagnose(log, facts)) < 1.5


@pytest.mark.parametrize(
    "pasted",
    [
        "a" * 6_000_000,
        "module 'numpy' has no attribute " * 150_000,
        "{...} {} {?a} {a|b} * " * 200_000,
        "version `GLIBC_" * 300_000,
        "(" * 2_000_000 + ")" * 2_000_000,
        "\x1b[" * 1_000_000,
        "\x1b]" + "x" * 3_000_000,
        "\n" * 4_000_000,
        "".join(f"w{i} " for i in range(600_000)),
        "Unexpected key(s) in state_dict: " * 100_000,
    ],
    ids=["one word", "no end", "braces", "half a version", "brackets", "escapes", "no bell", "lines", "words", "gap"],
)
def test_hostile_text_is_bounded(facts, pasted):
    assert quickest(lambda: diagnose(pasted, facts), 1) < 8


def test_of_a_huge_text_the_begin_and_the_end_are_read(facts):
    filler = "some line of a log\n" * 600_000
    assert ids(diagnose(f"{SOFT}\n{filler}", facts)) == ["markupsafe-jinja2"]
    assert ids(diagnose(f"{filler}{SOFT}", facts)) == ["markupsafe-jinja2"]
