"""Whatever stands in a file: an answer or a usage error, soon, and never another exception."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envsolve.errors import EnvsolveError, UsageError
from envsolve.matrices import load
from envsolve.request import build_request

FACTS = load()
NAMES = ["requirements.txt", "environment.yml", "Dockerfile", "pyproject.toml", "envsolve.toml"]
WORDS = [
    "tensorflow", "tf.keras", "keras-theano", "numpy", "python", "torch", "cudatoolkit", "==", "=", ">=1.4", "<",
    "~=", "1.4", "2.0.8", "=py36_0", ",", "|", ";", "&&", "dependencies:", "[", "]", "{", "}", "'", '"', "`", "$(",
    "${A:-", "$A", "${", "<<EOF", "EOF", "#", "&x", "*x", "::", "é", "/", "..", "/dev/zero", "requirements.txt",
    "environment.yml", "!!python/object", "git+https://x.invalid/a/keras.git",
    "https://x.invalid/tensorflow-1.4.0-cp36-cp36m-linux_x86_64.whl",
]  # fmt: skip
PIECES = [
    *WORDS, "\\\n", "\n", "\n  - ", "- pip:", "? ", ": ", " @ ", " ", "\t", "\r", "\0", "FROM ", "FROM python:3.6",
    "FROM tensorflow/tensorflow:1.4-gpu", "RUN ", "RUN pip install ", 'RUN ["pip", "install", ', "ENV A=", "ENV A ",
    "ARG A=$A$A", "COPY --from=0 ", "conda install ", "conda env create -f ", "bash -c ", "-r ", "-e ", "[project]\n",
    "dependencies = [", "targets = [", "requires-python = ", "[tool.envsolve]\n", "python_version < '3'",
]  # fmt: skip
PROSE = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join)


def read(path, python):
    started = time.monotonic()
    try:
        request = build_request([str(path), "tf==1.4"], FACTS, python=python)
    except UsageError as error:
        assert error.code
        assert error.message
    else:
        for target in request.targets:
            assert target.origin is None or str(path.parent) in target.origin
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", NAMES)
@given(content=st.binary(max_size=400) | PROSE.map(str.encode), python=st.sampled_from([None, "3.6"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_ends_in_a_traceback(tmp_path, name, content, python):
    path = tmp_path / name
    path.write_bytes(content)
    read(path, python)


@given(lines=st.lists(PROSE, max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_list_of_dependencies_does(tmp_path, lines):
    path = tmp_path / "environment.yml"
    path.write_text("dependencies:\n" + "".join(f"  - {line}\n" for line in lines), "utf-8")
    read(path, None)


@given(commands=st.lists(PROSE, max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_of_a_dockerfile_does(tmp_path, commands):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM x\n" + "".join(f"RUN pip install {command}\n" for command in commands), "utf-8")
    read(path, None)


@given(word=PROSE | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_word_does(word):
    try:
        build_request([word], FACTS)
    except EnvsolveError as error:
        assert isinstance(error, UsageError)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("environment.yml", "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(9000))),
        ("environment.yml", "dependencies:\n" + "  - numpy=1.14.2=py36_0\n" * 10000),
        ("environment.yml", "dependencies: [" + "[" * 100000),
        ("environment.yml", "dependencies: ['" + "numpy=" * 40000 + "']"),
        ("environment.yml", "dependencies: ['numpy" + " " * 200000 + "x']"),
        ("environment.yml", "dependencies: ['" + "a::" * 60000 + "']"),
        ("Dockerfile", "FROM x\n" + "".join(f"ENV A{n + 1}=$A{n}$A{n}\n" for n in range(5000)) + "RUN pip install $A9"),
        ("Dockerfile", "FROM x\nENV A=" + "1" * 200 + "\nENV B=" + "$A" * 60000 + "\nRUN pip install a$B"),
        ("Dockerfile", "FROM x\nRUN " + "$(" * 60000),
        ("Dockerfile", "FROM x\nRUN " + "'" * 99999),
        ("Dockerfile", "FROM x\nRUN pip install " + "\\\n" * 60000),
        ("Dockerfile", "FROM x\nRUN pip install tensorflow" + "=" * 120000),
        ("Dockerfile", "FROM x AS a\n" + "FROM a AS a\n" * 10000),
        ("Dockerfile", "FROM x\n" + "RUN <<A <<B <<C\n" * 8000),
        ("requirements.txt", "numpy" + " " * 900000 + "x"),
        ("requirements.txt", "git+" * 200000),
        ("envsolve.toml", "targets = " + "[" * 100000),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_no_file_takes_long(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(UsageError):
        build_request([str(path)], FACTS)
    assert time.monotonic() - started < 30
