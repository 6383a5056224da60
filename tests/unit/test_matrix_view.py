"""``matrix show``, ``list`` and ``stats``: browsing the database."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from envsolve.cli import COMMANDS
from envsolve.dispatch import run
from envsolve.errors import UsageError
from envsolve.matrices import Facts, load
from envsolve.matrix_list import listing, listing_text
from envsolve.matrix_stats import ORDER, statistics, statistics_text
from envsolve.matrix_view import show, show_text


@pytest.fixture(scope="module")
def facts() -> Facts:
    return load()


@pytest.mark.parametrize(
    ("spec", "kind", "title"),
    [("cuda 8.0", "cuda", "8.0"), ("cudnn 7.6", "cudnn", "7.6"), ("python 3.6", "python", "3.6"),
     ("debian11", "system", "debian11"), ("RTX 3090", "gpu", "RTX 3090"), ("tesla v100", "gpu", "V100"),
     ("sm_70", "architecture", "Volta"), ("numpy-theano", "cap", "numpy-theano"), ("virtualenv", "tool", "virtualenv")],
)  # fmt: skip
def test_anything_can_be_shown_with_its_sources(spec: str, kind: str, title: str, facts: Facts) -> None:
    document = show(spec, facts)
    assert document["schema"] == "envsolve/rows-1"
    assert {row["table"] for row in document["rows"]} == {kind}
    for row in document["rows"]:
        assert row["evidence"]
        assert all(e["source"] and e["checked"] and e["how"] for e in row["evidence"].values())
    text = show_text(document)
    assert title in text
    assert next(iter(document["rows"][0]["evidence"].values()))["source"] in text


def test_an_image_is_shown_by_reference_and_by_id(facts: Facts) -> None:
    for image in facts.images.values():
        assert image.id in {row["id"] for row in show(image.reference, facts)["rows"]}
        assert show(image.id, facts)["rows"]


def test_every_cap_can_be_shown_by_its_id(facts: Facts) -> None:
    for cap in facts.caps:
        assert cap.id in {row.get("id") for row in show(cap.id, facts).get("rows", [])}, cap.id


def test_ways_are_shown_with_the_source_of_each(facts: Facts) -> None:
    row = next(toolkit for toolkit in facts.toolkits.values() if toolkit.ways)
    shown = show(f"cuda {row.version}", facts)["rows"][0]["ways"]
    assert [way["reference"] for way in shown] == [way.reference for way in row.ways]
    assert all(way["evidence"]["source"] for way in shown)


def test_a_framework_s_name_is_its_builds_before_anything_else(facts: Facts) -> None:
    for spec in ("keras", "tf==1.4.1", "tensorflow-gpu==1.4.1"):
        assert show(spec, facts)["schema"] == "envsolve/builds-1"


@pytest.mark.parametrize(
    ("spec", "meant"),
    [("tensrflow", "tensorflow"), ("numpy-theno", "numpy-theano"), ("cuda 8.8", "'cuda 8.0'"), ("debian1", "debian")],
)
def test_an_unknown_name_suggests_the_nearest(spec: str, meant: str, facts: Facts) -> None:
    with pytest.raises(UsageError) as caught:
        show(spec, facts)
    assert any(hint.startswith(f"envsolve matrix show {meant}") for hint in caught.value.hints), caught.value.hints


def test_the_list_of_frameworks_has_counts_and_ranges(facts: Facts) -> None:
    rows = {row["name"]: row for row in listing(None, facts)}
    assert set(rows) == set(facts.framework_names())
    assert rows["tensorflow"]["builds"] == len(facts.framework("tensorflow").builds)
    assert rows["keras"]["versions"].endswith(tuple(b.version for b in facts.framework("keras").builds))
    assert len(listing_text(list(rows.values())).splitlines()) == len(rows)


def test_the_list_of_a_framework_has_a_line_a_build(facts: Facts) -> None:
    rows = {row["build"]: row for row in listing("tf", facts)}
    assert len(rows) == len(facts.framework("tensorflow").builds)
    row = rows["tensorflow-gpu==1.4.1"]
    assert (row["released"], row["cuda"], row["cudnn"]) == ("2017-12-08", "8.0", "6.0")
    line = next(x for x in listing_text(list(rows.values())).splitlines() if x.startswith("tensorflow-gpu==1.4.1 "))
    assert line.split()[1:3] == ["2017-12-08", "2.7,3.4-3.6"]
    assert {row["build"].split("==")[0] for row in listing("tensorflow-gpu", facts)} == {"tensorflow-gpu"}


@pytest.mark.parametrize(
    "kind", ["gpus", "gpu", "cuda", "cudnn", "images", "systems", "os", "pythons", "caps", "tools"]
)
def test_each_table_can_be_listed(kind: str, facts: Facts) -> None:
    rows = listing(kind, facts)
    assert rows
    assert len(listing_text(rows).splitlines()) == len(rows)
    json.dumps(rows)


def test_an_unknown_table_suggests_the_nearest(facts: Facts) -> None:
    with pytest.raises(UsageError) as caught:
        listing("tensrflow", facts)
    assert "envsolve matrix list tensorflow" in caught.value.hints


def test_the_figures_add_up(facts: Facts) -> None:
    stats = statistics(facts)
    groups = Counter()
    for table in stats["tables"].values():
        for counts in table.values():
            groups.update(counts)
    assert dict(groups) == stats["how"]
    assert set(stats["how"]) <= set(ORDER)
    assert stats["facts"] == sum(n for how, n in stats["how"].items() if how != "unknown")
    assert stats["rows"]["builds"] == sum(row["builds"] for row in stats["frameworks"].values())
    assert stats["rows"]["caps"] == len(facts.caps)
    assert stats["facts"] > sum(stats["rows"].values())


def test_what_a_gpu_build_does_not_know_is_counted_and_what_a_cpu_build_cannot_is_not(facts: Facts) -> None:
    code = statistics(facts)["tables"]["builds"]["GPU code"].get("unknown", 0)
    builds = [b for name in facts.framework_names() for b in facts.framework(name).builds if b.cuda_source]
    assert code == sum((b.sass is None) + (b.ptx is None) for b in builds)


def test_the_figures_are_printed_by_table_and_framework(facts: Facts) -> None:
    text = statistics_text(statistics(facts))
    assert all(name in text for name in ("measured", "documented", "tensorflow", "caps", facts.version))


def test_the_commands_join_words_and_print_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "show", "cuda", "8.0", "--json"], COMMANDS, "0") == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["version"] == "8.0"
    assert run(["matrix", "list", "caps", "--json"], COMMANDS, "0") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "envsolve/list-2"
