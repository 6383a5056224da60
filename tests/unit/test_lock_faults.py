"""Servers that misbehave for real: one clear error, nothing half-written, no poisoned cache, on from where it broke."""

import gzip
import hashlib
import io
import os
import resource
import subprocess
import sys
import tarfile
import zipfile

import pytest
from lock_world import World

from envsolve.errors import NotReadyError
from envsolve.lock.fetch import Wanted, fetch
from envsolve.lock.index import Index
from envsolve.lock.metadata import MetadataError, read_metadata
from envsolve.lock.pipconfig import IndexConfig

BIG = 3_000_000
NAME = "demo-1.0-py2.py3-none-any.whl"


@pytest.fixture
def world():
    world = World()
    world.wheel("demo", "1.0", "2017-05-01", padding=BIG)
    yield world
    world.close()


def served(world, name="demo"):
    return world.projects[name][0]


def wanted(world, name="demo"):
    one = served(world, name)
    return Wanted(name, one.filename, hashlib.sha256(one.content).hexdigest(), len(one.content))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_are_fetched_once_and_proved(world, tmp_path):
    world.sdist("other", "1.0", "2017-05-01")
    seen = []
    both = [wanted(world), wanted(world, "other")]
    assert fetch(world.index(tmp_path), both, tmp_path / "v", lambda *now: seen.append(now)) == 2
    assert names(tmp_path / "v") == [NAME, "other-1.0.tar.gz"]
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content
    total = sum(one.size for one in both)
    assert seen[-1] == (2, 2, total, total)
    asked = len(world.log)
    assert fetch(world.index(tmp_path), both, tmp_path / "v") == 0
    assert len(world.log) == asked
    (tmp_path / "v" / NAME).write_bytes(b"damaged")
    assert fetch(world.index(tmp_path), both, tmp_path / "v") == 1
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content


def test_a_cut_download_goes_on_from_there(world, tmp_path):
    world.cut_files = 2
    fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content
    assert names(tmp_path / "v") == [NAME]
    ranges = [int(r.removeprefix("bytes=").removesuffix("-")) for r in world.asked if r]
    assert len(ranges) == 2 and 1_400_000 < ranges[0] < ranges[1]  # no byte twice but a last piece


def test_what_was_cut_off_for_good_goes_on_the_next_time(world, tmp_path):
    world.cut_files, world.cut_at = 99, 1_000_000
    world.stall = True
    with pytest.raises(NotReadyError, match="breaks off") as error:
        fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert error.value.code == "no-network"
    assert names(tmp_path / "v") == [f".{NAME}.part"]  # never under its own name
    have = (tmp_path / "v" / f".{NAME}.part").stat().st_size
    assert have > 900_000
    world.cut_files, world.stall = 0, False
    world.asked.clear()
    fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert world.asked[-1] == f"bytes={have}-"
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content


def test_a_part_of_another_file_is_thrown_away(world, tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / f".{NAME}.part").write_bytes(b"not the beginning of it")
    fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content


def test_a_server_without_ranges_begins_anew(world, tmp_path):
    world.ranges = False
    world.cut_files = 1
    fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert (tmp_path / "v" / NAME).read_bytes() == served(world).content


@pytest.mark.parametrize("damage", ["changed", "longer", "truncated"])
def test_a_file_that_is_not_the_locked_one(world, tmp_path, damage):
    one = wanted(world)
    content = served(world).content
    world.instead[NAME] = {
        "changed": content[:-1] + b"!", "longer": content + b"more", "truncated": content[:-1000]
    }[damage]  # fmt: skip
    with pytest.raises(NotReadyError, match="is not the file that was locked") as error:
        fetch(world.index(tmp_path), [one], tmp_path / "v")
    assert error.value.code == "hash-mismatch"
    assert names(tmp_path / "v") == []
    del world.instead[NAME]
    fetch(world.index(tmp_path), [one], tmp_path / "v")
    assert names(tmp_path / "v") == [NAME]


def test_a_truncated_file_of_a_server_without_ranges(world, tmp_path):
    world.ranges = False
    world.instead[NAME] = served(world).content[:-1000]
    with pytest.raises(NotReadyError, match="breaks off"):
        fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert NAME not in names(tmp_path / "v")


def test_a_listed_file_that_is_not_there(world, tmp_path):
    world.instead[NAME] = None
    with pytest.raises(NotReadyError, match=f"lists {NAME} and does not have it"):
        fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert names(tmp_path / "v") in ([], [f".{NAME}.part"])


def test_files_that_were_deleted_are_all_named(world, tmp_path):
    gone = [Wanted("demo", "demo-0.9.tar.gz", "0" * 64, 1), Wanted("nothing", "nothing-1.tar.gz", "0" * 64, 1)]
    with pytest.raises(NotReadyError) as error:
        fetch(world.index(tmp_path), [wanted(world), *gone], tmp_path / "v")
    assert error.value.code == "gone-from-index"
    assert error.value.facts == ("demo-0.9.tar.gz: deleted", "nothing-1.tar.gz: deleted")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait(world, tmp_path, status):
    world.fail_times, world.fail_status, world.retry_after = 2, status, "1"
    fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
    assert names(tmp_path / "v") == [NAME]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_for_hours_is_not_waited_for(world, tmp_path, status, monkeypatch):
    monkeypatch.setattr("envsolve.lock.transport._LONGEST_WAIT_S", 0.05)
    world.fail_times, world.fail_status, world.retry_after = 999, status, "7200"
    with pytest.raises(NotReadyError, match=f"HTTP {status} and asks to wait 7200 s"):
        world.index(tmp_path).project("demo")
    world.fail_times = 0
    assert world.index(tmp_path).project("demo").known  # nothing of it was remembered


@pytest.mark.parametrize(
    "name", ["../../evil-1.0.tar.gz", "/etc/evil-1.0.tar.gz", "..", ".evil-1.0.tar.gz", "a/b-1.tar.gz"]
)
def test_a_file_name_that_is_a_path_is_as_if_it_were_not_there(world, tmp_path, name):
    world.add("evil", name, b"x", "2017-05-01")
    world.add("evil", "evil-1.0.tar.gz", b"x", "2017-05-01")
    assert [file.filename for file in world.index(tmp_path).project("evil").files] == ["evil-1.0.tar.gz"]


def test_a_page_without_end_is_given_up(world, tmp_path, monkeypatch):
    monkeypatch.setattr("envsolve.lock.index.LARGEST_PAGE", 2_000_000)
    world.endless = True
    with pytest.raises(NotReadyError, match="more than 2 MB") as error:
        world.index(tmp_path).project("demo")
    assert error.value.code == "index-error"
    world.endless = False
    assert world.index(tmp_path).project("demo").known


def bomb(size=200_000_000):
    """A wheel of 200 KB whose METADATA unpacks to a thousand times that."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb-1.0.dist-info/METADATA", "w", force_zip64=True) as member,
    ):
        for _ in range(size // 1_000_000):
            member.write(b"\n" * 1_000_000)
    return content.getvalue()


def test_metadata_that_unpacks_to_too_much(world, tmp_path):
    content = bomb()
    world.add("bomb", "bomb-1.0-py3-none-any.whl", content, "2017-05-01")  # read by parts
    world.add("bomb", "bomb-2.0-py3-none-any.whl", bomb(40_000_000), "2017-05-01")  # small enough to be read whole
    index = world.index(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in index.project("bomb").files:
        with pytest.raises(MetadataError, match="more than 16 MB"):
            read_metadata(index, file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KB


def test_an_sdist_that_unpacks_to_too_much(world, tmp_path, monkeypatch):
    monkeypatch.setattr("envsolve.lock.sdistmeta._LARGEST", 30_000_000)
    for version, size in (("1.0", 20_000_000), ("2.0", 40_000_000)):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            info = tarfile.TarInfo(f"bomb-{version}/setup.py")
            info.size = size
            archive.addfile(info, io.BytesIO(b"#" * size))
        world.add("sbomb", f"sbomb-{version}.tar.gz", gzip.compress(raw.getvalue()), "2017-05-01")
    index = world.index(tmp_path)
    for file in index.project("sbomb").files:
        with pytest.raises(MetadataError, match=r"more than (16|30) MB"):
            read_metadata(index, file)


FULL = """
import resource, sys
from pathlib import Path
from envsolve.errors import NotReadyError
from envsolve.lock.fetch import Wanted, fetch
from envsolve.lock.index import Index
from envsolve.lock.pipconfig import IndexConfig
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
url, folder, cache, name, sha, size = sys.argv[1:]
try:
    index = Index(IndexConfig(index_url=url), cache_dir=Path(cache))
    fetch(index, [Wanted("demo", name, sha, int(size))], Path(folder))
except NotReadyError as error:
    print(error.code)
"""


def test_a_full_disk(world, tmp_path):
    one = wanted(world)
    command = [sys.executable, "-c", FULL, world.url, tmp_path / "v", tmp_path / "c", one.filename, one.sha256]
    done = subprocess.run([*map(str, command), str(one.size)], capture_output=True, text=True)
    assert done.stdout == "disk-full\n", done.stderr
    assert names(tmp_path / "v") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk(world, tmp_path):
    (tmp_path / "v").mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "v"], capture_output=True)
    if mount.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        with pytest.raises(NotReadyError) as error:
            fetch(world.index(tmp_path), [wanted(world)], tmp_path / "v")
        assert error.value.code == "disk-full"
        assert names(tmp_path / "v") == []
        # a cache on a full disk just remembers nothing
        (tmp_path / "v" / "fill").write_bytes(b"x" * 1_000_000)
        index = Index(IndexConfig(index_url=world.url), cache_dir=tmp_path / "v" / "cache")
        assert index.project("demo").known
        assert not [p for p in (tmp_path / "v").rglob("*") if p.is_file() and p.name != "fill" and not p.stat().st_size]
    finally:
        subprocess.run(["umount", tmp_path / "v"], check=True)
