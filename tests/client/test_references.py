"""Who keeps what alive: arguments, results, futures and executors are let go when nobody holds them any more."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import as_completed, wait
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.waiting import until
from vine.client.executor import Executor
from vine.client.manager import Manager

pytestmark = pytest.mark.live


class Thing:
    """Something that can be watched."""


def made(number: int) -> Thing:
    return Thing()


def taken(thing: object) -> None:
    """Takes it."""


def failing(thing: object) -> None:
    raise ValueError("no")


def test_arguments_are_let_go_once_they_are_serialised(executor: Executor, scripted: ScriptedManager) -> None:
    scripted.held.add("taken")
    thing = Thing()
    watched = weakref.ref(thing)
    future = executor.submit(taken, thing)
    del thing
    assert watched() is None
    scripted.release("taken")
    assert future.result(30) is None


def test_arguments_that_wait_for_a_future_from_elsewhere_are_let_go_when_it_is_cancelled(executor: Executor) -> None:
    from concurrent.futures import Future

    thing = Thing()
    watched = weakref.ref(thing)
    elsewhere = Future[int]()
    future = executor.submit(taken, [thing, elsewhere])
    future.cancel()
    del thing, future, elsewhere
    gc.collect()
    assert watched() is None


def test_a_result_is_let_go_with_its_future(executor: Executor) -> None:
    future = executor.submit(made, 1)
    watched = weakref.ref(future.result(30))
    assert watched() is not None
    del future
    until(lambda: watched() is None, "the thread that set it holds it no more")


def test_an_exception_is_let_go_with_its_future(executor: Executor) -> None:
    """No cycle of exception, traceback and frame keeps it: the collector is not needed."""
    gc.collect()
    gc.disable()
    try:
        future = executor.submit(failing, 1)
        watched = weakref.ref(future)
        with pytest.raises(ValueError, match="no"):
            future.result(30)
        del future
        until(lambda: watched() is None, "nobody holds it")
    finally:
        gc.enable()


def test_map_lets_go_what_it_has_yielded(executor: Executor) -> None:
    """In order that the results of a long map need not all be in memory."""
    results = executor.map(made, range(4), chunksize=2)
    for result in results:
        watched = weakref.ref(result)
        del result
        until(lambda watched=watched: watched() is None, "it is let go")  # type: ignore[misc]


def test_as_completed_lets_go_what_it_has_yielded(executor: Executor) -> None:
    futures = [executor.submit(made, number) for number in range(3)]
    wait(futures, 30)
    for future in as_completed(futures, 30):
        futures.remove(future)
        watched = weakref.ref(future)
        del future
        until(lambda watched=watched: watched() is None, "it is let go")  # type: ignore[misc]


def test_calls_whose_future_was_dropped_run_all_the_same(executor: Executor, scripted: ScriptedManager) -> None:
    executor.submit(taken, 1)
    executor.shutdown()
    assert not scripted.tasks
    assert len(scripted.values) == 1


def test_an_executor_that_was_dropped_ends_its_calls(manager: Manager, scripted: ScriptedManager) -> None:
    scripted.held.add("made")
    executor: Any = Executor(manager)
    future = executor.submit(made, 1)
    watched = weakref.ref(executor)
    del executor
    gc.collect()
    assert watched() is None
    scripted.release("made")
    assert isinstance(future.result(30), Thing)
