"""From a solved stack to a lock, over a small index: dates, caps, phases, files, image, environment."""

from datetime import date

import pytest
from lock_world import HOST, World, facts, request, stack

from envsolve.errors import NoCombinationError, UsageError
from envsolve.lock import make_lock
from envsolve.lock.document import dump, install_order, load, requirements
from envsolve.models import Interpreter


@pytest.fixture
def world():
    world = World().tools()
    yield world
    world.close()


@pytest.fixture
def lock(world, tmp_path):
    """Make a lock: ``lock('fw==1.0', companions=['a<2'], caps=[...])`` -> Lock."""

    def make(*frameworks, companions=(), as_of=None, caps=(), known=None, index=None, images=(), host=HOST, **more):
        database = facts(tmp_path, caps=caps, frameworks=known, images=images)
        asked = request(*(more.pop("typed", frameworks)), companions=companions)
        return make_lock(
            stack(*frameworks, **more), asked, host, database, index=index or world.index(tmp_path), as_of=as_of
        )

    return make


def pins(lock):
    return {package.name: package.version for package in lock.packages if package.phase != "build"}


def test_everything_is_of_the_day(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a>=1").wheel("a", "1.0", "2017-01-01").wheel("a", "1.1", "2017-05-30")
    world.wheel("a", "1.2", "2017-06-30")
    made = lock("fw==1.0")
    assert pins(made) == {"fw": "1.0", "a": "1.1"}
    assert made.as_of == date(2017, 5, 31)
    assert made.as_of_reason == "30 days after 2017-05-01, when fw-1.0-py2.py3-none-any.whl was uploaded"
    a = next(package for package in made.packages if package.name == "a")
    assert (a.upload_time, a.phase, a.index) == ("2017-05-30T12:00:00.000000Z", "wheel", "default")
    assert a.reason == "required by fw 1.0"


def test_the_day_follows_the_file_for_that_python(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", tags="cp35-cp35m-manylinux1_x86_64")
    world.wheel("fw", "1.0", "2018-02-01", tags="cp36-cp36m-manylinux1_x86_64")
    assert lock("fw==1.0").as_of == date(2018, 3, 3)


def test_the_day_follows_a_companion_asked_for_by_version(world, lock):
    world.wheel("fw", "1.0", "2017-05-01").wheel("a", "1.0", "2016-05-01").wheel("a", "2.0", "2019-05-01")
    made = lock("fw==1.0", companions=["a==2.0"])
    assert made.as_of == date(2019, 5, 31)
    assert "a-2.0" in made.as_of_reason


def test_an_upper_bound_does_not_move_the_day(world, lock):
    world.wheel("fw", "1.0", "2017-05-01").wheel("a", "1.0", "2016-05-01").wheel("a", "2.0", "2019-05-01")
    assert lock("fw==1.0", companions=["a<3"]).as_of == date(2017, 5, 31)


def test_the_day_is_not_before_the_python(world, lock):
    world.wheel("fw", "1.0", "2014-05-01")
    made = lock("fw==1.0")
    assert (made.as_of, made.as_of_reason) == (
        date(2017, 1, 22),
        "30 days after 2016-12-23, when Python 3.6 was released",
    )


def test_the_day_is_never_after_today(world, lock):
    today = date.today()  # noqa: DTZ011
    world.wheel("fw", "1.0", today.isoformat())
    assert lock("fw==1.0").as_of <= today


def test_a_day_before_the_framework_is_refused(world, lock):
    world.wheel("fw", "1.0", "2017-05-01")
    with pytest.raises(UsageError, match=r"as of 2017-04-30 there was no fw==1\.0 yet") as error:
        lock("fw==1.0", as_of=date(2017, 4, 30))
    assert error.value.code == "as-of-too-early"
    assert error.value.facts == ("fw-1.0-py2.py3-none-any.whl was uploaded on 2017-05-01",)


def test_a_day_in_the_future_is_refused(world, lock):
    world.wheel("fw", "1.0", "2017-05-01")
    with pytest.raises(UsageError, match="future"):
        lock("fw==1.0", as_of=date(2999, 1, 1))


def test_build_tools_are_of_the_day_and_pip_the_last_one(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "setuptools")
    made = lock("fw==1.0")
    tools = {package.name: (package.version, package.phase) for package in made.packages if package.phase == "build"}
    assert tools == {"pip": ("21.3.1", "build"), "setuptools": ("28.0", "build"), "wheel": ("0.29.0", "build")}


def test_newer_build_tools_where_the_day_has_none_that_fits(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "setuptools>=40")
    assert {p.name: p.version for p in lock("fw==1.0").packages}["setuptools"] == "59.6.0"


def test_what_the_tools_need_comes_with_them(world, lock):
    world.wheel("setuptools", "34.0", "2017-01-01", "six").wheel("six", "1.10", "2016-01-01")
    world.wheel("fw", "1.0", "2017-05-01", "six")
    made = lock("fw==1.0")
    assert {package.name for package in made.packages if package.phase == "build"} == {
        "pip",
        "setuptools",
        "six",
        "wheel",
    }
    assert install_order(made)[0][0] == "build"


def test_sdists_come_in_the_order_in_which_they_need_each_other(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "top", "side")
    world.sdist("top", "1.0", "2017-01-01", {"setup.py": "setup(install_requires=['middle', 'plain'])"})
    world.sdist("middle", "1.0", "2017-01-01", {"setup.py": "setup(setup_requires=['bottom'])"})
    world.sdist("bottom", "1.0", "2017-01-01").sdist("side", "1.0", "2017-01-01").wheel("plain", "1.0", "2017-01-01")
    made = lock("fw==1.0")
    order = [(name, [package.name for package in packages]) for name, packages in install_order(made)]
    assert order == [
        ("build", ["pip", "setuptools", "wheel"]),
        ("wheel", ["fw", "plain"]),
        ("sdist-0", ["bottom", "side"]),
        ("sdist-1", ["middle"]),
        ("sdist-2", ["top"]),
    ]
    assert "needed to build middle 1.0" in {p.name: p.reason for p in made.packages}["bottom"]


def test_sdists_that_need_each_other_share_a_level(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a")
    world.sdist("a", "1.0", "2017-01-01", {"setup.py": "setup(install_requires=['b'])"})
    world.sdist("b", "1.0", "2017-01-01", {"setup.py": "setup(install_requires=['a'])"})
    assert {p.name: p.level for p in lock("fw==1.0").packages if p.phase == "sdist"} == {"a": 0, "b": 0}


def test_exact_pins_of_isolated_builds_do_not_bind_the_environment(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a", "numpy>=1.2")
    world.sdist(
        "a", "1.0", "2017-01-01", {"pyproject.toml": "[build-system]\nrequires = ['numpy==1.0']", "setup.py": ""}
    )
    world.wheel("numpy", "1.0", "2016-01-01").wheel("numpy", "1.2", "2017-01-01")
    assert pins(lock("fw==1.0"))["numpy"] == "1.2"


def test_one_file_is_the_one_for_python_abi_and_glibc(world, lock):
    for tags in ("cp36-cp36m-manylinux1_x86_64", "cp36-cp36m-manylinux_2_35_x86_64", "cp36-cp36m-win_amd64",
                 "cp27-cp27mu-manylinux1_x86_64", "cp27-cp27m-manylinux1_x86_64"):  # fmt: skip
        world.wheel("fw", "1.0", "2017-05-01", tags=tags)
    world.sdist("fw", "1.0", "2017-05-01")
    world.wheel("pip", "20.3.4", "2021-01-01")
    assert [p.filename for p in lock("fw==1.0").packages if p.name == "fw"] == [
        "fw-1.0-cp36-cp36m-manylinux1_x86_64.whl"
    ]


def test_python_2_gets_its_own_wide_unicode_wheel(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a ; sys_platform == 'linux2'", tags="cp27-cp27mu-manylinux1_x86_64")
    world.wheel("a", "1.0", "2017-01-01").wheel("pip", "20.3.4", "2021-01-01")
    made = lock("fw==1.0", python="2.7")
    assert pins(made) == {"fw": "1.0", "a": "1.0"} and made.python_full == "2.7.18"


def test_files_added_later_do_not_count(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a").sdist("a", "1.0", "2017-01-01").wheel("a", "1.0", "2019-01-01")
    assert [p.filename for p in lock("fw==1.0").packages if p.name == "a"] == ["a-1.0.tar.gz"]


def test_compiled_code_without_a_wheel_here_ranks_behind_one_with(world, lock):
    linux = "manylinux1_x86_64"
    world.wheel("fw", "1.0", "2017-05-01", "a", "b")
    world.wheel("a", "1.0", "2016-01-01", tags=f"cp36-cp36m-{linux}").sdist("a", "1.0", "2016-01-01")
    world.wheel("a", "2.0", "2017-01-01", tags=f"cp37-cp37m-{linux}").sdist("a", "2.0", "2017-01-01")
    world.wheel("b", "1.0", "2016-01-01").sdist("b", "2.0", "2017-01-01")  # plain Python: the newer one
    assert pins(lock("fw==1.0")) == {"fw": "1.0", "a": "1.0", "b": "2.0"}


def test_withdrawn_later_comes_last_but_comes(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a", "b>=2")
    world.wheel("a", "1.0", "2016-01-01").wheel("a", "1.1", "2017-01-01", yanked="broken on Mondays")
    world.wheel("b", "1.0", "2016-01-01").wheel("b", "2.0", "2017-01-01", yanked="too good")
    made = lock("fw==1.0")
    assert pins(made) == {"fw": "1.0", "a": "1.0", "b": "2.0"}
    assert {p.name: p.yanked for p in made.packages}["b"] == "too good"
    assert "b 2.0 was withdrawn (yanked) after the date; nothing else fits: too good" in made.notes


def test_pre_releases_only_where_nothing_else_fits(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a", "b>=2.0rc1")
    world.wheel("a", "1.0", "2016-01-01").wheel("a", "2.0rc1", "2017-01-01")
    world.wheel("b", "1.0", "2016-01-01").wheel("b", "2.0rc1", "2017-01-01").wheel("b", "2.0rc2", "2017-01-02")
    assert pins(lock("fw==1.0")) == {"fw": "1.0", "a": "1.0", "b": "2.0rc2"}


def test_extras_bring_what_they_add(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a[fast]")
    world.wheel("a", "1.0", "2017-01-01", "b", "c ; extra == 'fast'", "d ; extra == 'slow'")
    for name in "bcd":
        world.wheel(name, "1.0", "2017-01-01")
    assert set(pins(lock("fw==1.0"))) == {"fw", "a", "b", "c"}


def test_backtracks_to_a_version_whose_needs_fit(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a", "b<2")
    world.wheel("a", "1.0", "2016-01-01", "b").wheel("a", "2.0", "2017-01-01", "b>=2")
    world.wheel("b", "1.0", "2016-01-01").wheel("b", "2.0", "2017-01-01")
    assert pins(lock("fw==1.0")) == {"fw": "1.0", "a": "1.0", "b": "1.0"}


def cap(kind, package=None, **more):
    return {"id": f"test-{kind}", "kind": kind, "package": package, "why": "for the test", **more}


def test_backports_are_left_out(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "enum34>=1.0").wheel("enum34", "1.1.6", "2016-01-01")
    made = lock("fw==1.0")
    assert pins(made) == {"fw": "1.0"}
    assert made.notes == ("enum34 left out: Python 3.6 has the module itself",)


def test_a_limit_holds_only_under_its_condition(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a").wheel("fw", "2.0", "2017-05-01", "a")
    world.wheel("a", "1.0", "2016-01-01").wheel("a", "2.0", "2017-01-01")
    caps = [cap("limit", "a", versions="<2", when=[{"package": "fw", "versions": "<2"}])]
    assert pins(lock("fw==1.0", caps=caps))["a"] == "1.0"


def test_a_limit_elsewhere_changes_nothing(world, lock):
    world.wheel("fw", "2.0", "2017-05-01", "a").wheel("a", "1.0", "2016-01-01").wheel("a", "2.0", "2017-01-01")
    caps = [
        cap("limit", "a", versions="<2", when=[{"package": "fw", "versions": "<2"}]),
        cap("limit", "a", versions="<1", pythons=">=3.7"),
        cap("limit", "a", versions="<1", when=[{"package": "absent"}]),
    ]
    assert pins(lock("fw==2.0", caps=caps))["a"] == "2.0"


def test_needs_bring_a_package_that_metadata_forgot(world, lock):
    world.wheel("fw", "1.0", "2017-05-01").wheel("h5", "2.0", "2017-01-01").wheel("h5", "3.0", "2017-02-01")
    caps = [cap("needs", "h5", versions="<3", when=[{"package": "fw", "versions": ""}])]
    made = lock("fw==1.0", caps=caps)
    assert pins(made) == {"fw": "1.0", "h5": "2.0"}
    assert {p.name: p.reason for p in made.packages}["h5"] == "fw needs h5<3: for the test"


def test_drop_with_a_condition(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a", "b").wheel("a", "1.0", "2017-01-01").wheel("b", "1.0", "2017-01-01")
    caps = [
        cap("drop", "a", when=[{"package": "fw", "versions": "<2"}]),
        cap("drop", "b", when=[{"package": "fw", "versions": ">=2"}]),
    ]
    assert set(pins(lock("fw==1.0", caps=caps))) == {"fw", "b"}


def test_requires_replaces_what_metadata_says(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a").sdist(
        "a", "1.0", "2017-01-01", {"setup.py": "setup(install_requires=f())"}
    )
    world.wheel("b", "1.0", "2017-01-01")
    caps = [cap("requires", "a", versions=">=1,<2", requires=["b>=1 ; python_version >= '3'"])]
    made = lock("fw==1.0", caps=caps)
    assert set(pins(made)) == {"fw", "a", "b"} and made.notes == ()


def test_unknown_requirements_come_from_a_wheel_for_another_python_or_are_said(world, lock):
    computed = {"setup.py": "setup(install_requires=f())"}
    world.wheel("fw", "1.0", "2017-05-01", "a", "c")
    world.sdist("a", "1.0", "2017-01-01", computed).wheel("a", "1.0", "2017-01-01", "b", tags="cp35-cp35m-win32")
    world.sdist("c", "1.0", "2017-01-01", computed).wheel("b", "1.0", "2017-01-01")
    made = lock("fw==1.0")
    assert set(pins(made)) == {"fw", "a", "b", "c"}
    assert made.notes == ("c-1.0.tar.gz computes its requirements when it is built; none are assumed",)


def test_requirements_chosen_by_the_makers_python_are_said(world, lock):
    setup = "import sys\nneeds = []\nif sys.version_info < (3,):\n    needs.append('b')\nsetup(install_requires=needs)"
    world.wheel("fw", "1.0", "2017-05-01", "a")
    world.sdist("a", "1.0", "2017-01-01", {"setup.py": setup, "a.egg-info/PKG-INFO": ""})
    assert "a-1.0.tar.gz chooses its requirements by the Python that builds it" in lock("fw==1.0").notes[0]


def test_system_packages_and_variables(world, lock):
    world.wheel("fw", "1.0", "2017-05-01", "a").sdist("a", "1.0", "2017-01-01", {"setup.py": "", "a.c": ""})
    caps = [
        cap("system", "fw", versions="<2", system=["libgomp1"]),
        cap("system", "fw", versions="<2", system=["in the wheel"], build_system=["never"]),
        cap("system", "a", system=["libhdf5-103"], build_system=["libhdf5-dev"]),
        cap("system", build_system=["gcc"]),
        cap("system", "fw", versions=">=2", system=["libother"]),
        cap("environment", "fw", environment={"FLAGS": "x"}),
    ]
    made = lock("fw==1.0", caps=caps)
    assert made.system_packages == ("libgomp1", "libhdf5-103")
    assert made.build_packages == ("gcc", "libhdf5-dev")
    assert made.environment == {"FLAGS": "x"}


KERAS = {"builds": [{"package": "keras"}], "pairings": [
    {"versions": "", "other": "fw", "other_versions": ""}, {"versions": "", "other": "other", "other_versions": ""},
]}  # fmt: skip


def test_keras_backend_is_the_first_of_the_stack(world, lock):
    world.wheel("fw", "1.0", "2017-05-01").wheel("keras", "2.0.8", "2017-05-01").wheel("other", "1.0", "2017-01-01")
    known = {"keras": KERAS, "fw": {}, "other": {}}
    made = lock("keras==2.0.8", "fw==1.0", "other==1.0", known=known)
    assert made.environment == {"KERAS_BACKEND": "fw"}


def test_another_package_of_the_same_framework_is_not_installed_beside_it(world, lock):
    world.wheel("fw-gpu", "1.0", "2017-05-01", "a").wheel("fw", "1.0", "2017-05-01").wheel(
        "a", "1.0", "2017-01-01", "fw>=1"
    )
    known = {"fw": {"builds": [{"package": "fw"}, {"package": "fw-gpu"}]}}
    caps = [cap("needs", "b", when=[{"package": "fw", "versions": "==1.*"}])]
    world.wheel("b", "1.0", "2017-01-01")
    made = lock("fw=fw-gpu==1.0", typed=["fw==1.0"], known=known, caps=caps)
    assert set(pins(made)) == {"fw-gpu", "a", "b"}


@pytest.fixture
def vendor(lock):
    """Make a lock on a vendor's image, whose build of fw 1.0 came out in June 2018."""
    image = {"id": "vendor", "reference": "vendor/fw:1", "os": "debian11", "status": "available", "python": "3.6.9",
             "framework": "fw-vendor==1.0+v"}  # fmt: skip
    own = {"package": "fw-vendor", "version": "1.0+v", "released": "2018-06-01"}

    def make(*companions, **more):
        known = {"fw": {"builds": [own, {"package": "fw"}]}}
        return lock("fw=fw-vendor==1.0+v", typed=["fw==1.0"], companions=companions, known=known, images=[image],
                    image="vendor", origin="vendor", **more)  # fmt: skip

    return make


def release(world):
    """fw 1.0 on the index, without a wheel for Python 3.6; with what it and it alone requires."""
    world.wheel("fw", "1.0", "2017-05-01", "old", tags="cp27-cp27mu-win_amd64")
    world.wheel("fw", "1.0", "2017-05-01", "numpy<2", "enum34", "only2; python_version < '3'", "setuptools",
                tags="cp35-cp35m-manylinux1_x86_64")  # fmt: skip
    world.wheel("numpy", "1.0", "2016-01-01", "deep").wheel("numpy", "1.5", "2016-05-01", "deep")
    world.wheel("numpy", "2.0", "2017-01-01", "deep").wheel("deep", "1.0", "2016-01-01")
    return world.wheel("a", "1.0", "2017-05-01", "fw<2", "numpy", "b").wheel("b", "1.0", "2018-06-20")


def test_a_vendor_image_keeps_its_framework_and_what_that_requires(world, vendor):
    release(world)
    made = vendor("a")
    assert pins(made) == {"a": "1.0", "b": "1.0"}
    assert made.image.preinstalled == ("fw-vendor==1.0+v",)
    assert made.image.holds == ("deep", "numpy", "setuptools", "wheel")
    assert made.notes == (
        "fw-vendor stands for fw, which another package requires",
        "what fw 1.0 requires is the image's own, at its versions: 2 packages (image.holds)",
    )
    assert made.python_full == "3.6.9"
    # nothing is built: pip alone works in the build stage
    assert [p.name for p in made.packages if p.phase == "build"] == ["pip"]


def test_a_vendor_lock_is_of_the_vendors_day(world, vendor):
    release(world)
    made = vendor("a")
    assert made.as_of_reason == "30 days after 2018-06-01, when fw-vendor 1.0+v was released"


def test_a_day_before_the_vendors_release_is_refused(world, vendor):
    release(world)
    with pytest.raises(UsageError, match=r"as of 2018-05-31 there was no fw-vendor 1\.0\+v yet") as error:
        vendor("a", as_of=date(2018, 5, 31))
    assert error.value.facts == ("fw-vendor 1.0+v was released on 2018-06-01",)


def test_build_tools_of_a_vendor_lock_come_only_where_something_is_built(world, vendor):
    release(world).sdist("c", "1.0", "2017-01-01")
    made = vendor("c")
    assert [(p.name, p.phase) for p in made.packages] == [
        ("c", "sdist"), ("pip", "build"), ("setuptools", "build"), ("wheel", "build"),
    ]  # fmt: skip
    assert made.image.holds == ("deep", "numpy")


def test_what_is_asked_for_by_version_hides_the_images_own(world, vendor):
    release(world)
    made = vendor("a", "numpy==1.0")
    assert pins(made) == {"a": "1.0", "b": "1.0", "numpy": "1.0"}
    assert "numpy was asked for by version: it hides the numpy of the image" in made.notes
    assert "deep" in made.image.holds


def test_a_name_alone_is_met_by_the_image(world, vendor):
    release(world)
    assert pins(vendor("numpy")) == {}


def test_a_wish_that_the_release_forbids_is_no_closure(world, vendor):
    release(world)
    with pytest.raises(NoCombinationError) as error:
        vendor("numpy==2.0")
    assert any("fw-vendor 1.0+v of the image is fw 1.0, which requires numpy<2" in fact for fact in error.value.facts)


def test_limits_of_the_database_hold_for_the_vendors_build_and_its_system_packages_do_not(world, vendor):
    release(world).wheel("b", "0.9", "2017-01-01").wheel("extra", "1.0", "2017-01-01")
    caps = [
        cap("limit", "b", versions="<1", when=[{"package": "fw", "versions": "<2"}]),
        cap("needs", "extra", when=[{"package": "fw", "versions": "<2"}]) | {"id": "test-needs"},
        cap("system", "fw", system=["libgomp1"]) | {"id": "test-system"},
        cap("environment", "numpy", environment={"X": "1"}) | {"id": "test-environment"},
    ]
    made = vendor("a", caps=caps)
    assert pins(made) == {"a": "1.0", "b": "0.9"}
    assert "extra" in made.image.holds
    assert made.system_packages == () and made.environment == {}


def test_a_vendor_build_of_a_release_that_the_index_has_not(world, vendor):
    world.wheel("a", "1.0", "2017-05-01")
    made = vendor("a")
    assert pins(made) == {"a": "1.0"}
    assert made.notes == ("what fw-vendor 1.0+v brings beside itself is not known: the index has no fw 1.0 to ask",)


def test_the_image_with_the_python_of_its_system(world, lock):
    world.wheel("fw", "1.0", "2017-05-01")
    made = lock("fw==1.0", image="old-ubuntu", os="ubuntu16.04", glibc="2.23")
    image = made.image
    assert (image.reference, image.executable, image.python_packages) == (
        "ubuntu:16.04", "python3.6", ("python3", "python3-pip"),
    )  # fmt: skip
    assert (image.archive, image.apt_pins, image.environment) == ("archive.example.org", ("libx=1",), {"A": "b"})
    assert made.python_full == "3.6.1"
    assert image.default_index is None  # the index of this test is one of its own


@pytest.mark.parametrize(("image", "written"), [("old-ubuntu", True), ("python:3.6-slim", False)])
def test_the_default_index_is_written_for_a_pip_whose_own_is_gone(world, tmp_path, lock, image, written):
    world.wheel("fw", "1.0", "2017-05-01")
    index = world.index(tmp_path, config={"default_index": "https://index.example.org/simple"})
    os = "ubuntu16.04" if written else "debian11"
    made = lock("fw==1.0", image=image, os=os, glibc="2.23", index=index)
    assert made.image.default_index == ("https://index.example.org/simple" if written else None)
    assert ("example.org/simple" in dump(made)) is written


def test_the_document_is_the_lock_and_nothing_of_this_machine(world, lock, tmp_path):
    world.wheel("fw", "1.0", "2017-05-01", "a").sdist("a", "1.0", "2017-01-01")
    host = HOST.model_copy(update={"interpreters": (Interpreter(version="3.6.15", path="/home/me/py", abi="cp36m"),)})
    index = world.index(tmp_path, url=world.url.replace("//", "//me:secret@"))
    made = lock("fw==1.0", index=index, host=host)
    text = dump(made)
    assert load(text) == made and dump(load(text)) == text
    assert text.startswith('{\n  "as_of": "2017-05-31"') and '"schema": "envsolve/lock-1"' in text
    for private in ("secret", "/home/me", "127.0.0.1", str(tmp_path)):
        assert private not in text
    lines = requirements(made).splitlines()
    assert lines[0] == "# build" and "# sdist-0" in lines
    assert "a==1.0 \\" in lines
    a = next(package for package in made.packages if package.name == "a")
    assert lines[lines.index("a==1.0 \\") + 1] == f"    --hash=sha256:{a.sha256}"


def test_same_input_same_bytes_from_a_cold_and_a_warm_cache(world, lock, tmp_path):
    world.wheel("fw", "1.0", "2017-05-01", "a", "b", "c").sdist("a", "1.0", "2017-01-01")
    world.wheel("b", "1.0", "2017-01-01", "c").wheel("c", "1.0", "2017-01-01", "b")
    cold = dump(lock("fw==1.0", index=world.index(tmp_path / "x")))
    from envsolve.matrices import Facts

    index = world.index(tmp_path / "x", offline=True)
    warm = make_lock(stack("fw==1.0"), request("fw==1.0"), HOST, Facts(tmp_path / "matrices"), index=index)
    assert dump(warm) == cold


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[]", "another kind"),
        ('{"schema": "envsolve/lock-9"}', "envsolve/lock-9"),
        ('{"schema": "envsolve/lock-1", "packages": 3}', "damaged"),
    ],
)
def test_a_broken_lock_is_one_error(text, words):
    with pytest.raises(UsageError, match=words) as error:
        load(text)
    assert error.value.code == "bad-lock" and error.value.hints


def test_a_lock_with_a_hash_that_is_none(world, lock):
    world.wheel("fw", "1.0", "2017-05-01")
    made = lock("fw==1.0")
    text = dump(made).replace(made.packages[0].sha256, "0" * 63)
    with pytest.raises(UsageError, match="SHA-256"):
        load(text)
