"""Where there is no closure, the error tells what is not there yet, gone, made for others, withdrawn or forbidden."""

from datetime import date

import pytest
from lock_world import HOST, World, facts, request, stack

from envsolve.errors import Exit, NoCombinationError, NotReadyError, UsageError
from envsolve.lock import make_lock


@pytest.fixture
def world():
    world = World().tools()
    world.wheel("fw", "1.0", "2017-05-01")
    yield world
    world.close()


@pytest.fixture
def fail(world, tmp_path):
    """The error of a request that cannot be locked."""

    def make(*companions, framework="fw==1.0", caps=(), as_of=None, glibc="2.31"):
        database = facts(tmp_path, caps=caps)
        asked = request("fw==1.0", companions=companions, as_of=as_of)
        with pytest.raises(NoCombinationError) as error:
            make_lock(stack(framework, glibc=glibc), asked, HOST, database, index=world.index(tmp_path))
        assert error.value.code == "no-closure" and error.value.exit_code == Exit.NO_COMBINATION
        return error.value

    return make


def test_not_released_yet_names_the_day_and_the_command(world, fail):
    world.wheel("a", "1.0", "2016-01-01", "b").wheel("a", "2.0", "2018-07-02", "b").wheel("b", "1.0", "2018-03-04")
    error = fail("a", as_of=date(2017, 6, 1))
    assert error.message == "the packages of 'fw==1.0 a' cannot be put together for Python 3.6 as of 2017-06-01"
    assert error.facts[-1] == (
        "a 1.0 requires b: b was not released yet on 2017-06-01: "
        "its first file here, b-1.0-py2.py3-none-any.whl, is of 2018-03-04"
    )
    assert error.hints[0] == "envsolve fw==1.0 a --as-of 2018-03-04"
    assert error.hints[1] == "envsolve fw==1.0 --as-of 2017-06-01"


def test_deleted_or_never_released(world, fail):
    world.wheel("a", "2.0", "2016-01-01").wheel("a", "3.0", "2017-01-01")
    (fact,) = fail("a==1.0").facts
    assert fact.startswith("you asked for a==1.0: no release that is a==1.0 is on the index (any more): ")
    assert fact.endswith("it has 2.0 (2016-01-01) to 3.0 (2017-01-01)")


def test_a_framework_whose_file_is_gone(fail):
    assert "no release that is fw==0.9" in fail(framework="fw==0.9").facts[0]


def test_a_requirement_that_is_no_project(world, fail):
    world.wheel("a", "1.0", "2016-01-01", "gone")
    assert fail("a").facts[-1] == (
        "a 1.0 requires gone: the index has no project gone: it was deleted, or it never had that name"
    )


def test_no_file_for_this_python(world, fail):
    world.wheel("a", "1.0", "2016-01-01", tags="cp27-cp27mu-manylinux1_x86_64")
    world.wheel("a", "1.0", "2016-01-01", tags="cp35-cp35m-manylinux1_x86_64")
    (fact,) = fail("a==1.0").facts
    assert fact.endswith(
        "a==1.0 has no file for Python 3.6 (cp36m) with glibc 2.31; its files are for cp27-cp27mu, cp35-cp35m"
    )


def test_requires_another_python(world, fail):
    world.sdist("a", "1.0", "2016-01-01", requires_python=">=3.7")
    assert (
        fail("a==1.0").facts[0].endswith("has no file for Python 3.6 (cp36m) with glibc 2.31: it requires Python >=3.7")
    )


def test_needs_a_newer_glibc(world, fail):
    world.wheel("a", "1.0", "2016-01-01", tags="cp36-cp36m-manylinux_2_28_x86_64")
    text = fail("a==1.0", glibc="2.19").facts[0]
    assert "with glibc 2.19; a newer glibc would do for a-1.0-cp36-cp36m-manylinux_2_28_x86_64.whl" in text


def test_withdrawn_ones_are_named_as_such(world, fail):
    world.wheel("a", "1.0", "2016-01-01", "b<2", yanked="oops").wheel("b", "2.0", "2016-01-01").wheel(
        "b", "1.0", "2018-01-01"
    )
    facts_told = fail("a==1.0", as_of=date(2017, 6, 1)).facts
    assert facts_told[0] == "you asked for a==1.0: a==1.0 is met on 2017-06-01 by 1.0, all withdrawn (yanked) since"
    assert facts_told[1].startswith("a 1.0 requires b<2: b<2 was not released yet on 2017-06-01")


def test_forbidden_by_a_cap_names_why_and_source(world, fail):
    world.wheel("a", "2.0", "2016-01-01").wheel("a", "1.0", "2015-01-01")
    why = "its arrays are of another shape"
    cap = {"id": "a-arrays", "kind": "limit", "package": "a", "versions": "<2", "when": [{"package": "fw"}], "why": why}
    error = fail("a==2.0", caps=[cap])
    assert error.facts[-1] == f"fw needs a<2: {why} (cap a-arrays; https://example.org/fact)"
    assert "you asked for fw==1.0: fw==1.0 is met on 2017-05-31 by 1.0" in error.facts
    assert error.hints == ("envsolve fw==1.0",)


def test_two_requirements_that_exclude_each_other(world, fail):
    world.wheel("a", "1.0", "2016-01-01", "c<2").wheel("b", "1.0", "2016-01-01", "c>=2")
    world.wheel("c", "1.0", "2016-01-01").wheel("c", "2.0", "2016-02-01").wheel("unrelated", "1.0", "2016-01-01")
    error = fail("a", "b", "unrelated")
    assert {"a 1.0 requires c<2", "b 1.0 requires c>=2"} <= set(error.facts)
    assert not any("unrelated" in fact for fact in error.facts)


def test_many_versions_are_one_line(world, fail):
    for minor in range(9):
        world.wheel("a", f"1.{minor}", "2016-01-01", "c>=2")
    world.wheel("c", "1.0", "2016-01-01")
    (fact,) = (f for f in fail("a").facts if "require" in f)
    assert fact.startswith("a 1.0 to 1.8 (9 releases) require c>=2: no release that is c>=2")


def test_metadata_that_cannot_be_read_rules_a_version_out(world, fail):
    world.add("a", "a-1.0-py3-none-any.whl", b"nothing", "2016-01-01")
    assert fail("a").facts[-1] == "a 1.0: a-1.0-py3-none-any.whl is not a readable zip file"


def test_a_name_that_the_index_does_not_have_is_a_usage_error(world, tmp_path):
    with pytest.raises(UsageError, match="the index has no project nunpy, asked for as 'nunpy<2'") as error:
        make_lock(
            stack("fw==1.0"),
            request("fw==1.0", companions=["nunpy<2"]),
            HOST,
            facts(tmp_path),
            index=world.index(tmp_path),
        )
    assert error.value.code == "unknown-package" and error.value.hints == ("pip index versions nunpy",)


def test_a_companion_that_is_no_requirement(world, tmp_path):
    with pytest.raises(UsageError, match="is not a requirement"):
        make_lock(
            stack("fw==1.0"), request("fw==1.0", companions=["a=1"]), HOST, facts(tmp_path), index=world.index(tmp_path)
        )


def test_offline_with_an_empty_cache(world, tmp_path):
    index = world.index(tmp_path, offline=True)
    with pytest.raises(NotReadyError) as error:
        make_lock(stack("fw==1.0"), request("fw==1.0"), HOST, facts(tmp_path), index=index)
    assert error.value.code == "offline"
    assert world.log == []
