"""A row says how its task ended, and a task that ran on the wrong Python has not succeeded."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.mnist_sweep.provision import foreign
from benchmarks.mnist_sweep.run import WRONG_ENVIRONMENT, batches, row_of
from vine.errors import ManagerLost
from vine.names import TaskId, WorkerId
from vine.wire.parts import Outcome, TaskResult, Times

WORKSPACE = Path("/tmp/vine-sweep-1")
FAULT = partial(foreign, workspace=WORKSPACE)
RETURNED = {
    "accuracy": 0.97,
    "test_accuracy": 0.96,
    "fit_s": 1.5,
    "prefix": "/tmp/vine-sweep-1/vine-store-0/objects/abc",
    "folder": "/tmp/vine-sweep-1/worker-1/sandboxes/1.7",
    "python": "3.11.7",
    "numpy": "2.0",
    "sklearn": "1.5",
}


def ended(outcome: Outcome, returned: dict[str, Any] | None = None, error: Exception | None = None) -> Future[Any]:
    future: Future[Any] = Future()
    times = Times(stage_in_s=0.5, wait_s=0.25, run_s=2.0)
    future.task = TaskResult(  # type: ignore[attr-defined]
        TaskId(1), outcome, worker_id=WorkerId("w1"), hostname="node", times=times, task_s=3.0, queue_s=4.0
    )
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(returned)
    return future


def test_a_success_has_what_the_task_and_the_runtime_say() -> None:
    row = row_of(5, ended(Outcome.SUCCESS, RETURNED), FAULT)
    assert row.succeeded
    assert (row.outcome, row.accuracy, row.worker, row.hostname) == ("success", 0.97, "w1", "node")
    assert (row.queue_s, row.stage_in_s, row.wait_s, row.run_s, row.task_s, row.fit_s) == (
        4.0,
        0.5,
        0.25,
        2.0,
        3.0,
        1.5,
    )
    assert row.prefix == "/tmp/vine-sweep-1/vine-store-0/objects/abc"


def test_a_failure_is_one_line() -> None:
    row = row_of(5, ended(Outcome.EXCEPTION, error=ValueError("first\nsecond")), FAULT)
    assert not row.succeeded
    assert (row.outcome, row.message, row.task_s) == ("exception", "ValueError: first second", 3.0)


def test_a_call_whose_manager_is_gone_is_lost() -> None:
    future: Future[Any] = Future()
    future.set_exception(ManagerLost("the manager has ended"))
    assert row_of(5, future, FAULT).outcome == "lost"


def test_a_cancelled_call_is_a_row_too() -> None:
    future: Future[Any] = Future()
    future.cancel()
    assert row_of(5, future, FAULT).outcome == "cancelled"


def test_a_task_that_ran_elsewhere_has_failed() -> None:
    row = row_of(5, ended(Outcome.SUCCESS, {**RETURNED, "prefix": "/opt/project/.venv"}), FAULT)
    assert not row.succeeded
    assert row.outcome == WRONG_ENVIRONMENT
    assert "/opt/project/.venv" in row.message


def test_batches_end_when_all_have_ended() -> None:
    futures = [ended(Outcome.SUCCESS, RETURNED) for _ in range(3)]
    assert set().union(*batches(futures)) == set(futures)
