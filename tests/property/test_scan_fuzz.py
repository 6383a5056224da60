"""Whatever the bytes: readers of a scan end, and raise nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from envsolve.scan.code import notebook_source
from envsolve.scan.folder import decoded
from envsolve.scan.python2 import modernize, parse
from envsolve.scan.stated import read_stated
from envsolve.scan.uses import read_source

NAMES = [
    "requirements.txt", "setup.py", "setup.cfg", "pyproject.toml", "Pipfile", "Pipfile.lock", "environment.yml",
    "Dockerfile", ".travis.yml", "README.md", "runtime.txt",
]  # fmt: skip
WORDS = [
    "print", "exec", "except", "raise", "lambda", "import", "from", "tensorflow", "as", "tf", ".", ",", "(", ")", "[",
    "]", ":", ";", "\n", "    ", "\t", "`", "<>", "'", '"', '"""', "\\", "async", "=", "==", "1.4", "0777", "10L", "x",
    "#", "%", "ur'", "f'{", ">=", "*", "**", "\r", "\x00", "class A", "def f", "self.x", "{", "}", "-", "[packages]",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=60).map("".join), st.binary(max_size=200).map(decoded),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_sources(text):
    parsed = parse(text)
    source = read_source(text)
    assert source.parsed or not source.uses
    assert all(m.line >= 0 for m in parsed.marks)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), TEXTS)
def test_files_that_state_versions(name, text):
    for item in read_stated(name, text):
        assert item.name
        assert item.line >= 1


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_notebooks(text):
    result = notebook_source(text)
    assert result is None or isinstance(result, str)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_rewriting_keeps_the_lines(text):
    assert modernize(text).count("\n") == text.count("\n")
