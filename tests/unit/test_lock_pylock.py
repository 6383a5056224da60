"""pylock.toml: valid by the reader that wrote the specification down, and saying what the lock says."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock
from render_locks import ALL, SLIM, THEANO, lock, package

from envsolve.errors import UsageError
from envsolve.folder import read_lock
from envsolve.lock.document import dump, load
from envsolve.lock.pylock import pylock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/envsolve"))


def read(text):
    found = Pylock.from_dict(tomllib.loads(text))
    found.validate()
    return found


@pytest.mark.parametrize(
    "one", [*ALL.values(), *map(read_lock, EXAMPLES)], ids=[*ALL, *(e.parent.name for e in EXAMPLES)]
)
def test_it_is_valid_and_has_every_file(one):
    found = read(pylock(one))
    assert [(p.name, str(p.version)) for p in found.packages] == sorted((p.name, p.version) for p in one.packages)
    for package_, locked in zip(found.packages, sorted(one.packages, key=lambda p: p.name), strict=True):
        file = package_.wheels[0] if package_.wheels else package_.sdist
        assert (file.name, file.size, file.hashes) == (locked.filename, locked.size, {"sha256": locked.sha256})
        assert file.path == f"vendor/{locked.filename}"
        assert file.url is None
        assert file.upload_time.isoformat()[:19] == locked.upload_time[:19]
    assert one.stack.python + ".9" in found.requires_python
    assert "3.4.1" not in found.requires_python
    assert pylock(one) == pylock(load(dump(one)))


@pytest.mark.parametrize(
    ("python", "system", "machine", "fits"),
    [("2.7", "linux2", "x86_64", True), ("2.7", "linux2", "aarch64", False), ("3.6", "linux", "x86_64", False)],
)
def test_it_is_for_one_platform(python, system, machine, fits):
    seen = {
        "python_version": python, "sys_platform": system, "platform_system": "Linux", "platform_machine": machine,
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    assert [marker.evaluate(seen) for marker in read(pylock(THEANO)).environments] == [fits]


def test_dependencies_are_those_that_are_locked():
    needs = package("a").model_copy(update={"requires": ("numpy>=1", "gone", "B-b[x]<2"), "yanked": 'said "no"\x07'})
    found = read(pylock(lock(packages=[needs, package("numpy"), package("b-b")])))
    assert [dict(d) for d in found.packages[0].dependencies] == [{"name": "b-b"}, {"name": "numpy"}]
    assert found.packages[0].tool["envsolve"]["yanked"] == 'said "no"\x07'


@given(st.text())
def test_any_text_survives(text):
    one = SLIM.model_copy(update={"as_of_reason": text})
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert read(pylock(one)).tool["envsolve"]["as-of-reason"] == text


@pytest.mark.parametrize("name", ["../x.whl", "/etc/passwd", "a/b.whl", "..", "", ".x", "a\\b.whl", "a\nb.whl"])
def test_a_lock_whose_file_name_is_a_path_is_refused(name):
    evil = lock(packages=[package("a").model_copy(update={"filename": name})])
    with pytest.raises(UsageError, match="not the name of a file"):
        load(dump(evil))
