"""Does a future of ours keep to the states that `concurrent.futures` documents, whoever tries to change them?"""

from __future__ import annotations

import logging
import re
from concurrent.futures import CancelledError, Future, InvalidStateError, as_completed, wait
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine.client.executor import Executor

pytestmark = pytest.mark.live


def held() -> str:
    return "held"


def inverse(number: float) -> float:
    return 1 / number


def test_submit_takes_the_callable_by_position_only(executor: Executor) -> None:
    """submit(fn, /, *args, **kwargs)."""
    with pytest.raises(TypeError):
        executor.submit()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        executor.submit(fn=held)  # type: ignore[call-arg]


def test_submit_refuses_what_cannot_be_called_at_once(executor: Executor) -> None:
    """Ours: the standard library's says so only in the future."""
    with pytest.raises(ValueError, match="3 "):
        executor.submit(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, 0.001, -1])
def test_no_time_is_time_enough_for_what_is_done(executor: Executor, timeout: float) -> None:
    """timeout can be an int or float; a result that is there is given whatever it is."""
    future = executor.submit(inverse, 2)
    future.result()
    assert future.result(timeout) == 0.5
    assert future.exception(timeout) is None
    assert wait([future], timeout).done == {future}
    assert list(as_completed([future], timeout)) == [future]
    assert next(executor.map(inverse, [], timeout=timeout), "empty") == "empty"


def test_nobody_ends_a_future_twice(executor: Executor) -> None:
    """InvalidStateError is raised when an operation is performed on a future that is not allowed in its state."""
    future = executor.submit(inverse, 4)
    future.result()
    with pytest.raises(InvalidStateError):
        future.set_result(1.0)
    with pytest.raises(InvalidStateError):
        future.set_exception(ValueError())
    assert future.result(0) == 0.25


def test_who_ends_a_future_over_our_heads_keeps_their_word_and_harms_no_other(
    executor: Executor, scripted: ScriptedManager, caplog: pytest.LogCaptureFixture
) -> None:
    """set_result() and set_exception() are for executors and tests only; ours logs what it could not deliver."""
    scripted.held.add("held")
    taken, other = executor.submit(held), executor.submit(held)
    taken.set_result("mine")
    with caplog.at_level(logging.ERROR):
        scripted.release("held")
        assert other.result(30) == "held"
    assert taken.result(0) == "mine"
    assert "could not be delivered" in caplog.text


def test_a_cancelled_future_is_not_set_running_and_takes_no_result(
    executor: Executor, scripted: ScriptedManager
) -> None:
    """set_running_or_notify_cancel() can only be called once; a cancelled future has no result."""
    scripted.held.add("held")
    future = executor.submit(held)
    assert future.cancel()
    with pytest.raises(RuntimeError, match="unexpected state"):
        future.set_running_or_notify_cancel()
    with pytest.raises(InvalidStateError):
        future.set_result("late")
    with pytest.raises(CancelledError):
        future.result(0)


def test_each_state_is_told_by_repr(executor: Executor, scripted: ScriptedManager) -> None:
    """As the standard library's: the state, and the type of what came."""
    scripted.held.add("held")
    pending = executor.submit(held)
    finished, failed = executor.submit(inverse, 2), executor.submit(inverse, 0)
    wait([finished, failed], 30)
    shown = [re.sub(r"0x[0-9a-f]+", "0x", repr(future)) for future in (pending, finished, failed)]
    assert shown == [
        "<VineFuture at 0x state=pending>",
        "<VineFuture at 0x state=finished returned float>",
        "<VineFuture at 0x state=finished raised ZeroDivisionError>",
    ]
    pending.cancel()
    assert "state=cancelled" in repr(pending)


@pytest.mark.parametrize("way", ["result", "exception", "cancel"])
def test_a_callback_is_called_once_however_the_call_ends(
    executor: Executor, scripted: ScriptedManager, way: str
) -> None:
    """When the future is cancelled or finishes running, fn will be called, with the future as its only argument."""
    scripted.held |= {"held", "inverse"}
    future: Future[Any] = executor.submit(inverse, 0) if way == "exception" else executor.submit(held)
    seen: list[tuple[Any, bool, bool]] = []
    future.add_done_callback(lambda done: seen.append((done, done.done(), done.cancelled())))
    assert not seen
    if way == "cancel":
        future.cancel()
    scripted.release("held")
    scripted.release("inverse")
    until(lambda: seen, "it is called")
    executor.shutdown()  # And with it all that was to be called.
    assert seen == [(future, True, way == "cancel")]


def test_a_callback_that_fails_on_an_ended_call_is_logged_and_ignored(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    """If the callable raises an Exception subclass, it will be logged and ignored."""
    future = executor.submit(inverse, 2)
    future.result()
    with caplog.at_level(logging.ERROR):
        future.add_done_callback(lambda done: inverse(0))
    assert "ZeroDivisionError" in caplog.text


def test_ours_and_the_standard_librarys_futures_are_waited_for_together(
    executor: Executor, scripted: ScriptedManager
) -> None:
    """The instances in fs may be created by different Executor instances."""
    scripted.held.add("held")
    ours, theirs = executor.submit(held), Future[str]()
    completed = as_completed([ours, theirs], timeout=60)
    theirs.set_result("theirs")
    assert next(completed) is theirs
    scripted.release("held")
    assert next(completed) is ours
    assert wait([ours, theirs], 0).not_done == set()


def test_as_completed_and_wait_see_one_that_is_cancelled_meanwhile(
    executor: Executor, scripted: ScriptedManager
) -> None:
    """Yields futures as they complete (finished or cancelled futures)."""
    scripted.held.add("held")
    first, second = executor.submit(held), executor.submit(held)
    completed = as_completed([first, second], timeout=60)
    second.cancel()
    assert next(completed) is second
    first.cancel()
    assert list(completed) == [first]
    assert wait([first, second], 0).done == {first, second}


def test_as_completed_says_how_many_were_left(executor: Executor, scripted: ScriptedManager) -> None:
    """TimeoutError: as the standard library words it."""
    scripted.held.add("held")
    done, left = executor.submit(inverse, 1), executor.submit(held)
    done.result()
    with pytest.raises(TimeoutError, match=r"1 \(of 2\) futures unfinished"):
        list(as_completed([done, left], timeout=0))
    scripted.release("held")
