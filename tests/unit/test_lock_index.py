"""The index client against a real server: cache, retries, ranges, dates, credentials, offline, no network."""

import hashlib
import socket

import pytest
from lock_world import World

from envsolve.errors import NotReadyError
from envsolve.lock.cache import Cache
from envsolve.lock.index import Index
from envsolve.lock.metadata import MetadataError, read_metadata
from envsolve.lock.pipconfig import IndexConfig


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def files(index, name):
    return {file.filename: file for file in index.project(name).files}


def test_page_is_read_with_dates_hashes_and_withdrawals(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01", yanked="broken", requires_python=">=3.5").wheel(
        "demo", "1.1", "2018-01-01"
    )
    found = files(world.index(tmp_path), "Demo")
    first = found["demo-1.0-py2.py3-none-any.whl"]
    assert (first.day, first.yanked, first.requires_python) == ("2017-05-01", "broken", ">=3.5")
    assert first.sha256 == hashlib.sha256(world.projects["demo"][0].content).hexdigest()
    assert found["demo-1.1-py2.py3-none-any.whl"].yanked is None


def test_unknown_project_is_known_to_be_unknown(world, tmp_path):
    assert not world.index(tmp_path).project("nothing").known
    assert world.index(tmp_path).project("nothing").files == ()
    assert world.log == ["/simple/nothing/"]


def test_page_comes_from_the_cache_while_fresh_and_by_etag_later(world, tmp_path, monkeypatch):
    world.wheel("demo", "1.0", "2017-05-01")
    first = world.index(tmp_path).project("demo")
    assert world.index(tmp_path).project("demo") == first
    assert len(world.log) == 1
    monkeypatch.setattr("envsolve.lock.index.PAGE_AGE", -1.0)
    index = world.index(tmp_path)
    assert index.project("demo") == first
    assert len(world.log) == 2 and index.counts.bytes == 0
    world.wheel("demo", "2.0", "2018-05-01")
    assert len(world.index(tmp_path).project("demo").files) == 2


def test_offline_uses_stale_pages_and_says_what_is_missing(world, tmp_path, monkeypatch):
    world.wheel("demo", "1.0", "2017-05-01")
    first = world.index(tmp_path).project("demo")
    monkeypatch.setattr("envsolve.lock.index.PAGE_AGE", -1.0)
    offline = world.index(tmp_path, offline=True)
    assert offline.project("demo") == first
    with pytest.raises(NotReadyError, match="other is not in the cache") as error:
        offline.project("other")
    assert error.value.code == "offline" and error.value.hints
    assert world.log == ["/simple/demo/"]


def test_a_damaged_cache_is_read_anew(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01", "other")
    first = world.index(tmp_path)
    file = first.project("demo").files[0]
    read_metadata(first, file)
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\n{[")
    again = world.index(tmp_path)
    assert again.project("demo").files == (file,)
    assert read_metadata(again, file).requires == ("other",)


def test_a_cache_that_cannot_be_written_remembers_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put("a/b", b"x")
    assert cache.get("a/b") is None
    assert cache.age("a/b") is None


@pytest.mark.parametrize("switch", ["fail_times", "cut_times"])
def test_passing_failures_are_tried_again(world, tmp_path, switch):
    world.wheel("demo", "1.0", "2017-05-01")
    setattr(world, switch, 2)
    assert world.index(tmp_path).project("demo").known
    assert len(world.log) == 3


def test_a_server_that_keeps_failing_ends_in_one_error(world, tmp_path):
    world.fail_times = 99
    with pytest.raises(NotReadyError, match="HTTP 503") as error:
        world.index(tmp_path).project("demo")
    assert error.value.code == "index-error"


@pytest.mark.parametrize(("switch", "value", "words"), [("html", True, "no JSON"), ("dates", False, "no upload times")])
def test_an_index_without_dates_is_refused(world, tmp_path, switch, value, words):
    world.wheel("demo", "1.0", "2017-05-01")
    setattr(world, switch, value)
    with pytest.raises(NotReadyError, match=words) as error:
        world.index(tmp_path).project("demo")
    assert error.value.code == "index-without-dates" and error.value.hints


def test_a_folder_as_index_is_refused(world, tmp_path):
    with pytest.raises(NotReadyError, match="folder"):
        world.index(tmp_path, url="file:///some/folder").project("demo")


def test_an_extra_index_without_a_scope_is_not_asked_and_said(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01")
    extra = World()
    extra.wheel("private", "1.0", "2017-05-01").wheel("demo", "2.0", "2017-06-01")
    url = extra.url.replace("http://", "http://me:secret@")
    index = world.index(tmp_path, config={"extra_index_urls": (url,)})
    assert [file.filename for file in index.project("demo").files] == ["demo-1.0-py2.py3-none-any.whl"]
    assert not index.project("private").known
    (note,) = index.notes
    assert "is not asked" in note and "--index URL=PACKAGE" in note and "secret" not in note
    assert extra.log == []
    extra.close()


def test_no_network_is_one_error_with_a_way_out(tmp_path):
    world = World()
    url = world.url
    world.close()
    with pytest.raises(NotReadyError) as error:
        world.index(tmp_path, url=url.replace("http://", "http://user:secret@")).project("demo")
    assert error.value.code == "no-network"
    assert "secret" not in f"{error.value} {error.value.facts} {error.value.hints}"
    assert any("--offline" in hint for hint in error.value.hints)


@pytest.mark.parametrize("retries", [0, 1])
def test_an_index_that_gives_no_answer_in_time_is_said_to_be_slow(tmp_path, retries):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        index = Index(IndexConfig(index_url=url, timeout=0.2, retries=retries), cache_dir=tmp_path)
        with pytest.raises(NotReadyError, match="does not answer in time") as error:
            index.project("demo")
    assert error.value.code == "no-network"


def test_credentials_are_sent_and_never_shown(world, tmp_path):
    world.password = "Basic " + "dXNlcjpzZWNyZXQ="  # user:secret
    world.wheel("demo", "1.0", "2017-05-01")
    index = world.index(tmp_path, url=world.url.replace("http://", "http://user:secret@"))
    file = index.project("demo").files[0]
    assert read_metadata(index, file).requires == ()
    assert "secret" not in repr(index.config) + repr(file)
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_refused_without_credentials(world, tmp_path):
    world.password = "x"
    with pytest.raises(NotReadyError, match="401") as error:
        world.index(tmp_path).project("demo")
    assert error.value.code == "index-refused"


def test_metadata_by_ranges_reads_little_of_a_big_wheel(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01", "a>=1 ; extra == 'x'", "b (<2)", padding=3_000_000)
    index = world.index(tmp_path)
    before = index.counts.bytes
    found = read_metadata(index, index.project("demo").files[0])
    assert found.requires == ("a>=1 ; extra == 'x'", "b (<2)")
    assert 0 < index.counts.bytes - before < 100_000


def test_metadata_of_a_server_without_ranges(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01", "a", padding=300_000)
    world.ranges = False
    index = world.index(tmp_path)
    assert read_metadata(index, index.project("demo").files[0]).requires == ("a",)


def test_metadata_from_its_own_file_and_from_the_cache(world, tmp_path):
    world.wheel("demo", "1.0", "2017-05-01", "a", pep658=True)
    index = world.index(tmp_path)
    file = index.project("demo").files[0]
    assert read_metadata(index, file).requires == ("a",)
    assert world.log[-1].endswith(".metadata")
    assert read_metadata(world.index(tmp_path, offline=True), file).requires == ("a",)


def test_a_file_that_is_not_what_the_index_lists(world, tmp_path):
    world.sdist("demo", "1.0", "2017-05-01", hashes={"sha256": "0" * 64})
    index = world.index(tmp_path)
    with pytest.raises(NotReadyError, match=r"demo-1\.0\.tar\.gz is not the file") as error:
        read_metadata(index, index.project("demo").files[0])
    assert error.value.code == "hash-mismatch"


def test_a_wheel_that_is_none(world, tmp_path):
    world.add("demo", "demo-1.0-py3-none-any.whl", b"no zip at all", "2017-05-01")
    world.add("demo", "demo-2.0-py3-none-any.whl", b"no zip at all" * 9000, "2017-05-01")
    index = world.index(tmp_path)
    for file in index.project("demo").files:
        with pytest.raises(MetadataError):
            read_metadata(index, file)
