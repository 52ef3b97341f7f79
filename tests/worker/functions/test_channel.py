"""Do calls get to a host's end of the socket in their order, and can what it has not read be taken back?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vine import config
from vine_worker.functions import host
from vine_worker.functions.channel import Answer, HostChannel

LONG = b"x" * config.host_frame_bytes_max  # With its head, too long for a frame.


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[HostChannel]:
    made = HostChannel(tmp_path)
    yield made
    made.close()


@pytest.fixture
def far(channel: HostChannel) -> Iterator[socket.socket]:
    """The host's end."""
    with socket.socket(fileno=os.dup(channel.far_descriptor)) as end:
        end.setblocking(False)
        yield end


def give(channel: HostChannel, number: int, payload: bytes = b"P") -> None:
    channel.send(number, b"/function", b"{}", [(host.INLINE, payload)])


def read(far: socket.socket) -> host.Call:
    """The next call, as a host reads it."""
    frame = far.recv(2 * config.host_frame_bytes_max)
    if frame[:1] == host.SPILLED:
        frame = Path(os.fsdecode(frame[host.SPILLED_HEAD.size :])).read_bytes()
    return host.Call(memoryview(frame))


def fill(channel: HostChannel) -> int:
    """Gives calls until the socket takes no more; returns the number of the last one, which waits."""
    number = 0
    while not channel.flush():
        number += 1
        give(channel, number, LONG[: config.host_frame_bytes_max // 2])
    return number


def test_calls_come_in_their_order_with_all_that_they_were_given(channel: HostChannel, far: socket.socket) -> None:
    give(channel, 1, b"first")
    give(channel, 2, b"second")
    call = read(far)
    assert (call.number, call.function, call.settings) == (1, b"/function", b"{}")
    assert call.blobs == [(host.INLINE, b"first")]
    assert read(far).number == 2


def test_a_call_that_is_too_long_for_the_socket_goes_by_a_file(
    channel: HostChannel, far: socket.socket, tmp_path: Path
) -> None:
    give(channel, 1, LONG)
    assert len(list(tmp_path.iterdir())) == 1
    assert read(far).blobs == [(host.INLINE, LONG)]


def test_what_the_socket_does_not_take_waits_and_nothing_is_lost(channel: HostChannel, far: socket.socket) -> None:
    last = fill(channel)
    numbers = []
    while channel.flush():
        numbers.append(read(far).number)
    numbers += (read(far).number for _ in range(last - len(numbers)))
    assert numbers == list(range(1, last + 1))


def test_all_that_was_not_read_is_taken_back_from_the_socket_and_from_before_it(
    channel: HostChannel, far: socket.socket
) -> None:
    last = fill(channel)
    read(far)
    assert channel.take_back() == list(range(2, last + 1))
    assert not channel.flush()
    with pytest.raises(BlockingIOError):
        read(far)
    give(channel, last + 1)
    assert read(far).number == last + 1


def test_no_file_is_left_of_a_call_that_was_taken_back(channel: HostChannel, tmp_path: Path) -> None:
    give(channel, 1, LONG)
    last = 1 + fill(channel)
    give(channel, last + 1, LONG)  # Its file is written, and the socket has not even taken its name.
    assert len(list(tmp_path.iterdir())) == 2
    channel.take_back()
    assert list(tmp_path.iterdir()) == []


def test_answers_are_taken_apart_and_outlive_who_gave_them(channel: HostChannel, far: socket.socket) -> None:
    far.send(host.ANSWER_HEAD.pack(0, host.READY, host.INLINE, 0.0, 0) + b"3.11")
    far.send(host.ANSWER_HEAD.pack(1, host.EXCEPTION, host.INLINE, 0.5, 3) + "b\u00e4".encode() + b"Pcontent")
    far.send(host.ANSWER_HEAD.pack(2, host.VALUE, host.AT_PATH, 2.5, 0) + b"/spill/value")
    far.close()
    assert channel.receive() == [
        Answer(0, host.READY, False, b"3.11", 0.0),
        Answer(1, host.EXCEPTION, False, b"Pcontent", 0.5, "b\u00e4"),
        Answer(2, host.VALUE, True, b"/spill/value", 2.5),
    ]
    assert channel.receive() == []
