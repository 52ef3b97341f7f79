"""Is who submits faster than the run drains slowed, and never locked up?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.scripted import ScriptedManager
from tests.client.test_executor import submitted, wait_here
from tests.waiting import until
from vine import config
from vine.client.crowd import Crowd
from vine.client.executor import Executor
from vine.client.futures import VineFuture
from vine.names import TaskId

pytestmark = pytest.mark.live


def size_of(data: bytes) -> int:
    return len(data)


def in_a_thread(body: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def test_bytes_are_counted_until_their_tasks_leave() -> None:
    crowd = Crowd()
    crowd.enter(TaskId(1), 10)
    crowd.enter(TaskId(2), 5)
    assert (crowd.bytes, crowd.watched) == (15, True)
    for number in (1, 3, 2):
        crowd.leave(TaskId(number))
    assert (crowd.bytes, crowd.watched) == (0, False)


def test_who_waits_goes_on_as_soon_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "crowded_pause_s", 60)
    crowd = Crowd()
    crowd.enter(TaskId(1), 10)
    thread = in_a_thread(lambda: crowd.wait(lambda: crowd.bytes > 0))
    until(lambda: crowd.waiting, "it waits")
    crowd.leave(TaskId(1))
    thread.join()
    assert crowd.waiting == 0


@pytest.mark.parametrize("limit", ["tasks", "bytes"])
def test_a_client_that_is_far_ahead_waits_until_a_call_has_ended(
    executor: Executor, scripted: ScriptedManager, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    # given a manager that runs nothing, and as much open as may be
    monkeypatch.setattr(config, "crowded_pause_s", 60)
    monkeypatch.setattr(config, f"open_{limit}_max", 10 if limit == "tasks" else 10 * 2000 - 1)
    scripted.held.add("size_of")
    futures = [executor.submit(size_of, b"x" * 2000) for _ in range(10)]
    until(lambda: len(scripted.tasks) == 10, "all have come")
    # when one more is submitted
    thread = in_a_thread(lambda: futures.append(executor.submit(size_of, b"the last")))
    until(lambda: executor.manager.session._crowd.waiting, "the last one waits")
    assert len(submitted(scripted)) == 10
    # then it goes as soon as one has ended
    futures[0].cancel()
    thread.join()
    scripted.release("size_of")
    assert [future.result(30) for future in futures[1:]] == [2000] * 9 + [8]
    assert executor.manager.session._crowd.bytes == 0


def test_a_client_whose_calls_cannot_end_is_slowed_and_not_locked_up(
    executor: Executor, scripted: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the thread that submits is the one that would start the workers."""
    monkeypatch.setattr(config, "crowded_pause_s", 0.001)
    monkeypatch.setattr(config, "open_tasks_max", 3)
    scripted.held.add("wait_here")
    futures = [executor.submit(wait_here) for _ in range(10)]
    scripted.release("wait_here")
    assert [future.result(30) for future in futures] == ["waited"] * 10


def test_a_callback_and_a_lone_call_get_through_a_crowd(
    executor: Executor, scripted: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open waits for what the callback submits; and the callback's thread is one of those that wait."""
    monkeypatch.setattr(config, "open_tasks_max", 1)
    scripted.held.add("wait_here")
    slow = [executor.submit(wait_here) for _ in range(3)]
    chained: list[Any] = []
    first = executor.submit(size_of, b"x")
    first.add_done_callback(lambda done: chained.append(executor.submit(size_of, b"xy").result(30)))
    assert executor.submit(size_of, b"xyz").result(30) == 3
    until(lambda: chained, "the callback is through")
    scripted.release("wait_here")
    assert [future.result(30) for future in slow] == ["waited"] * 3


def test_a_cancelled_call_that_is_submitted_late_leaves_nothing_counted(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = executor.manager.session
    future = executor.submit(wait_here)
    future.result(30)
    assert isinstance(future, VineFuture)
    spec = executor._spec(future.task_id, executor.manager.calls.function(wait_here), b"P" * 2000, None)
    monkeypatch.setattr(session.outbox, "put_task", lambda spec: None)
    session.submit(spec)
    assert session._crowd.bytes == 0
