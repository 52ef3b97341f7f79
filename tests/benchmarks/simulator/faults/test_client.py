"""A client and its futures."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.client import FaultyClient
from vine.names import RunId, TaskId
from vine.wire import messages as wire
from vine.wire.parts import Outcome, TaskResult

WELCOME = wire.ClientWelcome(RunId("r"), 1, 0, "/run", "/staging", True)


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def client(forgotten: list[str]) -> FaultyClient:
    client = FaultyClient("c", lambda message: None, lambda: forgotten.append("forgotten"))
    client.hear(WELCOME)
    return client


def test_a_task_is_open_until_its_end_is_told(client: FaultyClient) -> None:
    task = client.task()
    client.submit(task)
    assert client.open == {task.task_id}
    client.hear(wire.TasksEnded((TaskResult(task.task_id, Outcome.SUCCESS),)))
    assert not client.open and task.task_id in client.results


def test_an_end_that_nobody_waits_for_must_not_be_told(client: FaultyClient) -> None:
    with pytest.raises(AssertionError, match="nobody waits for"):
        client.hear(wire.TasksEnded((TaskResult(TaskId(77), Outcome.SUCCESS),)))


def test_whoever_welcomes_it_a_second_time_has_forgotten_it(client: FaultyClient, forgotten: list[str]) -> None:
    client.hear(WELCOME)
    assert forgotten == ["forgotten"]


def test_results_that_were_asked_for_are_answered(client: FaultyClient) -> None:
    client.hear(wire.ResultBrought(TaskId(1), "/staging/x"))
    assert client.answered == {TaskId(1)}
