"""Every lint rule: a database that fires it, and the same database without the fault."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from envsolve.errors import DatabaseError
from envsolve.lint import lint
from envsolve.lint.rules import RULES
from envsolve.overlay import read_overlay

Files = dict[str, Any]
Change = tuple[str, tuple[str | int, ...], Any]

E = {"*": "e"}
EVIDENCE = {"e": {"source": "https://example.org", "checked": "2020-01-01", "how": "documented"}}


def table(**tables: Any) -> dict[str, Any]:
    return {"evidence": EVIDENCE, **tables}


def build(version: str, package: str = "frame", **more: Any) -> dict[str, Any]:
    row = {"package": package, "version": version, "released": "2019-01-01", "pythons": {"3.6": None}}
    return {**row, "devices": ["cpu"], "evidence": E, **more}


CLEAN: Files = {
    "gpus.json": table(
        architectures=[
            {"name": "Old", "compute_capability": "5.0", "cuda_first": "6.0", "cuda_last": "9.0", "evidence": E},
            {"name": "New", "compute_capability": "7.0", "cuda_first": "9.0", "evidence": E},
        ],
        products=[
            {"name": "NVIDIA GeForce GTX 1", "compute_capability": "5.0", "aliases": ["one"], "evidence": E},
            {"name": "Tesla V1", "compute_capability": "7.0", "evidence": E},
        ],
    ),
    "cuda.json": table(
        toolkits=[
            {"version": "8.0", "driver_min": "367.48", "sass": ["5.0"], "evidence": E},
            {"version": "9.0", "driver_min": "384.81", "sass": ["5.0", "7.0"], "ptx": ["7.0"], "ptx_share": 0.8,
             "ways": [{"kind": "url", "reference": "https://example.org/cuda", "evidence": "e"}], "evidence": E},
        ]
    ),
    "cudnn.json": table(releases=[{"version": "7.0", "cuda": ["9.0"], "sass": ["7.0"], "evidence": E}]),
    "systems.json": table(
        systems=[{"name": "ubuntu16.04", "glibc": "2.23", "released": "2016-04-21", "evidence": E}]
    ),
    "pythons.json": table(
        pythons=[
            {"version": "3.6", "full": "3.6.15", "abi": "cp36m", "pip": "21.3.1", "setuptools": "59.6.0",
             "wheel": "0.37.1", "released": "2016-12-23", "evidence": E}
        ]
    ),
    "images.json": table(
        images=[
            {"id": "a", "reference": "python:3.6.15-slim", "os": "ubuntu16.04", "status": "available",
             "python": "3.6.15", "last_seen": "2020-01-01", "evidence": E},
            {"id": "b", "reference": "nvidia/cuda:9.0.1-devel", "os": "ubuntu16.04", "status": "available",
             "cuda": "9.0", "cudnn": "7.0", "cuda_source": "image", "last_seen": "2020-01-01", "evidence": E},
            {"id": "c", "reference": "ubuntu:16.04", "os": "ubuntu16.04", "status": "rebuilt", "cuda": "8.0",
             "cuda_source": "apt", "apt_keys": ["k"], "apt_repositories": ["r"], "apt_pins": ["cuda-x=8.0-1"],
             "last_seen": "2020-01-01", "evidence": E},
            {"id": "d", "reference": "vendor:1", "os": "ubuntu16.04", "status": "available",
             "framework": "vendor-frame==1.5", "notes": "its registry shows no dates", "evidence": E},
        ]
    ),
    "frameworks/frame.json": {
        "name": "frame", "module": "frame", "evidence": EVIDENCE,
        "builds": [
            build("1.0"),
            build("2.0", cuda="9.0", cudnn="7.0.5", cuda_source="system", devices=["gpu"]),
            build("1.5", package="vendor-frame"),
        ],
        "substitutes": [{"build": "vendor-frame==1.5", "versions": "<2", "differs": "newer", "evidence": E}],
        "pairings": [
            {"versions": ">=1", "other": "other", "other_versions": "==1.*", "evidence": E},
            {"versions": ">=1", "other": "no-framework", "other_versions": "<2", "kind": "companion", "evidence": E},
        ],
        "reports": [
            {"id": "r", "packages": ["frame"], "versions": "==2.0", "compute_capabilities": ">=8", "verdict": "wrong",
             "text": "bad numbers", "evidence": E}
        ],
    },
    "frameworks/other.json": {
        "name": "other", "module": "other", "evidence": EVIDENCE, "builds": [build("1.1", package="other")],
        "default_backends": {">=1": "frame"}, "gpu_backends": {">=1": "frame"},
    },
    "caps/cap.json": table(
        caps=[
            {"id": "limit", "kind": "limit", "package": "numpy", "versions": "<2",
             "when": [{"package": "frame", "versions": "<2"}], "pythons": ">=3.6", "symptom": "boom", "why": "so",
             "evidence": E},
            {"id": "requires", "kind": "requires", "package": "scipy", "requires": ["numpy>=1"], "symptom": "boom",
             "why": "so", "evidence": E},
        ]
    ),
    "schema/anything.json": {"not": "a table"},
}  # fmt: skip

SHA = "0" * 64
SEEN = {"kind": "wheel", "reference": "cuda-toolkit==8.0", "last_seen": "2020-01-01", "evidence": "e"}
URL_FILE = {"url": "https://example.org/frame-1.0-cp36.whl", "python": "3.6", "sha256": SHA}
URL_BUILD = build("1.0", origin="url", files=[URL_FILE])
EARLIER = build("2.1", cuda="9.1", cuda_source="wheel", devices=["gpu"], evidence={"*": "e", "cuda": "m"})
LATER = build("2.1.1", cuda="9.0", cuda_source="wheel", devices=["gpu"])
IMAGES, CAPS, FRAME = "images.json", "caps/cap.json", "frameworks/frame.json"
FUTURE = "9999-01-01"
WAY = {"kind": "wheel", "reference": "cuda-toolkit==8.0", "evidence": "x"}

PROVEN = "verified/proven.json"
VERIFIED = {
    "id": "proven", "builds": ["frame==1.0"], "python": "3.6.15", "os": "debian 12", "image": None, "engine": "local",
    "machine": "x86_64", "device": "cpu", "solved_for": "cpu", "verdict": "native", "ok": True, "ran": ["numpy"],
    "lock": "0" * 64, "checked": "2020-01-01", "envsolve": "0.1.0",
}  # fmt: skip

FAULTS: list[tuple[str, str, Change]] = [
    ("image-reference", "an OS without a row", (IMAGES, ("images", 0, "os"), "ubuntu99")),
    ("image-reference", "a CUDA without a row", (IMAGES, ("images", 2, "cuda"), "7.5")),
    ("image-reference", "a cuDNN without a row", (IMAGES, ("images", 1, "cudnn"), "9.9")),
    ("image-framework", "a build nobody has", (IMAGES, ("images", 3, "framework"), "vendor-frame==1.6")),
    ("cudnn-reference", "a CUDA without a row", ("cudnn.json", ("releases", 0, "cuda"), ["9.0", "9.9"])),
    ("build-reference", "a CUDA without a row", (FRAME, ("builds", 1, "cuda"), "9.9")),
    ("build-reference", "a cuDNN without a row", (FRAME, ("builds", 1, "cudnn"), "8.1")),
    ("build-reference", "a Python without a row", (FRAME, ("builds", 0, "pythons"), {"3.99": None})),
    ("substitute-build", "no such build", (FRAME, ("substitutes", 0, "build"), "vendor-frame==9")),
    ("pairing-framework", "no such framework", (FRAME, ("pairings", 0, "other"), "nothing")),
    ("pairing-framework", "no such backend", ("frameworks/other.json", ("default_backends",), {">=1": "nothing"})),
    ("version", "a build's version", (FRAME, ("builds", 0, "version"), "one")),
    ("version", "a capability", ("cuda.json", ("toolkits", 0, "sass"), ["5.0", "sm_61"])),
    ("version", "a driver", ("cuda.json", ("toolkits", 0, "driver_min"), "R367")),
    ("specifier", "a pairing", (FRAME, ("pairings", 0, "versions"), "1.x")),
    ("specifier", "a cap's Pythons", (CAPS, ("caps", 0, "pythons"), "3.6+")),
    ("specifier", "a cap's condition", (CAPS, ("caps", 0, "when"), [{"package": "frame", "versions": "<<2"}])),
    ("specifier", "a requirement", (CAPS, ("caps", 1, "requires"), ["numpy >= "])),
    ("empty-range", "a pairing", (FRAME, ("pairings", 0, "versions"), ">=3")),
    ("empty-range", "a pairing's other side", (FRAME, ("pairings", 0, "other_versions"), ">=3")),
    ("empty-range", "a substitute for itself only", (FRAME, ("substitutes", 0, "versions"), "==1.5")),
    ("empty-range", "a report", (FRAME, ("reports", 0, "versions"), ">=3")),
    ("empty-range", "a default backend", ("frameworks/other.json", ("default_backends",), {">=3": "frame"})),
    ("empty-range", "a cap's condition", (CAPS, ("caps", 0, "when"), [{"package": "frame", "versions": ">3"}])),
    ("driver-floor", "a floor that falls", ("cuda.json", ("toolkits", 1, "driver_min"), "352.31")),
    ("native-range", "older than the architecture", ("cuda.json", ("toolkits", 0, "sass"), ["5.0", "7.0"])),
    ("native-range", "after its last release", ("gpus.json", ("architectures", 0, "cuda_last"), "8.0")),
    ("evidence-date", "in the future", ("cuda.json", ("evidence", "e", "checked"), FUTURE)),
    ("evidence-date", "no source", ("cuda.json", ("evidence", "e", "source"), " ")),
    ("evidence-missing", "a field that rests on nothing", ("cuda.json", ("toolkits", 0, "evidence"), {"sass": "e"})),
    ("evidence-undefined", "no such key", ("cuda.json", ("toolkits", 0, "evidence"), {"*": "e", "sass": "x"})),
    ("evidence-undefined", "a way to have it", ("cuda.json", ("toolkits", 0, "ways"), [WAY])),
    ("evidence-undefined", "no such field", ("cuda.json", ("toolkits", 0, "evidence"), {"*": "e", "sas": "e"})),
    ("evidence-unused", "a source for nothing", ("cuda.json", ("evidence", "spare"), EVIDENCE["e"])),
    ("duplicate", "an image's id", (IMAGES, ("images", 3, "id"), "a")),
    ("duplicate", "a CUDA release", ("cuda.json", ("toolkits", 1, "version"), "8.0")),
    ("duplicate", "a capability", ("gpus.json", ("architectures", 1, "compute_capability"), "5.0")),
    ("duplicate", "a cap", (CAPS, ("caps", 1, "id"), "limit")),
    ("product-name", "an alias that is another's name", ("gpus.json", ("products", 1, "aliases"), ["geforce gtx-1"])),
    ("product-architecture", "no such capability", ("gpus.json", ("products", 1, "compute_capability"), "7.1")),
    ("image-tag", "another Python", (IMAGES, ("images", 0, "python"), "3.6.14")),
    ("image-tag", "no Python", (IMAGES, ("images", 0, "python"), None)),
    ("image-tag", "another CUDA", (IMAGES, ("images", 1, "cuda"), "8.0")),
    ("rebuilt-image", "no pins", (IMAGES, ("images", 2, "apt_pins"), [])),
    ("rebuilt-image", "no key", (IMAGES, ("images", 2, "apt_keys"), [])),
    ("rebuilt-image", "a pin without a version", (IMAGES, ("images", 2, "apt_pins"), ["cuda-x"])),
    ("ptx-share", "more than all", ("cuda.json", ("toolkits", 1, "ptx_share"), 80)),
    ("ptx-share", "a share of nothing known", ("cuda.json", ("toolkits", 1, "ptx"), None)),
    ("cap-reason", "no symptom", (CAPS, ("caps", 0, "symptom"), None)),
    ("cap-reason", "no reason", (CAPS, ("caps", 0, "why"), " ")),
    ("cap-shape", "a limit without versions", (CAPS, ("caps", 0, "versions"), "")),
    ("cap-shape", "needs without a condition", (CAPS, ("caps", 1, "kind"), "needs")),
    ("cap-shape", "a system cap without packages", (CAPS, ("caps", 1, "kind"), "system")),
    ("pairing-framework", "no such GPU back end", ("frameworks/other.json", ("gpu_backends",), {">=1": "nothing"})),
    ("empty-range", "a GPU back end", ("frameworks/other.json", ("gpu_backends",), {">=3": "frame"})),
    ("empty-range", "a companion's other side", (FRAME, ("pairings", 0), {
        "versions": ">=1", "other": "vendor-frame", "other_versions": ">=3", "kind": "companion", "evidence": E})),
    ("cap-symptom", "two caps that are one", (CAPS, ("caps",), [
        {"id": id_, "kind": "limit", "package": "n", "versions": "<2", "symptom": "boom", "why": "so", "evidence": E}
        for id_ in ("one", "two")])),
    ("cap-symptom", "a text twice", (CAPS, ("caps", 0, "symptoms"), ["boom"])),
    ("cap-text", "an odd brace", (CAPS, ("caps", 0, "symptom"), "no {brace")),
    ("cap-text", "no word", (CAPS, ("caps", 0, "symptoms"), ["{...} {}"])),
    ("cap-text", "two words for one", (CAPS, ("caps", 0, "beside"), ["two words"])),
    ("cap-way", "no way out", (CAPS, ("caps", 0), {
        "id": "a", "kind": "api", "symptom": "boom bang", "why": "so", "evidence": E})),
    ("future-date", "a build", (FRAME, ("builds", 0, "pythons"), {"3.6": FUTURE})),
    ("future-date", "an image", (IMAGES, ("images", 0, "last_seen"), FUTURE)),
    ("future-date", "a way", ("cuda.json", ("toolkits", 0, "ways"), [{**SEEN, "last_seen": FUTURE}])),
    ("release-date", "a file before the release", (FRAME, ("builds", 0, "pythons"), {"3.6": "2018-12-31"})),
    ("release-date", "no day, and the index knows it", (FRAME, ("builds", 0, "released"), None)),
    ("release-date", "an end before the beginning", ("pythons.json", ("pythons", 0, "end_of_life"), "2016-01-01")),
    ("way-seen", "seen when?", ("cuda.json", ("toolkits", 0, "ways"), [{**SEEN, "last_seen": None}])),
    ("way-duplicate", "a way twice", ("cuda.json", ("toolkits", 0, "ways"), [SEEN, SEEN])),
    ("way-replaced", "all gone", ("cuda.json", ("toolkits", 0, "ways"), [{**SEEN, "status": "gone"}])),
    ("image-seen", "seen when?", (IMAGES, ("images", 0, "last_seen"), None)),
    ("build-origin", "no files", (FRAME, ("builds", 0, "origin"), "url")),
    ("build-origin", "no index", (FRAME, ("builds", 0, "origin"), "elsewhere")),
    ("build-origin", "an index of its own for the usual one", (FRAME, ("builds", 0, "index"), "https://example.org/whl")),
    ("build-file", "a Python that is not listed", (FRAME, ("builds", 0), {**URL_BUILD, "pythons": {"2.7": None}})),
    ("build-file", "two for one Python", (FRAME, ("builds", 0), {**URL_BUILD, "files": [URL_FILE, URL_FILE]})),
    ("address", "a file", (FRAME, ("builds", 0), {**URL_BUILD, "files": [{**URL_FILE, "url": "frame-1.0.whl"}]})),
    ("address", "a pattern", ("cuda.json", ("toolkits", 1, "ways", 0, "reference"), "https://example.org/cuda-{v}.run")),
    ("digest", "a file's", (FRAME, ("builds", 0), {**URL_BUILD, "files": [{**URL_FILE, "sha256": "abc"}]})),
    ("digest", "an image's", (IMAGES, ("images", 0, "digest"), SHA)),
    ("measured-from", "no such version", (FRAME, ("builds", 0, "measured_from"), "1.0.9")),
    ("measured-from", "itself", (FRAME, ("builds", 0, "measured_from"), "1.0")),
    ("capability", "an unknown one", (FRAME, ("builds", 1, "sass"), ["5.0", "6.6"])),
    ("report-package", "not the framework's", (FRAME, ("reports", 0, "packages"), ["frame", "fram"])),
    ("python-detail", "another release", ("pythons.json", ("pythons", 0, "full"), "3.7.1")),
    ("python-detail", "another ABI", ("pythons.json", ("pythons", 0, "abi"), "cp37m")),
    ("disagreement", "a table against the file", (FRAME, (), {
        **CLEAN[FRAME], "builds": [*CLEAN[FRAME]["builds"], EARLIER, LATER],
        "evidence": {**EVIDENCE, "m": {**EVIDENCE["e"], "how": "measured"}}})),
    ("verified", "a build without a row", (PROVEN, (), {**VERIFIED, "builds": ["frame==9.9"]})),
    ("verified", "another name than the file's", (PROVEN, (), {**VERIFIED, "id": "frame"})),
    ("verified", "of the future", (PROVEN, (), {**VERIFIED, "checked": "2199-01-01"})),
    ("verified", "passed with a failed check", (PROVEN, (), {**VERIFIED, "failed": {"numpy": "NaN"}})),
    ("verified", "failed without one", (PROVEN, (), {**VERIFIED, "ok": False})),
    ("verified", "passed elsewhere than solved for", (PROVEN, (), {**VERIFIED, "solved_for": "gpu"})),
    ("verified", "an unknown capability", (PROVEN, (), {**VERIFIED, "solved_for": "gpu", "device": "gpu"})),
    ("schema", "a verified fact without its checks", (PROVEN, (), {"id": "proven"})),
    ("schema", "an unknown field", ("cuda.json", ("toolkits", 0, "colour"), "red")),
    ("schema", "an unknown table", ("cuda.json", ("toolkit",), [])),
    ("schema", "an unknown file", ("cudas.json", (), {})),
    ("schema", "not an object", ("cuda.json", (), [])),
]  # fmt: skip


def changed(files: Files, change: Change) -> Files:
    file, path, value = change
    files = copy.deepcopy(files)
    if not path:
        return {**files, file: value}
    at = files[file]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return files


def written(files: Files, root: Path) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))
    return root


def test_a_clean_database_has_no_findings(tmp_path: Path) -> None:
    assert lint(written(CLEAN, tmp_path)) == []


@pytest.mark.parametrize(("rule", "fault", "change"), FAULTS, ids=[f"{r}: {f}" for r, f, _ in FAULTS])
def test_a_fault_fires_its_rule(rule: str, fault: str, change: Change, tmp_path: Path) -> None:
    findings = lint(written(changed(CLEAN, change), tmp_path))
    assert rule in {finding.rule for finding in findings}, findings
    assert all(finding.file and finding.text for finding in findings)


def test_every_rule_has_a_fault_that_fires_it() -> None:
    source = "".join(Path(rule.__code__.co_filename).read_text() for rule in {*RULES})
    named = set(re.findall(r'(?:finding\(|Finding\()\s*"([a-z-]+)"', source))
    assert named - {rule for rule, _, _ in FAULTS} == set()
    assert len(RULES) >= 38


NO_FAULTS: list[tuple[str, Change]] = [
    ("a smoke test that passed", (PROVEN, (), VERIFIED)),
    ("one that failed on a GPU", (PROVEN, (), {
        **VERIFIED, "ok": False, "failed": {"frame device": "ran on cpu"}, "solved_for": "gpu"})),
    ("a build with an address of its own", (FRAME, ("builds", 0), URL_BUILD)),
    ("a way that is gone, and what replaces it", ("cuda.json", ("toolkits", 0, "ways"), [
        {**SEEN, "status": "gone", "replaced_by": "cuda-toolkit==9.0"}])),
    ("a way that nobody saw, and nobody says is there", ("cuda.json", ("toolkits", 0, "ways"), [
        {**SEEN, "status": "unknown", "last_seen": None}])),
    ("the same pins for two OS releases", ("cuda.json", ("toolkits", 0, "ways"), [SEEN, {**SEEN, "notes": "bionic"}])),
    ("a disagreement with a note", (FRAME, (), {
        **CLEAN[FRAME], "builds": [*CLEAN[FRAME]["builds"], EARLIER, {**LATER, "notes": "the table is wrong"}],
        "evidence": {**EVIDENCE, "m": {**EVIDENCE["e"], "how": "measured"}}})),
    ("two caps with one symptom for two packages", (CAPS, ("caps",), [
        {"id": p, "kind": "limit", "package": p, "versions": "<2", "symptom": "boom", "why": "so", "evidence": E}
        for p in ("numpy", "scipy")])),
    ("a companion that is no framework", (FRAME, ("pairings", 0), {
        "versions": ">=1", "other": "framevision", "other_versions": ">=3", "kind": "companion", "evidence": E})),
]  # fmt: skip


@pytest.mark.parametrize("change", [change for _, change in NO_FAULTS], ids=[name for name, _ in NO_FAULTS])
def test_what_is_no_fault_fires_no_rule(change: Change, tmp_path: Path) -> None:
    assert lint(written(changed(CLEAN, change), tmp_path)) == []


def test_a_name_that_two_products_share_openly_is_no_fault(tmp_path: Path) -> None:
    files = changed(CLEAN, ("gpus.json", ("products", 1, "aliases"), ["one"]))
    assert lint(written(files, tmp_path)) == []


def test_what_is_wrong_with_facts_of_ones_own_stands_under_their_file(tmp_path: Path) -> None:
    root = written(CLEAN, tmp_path / "matrices")
    own = tmp_path / "own.json"
    rows = {"toolkits": [{"version": "9.0", "driver_min": "300", "evidence": E}],
            "frameworks": [{"name": "frame", "pairings": [
                {"versions": ">=7", "other": "other", "other_versions": "==1.*", "evidence": E}]}]}  # fmt: skip
    own.write_text(json.dumps(table(**rows)))
    found = lint(root, [read_overlay(own)])
    assert {(f.rule, f.file) for f in found} == {("driver-floor", str(own)), ("empty-range", str(own))}


def test_a_file_that_is_no_json_is_reported_with_its_name(tmp_path: Path) -> None:
    root = written(CLEAN, tmp_path)
    (root / "cuda.json").write_text("{")
    assert ("schema", "cuda.json") in {(f.rule, f.file) for f in lint(root)}


def test_findings_come_in_the_same_order_each_time(tmp_path: Path) -> None:
    files = CLEAN
    for _, _, change in FAULTS[:12]:
        files = changed(files, change)
    root = written(files, tmp_path)
    assert lint(root) == lint(root) != []


def test_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        lint(tmp_path / "nowhere")
