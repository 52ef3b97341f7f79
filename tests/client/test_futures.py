"""Do our futures behave as those of `concurrent.futures`?"""

from __future__ import annotations

import concurrent.futures
import gc
import pickle
import threading
import traceback
from typing import Any

import pytest

from vine import errors
from vine.client import serialise
from vine.client.futures import RemoteTraceback, VineFuture
from vine.names import TaskId, WorkerId
from vine.wire.parts import Outcome, TaskResult, Times


class FakeSession:
    """The manager's side of a future: what it was told."""

    def __init__(self) -> None:
        self.open: dict[TaskId, VineFuture[Any]] = {}
        self.cancelled: list[TaskId] = []
        self.forgotten: list[TaskId] = []
        self.called_back: list[object] = []

    def future(self, number: int) -> VineFuture[Any]:
        future: VineFuture[Any] = VineFuture(self, TaskId(number))
        self.open[future.task_id] = future
        return future

    def claim(self, task_id: TaskId) -> object | None:
        return self.open.pop(task_id, None)

    def cancel_task(self, task_id: TaskId) -> None:
        self.cancelled.append(task_id)

    def forget_result(self, task_id: TaskId) -> None:
        self.forgotten.append(task_id)

    def call_back(self, callback: Any, future: Any) -> None:
        self.called_back.append(callback)
        callback(future)

    def end(self, number: int, outcome: Outcome = Outcome.SUCCESS, value: object = None, message: str = "") -> None:
        future = self.open.pop(TaskId(number))
        data = serialise.dump(value)
        result = TaskResult(
            TaskId(number), outcome, value=data, message=message, worker_id=WorkerId("w1"), times=Times(run_s=2.0)
        )
        future.ended(result, data)


def test_a_success_sets_the_value_and_tells_where_it_was_made() -> None:
    session = FakeSession()
    future = session.future(1)
    assert not future.done()
    session.end(1, value={"answer": 42})
    assert future.result() == {"answer": 42}
    assert (future.worker, future.times) == ("w1", Times(run_s=2.0))
    assert future.task is not None
    assert future.task.value is None  # Not kept twice.


def test_an_exception_is_itself_with_the_remote_traceback_attached() -> None:
    session = FakeSession()
    future = session.future(1)
    session.end(1, Outcome.EXCEPTION, (KeyError("lost"), "Traceback: line 7 of theirs"))
    with pytest.raises(KeyError, match="lost") as caught:
        future.result()
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "line 7 of theirs" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.EXIT_CODE, errors.TaskFailed),
        (Outcome.KILLED, errors.TaskFailed),
        (Outcome.TIME_LIMIT, errors.TimeLimitExceeded),
        (Outcome.INPUT_MISSING, errors.InputMissing),
        (Outcome.INPUT_CHANGED, errors.InputChanged),
        (Outcome.INPUT_ALTERED, errors.InputAltered),
        (Outcome.DEPENDENCY_FAILED, errors.DependencyFailed),
        (Outcome.NO_WORKER_FITS, errors.NoWorkerFits),
        (Outcome.WORKER_LOST, errors.WorkerLost),
        (Outcome.DISK_FULL, errors.OutOfDisk),
    ],
)
def test_each_outcome_is_an_error_of_its_own_with_the_managers_words(
    outcome: Outcome, kind: type[errors.VineError]
) -> None:
    session = FakeSession()
    future = session.future(1)
    session.end(1, outcome, message="what happened and what to do")
    error = future.exception()
    assert type(error) is kind
    assert str(error) == "what happened and what to do"


def test_a_result_that_cannot_be_read_here_is_an_error_of_that_future() -> None:
    session = FakeSession()
    future = session.future(1)
    session.open.clear()
    missing = b"Pcnomodule\nName\n."
    future.ended(TaskResult(TaskId(1), Outcome.SUCCESS, value=missing), missing)
    with pytest.raises(errors.NotSerialisable, match="nomodule"):
        future.result()


def test_cancelling_tells_the_manager_and_everyone_who_waits() -> None:
    session = FakeSession()
    future = session.future(1)
    called: list[object] = []
    future.add_done_callback(called.append)
    waiter = threading.Thread(target=lambda: concurrent.futures.wait([future]))
    waiter.start()
    assert future.cancel()
    waiter.join()
    assert future.cancel()  # Again: it is cancelled.
    assert called == [future]
    assert session.cancelled == [1]
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    assert concurrent.futures.wait([future]).done == {future}


def test_a_done_future_cannot_be_cancelled() -> None:
    session = FakeSession()
    future = session.future(1)
    session.end(1, value=1)
    assert not future.cancel()
    assert session.cancelled == []
    assert future.result() == 1


def test_a_task_that_others_cancelled_cancels_its_future() -> None:
    session = FakeSession()
    future = session.future(1)
    session.end(1, Outcome.CANCELLED)
    assert future.cancelled()


def test_as_completed_gives_futures_in_the_order_of_their_ends() -> None:
    session = FakeSession()
    futures = [session.future(number) for number in (1, 2, 3)]
    completed = concurrent.futures.as_completed(futures)
    session.end(2, value="second")
    assert next(completed) is futures[1]
    futures[2].cancel()
    assert next(completed) is futures[2]
    session.end(1, value="first")
    assert next(completed) is futures[0]


def test_a_dropped_future_lets_its_result_be_forgotten() -> None:
    session = FakeSession()
    future = session.future(1)
    session.end(1, value=1)
    assert session.forgotten == []
    del future
    gc.collect()
    assert session.forgotten == [1]


def test_a_future_cannot_be_pickled_by_accident() -> None:
    with pytest.raises(TypeError, match="argument of a call"):
        pickle.dumps(FakeSession().future(1))
