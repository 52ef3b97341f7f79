from __future__ import annotations

import json
import os
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.manager import runs
from tests.manager.runs import Manager, Player
from tests.transfer.nodes import StoreObjects
from vine.content.hashing import manifest_of_file
from vine.content.manifest import object_id
from vine.manager.journal import file_name
from vine.manager.replay import replay
from vine.names import FileId, TaskId
from vine.transfer.events import Fetched, FetchFailed, NodeEvent
from vine.transfer.node import TransferNode
from vine.views import status
from vine.wire import messages as m
from vine.wire.keys import load_connection
from vine.wire.parts import (
    Assignment,
    AttemptResult,
    CacheLevel,
    FetchFault,
    FileKind,
    FileSpec,
    MadeOutput,
    Mount,
    Outcome,
    Request,
    Role,
    TaskKind,
    TaskSpec,
)
from vine.wire.sockets import Context, Gate
from vine.wire.worker_messages import (
    AttemptsEnded,
    EndWorker,
    FetchEnded,
    FetchObject,
    RunAttempts,
    WorkerBye,
    WorkerWelcome,
)

pytestmark = pytest.mark.live


@pytest.fixture
def context() -> Iterator[Context]:
    with runs.a_context() as context:
        yield context


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with runs.manager(tmp_path / "run") as manager:
        yield manager


@pytest.fixture
def client(context: Context, manager: Manager) -> Iterator[Player]:
    player = runs.client(context, manager.run_dir)
    player.hear(m.ClientWelcome)
    yield player
    player.close()


@pytest.fixture
def worker(context: Context, manager: Manager) -> Iterator[Player]:
    player = runs.worker(context, manager.run_dir)
    player.hear(WorkerWelcome)
    yield player
    player.close()


class RealWorker:
    """A worker with a real store and transfer node; the test plays the rest."""

    def __init__(self, context: Context, run_dir: Path, folder: Path) -> None:
        connection = load_connection(run_dir, Role.WORKER)
        self.objects = StoreObjects(folder)
        self.store = self.objects.store
        self._gate = Gate(context, connection)
        self._events: queue.Queue[NodeEvent] = queue.Queue()
        self.node = TransferNode(context, connection, Role.WORKER, "127.0.0.1", None, self.objects, self._events.put)
        endpoints = (self.node.requests_endpoint, self.node.chunks_endpoint)
        self.player = runs.worker(context, run_dir, "w1", endpoints)
        self.node.set_source_key(self.player.hear(WorkerWelcome).source_key)

    def fetch(self) -> tuple[FetchObject, NodeEvent]:
        """Do the next order of the manager, and report to it."""
        order = self.player.hear(FetchObject)
        self.node.fetch(order)
        event = self._events.get(timeout=runs.GIVE_UP_S)
        fault, message = FetchFault.NONE, ""
        if isinstance(event, FetchFailed):
            fault, message = event.fault, event.message
        self.player.say(FetchEnded(order.transfer_id, order.object_id, fault, 1, 0.1, message))
        return order, event

    def close(self) -> None:
        self.player.close()
        self.node.close()
        self._gate.close()
        self.store.leave()


@pytest.fixture
def real_worker(context: Context, manager: Manager, tmp_path: Path) -> Iterator[RealWorker]:
    worker = RealWorker(context, manager.run_dir, tmp_path / "store")
    yield worker
    worker.close()


def local(number: int, path: Path, exists: bool = True) -> FileSpec:
    return FileSpec(FileId(number), FileKind.LOCAL, CacheLevel.WORKFLOW, str(path), path=str(path), exists=exists)


def bound(number: int, path: Path) -> m.FileBound:
    manifest, signature = manifest_of_file(path)
    return m.FileBound(FileId(number), object_id(manifest), manifest, str(path), signature)


def command(inputs: tuple[int, ...], outputs: tuple[int, ...] = ()) -> m.SubmitTasks:
    mounts = [tuple(Mount(FileId(number), f"file{number}") for number in numbers) for numbers in (inputs, outputs)]
    return m.SubmitTasks((TaskSpec(TaskId(1), TaskKind.COMMAND, "true", inputs=mounts[0], outputs=mounts[1]),))


def end(assignment: Assignment, **fields: object) -> AttemptsEnded:
    return AttemptsEnded((AttemptResult(assignment.attempt, Outcome.SUCCESS, **fields),))  # type: ignore[arg-type]


def test_a_call_goes_to_a_worker_and_its_result_to_the_client_and_both_into_the_journal(
    manager: Manager, client: Player, worker: Player
) -> None:
    client.say(m.SubmitTasks((runs.call(1), runs.call(2, depends=(TaskId(1),)))))
    (first,) = worker.hear(RunAttempts).assignments
    assert first.payload == b"Pargs"
    worker.say(end(first, value=b"P1"))
    (second,) = worker.hear(RunAttempts).assignments
    assert [value.value for value in second.values] == [b"P1"]
    worker.say(end(second, value=b"P2"))
    results = client.hear(m.TasksEnded).results
    if len(results) < 2:
        results += client.hear(m.TasksEnded).results
    assert [(result.task_id, result.value) for result in results] == [(1, b"P1"), (2, b"P2")]
    assert manager.end() == (0, "")
    tasks = replay(manager.run_dir / file_name).tasks
    assert [(task.state, task.result and task.result.value) for task in tasks.values()] == [
        ("done", b"P1"),
        ("done", b"P2"),
    ]


def test_when_its_parent_is_gone_it_tells_everybody_to_end_and_ends(
    manager: Manager, context: Context, client: Player, worker: Player
) -> None:
    factory = runs.factory(context, manager.run_dir)
    factory.hear(m.FactoryWelcome)
    manager.cut_lifeline()
    assert worker.hear(EndWorker).reason == "the program that started it has ended"
    worker.say(WorkerBye("told to end"))
    assert factory.hear(m.EndFactory)
    assert manager.end() == (0, "")
    assert not (manager.run_dir / "staging").exists()
    factory.close()


def test_a_local_file_is_served_and_an_output_lies_at_its_path_when_its_task_has_ended(
    client: Player, real_worker: RealWorker, tmp_path: Path
) -> None:
    source, target = tmp_path / "in", tmp_path / "results" / "out"
    source.write_bytes(os.urandom(1_000_000))
    files = (local(1, source), local(2, target, exists=False))
    client.say(m.DeclareFiles(files), bound(1, source), command(inputs=(1,), outputs=(2,)))
    order, event = real_worker.fetch()
    assert isinstance(event, Fetched), event
    assert real_worker.store.path(order.object_id).read_bytes() == source.read_bytes()
    (assignment,) = real_worker.player.hear(RunAttempts).assignments
    made, manifest = real_worker.objects.put(b"made" * 100_000)
    real_worker.node.object_complete(made)
    real_worker.player.say(end(assignment, outputs=(MadeOutput(FileId(2), made, manifest),)))
    assert client.hear(m.TasksEnded).results[0].outcome is Outcome.SUCCESS
    assert target.read_bytes() == b"made" * 100_000
    assert os.listdir(target.parent) == ["out"]


def test_a_large_value_is_brought_to_the_staging_folder_for_its_reader(
    manager: Manager, client: Player, real_worker: RealWorker
) -> None:
    client.say(m.SubmitTasks((runs.call(1),)))
    (assignment,) = real_worker.player.hear(RunAttempts).assignments
    value, manifest = real_worker.objects.put(b"P" + os.urandom(300_000))
    real_worker.node.object_complete(value)
    real_worker.player.say(end(assignment, value_object=value, value_manifest=manifest))
    (result,) = client.hear(m.TasksEnded).results
    assert result.value_path is not None
    path = Path(result.value_path)
    assert path.is_relative_to(manager.run_dir / "staging")
    assert path.read_bytes() == real_worker.store.path(value).read_bytes()


def test_a_local_file_that_changed_fails_its_task(client: Player, real_worker: RealWorker, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"declared" * 50_000)
    declared = bound(1, source)
    source.write_bytes(b"replaced" * 50_000)
    client.say(m.DeclareFiles((local(1, source),)), declared, command(inputs=(1,)))
    _, event = real_worker.fetch()
    assert isinstance(event, FetchFailed) and event.fault is FetchFault.SOURCE_CHANGED
    assert client.hear(m.TasksEnded).results[0].outcome is Outcome.INPUT_CHANGED


def test_a_file_that_is_not_what_its_signature_says_fails_its_task_when_its_chunks_were_bad_twice(
    client: Player, real_worker: RealWorker, tmp_path: Path
) -> None:
    # given a file whose time of change tells nothing: a client says of it what is true of another one
    for name in ("in", "other"):
        (tmp_path / name).write_bytes(name[:1].encode() * 400_000)
    other = bound(1, tmp_path / "other")
    true = bound(1, tmp_path / "in")
    lie = m.FileBound(FileId(1), other.object_id, other.manifest, true.path, true.signature)
    client.say(m.DeclareFiles((local(1, tmp_path / "in"),)), lie, command(inputs=(1,)))
    # when its chunks are bad time and again
    for _ in range(2):
        _, event = real_worker.fetch()
        assert isinstance(event, FetchFailed) and event.fault is FetchFault.BAD_CHUNKS
    # then the manager has looked for itself
    (result,) = client.hear(m.TasksEnded).results
    assert result.outcome is Outcome.INPUT_CHANGED and str(tmp_path / "in") in result.message


def test_a_peer_that_leaves_is_forgotten_and_its_task_goes_elsewhere(
    context: Context, manager: Manager, client: Player, worker: Player
) -> None:
    client.say(m.SubmitTasks((runs.call(1),)))
    worker.hear(RunAttempts)
    other = runs.worker(context, manager.run_dir, "w2")
    other.hear(WorkerWelcome)
    worker.say(WorkerBye("the batch system wants its node back"))
    (again,) = other.hear(RunAttempts).assignments
    other.say(end(again, value=b"P1"))
    assert client.hear(m.TasksEnded).results[0].worker_id == "w2"
    other.close()


def test_a_client_that_left_is_not_known_any_more(client: Player) -> None:
    session = client.link._session.session_id
    client.say(m.ClientBye())
    client.until(lambda: client.link.backlog_bytes == 0)
    client.say(m.CancelTasks(()))
    client.hear(m.ClientWelcome)  # for it had to introduce itself again
    assert client.link._session.session_id != session


def test_what_no_message_is_does_not_stop_it(manager: Manager, client: Player, worker: Player) -> None:
    client.link._session.send(b"\xc1 no message", False)  # past the checks of our own end
    client.say(m.SubmitTasks((runs.call(1),)))
    (assignment,) = worker.hear(RunAttempts).assignments
    worker.say(end(assignment, value=b"P1"))
    assert client.hear(m.TasksEnded).results[0].outcome is Outcome.SUCCESS


def test_the_status_of_a_run_is_seen_while_it_runs(
    manager: Manager, client: Player, worker: Player, capsys: pytest.CaptureFixture[str]
) -> None:
    client.say(m.SubmitTasks((runs.call(1, request=Request(cores=2)), runs.call(2, request=Request(cores=2)))))
    worker.hear(RunAttempts)
    # A RunState comes with the same tick that lets the statistics be written.
    client.hear(m.RunState, lambda state: state.workers == 1)
    manager.end()
    assert status.main(["--json", str(manager.run_dir)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [shown["id"] for shown in found["workers"]] == ["w1"]
    assert sum(found["tasks"].values()) == 2
    assert found["manager"]["malformed"] == 0
    assert found["end_reason"] == "the program that started it has ended"
