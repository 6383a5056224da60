"""The rules that need committed lists: each fired once and not fired once, and the real database is clean by them."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from envsolve import facts as schema
from envsolve.data import data_dir
from envsolve.lint.database import Database, Entry, read_database

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from snapshot_rules import RULES, Snapshot, read_snapshot  # noqa: E402

SNAPSHOT = Snapshot(
    date(2020, 6, 1),
    {"frame": {"1.0", "2.0"}, "numpy": {"1.16.0", "1.17.0"}},
    {"nvidia/cuda": {"9.0-devel"}},
)
E = {"*": "e"}


def build(version: str, origin: str = "index", released: str = "2019-01-01") -> schema.Build:
    values: dict[str, Any] = {"package": "frame", "version": version, "released": released, "pythons": {}}
    return schema.Build.model_validate({**values, "devices": ["cpu"], "origin": origin, "evidence": E})


def cap(versions: str, package: str = "numpy", kind: str = "limit") -> schema.Cap:
    return schema.Cap.model_validate(
        {"id": "c", "kind": kind, "package": package, "versions": versions, "why": "so", "evidence": E}
    )


def pairing(versions: str) -> schema.Pairing:
    return schema.Pairing(versions=">=1", other="numpy", other_versions=versions, kind="companion", evidence=E)


def image(reference: str) -> schema.Image:
    return schema.Image(id="i", reference=reference, os="ubuntu16.04", status="available", evidence=E)


def toolkit(reference: str) -> schema.Toolkit:
    way = schema.Way(kind="image", reference=reference, evidence="e")
    return schema.Toolkit(version="9.0", driver_min="384.81", sass=(), ways=(way,), evidence=E)


@pytest.mark.parametrize(
    ("rule", "row"),
    [("index-version", build("1.1")), ("index-range", cap("<1.16")), ("index-range", pairing(">=2")),
     ("unlisted-tag", image("nvidia/cuda:9.0-cudnn9")), ("unlisted-tag", image("nvcr.io/nvidia/cuda:1")),
     ("unlisted-tag", toolkit("nvidia/cuda:9.9"))],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_a_fault_fires_its_rule(rule: str, row: schema.Row) -> None:
    assert [finding.rule for finding in findings(row)] == [rule]


@pytest.mark.parametrize(
    "row",
    [build("1.0"), build("1.1", origin="url"), build("3.0", released="2020-07-01"), cap("<1.17"), cap("<0", "unheard"),
     cap("<1", kind="api"), pairing("==1.17.*"), image("nvidia/cuda:9.0-devel"), image("python:3.6"),
     toolkit("nvidia/cuda:9.0-devel")],
)  # fmt: skip
def test_what_is_no_fault_fires_none(row: schema.Row) -> None:
    assert findings(row) == []


def findings(row: schema.Row) -> list[Any]:
    database = Database(Path(), entries=[Entry("f.json", "row", row)])
    return [finding for rule in RULES for finding in rule(database, SNAPSHOT)]


def test_the_database_has_no_version_or_tag_that_nobody_listed() -> None:
    database, snapshot = read_database(data_dir("matrices")), read_snapshot()
    assert len(snapshot.versions) > 30
    assert len(snapshot.tags["nvidia/cuda"]) > 1000
    assert [finding for rule in RULES for finding in rule(database, snapshot)] == []
