"""Any bytes, and any damage to model files of every format, end in a result: in time, and never in an exception."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import model_bytes as made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envsolve.matrices import Facts, load
from envsolve.scan.models import looks_like_model, read_model

SAMPLES = made.samples()
KEPT = Path(__file__).parents[1] / "fuzz" / "models"
"""Inputs that once ended badly, or came close."""
LIMIT_S = 10.0
_FACTS: list[Facts] = []


def _facts() -> Facts:
    if not _FACTS:
        _FACTS.append(load())
    return _FACTS[0]


def _check(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        looks_like_model(path)
        start = time.perf_counter()
        found = read_model(path, _facts())
        assert time.perf_counter() - start < LIMIT_S
    assert found
    assert all("\n" not in item.found for item in found)
    bad = [item for item in found if item.found.startswith(("cannot be read", "unknown"))]
    assert not bad or len(found) == 1


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sample with bytes changed, cut out, doubled, or replaced by a part of another."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[name])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.integers(0, 5))
        if kind == 0 and content:
            content[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == 3:
            other = SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))]
            start = draw(st.integers(0, max(0, len(other) - 1)))
            content[at:at] = other[start : start + draw(st.integers(1, 4096))]
        elif kind == 4:
            content[at : at + 8] = draw(st.sampled_from([b"\xff" * 8, bytes(8), b"\xff\xff\xff\x7f", b"\x80" * 8]))
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 256))]
    return name, bytes(content)


@given(damaged())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files(case: tuple[str, bytes]) -> None:
    _check(*case)


@given(
    st.sampled_from(sorted({Path(n).suffix for n in SAMPLES} | {"", ".pbtxt", ".zip", ".bin"})), st.binary(max_size=600)
)
@settings(max_examples=200, deadline=None)
def test_any_bytes(ending: str, content: bytes) -> None:
    _check(f"file{ending}", content)


HEADS = [
    *(
        b"\x89HDF\r\n\x1a\n\x00",
        b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00",
        b"\x93NUMPY\x01\x00",
        b"\x80\x02",
        b"\x80\x04\x95",
    ),
    *(
        b"PK\x03\x04",
        b"\x08\x00\x00\x00TFL3",
        b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1",
        b"\x12\x01" + bytes(14),
        b"\x08\x01\x12",
    ),
]


@given(
    st.sampled_from(HEADS),
    st.sampled_from(["a.h5", "a.pb", "a.pkl", "a.npz", "a.t7", "a.params", "a"]),
    st.binary(max_size=400),
)
@settings(max_examples=300, deadline=None)
def test_bytes_after_a_magic(head: bytes, name: str, rest: bytes) -> None:
    _check(name, head + rest)


@pytest.mark.parametrize("path", sorted(KEPT.iterdir()), ids=lambda path: path.name)
def test_kept_inputs(path: Path) -> None:
    _check(path.name, path.read_bytes())
