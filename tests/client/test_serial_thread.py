"""Is all done, in order, that was accepted before the close, whoever closes meanwhile?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until
from vine.client.serial_thread import SerialThread


def test_things_are_done_in_their_order_on_one_thread_of_their_own() -> None:
    done: list[tuple[int, threading.Thread]] = []
    thread = SerialThread[int]("numbers", lambda number: done.append((number, threading.current_thread())))
    assert [thread.put(number) for number in range(5)] == [True] * 5
    thread.flush()
    assert [number for number, _ in done] == list(range(5))
    assert {where.name for _, where in done} == {"numbers"}
    thread.close()


def test_nothing_is_accepted_after_the_close_which_may_be_repeated() -> None:
    done: list[int] = []
    thread = SerialThread[int]("numbers", done.append)
    thread.put(1)
    thread.close()
    thread.close()
    thread.flush()
    assert not thread.put(2)
    assert done == [1]


def test_the_thread_itself_may_flush_and_close() -> None:
    through = threading.Event()

    def flush_and_close(_: str) -> None:
        thread.flush()
        thread.close()
        through.set()

    thread = SerialThread[str]("itself", flush_and_close)
    thread.put("once")
    assert through.wait(30)


class Gated:
    """A thread's queue in which whatever is put stops at a gate, but for the end."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.get, self.empty = queue.get, queue.empty
        self.at_gate, self.gate, self.ended = threading.Event(), threading.Event(), threading.Event()

    def put(self, item: object) -> None:
        if item is not None:
            self.at_gate.set()
            assert self.gate.wait(30)
        self._queue.put(item)
        if item is None:
            self.ended.set()


def is_held(lock: threading.RLock) -> bool:
    """By another thread."""
    free = lock.acquire(blocking=False)
    if free:
        lock.release()
    return not free


@pytest.mark.parametrize("what", [lambda thread: thread.put("second"), lambda thread: thread.flush()])
def test_a_close_that_comes_while_something_is_put_waits_until_it_is_in(
    what: Callable[[SerialThread[str]], object],
) -> None:
    # given a thread that runs, and somebody who has seen that it is open
    done: list[str] = []
    thread = SerialThread[str]("gated", done.append)
    thread.put("first")
    thread.flush()
    queue: Any = Gated(thread._queue)
    thread._queue = queue
    putting = threading.Thread(target=what, args=(thread,), daemon=True)
    putting.start()
    assert queue.at_gate.wait(30)
    # when it is closed
    closing = threading.Thread(target=thread.close, daemon=True)
    closing.start()
    until(lambda: is_held(thread._lock) or queue.ended.is_set(), "the close waits, or has passed by")
    queue.gate.set()
    # then both come through, and nothing is lost
    for each in (putting, closing):
        each.join(30)
        assert not each.is_alive()
    assert queue.empty()
