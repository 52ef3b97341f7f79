"""Do calls get to a host's ends in their order, and is each either the host's or taken back?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vine import config
from vine_function_host import frames
from vine_function_host.channel import Channel
from vine_worker.functions.channel import Answer, HostChannel

LONG = b"x" * config.host_frame_bytes_max  # With its head, too long for a frame.


class Far:
    """The host's ends, with ours closed as they are in its process."""

    def __init__(self, channel: HostChannel) -> None:
        descriptors = [os.dup(descriptor) for descriptor in channel.far_descriptors]
        self.begun: list[int] = []
        self._host = Channel(",".join(map(str, descriptors)), 2 * config.host_frame_bytes_max)
        self._descriptors = descriptors[1:]

    def begin(self) -> frames.Call:
        call = self._host.next_call()
        assert call is not None
        self.begun.append(call.number)
        return call

    def answer(self, frame: bytes) -> None:
        self._host.answer(frame)

    def close(self) -> None:
        self._host._calls.close()
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[HostChannel]:
    made = HostChannel(tmp_path)
    yield made
    made.close()


@pytest.fixture
def far(channel: HostChannel) -> Iterator[Far]:
    end = Far(channel)
    yield end
    end.close()


def give(channel: HostChannel, number: int, payload: bytes = b"P") -> None:
    channel.send(number, frames.common_part(b"/function", b"{}"), [(frames.INLINE, payload)])


def fill(channel: HostChannel, first: int = 1) -> int:
    """Gives calls until the socket takes no more; returns the number of the last one, which waits."""
    number = first - 1
    while not channel.flush():
        number += 1
        give(channel, number, LONG[: config.host_frame_bytes_max // 2])
    return number


def test_calls_come_in_their_order_with_all_that_they_were_given(channel: HostChannel, far: Far) -> None:
    give(channel, 1, b"first")
    give(channel, 2, b"second")
    channel.flush()
    call = far.begin()
    assert (call.number, call.common.function, call.common.settings) == (1, b"/function", b"{}")
    assert call.blobs == [(frames.INLINE, b"first")]
    assert far.begin().blobs == [(frames.INLINE, b"second")]


def test_a_call_that_is_too_long_for_the_socket_goes_by_a_file(channel: HostChannel, far: Far) -> None:
    give(channel, 1, LONG)
    channel.flush()
    assert len(list(channel.folder.iterdir())) == 1
    assert far.begin().blobs == [(frames.INLINE, LONG)]
    assert list(channel.folder.iterdir()) == []


def test_what_the_socket_does_not_take_waits_and_nothing_is_lost(channel: HostChannel, far: Far) -> None:
    last = fill(channel)
    while channel.flush():
        far.begin()
    while len(far.begun) < last:
        far.begin()
    assert far.begun == list(range(1, last + 1))


def test_all_that_was_not_begun_is_taken_back_from_the_socket_and_from_before_it(
    channel: HostChannel, far: Far
) -> None:
    last = fill(channel)
    far.begin()
    assert channel.take_back() == list(range(2, last + 1))
    assert not channel.flush()
    give(channel, last + 1)
    channel.flush()
    assert far.begin().number == last + 1


def test_calls_that_the_host_has_read_and_not_begun_are_taken_back_too(channel: HostChannel, far: Far) -> None:
    # given three calls in one frame, of which the host has begun the first
    for number in (1, 2, 3):
        give(channel, number)
    channel.flush()
    far.begin()
    # when the others are taken back, and one more is given
    assert channel.take_back() == [2, 3]
    give(channel, 4)
    channel.flush()
    # then the host goes on with that one
    assert far.begin().number == 4


def test_a_call_whose_number_was_taken_before_its_frame_was_read_is_still_the_hosts(
    channel: HostChannel, far: Far
) -> None:
    for number in (1, 2):
        give(channel, number)
    channel.flush()
    # given that the host has just taken the number
    permit = os.read(channel.far_descriptors[1], frames.PERMIT.size)
    # when calls are taken back, and with them the frame
    assert channel.take_back() == [2]
    # then its call comes again
    os.write(channel._permits_in, permit)
    assert far.begin().number == 1


@given(st.lists(st.sampled_from(["give", "flush", "begin", "take back"]), max_size=40))
def test_each_call_is_begun_or_taken_back_and_never_both(steps: list[str]) -> None:
    channel = HostChannel(Path(tempfile.gettempdir()))
    far = Far(channel)
    try:
        given_, sent, taken = 0, 0, []
        for step in steps:
            if step == "give":
                given_ += 1
                give(channel, given_)
            elif step == "flush":
                channel.flush()
                sent = given_
            elif step == "take back":
                taken += channel.take_back()
                sent = given_
            elif set(range(1, sent + 1)) - {*far.begun, *taken}:
                far.begin()
        channel.flush()
        while len(far.begun) + len(taken) < given_:
            far.begin()
        assert sorted([*far.begun, *taken]) == list(range(1, given_ + 1))
        assert far.begun == sorted(far.begun)
    finally:
        far.close()
        channel.close()


def test_no_file_is_left_of_a_call_that_was_taken_back(channel: HostChannel) -> None:
    give(channel, 1, LONG)
    last = fill(channel, first=2)
    give(channel, last + 1, LONG)  # Its file is written, and the socket has not even taken its name.
    assert len(list(channel.folder.iterdir())) == 2
    channel.take_back()
    assert list(channel.folder.iterdir()) == []


def test_no_file_is_left_of_a_call_whose_host_ended_before_it_read_it(tmp_path: Path) -> None:
    channel = HostChannel(tmp_path)
    give(channel, 1, LONG)
    channel.flush()
    far = Far(channel)
    os.read(far._descriptors[0], frames.PERMIT.size)  # It had begun.
    channel.close()
    far.close()
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_was_answered_is_kept_and_one_that_was_being_written_goes_with_the_host(tmp_path: Path) -> None:
    # given a host that has answered with a value, and has begun to write another one
    channel = HostChannel(tmp_path)
    far = Far(channel)
    for name in ("value-7-1", "value-7-2"):
        (channel.folder / name).write_bytes(b"V")
    path = os.fsencode(channel.folder / "value-7-1")
    far.answer(frames.ANSWER_HEAD.pack(1, frames.VALUE, frames.AT_PATH, 0.5, *frames.NO_USE, 0) + path)
    # when it ends
    [answer] = channel.receive()
    channel.close()
    far.close()
    # then
    assert list(tmp_path.iterdir()) == [Path(os.fsdecode(answer.content))]


def test_answers_are_taken_apart_and_outlive_who_gave_them(channel: HostChannel, far: Far) -> None:
    path = os.fsencode(channel.folder / "value")
    far.answer(frames.ANSWER_HEAD.pack(0, frames.READY, frames.INLINE, 0.0, *frames.NO_USE, 0) + b"3.11")
    far.answer(
        frames.ANSWER_HEAD.pack(1, frames.EXCEPTION, frames.INLINE, 0.5, *frames.NO_USE, 3)
        + "b\u00e4".encode()
        + b"Pcontent"
    )
    far.answer(frames.ANSWER_HEAD.pack(2, frames.VALUE, frames.AT_PATH, 2.5, 0.5, 70_000, 60_000, 0) + path)
    assert channel.receive() == [
        Answer(0, frames.READY, False, b"3.11", 0.0),
        Answer(1, frames.EXCEPTION, False, b"Pcontent", 0.5, "b\u00e4"),
        Answer(2, frames.VALUE, True, path, 2.5, use=(0.5, 70_000, 60_000)),
    ]
    assert channel.receive() == []


@pytest.mark.parametrize("cut", [1, 4, 10, 30])
def test_an_answer_that_has_come_in_part_waits_for_the_rest(channel: HostChannel, cut: int) -> None:
    frame = frames.ANSWER_HEAD.pack(7, frames.VALUE, frames.INLINE, 0.5, *frames.NO_USE, 0) + b"Pcontent"
    said = frames.LENGTH.pack(len(frame)) + frame
    os.write(channel.far_descriptors[2], said[:cut])
    assert channel.receive() == []
    os.write(channel.far_descriptors[2], said[cut:])
    assert [answer.number for answer in channel.receive()] == [7]


@pytest.mark.parametrize("said", [b"\xff" * 40, frames.LENGTH.pack(2) + b"no"])
def test_what_is_no_answer_is_noticed_and_nothing_behind_it_is_believed(channel: HostChannel, said: bytes) -> None:
    frame = frames.ANSWER_HEAD.pack(7, frames.VALUE, frames.INLINE, 0.5, *frames.NO_USE, 0) + b"Pcontent"
    os.write(channel.far_descriptors[2], said + frames.LENGTH.pack(len(frame)) + frame)
    assert channel.receive() == []
    assert channel.malformed
