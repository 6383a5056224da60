"""Any bytes under any name that a scan reads end in a scan, each fault in one line; what once broke it is kept."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envsolve.matrices import Facts, load
from envsolve.scan import report
from envsolve.scan.folder import DEEPEST, LARGEST_TEXT, listing
from envsolve.scan.project import Scan, document, scan_path

KEPT = sorted((Path(__file__).parents[1] / "fuzz" / "code").iterdir())
NAMES = [
    "a.py", "a.ipynb", "requirements.txt", "setup.py", "setup.cfg", "pyproject.toml", "Pipfile", "Pipfile.lock",
    "environment.yml", "Dockerfile", ".travis.yml", "README.md", "runtime.txt", ".python-version",
]  # fmt: skip
LIMIT_S = 20.0
_FACTS: list[Facts] = []


def scan(path: Path) -> Scan:
    if not _FACTS:
        _FACTS.append(load())
    found = scan_path(path, _FACTS[0])
    json.dumps(document(found))
    told = report.text(found)
    assert told
    assert all(line.isprintable() for line in told.split("\n")), told
    assert all("\n" not in note for note in found.notes)
    assert all("\n" not in item.found + item.means for item in found.evidence)
    return found


def scan_bytes(name: str, content: bytes) -> Scan:
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        start = time.process_time()
        found = scan(Path(folder))
        assert time.process_time() - start < LIMIT_S
    return found


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_what_is_kept(kept):
    scan_bytes(kept.name.partition("--")[2], kept.read_bytes())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_any_bytes(name, content):
    scan_bytes(name, content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KEPT), st.integers(0, 5000), st.integers(0, 40), st.binary(max_size=20))
def test_damage_to_what_is_kept(kept, at, gone, new):
    content = kept.read_bytes()[:20_000]
    at %= len(content) + 1
    scan_bytes(kept.name.partition("--")[2], content[:at] + new + content[at + gone :])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("not-json--a.ipynb", "a.ipynb: cannot be read as a notebook"),
        ("broken--pyproject.toml", "pyproject.toml: cannot be read: "),
        ("kinds--Pipfile", "Pipfile: cannot be read: its parts are not of the kinds that such a file has"),
        ("no-section--setup.cfg", "setup.cfg: cannot be read: "),
        ("deep--Pipfile.lock", "Pipfile.lock: cannot be read: "),
    ],
)
def test_a_malformed_file_is_one_line(name, said):
    kept = next(path for path in KEPT if path.name == name)
    notes = scan_bytes(name.partition("--")[2], kept.read_bytes()).notes
    assert len(notes) == 1
    assert notes[0].startswith(said)


def test_links_lead_nowhere(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.py").write_text("import theano\n")
    inside.mkdir()
    (inside / "a.py").write_text("import keras\n")
    (inside / "file.py").symlink_to(outside / "secret.py")
    (inside / "folder").symlink_to(outside)
    (inside / "itself").symlink_to(inside)
    (inside / "requirements.txt").symlink_to("/etc/passwd")
    os.mkfifo(inside / "pipe.py")
    assert [entry.name for entry in listing(inside).files] == ["a.py"]
    assert "theano" not in json.dumps(document(scan(inside)))


def test_depth_is_bounded_and_said(tmp_path):
    folder = tmp_path
    for _ in range(DEEPEST + 3):
        folder = folder / "d"
        folder.mkdir()
        (folder / "a.py").write_text("import keras\n")
    found = listing(tmp_path)
    assert len(found.files) == DEEPEST
    assert [note for note in found.notes if "deeper than" in note]


def test_size_is_bounded_and_said(tmp_path):
    (tmp_path / "a.py").write_text("import keras\n")
    with (tmp_path / "big.py").open("wb") as stream:
        stream.write(b"import theano\n")
        stream.truncate(LARGEST_TEXT + 1)
    found = scan(tmp_path)
    assert found.notes == [f"big.py: larger than {LARGEST_TEXT >> 20} MB: not looked at"]
    assert "theano" not in found.ranges


def test_the_count_of_files_is_bounded_and_said(tmp_path):
    for number in range(12):
        (tmp_path / f"m{number}.py").write_text("")
    found = listing(tmp_path, 10)
    assert len(found.files) == 10
    assert found.notes == ["more than 10 files: the rest was not looked at"]
