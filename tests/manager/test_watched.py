"""Are parts of outputs written in order, with nobody waiting for it, and never into the whole output?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from vine import config
from vine.manager import watched
from vine.manager.watched import Part, WatchedOutputs, write_part

GIVE_UP_S = 30.0


class Writer:
    """Writes the parts, but those of `slow` not before it is let go."""

    def __init__(self, slow: Path) -> None:
        self._slow = str(slow)
        self.begun, self.may_go = threading.Event(), threading.Event()

    def hangs(self, outputs: WatchedOutputs) -> None:
        """The first part of the slow one is being written."""
        outputs.write(self._slow, 0, b"first")
        assert self.begun.wait(GIVE_UP_S)

    def __call__(self, part: Part) -> None:
        if part.path == self._slow:
            self.begun.set()
            assert self.may_go.wait(GIVE_UP_S)
        write_part(part)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "watched_close_s", GIVE_UP_S)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return tmp_path / "slow"


@pytest.fixture
def writer(slow: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    writer = Writer(slow)
    monkeypatch.setattr(watched, "write_part", writer)
    yield writer
    writer.may_go.set()


@pytest.fixture
def posted() -> list[Callable[[], None]]:
    return []


@pytest.fixture
def outputs(writer: Writer, posted: list[Callable[[], None]]) -> Iterator[WatchedOutputs]:
    outputs = WatchedOutputs(posted.append)
    yield outputs
    writer.may_go.set()
    outputs.close()


def test_parts_are_put_where_they_belong_and_the_first_begins_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "results" / "log"
    outputs = WatchedOutputs(lambda call: None)
    for offset, data in ((0, b"before"), (6, b" that"), (0, b"first"), (5, b" second")):
        outputs.write(str(path), offset, data)
    outputs.close()
    assert path.read_bytes() == b"first second"


def test_a_part_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    outputs = WatchedOutputs(lambda call: None)
    outputs.write(str(tmp_path / "folder"), 0, b"x")
    outputs.write(str(tmp_path / "log"), 0, b"x")
    outputs.close()
    assert (tmp_path / "log").read_bytes() == b"x"


def test_a_fifo_at_the_path_holds_nothing_up(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    write_part(Part(str(fifo), 0, b"nobody reads"))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write_part(Part(str(fifo), 0, b"not for a fifo"))
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_nobody_waits_for_a_slow_file_but_who_has_something_to_do_with_it(
    outputs: WatchedOutputs, writer: Writer, slow: Path, tmp_path: Path, posted: list[Callable[[], None]]
) -> None:
    # given a part whose writing hangs, and two behind it
    called: list[str] = []
    writer.hangs(outputs)
    outputs.write(str(slow), 5, b" second")
    outputs.write(str(tmp_path / "other"), 0, b"first")
    # when both paths are to have their whole outputs
    outputs.settle(str(tmp_path / "other"), lambda: called.append("other"))
    outputs.settle(str(slow), lambda: called.append("slow"))
    # then that which does not hang has it at once, and the other one when it hangs no more
    assert called == ["other"] and not posted
    writer.may_go.set()
    until(lambda: posted, "the loop is asked to go on")
    assert called == ["other"] and slow.read_bytes() == b"first"
    posted[0]()
    assert called == ["other", "slow"]
    # and nothing that waited is written any more
    outputs.close()
    assert slow.read_bytes() == b"first" and not (tmp_path / "other").exists()


def test_what_is_asked_for_of_a_path_happens_in_that_order_however_late_the_loop_hears_of_the_last_part(
    outputs: WatchedOutputs, writer: Writer, slow: Path, tmp_path: Path, posted: list[Callable[[], None]]
) -> None:
    # given a path that is to be settled, whose part has been written, of which the loop has not heard yet
    called: list[str] = []
    writer.hangs(outputs)
    outputs.settle(str(slow), lambda: called.append("first"))
    writer.may_go.set()
    until(lambda: posted, "the loop is asked to go on")
    # when it is to be settled once more, and to begin anew after that
    outputs.settle(str(slow), lambda: outputs.settle(str(slow), lambda: called.append("third")))
    outputs.settle(str(slow), lambda: called.append("second"))
    other = tmp_path / "other"
    # then the file begins when all has been done, though others are written meanwhile
    outputs.write(str(slow), 0, b"too early")
    outputs.write(str(other), 0, b"x")
    until(other.exists, "what came after it is written")
    assert not called and slow.read_bytes() == b"first"
    posted[0]()
    assert called == ["first", "second", "third"]
    outputs.write(str(slow), 0, b"anew")
    outputs.close()
    assert slow.read_bytes() == b"anew"


@pytest.mark.parametrize(
    ("after", "written"),
    [
        pytest.param(((30, b"!"),), b"first1234567890", id="less, which would have room, is left out like it"),
        pytest.param(((0, b"anew"), (4, b" more")), b"anew more", id="a file that begins anew is written again"),
    ],
)
def test_what_a_slow_file_lags_behind_is_bounded_and_leaves_no_hole(
    outputs: WatchedOutputs,
    writer: Writer,
    slow: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    after: tuple[tuple[int, bytes], ...],
    written: bytes,
) -> None:
    # given a part whose writing hangs, another one behind it, and one for which there is no room
    monkeypatch.setattr(config, "watched_waiting_bytes_max", 12)
    writer.hangs(outputs)
    outputs.write(str(slow), 5, b"1234567890")
    outputs.write(str(slow), 15, b"is far too much")
    assert "too slowly" in caplog.text
    # when more comes
    for offset, data in after:
        outputs.write(str(slow), offset, data)
    # then what is written when it hangs no more has no hole
    writer.may_go.set()
    outputs.close()
    assert slow.read_bytes() == written


def test_the_end_does_not_wait_for_a_file_system_that_hangs(
    outputs: WatchedOutputs, writer: Writer, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "watched_close_s", 0.0)
    writer.hangs(outputs)
    outputs.close()
    assert not slow.exists()
