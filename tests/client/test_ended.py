"""Does a task that has ended tell how, in TaskVine's words?"""

from __future__ import annotations

from typing import Any

import pytest

from vine import errors
from vine.client.ended import RESULTS
from vine.client.tasks import Task
from vine.names import TaskId, WorkerId
from vine.wire.parts import Outcome, TaskResult, Times

# As the reference of its Python API has them, and three that its programs show besides.
_DOCUMENTED = {
    *("success", "input missing", "output missing", "stdout missing", "signal", "resource exhaustion", "max end time"),
    *("unknown", "forsaken", "max retries", "max wall time", "monitor error", "output transfer error"),
    *("fixed location missing", "cancelled", "library exit", "sandbox exhaustion", "missing library"),
}


def ended_as(outcome: Outcome, **fields: Any) -> Task:
    task = Task("true")
    task.ended_as = TaskResult(TaskId(1), outcome, **fields)
    return task


def test_every_end_has_a_word_that_taskvine_has_too() -> None:
    assert set(RESULTS) == set(Outcome)
    assert set(RESULTS.values()) <= _DOCUMENTED


@pytest.mark.parametrize(
    ("outcome", "exit_code", "result", "completed", "successful"),
    [
        (Outcome.SUCCESS, 0, "success", True, True),
        (Outcome.EXIT_CODE, 3, "success", True, False),
        (Outcome.KILLED, 9, "signal", False, False),
        (Outcome.TIME_LIMIT, None, "max wall time", False, False),
        (Outcome.CANCELLED, None, "cancelled", False, False),
    ],
)
def test_completed_is_that_it_ended_by_itself_and_successful_with_exit_code_0(
    outcome: Outcome, exit_code: int | None, result: str, completed: bool, successful: bool
) -> None:
    task = ended_as(outcome, exit_code=exit_code)
    assert (task.result, task.exit_code) == (result, exit_code)
    assert (task.completed(), task.successful()) == (completed, successful)


@pytest.mark.parametrize(("outcome", "exit_code"), [(Outcome.SUCCESS, 0), (Outcome.EXCEPTION, 1)])
def test_a_function_has_an_exit_code_too(outcome: Outcome, exit_code: int) -> None:
    assert ended_as(outcome).exit_code == exit_code


def test_what_it_wrote_and_where_it_ran_is_told() -> None:
    times = Times(run_s=2.0)
    task = ended_as(
        Outcome.SUCCESS, stdout=b"out\xff", stderr=b"err", hostname="node7", worker_id=WorkerId("w1"), times=times
    )
    assert (task.std_output, task.output, task.std_error) == ("out\ufffd", "out\ufffd", "err")
    assert (task.hostname, task.worker, task.times) == ("node7", "w1", times)


def test_one_that_has_not_ended_says_so() -> None:
    task = Task("true")
    assert task.result is None and not task.completed() and not task.successful()
    for name in ("exit_code", "std_output", "hostname", "resources_measured", "limits_exceeded"):
        with pytest.raises(errors.UsageError, match="has not ended"):
            getattr(task, name)
