"""Indexes with a scope: what is in it comes from there alone, what is not never does; from the words to pip itself."""

import json
import os
import subprocess
import sys
from datetime import date

import pytest
from lock_world import HOST, World, facts, request, stack
from packaging.pylock import Pylock
from render_locks import THEANO

from envsolve.commands import command_line
from envsolve.config import defaults
from envsolve.errors import NotReadyError, UsageError
from envsolve.indexes import agreed, parse_index, scopes, scopes_of
from envsolve.lock import make_lock
from envsolve.lock.document import dump, load, requirements
from envsolve.lock.pylock import pylock
from envsolve.lock.vendoring import Vendored
from envsolve.matrices import Facts
from envsolve.matrices import load as load_facts
from envsolve.models import Request, ScopedIndex
from envsolve.pipeline import build_request
from envsolve.render import phase_files, render

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN = "https://wheels.example.org/simple"


@pytest.fixture(name="worlds")
def _worlds():
    """The ordinary index and one of a company's, each with a higher version of what is the other's."""
    main, own = World().tools(), World()
    main.wheel("fw", "1.0", "2017-05-01", "numpy", "mine").wheel("numpy", "1.12", "2017-01-01")
    main.wheel("mine", "99.0", "2017-01-01", "evil")
    own.wheel("mine", "1.0", "2017-01-01", "numpy>=1").wheel("mine", "1.1", "2017-02-01", "numpy>=1")
    own.wheel("numpy", "99.0", "2017-01-01").wheel("evil", "1.0", "2017-01-01").tools("2017-01-01", pip="98.0")
    yield main, own
    main.close()
    own.close()


@pytest.fixture(name="lock")
def _lock(worlds, tmp_path):
    def make(*companions, packages="mine", asked=None, database=None, pinned="fw==1.0", **more):
        main, own = worlds
        indexes = (parse_index(f"{own.url}={packages}"),)
        asked = asked or request(pinned, companions=companions, indexes=indexes, **more)
        index = main.index(tmp_path, scopes=scopes(asked))
        return make_lock(stack(pinned), asked, HOST, database or facts(tmp_path), index=index)

    return make


def pins(lock):
    return {p.name: p.version for p in lock.packages if p.phase != "build"}


# -- what is taken from where ---------------------------------------------------------------------------------


def test_neither_index_puts_a_higher_version_into_what_is_the_others(worlds, lock):
    main, own = worlds
    made = lock()
    assert pins(made) == {"fw": "1.0", "mine": "1.1", "numpy": "1.12"}
    assert {p.name: p.index for p in made.packages if p.index != "default"} == {"mine": own.url}
    assert {path.split("/")[2] for path in own.log if path.startswith("/simple/")} == {"mine"}
    assert "/simple/mine/" not in main.log and not any("evil" in path for path in (*main.log, *own.log))


def test_what_the_index_of_its_scope_has_not_is_not_there(worlds, lock):
    main, own = worlds
    main.wheel("other", "1.0", "2017-01-01")
    with pytest.raises(UsageError, match=f"the index {own.url} has no project other") as error:
        lock("other", packages="mine,other")
    assert error.value.code == "unknown-package"


def test_a_scoped_index_without_dates_is_refused(worlds, lock):
    worlds[1].html = True
    with pytest.raises(NotReadyError, match="no JSON pages") as error:
        lock()
    assert error.value.code == "index-without-dates" and worlds[1].url in error.value.message
    assert "--index" in error.value.hints[0]


def test_a_lock_is_made_again_from_itself_and_knows_its_indexes(worlds, lock, tmp_path):
    made = lock()
    again = load(dump(made))
    assert again == made and scopes_of(again) == {"mine": worlds[1].url}
    index = worlds[0].index(tmp_path, scopes=scopes_of(again))
    assert make_lock(made.stack, again.request, HOST, Facts(tmp_path / "matrices"), index=index) == made
    parsed = Pylock.from_dict(tomllib.loads(pylock(made)))
    assert {str(p.name): p.index for p in parsed.packages if p.index} == {"mine": worlds[1].url}


def test_a_scope_that_nothing_needs_is_said(worlds, tmp_path):
    main, own = worlds
    asked = request("fw==1.0", indexes=(parse_index(f"{own.url}=mien"),))
    said = []
    main.wheel("mine", "99.1", "2017-01-01")
    make_lock(
        stack("fw==1.0"),
        asked,
        HOST,
        facts(tmp_path),
        index=main.index(tmp_path, scopes=scopes(asked)),
        say=said.append,
    )
    assert f"note: nothing in the lock is of {own.url}: none of its scope is needed" in said


def test_a_framework_of_an_index_of_its_own_by_the_database(worlds, tmp_path):
    """Of the release, the build that was chosen: another label ranks higher by PEP 440, and ``==`` admits it."""
    main, own = worlds
    main.wheel("net", "1.7.1", "2017-05-01")
    for label in ("", "+cpu", "+cu101", "+cu110"):
        own.wheel("net", f"1.7.1{label}", "2017-05-02")
    build = {"package": "net", "version": "1.7.1+cu101", "origin": "nets", "index": own.url}
    plain = {"package": "net", "version": "1.7.1"}
    database = facts(tmp_path, frameworks={"net": {"builds": [plain, {**build, "index_dates": True}]}})
    asked = request("net==1.7.1")
    for version, url in (("1.7.1", main.url), ("1.7.1+cu101", own.url)):
        chosen = stack(f"net==1.7.1={version}".replace("net==1.7.1=", "net=net=="))
        found = scopes(asked, chosen, database)
        made = make_lock(chosen, asked, HOST, database, index=main.index(tmp_path, scopes=found))
        (net,) = (p for p in made.packages if p.name == "net")
        assert (net.version, net.index) == (version, url if url == own.url else "default")


def test_the_plain_build_of_a_release_comes_before_the_labelled_ones_of_another_index():
    from envsolve.solver.world import empty_world

    database = load_facts()
    axis = empty_world(Request(targets=()), HOST, database, ["torch"]).axes["framework:torch"]
    of_release = [b.version for b in axis.values if b.version.startswith("1.7.1")]
    assert of_release[0] == "1.7.1" and "1.7.1+cu101" in of_release


def test_builds_of_another_index_are_offered_only_where_a_mirror_of_it_is_named():
    from envsolve import facts as schema

    builds = {b.version: b for b in load_facts().framework("torch").builds if b.package == "torch"}
    labelled, by_address = builds["1.7.1+cu101"], builds["0.2.0.post1+cu75"]
    assert not schema.lockable(labelled) and schema.lockable(labelled, ["torch"])
    assert not schema.lockable(by_address, ["torch"])


def test_why_labelled_builds_are_not_offered_is_said():
    from envsolve.solver import solve

    database = load_facts()
    asked = build_request(["torch==1.7.1+cu101"], database, gpu=["none"])
    texts = [reason.text for reason in solve(asked, HOST, database).conflict.core]
    assert any("its own index is not known to state when a file was uploaded" in text for text in texts)
    mirror = build_request(["torch==1.7.1+cu101"], database, gpu=["none"], indexes=[f"{OWN}=torch"])
    found = solve(mirror, HOST, database).chosen
    assert found.frameworks[0].version == "1.7.1+cu101" and f"--index {OWN}=torch" in found.command


# -- words ----------------------------------------------------------------------------------------------------


def test_words_and_the_command_that_they_make():
    found = parse_index(f"{OWN}/=Mine,other_one")
    assert found == ScopedIndex(url=OWN, packages=("mine", "other-one"))
    assert command_line(Request(targets=(), indexes=(found,))) == f"envsolve --index {OWN}=mine,other-one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN, "which packages come from it is missing"),
        (f"{OWN}=", "which packages come from"),
        (f"{OWN}=*", "no patterns"),
        (f"{OWN}=a==1", "is not the address"),
        ("wheels=a", "is not the address"),
        ("file:///wheels=a", "is not the address"),
        (f"{OWN}?x=1=a", "without a query"),
        ("https://me:secret@wheels.example.org/simple=a", "has credentials in it"),
        ("https://me:secret@wheels.example.org/simple", "is missing"),
        ("=a", "is not the address"),
    ],
)
def test_what_is_no_index_with_a_scope(text, words):
    with pytest.raises(UsageError, match=words) as error:
        parse_index(text)
    assert error.value.code == "bad-index" and error.value.hints
    assert "secret" not in f"{error.value.message} {error.value.facts} {error.value.hints}"


def test_a_package_of_two_scopes():
    with pytest.raises(UsageError, match="a is in the scope of two indexes"):
        agreed([parse_index(f"{OWN}=a,b"), parse_index(f"{OWN}2=a")])
    assert agreed([parse_index(f"{OWN}=b"), parse_index(f"{OWN}=a")]) == (parse_index(f"{OWN}=a,b"),)


@pytest.mark.parametrize("name", ["envsolve.toml", "pyproject.toml"])
def test_the_configuration_names_them_too(tmp_path, name):
    head = "[tool.envsolve]\n" if name == "pyproject.toml" else ""
    (tmp_path / name).write_text(f'{head}indexes = [{{url = "{OWN}", packages = ["Mine"]}}]\n')
    assert defaults(tmp_path) == {"indexes": (parse_index(f"{OWN}=mine"),)}


@pytest.mark.parametrize("value", ['["x"]', '[{url = "x"}]', "3", '[{url = "https://a.example", packages = 3}]'])
def test_a_configuration_that_says_it_otherwise(tmp_path, value):
    (tmp_path / "envsolve.toml").write_text(f"indexes = {value}\n")
    with pytest.raises(UsageError, match=r"envsolve\.toml") as error:
        defaults(tmp_path)
    assert error.value.code == "bad-index"


# -- files ----------------------------------------------------------------------------------------------------


def scoped_lock(*names, url=OWN):
    packages = tuple(p.model_copy(update={"index": url}) if p.name in names else p for p in THEANO.packages)
    return THEANO.model_copy(update={"packages": packages})


def test_phases_ask_each_index_for_its_own():
    names = [p.name for p in THEANO.packages]
    plain, files = phase_files(THEANO), phase_files(scoped_lock("numpy", "theano"))
    own = {name: text for name, text in files.items() if name not in plain}
    assert {n for n in names if any(f"\n{n}==" in text for text in own.values())} == {"numpy", "theano"}
    for name, text in files.items():
        assert text.startswith(f"--index-url {OWN}\n") == (name in own) == ("-index-1" in name)
        assert text.count("--index-url") == (name in own) and text.count("--hash=sha256:") == text.count("==")
    dockerfile = render(scoped_lock("numpy", "theano"))["Dockerfile"]
    runs = [line for line in dockerfile.splitlines() if "-r phases/" in line]
    assert all("-index-1" not in run or run.count("-r ") == 1 for run in runs)
    assert all(any(f"-r {name}" in run for run in runs) for name in own)
    vendored = render(scoped_lock("numpy"), Vendored())
    assert not any("--index-url" in text for name, text in vendored.items() if name.startswith("phases/"))


def test_one_file_of_everything_has_the_hashes_for_it():
    text = requirements(scoped_lock("numpy"))
    assert f"--extra-index-url {OWN}\n" in text and text.count("--hash") == len(THEANO.packages)
    assert "index-url" not in requirements(THEANO)


def test_an_address_in_a_lock_is_no_instruction():
    with pytest.raises(UsageError, match="address"):
        render(scoped_lock("numpy", url="https://a.example/simple\n--extra-index-url https://b.example"))


def run(*words, cwd, **more):
    command = [sys.executable, "-m", "envsolve", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more}, cwd=cwd, check=False)


def test_vendor_takes_each_file_from_its_index(worlds, lock, tmp_path):
    from envsolve import folder as folders

    main, own = worlds
    place, made = tmp_path / "e", lock()
    folders.write(place, render(made))
    main.projects["mine"] = own.projects["numpy"] = []
    done = run(
        "vendor", place, "--backend", "local", cwd=tmp_path, PIP_INDEX_URL=main.url, XDG_CACHE_HOME=str(tmp_path / "c")
    )
    assert done.returncode == 0, done.stderr
    assert {"mine-1.1-py2.py3-none-any.whl", "numpy-1.12-py2.py3-none-any.whl"} <= {
        path.name for path in (place / "vendor").iterdir()
    }
    assert not any("--index-url" in path.read_text() for path in (place / "phases").iterdir())


def test_the_command_line_says_what_is_wrong(tmp_path):
    done = run("torch", "--index", OWN, "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "bad-index"


def test_pip_installs_from_the_index_that_the_file_names(worlds, lock, tmp_path):
    """With the user's own extra index in the way, which has another file of the same name."""
    main, own = worlds
    files = phase_files(lock(as_of=date(2017, 6, 1)))
    main.projects["mine"] = []
    main.wheel("mine", "1.1", "2017-02-01", padding=3200)
    name = next(name for name in files if "-index-1" in name)
    (tmp_path / "r.txt").write_text(files[name])
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--no-cache-dir", "--dest",
         str(tmp_path / "files"), "-r", str(tmp_path / "r.txt")],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": main.url, "PIP_EXTRA_INDEX_URL": main.url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["mine-1.1-py2.py3-none-any.whl"]
    assert "/files/mine-1.1-py2.py3-none-any.whl" in own.log


@pytest.mark.parametrize("where", ["netrc", "pip"])
def test_credentials_of_an_index_are_not_in_its_address(worlds, tmp_path, monkeypatch, where):
    main, own = worlds
    own.password = "Basic " + "bWU6c2VjcmV0"  # me:secret
    netrc, config = tmp_path / "netrc", {}
    netrc.write_text("machine 127.0.0.1 login me password secret\n" if where == "netrc" else "")
    monkeypatch.setenv("NETRC", str(netrc))
    if where == "pip":
        config = {"extra_index_urls": (own.url.replace("http://", "http://me:secret@"),)}
    index = main.index(tmp_path, scopes={"mine": own.url}, config=config)
    assert {file.index for file in index.project("mine").files} == {own.url}
    assert index.notes == ()  # the extra index has a scope
