"""Do callbacks run where they hold up nothing, each of them once?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from vine.client.callbacks import Callbacks, DeferringFuture
from vine.client.late_condition import LateCondition


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    made = Callbacks()
    yield made
    made.close()


def done(value: object = None) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def test_they_run_in_the_order_of_the_ends_on_one_other_thread(callbacks: Callbacks) -> None:
    seen: list[Any] = []
    for number in range(5):
        callbacks.put(lambda future: seen.append((future.result(), threading.current_thread())), done(number))
    callbacks.flush()
    assert [value for value, _ in seen] == list(range(5))
    (thread,) = {thread for _, thread in seen}
    assert thread is not threading.current_thread()


def test_one_that_waits_holds_up_nobody_who_puts_others(callbacks: Callbacks) -> None:
    gate, seen = threading.Event(), threading.Event()
    callbacks.put(lambda future: gate.wait() and None, done())
    callbacks.put(lambda future: seen.set(), done())
    assert not seen.is_set()
    gate.set()
    assert seen.wait(30)


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3)])
def test_one_that_fails_is_logged_and_harms_no_other(
    callbacks: Callbacks, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(future: Future[Any]) -> None:
        raise error

    seen = threading.Event()
    callbacks.put(fail, done())
    callbacks.put(lambda future: seen.set(), done())
    assert seen.wait(30)
    assert "calling callback for <Future" in caplog.text


def test_one_may_flush_and_close(callbacks: Callbacks) -> None:
    through = threading.Event()
    callbacks.put(lambda future: (callbacks.flush(), callbacks.close(), through.set()), done())
    assert through.wait(30)


def test_after_the_close_they_run_at_once() -> None:
    callbacks = Callbacks()
    callbacks.close()
    seen: list[object] = []
    callbacks.put(lambda future: seen.append(threading.current_thread()), done())
    assert seen == [threading.current_thread()]


def test_a_program_without_callbacks_has_no_thread_for_them() -> None:
    before = threading.active_count()
    callbacks = Callbacks()
    callbacks.flush()
    assert threading.active_count() == before
    callbacks.close()


def test_a_future_of_ours_begins_with_all_that_the_librarys_own_has_but_for_the_condition() -> None:
    """Ours does not call the library's `__init__`: what a later Python adds there is to be found out here."""
    ours, theirs = vars(DeferringFuture()), vars(Future())
    assert isinstance(ours.pop("_condition"), LateCondition)
    del theirs["_condition"]
    assert ours == theirs


class Deferring(DeferringFuture[int]):
    def __init__(self) -> None:
        super().__init__()
        self.deferred: list[Any] = []

    def call_back(self, callback: Any, future: Future[Any]) -> None:
        self.deferred.append(callback)


def test_a_future_defers_those_that_were_added_before_its_end_and_calls_later_ones_at_once() -> None:
    future, called = Deferring(), list[object]()
    future.add_done_callback(called.append)
    future.set_result(1)
    assert (future.deferred, called) == ([called.append], [])
    future.add_done_callback(called.append)
    assert called == [future]


def test_a_disowned_future_has_ended_whoever_holds_its_lock_and_calls_nobody() -> None:
    future = Deferring()
    future.add_done_callback(lambda done: None)
    locked, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with future._condition:
            locked.set()
            may_end.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    future.disowned(RuntimeError("a fork"))
    with pytest.raises(RuntimeError, match="a fork"):
        future.result()
    assert future.deferred == []
    may_end.set()
    holder.join()
