"""The examples are what envsolve writes for their locks, byte for byte, and each has its proof."""

import json
from pathlib import Path

import pytest

from envsolve.folder import read_lock
from envsolve.render import render

EXAMPLES = sorted(p.parent for p in (Path(__file__).parents[2] / "examples").glob("*/envsolve"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_what_its_lock_renders(example):
    folder = example / "envsolve"
    for path, text in render(read_lock(folder)).items():
        assert (folder / path).read_text() == text, f"python scripts/update_examples.py --build {example.name}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passed_its_smoke_test(example):
    report = json.loads((example / "envsolve" / "smoke-report.json").read_text())
    locked = {f.name: f.version for f in read_lock(example / "envsolve").stack.frameworks}
    assert report["ok"]
    assert locked.items() <= report["versions"].items()
