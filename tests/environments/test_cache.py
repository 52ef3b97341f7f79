"""An environment is packed once, however many want it, and stays beside the runs that use it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.content.objects import open_below
from tests.waiting import GIVE_UP_S, until
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
        self.scratch = scratch
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


PACKER = """
import os, sys
from pathlib import Path
from vine.environments.cache import Cache

class Source:
    label, python = "counted", None

    def key(self):
        return "key"

    def pack(self, out, scratch, progress):
        print("packs", flush=True)
        sys.stdin.readline()
        unfinished = out.with_suffix(".part")
        unfinished.write_bytes(b"packed")
        os.replace(unfinished, out)

run, user = map(Path, sys.argv[1:])
print(Cache(run, user).archive_of(Source()), flush=True)
"""


def packer(run: Path, user: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PACKER, str(run), str(user)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_process_waits_for_another_one_that_packs_and_takes_what_it_has_packed(tmp_path: Path) -> None:
    user = tmp_path / "user"
    with packer(tmp_path / "run-1", user) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "packs\n"
        with packer(tmp_path / "run-2", user) as second:
            until(lambda: open_below(user, second.pid), "the second one is at the lock")
            said = [first.communicate("\n", GIVE_UP_S)[0], second.communicate("\n", GIVE_UP_S)[0]]
    paths = [tmp_path / run / "key.tar.zst" for run in ("run-1", "run-2")]
    assert said == [f"{path}\n" for path in paths]
    assert paths[0].samefile(paths[1])


def test_where_files_cannot_be_locked_each_packs_in_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / "user").mkdir()
    others = tmp_path / "user" / ".key.tar.zst.1"
    others.touch()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    source = Counted()
    Cache(tmp_path / "run", tmp_path / "user").archive_of(source)
    assert source.scratch == tmp_path / "user" / f"key.build.{os.getpid()}"
    assert others.exists()


def test_what_a_killed_packer_has_left_goes_when_the_same_is_packed_again(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    for name in (".key.tar.zst.1", ".other.tar.zst.1"):
        (tmp_path / "user" / name).touch()
    Cache(tmp_path / "run", tmp_path / "user").archive_of(Counted())
    assert {path.name for path in (tmp_path / "user").glob(".*")} == {".other.tar.zst.1"}


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
