"""An environment is packed once, however many want it, and stays beside the runs that use it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vine import config
from vine.environments.cache import Cache, link, user_folder
from vine.environments.frames import Progress


class Counted:
    """A source that counts how often it is packed, and lets others come meanwhile."""

    label = "counted"
    python = None

    def __init__(self, key: str = "key", size: int = 10) -> None:
        self.name, self.size = key, size
        self.packed = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Event()

    def key(self) -> str:
        return self.name

    def pack(self, out: Path, scratch: Path, progress: Progress | None) -> object:
        self.packed += 1
        self.begun.set()
        self.may_end.wait(20)
        unfinished = out.with_suffix(".part")
        unfinished.write_bytes(self.name[:1].encode() * self.size)
        os.replace(unfinished, out)
        return out


def test_of_two_packers_at_once_one_packs(tmp_path: Path) -> None:
    source = Counted()
    source.may_end.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(Cache(tmp_path / "run-1", tmp_path / "user").archive_of, source)
        assert source.begun.wait(20)
        second = pool.submit(Cache(tmp_path / "run-2", tmp_path / "user").archive_of, source)
        source.may_end.set()
        paths = [first.result(20), second.result(20)]
    assert source.packed == 1
    assert paths == [tmp_path / "run-1" / "key.tar.zst", tmp_path / "run-2" / "key.tar.zst"]
    assert len({path.stat().st_ino for path in paths}) == 1


def test_what_was_packed_before_is_found_beside_the_run_or_in_the_users_cache(tmp_path: Path) -> None:
    source = Counted()
    beside = Cache(tmp_path / "run", tmp_path / "user").archive_of(source)
    (tmp_path / "user" / "key.tar.zst").unlink()
    assert Cache(tmp_path / "run", tmp_path / "user").archive_of(source) == beside
    assert source.packed == 1
    assert Cache(None, tmp_path / "user").archive_of(source) == tmp_path / "user" / "key.tar.zst"
    assert source.packed == 2
    Cache(tmp_path / "another", tmp_path / "user").archive_of(source)
    assert source.packed == 2


def test_the_least_recently_used_archives_go_and_runs_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "environments_kept_bytes_max", 25)
    cache = Cache(tmp_path / "run", tmp_path / "user")
    for number, key in enumerate(("a", "b")):
        cache.archive_of(Counted(key))
        os.utime(tmp_path / "user" / f"{key}.tar.zst", (1000 + number, 1000 + number))
    Cache(None, tmp_path / "user").archive_of(Counted("a"))  # Used again.
    cache.archive_of(Counted("c"))
    assert sorted(path.name for path in (tmp_path / "user").glob("*.zst")) == ["a.tar.zst", "c.tar.zst"]
    assert (tmp_path / "run" / "b.tar.zst").read_bytes() == b"b" * 10


def test_a_home_that_cannot_be_written_to_leaves_the_place_beside_the_run(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("a file")
    found = Cache(tmp_path / "run", tmp_path / "user").archive_of(Counted())
    assert found == tmp_path / "run" / "key.tar.zst"


def test_the_users_folder_follows_the_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert user_folder() == Path("/some/where/vine/environments")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/users/me")
    assert user_folder() == Path("/users/me/.cache/vine/environments")


def test_a_name_of_an_archive_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"new")
    (tmp_path / "name").write_bytes(b"old")
    for _ in range(2):  # The second time both are names of one file.
        link(tmp_path / "archive", tmp_path / "name")
        assert (tmp_path / "name").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["archive", "name"]
