"""What old files say about themselves, read without running them."""

import io
import zipfile

import pytest
from lock_world import sdist
from packaging.version import Version

from envsolve.lock.requirement import admits, parse_requirement, parse_specifier
from envsolve.lock.sdistmeta import egg_requires, read_sdist
from envsolve.lock.target import Target
from envsolve.lock.wheelmeta import MetadataError


@pytest.mark.parametrize(
    ("text", "version", "inside"),
    [
        ("pytz (>=2011k)", "2012.1", True),
        ("pytz (>=2011k)", "2010.1", False),
        ("six (>=1.0.*)", "1.11", True),
        ("six (>=1.9,)", "1.8", False),
        ("demo (!=1.3dev,>=1.0)", "1.4", True),
        ("enum34 (>=1.1.6) ; python_version < '3.4'", "1.1.6", True),
        ("numpy[a,b]>=1.6", "1.7rc1", True),
    ],
)
def test_requirements_as_they_were_written(text, version, inside):
    assert admits(parse_requirement(text).specifier, Version(version)) is inside


def test_what_cannot_be_read_is_none():
    assert parse_requirement("!!") is None
    assert parse_specifier("newest") is None


def test_requires_txt_sections_become_markers():
    text = "six\n\n[tests:python_version < '3']\nmock>=1.0\n\n[:sys_platform == 'win32']\ncolorama\n[doc]\nsphinx\n"
    assert list(egg_requires(text)) == [
        "six",
        "mock>=1.0 ; (python_version < '3') and extra == \"tests\"",
        "colorama ; (sys_platform == 'win32')",
        'sphinx ; extra == "doc"',
    ]


SETUP = "from setuptools import setup\n"


@pytest.mark.parametrize(
    ("files", "requires", "how"),
    [
        ({"PKG-INFO": "Metadata-Version: 2.2\nRequires-Dist: a\n"}, ("a",), "PKG-INFO"),
        ({"PKG-INFO": "Metadata-Version: 2.2\nDynamic: Requires-Dist\n", "setup.py": SETUP}, (),
         "setup.py without install_requires"),
        ({"PKG-INFO": "Metadata-Version: 1.1\n", "x.egg-info/requires.txt": "a\n"}, ("a",), "egg-info/requires.txt"),
        ({"x.egg-info/PKG-INFO": ""}, (), "egg-info without requires.txt"),
        ({"setup.py": f"{SETUP}setup(install_requires=['a', 'b>=1'])"}, ("a", "b>=1"), "setup.py"),
        ({"setup.py": f"{SETUP}needs = ['a']\nsetup(install_requires=needs)"}, ("a",), "setup.py"),
        ({"setup.py": f"{SETUP}setup(install_requires='a\\nb')"}, ("a", "b"), "setup.py"),
        ({"setup.py": f"{SETUP}n = ['a']\nif x:\n    n.append('b')\nsetup(install_requires=n)"}, None,
         "setup.py computes install_requires"),
        ({"setup.py": f"{SETUP}setup(install_requires=read())"}, None, "setup.py computes install_requires"),
        ({"setup.py": f"{SETUP}print 'install_requires'"}, None, "setup.py computes install_requires"),
        ({"README": ""}, None, "no setup.py"),
        ({"pyproject.toml": "[project]\ndependencies=['a']\n[project.optional-dependencies]\nx=['b; os_name==\"nt\"']"},
         ("a", 'b ; (os_name=="nt") and extra == "x"'), "pyproject.toml"),
    ],
)  # fmt: skip
def test_requirements_of_a_source_archive(files, requires, how):
    found = read_sdist(sdist("x", "1.0", files), "x-1.0.tar.gz")
    assert (found.requires, found.how) == (requires, how)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"setup.py": SETUP}, ()),
        ({"pyproject.toml": "[build-system]\nrequires = ['setuptools', 'cython<3']"}, ("setuptools", "cython<3")),
        ({"setup.py": "setup(setup_requires=['numpy'])"}, ("numpy",)),
        ({"setup.py": "setup(setup_requires=f())"}, None),
        ({"pyproject.toml": "not = [toml", "setup.py": SETUP}, ()),
    ],
)
def test_what_it_takes_to_build_one(files, expected):
    assert read_sdist(sdist("x", "1.0", files), "x-1.0.tar.gz").build_requires == expected


def test_sources_to_compile_are_seen_and_zip_archives_read():
    assert read_sdist(sdist("x", "1.0", {"setup.py": SETUP, "src/a.pyx": ""}), "x-1.0.tar.gz").compiled
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x-1.0/setup.py", f"{SETUP}setup(install_requires=['a'])")
    found = read_sdist(content.getvalue(), "x-1.0.zip")
    assert found.requires == ("a",) and not found.compiled


@pytest.mark.parametrize("name", ["x-1.0.tar.gz", "x-1.0.zip"])
def test_an_archive_that_is_none(name):
    with pytest.raises(MetadataError):
        read_sdist(b"something else", name)


def test_target_of_python_2_and_3():
    two = Target(full="2.7.18", abi="cp27mu", glibc="2.19")
    three = Target(full="3.6.15", abi="cp36m", glibc="2.31")
    assert two.environment["sys_platform"] == "linux2" and three.environment["sys_platform"] == "linux"
    assert three.environment["python_full_version"] == "3.6.15"
    assert two.rank("cp27-cp27mu-manylinux1_x86_64") is not None
    assert two.rank("cp27-cp27m-manylinux1_x86_64") is None
    assert three.rank("cp36-cp36m-manylinux_2_31_x86_64") is not None
    assert three.rank("cp36-cp36m-manylinux_2_32_x86_64") is None
    assert two.rank("cp27-cp27mu-manylinux_2_24_x86_64") is None
    assert three.rank("cp36-cp36m-manylinux2014_x86_64.manylinux_2_17_x86_64") is not None
    assert three.rank("cp36-cp36m-manylinux1_x86_64") < three.rank("py2.py3-none-any")
    assert three.rank("cp35-abi3-manylinux1_x86_64") is not None
    assert (
        Target(full="3.6.15", abi="cp36m", glibc="2.31", machine="aarch64").rank("cp36-cp36m-manylinux1_x86_64") is None
    )


def test_requires_python_is_read_leniently():
    target = Target(full="3.6.15", abi="cp36m", glibc="2.31")
    assert target.supports(None) and target.supports(">=2.7, !=3.0.*") and target.supports(">=3.6.*")
    assert target.supports("what is this")
    assert not target.supports(">=3.7") and not target.supports("<3")
