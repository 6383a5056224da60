"""The frameworks' rows: what they must say of releases whose facts are known, and how the update script makes them."""

import importlib.util
import json
import sys
from datetime import date
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envsolve.errors import EnvsolveError
from envsolve.lock.capping import companion_limits
from envsolve.lock.index import Index
from envsolve.lock.pages import File
from envsolve.lock.pipconfig import user_config
from envsolve.matrices import load

ROOT = Path(__file__).parents[2]
NAMES = ("tensorflow", "torch", "keras", "theano")

sys.path.insert(0, str(ROOT / "scripts"))
import wheel_facts  # noqa: E402

spec = importlib.util.spec_from_file_location("update_frameworks", ROOT / "scripts" / "update_frameworks.py")
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script
spec.loader.exec_module(script)


@pytest.fixture(scope="module")
def facts():
    return load(ROOT / "matrices")


@pytest.fixture(scope="module")
def builds(facts):
    return {f"{b.package}=={b.version}": b for name in NAMES for b in facts.framework(name).builds}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_validates_and_names_its_sources(facts, name):
    framework = facts.framework(name)
    assert framework.builds
    for row in (*framework.builds, *framework.substitutes, *framework.pairings, *framework.reports):
        assert facts.evidence(row).source
        for field in row.evidence:
            assert facts.evidence(row, field).source


@pytest.mark.parametrize("name", NAMES)
def test_versions_are_pep_440_and_ids_unique(facts, name):
    framework = facts.framework(name)
    ids = [f"{b.package}=={b.version}" for b in framework.builds]
    assert len(ids) == len(set(ids))
    for build in framework.builds:
        assert build.origin == "nvidia" or not Version(build.version).is_prerelease
        assert (
            build.measured_from is None
            or Version(build.measured_from).release[:2] == Version(build.version).release[:2]
        )
    for pairing in framework.pairings:
        SpecifierSet(pairing.versions), SpecifierSet(pairing.other_versions)


@pytest.mark.parametrize(
    ("build", "pythons"),
    [
        ("tensorflow==1.4.1", "2.7 3.4 3.5 3.6"),
        ("tensorflow==1.13.1", "2.7 3.4 3.5 3.6 3.7"),
        ("tensorflow==1.14.0", "2.7 3.4 3.5 3.6 3.7"),
        ("tensorflow==1.15.0", "2.7 3.5 3.6 3.7"),
        ("tensorflow==1.15.5", "3.6 3.7"),
        ("tensorflow==2.1.0", "2.7 3.5 3.6 3.7"),
        ("tensorflow==2.2.0", "3.5 3.6 3.7 3.8"),
        ("tensorflow==2.5.0", "3.6 3.7 3.8 3.9"),
        ("tensorflow-cpu==1.15.0", "2.7 3.5 3.6 3.7"),
        ("torch==1.4.0", "2.7 3.5 3.6 3.7 3.8"),
        ("torch==1.7.1", "3.6 3.7 3.8 3.9"),
        ("torch==1.13.1", "3.7 3.8 3.9 3.10 3.11"),
    ],
)
def test_pythons_are_those_with_a_linux_wheel(builds, build, pythons):
    assert set(builds[build].pythons) == set(pythons.split())


def test_no_tensorflow_1_on_python_38(builds):
    found = {b.version for b in builds.values() if b.package.startswith("tensorflow") and "3.8" in b.pythons}
    assert found
    assert min(map(Version, found)) == Version("2.2.0")


def test_no_torch_before_1_0_and_theano_from_source_only(builds):
    torch = [b for b in builds.values() if b.package == "torch" and b.origin == "index"]
    assert min(Version(b.version) for b in torch) == Version("1.0.0")
    assert all(b.source_only and b.pythons for b in builds.values() if b.package == "theano")
    assert [b.version for b in builds.values() if b.package == "theano" and b.version >= "1"] == [
        f"1.0.{patch}" for patch in range(6)
    ]


def test_upload_dates(builds):
    assert builds["tensorflow==1.4.1"].released == date(2017, 12, 8)
    assert builds["tensorflow==1.9.0"].pythons["3.6"] == date(2018, 7, 12)
    assert builds["tensorflow==1.9.0"].released == date(2018, 7, 10)


@pytest.mark.parametrize(
    ("build", "devices"),
    [
        ("tensorflow==1.4.1", ("cpu",)),
        ("tensorflow-gpu==1.4.1", ("gpu",)),
        ("tensorflow-gpu==1.15.5", ("gpu",)),
        ("tensorflow==1.15.0", ("cpu", "gpu")),
        ("tensorflow==1.15.2", ("cpu",)),
        ("tensorflow==1.15.5", ("cpu",)),
        ("tensorflow==2.0.4", ("cpu",)),
        ("tensorflow==2.1.0", ("cpu", "gpu")),
        ("tensorflow-cpu==2.1.0", ("cpu",)),
        ("torch==1.7.1", ("cpu", "gpu")),
    ],
)
def test_devices(builds, build, devices):
    assert builds[build].devices == devices


@pytest.mark.parametrize(
    ("build", "cuda", "cudnn", "rule", "sass", "ptx"),
    [
        ("tensorflow-gpu==1.2.0", "8.0", "5.1", "same-minor", "3.0 3.5 5.2", "3.0 3.5 5.2"),
        ("tensorflow-gpu==1.4.1", "8.0", "6.0", "same-minor", "3.0 3.5 3.7 5.2 6.0 6.1", "3.0 3.5 3.7 5.2 6.0 6.1"),
        ("tensorflow-gpu==1.7.0", "9.0", "7.0", "same-minor", "3.5 3.7 5.2 6.0 6.1 7.0", "3.5 3.7 5.2 6.0 6.1 7.0"),
        ("tensorflow-gpu==1.8.0", "9.0", "7.0", "at-least-minor", "3.5 3.7 5.2 6.0 6.1 7.0", "3.5 3.7 5.2 6.0 6.1 7.0"),
        (
            "tensorflow-gpu==1.12.0",
            "9.0",
            "7.1",
            "at-least-minor",
            "3.5 3.7 5.2 6.0 6.1 7.0",
            "3.5 3.7 5.2 6.0 6.1 7.0",
        ),
        ("tensorflow-gpu==1.12.3", "9.0", "7.1", "at-least-minor", "3.7", "3.7"),
        (
            "tensorflow-gpu==1.13.1",
            "10.0",
            "7.4",
            "at-least-minor",
            "3.5 3.7 5.2 6.0 6.1 7.0",
            "3.5 3.7 5.2 6.0 6.1 7.0",
        ),
        ("tensorflow==2.4.4", "11.0", "8.0", "at-least-minor", "3.5 5.0 6.0 7.0 7.5 8.0", "8.0"),
        ("torch==1.0.0", "9.0", "7.4", None, "3.5 5.0 6.0 7.0", "5.0"),
        ("torch==1.3.0", "10.1", "7.6", None, "3.5 5.0 6.0 6.1 7.0 7.5", "5.0"),
        ("torch==1.3.1", "10.1", "7.6", None, "3.7 5.0 6.0 6.1 7.0 7.5", "3.7"),
        ("torch==1.7.1", "10.2", "7.6", None, "3.7 5.0 6.0 7.0 7.5", ""),
        ("torch==1.12.1", "10.2", "7.6", None, "3.7 5.0 6.0 7.0", ""),
        ("torch==1.13.1", "11.7", "8.5", None, "3.7 5.0 6.0 7.0 7.5 8.0 8.6", ""),
    ],
)
def test_gpu_code_and_libraries(builds, build, cuda, cudnn, rule, sass, ptx):
    row = builds[build]
    assert (row.cuda, row.cudnn, row.cudnn_rule) == (cuda, cudnn, rule)
    assert (row.sass, row.ptx) == (tuple(sass.split()), tuple(ptx.split()))


def test_every_gpu_build_of_the_index_has_measured_gpu_code(facts):
    for name, before in (("tensorflow", "3"), ("torch", "2")):
        for build in facts.framework(name).builds:
            if "gpu" in build.devices and build.origin == "index" and Version(build.version) < Version(before):
                if name == "tensorflow" and Version(build.version) >= Version("2.7") and build.sass is None:
                    continue  # of these only the last release of a minor series is read; a neighbour may differ
                assert build.sass is not None and build.ptx is not None and build.cuda, build.version
                assert facts.evidence(build, "sass").how == "measured"


def test_avx_begins_with_1_5_1(builds):
    tensorflow = [b for b in builds.values() if b.package in ("tensorflow", "tensorflow-gpu") and b.origin == "index"]
    tensorflow = [b for b in tensorflow if b.glibc]  # of the others nothing was read
    assert all(("avx" in b.cpu) == (Version(b.version) >= Version("1.5.1")) for b in tensorflow)


def test_tensorflow_before_its_index_has_its_own_addresses(builds):
    early = [b for b in builds.values() if b.package == "tensorflow" and Version(b.version) < Version("0.12")]
    assert [b.version for b in early] == ["0.5.0", "0.6.0", "0.7.0", "0.7.1", "0.8.0", "0.9.0", "0.10.0", "0.11.0"]
    for build in early:
        assert build.origin == "url" and {f.device for f in build.files} == {"cpu", "gpu"}
        assert {f.python for f in build.files} == set(build.pythons)
        assert all(f.sha256 is None and f"-{build.version}-" in f.url for f in build.files)


def test_the_cuda_of_newer_tensorflow_comes_with_an_extra(builds):
    newer = [b for b in builds.values() if b.package == "tensorflow" and Version(b.version) >= Version("2.12")]
    wheel = {b.version for b in newer if b.cuda_source == "wheel"}
    assert {b.version for b in newer if b.cuda_extra == "and-cuda"} == wheel
    assert min(map(Version, wheel)) == Version("2.15.0.post1")
    assert max(Version(b.version) for b in builds.values() if b.package == "tensorflow-gpu") == Version("2.11.0")


@pytest.mark.parametrize(
    ("tensorflow", "other", "version", "works"),
    [
        ("1.15.0", "tensorflow-probability", "0.8.0", True),
        ("1.15.0", "tensorflow-probability", "0.9.0", False),
        ("2.3.0", "tensorflow-probability", "0.11.1", True),
        ("2.3.0", "tensorflow-probability", "0.12.0", False),
        ("1.13.1", "dm-sonnet", "1.36", True),
        ("2.1.0", "dm-sonnet", "1.36", False),
        ("1.12.0", "tf-slim", "1.1.0", False),
        ("2.2.0", "tf-slim", "1.1.0", True),
        ("1.4.1", "tflearn", "0.3.2", True),
        ("2.0.0", "tflearn", "0.3.2", False),
        ("1.14.0", "tensorflow-hub", "0.12.0", False),
        ("1.12.0", "tensorboard", "1.12.2", True),
        ("1.12.0", "tensorboard", "1.13.0", False),
        ("1.15.0", "tensorflow-estimator", "1.15.1", True),
        ("2.6.0", "keras", "2.7.0", False),
        ("2.16.1", "keras", "3.0.5", True),
        ("2.16.1", "tf-keras", "2.17.0", False),
    ],
)
def test_companions_of_tensorflow(facts, tensorflow, other, version, works):
    limits = companion_limits(facts.framework("tensorflow"), "tensorflow", tensorflow)
    assert works is all(SpecifierSet(c.versions).contains(version) for c in limits if c.package == other)


def test_executable_stack_of_torch(builds):
    found = {b.version for b in builds.values() if b.glibc_below == "2.41"}
    assert found == {"1.10.0", "1.10.1", "1.10.2", "1.11.0", "1.12.0", "1.12.1"}


def test_substitutes_exist_and_say_what_differs(facts, builds):
    substitutes = facts.framework("tensorflow").substitutes
    assert substitutes
    for row in substitutes:
        build = builds[row.build]
        assert (build.origin, build.cuda_source, build.package) == ("nvidia", "image", "nvidia-tensorflow")
        assert build.version in row.build
        assert f"CUDA {build.cuda}" in row.differs
        assert set(build.pythons) <= {"3.6", "3.8"}


def test_pairings_reach_builds_on_both_sides(facts):
    keras = facts.framework("keras")
    for pairing in (p for p in keras.pairings if p.other in facts.framework_names()):
        assert any(SpecifierSet(pairing.versions).contains(b.version) for b in keras.builds)
        others = facts.framework(pairing.other).builds
        assert any(SpecifierSet(pairing.other_versions).contains(b.version) for b in others)
    for build in keras.builds:
        assert any(SpecifierSet(p.versions).contains(build.version) for p in keras.pairings), build.version


@pytest.mark.parametrize(
    ("keras", "other", "version", "works"),
    [
        ("2.0.8", "tensorflow", "1.4.1", True),
        ("2.1.6", "tensorflow", "1.4.1", False),
        ("2.2.4", "tensorflow", "1.15.5", True),
        ("2.2.4", "tensorflow", "2.1.0", False),
        ("2.3.1", "tensorflow", "1.12.3", False),
        ("2.3.1", "tensorflow", "2.2.0", True),
        ("2.3.1", "tensorflow", "2.3.0", False),
        ("1.2.2", "tensorflow", "1.4.1", True),
        ("1.2.0", "tensorflow", "1.0.0", False),
        ("1.2.2", "theano", "0.9.0", True),
        ("1.2.2", "theano", "1.0.5", False),
        ("2.0.8", "theano", "0.8.2", False),
        ("2.3.1", "theano", "1.0.5", True),
        ("0.3.3", "theano", "0.8.2", True),
        ("0.3.3", "tensorflow", "0.12.1", True),
        ("1.1.0", "tensorflow", "0.12.1", False),
        ("1.1.2", "tensorflow", "0.12.1", True),
        ("2.0.0", "tensorflow", "0.12.1", False),
        ("2.10.0", "tensorflow", "2.10.1", True),
        ("2.10.0", "tensorflow", "2.11.0", False),
        ("3.3.3", "tensorflow", "2.15.1", False),
        ("3.3.3", "tensorflow", "2.16.1", True),
        ("3.3.3", "torch", "2.3.0", False),
    ],
)
def test_pairings_are_what_ran(facts, keras, other, version, works):
    rows = [p for p in facts.framework("keras").pairings if p.other == other]
    assert works is any(
        SpecifierSet(p.versions).contains(keras) and SpecifierSet(p.other_versions).contains(version) for p in rows
    )


def test_default_backend_is_one_that_pairs(facts):
    keras = facts.framework("keras")
    for build in keras.builds:
        backends = [
            b for versions, b in keras.default_backends.items() if SpecifierSet(versions).contains(build.version)
        ]
        assert len(backends) == 1
        assert any(p.other == backends[0] and SpecifierSet(p.versions).contains(build.version) for p in keras.pairings)


def test_reports_spare_the_stand_ins(facts):
    for report in facts.framework("tensorflow").reports:
        assert "nvidia-tensorflow" not in report.packages
        assert facts.evidence(report).how == "reported"
        assert "https://" in facts.evidence(report).source


def file(name, day="2017-01-02", size=1000, **more):
    return File(filename=name, url="", sha256="0" * 64, size=size, upload_time=f"{day}T00:00:00Z", **more)


def plan(rules, *, pythons=("2.7", "3.6"), borrow=()):
    return script.Plan(projects={"demo": ">=1.0"}, rules=rules, borrow=list(borrow), pythons=frozenset(pythons))


def rule(versions=">=1.0", evidence="doc", **values):
    return {"versions": versions, "set": values, "evidence": evidence}


CPU = rule(devices=["cpu"])
GPU = rule(devices=["gpu"])


def test_only_files_that_install_on_linux_count():
    files = [
        file("demo-1.0-cp27-cp27m-manylinux1_x86_64.whl"),
        file("demo-1.0-cp27-cp27mu-manylinux1_x86_64.whl", "2017-01-05"),
        file("demo-1.0-cp36-cp36m-win_amd64.whl"),
        file("demo-1.0-cp36-cp36m-macosx_10_11_x86_64.whl"),
        file("demo-1.0-cp33-cp33m-manylinux1_x86_64.whl"),
        file("demo-1.0-cp36-cp36m-manylinux1_x86_64.whl", requires_python=">=3.7"),
        file("demo-1.1rc1-cp36-cp36m-manylinux1_x86_64.whl"),
        file("demo-1.2-cp36-cp36m-manylinux2014_aarch64.whl"),
        file("demo-0.9-cp36-cp36m-manylinux1_x86_64.whl"),
        file("demo 1.0.exe"),
    ]
    assert script.project_rows("demo", files, plan([CPU]), []) == [
        {
            "package": "demo",
            "version": "1.0",
            "released": "2017-01-05",
            "pythons": {"2.7": "2017-01-05"},
            "devices": ["cpu"],
            "size": 1000,
            "evidence": {"*": "index-demo", "devices": "doc"},
        }
    ]


def test_a_stable_abi_serves_later_pythons_and_other_c_libraries_none():
    files = [
        file("demo-1.0-cp36-abi3-manylinux2014_x86_64.whl"),
        file("demo-1.0-cp27-cp27mu-musllinux_1_1_x86_64.whl"),
        file("demo-1.1rc1-cp36-cp36m-linux_x86_64.whl"),
        file("demo-1.2.tar.bz2"),
    ]
    wanted = plan([CPU, rule(source_pythons=["2.7"])], pythons=("2.7", "3.5", "3.6", "3.7"))
    rows = script.project_rows("demo", files, wanted, [])
    assert [(r["version"], list(r["pythons"])) for r in rows] == [("1.0", ["3.6", "3.7"]), ("1.2", ["2.7"])]
    early = script.Plan(wanted.projects, wanted.rules, [], wanted.pythons, prereleases=("demo",))
    assert [r["version"] for r in script.project_rows("demo", files, early, [])] == ["1.0", "1.1rc1", "1.2"]


def test_rules_may_speak_of_packages_by_pattern():
    files = [file("demo-1.0-cp36-cp36m-manylinux1_x86_64.whl")]
    named = [CPU, {"packages": ["demo*"], **rule(glibc="2.5")}, {"packages": ["other*"], **rule(glibc="2.9")}]
    assert script.project_rows("demo", files, plan(named), [])[0]["glibc"] == "2.5"


def test_source_archives_serve_the_pythons_of_the_rule_and_yanked_files_are_noted():
    files = [file("demo-1.0.tar.gz", yanked="broken"), file("demo-1.1.tar.gz"), file("demo-1.1-py3-none-any.whl")]
    first, second = script.project_rows("demo", files, plan([CPU, rule(source_pythons=["2.7", "3.6"])]), [])
    assert first["source_only"] and set(first["pythons"]) == {"2.7", "3.6"}
    assert first["notes"] == "yanked later: demo-1.0.tar.gz (broken)"
    assert first["evidence"]["pythons"] == "doc"
    assert "source_only" not in second and set(second["pythons"]) == {"3.6"}


def measured(version, size, package="demo", **values):
    return wheel_facts.Measured(package, version, size, "scan", values)


def record(version, size, package="demo", read="full", **values):
    base = {"package": package, "version": version, "size": size, "read": read, "sha256": "a" * 64}
    return base | {"filename": f"{package}-{version}-cp36-cp36m-manylinux1_x86_64.whl"} | values


def test_what_was_measured_wins_over_rules_and_speaks_for_like_sized_neighbours_only():
    files = [
        file("demo-1.0.0-cp36-cp36m-manylinux1_x86_64.whl", size=1000),
        file("demo-1.0.1-cp36-cp36m-manylinux1_x86_64.whl", size=1010),
        file("demo-1.0.2-cp36-cp36m-manylinux1_x86_64.whl", size=2000),
        file("demo-1.1.0-cp36-cp36m-manylinux1_x86_64.whl", size=1000),
    ]
    known = [measured("1.0.0", 1000, cuda="9.0", ptx=[])]
    rows = script.project_rows("demo", files, plan([GPU, rule(cuda="8.0")]), known)
    assert [(r["cuda"], r["evidence"]["cuda"], r.get("measured_from"), r.get("ptx")) for r in rows] == [
        ("9.0", "scan", None, []),
        ("9.0", "scan", "1.0.0", []),
        ("8.0", "doc", None, None),
        ("8.0", "doc", None, None),
    ]


def test_of_one_release_a_record_wins_over_what_was_read_by_hand_field_by_field():
    files = [file("demo-1.0.0-cp36-cp36m-manylinux1_x86_64.whl")]
    wheel = wheel_facts.by_record(record("1.0.0", 1000, cuda="9.0.176", cpu={"avx": True}, sass=None))
    by_hand = measured("1.0.0", 1000, cuda="8.0", cudnn="6.0")
    row = script.project_rows("demo", files, plan([GPU]), [by_hand, wheel])[0]
    assert (row["cuda"], row["cudnn"], row["cpu"]) == ("9.0", "6.0", ["avx"])
    assert "sass" not in row
    assert {k: row["evidence"][k] for k in ("cuda", "cudnn", "cpu")} == {
        "cuda": "wheels-demo",
        "cudnn": "scan",
        "cpu": "wheels-demo",
    }
    assert "size" not in row["evidence"]


def test_an_own_record_wins_over_a_neighbour_and_a_cpu_build_has_no_gpu_facts():
    files = [file("demo-1.0.1-cp36-cp36m-manylinux1_x86_64.whl")]
    known = [measured("1.0.0", 1000, glibc="2.5"), wheel_facts.by_record(record("1.0.1", 1000, glibc_floor="2.17"))]
    row = script.project_rows("demo", files, plan([CPU]), known)[0]
    assert row["glibc"] == "2.17" and "measured_from" not in row
    gpu = [wheel_facts.by_record(record("1.0.1", 1000, sass=[], ptx=[], cuda="9.0", glibc_floor="2.17"))]
    row = script.project_rows("demo", files, plan([CPU]), gpu)[0]
    assert not {"sass", "ptx", "cuda"} & set(row)


def test_where_the_own_record_is_silent_the_nearest_neighbour_speaks():
    files = [file("demo-1.0.2-cp36-cp36m-manylinux1_x86_64.whl")]
    cheap = wheel_facts.by_record(record("1.0.2", 1000, read="cheap", cuda="9.0", sass=["sm_35"]))
    known = [
        measured("1.0.1", 1000, sass=["3.7"], ptx=["3.7"], cuda="8.0"),
        cheap,
        measured("1.0.0", 1000, glibc="2.5"),
    ]
    row = script.project_rows("demo", files, plan([GPU]), known)[0]
    assert (row["cuda"], row["sass"], row["glibc"], row["measured_from"]) == ("9.0", ["3.7"], "2.5", "1.0.1")
    assert (row["evidence"]["cuda"], row["evidence"]["sass"]) == ("wheels-demo", "scan")


def test_records_are_read_from_their_folder_full_ones_last(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "measured_wheels.json").write_text('{"rows": []}')
    lines = [record("1.0.0", 1000, glibc_floor="2.17"), record("1.0.0", 1000, read="cheap", cuda="9.0")]
    (tmp_path / "records" / "demo.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = wheel_facts.read_measured(tmp_path)
    assert [w.facts.get("glibc") for w in found] == [None, "2.17"]
    assert found[0].source and found[0].source.endswith("scripts/inputs/records/demo.jsonl")
    assert wheel_facts.read_measured(ROOT / "scripts" / "inputs")


def test_the_evidence_of_records_names_their_file_and_goes_when_unused():
    wheel = wheel_facts.by_record(record("1.0.0", 1000, glibc_floor="2.17"))
    row = {"package": "demo", "version": "1.0.0", "evidence": {"*": "index-demo", "glibc": "wheels-demo"}}
    old = content([]) | {"evidence": {"scan": {"source": "x"}, "wheels-other": {"source": "y"}, "doc": {"source": "z"}}}
    known = [measured("0.9", 1000), wheel]
    new = script.updated(old, {"demo": [row]}, date(2020, 1, 1), known)
    assert set(new["evidence"]) == {"doc", "index-demo", "wheels-demo"}
    entry = new["evidence"]["wheels-demo"]
    assert (entry["source"], entry["checked"], entry["how"]) == (wheel.source, "2020-01-01", "measured")
    assert script.updated(new, {"demo": [row]}, date(2021, 1, 1), known) == new


def test_a_package_borrows_what_was_measured_of_its_twin():
    twin = [measured("1.0.0", 1000, package="demo-gpu", cuda="9.0")]
    files = [file("demo-1.0.0-cp36-cp36m-manylinux1_x86_64.whl", size=1000)]
    borrow = [{"package": "demo", "versions": "==1.0.0", "from": "demo-gpu"}]
    assert "cuda" not in script.project_rows("demo", files, plan([GPU]), twin)[0]
    assert script.project_rows("demo", files, plan([GPU], borrow=borrow), twin)[0]["cuda"] == "9.0"


def content(builds):
    return {"name": "demo", "module": "demo", "evidence": {}, "builds": builds, "reports": []}


def test_a_drop_in_builds_is_refused():
    old = content([{"package": "demo", "version": f"1.{n}"} for n in range(100)])
    script.check_drop(old, {"demo": old["builds"][:98]})
    with pytest.raises(script.RefusedError, match="3 of 100 builds are gone"):
        script.check_drop(old, {"demo": old["builds"][:97]})


def test_other_origins_stay_and_dates_change_only_with_the_rows():
    row = {"package": "demo", "version": "1.0", "evidence": {"*": "index-demo"}}
    other = {"package": "vendor-demo", "version": "1.0", "origin": "vendor", "evidence": {"*": "x"}}
    first = script.updated(content([other]), {"demo": [row]}, date(2020, 1, 1))
    assert first["builds"] == [row, other]
    assert first["evidence"]["index-demo"]["checked"] == "2020-01-01"
    again = script.updated(first, {"demo": [row]}, date(2021, 1, 1))
    assert script.dumps(again) == script.dumps(first)
    changed = script.updated(first, {"demo": [row, row | {"version": "1.1"}]}, date(2021, 1, 1))
    assert changed["evidence"]["index-demo"]["checked"] == "2021-01-01"


@pytest.mark.parametrize("name", NAMES)
def test_files_are_as_the_script_writes_them(name):
    text = (ROOT / "matrices" / "frameworks" / f"{name}.json").read_text()
    assert script.dumps(json.loads(text)) == text


def test_unknown_name_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        script.main(["tensorfow"])
    assert stopped.value.code == 2
    assert "no framework named tensorfow" in capsys.readouterr().err


@pytest.mark.index
@pytest.mark.parametrize("name", ["theano", "keras", "torch"])
def test_the_index_still_agrees(name):
    index = Index(user_config())
    try:
        old, new = script.update(name, index, date(2000, 1, 1))
    except script.RefusedError:
        raise
    except EnvsolveError as error:
        pytest.skip(f"the package index does not answer: {error.message}")
    finally:
        index.close()
    assert new == old
