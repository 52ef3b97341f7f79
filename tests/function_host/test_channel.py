"""Does each call belong to one side alone, whatever the host has read ahead?"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.function_host.running import RunningHost, value_of
from vine import config
from vine_function_host import frames

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
