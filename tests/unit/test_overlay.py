"""A user's own facts over the database: what they add and correct, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envsolve import pipeline
from envsolve.cli import COMMANDS
from envsolve.dispatch import run
from envsolve.errors import DatabaseError, EnvsolveError, UsageError
from envsolve.matrices import load
from envsolve.matrix_view import show

OURS = {"ours": {"source": "https://wiki.example.org/gpu", "checked": "2026-11-24", "how": "measured"}}
E = {"*": "ours"}
IMAGE = {"id": "base:1", "reference": "registry.example.org/base:1", "os": "debian11", "status": "available",
         "last_seen": "2026-11-24", "python": "3.6.15", "evidence": E}  # fmt: skip
BUILD = {"package": "ourframe", "version": "1.0", "released": "2019-01-01", "pythons": {"3.6": None},
         "devices": ["cpu"], "glibc": "2.17", "evidence": E}  # fmt: skip
CAP = {"id": "ours", "kind": "limit", "package": "numpy", "versions": "<1.17", "symptom": "boom", "why": "so",
       "when": [{"package": "tensorflow", "versions": "<1.9"}], "evidence": E}  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def overlay(folder: Path, name: str = "mine.json", **tables: Any) -> str:
    (folder / name).write_text(json.dumps({"evidence": OURS, **tables}))
    return str(folder / name)


def test_rows_are_added_to_every_kind_of_table(tmp_path: Path) -> None:
    file = overlay(tmp_path, images=[IMAGE], caps=[CAP], frameworks=[
        {"name": "ourframe", "aliases": ["of"], "module": "ourframe", "builds": [BUILD]}])  # fmt: skip
    facts = load(overlays=[file])
    assert next(iter(facts.images)) == "base:1"
    assert facts.caps[-1].id == "ours"
    assert facts.aliases["of"] == facts.aliases["ourframe"] == "ourframe"
    assert "ourframe" in set(facts.framework_names())
    assert facts.evidence(facts.framework("ourframe").builds[0], "glibc").how == "measured"


def test_a_row_that_is_there_changes_in_the_fields_given_and_keeps_the_rest(tmp_path: Path) -> None:
    row = {"version": "8.0", "driver_min": "367.99", "evidence": {"driver_min": "ours"}}
    plain, facts = load(), load(overlays=[overlay(tmp_path, toolkits=[row])])
    old, new = plain.toolkits["8.0"], facts.toolkits["8.0"]
    assert (new.driver_min, new.sass, new.ways) == ("367.99", old.sass, old.ways)
    assert list(facts.toolkits) == list(plain.toolkits)
    source = facts.evidence(new, "driver_min").source
    assert "wiki.example.org" in source
    assert "mine.json" in source
    assert facts.evidence(new, "sass") == plain.evidence(old, "sass")
    assert [facts.way_evidence(new, w) for w in new.ways] == [plain.way_evidence(old, w) for w in old.ways]


def test_a_file_of_one_framework_serves_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(
        json.dumps({"name": "ourframe", "module": "ourframe", "evidence": OURS, "builds": [BUILD]})
    )
    assert load(overlays=[tmp_path / "f.json"]).framework("ourframe").builds[0].version == "1.0"


def test_a_build_of_a_known_framework_is_added_and_another_corrected(tmp_path: Path) -> None:
    plain = load().framework("tensorflow").builds
    builds = [{**BUILD, "package": "tensorflow", "version": "1.4.1.post1"},
              {"package": "tensorflow", "version": "1.4.1", "cpu": ["avx2"], "evidence": {"cpu": "ours"}}]  # fmt: skip
    facts = load(overlays=[overlay(tmp_path, frameworks=[{"name": "tensorflow", "builds": builds}])])
    found = facts.framework("tensorflow").builds
    assert len(found) == len(plain) + 1
    cpu = {f"{b.package}=={b.version}": b.cpu for b in found}
    assert cpu["tensorflow==1.4.1"] == ("avx2",)
    assert cpu["tensorflow==1.4.0"] == ()


def test_a_later_file_wins_over_an_earlier_one(tmp_path: Path) -> None:
    files = [overlay(tmp_path, f"{n}.json", toolkits=[{"version": "8.0", "gcc_max": n, "evidence": E}]) for n in "67"]
    assert load(overlays=files).toolkits["8.0"].gcc_max == "7"


def test_the_version_says_which_file_and_what_was_in_it(tmp_path: Path) -> None:
    plain = load().version
    first = load(overlays=[overlay(tmp_path, images=[IMAGE])]).version
    second = load(overlays=[overlay(tmp_path, images=[{**IMAGE, "os": "debian12"}])]).version
    assert first.startswith(f"{plain}+mine.json:")
    assert first != second


def test_an_answer_rests_on_them_and_its_commands_name_them(tmp_path: Path) -> None:
    file = overlay(tmp_path, images=[IMAGE])
    solution = pipeline.answer(["tensorflow==1.4.1"], facts=[file], gpu=("none",), python="3.6", os="debian11")
    assert solution.chosen is not None
    assert solution.chosen.base_image == "base:1"
    assert f"--facts {file}" in solution.chosen.command
    assert any("mine.json" in reason.source for reason in solution.chosen.reasons)
    assert solution.request.facts == (file,)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("a table nobody knows", {"image": []}, "image"),
    ("a row that breaks the schema", {"images": [{**IMAGE, "status": "there"}]}, "images[0] base:1"),
    ("a new row that lacks something", {"images": [{"id": "x", "evidence": E}]}, "images[0] x"),
    ("no evidence", {"images": [{k: v for k, v in IMAGE.items() if k != "evidence"}]}, "images[0] base:1: evidence"),
    ("an evidence key of nowhere", {"images": [{**IMAGE, "evidence": {"*": "their"}}]}, "'their'"),
    ("a correction whose field rests on nothing",
     {"toolkits": [{"version": "8.0", "gcc_max": "7", "driver_min": "1", "evidence": {"gcc_max": "ours"}}]},
     "driver_min"),
    ("a rule broken", {"images": [{**IMAGE, "os": "debian77"}]}, "debian77 has no row (image-reference)"),
    ("a range of nothing", {"caps": [{**CAP, "when": [{"package": "tensorflow", "versions": ">99"}]}]}, "empty-range"),
    ("a framework without a module", {"frameworks": [{"name": "ourframe", "builds": [BUILD]}]}, "module"),
    ("no list", {"images": {}}, "images"),
    ("no object", {"images": ["x"]}, "images[0]"),
    ("frameworks as an object", {"frameworks": {}}, "frameworks"),
    ("a framework twice", {"frameworks": [{"name": "keras"}, {"name": "keras"}]}, "frameworks[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "says"), [(t, s) for _, t, s in BAD], ids=[name for name, _, _ in BAD])
def test_what_is_wrong_is_refused_with_file_and_row(tables: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = overlay(tmp_path, **tables)
    for _ in range(2):  # a refusal is not forgotten
        with pytest.raises(DatabaseError) as caught:
            load(overlays=[file])
        text = "\n".join((caught.value.message, *caught.value.facts))
        assert file in text
        assert says in text


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(overlays=[tmp_path / "nowhere.json"])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(EnvsolveError):
        load(overlays=[tmp_path / "broken.json"])


def test_that_the_rules_were_kept_is_remembered_for_the_same_facts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def counted(*arguments: Any) -> list[Any]:
        runs.append(1)
        return real(*arguments)

    import envsolve.lint

    real = envsolve.lint.lint
    monkeypatch.setattr(envsolve.lint, "lint", counted)
    file = overlay(tmp_path, images=[IMAGE])
    load(overlays=[file])
    load(overlays=[file])
    assert len(runs) == 1
    load(overlays=[overlay(tmp_path, images=[{**IMAGE, "os": "debian12"}])])
    assert len(runs) == 2


def test_the_command_line_takes_them_from_option_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay(tmp_path, images=[IMAGE])
    monkeypatch.chdir(tmp_path)
    assert run(["matrix", "show", "base:1", "--facts", "mine.json"], COMMANDS, "0") == 0
    assert "mine.json" in capsys.readouterr().out
    assert run(["matrix", "show", "base:1"], COMMANDS, "0") == 2
    (tmp_path / "pyproject.toml").write_text('[tool.envsolve]\nfacts = ["mine.json"]\n')
    assert run(["matrix", "show", "base:1"], COMMANDS, "0") == 0
    assert run(["tf==1.4.1", "--gpu", "none", "--os", "debian11", "--python", "3.6", "--dry-run"], COMMANDS, "0") == 0
    assert "base:1" in capsys.readouterr().out


def test_it_is_shown_with_its_source(tmp_path: Path) -> None:
    row = show("base:1", load(overlays=[overlay(tmp_path, images=[IMAGE])]))["rows"][0]
    assert row["evidence"]["os"]["source"].startswith("https://wiki.example.org")


@pytest.mark.index
def test_a_lock_says_so_and_is_made_again_with_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = overlay(tmp_path / "elsewhere", images=[IMAGE])
    monkeypatch.chdir(tmp_path)
    words = ["tf==1.4.1", "--gpu", "none", "--python", "3.6", "--os", "debian11", "--facts", file, "-o", "out"]
    assert run(words, COMMANDS, "0") == 0
    lock = json.loads((tmp_path / "out" / "envsolve.lock").read_text())
    assert "+mine.json:" in lock["facts"]
    assert str(tmp_path) not in json.dumps(lock)
    assert "--facts mine.json" in lock["stack"]["command"]
    assert run(["lock", "out", "--check"], COMMANDS, "0") == 2  # it is not in this folder
    assert "--facts FILE" in capsys.readouterr().err
    assert run(["lock", "out", "--check", "--facts", file], COMMANDS, "0") == 0
    overlay(tmp_path, images=[{**IMAGE, "os": "debian12"}])
    assert run(["lock", "out", "--check"], COMMANDS, "0") != 0
