"""What moved since a lock was made, upgrades of single packages, and why a package is there: over a small index."""

from datetime import date

import pytest
from lock_world import HOST, World, facts, request, stack

from envsolve.errors import UsageError
from envsolve.lock import make_lock
from envsolve.lock.changes import changes, fates, lines, upgrade_plan
from envsolve.lock.closure import document, why_package
from envsolve.lock.document import dump, load

LIMIT = {
    "id": "limit-c", "kind": "limit", "package": "c", "versions": "<1.5", "why": "c 1.5 breaks fw",
    "when": [{"package": "fw", "versions": "<2"}], "symptom": "no attribute c",
}  # fmt: skip


@pytest.fixture
def world():
    world = World().tools()
    world.wheel("fw", "1.0", "2017-05-01", "a>=1", "b").wheel("a", "1.0", "2017-01-01", "c>=1")
    world.wheel("a", "2.0", "2018-01-01", "c>=2").wheel("b", "1.0", "2017-01-01", "c")
    world.wheel("c", "1.0", "2017-01-01").wheel("c", "1.9", "2017-07-01").wheel("c", "2.0", "2017-09-01")
    world.wheel("b", "2.0", "2017-12-01", "c")
    yield world
    world.close()


@pytest.fixture
def relock(world, tmp_path):
    """Make the lock of fw 1.0; each time from an index that is read anew."""
    made = []

    def make(old=None, names=(), day=None, caps=()):
        made.append(None)
        place = tmp_path / str(len(made))
        days, prefer = upgrade_plan(old, names, day) if old else ({}, {})
        return make_lock(
            stack("fw==1.0"), request("fw==1.0"), HOST, facts(place, caps=caps), index=world.index(place),
            as_of=old and old.as_of, upgrades=days, prefer=prefer,
        )  # fmt: skip

    return make


def pins(lock):
    return {package.name: package.version for package in lock.packages if package.phase != "build"}


def test_nothing_moves_while_nothing_happens(world, relock):
    old = relock()
    assert pins(old) == {"fw": "1.0", "a": "1.0", "b": "1.0", "c": "1.0"}
    assert changes(old, relock(old)) == ()
    assert dump(relock(old)).replace(old.as_of_reason, "") == dump(old).replace(old.as_of_reason, "")


def test_each_kind_of_move_is_told(world, relock, tmp_path):
    old = relock()
    world.projects["b"] = [f for f in world.projects["b"] if "1.0" not in f.filename]  # deleted
    world.wheel("b", "0.9", "2016-01-01", "d").wheel("d", "1", "2016-01-01")  # older; wants another
    world.projects["c"][0].extra["yanked"] = "broken"
    world.sdist("a", "1.1", "2017-03-01")
    new = relock(old)
    told = lines((*fates(old, world.index(tmp_path)), *changes(old, new)))
    assert "b: b-1.0-py2.py3-none-any.whl was deleted from the index" in told
    assert "c: c-1.0-py2.py3-none-any.whl was withdrawn (yanked) since: broken" in told
    assert {"a: 1.0 -> 1.1", "b: 1.0 -> 0.9", "d: added, 1", "c: removed, it was 1.0"} <= set(told)
    assert {c.kind for c in changes(new, old)} >= {"version", "removed", "added"}


def test_a_file_that_was_replaced_or_yanked_is_told(world, relock, tmp_path):
    old = relock()
    world.projects["b"][0].content += b"more"
    world.wheel("c", "1.0", "2017-01-02", tags="cp36-none-any")
    world.projects["a"][0].extra["yanked"] = True
    new = relock(old)
    told = lines((*fates(old, world.index(tmp_path / "x")), *changes(old, new)))
    assert "b: the index has another file of the name b-1.0-py2.py3-none-any.whl" in told
    assert "a: a-1.0-py2.py3-none-any.whl was withdrawn (yanked) since" in told
    assert "c: another file, c-1.0-py2.py3-none-any.whl -> c-1.0-cp36-none-any.whl" in told
    assert any(line.startswith("b: another file, sha256:") for line in told)


def test_an_upgrade_moves_one_package_and_what_it_needs(relock):
    old = relock()
    new = relock(old, ["A"], date(2018, 6, 1))
    assert pins(new) == {"fw": "1.0", "a": "2.0", "b": "1.0", "c": "2.0"}  # b 2.0 is there too, and stays away
    assert new.as_of == old.as_of
    assert new.upgrades == {"a": date(2018, 6, 1)}
    assert lines(changes(old, new))[:2] == ("a: 1.0 -> 2.0", "c: 1.0 -> 2.0")
    assert load(dump(new)) == new
    assert changes(new, relock(new)) == ()  # it holds: locked again it stays as it is
    further = relock(new, ["b"], date(2018, 6, 1))
    assert pins(further) == {"fw": "1.0", "a": "2.0", "b": "2.0", "c": "2.0"}
    assert changes(further, relock(further)) == ()


def test_an_upgrade_takes_no_more_than_it_must(relock):
    new = relock(relock(), ["a"], date(2017, 8, 1))
    assert pins(new) == {"fw": "1.0", "a": "1.0", "b": "1.0", "c": "1.0"}


def test_an_upgrade_as_of_the_locks_own_date_leaves_the_others(world, relock):
    old = relock()
    world.wheel("a", "1.2", "2017-04-01", "c>=1").wheel("b", "1.2", "2017-04-01", "c")  # the index has more by now
    assert pins(relock(old)) | {} == {"fw": "1.0", "a": "1.2", "b": "1.2", "c": "1.0"}
    assert pins(relock(old, ["a"])) == {"fw": "1.0", "a": "1.2", "b": "1.0", "c": "1.0"}


@pytest.mark.parametrize(
    ("names", "day", "code"),
    [(["aa"], None, "unknown-package"), (["a"], date(2100, 1, 1), "as-of-in-future"), ([], date(2018, 1, 1), "usage")],
)
def test_what_cannot_be_upgraded(relock, names, day, code):
    with pytest.raises(UsageError) as error:
        upgrade_plan(relock(), names, day)
    assert error.value.code == code


# -- why a package is there -------------------------------------------------------------------------------------------


def test_why_a_package_is_there(world, relock, tmp_path):
    world.sdist("e", "1.0", "2017-01-01", {"setup.py": "setup(setup_requires=['c'])\n"})
    world.wheel("a", "1.5", "2017-04-30", "c>=1,<1.8", "e")
    lock = relock(caps=[LIMIT])
    text = why_package(lock, "C", facts(tmp_path / "f", caps=[LIMIT]))
    assert text.splitlines()[0] == "c 1.0"
    assert "    a 1.5 requires c<1.8,>=1   (fw > a)" in text.splitlines()
    assert "    b 1.0 requires c   (fw > b)" in text.splitlines()
    assert "  needed to build\n    e 1.0   (fw > a > e)\n" in text
    assert f"it is of what there was on {lock.as_of}" in text
    assert "fw<2 needs c<1.5: c 1.5 breaks fw (https://example.org/fact)" in text
    printed = document(lock, "c", facts(tmp_path / "g", caps=[LIMIT]))
    assert printed["schema"] == "envsolve/why-package-1"
    assert [d["chain"] for d in printed["required_by"]] == [["fw", "a"], ["fw", "b"]]
    assert printed["needed_to_build"] == [
        {"package": "e", "version": "1.0", "requirement": "c", "chain": ["fw", "a", "e"]}
    ]
    assert printed["limits"][0]["symptom"] == "no attribute c"


def test_why_of_what_was_asked_for_and_of_an_upgrade(relock):
    lock = relock(relock(), ["a"], date(2018, 6, 1))
    assert "you asked for fw==1.0" in why_package(lock, "fw")
    assert "on 2018-06-01 (the day it was upgraded to)" in why_package(lock, "a")


def test_why_of_a_package_that_is_not_there(relock):
    with pytest.raises(UsageError) as error:
        why_package(relock(), "fww")
    assert error.value.code == "unknown-package"
    assert error.value.hints == ("envsolve why DIR --package fw",)
