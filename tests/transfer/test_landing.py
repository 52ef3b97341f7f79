from __future__ import annotations

import queue
import threading

import pytest

from vine.content.hashing import manifest_of_bytes
from vine.errors import DiskFull
from vine.transfer.landing import Landing

DATA = b"some bytes"


class Partial:
    """A partial object in memory, whose steps wait for the test where it says so."""

    def __init__(self) -> None:
        self.present: set[int] = set()
        self.ended: list[str] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, index: int, data: bytes) -> None:
        self.entered.set()
        assert self.go_on.wait(10) and not self.ended, "never after the end"
        self.present.add(index)

    def read(self, index: int) -> bytes:
        assert not self.ended, "never after the end"
        return DATA

    def commit(self) -> None:
        self.entered.set()
        assert self.go_on.wait(10)
        self.ended.append("commit")

    def discard(self) -> None:
        self.ended.append("discard")


def landing_of(partial: Partial) -> Landing:
    return Landing(partial, manifest_of_bytes(DATA))


def test_only_the_bytes_of_the_manifest_are_kept() -> None:
    partial = Partial()
    landing = landing_of(partial)
    assert not landing.write(0, b"other byte")
    assert not landing.write(0, DATA[:-1])
    assert landing.present == frozenset()
    assert landing.write(0, DATA)
    assert landing.present == {0}


def test_nothing_is_written_or_read_after_the_end() -> None:
    for end in ("commit", "discard"):
        partial = Partial()
        landing = landing_of(partial)
        getattr(landing, end)()
        assert landing.write(0, DATA) and partial.present == set()
        assert landing.read(0) is None
        assert partial.ended == [end]


def test_a_commit_waits_for_a_write_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: queue.Queue[str] = queue.Queue()

    class Condition(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.put(threading.current_thread().name)
            return super().wait(timeout)

    partial = Partial()
    partial.go_on.clear()
    monkeypatch.setattr("vine.transfer.landing.threading.Condition", Condition)
    landing = landing_of(partial)
    monkeypatch.undo()
    writer = threading.Thread(target=landing.write, args=(0, DATA))
    writer.start()
    partial.entered.wait(10)
    committer = threading.Thread(target=landing.commit, name="committer")
    committer.start()
    assert waits.get(timeout=10) == "committer"
    assert partial.ended == []
    partial.go_on.set()
    committer.join(10)
    writer.join(10)
    assert (partial.present, partial.ended) == ({0}, ["commit"])


def test_a_read_during_the_commit_learns_how_it_ended() -> None:
    partial = Partial()
    landing = landing_of(partial)
    partial.go_on.clear()
    committer = threading.Thread(target=landing.commit)
    committer.start()
    partial.entered.wait(10)
    answers: list[object] = []
    reader = threading.Thread(target=lambda: answers.append(landing.read(0)))
    reader.start()
    assert answers == []
    partial.go_on.set()
    reader.join(10)
    committer.join(10)
    assert answers == [None]


def test_a_write_that_fails_does_not_hold_up_the_end() -> None:
    partial = Partial()

    def full(index: int, data: bytes) -> None:
        raise DiskFull("no room")

    partial.write = full
    landing = landing_of(partial)
    with pytest.raises(DiskFull):
        landing.write(0, DATA)
    landing.discard()
    assert partial.ended == ["discard"]


def test_who_has_no_bytes_to_hash_brings_a_check_of_its_own() -> None:
    partial = Partial()
    landing = Landing(partial, manifest_of_bytes(DATA), lambda manifest, index, data: data == b"marked")
    assert not landing.write(0, DATA)
    assert landing.write(0, b"marked")
    assert partial.present == {0}
