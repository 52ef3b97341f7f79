"""A client and its futures, over managers that follow each other."""

from __future__ import annotations

import pytest

from benchmarks.simulator.faults.client import FaultyClient
from benchmarks.simulator.faults.journal import Staging
from vine.names import FileId, RunId, TaskId
from vine.wire import messages as wire
from vine.wire.parts import Outcome, TaskResult

WELCOME = wire.ClientWelcome(RunId("r"), 1, 0, "/run", "/staging", True)
NEXT = wire.ClientWelcome(RunId("r"), 2, 0, "/run", "/staging", True)


def end(task_id: int, path: str | None = None) -> wire.TasksEnded:
    return wire.TasksEnded((TaskResult(TaskId(task_id), Outcome.SUCCESS, value_path=path),))


@pytest.fixture
def staging() -> Staging:
    return Staging()


@pytest.fixture
def client(staging: Staging) -> FaultyClient:
    client = FaultyClient("c", lambda message, again: None, staging)
    client.hear(WELCOME)
    return client


def test_a_task_is_open_until_its_end_is_told(client: FaultyClient) -> None:
    task = client.task()
    client.submit(task)
    assert client.open == {task.task_id}
    client.hear(end(task.task_id))
    assert not client.open and task.task_id in client.results


def test_an_end_that_nobody_waits_for_must_not_be_told(client: FaultyClient) -> None:
    with pytest.raises(AssertionError, match="nobody waits for"):
        client.hear(end(77))


def test_an_end_may_be_told_again_by_the_next_manager_and_by_no_other(client: FaultyClient) -> None:
    task = client.task()
    client.submit(task)
    client.hear(end(task.task_id))
    with pytest.raises(AssertionError, match="twice by one manager"):
        client.hear(end(task.task_id))
    client.hear(NEXT)
    client.hear(end(task.task_id))
    with pytest.raises(AssertionError, match="twice by one manager"):
        client.hear(end(task.task_id))


def test_a_manager_that_was_replaced_must_not_be_heard(client: FaultyClient) -> None:
    client.hear(NEXT)
    with pytest.raises(AssertionError, match="was replaced"):
        client.hear(WELCOME)


def test_a_large_result_is_taken_from_where_it_is_said_to_be(client: FaultyClient, staging: Staging) -> None:
    task = client.task()
    client.submit(task)
    with pytest.raises(AssertionError, match="where nothing is"):
        client.hear(end(task.task_id, "/run/staging/x"))


def test_who_comes_back_says_what_it_waits_for_and_asks_again_what_was_not_answered(client: FaultyClient) -> None:
    task = client.task()
    client.submit(task)
    asked, answered = wire.BringFile(FileId(7)), wire.BringFile(FileId(8))
    client.say(asked)
    client.say(answered)
    client.say(wire.ReplicateFile(FileId(9), 2))
    client.hear(wire.FileBrought(FileId(8), "/data/8"))
    assert client.reopened() == [wire.TasksAwaited((task.task_id,)), asked, wire.ReplicateFile(FileId(9), 2)]
    client.hear(NEXT)
    assert (client.hello().index, client.hello().epoch) == (0, 2)


def test_results_that_were_asked_for_are_answered(client: FaultyClient, staging: Staging) -> None:
    staging.put("/run/staging/x")
    client.hear(wire.ResultBrought(TaskId(1), "/run/staging/x"))
    assert client.answered == {TaskId(1)} and not staging.paths
