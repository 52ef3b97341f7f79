"""Do Parsl's users catch what they know?"""

from __future__ import annotations

from typing import Any, cast

import pytest
from parsl.app.errors import AppException, AppTimeout
from parsl.executors.errors import BadStateException, InvalidResourceSpecification
from parsl.executors.high_throughput import errors as htex
from parsl.serialize.errors import DeserializationError, SerializationError

from vine import errors
from vine.names import TaskId, WorkerId
from vine.parsl.errors import translated
from vine.wire.parts import Outcome, TaskResult


class Named:
    label = "vine"


EXECUTOR: Any = Named()


def as_met(error: BaseException, outcome: Outcome | None = None) -> BaseException:
    ended = None
    if outcome is not None:
        ended = TaskResult(TaskId(1), outcome, worker_id=WorkerId("w1"), hostname="node7")
    return translated(error, EXECUTOR, ended)


@pytest.mark.parametrize(
    ("error", "outcome", "kinds"),
    [
        (errors.ManagerLost("gone"), None, (BadStateException, errors.ManagerLost)),
        (errors.FactoryLost("gone"), None, (BadStateException, errors.FactoryLost)),
        (errors.WorkerLost("gone"), Outcome.WORKER_LOST, (htex.ManagerLost, htex.WorkerLost, errors.WorkerLost)),
        (errors.TaskFailed("died"), Outcome.KILLED, (htex.WorkerLost, errors.TaskFailed)),
        (errors.TaskFailed("ended"), Outcome.EXIT_CODE, (htex.WorkerLost, errors.TaskFailed)),
        (errors.MemoryLimitExceeded("m"), Outcome.MEMORY_LIMIT, (AppException, errors.LimitExceeded)),
        (errors.OutputLimitExceeded("o"), Outcome.OUTPUT_LIMIT, (AppException, errors.LimitExceeded)),
        (errors.ProcessLimitExceeded("p"), Outcome.PROCESS_LIMIT, (AppException, errors.LimitExceeded)),
        (errors.DiskLimitExceeded("d"), Outcome.DISK_LIMIT, (AppException, errors.LimitExceeded)),
        (errors.TimeLimitExceeded("t"), Outcome.TIME_LIMIT, (AppTimeout, errors.TimeLimitExceeded)),
        (errors.NoWorkerFits("big"), Outcome.NO_WORKER_FITS, (InvalidResourceSpecification, errors.NoWorkerFits)),
        (errors.NotSerialisable("no"), None, (SerializationError, errors.NotSerialisable)),
        (errors.NotSerialisable("no"), Outcome.NOT_SERIALISABLE, (SerializationError, errors.NotSerialisable)),
        (errors.NotSerialisable("no"), Outcome.SUCCESS, (DeserializationError, errors.NotSerialisable)),
        (errors.NotSerialisable("no"), Outcome.EXCEPTION, (DeserializationError, errors.NotSerialisable)),
        (errors.InputMissing("i"), Outcome.INPUT_MISSING, (AppException, errors.TaskFailed)),
        (errors.TaskCancelled("c"), Outcome.CANCELLED, (AppException, errors.TaskFailed)),
    ],
)
def test_each_of_our_errors_is_one_of_parsls_and_says_the_same(
    error: errors.VineError, outcome: Outcome | None, kinds: tuple[type[BaseException], ...]
) -> None:
    made = as_met(error, outcome)
    assert all(isinstance(made, kind) for kind in kinds), type(made).__mro__
    assert str(error) in str(made)
    assert made.__cause__ is error


def test_a_lost_worker_is_named_as_in_parsls_errors() -> None:
    made = cast(Any, as_met(errors.WorkerLost("gone"), Outcome.WORKER_LOST))
    assert (made.worker_id, made.manager_id, made.hostname) == ("w1", b"w1", "node7")


def test_errors_of_the_app_are_left_as_they_are() -> None:
    error = ValueError("mine")
    assert as_met(error, Outcome.EXCEPTION) is error
