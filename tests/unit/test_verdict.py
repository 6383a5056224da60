"""The machine-code and PTX rules, one line of the compatibility guides each."""

import pytest

from envsolve.solver.verdict import on_gpu, worst


@pytest.mark.parametrize(
    ("gpu", "sass", "ptx", "expected"),
    [
        ("6.1", ["6.0"], [], "native"),  # same major, lower minor
        ("6.0", ["6.1"], [], "no"),  # a higher minor does not run on a lower one
        ("8.6", ["7.5"], ["7.5"], "jit"),  # another major: only through PTX
        ("8.6", ["7.5"], [], "no"),
        ("7.0", ["6.1"], ["7.5"], "no"),  # PTX newer than the GPU is of no use
        ("8.6", None, ["7.5"], "unknown"),
        ("8.6", ["7.5"], None, "unknown"),
        ("8.6", ["8.0"], None, "native"),  # what is known decides where it can
        ("12.0", ["9.0a"], ["9.0"], "jit"),
    ],
)
def test_on_gpu(gpu, sass, ptx, expected):
    assert on_gpu(gpu, sass, ptx) == expected


def test_a_library_whose_kernels_mostly_lack_ptx_is_unknown_not_jit():
    assert on_gpu("9.0", ["8.0"], ["8.0"], 0.05) == "unknown"
    assert on_gpu("9.0", ["8.0"], ["8.0"], 0.8) == "jit"


def test_the_worst_decides():
    assert worst(["native", "jit", "unknown"]) == "unknown"
    assert worst(["wrong", "no"]) == "no"
    assert worst([]) == "native"
