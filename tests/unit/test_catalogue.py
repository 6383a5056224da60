"""The catalogue of the database: remembered between processes, and never wrong for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envsolve import catalogue as module
from envsolve.catalogue import catalogue
from envsolve.data import data_dir
from envsolve.errors import DatabaseError
from envsolve.matrices import Facts

LONG_AGO = 1_500_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SETTLED_S", -3600.0)  # files of this moment count as settled
    return tmp_path / "cache" / "envsolve" / "database"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(data_dir("matrices"), tmp_path / "matrices")
    return tmp_path / "matrices"


def looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that a new process would read for its catalogue."""
    read: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "_look", lambda root, path: (read.append(path), real(root, path))[1])
        catalogue(root)
    return read


real = module._look


def test_a_file_that_did_not_change_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cuda.json" in looked_at(root, monkeypatch)
    assert looked_at(root, monkeypatch) == []


def test_what_a_smoke_test_proved_makes_no_lock_stale(root: Path) -> None:
    before = Facts(root).version
    (root / "verified").mkdir(exist_ok=True)
    (root / "verified" / "proven.json").write_text("{}")
    assert Facts(root).version == before
    (root / "caps" / "another.json").write_text('{"evidence": {}, "caps": []}')
    assert Facts(root).version != before


def test_a_file_that_changed_is_read_again_and_only_that_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Facts(root)
    assert before.version
    assert "novel" not in before.aliases
    path = root / "frameworks" / "keras.json"
    content = json.loads(path.read_text())
    content["aliases"] = [*content.get("aliases", []), "novel"]
    path.write_text(json.dumps(content))
    assert looked_at(root, monkeypatch) == ["frameworks/keras.json"]
    after = Facts(root)
    assert after.aliases["novel"] == "keras"
    assert after.version != before.version


def test_a_change_that_keeps_size_and_modification_time_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "cuda.json"
    os.utime(path, (LONG_AGO, LONG_AGO))
    version = Facts(root).version
    time.sleep(0.02)  # the clock of the file system ticks in milliseconds
    path.write_bytes(path.read_bytes().replace(b"8.0", b"8.1", 1))
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert Facts(root).version != version


def test_a_file_of_this_moment_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED_S", 60.0)
    catalogue(root)
    assert "cuda.json" in looked_at(root, monkeypatch)


def test_files_that_come_and_go_are_noticed(root: Path) -> None:
    names = set(catalogue(root))
    shutil.copy(root / "frameworks" / "theano.json", root / "frameworks" / "other.json")
    assert set(catalogue(root)) == names | {"frameworks/other.json"}
    (root / "frameworks" / "other.json").unlink()
    assert set(catalogue(root)) == names


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00\xff\xfe", b"{}", b"[" * 100_000, b"no digest\n{}", b"cut"],
    ids=["empty", "binary", "no digest", "deep", "a wrong digest", "cut"],
)
def test_a_broken_cache_is_made_again(root: Path, cache: Path, garbage: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    right = catalogue(root)
    (kept,) = cache.glob("*.json")
    kept.write_bytes(kept.read_bytes()[:-7] if garbage == b"cut" else garbage)
    assert catalogue(root) == right
    assert looked_at(root, monkeypatch) == []


@pytest.mark.parametrize(
    "document",
    [[], {"format": "envsolve/catalogue-0"}, {"format": module.FORMAT, "root": "/elsewhere", "files": {}},
     {"format": module.FORMAT, "files": {"cuda.json": 3}}, {"format": module.FORMAT, "files": []}],
)  # fmt: skip
def test_a_cache_of_another_make_is_not_relied_on(root: Path, cache: Path, document: object) -> None:
    right = catalogue(root)
    (kept,) = cache.glob("*.json")
    if isinstance(document, dict):
        document = {"root": str(root), **document}
    module.remember(kept.name, json.dumps(document).encode())
    assert catalogue(root) == right


def test_a_cache_that_others_can_write_is_not_relied_on(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(root)
    cache.chmod(0o777)
    assert "cuda.json" in looked_at(root, monkeypatch)
    cache.chmod(0o700)
    assert looked_at(root, monkeypatch) == []


def test_it_works_where_nothing_can_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "keras" in set(Facts(root).framework_names())
    assert "cuda.json" in looked_at(root, monkeypatch)


def test_two_databases_do_not_mix(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "frameworks" / "theano.json").unlink()
    assert catalogue(root) != catalogue(other)
    assert set(catalogue(root)) - set(catalogue(other)) == {"frameworks/theano.json"}


def test_many_processes_at_once_agree(root: Path) -> None:
    code = f"from pathlib import Path; from envsolve.matrices import Facts; print(Facts(Path({str(root)!r})).version)"

    def one(_: int) -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(one, range(6)))) == 1


def test_a_framework_file_that_is_no_json_is_named(root: Path) -> None:
    (root / "frameworks" / "keras.json").write_text("{")
    with pytest.raises(DatabaseError, match=r"keras\.json"):
        catalogue(root)


def test_only_what_is_asked_for_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue(root)
    read: list[str] = []
    plain = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.name), plain(path))[1])
    facts = Facts(root)
    assert facts.aliases["tf"] == "tensorflow"
    assert facts.framework("theano").name == "theano"
    assert {name for name in read if (root / "frameworks" / name).exists() or (root / name).exists()} == {"theano.json"}
