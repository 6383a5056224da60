"""Real projects' requirements, locked as of their day, installed and imported: the smallest of the measured cases.

``scripts/measure_locks.py`` does it for all of them; docs/locks-measured.md has what came of it.
"""

import json
import sys
from pathlib import Path

import pytest

from envsolve.interpreters import find_interpreters

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from measure_locks import CASES, digest, run_case, table, unexpected, verdict  # noqa: E402

DOCUMENT = json.loads(CASES.read_text(encoding="utf-8"))
BY_ID = {case["id"]: case for case in DOCUMENT["cases"]}
SAMPLE = ("char-rnn", "sockeye-2018")


@pytest.mark.local
@pytest.mark.index
@pytest.mark.parametrize("name", SAMPLE)
def test_a_case_installs_and_all_that_it_brings_imports(name, tmp_path):
    case = BY_ID[name]
    if not any(found.version.startswith(f"{case['python']}.") for found in find_interpreters()):
        pytest.skip(f"no Python {case['python']} on this machine")
    result = run_case(case, tmp_path)
    assert verdict(case, result, DOCUMENT["expected"]) == "installed"
    assert result["modules"] > result["packages"] / 2
    assert not (tmp_path / name).exists()  # the environment is gone, the logs are not
    assert (tmp_path / f"{name}-lock.log").read_text()


def test_the_cases_are_of_many_projects_and_pythons():
    wanted = [case for case in DOCUMENT["cases"] if "answer" not in case]
    assert len(wanted) >= 40
    assert {case["python"] for case in wanted} == {"2.7", "3.6", "3.7", "3.8", "3.9", "3.10"}
    assert len(BY_ID) == len(DOCUMENT["cases"])
    assert all(len(case["commit"]) == 40 and case["says"] and case["targets"] for case in DOCUMENT["cases"])


def test_an_import_that_fails_for_another_reason_than_the_one_expected_counts():
    expected = [{"distribution": "future", "module": "winreg", "error": "No module named _winreg", "why": ""}]
    rows = [
        {"distribution": "future", "module": "winreg", "error": "ImportError: No module named _winreg"},
        {"distribution": "future", "module": "winreg", "error": "SyntaxError: invalid syntax"},
        {"distribution": "numpy", "module": "winreg", "error": "ImportError: No module named _winreg"},
    ]
    assert unexpected({"bad": rows}, expected) == rows[1:]


def test_a_no_must_be_the_one_that_was_foreseen():
    case = {"id": "a", "answer": "cannot be put together"}
    result = {"case": "a", "failed": "lock", "said": "the packages cannot be put together"}
    assert verdict(case, result, ()) == "no"
    assert verdict(case, {**result, "said": "no network"}, ()).startswith("FAILED: lock: no network")
    assert verdict({"id": "a"}, result, ()).startswith("FAILED")
    assert verdict(case, {"case": "a", "bad": [], "absent": []}, ()) == "FAILED: it was said to be impossible"


def test_a_result_of_a_case_that_changed_since_is_not_in_the_table():
    case = {"id": "a", "repo": "o/r", "date": "2018-01-01", "python": "3.6", "targets": ["tf==1.4"]}
    result = {
        "case": "a", "digest": digest(case), "day": "2026-11-24", "cold_s": 2.0, "warm_s": 1.0, "packages": 3,
        "sdists": 1, "install_s": 9.6, "modules": 4, "bad": [], "absent": [],
    }  # fmt: skip
    row = "| a | o/r, 2018-01-01 | 3.6 | 3 (1) | 2.0 / 1.0 | 10 | 4/4 |"
    assert row in table({"cases": [case], "expected": []}, {"a": result})
    assert row not in table({"cases": [{**case, "python": "3.7"}], "expected": []}, {"a": result})
