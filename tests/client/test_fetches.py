"""Does a future stand for a value that has stayed on workers, and is that brought when somebody wants it here?"""

from __future__ import annotations

import concurrent.futures
import gc
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vine
from tests.client.scripted import ScriptedManager
from vine.client.executor import Executor
from vine.client.futures import VineFuture
from vine.client.manager import Manager
from vine.errors import ManagerLost, TaskFailed, UsageError
from vine.wire.messages import BringResult, ForgetResults, KeepResults

GIVE_UP_S = 30


@pytest.fixture
def held(scripted: ScriptedManager) -> ScriptedManager:
    """Calls of `ones` run when they are released."""
    scripted.held.add("ones")
    return scripted


def remote_ones(executor: Executor, held: ScriptedManager) -> VineFuture[Any]:
    """The future of a value that stays where it was made, whose call has ended."""
    future = vine.remote_value(executor.submit(np.ones, 1000))
    assert isinstance(future, VineFuture)
    held.until(lambda: future.task_id in held.remote)
    held.release("ones")
    concurrent.futures.wait([future], GIVE_UP_S)
    return future


def test_it_is_done_without_its_value_and_brings_that_once_when_asked(
    executor: Executor, held: ScriptedManager
) -> None:
    future = remote_ones(executor, held)
    assert future.done() and future.is_remote and future.exception() is None
    assert not held.all(BringResult)
    value = future.result(GIVE_UP_S)
    assert value.sum() == 1000
    assert future.result() is value and len(held.all(BringResult)) == 1


def test_another_call_takes_it_and_it_does_not_pass_through_here(executor: Executor, held: ScriptedManager) -> None:
    future = remote_ones(executor, held)
    assert executor.submit(len, future).result(GIVE_UP_S) == 1000
    assert not held.all(BringResult)


def test_callbacks_may_ask_for_it(executor: Executor, held: ScriptedManager) -> None:
    seen: Future[Any] = Future()
    future = vine.remote_value(executor.submit(np.ones, 1000))
    future.add_done_callback(lambda done: seen.set_result(done.result(GIVE_UP_S).sum()))
    held.until(lambda: held.remote)
    held.release("ones")
    assert seen.result(GIVE_UP_S) == 1000


def test_one_that_cannot_be_had_any_more_says_why_each_time(executor: Executor, held: ScriptedManager) -> None:
    future = remote_ones(executor, held)
    held.lost.add(future.task_id)
    for _ in range(2):
        with pytest.raises(TaskFailed, match="the result was lost"):
            future.result(GIVE_UP_S)
    held.lost.clear()
    assert len(future.result(GIVE_UP_S)) == 1000


def test_nobody_is_waited_for_longer_than_they_say(executor: Executor, held: ScriptedManager) -> None:
    future = remote_ones(executor, held)
    held.order(lambda: held._on.__setitem__(BringResult, lambda message: None))
    held.release("nobody")
    held.until(lambda: True)
    with pytest.raises(TimeoutError):
        future.result(0)


def test_at_the_runs_end_what_is_held_is_brought_unless_it_was_to_stay(scripted: ScriptedManager) -> None:
    with Manager(connection=scripted.connection) as manager, Executor(manager) as executor:
        scripted.held.add("ones")
        unasked, asked = executor.submit(np.ones, 1000), vine.remote_value(executor.submit(np.ones, 1001))
        assert isinstance(unasked, VineFuture)
        scripted.order(lambda: scripted.remote.add(unasked.task_id))  # As if another call were given it.
        scripted.until(lambda: scripted.all(KeepResults))
        scripted.release("ones")
        concurrent.futures.wait([unasked, asked], GIVE_UP_S)
        assert unasked.is_remote
    assert len(unasked.result(0)) == 1000
    with pytest.raises(ManagerLost):
        asked.result(GIVE_UP_S)


def test_its_result_is_forgotten_with_the_future(executor: Executor, held: ScriptedManager) -> None:
    future = remote_ones(executor, held)
    task_id = future.task_id
    del future
    gc.collect()
    executor.submit(len, "something, so that it is said")
    held.until(lambda: any(task_id in message.task_ids for message in held.all(ForgetResults)))


def test_other_futures_have_no_value_that_could_stay(tmp_path: Path) -> None:
    future: Future[int] = Future()
    with pytest.raises(UsageError, match=r"no future of a vine\.Executor"):
        vine.remote_value(future)
