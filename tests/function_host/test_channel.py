"""Does each call belong to one side alone, whatever the host has read ahead?"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.function_host.running import RunningHost, value_of
from vine import config
from vine_function_host import frames
from vine_function_host.channel import Shelf

pytestmark = pytest.mark.live


def test_calls_that_were_not_read_are_taken_back_exactly(host: RunningHost, tmp_path: Path) -> None:
    """The first blocks in the function, so that the others stay in the socket."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    assert host.result(lambda: 0) == 0
    host.call(lambda path: Path(path).read_text(), str(gate))
    with gate.open("w") as opened:  # Opens when the call has: it runs.
        host.call(lambda: "second")
        host.call(lambda data: "third", b"x" * (2 * config.host_frame_bytes_max))
        assert host.channel.take_back() == [3, 4]
        opened.write("go")
    assert value_of(host.answer()) == "go"
    assert host.result(lambda: "later") == "later"
    assert not list(tmp_path.glob("call-*")), "the file of a call that was taken back was left behind"


def test_answers_survive_the_death_of_their_host(host: RunningHost) -> None:
    host.call(lambda: "before")
    host.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    host.call(lambda: "never read")
    host.process.wait()
    answers = host.channel.receive()
    assert [answer.brings for answer in answers] == [frames.READY, frames.VALUE]
    assert host.channel.take_back() == [3]


def test_a_host_for_one_call_ends_after_it_with_its_exit_code(tmp_path: Path) -> None:
    host = RunningHost(tmp_path, once=True)
    host.call(lambda: sys.exit(7))
    assert host.process.wait() == 7
    host.channel.close()


def in_a_fork(body: Callable[[], None]) -> None:
    child = os.fork()
    if not child:
        body()
        os._exit(0)
    os.waitpid(child, 0)


def test_a_fork_leaves_its_answer_and_it_is_taken_once() -> None:
    shelf = Shelf(100_000)
    for said in (b"a short one", b"x" * 100_000, b""):
        in_a_fork(partial(shelf.answer, said))
        assert shelf.take() == said
        assert shelf.take() == b""


def test_a_fork_that_dies_while_it_answers_has_left_nothing() -> None:
    shelf = Shelf(100)
    in_a_fork(lambda: shelf.answer(b"of the fork before"))
    assert shelf.take() == b"of the fork before"

    def answer_too_much() -> None:
        with contextlib.suppress(IndexError):
            shelf.answer(b"x" * 200)

    in_a_fork(answer_too_much)
    assert shelf.take() == b""
