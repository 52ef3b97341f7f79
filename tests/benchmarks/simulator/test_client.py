from __future__ import annotations

import pytest

from benchmarks.simulator.client import SimulatedClient
from vine.content.manifest import object_id
from vine.names import RunId, TaskId, numbered
from vine.wire import messages as wire
from vine.wire.parts import Outcome, TaskResult


@pytest.fixture
def said() -> list[wire.Message]:
    return []


@pytest.fixture
def client(said: list[wire.Message]) -> SimulatedClient:
    client = SimulatedClient(said.append)
    client.join()
    client.hear(wire.ClientWelcome(RunId("r"), 1, 3, "/run", "/run/staging", True))
    return client


def test_a_file_is_declared_and_bound_to_its_content(client: SimulatedClient, said: list[wire.Message]) -> None:
    file_id, key = client.local_file("big", 1000)
    hello, declared, bound = said
    assert isinstance(hello, wire.ClientHello)
    assert isinstance(declared, wire.DeclareFiles) and declared.files[0].file_id == file_id
    assert isinstance(bound, wire.FileBound) and (bound.object_id, bound.manifest.size) == (key, 1000)
    assert object_id(bound.manifest) == key


def test_tasks_are_numbered_as_the_manager_asked(client: SimulatedClient, said: list[wire.Message]) -> None:
    client.submit(client.task(command="true"), client.task(command="false"))
    assert isinstance(said[-1], wire.SubmitTasks)
    assert [task.task_id for task in said[-1].tasks] == [numbered(3, 1), numbered(3, 2)]


def test_results_are_kept_and_must_not_come_twice(client: SimulatedClient) -> None:
    ended = wire.TasksEnded((TaskResult(TaskId(1), Outcome.SUCCESS),))
    client.hear(ended)
    assert client.results[TaskId(1)].outcome is Outcome.SUCCESS
    with pytest.raises(AssertionError, match="twice"):
        client.hear(ended)


def test_a_broadcast_is_asked_for_and_its_answer_kept(client: SimulatedClient, said: list[wire.Message]) -> None:
    file_id, _ = client.local_file("big", 1000)
    request = client.broadcast(file_id)
    assert said[-1] == wire.SpreadFile(request, file_id)
    client.hear(wire.FileSpread(request, 5))
    assert client.spread[request].workers == 5
