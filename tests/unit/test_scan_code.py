"""Scanning sources and folders: what each kind of file says, and what is concluded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from envsolve.cli import main
from envsolve.errors import UsageError
from envsolve.matrices import load
from envsolve.scan.project import scan_path
from envsolve.scan.python2 import parse
from envsolve.scan.stated import read_stated
from envsolve.scan.symbols import Library, misfit
from envsolve.scan.uses import Call, read_source


@pytest.fixture(scope="module")
def facts():
    return load()


POETRY = (
    "[tool.poetry.dependencies]\na = '^1.4.2'\nb = '^0.9.1'\nc = '^0.0.3'\nd = '~1.4.2'\ne = '~2.0'\nf = '^2'\n"
    "g = {version = '1.2.*', optional = true}\nh = [{version = '1'}]\ni = '>=1.0,<2'\nj = '^2.7 || ^3.6'\n"
    "[tool.poetry.group.train.dependencies]\nk = '1.0.8'\n[tool.poetry.group.dev.dependencies]\nl = '*'\n"
)


def project(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def scanned(folder: Path, facts, **files: str):
    return scan_path(project(folder, **files), facts)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('print "a", b\n', "print statement"),
        ("print >>f, x\n", "print statement"),
        ("try:\n    pass\nexcept ValueError, e:\n    pass\n", "except X, e"),
        ("exec code in ns\n", "exec statement"),
        ("raise ValueError, 'x'\n", "raise E, value"),
        ("if a <> b: pass\n", "<> for !="),
        ("x = `y`\n", "backticks for repr()"),
        ("x = ur'a'\n", "ur'' string"),
        ("x = 0777\n", "octal number without 0o"),
        ("x = 10L\n", "long integer"),
        ("f = lambda (a, b): a\n", "lambda (a, b)"),
        ("x.cuda(async=True)\n", "async as a name"),
        ("f(async=True, eps=1e-03)\n", "async as a name"),
    ],
)
def test_each_form_of_python_2_is_seen_and_can_be_parsed(text, what):
    found = read_source(text)
    assert found.parsed
    assert [m.what for m in found.marks if m.kind == "syntax"] == [what]
    assert not found.lost


@pytest.mark.parametrize(
    "text", ["print(a)\n", "x = 'print \"a\"'\n", "# print 'a'\n", "print\n", "printer = 1\n", '"""\nprint "a"\n"""\n']
)
def test_what_only_looks_like_python_2_is_none(text):
    assert parse(text).marks == []


def test_lines_that_no_python_reads_are_given_up_and_the_rest_is_read():
    found = parse("import keras\n%matplotlib inline\nx = = 1\nprint 'a'\nimport theano\n")
    assert found.tree is not None
    assert found.lost == [3]


def test_aliases_lead_to_the_full_name():
    source = read_source(
        "import tensorflow as tf\nfrom keras.layers import Dense as D\nslim = tf.contrib.slim\n"
        "slim.conv2d(x, 3)\nD(4, init='uniform')\n"
    )
    assert {"tensorflow.contrib.slim.conv2d", "keras.layers.Dense"} <= {u.name for u in source.uses}
    assert any(u.call == Call(1, ("init",), False, "int") for u in source.uses)


def test_an_instance_leads_to_its_method_unless_the_name_is_bound_twice():
    one = read_source("from keras.models import Sequential\nm = Sequential()\nm.fit(x, y, nb_epoch=3)\n")
    assert "keras.models.Sequential.fit" in {u.name for u in one.uses}
    two = read_source("from keras.models import Sequential\nm = Sequential()\nm = 3\nm.fit(x, nb_epoch=3)\n")
    assert "keras.models.Sequential.fit" not in {u.name for u in two.uses}


def test_a_parameter_hides_an_import():
    source = read_source("import tensorflow as tf\ndef f(tf):\n    return tf.pack(1)\n")
    assert "tensorflow.pack" not in {u.name for u in source.uses}


@pytest.mark.parametrize(
    "text",
    [
        "import tensorflow as tf\ntry:\n    tf.pack(1)\nexcept AttributeError:\n    tf.stack(1)\n",
        "import tensorflow as tf\nif hasattr(tf, 'pack'):\n    tf.pack(1)\n",
        "import tensorflow as tf\nif tf.__version__ < '1.0':\n    tf.pack(1)\n",
    ],
)
def test_what_the_code_does_without_bounds_nothing(text):
    assert all(u.guarded for u in read_source(text).uses if u.name == "tensorflow.pack")


@pytest.mark.parametrize(
    ("signature", "call", "fits"),
    [
        ("a,b=", Call(1, (), False), True),
        ("a,b=", Call(1, ("c",), False), False),
        ("a,b=,**", Call(1, ("c",), False), True),
        ("a,b=", Call(3, (), False), False),
        ("a,b=,*", Call(3, (), False), True),
        ("a,b", Call(1, (), False), False),
        ("a,b", Call(1, (), True), True),
        ("a,-c=", Call(1, ("c",), False), True),
        ("units,-output_dim=,~", Call(0, ("output_dim",), False), True),
        ("a,b=", Call(2, ("b",), False), False),
        ("a,b=,**", Call(2, ("b",), False), False),
        ("a,b=,~", Call(2, ("b",), False), True),
        ("a,b=", Call(1, ("b",), False), True),
        ("_sentinel=,labels=", Call(2, (), False), False),
        ("_sentinel=,labels=", Call(0, ("labels",), False), True),
    ],
)
def test_calls_against_signatures(signature, call, fits):
    assert (misfit(signature, call) == "") is fits


@pytest.mark.parametrize(
    ("text", "framework", "inside", "outside"),
    [
        ("import tensorflow as tf\ntf.pack([a, b])\n", "tensorflow", "0.12.1", "1.0.1"),
        ("import tensorflow as tf\ntf.losses.softmax_cross_entropy(a, b)\n", "tensorflow", "1.4.1", "0.12.1"),
        ("import tensorflow as tf\ntf.placeholder(tf.float32)\n", "tensorflow", "1.15.5", "2.0.4"),
        ("import tensorflow as tf\ntf.contrib.layers.flatten(x)\n", "tensorflow", "1.4.1", "2.1.4"),
        ("import tensorflow as tf\ntf.reduce_sum(x, reduction_indices=1)\n", "tensorflow", "1.4.1", "2.0.4"),
        ("import tensorflow as tf\ntf.nn.softmax_cross_entropy_with_logits(a, b)\n", "tensorflow", "0.12.1", "1.0.1"),
        ("import tensorflow as tf\ntf.concat(1, [a, b])\n", "tensorflow", "0.12.1", "1.4.1"),
        ("import tensorflow as tf\ntf.concat([a, b], 1)\n", "tensorflow", "1.4.1", "0.12.1"),
        ("from keras.layers import Dense\nDense(output_dim=3, init='uniform')\n", "keras", "1.2.2", "2.6.0"),
        ("from keras.layers import Dense\nDense(units=3)\n", "keras", "2.0.8", "1.2.2"),
        ("from keras.layers import Conv2D\nConv2D(3, 3, padding='same')\n", "keras", "2.0.8", "1.2.2"),
        ("from keras.models import Graph\n", "keras", "0.3.3", "2.0.8"),
        ("from theano.tensor.signal import downsample\n", "theano", "0.8.2", "0.9.0"),
        ("from theano.tensor.signal import pool\n", "theano", "0.9.0", "0.7.0"),
    ],
)
def test_a_name_or_a_parameter_bounds_the_framework(tmp_path, facts, text, framework, inside, outside):
    from packaging.specifiers import SpecifierSet

    scan = scanned(tmp_path, facts, main_py=text)
    limits = [SpecifierSet(e.ranges[framework]) for e in scan.evidence if framework in e.ranges]
    assert limits
    assert all(limit.contains(inside) for limit in limits)
    assert any(not limit.contains(outside) for limit in limits)


def test_the_symbol_tables_are_thousands_of_names_and_small():
    library = Library()
    names = sum(len(t._lines) for t in library.tables.values())
    assert names > 1000
    for table in library.tables.values():
        assert table.head["evidence"]["how"] == "measured"
        assert len(table.releases) == len(set(table.releases))


@pytest.mark.parametrize(
    ("base", "text", "expected"),
    [
        ("requirements.txt", "tensorflow==1.4.0 # yes\n-e .\nkeras>=2,<2.3; python_version<'3'\n",
         [("tensorflow", "==1.4.0"), ("keras", "<2.3,>=2")]),
        ("setup.py", "from setuptools import setup\nR = ['keras==2.0.8']\nsetup(install_requires=R)\n",
         [("keras", "==2.0.8")]),
        ("setup.cfg", "[options]\ninstall_requires =\n  theano>=0.9\n", [("theano", ">=0.9")]),
        ("pyproject.toml", "[project]\nname='x'\ndependencies=['torch==1.0.0']\n", [("torch", "==1.0.0")]),
        ("pyproject.toml", "[tool.poetry.dependencies]\ntorch = '^1.4'\n", [("torch", "~=1.4")]),
        (
            "pyproject.toml",
            POETRY,
            [
                *[("a", "<2,>=1.4.2"), ("b", "~=0.9.1"), ("c", "<0.0.4,>=0.0.3"), ("d", "~=1.4.2")],
                *[("e", "<2.1,>=2.0"), ("f", "<3,>=2"), ("g", "==1.2.*"), ("h", "")],
                *[("i", "<2,>=1.0"), ("k", "==1.0.8")],
            ],
        ),
        ("Pipfile", "[packages]\nkeras = '==2.0.8'\n", [("keras", "==2.0.8")]),
        ("environment.yml", "dependencies:\n  - python=3.6\n  - tensorflow=1.4.0=py36_0\n",
         [("python", "==3.6.*"), ("tensorflow", "==1.4.0")]),
        ("Dockerfile", "FROM tensorflow/tensorflow:1.3.0-gpu\nRUN pip install keras==2.0.8 \\\n h5py\n",
         [("tensorflow", "==1.3.0.*"), ("keras", "==2.0.8")]),
        ("README.md", "Tested with **TensorFlow 1.4** and Python 2.7\n",
         [("tensorflow", "==1.4.*"), ("python", "==2.7.*")]),
        ("README.md", "Needs TensorFlow >= 1.2 and PyTorch 0.3.1\n", [("tensorflow", ">=1.2"), ("torch", "==0.3.1")]),
        ("runtime.txt", "python-3.6.5\n", [("python", "==3.6.*")]),
    ],
)  # fmt: skip
def test_stated_versions(base, text, expected):
    assert [(s.name, s.specifier) for s in read_stated(base, text)] == expected


def test_setup_py_is_not_run(tmp_path, facts):
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w')\nfrom setuptools import setup\nsetup(install_requires=['keras==2.0.8'])\n"
    scan = scanned(tmp_path / "p", facts, setup_py=text)
    assert not mark.exists()
    assert any(e.ranges.get("keras") == "==2.0.8" for e in scan.evidence)


def test_a_pin_is_the_request_when_the_code_allows_it(tmp_path, facts):
    scan = scanned(
        tmp_path, facts, requirements_txt="tensorflow==1.4.0\n", main_py="import tensorflow as tf\ntf.placeholder(1)\n"
    )
    assert scan.targets == ["tensorflow==1.4.0"]
    assert scan.confidence == "high"


def test_a_pin_that_the_code_contradicts_is_shown_and_left(tmp_path, facts):
    scan = scanned(
        tmp_path, facts, requirements_txt="tensorflow==2.4.0\n", main_py="import tensorflow as tf\ntf.placeholder(1)\n"
    )
    assert any("requirements.txt:1" in c for c in scan.conflicts)
    assert not scan.targets[0].startswith("tensorflow==2")


def test_the_date_decides_within_what_the_code_allows(tmp_path, facts):
    folder = project(tmp_path, main_py="import tensorflow as tf\ntf.placeholder(1)\n")
    scan = scan_path(folder, facts, as_of="2017-12-01")
    assert scan.targets == ["tensorflow==1.4.0"]
    assert scan.as_of.isoformat() == "2017-12-01"


def test_a_bad_date_is_a_usage_error(tmp_path, facts):
    with pytest.raises(UsageError, match="not a date"):
        scan_path(tmp_path, facts, as_of="soon")


def test_git_gives_the_date_of_the_last_source_and_runs_nothing_of_the_repository(tmp_path, facts):
    folder = project(tmp_path, main_py="import keras\n")
    mark = tmp_path.parent / "monitor-ran"
    hook = tmp_path.parent / "monitor.sh"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    environment = os.environ | {"GIT_AUTHOR_DATE": "2017-05-06T12:00:00", "GIT_COMMITTER_DATE": "2017-05-06T12:00:00"}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"], ["config", "core.fsmonitor", str(hook)]):
        subprocess.run([*git, *command], cwd=folder, env=environment, check=True)
    scan = scan_path(folder, facts)
    assert scan.as_of.isoformat() == "2017-05-06"
    assert not mark.exists()


def test_local_modules_are_no_packages_and_unknown_ones_are_said(tmp_path, facts):
    scan = scanned(
        tmp_path, facts, main_py="import keras, utils, cv2, nowhere_at_all\nfrom lib.a import b\n",
        utils_py="", lib__a_py="b = 1\n",
    )  # fmt: skip
    assert "opencv-python" in scan.targets
    assert [u.split()[0] for u in scan.unknown] == ["nowhere_at_all"]


def test_python_2_only_code_asks_for_python_2(tmp_path, facts):
    scan = scanned(tmp_path, facts, main_py="import keras\nprint 'a'\nfor i in xrange(3): pass\n")
    assert scan.pythons == ["2.7"]
    assert scan.python == "2.7"


@pytest.mark.parametrize("name", ["tensorflow", "torch"])
def test_code_of_python_2_asks_for_a_release_that_was_made_for_it(tmp_path, facts, name):
    scan = scanned(tmp_path, facts, main_py=f"import {name}\nprint 'a'\n")
    version = scan.targets[0].partition("==")[2]
    builds = [b for b in facts.framework(name).builds if b.version == version]
    assert scan.python == "2.7"
    assert any("2.7" in b.pythons for b in builds)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("for i in range(n / 2): pass", True), ("x = a[:n / 2]", True), ("m = n / 5\nfor i in range(m): pass", True),
        ("for i in range(n // 2): pass", False), ("for i in range(int(n / 2)): pass", False), ("x = a[n / 2]", False),
        ("from __future__ import division\nx = range(n / 2)", False), ("m = n / 5\nm = 3\nx = range(m)", False),
        ("m = n / 5\ndef f(m): return range(m)", False),
    ],
)  # fmt: skip
def test_a_quotient_that_counts_is_of_python_2(text, found):
    assert ("quotient as a whole number" in [mark.what for mark in read_source(text).marks]) == found


@pytest.mark.parametrize("name", ["tensorflow", "keras", "torch"])
def test_undated_code_gets_a_release_of_the_first_years_of_its_series(tmp_path, facts, name):
    scan = scanned(tmp_path, facts, main_py=f"import {name}\n")
    major, minor = scan.starts[name].split(".")[:2]
    builds = [b for b in facts.framework(name).builds if b.version.startswith(f"{major}.") and b.origin == "index"]
    started = min(b.released for b in builds)
    assert int(major) == 1
    assert min(b.released for b in builds if b.version.startswith(f"{major}.{minor}.")).year <= started.year + 3


def test_code_that_no_release_has_a_python_for_is_a_conflict(tmp_path, facts):
    scan = scanned(
        tmp_path, facts, main_py="import torch\nprint 'a'\ntorch.nn.functional.scaled_dot_product_attention(1)\n"
    )
    assert any("Python 2.7" in c for c in scan.conflicts)


def test_a_framework_comes_before_what_it_stands_on(tmp_path, facts):
    scan = scanned(tmp_path, facts, main_py="import theano, lasagne\n")
    assert scan.targets[0].startswith("lasagne==")
    version = scan.starts["lasagne"]
    rows = [p for p in facts.framework("lasagne").pairings if SpecifierSet(p.versions).contains(version)]
    assert any(SpecifierSet(p.other_versions).contains(scan.starts["theano"]) for p in rows)


def test_what_stands_on_another_fits_what_the_code_uses_of_that(tmp_path, facts):
    text = "import keras\nimport tensorflow as tf\ntf.concat(1, [tf.pack([1])])\n"
    scan = scanned(tmp_path, facts, main_py=text)
    rows = [p for p in facts.framework("keras").pairings if p.other == "tensorflow"]
    rows = [p for p in rows if SpecifierSet(p.versions).contains(scan.starts["keras"])]
    assert any(SpecifierSet(p.other_versions).contains(scan.starts["tensorflow"]) for p in rows)
    assert scan.starts["tensorflow"].startswith("0.")


def test_a_stated_release_that_is_gone_gives_way_to_the_nearest(tmp_path, facts):
    scan = scanned(tmp_path, facts, main_py="# TensorFlow 0.10.0\nimport tensorflow as tf\ntf.pack([1])\n")
    assert scan.targets == ["tensorflow==0.12.0"]
    assert any("0.10.0" in c and "nearest" in c for c in scan.conflicts)


def test_links_do_not_leave_the_folder_and_pipes_are_not_opened(tmp_path, facts):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("import theano\n")
    folder = project(tmp_path / "p", main_py="import keras\n")
    (folder / "away").symlink_to(outside)
    (folder / "secret.py").symlink_to(outside / "secret.py")
    os.mkfifo(folder / "pipe.py")
    scan = scan_path(folder, facts)
    assert "theano" not in scan.ranges


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", b"\xff\xfe\x00import"), ("a.py", b"(" * 5000), ("a.py", b"x = " + b"-" * 20000 + b"1"),
        ("a.ipynb", b"{}"), ("a.ipynb", b"[" * 100000), ("setup.py", b"setup(install_requires=x.y())"),
        ("pyproject.toml", b"[[["), ("Pipfile", b"packages = 3"), ("setup.cfg", b"x"), ("environment.yml", b"\x00"),
        ("Pipfile.lock", b"[]"), ("requirements.txt", b"\x00==\xff"), ("README.md", b"TensorFlow " * 9999),
    ],
)  # fmt: skip
def test_broken_files_end_in_a_scan(tmp_path, facts, name, content):
    (tmp_path / name).write_bytes(content)
    assert scan_path(tmp_path, facts).path == str(tmp_path)


def test_the_command_prints_the_contracts_document(tmp_path, capsys):
    folder = project(tmp_path, main_py="import tensorflow as tf\ntf.placeholder(1)\n")
    with pytest.raises(SystemExit) as ended:
        main(["scan", str(folder), "--json", "--as-of", "2017-12-01"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "envsolve/evidence-1"
    assert document["request"] == {"targets": ["tensorflow==1.4.0"], "python": None, "as_of": "2017-12-01"}
    assert {"path", "ranges", "pythons", "confidence", "evidence", "conflicts"} <= document.keys()
    assert {"file", "line", "offset", "found", "means", "strength", "source"} <= document["evidence"][0].keys()


def test_the_command_in_prose_names_the_next_command(tmp_path, capsys):
    folder = project(tmp_path, main_py="import tensorflow as tf\ntf.placeholder(1)\n")
    with pytest.raises(SystemExit):
        main(["scan", str(folder), "--as-of", "2017-12-01"])
    out = capsys.readouterr().out
    assert "envsolve tensorflow==1.4.0 --as-of 2017-12-01" in out
    assert "main.py:2" in out


def test_solving_prints_what_the_request_follows_from(tmp_path, capsys):
    folder = project(tmp_path, requirements_txt="tensorflow==2.4.0\n", main_py="import tensorflow as tf\ntf.pack([])\n")
    with pytest.raises(SystemExit) as ended:
        main(["scan", str(folder), "--solve", "--dry-run", "--json", "--gpu", "none"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "envsolve/solution-1"
    assert document["scan"]["schema"] == "envsolve/evidence-1"
    assert any("requirements.txt:1" in text for text in document["scan"]["conflicts"])
    assert document["chosen"]


def test_what_only_solving_takes_needs_it(tmp_path, capsys):
    folder = project(tmp_path, main_py="import keras\n")
    with pytest.raises(SystemExit) as ended:
        main(["scan", str(folder), "--build"])
    assert ended.value.code == 2
    assert "--solve is missing" in capsys.readouterr().err


def test_nothing_there_and_nothing_found(tmp_path, capsys):
    for arguments in (["scan", str(tmp_path / "no")], ["scan", str(tmp_path), "--solve"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_scanning_imports_no_framework():
    code = "import sys; from envsolve.scan import project; print({'tensorflow','docker','requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_name_that_was_gone_when_the_table_begins(tmp_path, facts):
    code = "import tensorflow as tf\nx = tf.image.per_image_whitening(1)\ny = tf.test.GetTempDir()\n"
    scan = scanned(tmp_path, facts, main_py=code)
    assert scan.ranges["tensorflow"] == "<0.12.0"
    assert [e.found for e in scan.evidence if e.source.endswith("before.jsonl")] == [
        "tensorflow.image.per_image_whitening(...)",
        "tensorflow.test.GetTempDir()",
    ]


def test_what_the_table_of_older_names_says_is_true_of_the_tables():
    library = Library()
    for name, row in library.before.items():
        table = library.tables[row["package"]]
        module, _, own = name.rpartition(".")
        packed = (table._names(module) or {}).get(own, "")
        assert not packed.startswith(("0", "-")), name
