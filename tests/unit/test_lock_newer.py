"""``why DIR --package NAME``: why newer releases were not taken, from what is cached, and what is not known then."""

from datetime import date
from itertools import takewhile

import pytest
from lock_world import HOST, World, facts, request, stack

from envsolve.errors import NoCombinationError
from envsolve.lock import make_lock
from envsolve.lock.closure import document, why_package

CP27 = "cp27-cp27mu-manylinux1_x86_64"


@pytest.fixture(name="world")
def _world():
    world = World().tools()
    world.wheel("fw", "1.0", "2017-05-01", "a>=1")
    yield world
    world.close()


@pytest.fixture(name="told")
def _told(world, tmp_path):
    """Lock, go offline, and ask: the lines of 'why no newer one'."""

    def ask(name="a", *, companions=(), caps=(), before=lambda: None, document_of=False, **more):
        database = facts(tmp_path, caps=caps, frameworks=more.pop("frameworks", None))
        index = world.index(tmp_path)
        asked = request("fw==1.0", companions=companions)
        lock = make_lock(stack("fw==1.0", **more), asked, HOST, database, index=index, as_of=date(2017, 6, 1))
        index.pool.shutdown(wait=True)  # reads ahead
        before()
        asked_of_index = len(world.log)
        offline = world.index(tmp_path, offline=True)
        if document_of:
            return document(lock, name, database, offline)
        text = why_package(lock, name, database, offline)
        assert len(world.log) == asked_of_index
        part = text.partition("  why no newer one\n")[2].splitlines()
        return [line.strip() for line in takewhile(lambda line: line.startswith("    "), part)]

    return ask


def test_the_reasons_are_told_apart_and_lumped(world, told):
    world.wheel("a", "1.0", "2016-01-01").wheel("b", "1.0", "2016-01-01", "a<1.6", "c").wheel("c", "1.0", "2016-01-01")
    for minor in (1, 2):
        world.wheel("a", f"1.{minor}", "2016-02-01", yanked="broken")
    world.wheel("a", "1.3", "2016-02-02", tags=CP27).wheel("a", "1.3.1", "2016-02-02", tags=CP27)
    world.wheel("a", "1.4", "2016-02-03", tags="cp36-cp36m-manylinux_2_34_x86_64")
    world.wheel("a", "1.5", "2016-02-03", requires_python=">=3.7").wheel("a", "1.5.1rc1", "2016-02-03")
    world.wheel("a", "1.5.2", "2016-02-03", "c>=2").wheel("a", "1.6", "2016-02-04")
    world.wheel("a", "1.7", "2017-06-02").wheel("a", "2.0", "2018-01-01", tags=CP27)
    assert told(companions=["b"]) == [
        "1.1 and 1.2: withdrawn (yanked) since: broken",
        "1.3 and 1.3.1: no file for Python 3.6 (cp36m) with glibc 2.31",
        "1.4: its files for Python 3.6 need a newer glibc than 2.31",
        "1.5: requires Python >=3.7; here it is 3.6.15",
        "1.5.1rc1: a pre-release, and a final release fits",
        "1.5.2: it requires c>=2, and c is 1.0 here",
        "1.6: b 1.0 requires a<1.6",
        "1.7 and 2.0: not released yet on 2017-06-01, the first of them 1.7 (2017-06-02)",
    ]


def test_a_limit_of_the_database_and_ones_own_word(world, told):
    for version in ("1.0", "1.1", "2.0"):
        world.wheel("a", version, "2016-01-01")
    cap = {
        "id": "a-2",
        "kind": "limit",
        "package": "a",
        "versions": "<2",
        "when": [{"package": "fw"}],
        "why": "it hangs",
    }
    assert told(caps=[cap], companions=["a<1.1"])[0] == "1.1 and 2.0: you asked for a<1.1"


def test_a_limit_of_the_database_is_told_with_why(world, told):
    world.wheel("a", "1.0", "2016-01-01").wheel("a", "2.0", "2016-01-01")
    cap = {
        "id": "a-2",
        "kind": "limit",
        "package": "a",
        "versions": "<2",
        "when": [{"package": "fw"}],
        "why": "it hangs",
    }
    assert told(caps=[cap]) == ["2.0: fw needs a<2: it hangs"]


def test_the_newest_there_is(world, told):
    world.wheel("a", "1.0", "2016-01-01")
    assert told() == ["there is none on the index"]


def test_a_framework_that_the_database_knows_and_the_index_has_no_more(world, told):
    world.wheel("a", "1.0", "2016-01-01").wheel("fw", "1.1", "2017-05-02").wheel("fw", "1.2", "2018-01-01")
    builds = [
        {"package": "fw", "version": v, "released": f"2017-05-0{i}"} for i, v in enumerate(("1.0", "1.1", "1.1.1"), 1)
    ]
    assert told("fw", frameworks={"fw": {"builds": builds}}) == [
        "1.1: you asked for fw==1.0",
        "1.1.1: deleted from the index; the database has it as uploaded on 2017-05-03",
        "1.2: not released yet on 2017-06-01 (2018-01-01)",
    ]


def test_a_build_tool_of_later_than_the_day(world, told):
    world.wheel("a", "1.0", "2016-01-01").wheel("pip", "22.0", "2022-01-30", requires_python=">=3.7")
    assert told("pip") == ["22.0: requires Python >=3.7; here it is 3.6.15"]


def test_what_is_not_cached_is_not_known(world, told, tmp_path):
    import shutil

    world.wheel("a", "1.0", "2016-01-01")
    (line,) = told(before=lambda: shutil.rmtree(tmp_path / "cache"))
    assert line == "not known: the page of a is not in the cache; `envsolve lock DIR --check` reads it"


def test_requirements_that_are_not_cached_are_said_to_be(world, told, tmp_path):
    import shutil

    world.wheel("a", "1.0", "2016-01-01").wheel("a", "1.1", "2016-01-02", "c>=2").wheel("c", "1.0", "2016-01-01")
    assert told(companions=["c"], before=lambda: shutil.rmtree(next((tmp_path / "cache").glob("metadata-*")))) == [
        "1.1: not known: its requirements are not in the cache"
    ]


def test_the_document_has_the_same(world, told):
    world.wheel("a", "1.0", "2016-01-01").wheel("a", "1.1", "2017-06-02")
    found = told(document_of=True)
    assert [(row["versions"], row["kind"]) for row in found["newer"]] == [(("1.1",), "later")]
    assert found["newer_unknown"] is None


def test_a_failure_says_what_was_deleted(world, tmp_path):
    world.wheel("a", "1.0", "2016-01-01")
    builds = [{"package": "fw", "version": version, "released": "2017-05-01"} for version in ("0.9", "1.0")]
    database = facts(tmp_path, frameworks={"fw": {"builds": builds}})
    with pytest.raises(NoCombinationError) as error:
        make_lock(stack("fw==0.9"), request("fw==0.9"), HOST, database, index=world.index(tmp_path))
    assert error.value.facts[0] == (
        "you asked for fw==0.9: 0.9 (2017-05-01) was deleted from the index: the database has seen it there; "
        "it has 1.0 (2017-05-01)"
    )
