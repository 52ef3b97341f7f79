"""What the standard library documents of `concurrent.futures`, point by point: each test's docstring is the point.

The words are those of https://docs.python.org/3/library/concurrent.futures.html. Where they leave a choice to the
executor (whether a running call can be cancelled, where callbacks run) the test says what ours is. The shapes that
arguments may have are in test_argument_shapes.py.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError, Future, as_completed, wait
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.client.test_executor import submitted
from tests.waiting import until
from vine import errors
from vine.client.executor import Executor
from vine.client.manager import Manager
from vine.wire.messages import CancelTasks

pytestmark = pytest.mark.live


def described(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def held() -> str:
    return "held"


def inverse(number: float) -> float:
    return 1 / number


def power(base: int, exponent: int) -> int:
    return base**exponent


# --- Executor.submit ---


def test_submit_schedules_the_callable_and_returns_a_future(executor: Executor) -> None:
    """Schedules the callable, fn, to be executed as fn(*args, **kwargs) and returns a Future object."""
    future = executor.submit(described, 1, fn=2, self=3)
    assert isinstance(future, Future)
    assert future.result(30) == ((1,), {"fn": 2, "self": 3})


# --- Executor.map ---


def test_map_is_similar_to_the_builtin(executor: Executor) -> None:
    """Similar to map(fn, *iterables)."""
    assert list(executor.map(power, [2, 3, 4], [3, 2])) == [8, 9]
    assert list(executor.map(power, [])) == []


def test_map_reads_its_iterables_at_once(executor: Executor, scripted: ScriptedManager) -> None:
    """The iterables are collected immediately rather than lazily."""
    read: list[int] = []
    executor.map(inverse, (read.append(number) or number for number in (1, 2, 4)))  # type: ignore[func-returns-value]
    assert read == [1, 2, 4]
    until(lambda: len(submitted(scripted)) == 3, "all are submitted")


def test_map_with_a_buffer_reads_so_far_ahead_only(executor: Executor) -> None:
    """If buffersize is specified, at most that many are submitted whose results have not been yielded."""
    read: list[int] = []
    results = executor.map(inverse, (read.append(number) or number for number in itertools.count(1)), buffersize=2)  # type: ignore[func-returns-value]
    assert read == [1, 2]
    assert next(results) == 1.0
    assert read == [1, 2, 3]


def test_map_runs_several_calls_at_once(executor: Executor, scripted: ScriptedManager) -> None:
    """fn is executed asynchronously and several calls to fn may be made concurrently."""
    scripted.held.add("power")
    results = executor.map(power, [2, 3], [2, 2])
    until(lambda: len(scripted.tasks) == 2, "both have come")
    scripted.release("power")
    assert list(results) == [4, 9]


def test_map_raises_timeout_error(executor: Executor, scripted: ScriptedManager) -> None:
    """The iterator's __next__ raises a TimeoutError if the result isn't available after timeout seconds from the
    original call to Executor.map()."""
    assert next(executor.map(power, [2], [1], timeout=60)) == 2
    scripted.held.add("inverse")
    with pytest.raises(concurrent.futures.TimeoutError):
        next(executor.map(inverse, [1], timeout=0.001))


@pytest.mark.parametrize("chunksize", [1, 2, 3, 10])
def test_map_raises_a_calls_exception_when_its_value_is_retrieved(executor: Executor, chunksize: int) -> None:
    """If a fn call raises an exception, then that exception will be raised when its value is retrieved from the
    iterator."""
    results = executor.map(inverse, [1, 2, 4, 0, 5], chunksize=chunksize)
    assert [next(results) for _ in range(3)] == [1.0, 0.5, 0.25]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_map_chops_its_iterables_into_chunks(executor: Executor, scripted: ScriptedManager) -> None:
    """This method chops iterables into a number of chunks which it submits to the pool as separate tasks."""
    assert list(executor.map(power, range(5), itertools.repeat(2), chunksize=2)) == [0, 1, 4, 9, 16]
    assert len(submitted(scripted)) == 3
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(power, [1], [1], chunksize=0)


def test_map_takes_futures_partials_and_lambdas(executor: Executor) -> None:
    """Ours: rows may hold futures of the run, as the arguments of submit may."""
    two = executor.submit(power, 2, 1)
    assert list(executor.map(power, [two, 3], [3, two], chunksize=2)) == [8, 9]
    base = 3
    assert list(executor.map(lambda x: base * x, [1, 2], chunksize=2)) == [3, 6]


def test_map_cancels_what_nobody_can_ask_for_any_more(executor: Executor, scripted: ScriptedManager) -> None:
    """Ours, as the standard library does it: the remaining calls are cancelled when the iterator ends early."""
    scripted.held.add("inverse")
    results = executor.map(inverse, [1, 2, 3], timeout=0.001)
    until(lambda: len(scripted.tasks) == 3, "all have come")
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    until(lambda: not scripted.tasks, "all are cancelled")


# --- Executor.shutdown ---


def test_shutdown_refuses_later_calls(executor: Executor) -> None:
    """Calls to Executor.submit() and Executor.map() made after shutdown will raise RuntimeError."""
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(held)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(held, [])
    executor.shutdown()


def test_shutdown_waits(executor: Executor, scripted: ScriptedManager) -> None:
    """If wait is True then this method will not return until all the pending futures are done executing."""
    scripted.held.add("held")
    future = executor.submit(held)
    seen: list[bool] = []
    future.add_done_callback(lambda done: seen.append(done.done()))
    scripted.release("held")
    executor.shutdown(wait=True)
    assert future.done()
    assert seen == [True]


def test_shutdown_without_wait_returns_at_once(executor: Executor, scripted: ScriptedManager) -> None:
    """If wait is False then this method will return immediately; the resources will be freed when all pending
    futures are done executing."""
    scripted.held.add("held")
    future = executor.submit(held)
    executor.shutdown(wait=False)
    assert not future.done()
    scripted.release("held")
    assert future.result(30) == "held"


@pytest.mark.parametrize("waits", [True, False])
def test_shutdown_cancels_pending_futures_and_no_running_ones(
    executor: Executor, scripted: ScriptedManager, waits: bool
) -> None:
    """If cancel_futures is True, this method will cancel all pending futures that the executor has not started
    running. Any futures that are completed or running won't be cancelled, regardless of its value. If both
    cancel_futures and wait are True, all futures that the executor has started running will be completed prior to
    this method returning."""
    completed = executor.submit(power, 2, 2)
    assert completed.result(30) == 4
    scripted.held |= {"held", "power"}
    scripted.running.add("held")
    running, pending = executor.submit(held), executor.submit(power, 1, 1)
    elsewhere: Future[int] = Future()
    unsent = executor.submit(power, elsewhere, 1)
    until(lambda: len(scripted.tasks) == 2, "both have come")

    def end_the_running_one() -> None:
        until(pending.done, "the pending one is cancelled")
        scripted.release("held")

    ender = threading.Thread(target=end_the_running_one)
    ender.start()
    executor.shutdown(wait=waits, cancel_futures=True)
    assert running.result(30) == "held"
    assert wait([pending, unsent], 30).not_done == set()
    assert [future.cancelled() for future in (completed, running, pending, unsent)] == [False, False, True, True]
    ender.join()


def test_the_with_statement_shuts_down_and_waits(manager: Manager) -> None:
    """You can avoid having to call this method explicitly if you use the with statement, which will shutdown the
    Executor (waiting as if Executor.shutdown() were called with wait set to True)."""
    with Executor(manager) as executor:
        future = executor.submit(held)
    assert future.done()
    with pytest.raises(RuntimeError):
        executor.submit(held)


# --- Future ---


def test_cancel_of_a_call_that_has_ended_returns_false(executor: Executor) -> None:
    """Attempt to cancel the call. If the call is finished running and cannot be cancelled then the method will return
    False."""
    future = executor.submit(power, 2, 2)
    future.result(30)
    assert not future.cancel()
    assert not future.cancelled()


def test_cancel_otherwise_cancels_and_returns_true(executor: Executor, scripted: ScriptedManager) -> None:
    """Otherwise the call will be cancelled and the method will return True; cancelled() returns True, and so does
    done(). Ours: also if it runs; the manager is told to stop it."""
    scripted.held.add("held")
    scripted.running.add("held")
    future = executor.submit(held)
    assert (future.cancelled(), future.running(), future.done()) == (False, False, False)
    assert future.cancel()
    assert (future.cancelled(), future.running(), future.done()) == (True, False, True)
    assert future.cancel()
    until(lambda: scripted.all(CancelTasks), "the manager is told")
    assert scripted.all(CancelTasks) == [CancelTasks((future.task_id,))]  # type: ignore[attr-defined]


def test_result_and_exception_wait_and_time_out(executor: Executor, scripted: ScriptedManager) -> None:
    """If the call hasn't completed in timeout seconds, then a TimeoutError will be raised. timeout can be an int or
    float. If the call hasn't yet completed then this method will wait up to timeout seconds."""
    scripted.held.add("held")
    future = executor.submit(held)
    for timeout in (0, 0.001):
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(timeout)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.exception(timeout=timeout)
    scripted.release("held")
    assert future.result() == "held"
    assert future.exception() is None


def test_result_and_exception_of_a_cancelled_call(executor: Executor, scripted: ScriptedManager) -> None:
    """If the future is cancelled before completing then CancelledError will be raised."""
    scripted.held.add("held")
    future = executor.submit(held)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(0)
    with pytest.raises(CancelledError):
        future.exception(0)


def test_result_raises_what_the_call_raised(executor: Executor) -> None:
    """If the call raised an exception, this method will raise the same exception; exception() returns it."""
    future = executor.submit(inverse, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        future.result(30)
    assert future.exception() is caught.value


def test_callbacks_are_called_with_the_future_in_the_order_in_which_they_were_added(
    executor: Executor, scripted: ScriptedManager
) -> None:
    """fn will be called, with the future as its only argument, when the future is cancelled or finishes running.
    Added callables are called in the order that they were added and are always called in a thread belonging to the
    process that added them. If the callable raises an Exception subclass, it will be logged and ignored."""
    scripted.held.add("held")
    ending, cancelled = executor.submit(held), executor.submit(held)
    seen: list[Any] = []
    for future in (ending, cancelled):
        future.add_done_callback(lambda done: seen.append(("first", done)))
        future.add_done_callback(lambda done: 1 / 0)
        future.add_done_callback(lambda done: seen.append(("second", done)))
    cancelled.cancel()
    until(lambda: len(seen) == 2, "those of the cancelled one have run")
    scripted.release("held")
    until(lambda: len(seen) == 4, "those of the other one, too")
    assert seen == [(word, future) for future in (cancelled, ending) for word in ("first", "second")]


def test_a_callback_of_an_ended_call_is_called_immediately(executor: Executor) -> None:
    """If the future has already completed or been cancelled, fn will be called immediately."""
    future = executor.submit(power, 2, 2)
    future.result(30)
    seen: list[threading.Thread] = []
    future.add_done_callback(lambda done: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]


def test_a_callback_that_waits_for_another_result_holds_up_no_result(
    executor: Executor, scripted: ScriptedManager
) -> None:
    """Ours: callbacks have a thread of their own; one may submit, wait for results, and wait for the user."""
    may_end, chained = threading.Event(), Future[Any]()

    def submit_and_wait(done: Future[Any]) -> None:
        chained.set_result(executor.submit(power, len(done.result()), 2).result(30))
        may_end.wait(60)

    scripted.held.add("held")
    executor.submit(held).add_done_callback(submit_and_wait)
    scripted.release("held")
    assert chained.result(30) == 16
    assert executor.submit(power, 3, 1).result(30) == 3  # While the callback waits for us.
    may_end.set()


# --- module functions ---


def test_wait_returns_done_and_not_done(executor: Executor, scripted: ScriptedManager) -> None:
    """Returns a named 2-tuple of sets. Duplicate futures given to fs are removed and will be returned only once.
    timeout can be used to control the maximum number of seconds to wait before returning."""
    scripted.held.add("held")
    quick, slow = executor.submit(power, 2, 2), executor.submit(held)
    quick.result(30)
    ended = wait([quick, slow, quick], timeout=0)
    assert (ended.done, ended.not_done) == ({quick}, {slow})
    scripted.release("held")
    assert wait([quick, slow]).done == {quick, slow}


def test_wait_returns_when_it_is_told_to(executor: Executor, scripted: ScriptedManager) -> None:
    """FIRST_COMPLETED: when any future finishes or is cancelled. FIRST_EXCEPTION: when any future finishes by raising
    an exception; if none does, then it is equivalent to ALL_COMPLETED."""
    scripted.held.add("held")
    slow = executor.submit(held)
    quick = executor.submit(power, 2, 2)
    assert wait([slow, quick], 30, return_when=FIRST_COMPLETED).done == {quick}
    failing = executor.submit(inverse, 0)
    assert failing in wait([slow, failing], 30, return_when=FIRST_EXCEPTION).done
    waiting = executor.submit(held)
    waiting.cancel()
    assert wait([slow, waiting], 30, return_when=FIRST_COMPLETED).done == {waiting}
    scripted.release("held")
    assert wait([slow, quick], 30, return_when=FIRST_EXCEPTION).not_done == set()


def test_as_completed_yields_futures_as_they_complete(executor: Executor, scripted: ScriptedManager) -> None:
    """Yields futures as they complete (finished or cancelled). Any futures given by fs that are duplicated will be
    returned once. Any futures that completed before as_completed() is called will be yielded first. The returned
    iterator raises a TimeoutError if the result isn't available after timeout seconds."""
    scripted.held.add("held")
    slow, quick = executor.submit(held), executor.submit(power, 2, 2)
    quick.result(30)
    completed = as_completed([slow, quick, slow], timeout=30)
    assert next(completed) is quick
    scripted.release("held")
    assert list(completed) == [slow]
    scripted.held.add("held")
    with pytest.raises(concurrent.futures.TimeoutError):
        list(as_completed([executor.submit(held)], timeout=0))
    scripted.release("held")


def test_several_executors_share_a_manager_and_their_futures(manager: Manager) -> None:
    """Ours: a future of one is an argument of the other's calls."""
    with Executor(manager) as first, Executor(manager) as second:
        assert second.submit(power, first.submit(power, 2, 1), 3).result(30) == 8


def test_a_result_that_cannot_travel_is_refused_by_type_and_words(executor: Executor) -> None:
    """Ours: NotSerialisable, which is a TypeError, says what to return instead."""
    with pytest.raises(errors.NotSerialisable, match=r"is a generator, which cannot travel .*: return a list"):
        executor.submit(lambda: (x for x in "abc")).result(30)
    results = executor.map(lambda x: x or memoryview(b""), [1, 0], chunksize=2)
    assert next(results) == 1
    with pytest.raises(TypeError, match="is a memoryview"):
        next(results)
